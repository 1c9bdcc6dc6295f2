//! What an account may transfer, how fast, how many times at once, and until when.

mod common;

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::TestServer;
use common::clients::{has, public_key, text};
use common::raw_sftp::{CREATE, FAILURE, OK, READ, RawSftp, Reply, WRITE};
use common::server::eventually;
use serde_json::{Value, json};

const MB: usize = 1024 * 1024;

fn user(server: &TestServer, name: &str) -> Value {
    let (status, body) = server.api().get(&format!("/users/{name}"));
    assert_eq!(status, 200, "{body}");
    body
}

fn transferred(server: &TestServer, name: &str) -> (u64, u64) {
    let user = user(server, name);
    let field = |name: &str| user[name].as_u64().unwrap_or(0);
    (field("used_upload_data_transfer"), field("used_download_data_transfer"))
}

/// An `sftp` that stays connected until its input is closed.
fn idle_client(server: &TestServer, name: &str) -> Child {
    let client = server
        .sftp_command(name, &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("the session", || {
        api.connections().iter().any(|session| session["username"] == name)
    });
    client
}

fn last_words(server: &TestServer, words: &str) {
    server.wait_for_log(words, |line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("connection ended") && message.contains(words)
    });
}

fn upload_failed(server: &TestServer, path: &str, words: &str) {
    server.wait_for_log(words, |line| {
        line["sender"] == "Upload"
            && line["virtual_path"] == path
            && line["error"].as_str().is_some_and(|error| error.contains(words))
    });
}

#[test]
fn transferred_data_is_limited_counted_reset_and_survives_a_kill() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::start();
    let limits = json!({
        "public_keys": [public_key()], "upload_data_transfer": 2, "download_data_transfer": 1,
    });
    server.add_user("alice", limits);
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![1; 1_500_000]).unwrap();
    let l = local.path().display();
    server.sftp_ok("alice", &format!("put {l}/f a\n"));
    let out = server.sftp("alice", &format!("put {l}/f b\n"));
    assert!(text(&out).contains("Failure"), "{}", text(&out));
    upload_failed(&server, "/b", "denying write due to the data transfer limit");
    assert!(!server.home("alice").join("b").exists(), "no part of it stays");
    let (up, down) = transferred(&server, "alice");
    assert!((1_500_000..=2 * MB as u64).contains(&up) && down == 0, "{up} {down}");

    let out = server.sftp("alice", &format!("get a {l}/back\n"));
    assert!(text(&out).to_lowercase().contains("permission denied"), "{}", text(&out));
    let (_, down) = transferred(&server, "alice");
    assert!(down <= MB as u64, "{down}");
    eventually("it is stored", || transferred(&server, "alice").1 == down);
    let before = transferred(&server, "alice");
    server.kill_hard();
    server.launch();
    assert_eq!(transferred(&server, "alice"), before);

    let reset = json!({"used_upload_data_transfer": 0, "used_download_data_transfer": 0});
    let (status, body) = server.api().put("/quotas/users/alice/transfer-usage", &reset);
    assert_eq!(status, 200, "{body}");
    assert_eq!(transferred(&server, "alice"), (0, 0));
    server.sftp_ok("alice", &format!("put {l}/f b\n"));
    assert_eq!(transferred(&server, "alice"), (1_500_000, 0));
}

#[test]
fn many_transfers_at_once_never_pass_the_limit() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let filters = json!({"data_transfer_limits": [
        {"sources": ["192.0.2.0/24"]},
        {"sources": ["127.0.0.0/8"], "total_data_transfer": 8}]});
    server.add_user("alice", json!({"public_keys": [public_key()], "filters": filters}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![7; MB]).unwrap();
    let uploads: Vec<_> = (0..12)
        .map(|at| {
            let batch = local.path().join(format!("batch{at}"));
            fs::write(&batch, format!("put {}/f f{at}\n", local.path().display())).unwrap();
            server
                .sftp_command("alice", &[])
                .stdin(fs::File::open(batch).unwrap())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let done = uploads.into_iter().map(|mut upload| upload.wait().unwrap().success());
    let done = done.filter(|succeeded| *succeeded).count();
    assert!(done <= 8, "{done}");
    let (up, _) = transferred(&server, "alice");
    assert!((done * MB..=8 * MB).contains(&(up as usize)), "{up} bytes for {done} files");
}

#[test]
fn the_largest_file_is_a_limit_for_new_and_resumed_files() {
    if !has("sftp") {
        return;
    }
    for mode in ["0", "1", "2"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode)]);
        let filters = json!({"max_upload_file_size": 1_000_000});
        server.add_user("alice", json!({"public_keys": [public_key()], "filters": filters}));
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("fits"), vec![1; 1_000_000]).unwrap();
        fs::write(local.path().join("over"), vec![1; 1_000_001]).unwrap();
        let l = local.path().display();
        server.sftp_ok("alice", &format!("put {l}/fits\n"));
        let out = server.sftp("alice", &format!("put {l}/over\n"));
        assert!(text(&out).contains("Failure"), "{}", text(&out));
        upload_failed(&server, "/over", "denying write due to space limit");
        assert!(!server.home("alice").join("over").exists(), "mode {mode}");
        fs::write(server.home("alice").join("over"), vec![1; 900_000]).unwrap();
        assert!(!server.sftp("alice", &format!("reput {l}/over\n")).status.success());
    }
}

