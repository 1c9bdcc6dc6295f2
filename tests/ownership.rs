//! Whose new files are, and with which mode. As root alone there is a choice of owners.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use common::TestServer;
use common::clients::{has, public_key};
use serde_json::json;

fn is_root() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        eprintln!("skipped: only root can give files away");
    }
    is_root
}

#[test]
fn new_files_and_directories_belong_to_the_ids_of_the_account() {
    if !has("sftp") || !is_root() {
        return;
    }
    for mode in ["0", "1", "2"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode), ("COMMON__UMASK", "0027")]);
        let ids = json!({"public_keys": [public_key()], "uid": 12_345, "gid": 23_456});
        server.add_user("alice", ids);
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("f"), vec![1; 100_000]).unwrap();
        let l = local.path().display();
        let home = server.home("alice");
        server.sftp_ok("alice", "mkdir d\n");
        symlink("d", home.join("link")).unwrap();
        // An older file of somebody else keeps its owner and mode.
        fs::write(home.join("old"), "old").unwrap();
        fs::set_permissions(home.join("old"), fs::Permissions::from_mode(0o604)).unwrap();
        server.sftp_ok(
            "alice",
            &format!("put {l}/f\nput {l}/f link/f\nmkdir link/e\nput {l}/f old\nln -s f l\n"),
        );
        let facts = |path: &str| {
            let found = fs::metadata(home.join(path)).unwrap();
            (found.uid(), found.gid(), found.mode() & 0o777)
        };
        for path in ["", "d", "d/e"] {
            assert_eq!(facts(path), (12_345, 23_456, 0o750), "mode {mode}: {path}");
        }
        for path in ["f", "d/f"] {
            assert_eq!(facts(path), (12_345, 23_456, 0o640), "mode {mode}: {path}");
        }
        assert_eq!(facts("old"), (0, 0, 0o604), "mode {mode}");
        assert_eq!(fs::metadata(home.join("old")).unwrap().len(), 100_000);
    }
}

#[test]
fn one_id_of_an_account_leaves_the_other_alone() {
    if !has("sftp") || !is_root() {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", json!({"public_keys": [public_key()], "gid": 23_456}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "x").unwrap();
    server.sftp_ok("alice", &format!("put {}/f\n", local.path().display()));
    let found = fs::metadata(server.home("alice").join("f")).unwrap();
    assert_eq!((found.uid(), found.gid()), (0, 23_456));
}

#[test]
fn setstat_mode_decides_whether_attributes_are_changed() {
    if !has("sftp") {
        return;
    }
    // Local files can do all of it, so 2 is as 0.
    for (mode, is_changed) in [("0", true), ("1", false), ("2", true)] {
        let server = TestServer::with(&[("COMMON__SETSTAT_MODE", mode), ("COMMON__UMASK", "0022")]);
        server.add_key_user("alice");
        server.add_user(
            "bob",
            json!({"public_keys": [public_key()], "permissions": {"/": ["list", "upload", "download"]}}),
        );
        let local = tempfile::tempdir().unwrap();
        let l = local.path().display();
        fs::write(local.path().join("f"), "x").unwrap();
        fs::set_permissions(local.path().join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::open(local.path().join("f")).unwrap().set_modified(old).unwrap();
        server.sftp_ok("alice", &format!("put -p {l}/f\nchmod 640 f\n"));
        let found = fs::metadata(server.home("alice").join("f")).unwrap();
        let wanted_mode = if is_changed { 0o640 } else { 0o644 };
        assert_eq!(found.mode() & 0o777, wanted_mode, "mode {mode}");
        assert_eq!(found.mtime() == 1_000_000, is_changed, "mode {mode}");
        // Whether it has an effect or not, it needs the permission.
        assert!(!server.sftp("bob", &format!("put {l}/f\nchmod 640 f\n")).status.success());
    }
}

#[test]
fn symlink_mode_decides_whether_clients_make_links() {
    if !has("sftp") {
        return;
    }
    for (mode, is_allowed) in [("0", false), ("1", true), ("2", false), ("3", true)] {
        let server = TestServer::with(&[("COMMON__SYMLINK_MODE", mode)]);
        server.add_key_user("alice");
        let out = server.sftp("alice", "mkdir d\nln -s d l\n");
        assert_eq!(out.status.success(), is_allowed, "mode {mode}");
        let is_there = server.home("alice").join("l").symlink_metadata().is_ok();
        assert_eq!(is_there, is_allowed, "mode {mode}");
    }
}
