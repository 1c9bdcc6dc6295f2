//! Quota scans: what becomes of them when the server is killed, when the account changes
//! meanwhile, and when something cannot be read.

mod common;

use std::fs;
use std::path::Path;

use common::TestServer;
use common::server::eventually;
use serde_json::{Value, json};

fn used(server: &TestServer, object: &str) -> (u64, u64) {
    let (status, body) = server.api().get(&format!("/{object}"));
    assert_eq!(status, 200, "{body}");
    let field = |name: &str| body[name].as_u64().unwrap_or(0);
    (field("used_quota_size"), field("used_quota_files"))
}

/// Of the lines so far.
fn messages(server: &TestServer) -> Vec<String> {
    let lines = server.log().into_iter();
    lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
}

/// More files of two bytes; each in a directory of its own, which takes a scan longer.
fn grow(dir: &Path, from: u64, to: u64) {
    for n in from..to {
        let dir = dir.join((n / 100).to_string()).join(n.to_string());
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("file"), "xx").unwrap();
    }
}

fn begun_again(server: &TestServer, account: &str) -> bool {
    let wanted = format!("requested scan of {account} begins");
    messages(server).contains(&wanted)
}

/// Starts a scan and ends the server before it is done: with more files, until that works.
fn interrupt(end: impl Fn(&mut TestServer)) {
    for (object, account) in [("users/alice", "user \"alice\""), ("folders/big", "folder \"big\"")]
    {
        let mut server = TestServer::start();
        server.add_user("alice", json!({}));
        let mapped = server.dir().join("big");
        let folder = json!({"name": "big", "mapped_path": mapped});
        assert_eq!(server.api().post("/folders", &folder).0, 201);
        let dir = if object == "users/alice" { server.home("alice") } else { mapped };
        let (mut files, mut wanted) = (0, 500);
        loop {
            grow(&dir, files, wanted);
            files = wanted;
            let (status, body) = server.api().post(&format!("/quotas/{object}/scan"), &json!(null));
            assert_eq!(status, 202, "{body}");
            end(&mut server);
            server.launch();
            eventually("the scan", || used(&server, object) == (2 * files, files));
            if begun_again(&server, account) {
                break;
            }
            // It was done in time, and nothing is left to do.
            wanted *= 2;
            assert!(wanted < 500_000, "no scan was ever interrupted");
        }
        // Done is done.
        let kind = object.split('/').next().unwrap();
        eventually("the end", || server.api().get(&format!("/quotas/{kind}/scans")).1 == json!([]));
        server.wait_for_log("the result", |line| {
            line["message"]
                == json!(format!("scan of {account}: {files} files, {} bytes", 2 * files))
        });
        assert!(server.stop().success());
        fs::remove_file(server.dir().join("sftpgo.log")).unwrap();
        server.launch();
        assert!(!begun_again(&server, account), "scanned without a reason");
    }
}

#[test]
fn a_scan_survives_a_kill() {
    interrupt(TestServer::kill_hard);
}

#[test]
fn a_scan_survives_a_stop() {
    interrupt(|server| assert!(server.stop().success()));
}

#[test]
fn a_scan_counts_where_the_account_is_in_the_end() {
    let server = TestServer::start();
    server.add_user("alice", json!({}));
    let (old, new) = (server.home("alice"), server.homes().join("new"));
    grow(&new, 0, 7);
    // The change may come too late for the scan: then it was one of the old home.
    let mut files = 500;
    grow(&old, 0, files);
    loop {
        let api = server.api();
        assert_eq!(api.post("/quotas/users/alice/scan", &json!(null)).0, 202);
        let change = |home: &Path, description: &str| {
            let (_, mut user) = api.get("/users/alice");
            user["home_dir"] = json!(home);
            user["description"] = json!(description);
            let (status, body) = api.put("/users/alice", &user);
            assert_eq!(status, 200, "{body}");
        };
        // Also a change that does not matter.
        change(&old, "still there");
        change(&new, "moved");
        eventually("the end", || api.get("/quotas/users/scans").1 == json!([]));
        let anew = messages(&server).iter().any(|text| text.contains("has other directories now"));
        let used = used(&server, "users/alice");
        if anew {
            assert_eq!(used, (14, 7));
            break;
        }
        assert_eq!(used, (2 * files, files));
        grow(&old, files, files * 2);
        files *= 2;
        assert!(files < 500_000, "no scan ever saw the change");
        change(&old, "back");
    }
}

#[test]
fn what_cannot_be_read_ends_a_scan_with_an_error_and_leaves_the_usage() {
    let mut server = TestServer::start();
    server.add_user("alice", json!({}));
    let home = server.home("alice");
    grow(&home, 0, 3);
    // Deeper than a path can be long, as a client can make it by moving directories.
    let name = "d".repeat(200);
    let deep = |levels: usize| vec![name.as_str(); levels].join("/");
    fs::create_dir_all(home.join("a").join(deep(15))).unwrap();
    fs::create_dir_all(home.join("b").join(deep(10))).unwrap();
    fs::rename(home.join("b"), home.join("a").join(deep(15)).join("b")).unwrap();
    let usage = json!({"used_quota_size": 77, "used_quota_files": 7});
    assert_eq!(server.api().put("/quotas/users/alice/usage", &usage).0, 200);
    assert_eq!(server.api().post("/quotas/users/alice/scan", &json!(null)).0, 202);
    let failed = |line: &Value| {
        line["level"] == "error"
            && line["message"].as_str().is_some_and(|text| {
                text.starts_with("scan of user \"alice\" failed, its usage stays: list /a/ddd")
            })
    };
    server.wait_for_log("the failure", failed);
    assert_eq!(used(&server, "users/alice"), (77, 7));
    // It is given up: somebody has to look at it.
    eventually("the end", || server.api().get("/quotas/users/scans").1 == json!([]));
    assert!(server.stop().success());
    server.launch();
    assert!(!begun_again(&server, "user \"alice\""));
    fs::rename(home.join("a").join(deep(1)), server.dir().join("away")).unwrap();
    assert_eq!(server.api().post("/quotas/users/alice/scan", &json!(null)).0, 202);
    eventually("the scan", || used(&server, "users/alice") == (6, 3));
}
