//! Entity tags, and changes that depend on them.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::harness::{Answer, Client, Server};

/// Path, the object, and a body that changes it.
fn objects() -> [(&'static str, Value, Value); 5] {
    let user = json!({"username": "x", "status": 1, "home_dir": "/srv/x",
        "permissions": {"/": ["*"]}});
    let admin = json!({"username": "x", "password": "pass phrase", "status": 1,
        "permissions": ["view_users"]});
    let folder = json!({"name": "x", "mapped_path": "/srv/x"});
    [
        ("users", user.clone(), described(user)),
        ("folders", folder.clone(), described(folder)),
        ("groups", json!({"name": "x"}), described(json!({}))),
        ("roles", json!({"name": "x"}), described(json!({}))),
        ("admins", admin.clone(), described(admin)),
    ]
}

fn described(mut object: Value) -> Value {
    object["description"] = json!("changed");
    object
}

fn tag(answer: &Answer) -> String {
    answer.object(200);
    let tag = answer.header("ETag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    tag
}

async fn put(client: &Client, path: &str, tags: &str, body: &Value) -> Answer {
    client.send_if(Method::PUT, path, tags, body).await
}

async fn delete(client: &Client, path: &str, tags: &str) -> Answer {
    client.send_if(Method::DELETE, path, tags, &json!({})).await
}

#[actix_web::test]
async fn only_who_has_seen_the_latest_state_changes_or_deletes_it() {
    let server = Server::start().await;
    let root = server.root().await;
    for (kind, object, change) in objects() {
        let path = format!("/api/v2/{kind}/x");
        put(&root, &path, "*", &change).await.refused(404);
        delete(&root, &path, "*").await.refused(404);
        root.post(&format!("/api/v2/{kind}"), object).await.object(201);
        let first = tag(&root.get(&path).await);
        assert_eq!(tag(&root.get(&path).await), first, "{kind}");
        assert_eq!(tag(&root.get(&format!("{path}?confidential_data=1")).await), first, "{kind}");

        for wrong in ["\"other\"", &format!("W/{first}"), "odd", "", first.trim_matches('"')] {
            let answer = put(&root, &path, wrong, &change).await;
            assert!(answer.refused(412).contains("\"x\""), "{kind} {wrong}: {}", answer.text);
            delete(&root, &path, wrong).await.refused(412);
        }
        let answer = root.get(&path).await;
        assert_eq!(tag(&answer), first, "nothing was done: {kind}");
        assert_eq!(answer.json.get("description"), None, "{kind}");

        put(&root, &path, &format!("\"other\", {first}"), &change).await.done(200);
        let answer = root.get(&path).await;
        let second = tag(&answer);
        assert_eq!(answer.json["description"], "changed", "{kind}");
        assert_ne!(second, first, "{kind}");
        put(&root, &path, &first, &change).await.refused(412);
        delete(&root, &path, &first).await.refused(412);
        put(&root, &path, "*", &change).await.done(200);
        root.put(&path, change).await.done(200);
        let latest = tag(&root.get(&path).await);
        delete(&root, &path, &latest).await.done(200);
        root.get(&path).await.refused(404);
    }
}

#[actix_web::test]
async fn of_many_who_have_seen_the_same_one_changes_it() {
    let server = Server::start().await;
    let root = server.root().await;
    for (kind, object, change) in objects() {
        let path = format!("/api/v2/{kind}/x");
        root.post(&format!("/api/v2/{kind}"), object).await.object(201);
        let seen = tag(&root.get(&path).await);
        let tries = (0..6).map(|_| put(&root, &path, &seen, &change));
        let answers = futures_util::future::join_all(tries).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412], "{kind}");
    }
}

#[actix_web::test]
async fn what_changes_by_itself_makes_no_other_state_but_who_refers_to_it_does() {
    let server = Server::start().await;
    let root = server.root().await;
    for (kind, object, _) in objects() {
        root.post(&format!("/api/v2/{kind}"), object).await.object(201);
    }
    let paths = objects().map(|(kind, ..)| format!("/api/v2/{kind}/x"));
    let mut before = Vec::new();
    for path in &paths {
        before.push(tag(&root.get(path).await));
    }
    let usage = json!({"used_quota_size": 5, "used_quota_files": 1});
    root.put("/api/v2/quotas/users/x/usage", usage.clone()).await.done(200);
    root.put("/api/v2/quotas/folders/x/usage", usage).await.done(200);
    server.login("x", "pass phrase").await;
    server.services.store.user_logged_in("x").await.expect("noted");
    assert_eq!(root.get(&paths[0]).await.json["used_quota_size"], 5);
    assert_ne!(root.get(&paths[4]).await.json["last_login"], 0);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&tag(&root.get(path).await), before, "{path}");
    }

    // Who deletes a folder that nobody mounts has to know when somebody does.
    let ann = json!({"username": "ann", "status": 1, "home_dir": "/srv/ann", "role": "x",
        "permissions": {"/": ["*"]}, "groups": [{"name": "x", "type": 1}],
        "virtual_folders": [{"name": "x", "virtual_path": "/x"}]});
    root.post("/api/v2/users", ann).await.object(201);
    for at in [1, 2, 3] {
        delete(&root, &paths[at], &before[at]).await.refused(412);
    }
}

