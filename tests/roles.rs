//! Two departments on one server, each with an administrator of its own.

mod common;

use std::process::{Child, Stdio};

use common::TestServer;
use common::api::Api;
use common::clients::{has, public_key};
use common::server::eventually;
use serde_json::{Value, json};

const PASSWORD: &str = "Adm1n-of-sales";

fn names(answer: &(u16, Value), key: &str) -> Vec<String> {
    assert_eq!(answer.0, 200, "{}", answer.1);
    let list = answer.1.as_array().unwrap();
    list.iter().map(|object| object[key].as_str().unwrap().to_owned()).collect()
}

/// A client that is connected and waits.
fn connected(server: &TestServer, username: &str) -> Child {
    let child = server
        .sftp_command(username, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("a session", || {
        api.connections().iter().any(|session| session["username"] == username)
    });
    child
}

#[test]
fn an_administrator_with_a_role_reaches_its_users_and_nobody_elses() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let root = server.api();
    for role in ["sales", "it"] {
        assert_eq!(root.post("/roles", &json!({"name": role})).0, 201);
    }
    let keys = || json!([public_key()]);
    server.add_user("ann", json!({"role": "sales", "public_keys": keys()}));
    server.add_user("bob", json!({"role": "it", "public_keys": keys()}));
    let sam = json!({
        "username": "sam", "password": PASSWORD, "status": 1, "role": "sales",
        "permissions": [
            "add_users", "edit_users", "del_users", "view_users", "view_conns", "close_conns",
            "quota_scans", "manage_folders", "view_status",
        ],
    });
    assert_eq!(root.post("/admins", &sam).0, 201);
    let sam = Api::login(server.http_port, "sam", PASSWORD);

    // Sessions: seen and ended only those of sales.
    let mut clients = [connected(&server, "ann"), connected(&server, "bob")];
    assert_eq!(names(&sam.get("/connections"), "username"), ["ann"]);
    let id_of = |username: &str| {
        let session = root.connections().into_iter().find(|s| s["username"] == username);
        session.map(|session| session["connection_id"].as_str().unwrap().to_owned())
    };
    let (anns, bobs) = (id_of("ann").unwrap(), id_of("bob").unwrap());
    assert_eq!(sam.delete(&format!("/connections/{bobs}")).0, 404);
    assert_eq!(sam.delete(&format!("/connections/{anns}")).0, 200);
    eventually("the end of ann's session", || id_of("ann").is_none());
    assert_eq!(id_of("bob"), Some(bobs));

    // Accounts.
    assert_eq!(names(&sam.get("/users"), "username"), ["ann"]);
    let bob = root.get("/users/bob").1;
    let stolen = json!({
        "username": "bob", "password": "st0len-and-strong", "status": 1,
        "home_dir": server.home("ann"), "permissions": {"/": ["*"]},
    });
    let puppet = json!({
        "username": "puppet", "password": PASSWORD, "status": 1, "permissions": ["*"],
    });
    for (method, path, body, status) in [
        ("GET", "/users/bob", None, 404),
        ("PUT", "/users/bob", Some(&stolen), 404),
        ("PUT", "/users/bob?disconnect=1", Some(&stolen), 404),
        ("DELETE", "/users/bob", None, 404),
        ("POST", "/users", Some(&stolen), 409),
        ("POST", "/quotas/users/bob/scan", None, 404),
        ("PUT", "/quotas/users/bob/usage", Some(&stolen), 404),
        ("POST", "/admins", Some(&puppet), 403),
        ("PUT", "/admins/sam", Some(&puppet), 403),
        ("GET", "/admins", None, 403),
        ("GET", "/roles", None, 403),
        ("DELETE", "/roles/sales", None, 403),
        ("GET", "/dumpdata?output-data=1", None, 403),
        ("POST", "/loaddata", Some(&puppet), 403),
    ] {
        let (found, answer) = sam.call(method, path, body);
        assert_eq!(found, status, "{method} {path}: {answer}");
    }
    assert_eq!(root.get("/users/bob").1["updated_at"], bob["updated_at"]);
    assert!(clients[1].try_wait().unwrap().is_none(), "bob is still connected");

    // What is sam's own works: new users are of sales, and stay.
    let mut eve = json!({
        "username": "eve", "password": common::server::PASSWORD, "status": 1,
        "home_dir": server.home("eve"), "permissions": {"/": ["*"]}, "public_keys": keys(),
    });
    assert_eq!(sam.post("/users", &eve).0, 201);
    eve["role"] = json!("it");
    assert_eq!(sam.put("/users/eve", &eve).0, 403);
    assert_eq!(root.get("/users/eve").1["role"], "sales");
    server.sftp_ok("eve", "mkdir made\n");
    assert_eq!(sam.post("/quotas/users/eve/scan", &json!(null)).0, 202);

    // The role cannot be taken from under an administrator, who would see everybody.
    let (status, answer) = root.delete("/roles/sales");
    assert!(status == 409 && answer["error"].as_str().unwrap().contains("sam"), "{answer}");
    assert_eq!(names(&sam.get("/users"), "username"), ["ann", "eve"]);
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
}
