//! Nothing acknowledged is lost: kill -9, clean stops, reloads.

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::TestServer;
use common::clients::{has, public_key, run, text};
use common::server::eventually;
use serde_json::json;

#[test]
fn kill_9_during_uploads_loses_nothing_acknowledged() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::with(&[("COMMON__UPLOAD_MODE", "1")]);
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_files": 100_000}));
    let local = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
    fs::write(local.path().join("f"), &data).unwrap();
    // Twenty clients upload file after file and print one line for each that was
    // acknowledged.
    let uploads: Vec<_> = (0..20)
        .map(|client| {
            let batch = local.path().join(format!("batch{client}"));
            let lines: String = (0..200)
                .map(|at| {
                    format!(
                        "put {0}/f c{client}-{at}\n!echo c{client}-{at} >> {0}/acknowledged\n",
                        local.path().display()
                    )
                })
                .collect();
            fs::write(&batch, lines).unwrap();
            server
                .sftp_command("alice", &[])
                .stdin(fs::File::open(batch).unwrap())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let acknowledged = || {
        fs::read_to_string(local.path().join("acknowledged"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    eventually("a hundred uploads", || acknowledged().len() >= 100);
    server.kill_hard();
    for mut upload in uploads {
        assert!(!upload.wait().unwrap().success());
    }
    server.launch();
    for name in acknowledged() {
        let stored = fs::read(server.home("alice").join(&name));
        assert_eq!(stored.unwrap(), data, "{name} was acknowledged");
    }
    for entry in fs::read_dir(server.home("alice")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Under their own names there are only whole files.
        if !name.starts_with(".sftpgo-upload.") {
            assert_eq!(fs::read(entry.path()).unwrap().len(), data.len(), "{name}");
        }
    }
    let api = server.api();
    assert_eq!(api.post("/quotas/users/alice/scan", &json!({})).0, 202);
    eventually("the scan", || api.get("/quotas/users/scans").1 == json!([]));
    let (_, user) = api.get("/users/alice");
    let files = user["used_quota_files"].as_u64().unwrap();
    assert_eq!(user["used_quota_size"].as_u64().unwrap(), files * data.len() as u64);
    let whole = fs::read_dir(server.home("alice"))
        .unwrap()
        .filter(|e| {
            !e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".sftpgo-upload.")
        })
        .count();
    assert_eq!(files, whole as u64);
    if has("sqlite3") {
        let sound = run(Command::new("sqlite3")
            .arg(server.dir().join("sftpgo.db"))
            .arg("PRAGMA integrity_check"));
        assert_eq!(sound.trim(), "ok");
    }
}

#[test]
fn a_stop_with_grace_lets_a_running_transfer_finish() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::with(&[("GRACE_TIME", "30")]);
    server.add_user("alice", json!({"public_keys": [public_key()], "upload_bandwidth": 2000}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![5; 3_000_000]).unwrap();
    let batch = local.path().join("batch");
    fs::write(&batch, format!("put {}/f\n", local.path().display())).unwrap();
    let mut upload = server
        .sftp_command("alice", &[])
        .stdin(fs::File::open(batch).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("the transfer", || {
        api.connections()
            .iter()
            .any(|s| s["active_transfers"].as_array().is_some_and(|a| !a.is_empty()))
    });
    let status = server.stop();
    assert!(status.success(), "{status}\n{}", server.output());
    let stored = fs::read(server.home("alice").join("f")).unwrap();
    assert_eq!(stored.len(), 3_000_000, "the running upload was cut");
    assert!(upload.wait().unwrap().success());
}

#[test]
fn a_stop_without_grace_is_prompt_and_clean() {
    let mut server = TestServer::start();
    server.add_key_user("alice");
    let mut idle = server
        .sftp_command("alice", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("the session", || api.connections().len() == 1);
    let status = server.stop();
    assert!(status.success(), "{status}\n{}", server.output());
    let _ = idle.wait().unwrap();
    server.launch();
    server.sftp_ok("alice", "ls\n");
}

#[test]
fn sighup_keeps_connections_and_sigusr1_starts_a_new_log_file() {
    let server = TestServer::start();
    server.add_key_user("alice");
    let mut idle = server
        .sftp_command("alice", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("the session", || api.connections().len() == 1);
    server.signal("HUP");
    server.wait_for_log("the reload", |line| {
        line["message"].as_str().is_some_and(|m| m.contains("reload"))
    });
    server.signal("USR1");
    eventually("a rotated file", || {
        fs::read_dir(server.dir())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("sftpgo"))
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("log"))
            .count()
            >= 2
    });
    assert_eq!(api.connections().len(), 1, "a reload never drops connections");
    drop(idle.stdin.take());
    assert!(idle.wait().unwrap().success());
}

#[test]
fn a_taken_port_stops_the_start_and_names_it() {
    let server = TestServer::start();
    let other = TestServer::prepare(&[("SFTPD__BINDINGS__0__PORT", &server.sftp_port.to_string())]);
    let out = other.command().output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let shown = format!("{}{}", text(&out), other.log_text());
    assert!(shown.contains(&server.sftp_port.to_string()), "{shown}");
    assert!(shown.contains("sftpd.bindings[0]"), "{shown}");
}
