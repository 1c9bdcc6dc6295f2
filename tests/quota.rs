//! Limits on what an account may store.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::TestServer;
use common::clients::{has, public_key, run};
use common::server::eventually;
use serde_json::json;

fn used(server: &TestServer, user: &str) -> (u64, u64) {
    let (status, body) = server.api().get(&format!("/users/{user}"));
    assert_eq!(status, 200, "{body}");
    let field = |name: &str| body[name].as_u64().unwrap_or(0);
    (field("used_quota_size"), field("used_quota_files"))
}

#[test]
fn upload_over_quota_leaves_no_partial_file() {
    if !has("sftp") {
        return;
    }
    for mode in ["0", "1"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode)]);
        server.add_user("alice", json!({"public_keys": [public_key()], "quota_size": 1_000_000}));
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("fits"), vec![1; 600_000]).unwrap();
        fs::write(local.path().join("too-big"), vec![2; 500_000]).unwrap();
        let l = local.path().display();
        server.sftp_ok("alice", &format!("put {l}/fits\n"));
        let out = server.sftp("alice", &format!("put {l}/too-big\n"));
        assert!(!out.status.success());
        let line = server.wait_for_log("the failed upload", |line| {
            line["sender"] == "Upload" && line["error"].is_string()
        });
        assert!(line["error"].as_str().unwrap().contains("space limit"), "{line}");
        let names: Vec<_> = fs::read_dir(server.home("alice"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["fits"], "upload mode {mode}");
        eventually("the usage", || used(&server, "alice") == (600_000, 1));
        // Overwriting with something smaller frees the rest.
        fs::write(local.path().join("fits"), vec![3; 400_000]).unwrap();
        server.sftp_ok("alice", &format!("put {l}/fits\nput {l}/too-big\n"));
        eventually("the usage", || used(&server, "alice") == (900_000, 2));
        server.sftp_ok("alice", "rm fits\n");
        eventually("the usage", || used(&server, "alice") == (500_000, 1));
    }
}

#[test]
fn the_number_of_files_is_limited() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_files": 2}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    let l = local.path().display();
    server.sftp_ok("alice", &format!("put {l}/f a\nput {l}/f b\nput {l}/f a\nmkdir d\n"));
    assert!(!server.sftp("alice", &format!("put {l}/f c\n")).status.success());
    server.sftp_ok("alice", &format!("rm a\nput {l}/f c\n"));
    eventually("the usage", || used(&server, "alice") == (2, 2));
}

#[test]
fn parallel_uploads_never_exceed_the_limit_and_fill_it_completely() {
    if !has("sftp") {
        return;
    }
    // 16 uploads of 1 MiB into room for exactly 10.
    let server = TestServer::start();
    let size = 1024 * 1024;
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_size": 10 * size}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![7; size]).unwrap();
    let uploads: Vec<_> = (0..16)
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
    let stored = uploads.into_iter().filter(|_| true).map(|mut child| child.wait().unwrap());
    let succeeded = stored.filter(std::process::ExitStatus::success).count();
    let on_disk: u64 = fs::read_dir(server.home("alice"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(on_disk <= 10 * size as u64, "{on_disk} bytes stored");
    assert_eq!(on_disk, succeeded as u64 * size as u64);
    // Uploads that race for the last of it may all lose, but what is left can be used.
    for at in 0..(10 - succeeded) {
        server.sftp_ok("alice", &format!("put {}/f rest{at}\n", local.path().display()));
    }
    assert!(
        !server.sftp("alice", &format!("put {}/f more\n", local.path().display())).status.success()
    );
    eventually("the usage", || used(&server, "alice") == (10 * size as u64, 10));
}

#[test]
fn a_scan_counts_what_is_on_the_disk() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_files": 1000}));
    server.sftp_ok("alice", "mkdir d\n");
    fs::write(server.home("alice").join("d/behind-our-back"), vec![0; 12_345]).unwrap();
    assert_eq!(used(&server, "alice"), (0, 0));
    let (status, body) = server.api().post("/quotas/users/alice/scan", &json!({}));
    assert_eq!(status, 202, "{body}");
    eventually("the scan", || used(&server, "alice") == (12_345, 1));
}

#[test]
fn an_account_tells_when_it_first_uploaded_and_downloaded() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let first = || {
        let (status, alice) = server.api().get("/users/alice");
        assert_eq!(status, 200, "{alice}");
        ["first_upload", "first_download"].map(|key| alice[key].as_i64().unwrap_or(0))
    };
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    let l = local.path().display();
    // A transfer that fails is none.
    assert!(!server.sftp("alice", &format!("put {l}/f missing/f\nget f\n")).status.success());
    assert_eq!(first(), [0, 0]);
    let before = chrono::Utc::now().timestamp_millis();
    server.sftp_ok("alice", &format!("put {l}/f\n"));
    let [uploaded, downloaded] = first();
    assert!(uploaded >= before && downloaded == 0, "{uploaded} {downloaded}");
    server.sftp_ok("alice", &format!("put {l}/f g\nget f {l}/g\n"));
    let [again, downloaded] = first();
    assert_eq!(again, uploaded);
    assert!(downloaded > uploaded, "{downloaded}");
}

#[test]
fn usage_is_stored_when_the_settings_say_and_at_the_stop_at_the_latest() {
    if !has("sftp") || !has("sqlite3") {
        return;
    }
    let mut server = TestServer::with(&[("DATA_PROVIDER__DELAYED_QUOTA_UPDATE", "3600")]);
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_files": 1000}));
    let database = server.dir().join("sftpgo.db");
    let stored = || {
        let query = "SELECT coalesce(sum(used_files), 0) FROM quota_usage";
        run(Command::new("sqlite3").arg(&database).arg(query)).trim().to_owned()
    };
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    server.sftp_ok("alice", &format!("put {}/f\n", local.path().display()));
    // Longer than the usual interval.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(stored(), "0");
    assert!(server.stop().success());
    assert_eq!(stored(), "1");
}