#[actix_web::test]
async fn a_tag_is_that_of_what_its_reader_may_see() {
    let server = Server::start().await;
    let root = server.root().await;
    for name in ["sales", "it"] {
        root.post("/api/v2/roles", json!({"name": name})).await.object(201);
    }
    root.post("/api/v2/groups", json!({"name": "x"})).await.object(201);
    let folder = json!({"name": "x", "mapped_path": "/srv/x"});
    root.post("/api/v2/folders", folder.clone()).await.object(201);
    let sam = json!({"username": "sam", "password": "pass phrase", "status": 1, "role": "sales",
        "permissions": ["manage_groups", "manage_folders", "view_users"]});
    root.post("/api/v2/admins", sam).await.object(201);
    let sam = server.login("sam", "pass phrase").await;
    let (group, path) = ("/api/v2/groups/x", "/api/v2/folders/x");
    let (of_group, of_folder) = (tag(&sam.get(group).await), tag(&sam.get(path).await));
    let user = |name: &str, role: &str| {
        json!({"username": name, "status": 1, "home_dir": "/srv/u", "role": role,
            "permissions": {"/": ["*"]}, "groups": [{"name": "x", "type": 1}],
            "virtual_folders": [{"name": "x", "virtual_path": "/x"}]})
    };
    let (root_group, root_folder) = (tag(&root.get(group).await), tag(&root.get(path).await));
    root.post("/api/v2/users", user("ivan", "it")).await.object(201);
    assert_eq!(tag(&sam.get(group).await), of_group, "what is hidden tells nothing");
    assert_eq!(tag(&sam.get(path).await), of_folder);
    assert_ne!(tag(&root.get(group).await), root_group);
    assert_ne!(tag(&root.get(path).await), root_folder);
    put(&sam, group, &of_group, &json!({})).await.done(200);
    put(&sam, path, &of_folder, &folder).await.done(200);
    let of_group = tag(&sam.get(group).await);
    root.post("/api/v2/users", user("sue", "sales")).await.object(201);
    put(&sam, group, &of_group, &json!({})).await.refused(412);
}

#[actix_web::test]
async fn a_change_of_ones_own_account_keeps_what_others_change_of_it() {
    let server = Server::start().await;
    let root = server.root().await;
    let eve = server.admin_with("eve", &["view_users"]).await;
    let path = "/api/v2/admins/eve";
    let seen = tag(&root.get(path).await);
    let profile = json!({"email": "eve@example.com", "description": ""});
    eve.put("/api/v2/admin/profile", profile).await.done(200);
    let old = json!({"status": 1, "permissions": ["*"]});
    put(&root, path, &seen, &old).await.refused(412);
    let admin = root.get(path).await;
    assert_eq!(admin.json["email"], "eve@example.com");
    assert_eq!(admin.json["permissions"], json!(["view_users"]));
}

#[actix_web::test]
async fn the_document_tells_of_tags_and_totals() {
    let server = Server::start().await;
    let document = server.anonymous().get("/openapi/openapi.json").await.json;
    for (kind, name) in [
        ("users", "username"),
        ("folders", "name"),
        ("groups", "name"),
        ("roles", "name"),
        ("admins", "username"),
    ] {
        let list = &document["paths"][format!("/api/v2/{kind}")]["get"];
        let headers = &list["responses"]["200"]["headers"];
        assert!(headers["X-Total-Count"].is_object(), "{kind}");
        let named = |operation: &Value, name: &str| {
            let parameters = operation["parameters"].as_array().expect("parameters");
            parameters.iter().any(|parameter| parameter["name"] == name)
        };
        assert!(named(list, "q") && named(list, "sort"), "{kind}");
        let one = &document["paths"][format!("/api/v2/{kind}/{{{name}}}")];
        assert!(one["get"]["responses"]["200"]["headers"]["ETag"].is_object(), "{kind}");
        for method in ["put", "delete"] {
            assert!(named(&one[method], "If-Match"), "{kind} {method}");
            assert!(one[method]["responses"]["412"].is_object(), "{kind} {method}");
        }
    }
}