#[tokio::test]
async fn copies_within_the_server_keep_to_the_largest_file() {
    let server = TestServer::with(&[("SFTPD__ENABLED_SSH_COMMANDS", "*")]);
    let filters = json!({"max_upload_file_size": 1_000_000});
    let folder = json!({"name": "shared", "mapped_path": server.dir().join("shared")});
    assert_eq!(server.api().post("/folders", &folder).0, 201);
    let mount = json!([{"name": "shared", "virtual_path": "/m"}]);
    let changes =
        json!({"public_keys": [public_key()], "filters": filters, "virtual_folders": mount});
    server.add_user("alice", changes);
    let home = server.home("alice");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("fits"), vec![1; 1_000_000]).unwrap();
    fs::write(home.join("over"), vec![1; 1_000_001]).unwrap();
    let shared = server.dir().join("shared");

    let mut client = RawSftp::login(server.sftp_port, "alice").await;
    for (from, to, want) in
        [("/fits", "/m/fits", OK), ("/over", "/m/over", FAILURE), ("/over", "/over-again", FAILURE)]
    {
        let Reply::Handle(source) = client.open(from, READ).await else { panic!("{from}") };
        let Reply::Handle(target) = client.open(to, WRITE | CREATE).await else { panic!("{to}") };
        assert_eq!(client.copy_data(&source, &target).await.code(), want, "{from} to {to}");
        client.close(&target).await;
        client.close(&source).await;
    }
    assert_eq!(fs::metadata(shared.join("fits")).unwrap().len(), 1_000_000);
    for left in [shared.join("over"), home.join("over-again")] {
        assert!(!left.exists(), "{}", left.display());
    }
    if !has("ssh") {
        return;
    }
    let copy = |to: &str| {
        let port = server.sftp_port.to_string();
        let command = format!("sftpgo-copy over {to}");
        let ssh = std::process::Command::new("ssh")
            .args(server.ssh_options())
            .args(["-T", "-p", &port, "alice@127.0.0.1", &command])
            .output();
        text(&ssh.unwrap())
    };
    for to in ["again", "m/again"] {
        let said = copy(to);
        assert!(said.contains("quota") || said.contains("space"), "{said}");
        assert!(!home.join("again").exists() && !shared.join("again").exists());
    }
}

#[test]
fn sessions_and_connections_are_limited() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::with(&[("COMMON__MAX_TOTAL_CONNECTIONS", "3")]);
    server.add_user("alice", json!({"public_keys": [public_key()], "max_sessions": 1}));
    server.add_key_user("bob");
    let mut first = idle_client(&server, "alice");
    assert!(!server.sftp("alice", "pwd\n").status.success());
    server.wait_for_log("the refusal", |line| {
        line["sender"] == "connection_failed"
            && line["error"].as_str().is_some_and(|error| error.contains("too many open sessions"))
    });
    let others = [idle_client(&server, "bob"), idle_client(&server, "bob")];
    assert!(!server.sftp("bob", "pwd\n").status.success());
    server.wait_for_log("the refusal", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("too many connections"))
    });
    drop(first.stdin.take());
    first.wait().unwrap();
    let api = server.api();
    eventually("the end", || api.connections().len() == 2);
    server.sftp_ok("alice", "pwd\n");
    for mut other in others {
        drop(other.stdin.take());
        other.wait().unwrap();
    }
}

#[test]
fn connections_from_one_address_are_limited() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::with(&[("COMMON__MAX_PER_HOST_CONNECTIONS", "1")]);
    server.add_key_user("alice");
    let mut first = idle_client(&server, "alice");
    assert!(!server.sftp("alice", "pwd\n").status.success());
    server.wait_for_log("the refusal", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("from this address"))
    });
    drop(first.stdin.take());
    first.wait().unwrap();
    let api = server.api();
    eventually("the end", || api.connections().is_empty());
    eventually("room", || server.sftp("alice", "pwd\n").status.success());
}

