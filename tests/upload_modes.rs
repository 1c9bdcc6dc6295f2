//! When an uploaded file appears, what stays of a failed one, and full disks.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::TestServer;
use common::clients::{has, public_key, text};
use common::server::eventually;
use serde_json::json;

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Starts an upload that is slow enough to be looked at, and kills its client once
/// something has arrived.
fn broken_upload(server: &TestServer, batch: &str) {
    use std::io::Write;
    let mut client = server
        .sftp_command("alice", &[])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    let api = server.api();
    let is_moving = |session: &serde_json::Value| {
        let transfers = session["active_transfers"].as_array();
        transfers.is_some_and(|all| all.iter().any(|one| one["size"].as_u64() > Some(10_000)))
    };
    eventually("a running upload", || api.connections().iter().any(is_moving));
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("its end", || api.connections().is_empty());
}

#[test]
fn a_broken_upload_leaves_what_its_mode_says_and_never_spoils_an_old_file() {
    if !has("sftp") {
        return;
    }
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![b'n'; 400_000]).unwrap();
    let l = local.path().display();
    for mode in ["0", "1", "2"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode)]);
        server.add_user("alice", json!({"public_keys": [public_key()], "upload_bandwidth": 40}));
        server.sftp_ok("alice", "ls\n");
        let home = server.home("alice");
        fs::write(home.join("old"), vec![b'o'; 5_000]).unwrap();
        let inode = fs::metadata(home.join("old")).unwrap().ino();
        broken_upload(&server, &format!("put {l}/f new\n"));
        broken_upload(&server, &format!("put {l}/f old\n"));
        let old = fs::read(home.join("old")).unwrap();
        match mode {
            "1" => {
                assert_eq!(names(&home), ["old"]);
                assert_eq!(old, vec![b'o'; 5_000]);
                assert_eq!(fs::metadata(home.join("old")).unwrap().ino(), inode);
            }
            _ => {
                assert_eq!(names(&home), ["new", "old"], "mode {mode}");
                assert!(old.iter().all(|byte| *byte == b'n') && !old.is_empty());
                // And it can be continued.
                let part = fs::metadata(home.join("new")).unwrap().len();
                assert!((1..400_000).contains(&part), "{part}");
                let mut alice = server.api().get("/users/alice").1;
                alice["upload_bandwidth"] = json!(0);
                assert_eq!(server.api().put("/users/alice", &alice).0, 200);
                server.sftp_ok("alice", &format!("reput {l}/f new\n"));
                assert_eq!(fs::read(home.join("new")).unwrap(), vec![b'n'; 400_000]);
            }
        }
    }
}

#[test]
fn the_temporary_files_of_a_killed_server_are_removed_from_temp_path_at_the_next_start() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::prepare(&[("COMMON__UPLOAD_MODE", "1")]);
    let temp = server.dir().join("temp");
    fs::create_dir(&temp).unwrap();
    server.set("COMMON__TEMP_PATH", temp.to_str().unwrap());
    server.launch();
    server.add_user("alice", json!({"public_keys": [public_key()], "upload_bandwidth": 40}));
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), vec![b'n'; 4_000_000]).unwrap();
    fs::write(temp.join("of-somebody-else"), "x").unwrap();
    let batch = local.path().join("batch");
    fs::write(&batch, format!("put {}/f\n", local.path().display())).unwrap();
    let mut client = server
        .sftp_command("alice", &[])
        .stdin(fs::File::open(batch).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a temporary file", || names(&temp).len() == 2);
    server.kill_hard();
    client.wait().unwrap();
    assert_eq!(names(&temp).len(), 2, "{:?}", names(&temp));
    // Younger than a second it might belong to the server that starts.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    server.launch();
    eventually("it is removed", || names(&temp) == ["of-somebody-else"]);
    assert_eq!(names(&server.home("alice")), [""; 0]);
}

