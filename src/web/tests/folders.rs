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

#[actix_web::test]
async fn folders_are_mounted_by_their_name() {
    let server = Server::start().await;
    let root = server.root().await;
    let folder = json!({"name": "data", "mapped_path": "/srv/data", "users": ["ghost"]});
    assert_eq!(root.post(FOLDERS, folder).await.object(201).get("users"), None);
    let user = |folders: serde_json::Value| {
        json!({"username": "alice", "status": 1, "home_dir": "/srv/alice",
               "permissions": {"/": ["*"]}, "virtual_folders": folders})
    };
    for (folders, part) in [
        (json!([{"name": "none", "virtual_path": "/a"}]), "folder \"none\" does not exist"),
        (json!([{"name": "data", "virtual_path": "a"}]), "virtual_path"),
        (json!([{"name": "data", "virtual_path": "/a", "quota_size": -1}]), "quota_size"),
        (
            json!([{"name": "data", "virtual_path": "/a"}, {"name": "data", "virtual_path": "/a/b"}]),
            "inside",
        ),
    ] {
        let answer = root.post("/api/v2/users", user(folders)).await;
        assert!(answer.refused(400).contains(part), "{part}: {}", answer.text);
    }
    // One that exists, and one that is defined on the spot.
    let folders = json!([
        {"name": "data", "virtual_path": "/d", "quota_size": -1, "quota_files": -1},
        {"name": "new", "mapped_path": "/srv/new", "virtual_path": "/n", "quota_files": 3},
    ]);
    let answer = root.post("/api/v2/users", user(folders)).await;
    let mounts = answer.object(201)["virtual_folders"].clone();
    assert_eq!(mounts[0]["mapped_path"], json!("/srv/data"));
    assert_eq!((&mounts[1]["name"], &mounts[1]["quota_files"]), (&json!("new"), &json!(3)));
    assert_eq!(root.get("/api/v2/folders/new").await.object(200)["users"], json!(["alice"]));

    // Writing back what was read changes no folder.
    let moved = json!({"mapped_path": "/srv/moved"});
    root.put("/api/v2/folders/new", moved).await.done(200);
    root.put("/api/v2/users/alice", user(mounts)).await.done(200);
    let alice = root.get("/api/v2/users/alice").await.json;
    assert_eq!(alice["virtual_folders"][1]["mapped_path"], json!("/srv/moved"));

    root.delete("/api/v2/folders/data").await.done(200);
    let alice = root.get("/api/v2/users/alice").await.json;
    assert_eq!(alice["virtual_folders"].as_array().map(Vec::len), Some(1));
    root.delete("/api/v2/users/alice").await.done(200);
    assert_eq!(root.get("/api/v2/folders/new").await.object(200).get("users"), None);
}
