use serde_json::{Value, json};

use super::harness::{ROOT, ROOT_PASSWORD, Server};

const ADMINS: &str = "/api/v2/admins";

fn admin(username: &str, permissions: &[&str]) -> Value {
    json!({
        "username": username, "password": "pass phrase", "status": 1, "permissions": permissions
    })
}

#[actix_web::test]
async fn the_life_of_an_admin() {
    let server = Server::start().await;
    let root = server.root().await;
    let answer = root.post(ADMINS, admin("helper", &["view_users"])).await;
    let created = answer.object(201);
    assert_eq!(answer.header("Location"), "/api/v2/admins/helper");
    assert!(!answer.text.contains("password"), "{}", answer.text);

    let change = json!({"status": 1, "permissions": ["view_conns"], "email": "h@example.com"});
    root.put("/api/v2/admins/helper", change).await.done(200);
    let answer = root.get("/api/v2/admins/helper").await;
    let updated = answer.object(200);
    assert_eq!(updated["permissions"], json!(["view_conns"]));
    assert_eq!(updated["email"], json!("h@example.com"));
    assert_eq!(updated["id"], created["id"]);
    assert!(!answer.text.contains("password"), "{}", answer.text);
    server.login("helper", "pass phrase").await;

    let answer = root.get(&format!("{ADMINS}?order=DESC")).await;
    let listed = answer.object(200).as_array().expect("a list");
    let names: Vec<&Value> = listed.iter().map(|admin| &admin["username"]).collect();
    assert_eq!(names, [ROOT, "helper"]);
    assert!(!answer.text.contains("password"), "{}", answer.text);

    root.delete("/api/v2/admins/helper").await.done(200);
    root.get("/api/v2/admins/helper").await.refused(404);
    root.put("/api/v2/admins/helper", admin("helper", &["*"])).await.refused(404);
    root.delete("/api/v2/admins/helper").await.refused(404);
}

#[actix_web::test]
async fn wrong_admins_are_refused_naming_the_field() {
    let server = Server::start().await;
    let root = server.root().await;
    for (body, field) in [
        (json!({"username": "a", "permissions": ["*"]}), "password"),
        (json!({"username": "a", "password": "x"}), "permissions"),
        (json!({"username": "a", "password": "x", "permissions": ["fly"]}), "permissions[0]"),
        (json!({"username": "", "password": "x", "permissions": ["*"]}), "username"),
        (json!({"username": "a", "password": 1, "permissions": ["*"]}), "password"),
        (
            json!({
                "username": "a", "password": "x", "permissions": ["*"],
                "filters": {"allow_list": ["x"]},
            }),
            "filters.allow_list",
        ),
    ] {
        let answer = root.post(ADMINS, body).await;
        assert!(answer.refused(400).contains(field), "{}", answer.text);
    }
    root.post(ADMINS, admin(ROOT, &["*"])).await.refused(409);
}

#[actix_web::test]
async fn nobody_can_delete_or_disable_oneself() {
    let server = Server::start().await;
    let root = server.root().await;
    let path = "/api/v2/admins/root";
    assert_eq!(root.delete(path).await.refused(400), "you cannot delete yourself");
    let off = json!({"status": 0, "permissions": ["*"]});
    assert_eq!(root.put(path, off).await.refused(400), "status: you cannot disable yourself");
    root.put(path, json!({"status": 1, "permissions": ["*"]})).await.done(200);
    server.login(ROOT, ROOT_PASSWORD).await;
}

#[actix_web::test]
async fn nobody_can_give_change_or_take_away_more_than_is_held() {
    let server = Server::start().await;
    server.root().await.post(ADMINS, admin("other", &["view_users"])).await.object(201);
    let keeper = server.admin_with("keeper", &["manage_admins", "view_users"]).await;

    keeper.post(ADMINS, admin("puppet", &["*"])).await.refused(403);
    keeper.post(ADMINS, admin("puppet", &["view_users", "add_users"])).await.refused(403);
    keeper.put("/api/v2/admins/keeper", admin("keeper", &["*"])).await.refused(403);
    keeper.put("/api/v2/admins/root", admin("root", &["view_users"])).await.refused(403);
    keeper.delete("/api/v2/admins/root").await.refused(403);

    keeper.post(ADMINS, admin("puppet", &["view_users"])).await.object(201);
    keeper.put("/api/v2/admins/other", admin("other", &["manage_admins"])).await.done(200);
    keeper.delete("/api/v2/admins/other").await.done(200);
}

#[actix_web::test]
async fn admins_need_their_permission() {
    let server = Server::start().await;
    let other = server.admin_with("other", &["view_users", "edit_users", "manage_folders"]).await;
    other.get(ADMINS).await.refused(403);
    other.get("/api/v2/admins/root").await.refused(403);
    other.post(ADMINS, admin("puppet", &["view_users"])).await.refused(403);
    other.delete("/api/v2/admins/root").await.refused(403);
}

#[actix_web::test]
async fn an_admin_changes_the_own_password() {
    for path in ["/api/v2/admin/changepwd", "/api/v2/changepwd/admin"] {
        let server = Server::start().await;
        let helper = server.admin_with("helper", &["view_users"]).await;
        let change = |current: &str, new: &str| {
            helper.put(path, json!({"current_password": current, "new_password": new}))
        };
        let hash = "$2a$14$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK";
        for (current, new, told) in [
            ("wrong", "another", "current_password: is wrong"),
            ("", "another", "current_password: is wrong"),
            ("pass phrase", "", "new_password: must not be empty"),
            ("pass phrase", "pass phrase", "new_password: is the current one"),
            ("pass phrase", hash, "new_password: looks like a hash, not like a password"),
        ] {
            assert_eq!(change(current, new).await.refused(400), told);
        }
        server.login("helper", "pass phrase").await;

        change("pass phrase", "another").await.done(200);
        server.login("helper", "another").await;
        let old = server.anonymous().basic("/api/v2/token", "helper", "pass phrase").await;
        old.refused(401);
        let answer = server.root().await.get("/api/v2/admins/helper").await;
        assert_eq!(
            answer.object(200)["permissions"],
            json!(["view_users"]),
            "nothing else changed"
        );
    }
}