#[test]
fn a_temp_path_on_another_file_system_costs_a_copy_and_nothing_else() {
    let other = Path::new("/dev/shm");
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    if !has("sftp") || device(other).is_none() || device(other) == device(&std::env::temp_dir()) {
        eprintln!("skipped: there is no second file system");
        return;
    }
    let temp = tempfile::tempdir_in(other).unwrap();
    let server = TestServer::with(&[
        ("COMMON__UPLOAD_MODE", "2"),
        ("COMMON__UMASK", "0022"),
        ("COMMON__TEMP_PATH", temp.path().to_str().unwrap()),
    ]);
    server.add_user("alice", json!({"public_keys": [public_key()], "quota_files": 10}));
    let local = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..=255u8).cycle().take(3_000_000).collect();
    fs::write(local.path().join("f"), &content).unwrap();
    let l = local.path().display();
    server.sftp_ok("alice", &format!("put {l}/f\nput {l}/f\n"));
    let stored = server.home("alice").join("f");
    assert_eq!(fs::read(&stored).unwrap(), content);
    assert_eq!(fs::metadata(&stored).unwrap().mode() & 0o777, 0o644);
    fs::write(&stored, &content[..1_000_000]).unwrap();
    server.sftp_ok("alice", &format!("reput {l}/f\n"));
    assert_eq!(fs::read(&stored).unwrap(), content);
    assert_eq!(names(temp.path()), [""; 0]);
    assert_eq!(names(&server.home("alice")), ["f"]);
}

#[test]
fn a_temp_path_that_is_not_there_stops_the_start() {
    let server = TestServer::prepare(&[("COMMON__TEMP_PATH", "/no/such/directory")]);
    let out = server.command().output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).contains("common.temp_path"), "{}", text(&out));
}

#[test]
fn a_full_disk_is_a_clean_error() {
    if !has("sftp") {
        return;
    }
    for mode in ["0", "1", "2"] {
        let server = TestServer::with(&[("COMMON__UPLOAD_MODE", mode)]);
        let home = server.dir().join("small");
        fs::create_dir(&home).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0777", "none"])
            .arg(&home)
            .output();
        if !mount.is_ok_and(|out| out.status.success()) {
            eprintln!("skipped: a small file system cannot be mounted here");
            return;
        }
        let _unmount = Unmount(&home);
        server.add_user(
            "alice",
            json!({"public_keys": [public_key()], "home_dir": home, "quota_files": 100}),
        );
        let local = tempfile::tempdir().unwrap();
        fs::write(local.path().join("small"), vec![1; 500_000]).unwrap();
        fs::write(local.path().join("big"), vec![2; 3_000_000]).unwrap();
        let l = local.path().display();
        server.sftp_ok("alice", &format!("put {l}/small\n"));
        let out = server.sftp("alice", &format!("put {l}/big\n"));
        assert!(!out.status.success());
        assert!(text(&out).contains("Failure"), "{}", text(&out));
        assert_eq!(names(&home), ["small"], "mode {mode}");
        let out = server.sftp("alice", &format!("put {l}/big small\n"));
        assert!(!out.status.success());
        if mode != "0" {
            assert_eq!(fs::read(home.join("small")).unwrap(), vec![1; 500_000], "mode {mode}");
        }
        // In place the old file was spoilt, and what arrived of the new one fills the disk.
        server.sftp_ok("alice", &format!("rm small\nput {l}/small again\n"));
    }
}

struct Unmount<'p>(&'p Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        // The server may still have it open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_limit_of_the_system_on_file_sizes_is_an_error_and_not_the_end_of_the_server() {
    if !has("sftp") || !has("prlimit") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let limit = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), "--fsize=1000000:1000000"])
        .status()
        .unwrap();
    assert!(limit.success());
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("big"), vec![2; 1_500_000]).unwrap();
    let l = local.path().display();
    let out = server.sftp("alice", &format!("put {l}/big\n"));
    assert!(!out.status.success());
    assert!(text(&out).contains("Failure"), "{}", text(&out));
    assert_eq!(names(&server.home("alice")), [""; 0]);
    server.sftp_ok("alice", "ls\n");
}
