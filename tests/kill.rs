//! An administrator ends sessions, also those whose client does nothing any more.

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::TestServer;
use common::clients::has;
use common::server::eventually;

fn big_file(dir: &std::path::Path) -> std::path::PathBuf {
    let path = dir.join("big");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(400 * 1024 * 1024).unwrap();
    path
}

/// Starts a transfer, stops its client with SIGSTOP in the middle, and returns it.
fn frozen_client(server: &TestServer, batch: String) -> Child {
    use std::io::Write;
    let mut child = server
        .sftp_command("alice", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    let api = server.api();
    eventually("a running transfer", || {
        api.connections().iter().any(|session| {
            session["active_transfers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|t| t["size"].as_u64() > Some(0)))
        })
    });
    signal("STOP", &child);
    child
}

/// The sftp process and the ssh it started.
fn signal(signal: &str, child: &Child) {
    let children =
        std::process::Command::new("pgrep").args(["-P", &child.id().to_string()]).output().unwrap();
    let mut pids = vec![child.id().to_string()];
    pids.extend(String::from_utf8_lossy(&children.stdout).lines().map(str::to_owned));
    std::process::Command::new("kill").arg(format!("-{signal}")).args(pids).status().unwrap();
}

/// Kills the only session through REST, and waits until none is listed: that is long before
/// the client, which stands still, does anything.
fn kill_all(server: &TestServer) {
    let api = server.api();
    let sessions = api.connections();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let id = sessions[0]["connection_id"].as_str().unwrap().to_owned();
    let started = Instant::now();
    let (status, body) = api.delete(&format!("/connections/{id}"));
    assert_eq!(status, 200, "{body}");
    while !api.connections().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "the session lives on");
    }
    server.wait_for_log("the administrator's name", |line| {
        line["message"].as_str().is_some_and(|m| m.contains("admin"))
    });
}

#[test]
fn a_download_whose_client_stopped_reading_is_gone_at_once() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    server.sftp_ok("alice", "ls\n");
    big_file(&server.home("alice"));
    let mut client = frozen_client(&server, "get big /dev/null\n".into());
    kill_all(&server);
    signal("CONT", &client);
    assert!(!client.wait().unwrap().success());
}

#[test]
fn an_upload_whose_client_stopped_is_gone_and_leaves_nothing_in_atomic_mode() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::with(&[("COMMON__UPLOAD_MODE", "1")]);
    server.add_user(
        "alice",
        serde_json::json!({"public_keys": [common::clients::public_key()], "upload_bandwidth": 4096}),
    );
    let local = tempfile::tempdir().unwrap();
    let big = big_file(local.path());
    let mut client = frozen_client(&server, format!("put {} up\n", big.display()));
    kill_all(&server);
    signal("CONT", &client);
    assert!(!client.wait().unwrap().success());
    eventually("no partial file", || std::fs::read_dir(server.home("alice")).unwrap().count() == 0);
    server.sftp_ok("alice", "ls\n");
}

#[test]
fn killing_a_session_that_is_not_there_is_not_found() {
    let server = TestServer::start();
    let (status, body) = server.api().delete("/connections/SFTP_0000_1");
    assert_eq!(status, 404, "{body}");
}
