use serde_json::{Value, json};

use super::connections::uploader;
use super::harness::{Client, Server};

fn user(name: &str) -> Value {
    json!({
        "username": name, "status": 1, "home_dir": format!("/srv/{name}"),
        "permissions": {"/": ["*"]}, "email": format!("{name}@example.com"),
    })
}

async fn names(client: &Client, query: &str) -> (Vec<String>, String) {
    let answer = client.get(&format!("/api/v2/users?{query}")).await;
    let users = answer.object(200).as_array().expect("a list").iter();
    let names = users.map(|user| user["username"].as_str().expect("a name").to_owned());
    (names.collect(), answer.header("X-Total-Count").to_owned())
}

async fn staff(server: &Server) -> Client {
    let root = server.root().await;
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
    root.post("/api/v2/roles", json!({"name": "sales"})).await.object(201);
    for (name, changes) in [
        ("ann", json!({"groups": [{"name": "staff", "type": 2}], "description": "50% of_all"})),
        ("bob", json!({"status": 0, "email": "robert@example.org"})),
        ("cyd", json!({"expiration_date": 1000, "role": "sales"})),
        ("dan", json!({"role": "sales", "expiration_date": 4_000_000_000_000i64})),
    ] {
        let mut user = user(name);
        for (key, value) in changes.as_object().expect("changes") {
            user[key] = value.clone();
        }
        root.post("/api/v2/users", user).await.object(201);
    }
    root
}

#[actix_web::test]
async fn users_are_found_and_sorted_by_the_store() {
    let server = Server::start().await;
    let root = staff(&server).await;
    let usage = json!({"used_quota_size": 5, "used_quota_files": 1});
    root.put("/api/v2/quotas/users/bob/usage", usage).await.done(200);
    let table: [(&str, &[&str], &str); 16] = [
        ("", &["ann", "bob", "cyd", "dan"], "4"),
        ("limit=2", &["ann", "bob"], "4"),
        ("limit=2&offset=3&order=DESC", &["ann"], "4"),
        ("q=ROBERT", &["bob"], "1"),
        ("q=n", &["ann", "dan"], "2"),
        ("q=n&limit=1&offset=1", &["dan"], "2"),
        ("q=0%25+of", &["ann"], "1"),
        ("q=o%25f", &[], "0"),
        ("q=_f", &[], "0"),
        ("q=of_", &["ann"], "1"),
        ("status=disabled", &["bob"], "1"),
        ("status=expired", &["cyd"], "1"),
        ("group=staff", &["ann"], "1"),
        ("role=sales&status=enabled", &["cyd", "dan"], "2"),
        ("sort=expiration_date&order=DESC&limit=2", &["dan", "cyd"], "4"),
        ("sort=used_quota_size&order=DESC&limit=1", &["bob"], "4"),
    ];
    for (query, want, total) in table {
        let (names, counted) = names(&root, query).await;
        assert_eq!((names.as_slice(), counted.as_str()), (&want.map_owned()[..], total), "{query}");
    }
    for wrong in ["status=odd", "sort=password"] {
        root.get(&format!("/api/v2/users?{wrong}")).await.refused(400);
    }
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for &[&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&name| name.to_owned()).collect()
    }
}

#[actix_web::test]
async fn a_role_bounds_search_bulk_and_export() {
    let server = Server::start().await;
    let root = staff(&server).await;
    let sam = json!({
        "username": "sam", "password": "pass phrase", "status": 1, "role": "sales",
        "permissions": ["view_users", "edit_users", "del_users"],
    });
    root.post("/api/v2/admins", sam).await.object(201);
    let sam = server.login("sam", "pass phrase").await;
    assert_eq!(names(&sam, "").await, (vec!["cyd".to_owned(), "dan".to_owned()], "2".to_owned()));
    assert_eq!(names(&sam, "role=other&q=a").await.0, Vec::<String>::new());
    let csv = sam.get("/api/v2/export/users").await;
    assert!(!csv.text.contains("\"ann\"") && csv.text.contains("\"cyd\""), "{}", csv.text);

    let body = json!({"action": "set_role", "usernames": ["cyd"], "role": ""});
    sam.post("/api/v2/bulk/users", body).await.refused(403);
    let body = json!({"action": "delete", "usernames": ["ann", "cyd"]});
    let answer = sam.post("/api/v2/bulk/users", body).await;
    assert_eq!(answer.object(200)[0]["status"], json!(404));
    assert_eq!(answer.object(200)[1]["status"], json!(200));
    let answer = sam.post("/api/v2/bulk/users", json!({"action": "disable", "query": {}})).await;
    assert_eq!(answer.object(200), &json!([{"name": "dan", "status": 200, "error": ""}]));
    assert_eq!(names(&root, "status=enabled").await.0, ["ann"]);
}

