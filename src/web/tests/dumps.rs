use actix_web::http::Method;
use actors::{Admission, KillSwitch, Login, Protocol};
use serde_json::{Value, json};

use super::harness::{Client, Server, eventually};

async fn add_accounts(root: &Client) {
    let user = json!({
        "username": "alice", "password": "alice's phrase", "status": 1,
        "home_dir": "/srv/alice", "permissions": {"/": ["*"]}, "quota_files": 5,
    });
    root.post("/api/v2/users", user).await.object(201);
    let folder = json!({"name": "archive", "mapped_path": "/srv/archive"});
    root.post("/api/v2/folders", folder).await.object(201);
    root.post("/api/v2/groups", json!({"name": "staff"})).await.object(201);
}

async fn dump(root: &Client) -> Value {
    root.get("/api/v2/dumpdata?output-data=1").await.object(200).clone()
}

#[actix_web::test]
async fn a_dump_moves_all_accounts_to_another_server() {
    let old = Server::start().await;
    add_accounts(&old.root().await).await;
    old.admin_with("helper", &["view_users"]).await;
    let dump = dump(&old.root().await).await;
    assert!(dump["users"][0]["password"].as_str().is_some_and(|hash| hash.starts_with('$')));

    let new = Server::start().await;
    let root = new.root().await;
    let told = root.post("/api/v2/loaddata", dump).await;
    assert_eq!(told.done(200), "Data restored: 4 added, 1 updated, 0 skipped");
    let answer = root.get("/api/v2/users/alice").await;
    assert_eq!(answer.object(200)["quota_files"], json!(5));
    root.get("/api/v2/folders/archive").await.object(200);
    new.login("helper", "pass phrase").await;
}

#[actix_web::test]
async fn a_dump_is_written_below_the_backups_path_and_read_back() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    root.get("/api/v2/dumpdata?output-file=daily/all.json&indent=1").await.done(200);
    let path = server.services.backups_path.join("daily/all.json");
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(text.lines().count() > 10, "indented");

    root.delete("/api/v2/users/alice").await.done(200);
    root.get("/api/v2/loaddata?input-file=daily/all.json&mode=1").await.done(200);
    root.get("/api/v2/users/alice").await.object(200);
    root.delete("/api/v2/users/alice").await.done(200);
    let absolute = format!("/api/v2/loaddata?input-file={}", path.display());
    root.get(&absolute).await.done(200);
    root.get("/api/v2/users/alice").await.object(200);
}

#[actix_web::test]
async fn only_what_is_asked_for_is_dumped() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    let answer = root.get("/api/v2/dumpdata?output-data=1&scopes=folders,groups").await;
    let dump = answer.object(200);
    assert_eq!(dump["folders"].as_array().map(Vec::len), Some(1));
    assert_eq!(dump["groups"].as_array().map(Vec::len), Some(1));
    assert_eq!((&dump["users"], &dump["admins"]), (&json!([]), &json!([])));
    let answer = root.get("/api/v2/dumpdata?output-data=1&scopes=folders").await;
    assert_eq!(answer.object(200)["groups"], json!([]));
}

#[actix_web::test]
async fn wrong_parameters_and_paths_are_refused() {
    let server = Server::start().await;
    let root = server.root().await;
    for (query, name) in [
        ("dumpdata", "output-file"),
        ("dumpdata?output-file=", "output-file"),
        ("dumpdata?output-file=../all.json", "output-file"),
        ("dumpdata?output-file=/tmp/all.json", "output-file"),
        ("dumpdata?output-data=2", "output-data"),
        ("dumpdata?output-data=1&indent=yes", "indent"),
        ("dumpdata?output-data=1&scopes=all", "scopes"),
        ("loaddata", "input-file"),
        ("loaddata?input-file=../../etc/passwd", "input-file"),
        ("loaddata?input-file=missing.json", "input-file"),
        ("loaddata?input-file=a.json&mode=3", "mode"),
        ("loaddata?input-file=a.json&scan-quota=x", "scan-quota"),
    ] {
        let answer = root.get(&format!("/api/v2/{query}")).await;
        assert!(answer.refused(400).starts_with(name), "{query}: {}", answer.text);
    }
}

#[actix_web::test]
async fn a_dump_with_one_wrong_object_changes_nothing() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    let mut dump = dump(&root).await;
    dump["users"][0]["description"] = json!("changed");
    dump["folders"][0]["mapped_path"] = json!("relative");
    let answer = root.post("/api/v2/loaddata", dump).await;
    assert!(answer.refused(400).contains("mapped_path"), "{}", answer.text);
    let answer = root.get("/api/v2/users/alice").await;
    assert_eq!(answer.object(200).get("description"), None);

    root.send(Method::POST, "/api/v2/loaddata", "{").await.refused(400);
    let huge = format!("{{\"users\":[],\"x\":\"{}\"}}", "x".repeat(10 << 20));
    root.send(Method::POST, "/api/v2/loaddata", &huge).await.refused(413);
}

