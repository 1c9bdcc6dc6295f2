use actix_web::http::Method;
use serde_json::{Value, json};

use super::harness::Server;

const USERS: &str = "/api/v2/users";

fn user(username: &str) -> Value {
    json!({
        "username": username,
        "password": "a pass phrase",
        "status": 1,
        "home_dir": "/srv/sftp/home",
        "permissions": {"/": ["*"]},
    })
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

#[actix_web::test]
async fn the_life_of_a_user() {
    let server = Server::start().await;
    let root = server.root().await;

    let answer = root.post(USERS, with(user("alice"), "quota_size", json!(1000))).await;
    let created = answer.object(201);
    assert_eq!(answer.header("Location"), "/api/v2/users/alice");
    assert_eq!((&created["username"], &created["quota_size"]), (&json!("alice"), &json!(1000)));
    assert!(created["id"].as_i64().is_some_and(|id| id > 0));
    assert!(created["created_at"].as_i64().is_some_and(|time| time > 0));
    assert_eq!(created["has_password"], json!(true));

    let answer = root.get("/api/v2/users/alice").await;
    assert_eq!(answer.object(200), created);

    let change = json!({
        "username": "ignored", "status": 1, "home_dir": "/srv/sftp/home",
        "permissions": {"/": ["list"], "/in": ["*"]}, "description": "changed",
    });
    root.put("/api/v2/users/alice", change).await.done(200);
    let answer = root.get("/api/v2/users/alice").await;
    let updated = answer.object(200);
    assert_eq!(updated["description"], json!("changed"));
    assert_eq!(updated["permissions"], json!({"/": ["list"], "/in": ["*"]}));
    assert_eq!(updated["quota_size"], json!(0), "what is left out gets its default");
    assert_eq!(updated["has_password"], json!(true), "but the password is kept");
    assert_eq!(updated["id"], created["id"]);
    assert_eq!(updated["created_at"], created["created_at"]);
    root.get("/api/v2/users/ignored").await.refused(404);

    root.delete("/api/v2/users/alice").await.done(200);
    root.get("/api/v2/users/alice").await.refused(404);
    root.delete("/api/v2/users/alice").await.refused(404);
    assert_eq!(root.get(USERS).await.object(200), &json!([]));
}

#[actix_web::test]
async fn the_password_is_never_shown_nor_logged() {
    let server = Server::start().await;
    let root = server.root().await;
    let hash = "$2a$14$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK";
    for (username, password) in [("clear", "a secret pass phrase"), ("hashed", hash)] {
        let body = with(user(username), "password", json!(password));
        let created = root.post(USERS, body).await;
        created.object(201);
        let path = format!("{USERS}/{username}?confidential_data=1");
        let (one, all) = (root.get(&path).await, root.get(USERS).await);
        for answer in [&created, &one, &all] {
            assert!(!answer.text.contains("\"password\""), "{}", answer.text);
            assert!(!answer.text.contains(password), "{}", answer.text);
            assert!(!answer.text.contains("$2a$"), "{}", answer.text);
        }
    }
    for line in server.log_lines() {
        assert!(!line.to_string().contains("a secret pass phrase"), "{line}");
    }
}

#[actix_web::test]
async fn lists_are_cut_into_pages_in_the_order_of_names() {
    let server = Server::start().await;
    let root = server.root().await;
    for username in ["dora", "alice", "carol", "bob"] {
        root.post(USERS, user(username)).await.object(201);
    }
    let names = async |query: &str| -> Vec<String> {
        let answer = root.get(&format!("{USERS}{query}")).await;
        let users = answer.object(200).as_array().expect("a list").clone();
        users.iter().map(|user| user["username"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("").await, ["alice", "bob", "carol", "dora"]);
    assert_eq!(names("?limit=2").await, ["alice", "bob"]);
    assert_eq!(names("?limit=2&offset=2").await, ["carol", "dora"]);
    assert_eq!(names("?limit=2&offset=1&order=DESC").await, ["carol", "bob"]);
    assert_eq!(names("?offset=4").await, [""; 0]);
    for query in
        ["?limit=0", "?limit=501", "?offset=-1", "?order=up", "?limit=x", "?limit=1&limit=2"]
    {
        root.get(&format!("{USERS}{query}")).await.refused(400);
    }
}

#[actix_web::test]
async fn a_wrong_user_is_refused_naming_the_field() {
    let server = Server::start().await;
    let root = server.root().await;
    for (field, value) in [
        ("username", json!("")),
        ("username", json!("a/b")),
        ("username", json!(7)),
        ("status", json!(2)),
        ("status", json!("enabled")),
        ("home_dir", json!("relative")),
        ("permissions", json!({})),
        ("permissions", json!({"/": ["fly"]})),
        ("permissions", json!(["*"])),
        ("quota_size", json!(-1)),
        ("quota_size", json!("1 GB")),
        ("uid", json!(4_294_967_296_i64)),
        ("email", json!("nobody")),
        ("public_keys", json!(["ssh-nonsense AAAA"])),
        ("filters", json!({"allowed_ip": ["not a network"]})),
        ("filters", json!({"denied_protocols": ["SMTP"]})),
        ("groups", json!([{"name": "g", "type": 1}])),
        ("total_data_transfer", json!(-5)),
    ] {
        let answer = root.post(USERS, with(user("alice"), field, value.clone())).await;
        let told = answer.refused(400);
        assert!(told.contains(field), "{field} = {value}: {told}");
    }
    assert_eq!(root.get(USERS).await.object(200), &json!([]), "nothing was stored");
}

#[actix_web::test]
async fn what_is_not_json_is_refused() {
    let server = Server::start().await;
    let root = server.root().await;
    for body in ["", "{", "username=alice", "[]", "null", "{\"username\":\"a\"} trailing", "\u{0}"]
    {
        root.send(Method::POST, USERS, body).await.refused(400);
    }
}

#[actix_web::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let root = server.root().await;
    let huge = with(user("alice"), "description", json!("x".repeat(1 << 20)));
    let told = root.post(USERS, huge.clone()).await;
    assert_eq!(told.refused(413), "the request body is larger than 1048576 bytes");
    let anonymous = server.anonymous();
    anonymous.post(USERS, huge).await.refused(401);
}

#[actix_web::test]
async fn a_taken_name_is_a_conflict() {
    let server = Server::start().await;
    let root = server.root().await;
    root.post(USERS, user("alice")).await.object(201);
    root.post(USERS, with(user("alice"), "home_dir", json!("/srv/other"))).await.refused(409);
    let answer = root.get("/api/v2/users/alice").await;
    assert_eq!(answer.object(200)["home_dir"], json!("/srv/sftp/home"));
}

#[actix_web::test]
async fn names_beyond_ascii_work_in_paths() {
    let server = Server::start().await;
    let root = server.root().await;
    let answer = root.post(USERS, user("José @ work")).await;
    answer.object(201);
    let location = answer.header("Location").to_owned();
    assert_eq!(location, "/api/v2/users/Jos%C3%A9%20%40%20work");
    assert_eq!(root.get(&location).await.object(200)["username"], json!("José @ work"));
    root.put(&location, user("x")).await.done(200);
    root.delete(&location).await.done(200);
    root.get("/api/v2/users/%ff").await.refused(404);
}

#[actix_web::test]
async fn every_call_needs_its_own_permission() {
    let server = Server::start().await;
    server.root().await.post(USERS, user("alice")).await.object(201);
    let path = "/api/v2/users/alice";
    for held in ["view_users", "add_users", "edit_users", "del_users"] {
        let admin = server.admin_with(held, &[held]).await;
        let expect = |needed: &str, right: u16| if held == needed { right } else { 403 };
        let list = admin.get(USERS).await;
        assert_eq!(list.status, expect("view_users", 200), "{held}");
        let one = admin.get(path).await;
        assert_eq!(one.status, expect("view_users", 200), "{held}");
        let add = admin.post(USERS, user("bob")).await;
        assert_eq!(add.status, expect("add_users", 201), "{held}");
        let edit = admin.put(path, user("alice")).await;
        assert_eq!(edit.status, expect("edit_users", 200), "{held}");
        let delete = admin.delete(path).await;
        assert_eq!(delete.status, expect("del_users", 200), "{held}");
        for answer in [list, one, add, edit, delete] {
            if answer.status == 403 {
                assert!(answer.refused(403).starts_with("this needs the permission"));
            }
        }
    }
}

#[actix_web::test]
async fn nobody_without_a_token_learns_whether_a_user_exists() {
    let server = Server::start().await;
    server.root().await.post(USERS, user("alice")).await.object(201);
    let anonymous = server.anonymous();
    let told: Vec<String> = [
        anonymous.get("/api/v2/users/alice").await,
        anonymous.get("/api/v2/users/bob").await,
        anonymous.put("/api/v2/users/alice", json!("nonsense")).await,
        anonymous.delete("/api/v2/users/alice").await,
        anonymous.get("/api/v2/users?limit=nonsense").await,
    ]
    .iter()
    .map(|answer| answer.refused(401).to_owned())
    .collect();
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
}
