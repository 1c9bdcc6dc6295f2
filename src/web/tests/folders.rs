use serde_json::json;

use super::harness::Server;

const FOLDERS: &str = "/api/v2/folders";

#[actix_web::test]
async fn the_life_of_a_folder() {
    let server = Server::start().await;
    let root = server.root().await;
    let body = json!({
        "name": "archive", "mapped_path": "/srv//archive/", "used_quota_size": 99,
        "used_quota_files": 9,
    });
    let answer = root.post(FOLDERS, body).await;
    let created = answer.object(201);
    assert_eq!(answer.header("Location"), "/api/v2/folders/archive");
    assert_eq!(created["mapped_path"], json!("/srv/archive"));
    assert_eq!(created["used_quota_size"], json!(0), "counters stay 0 until a scan");

    let change = json!({"name": "ignored", "mapped_path": "/srv/new", "description": "moved"});
    root.put("/api/v2/folders/archive", change).await.done(200);
    let answer = root.get("/api/v2/folders/archive").await;
    let updated = answer.object(200);
    assert_eq!(updated["mapped_path"], json!("/srv/new"));
    assert_eq!(updated["description"], json!("moved"));
    assert_eq!(updated["id"], created["id"]);
    assert_eq!(root.get(FOLDERS).await.object(200).as_array().map(Vec::len), Some(1));

    root.delete("/api/v2/folders/archive").await.done(200);
    root.get("/api/v2/folders/archive").await.refused(404);
    root.put("/api/v2/folders/archive", json!({"mapped_path": "/srv/a"})).await.refused(404);
    root.delete("/api/v2/folders/archive").await.refused(404);
}

#[actix_web::test]
async fn wrong_folders_are_refused_naming_the_field() {
    let server = Server::start().await;
    let root = server.root().await;
    for (body, field) in [
        (json!({"mapped_path": "/srv/a"}), "name"),
        (json!({"name": "a"}), "mapped_path"),
        (json!({"name": "a", "mapped_path": "srv"}), "mapped_path"),
        (json!({"name": "a", "mapped_path": "/srv", "filesystem": {"provider": 1}}), "filesystem"),
        (json!({"name": ["a"], "mapped_path": "/srv"}), "name"),
    ] {
        let answer = root.post(FOLDERS, body).await;
        assert!(answer.refused(400).contains(field), "{}", answer.text);
    }
    let folder = json!({"name": "a", "mapped_path": "/srv/a"});
    root.post(FOLDERS, folder.clone()).await.object(201);
    root.post(FOLDERS, folder).await.refused(409);
}

#[actix_web::test]
async fn folders_need_their_permission() {
    let server = Server::start().await;
    let folder = json!({"name": "a", "mapped_path": "/srv/a"});
    let other = server.admin_with("other", &["view_users", "edit_users"]).await;
    other.get(FOLDERS).await.refused(403);
    other.post(FOLDERS, folder.clone()).await.refused(403);
    let keeper = server.admin_with("keeper", &["manage_folders"]).await;
    keeper.post(FOLDERS, folder).await.object(201);
    keeper.get("/api/v2/folders/a").await.object(200);
    keeper.get("/api/v2/users").await.refused(403);
}
