use serde_json::{Value, json};

use super::harness::{Client, Server};

const GROUPS: &str = "/api/v2/groups";

fn user(changes: Value) -> Value {
    let mut user = json!({
        "username": "alice", "password": "a pass phrase", "status": 1, "home_dir": "/srv/alice",
        "permissions": {"/": ["*"]},
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        user[key] = value.clone();
    }
    user
}

async fn add_folder(root: &Client) -> Value {
    let folder = json!({"name": "data", "mapped_path": "/srv/data"});
    root.post("/api/v2/folders", folder).await.object(201).clone()
}

#[actix_web::test]
async fn the_life_of_a_group() {
    let server = Server::start().await;
    let root = server.root().await;
    let folder = add_folder(&root).await;
    let group = json!({
        "name": " staff ", "description": "all of us", "users": ["nobody"], "id": 77,
        "user_settings": {"home_dir": "/srv/%username%", "expires_in": 30,
                          "filters": {"denied_ip": ["10.0.0.1"]}},
        "virtual_folders": [{"name": "data", "virtual_path": "/data/", "quota_size": 5}],
    });
    let answer = root.post(GROUPS, group).await;
    let created = answer.object(201).clone();
    assert_eq!(answer.header("Location"), "/api/v2/groups/staff");
    assert_eq!(created["user_settings"]["filters"]["denied_ip"], json!(["10.0.0.1/32"]));
    assert!(created["created_at"].as_i64().is_some_and(|time| time > 0));
    assert_eq!(created.get("users"), None, "back references are not taken from the body");
    let mount = &created["virtual_folders"][0];
    assert_eq!((&mount["id"], &mount["virtual_path"]), (&folder["id"], &json!("/data")));
    assert_eq!(mount["mapped_path"], json!("/srv/data"), "the folder is filled in");

    let membership = json!({"groups": [{"name": "staff", "type": 1}]});
    let answer = root.post("/api/v2/users", user(membership.clone())).await;
    assert_eq!(answer.object(201)["groups"], membership["groups"]);
    assert_eq!(answer.object(201)["home_dir"], json!("/srv/alice"), "what is stored");
    let answer = root.get("/api/v2/groups/staff").await;
    assert_eq!(answer.object(200)["users"], json!(["alice"]));
    assert_eq!(root.get("/api/v2/folders/data").await.json["groups"], json!(["staff"]));

    let change = json!({"name": "ignored", "user_settings": {"max_sessions": 2}});
    root.put("/api/v2/groups/staff", change).await.done(200);
    let answer = root.get("/api/v2/groups/staff").await;
    let updated = answer.object(200);
    assert_eq!(updated["user_settings"]["max_sessions"], json!(2));
    assert_eq!(updated["user_settings"].get("home_dir"), None, "left out, so at its default");
    assert_eq!(updated.get("virtual_folders"), None);
    assert_eq!(updated["users"], json!(["alice"]), "users stay in it");
    assert_eq!((&updated["id"], &updated["created_at"]), (&created["id"], &created["created_at"]));
    assert_eq!(root.get(GROUPS).await.object(200), &json!([updated]));

    let answer = root.delete("/api/v2/groups/staff").await;
    assert!(answer.refused(409).contains("alice"), "{}", answer.text);
    root.put("/api/v2/users/alice", user(json!({}))).await.done(200);
    root.delete("/api/v2/groups/staff").await.done(200);
    root.get("/api/v2/groups/staff").await.refused(404);
    root.put("/api/v2/groups/staff", json!({})).await.refused(404);
    root.delete("/api/v2/groups/staff").await.refused(404);
}

#[actix_web::test]
async fn groups_are_listed_in_pages() {
    let server = Server::start().await;
    let root = server.root().await;
    for name in ["c", "a", "b"] {
        root.post(GROUPS, json!({"name": name})).await.object(201);
    }
    for (query, names) in [
        ("", vec!["a", "b", "c"]),
        ("?order=DESC&limit=2", vec!["c", "b"]),
        ("?offset=1&limit=1", vec!["b"]),
    ] {
        let answer = root.get(&format!("{GROUPS}{query}")).await;
        let list = answer.object(200).as_array().expect("a list");
        let got: Vec<_> =
            list.iter().map(|group| group["name"].as_str().expect("a name")).collect();
        assert_eq!(got, names, "{query}");
    }
    root.get(&format!("{GROUPS}?limit=501")).await.refused(400);
}

#[actix_web::test]
async fn wrong_groups_are_refused_naming_the_field() {
    let server = Server::start().await;
    let root = server.root().await;
    for (body, part) in [
        (json!({}), "name"),
        (json!({"name": "a b/c"}), "name"),
        (json!({"name": "g", "user_settings": {"home_dir": "srv"}}), "user_settings: home_dir"),
        (json!({"name": "g", "user_settings": 5}), "user_settings"),
        (
            json!({"name": "g", "virtual_folders": [{"name": "data", "virtual_path": "/d"}]}),
            "folder \"data\" does not exist",
        ),
        (
            json!({"name": "g", "virtual_folders": [{"name": "data", "virtual_path": "d"}]}),
            "virtual_path",
        ),
    ] {
        let answer = root.post(GROUPS, body).await;
        assert!(answer.refused(400).contains(part), "{part}: {}", answer.text);
    }
    root.post(GROUPS, json!({"name": "g"})).await.object(201);
    root.post(GROUPS, json!({"name": "g"})).await.refused(409);
}

#[actix_web::test]
async fn users_and_admins_name_groups_that_exist() {
    let server = Server::start().await;
    let root = server.root().await;
    for name in ["one", "two"] {
        root.post(GROUPS, json!({"name": name})).await.object(201);
    }
    for (groups, part) in [
        (json!([{"name": "three", "type": 2}]), "group \"three\" does not exist"),
        (json!([{"name": "one", "type": 0}]), "type"),
        (json!([{"name": "one", "type": 1}, {"name": "two", "type": 1}]), "both primary"),
    ] {
        let answer = root.post("/api/v2/users", user(json!({"groups": groups}))).await;
        assert!(answer.refused(400).contains(part), "{part}: {}", answer.text);
    }
    let admin = |groups: Value| {
        json!({"username": "chief", "password": "pass phrase", "status": 1,
               "permissions": ["*"], "groups": groups})
    };
    let joins = json!([{"name": "one", "options": {"add_to_users_as": 1}}, {"name": "two"}]);
    for (groups, part) in [
        (json!([{"name": "three"}]), "group \"three\" does not exist"),
        (json!([{"name": "one", "options": {"add_to_users_as": 3}}]), "add_to_users_as"),
    ] {
        let answer = root.post("/api/v2/admins", admin(groups)).await;
        assert!(answer.refused(400).contains(part), "{part}: {}", answer.text);
    }
    let answer = root.post("/api/v2/admins", admin(joins)).await;
    let want = json!([{"name": "one", "options": {"add_to_users_as": 1}},
                      {"name": "two", "options": {"add_to_users_as": 0}}]);
    assert_eq!(answer.object(201)["groups"], want);
    assert_eq!(root.get("/api/v2/groups/two").await.json["admins"], json!(["chief"]));
    // Admins hold no group.
    root.delete("/api/v2/groups/two").await.done(200);
    let answer = root.get("/api/v2/admins/chief").await;
    assert_eq!(answer.object(200)["groups"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn groups_need_their_permission() {
    let server = Server::start().await;
    let other = server.admin_with("other", &["view_users", "edit_users", "manage_folders"]).await;
    other.get(GROUPS).await.refused(403);
    other.post(GROUPS, json!({"name": "g"})).await.refused(403);
    let keeper = server.admin_with("keeper", &["manage_groups"]).await;
    keeper.post(GROUPS, json!({"name": "g"})).await.object(201);
    keeper.get("/api/v2/groups/g").await.object(200);
    other.put("/api/v2/groups/g", json!({})).await.refused(403);
    other.delete("/api/v2/groups/g").await.refused(403);
    keeper.get("/api/v2/folders").await.refused(403);
}

#[actix_web::test]
async fn a_user_is_scanned_where_its_group_puts_it() {
    let server = Server::start().await;
    let root = server.root().await;
    let group = json!({"name": "staff", "user_settings": {"home_dir": "/of/%username%"}});
    root.post(GROUPS, group).await.object(201);
    let member = user(json!({"groups": [{"name": "staff", "type": 1}], "quota_files": 5}));
    root.post("/api/v2/users", member).await.object(201);
    root.post("/api/v2/quotas/users/alice/scan", json!({})).await.done(202);
    server.scanner.count(1, 10);
    super::harness::eventually("the scan", async || {
        root.get("/api/v2/users/alice").await.json["used_quota_size"] == json!(10)
    })
    .await;
    assert_eq!(server.scanner.homes(), ["/of/alice"]);
}
