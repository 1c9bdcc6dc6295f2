//! Folders mounted into accounts, as their users see them.

mod common;

use std::fs;
use std::path::Path;

use common::TestServer;
use common::clients::{has, public_key};
use common::server::eventually;
use serde_json::{Value, json};

fn add_folder(server: &TestServer, name: &str) {
    let folder = json!({"name": name, "mapped_path": server.dir().join(name)});
    let (status, body) = server.api().post("/folders", &folder);
    assert_eq!(status, 201, "{body}");
}

fn mount(name: &str, at: &str, size: i64, files: i64) -> Value {
    json!({"name": name, "virtual_path": at, "quota_size": size, "quota_files": files})
}

/// Used bytes and files of what `path` names.
fn used(server: &TestServer, path: &str) -> (u64, u64) {
    let (status, body) = server.api().get(path);
    assert_eq!(status, 200, "{body}");
    let field = |name: &str| body[name].as_u64().unwrap_or(0);
    (field("used_quota_size"), field("used_quota_files"))
}

/// What `ls -1` shows, in order.
fn listed(server: &TestServer, user: &str, dir: &str) -> Vec<String> {
    let out = server.sftp_ok(user, &format!("ls -1 {dir}\n"));
    let lines = out.lines().filter(|line| !line.starts_with("sftp>"));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn folders_are_part_of_the_tree_and_cannot_be_tampered_with() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    add_folder(&server, "data");
    add_folder(&server, "deep");
    let folders = [mount("data", "/data", 0, 0), mount("deep", "/a/b/deep", 0, 0)];
    server.add_user("alice", json!({"public_keys": [public_key()], "virtual_folders": folders}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "content").unwrap();
    let l = local.path().display();

    server.sftp_ok("alice", &format!("put {l}/f data/f\nput {l}/f a/b/deep/g\nput {l}/f top\n"));
    assert_eq!(read(&server.dir().join("data/f")), "content");
    assert_eq!(read(&server.dir().join("deep/g")), "content");
    assert_eq!(listed(&server, "alice", "/"), ["/a", "/data", "/top"]);
    assert_eq!(listed(&server, "alice", "/a/b"), ["/a/b/deep"]);
    assert_eq!(listed(&server, "alice", "/a/b/deep"), ["/a/b/deep/g"]);
    for refused in [
        "rmdir data",
        "rmdir a/b/deep",
        "rmdir a/b",
        "rename data other",
        "rename a other",
        "rename a/b a/c",
        "rename top data",
        "rm data",
        "mkdir data",
        "chmod 700 data",
        "symlink top data",
        "symlink data/f link",
    ] {
        let out = server.sftp("alice", &format!("{refused}\n"));
        assert!(!out.status.success(), "{refused}");
    }
    assert_eq!(listed(&server, "alice", "/"), ["/a", "/data", "/top"]);
    server.sftp_ok("alice", "rename data/f a/b/deep/f\nrename top data/top\nrm a/b/deep/g\n");
    assert_eq!(read(&server.dir().join("deep/f")), "content");
    assert_eq!(read(&server.dir().join("data/top")), "content");
    assert!(!server.home("alice").join("top").exists());
}

#[test]
fn a_shared_folder_counts_once_and_limits_each_user_by_itself() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    add_folder(&server, "shared");
    add_folder(&server, "private");
    let user = |folders: &[Value]| json!({"public_keys": [public_key()], "quota_size": 1_000_000, "virtual_folders": folders});
    let private = mount("private", "/mine", -1, -1);
    server.add_user("alice", user(&[mount("shared", "/shared", 0, 0), private]));
    server.add_user("bob", user(&[mount("shared", "/deep/in/side", 512_000, 0)]));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("big"), vec![1; 600_000]).unwrap();
    fs::write(local.path().join("small"), vec![1; 100_000]).unwrap();
    let l = local.path().display();

    server.sftp_ok("alice", &format!("put {l}/big shared/big\nput {l}/small mine/small\n"));
    eventually("the folder", || used(&server, "/folders/shared") == (600_000, 1));
    eventually("the user", || used(&server, "/users/alice") == (100_000, 1));
    assert!(!server.sftp("bob", &format!("put {l}/small deep/in/side/s\n")).status.success());
    server.sftp_ok("bob", &format!("rm deep/in/side/big\nput {l}/small deep/in/side/s\n"));
    eventually("the folder", || used(&server, "/folders/shared") == (100_000, 1));
    assert_eq!(used(&server, "/users/bob"), (0, 0));

    // To another owner and back.
    server.sftp_ok("alice", "rename shared/s mine/s\n");
    eventually("the folder", || used(&server, "/folders/shared") == (0, 0));
    eventually("the user", || used(&server, "/users/alice") == (200_000, 2));
    server.sftp_ok("alice", "mkdir tree\nrename mine/s tree/s\nrename tree shared/tree\n");
    eventually("the folder", || used(&server, "/folders/shared") == (100_000, 1));
    eventually("the user", || used(&server, "/users/alice") == (100_000, 1));

    let (status, body) = server.api().post("/quotas/users/alice/scan", &json!({}));
    assert_eq!(status, 202, "{body}");
    eventually("the scan", || {
        let (_, scans) = server.api().get("/quotas/users/scans");
        scans.as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(used(&server, "/users/alice"), (100_000, 1));
    let df = server.sftp_ok("bob", "df deep/in/side\n");
    let size = df.lines().last().and_then(|line| line.split_whitespace().next());
    assert_eq!(size, Some("500"), "512,000 bytes are 500 KB: {df}");
}

/// Where there are two file systems to test with.
#[test]
fn a_rename_to_another_file_system_moves_all_of_it() {
    use std::os::unix::fs::MetadataExt;
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(other.path()) == device(server.dir()) {
        return;
    }
    let folder = json!({"name": "other", "mapped_path": other.path()});
    assert_eq!(server.api().post("/folders", &folder).0, 201);
    let folders = [mount("other", "/other", 0, 0)];
    let user = json!({
        "public_keys": [public_key()], "quota_size": 100_000_000, "virtual_folders": folders,
    });
    server.add_user("alice", user);
    let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("big"), &content).unwrap();
    fs::write(local.path().join("small"), "x").unwrap();
    let l = local.path().display();
    server.sftp_ok(
        "alice",
        &format!(
            "mkdir t\nmkdir t/empty\nmkdir t/sub\nput -p {l}/big t/sub/big\nput {l}/small t/small\n\
             symlink t/small t/link\nrename t/small single\nput {l}/small t/small\n"
        ),
    );
    eventually("the user", || used(&server, "/users/alice") == (20_000_002, 3));
    let before = fs::metadata(server.home("alice").join("t/sub/big")).unwrap();
    server.sftp_ok("alice", "rename single other/single\nrename t other/t\n");
    assert_eq!(fs::read(other.path().join("t/sub/big")).unwrap(), content);
    assert_eq!(read(&other.path().join("t/small")), "x");
    assert_eq!(read(&other.path().join("single")), "x");
    assert!(other.path().join("t/empty").is_dir());
    let after = fs::metadata(other.path().join("t/sub/big")).unwrap();
    assert_eq!((after.mtime(), after.mode()), (before.mtime(), before.mode()));
    eventually("the folder", || used(&server, "/folders/other") == (20_000_002, 3));
    eventually("the user", || used(&server, "/users/alice") == (0, 0));
    // The link has stayed, and nothing else.
    assert_eq!(listed(&server, "alice", "/t"), ["/t/link"]);
    server.sftp_ok("alice", "rm t/link\nrmdir t\nrename other/t back\n");
    assert_eq!(fs::read(server.home("alice").join("back/sub/big")).unwrap(), content);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
    eventually("the user", || used(&server, "/users/alice") == (20_000_001, 2));
}

#[test]
fn a_folder_that_is_a_file_costs_a_warning_and_nothing_else() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    add_folder(&server, "broken");
    fs::write(server.dir().join("broken"), "a file").unwrap();
    let folders = [mount("broken", "/broken", 0, 0)];
    server.add_user("alice", json!({"public_keys": [public_key()], "virtual_folders": folders}));
    server.sftp_ok("alice", "mkdir d\n");
    server.wait_for_log("a warning", |line| {
        line["message"].as_str().is_some_and(|text| text.contains("virtual folder broken"))
    });
    assert_eq!(listed(&server, "alice", "/"), ["/broken", "/d"]);
    assert!(!server.sftp("alice", "ls broken\n").status.success());
}
