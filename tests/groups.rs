//! Accounts that get their home, their rights and their limits from groups.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::TestServer;
use common::clients::{has, public_key, text};
use common::server::eventually;
use serde_json::{Value, json};

fn add_group(server: &TestServer, group: Value) {
    let (status, body) = server.api().post("/groups", &group);
    assert_eq!(status, 201, "{body}");
}

fn add_member(server: &TestServer, username: &str, groups: Value) {
    server.add_user(username, json!({"public_keys": [public_key()], "groups": groups}));
}

#[test]
fn members_have_the_home_and_the_rights_of_their_groups() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let homes = server.homes();
    add_group(
        &server,
        json!({"name": "staff", "user_settings": {
            "home_dir": homes.join("of-staff/%username%"),
            "permissions": {"/in": ["list", "upload"], "/both": ["list"]},
            "quota_files": 3,
            "filters": {"start_directory": "/work"},
        }}),
    );
    add_group(
        &server,
        json!({"name": "readers", "user_settings": {
            "home_dir": homes.join("nowhere"),
            "permissions": {"/": ["list"], "/out": ["list", "download"], "/both": ["*"]},
        }}),
    );
    let both = json!([{"name": "staff", "type": 1}, {"name": "readers", "type": 2}]);
    add_member(&server, "alice", both);

    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    let l = local.path().display();
    let shown = server.sftp_ok(
        "alice",
        &format!(
            "-mkdir /work\npwd\nmkdir /in\nmkdir /out\nmkdir /both\nput {l}/f /in/f\nput {l}/f /f\n"
        ),
    );
    assert!(shown.contains("Remote working directory: /work"), "{shown}");
    let home = homes.join("of-staff/alice");
    assert_eq!(fs::read(home.join("in/f")).unwrap(), b"x");
    assert!(!homes.join("nowhere").exists(), "a secondary group has no home for anybody");
    fs::write(home.join("out/g"), "y").unwrap();
    server.sftp_ok("alice", &format!("get /out/g {l}/g\nget /f {l}/h\n"));
    for refused in [
        format!("get /in/f {l}/no\n"),
        format!("put {l}/f /out/no\n"),
        // The primary group comes before the secondary one.
        format!("put {l}/f /both/no\n"),
        "rm /in/f\n".to_owned(),
    ] {
        let out = server.sftp("alice", &refused);
        assert!(!out.status.success(), "{refused}");
        assert!(text(&out).contains("ermission denied"), "{refused}: {}", text(&out));
    }
    // The limit of the group: three files, of which two are there.
    server.sftp_ok("alice", &format!("put {l}/f /f2\n"));
    assert!(!server.sftp("alice", &format!("put {l}/f /f3\n")).status.success());

    // What is stored is not what is seen.
    let (_, alice) = server.api().get("/users/alice");
    assert_eq!(alice["home_dir"], json!(server.home("alice")));
    assert_eq!((&alice["quota_files"], &alice["permissions"]), (&json!(0), &json!({"/": ["*"]})));
}

#[test]
fn gates_of_a_group_are_those_of_its_members() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let refusing = [
        ("elsewhere", json!({"filters": {"allowed_ip": ["192.0.2.0/24"]}})),
        ("denied", json!({"filters": {"denied_ip": ["127.0.0.0/8"]}})),
        ("nokeys", json!({"filters": {"denied_login_methods": ["publickey"]}})),
        ("nossh", json!({"filters": {"denied_protocols": ["SSH"]}})),
    ];
    for (name, settings) in refusing {
        add_group(&server, json!({"name": name, "user_settings": settings}));
        // Primary and secondary members are refused, those of type 3 inherit nothing.
        for (kind, gets_in) in [(1, false), (2, false), (3, true)] {
            let username = format!("{name}-{kind}");
            add_member(&server, &username, json!([{"name": name, "type": kind}]));
            let out = server.sftp(&username, "ls\n");
            assert_eq!(out.status.success(), gets_in, "{username}: {}", text(&out));
        }
    }
}

#[test]
fn a_change_of_a_group_is_seen_with_the_next_login() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    add_group(&server, json!({"name": "staff"}));
    add_member(&server, "alice", json!([{"name": "staff", "type": 1}]));
    let mut session = server
        .sftp_command("alice", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("the session", || api.connections().len() == 1);

    let closed = json!({"user_settings": {"filters": {"denied_ip": ["127.0.0.0/8"]}}});
    assert_eq!(api.put("/groups/staff", &closed).0, 200);
    assert!(!server.sftp("alice", "ls\n").status.success());
    // Who is in stays in, with what there was.
    let mut input = session.stdin.take().unwrap();
    input.write_all(b"mkdir still-here\n").unwrap();
    drop(input);
    assert!(session.wait().unwrap().success());
    assert!(server.home("alice").join("still-here").is_dir());

    assert_eq!(api.put("/groups/staff", &json!({})).0, 200);
    server.sftp_ok("alice", "ls\n");
    let (status, refused) = api.delete("/groups/staff");
    assert_eq!(status, 409, "{refused}");
}

#[test]
fn groups_survive_a_restart_and_move_with_a_dump() {
    if !has("sftp") {
        return;
    }
    let mut old = TestServer::start();
    let home = json!(old.homes().join("%username%-by-group"));
    add_group(&old, json!({"name": "staff", "user_settings": {"home_dir": home}}));
    add_member(&old, "alice", json!([{"name": "staff", "type": 1}]));
    assert!(old.stop().success());
    old.launch();
    old.sftp_ok("alice", "mkdir after-restart\n");
    assert!(old.home("alice-by-group").join("after-restart").is_dir());

    let (status, dump) = old.api().get("/dumpdata?output-data=1&scopes=users,groups");
    assert_eq!(status, 200, "{dump}");
    let new = TestServer::start();
    let (status, told) = new.api().post("/loaddata", &dump);
    assert_eq!(status, 200, "{told}");
    new.sftp_ok("alice", "mkdir after-move\n");
    assert!(old.home("alice-by-group").join("after-move").is_dir());
}