#[test]
fn a_slow_transfer_is_activity_and_an_open_handle_is_not() {
    let server = TestServer::with(&[("COMMON__IDLE_TIMEOUT", "1")]);
    // One WRITE of the client takes longer than the idle timeout.
    server.add_user("slow", json!({"upload_bandwidth": 1, "download_bandwidth": 1}));
    server.add_user("idle", json!({}));
    let Some(out) = server.python_client("idle.py", "slow", ["idle"]) else { return };
    assert!(out.status.success(), "{}", text(&out));
    last_words(&server, "idle timeout");
}

#[test]
fn a_slow_upload_does_not_hold_up_another_channel_of_its_connection() {
    let server = TestServer::start();
    server.add_user("alice", json!({"upload_bandwidth": 16}));
    let Some(out) = server.python_client("neighbours.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
}

#[test]
fn sessions_start_in_the_start_directory() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let filters = json!({"start_directory": "/in/box"});
    server.add_user("alice", json!({"public_keys": [public_key()], "filters": filters}));
    // REALPATH needs no directory; what is done there does.
    let out = server.sftp_ok("alice", "pwd\n");
    assert!(out.contains("Remote working directory: /in/box"), "{out}");
    assert!(!server.sftp("alice", "ls f\n").status.success());
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    let l = local.path().display();
    assert!(!server.sftp("alice", &format!("put {l}/f\n")).status.success());
    server.sftp_ok("alice", "mkdir /in\nmkdir /in/box\n");
    server
        .sftp_ok("alice", &format!("put {l}/f\nput {l}/f ../g\ncd ..\nrename g h\nput {l}/f /r\n"));
    for path in ["in/box/f", "in/h", "r"] {
        assert!(server.home("alice").join(path).exists(), "{path}");
    }
}

#[test]
fn an_account_that_may_not_be_connected_any_more_is_disconnected() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let today: i32 = chrono::Utc::now().format("%w").to_string().parse().unwrap();
    let closed = json!([{"day_of_week": (today + 3) % 7, "from": "00:00", "to": "23:59"}]);
    let table = [
        (json!({"status": 0}), "the account was disabled"),
        (json!({"expiration_date": 1000}), "the account has expired"),
        (json!({"filters": {"access_time": closed}}), "the account's access time is over"),
    ];
    for (at, (changes, words)) in table.into_iter().enumerate() {
        let name = format!("user{at}");
        server.add_key_user(&name);
        let mut client = idle_client(&server, &name);
        let mut changed = user(&server, &name);
        for (key, value) in changes.as_object().unwrap() {
            changed[key] = value.clone();
        }
        let (status, body) = server.api().put(&format!("/users/{name}"), &changed);
        assert_eq!(status, 200, "{body}");
        last_words(&server, words);
        client.wait().unwrap();
        assert!(!server.sftp(&name, "pwd\n").status.success(), "{words}");
    }
    // What a group gives is said of the group.
    let group = json!({"name": "shift"});
    assert_eq!(server.api().post("/groups", &group).0, 201);
    server.add_user(
        "member",
        json!({"public_keys": [public_key()], "groups": [{"name": "shift", "type": 1}]}),
    );
    server.add_key_user("other");
    let (mut client, mut stays) = (idle_client(&server, "member"), idle_client(&server, "other"));
    let hours = json!({"user_settings": {"filters": {"access_time": closed}}});
    assert_eq!(server.api().put("/groups/shift", &hours).0, 200);
    last_words(&server, "the account's access time is over");
    client.wait().unwrap();
    assert_eq!(server.api().connections()[0]["username"], "other");
    drop(stays.stdin.take());
    stays.wait().unwrap();
    server.add_key_user("gone");
    let mut client = idle_client(&server, "gone");
    assert_eq!(server.api().delete("/users/gone").0, 200);
    last_words(&server, "the account was deleted");
    client.wait().unwrap();
}

#[test]
fn a_session_ends_when_its_account_expires_meanwhile() {
    if !has("sftp") {
        return;
    }
    // The idle timeout decides how often is looked; a quarter of it.
    let server = TestServer::with(&[("COMMON__IDLE_TIMEOUT", "1")]);
    let soon = chrono::Utc::now().timestamp_millis() + 4_000;
    server.add_user("alice", json!({"public_keys": [public_key()], "expiration_date": soon}));
    server.add_key_user("bob");
    let mut clients = [idle_client(&server, "alice"), idle_client(&server, "bob")];
    let mut bob = user(&server, "bob");
    // Bob is there already, and told only now.
    bob["expiration_date"] = json!(soon);
    assert_eq!(server.api().put("/users/bob", &bob).0, 200);
    let api = server.api();
    let started = Instant::now();
    while !api.connections().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "still connected");
        std::thread::sleep(Duration::from_millis(100));
    }
    last_words(&server, "the account has expired");
    for client in &mut clients {
        client.wait().unwrap();
    }
}