#[actix_web::test]
async fn a_load_can_close_sessions_and_scan_afterwards() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    let plain = json!({
        "username": "bob", "status": 1, "home_dir": "/srv/bob", "permissions": {"/": ["*"]}
    });
    root.post("/api/v2/users", plain).await.object(201);
    let kill = KillSwitch::new();
    let admission = Admission {
        peer: "198.51.100.9:5000".parse().expect("an address"),
        local: "192.0.2.200:2022".parse().expect("an address"),
        protocol: Protocol::Ssh,
        kill: kill.clone(),
    };
    let registry = &server.actors.registry;
    let connection = registry.admit(admission).await.expect("admitted");
    let login = Login {
        username: "alice".into(),
        max_sessions: 0,
        client_version: String::new(),
        end: None,
    };
    registry.logged_in(connection.id(), login).await.expect("logged in");

    let dump = dump(&root).await;
    root.post("/api/v2/loaddata?mode=1", dump.clone()).await.done(200);
    assert!(!kill.is_fired());
    root.post("/api/v2/loaddata?mode=2&scan-quota=2", dump).await.done(200);
    assert!(kill.is_fired());

    // Only alice has a quota, so there is only one scan to let through.
    server.scanner.count(2, 700);
    eventually("alice is scanned", async || {
        root.get("/api/v2/users/alice").await.json["used_quota_size"] == json!(700)
    })
    .await;
    assert_eq!(root.get("/api/v2/users/bob").await.json["used_quota_size"], json!(0));
}

#[actix_web::test]
async fn dumps_are_only_for_who_may_do_everything() {
    let server = Server::start().await;
    let keeper = server.admin_with("keeper", &["manage_system", "manage_admins"]).await;
    keeper.get("/api/v2/dumpdata?output-data=1").await.refused(403);
    keeper.get("/api/v2/loaddata?input-file=/etc/passwd").await.refused(403);
    keeper.post("/api/v2/loaddata", json!({})).await.refused(403);
}

#[actix_web::test]
async fn a_dry_run_tells_what_would_be_done_and_does_nothing() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    let mut dump = dump(&root).await;
    dump["users"][0]["quota_files"] = json!(9);
    let told = root.post("/api/v2/loaddata?dry-run=1", dump.clone()).await;
    let told = told.object(200);
    assert_eq!(told["equal"], json!(3), "{told}");
    let change = json!({
        "change": "update", "kind": "user", "name": "alice", "newer_here": false, "attention": [],
        "fields": [{"field": "quota_files", "old": "5", "new": "9"}],
    });
    assert_eq!(told["changes"], json!([change]));
    let stored = async || root.get("/api/v2/users/alice").await.object(200)["quota_files"].clone();
    assert_eq!(stored().await, json!(5));

    let changed = json!({"username": "alice", "status": 1, "home_dir": "/srv/alice", "email": "a@b.c",
        "permissions": {"/": ["*"]}, "quota_files": 6});
    root.put("/api/v2/users/alice", changed).await.done(200);
    let told = root.post("/api/v2/loaddata?keep-newer=1", dump.clone()).await;
    assert_eq!(told.done(200), "Data restored: 0 added, 3 updated, 1 skipped");
    assert_eq!(stored().await, json!(6));
    let wrong = root.post("/api/v2/loaddata?dry-run=1&background=1", dump.clone()).await;
    wrong.refused(400);
    root.post("/api/v2/loaddata?keep-newer=2", dump).await.refused(400);
}

#[actix_web::test]
async fn a_load_in_the_background_is_a_task() {
    let server = Server::start().await;
    let root = server.root().await;
    add_accounts(&root).await;
    let dump = dump(&root).await;
    for (json, status, part) in [
        (dump, "done", "Data restored: 0 added, 4 updated"),
        (json!({"users": [{"username": "x"}]}), "failed", "home_dir"),
    ] {
        let started = root.post("/api/v2/loaddata?background=1", json).await;
        let id = started.object(202)["id"].as_str().expect("a name").to_owned();
        server.services.tasks.wait(&id, std::time::Duration::from_secs(60)).await;
        let task = root.get(&format!("/api/v2/tasks/{id}")).await.object(200).clone();
        assert_eq!(task["status"], json!(status), "{task}");
        assert!(task["message"].as_str().is_some_and(|told| told.contains(part)), "{task}");
        if status == "done" {
            assert_eq!((&task["total"], &task["processed"]), (&json!(8), &json!(8)));
        }
    }
}
