//! Accounts in memory, whose dump is read again on SIGHUP.

mod common;

use std::fs;
use std::process::{Child, Stdio};

use common::TestServer;
use common::api::Api;
use common::clients::{has, public_key};
use common::server::{ADMIN, ADMIN_PASSWORD, eventually};
use serde_json::{Value, json};

fn user(server: &TestServer, name: &str) -> Value {
    json!({
        "username": name, "status": 1, "home_dir": server.home(name),
        "permissions": {"/": ["*"]}, "public_keys": [public_key()],
    })
}

fn write_dump(server: &TestServer, dump: &Value) {
    fs::write(server.dir().join("accounts.json"), dump.to_string()).unwrap();
}

fn names(api: &Api) -> Vec<String> {
    let (status, users) = api.get("/users");
    assert_eq!(status, 200, "{users}");
    let users = users.as_array().unwrap();
    users.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

/// An `sftp` that has uploaded a file and stays connected until its input is closed.
fn connected(server: &TestServer, name: &str) -> Child {
    use std::io::Write;
    let mut client = server
        .sftp_command(name, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let file = server.dir().join("payload");
    fs::write(&file, "12345").unwrap();
    let command = format!("put {} first\n", file.display());
    client.stdin.as_mut().unwrap().write_all(command.as_bytes()).unwrap();
    eventually("the upload", || server.home(name).join("first").exists());
    client
}

fn ended(server: &TestServer, words: &str) {
    server.wait_for_log(words, |line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("connection ended") && message.contains(words)
    });
}

#[test]
fn a_reload_replaces_all_accounts_and_ends_the_sessions_of_those_that_are_gone() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::prepare(&[
        ("DATA_PROVIDER__DRIVER", "memory"),
        ("DATA_PROVIDER__NAME", "accounts.json"),
        ("DATA_PROVIDER__MANAGE_USERS", "0"),
        ("DATA_PROVIDER__TRACK_QUOTA", "1"),
    ]);
    let all = ["gone", "off", "stays"].map(|name| user(&server, name));
    write_dump(&server, &json!({"users": all}));
    server.launch();
    let api = server.api();
    let mut clients: Vec<_> =
        ["gone", "off", "stays"].map(|name| connected(&server, name)).into_iter().collect();

    // What is wrong changes nothing.
    let mut wrong = user(&server, "new");
    wrong["home_dir"] = json!("relative");
    write_dump(&server, &json!({"users": [wrong]}));
    server.signal("HUP");
    server.wait_for_log("the refusal", |line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "error"
            && ["data_provider.name", "accounts.json", "home_dir", "left as they were"]
                .iter()
                .all(|part| message.contains(part))
    });
    assert_eq!(names(&api), ["gone", "off", "stays"]);
    assert_eq!(api.connections().len(), 3);

    let mut off = user(&server, "off");
    off["status"] = json!(0);
    let mut stays = user(&server, "stays");
    stays["quota_files"] = json!(2);
    stays["description"] = json!("of the new dump");
    write_dump(&server, &json!({"users": [off, stays, user(&server, "new")]}));
    server.signal("HUP");
    eventually("the new accounts", || names(&api) == ["new", "off", "stays"]);
    ended(&server, "deleted");
    ended(&server, "disabled");
    eventually("one session is left", || api.connections().len() == 1);
    assert_eq!(api.connections()[0]["username"], "stays");
    server.sftp_ok("new", "pwd\n");

    // The session goes on, and its files are counted as before.
    let stays = clients.pop().unwrap();
    put_and_leave(&server, stays, "second");
    let used = || api.get("/users/stays").1["used_quota_files"].clone();
    eventually("both files are counted", || used() == json!(2));
    assert_eq!(api.get("/users/stays").1["description"], "of the new dump");
    let out = server.sftp("stays", &format!("put {} third\n", payload(&server)));
    assert!(!out.status.success() && !server.home("stays").join("third").exists());

    // The administrator is in none of the dumps.
    Api::login(server.http_port, ADMIN, ADMIN_PASSWORD);
    for mut client in clients {
        client.wait().unwrap();
    }
}

fn payload(server: &TestServer) -> String {
    server.dir().join("payload").display().to_string()
}

fn put_and_leave(server: &TestServer, mut client: Child, name: &str) {
    use std::io::Write;
    let command = format!("put {} {name}\n", payload(server));
    client.stdin.take().unwrap().write_all(command.as_bytes()).unwrap();
    assert!(client.wait().unwrap().success());
}