#[actix_web::test]
async fn many_users_are_changed_at_once_and_keep_the_rest() {
    let server = Server::start().await;
    let root = staff(&server).await;
    let mut with_password = user("eve");
    with_password["password"] = json!("a pass phrase of hers");
    root.post("/api/v2/users", with_password).await.object(201);
    let bulk = async |body: Value| root.post("/api/v2/bulk/users", body).await;
    let all = json!(["eve", "ann"]);
    let session = uploader(&server, "eve").await;
    for body in [
        json!({"action": "set_expiration", "usernames": all, "expiration_date": 5_000_000_000_000i64}),
        json!({"action": "add_group", "usernames": all, "group": "staff", "group_type": 3}),
        json!({"action": "disable", "usernames": all}),
        json!({"action": "enable", "usernames": all}),
    ] {
        let answer = bulk(body).await;
        let results = answer.object(200).as_array().expect("a list");
        assert!(results.iter().all(|result| result["status"] == json!(200)), "{results:?}");
    }
    assert!(session.connection.kill_switch().is_fired(), "a disabled user is not connected");
    let eve = root.get("/api/v2/users/eve").await;
    assert_eq!(eve.object(200)["expiration_date"], json!(5_000_000_000_000i64));
    assert_eq!(eve.object(200)["groups"], json!([{"name": "staff", "type": 3}]));
    let anonymous = server.anonymous();
    let token = anonymous.basic("/api/v2/user/token", "eve", "a pass phrase of hers").await;
    assert_eq!(token.status, 200, "the password stays");
    bulk(json!({"action": "remove_group", "usernames": all, "group": "staff"})).await.object(200);
    assert_eq!(names(&root, "group=staff").await.0, Vec::<String>::new());

    bulk(json!({"action": "set_role", "usernames": all, "role": "sales"})).await.object(200);
    assert_eq!(names(&root, "role=sales").await.0, ["ann", "cyd", "dan", "eve"]);
    bulk(json!({"action": "set_role", "usernames": all, "role": ""})).await.object(200);
    assert_eq!(names(&root, "role=sales").await.0, ["cyd", "dan"]);

    let missing = bulk(json!({"action": "add_group", "usernames": ["eve"], "group": "none"})).await;
    assert_eq!(missing.object(200)[0]["status"], json!(400));
    for wrong in [
        json!({"action": "enable"}),
        json!({"action": "enable", "usernames": [], "query": {}}),
        json!({"action": "add_group", "usernames": []}),
        json!({"action": "set_expiration", "usernames": []}),
        json!({"action": "set_role", "usernames": []}),
        json!({"action": "set_role", "usernames": ["eve"], "role": "none"}),
        json!({"action": "fly", "usernames": []}),
    ] {
        bulk(wrong).await.refused(400);
    }
    let viewer = server.admin_with("viewer", &["view_users"]).await;
    let body = json!({"action": "enable", "usernames": ["eve"]});
    viewer.post("/api/v2/bulk/users", body).await.refused(403);
}

#[actix_web::test]
async fn exports_hide_what_lists_hide() {
    let server = Server::start().await;
    let root = staff(&server).await;
    let mut user = user("eve");
    user["password"] = json!("a pass phrase of hers");
    user["description"] = json!("=cmd()");
    root.post("/api/v2/users", user).await.object(201);
    let csv = root.get("/api/v2/export/users?q=eve").await;
    assert_eq!(csv.text.lines().count(), 2, "{}", csv.text);
    assert!(csv.text.contains("\"'=cmd()\""), "{}", csv.text);
    assert!(csv.header("Content-Type").starts_with("text/csv"));
    let json = root.get("/api/v2/export/users?format=json&status=disabled").await;
    assert_eq!(json.object(200).as_array().map(Vec::len), Some(1));
    assert!(!json.text.contains("$2a$") && json.object(200)[0].get("password").is_none());
    root.get("/api/v2/export/users?format=xls").await.refused(400);
}
