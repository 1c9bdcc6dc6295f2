//! Moving and managing files with OpenSSH's sftp.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use common::TestServer;
use common::clients::{has, run, text};
use serde_json::json;

fn random_file(path: &Path, bytes: usize) -> Vec<u8> {
    // Not compressible and different for each call site's size.
    let mut state = bytes as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let data: Vec<u8> = (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    fs::write(path, &data).unwrap();
    data
}

#[test]
fn files_come_back_byte_identical_with_their_times_and_modes() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    for (name, size) in [("empty", 0), ("small", 10), ("edge", 32_768), ("big", 9_000_001)] {
        random_file(&local.path().join(name), size);
    }
    fs::set_permissions(local.path().join("small"), fs::Permissions::from_mode(0o640)).unwrap();
    run(std::process::Command::new("touch")
        .args(["-d", "2019-03-04T05:06:07Z"])
        .arg(local.path().join("small")));
    let l = local.path().display();
    server.sftp_ok("alice", &format!("mkdir d\nput -p {l}/* d/\nget -p d/small {l}/back-small\nget d/big {l}/back-big\nget d/empty {l}/back-empty\nget d/edge {l}/back-edge\n"));
    for name in ["empty", "small", "edge", "big"] {
        let sent = fs::read(local.path().join(name)).unwrap();
        assert_eq!(fs::read(local.path().join(format!("back-{name}"))).unwrap(), sent, "{name}");
        assert_eq!(fs::read(server.home("alice").join("d").join(name)).unwrap(), sent, "{name}");
    }
    let stored = fs::metadata(server.home("alice").join("d/small")).unwrap();
    assert_eq!((stored.mode() & 0o777, stored.mtime()), (0o640, 1_551_675_967));
    let back = fs::metadata(local.path().join("back-small")).unwrap();
    assert_eq!((back.mode() & 0o777, back.mtime()), (0o640, 1_551_675_967));
}

#[test]
fn a_tree_with_odd_names_and_links_survives_the_round_trip() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let tree = local.path().join("tree");
    fs::create_dir_all(tree.join("sub/deeper")).unwrap();
    for name in ["with space", "ünï-cødé", "-dash", "quote\"'", "a;b&c|d", "sub/deeper/x", "*star*"]
    {
        fs::write(tree.join(name), name).unwrap();
    }
    let invalid: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"latin1-\xe9\xff");
    fs::write(tree.join(invalid), "bytes").unwrap();
    let l = local.path().display();
    server.sftp_ok("alice", &format!("put -rp {l}/tree\nget -rp tree {l}/back\n"));
    run(std::process::Command::new("diff").arg("-r").arg(&tree).arg(local.path().join("back")));
    run(std::process::Command::new("diff")
        .arg("-r")
        .arg(&tree)
        .arg(server.home("alice").join("tree")));

    server.sftp_ok("alice", "symlink with\\ space tree/link\nln -s /tree/sub tree/dirlink\n");
    let out = server.sftp_ok("alice", "ls -l tree/dirlink/deeper\nget tree/link /dev/null\n");
    assert!(out.lines().any(|line| line.ends_with(" x")), "{out}");
    let stored = fs::read_link(server.home("alice").join("tree/dirlink")).unwrap();
    assert!(stored.is_relative(), "stored links are relative: {stored:?}");
}

#[test]
fn interrupted_transfers_resume_both_ways() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let data = random_file(&local.path().join("file"), 3_000_000);
    let home = server.home("alice");
    let l = local.path().display();
    server.sftp_ok("alice", "mkdir d\n");
    fs::write(home.join("d/file"), &data[..1_234_567]).unwrap();
    server.sftp_ok("alice", &format!("reput {l}/file d/file\n"));
    assert_eq!(fs::read(home.join("d/file")).unwrap(), data);
    fs::write(local.path().join("half"), &data[..2_000_001]).unwrap();
    server.sftp_ok("alice", &format!("reget d/file {l}/half\n"));
    assert_eq!(fs::read(local.path().join("half")).unwrap(), data);
}

#[test]
fn rename_remove_and_attributes_do_what_they_say() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "content").unwrap();
    let l = local.path().display();
    server.sftp_ok(
        "alice",
        &format!("put {l}/f a\nput {l}/f b\nrename a b\nmkdir d\nrename b d/c\nchmod 600 d/c\n"),
    );
    let home = server.home("alice");
    assert_eq!(fs::read_to_string(home.join("d/c")).unwrap(), "content");
    assert_eq!(fs::metadata(home.join("d/c")).unwrap().mode() & 0o777, 0o600);
    assert!(!home.join("a").exists() && !home.join("b").exists());

    let table = [
        ("rmdir d", "not empty"),
        ("rm nothing", "no such file"),
        ("rm d", "directory"),
        ("ln d/c hard", "does not support"),
        ("get ../../../../etc/passwd /dev/null", "not found"),
        ("mkdir d", "exists"),
    ];
    for (command, expected) in table {
        let out = server.sftp("alice", &format!("{command}\n"));
        let shown = text(&out).to_lowercase();
        assert!(!out.status.success(), "{command}: {shown}");
        assert!(
            shown.contains(expected) || shown.contains("failure"),
            "{command}: wanted {expected}: {shown}"
        );
        assert!(!shown.contains(&home.display().to_string()), "leaks the real path: {shown}");
    }
    server.sftp_ok("alice", "rm d/c\nrmdir d\n");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[test]
fn a_large_directory_lists_completely() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    server.sftp_ok("alice", "mkdir many\n");
    let dir = server.home("alice").join("many");
    for at in 0..12_345 {
        fs::write(dir.join(format!("file-{at:05}")), b"").unwrap();
    }
    let out = server.sftp_ok("alice", "ls -1 many\n");
    let mut names: Vec<_> = out.lines().filter(|line| line.contains("file-")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 12_345);
}

#[test]
fn clients_find_their_root_below_the_folder_prefix_and_nothing_beside_it() {
    if !has("sftp") || !has("ssh") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__FOLDER_PREFIX", "/files/here")]);
    let filters = json!({"start_directory": "/in"});
    let keys = [common::clients::public_key()];
    server.add_user("alice", json!({"public_keys": keys, "filters": filters}));
    let home = server.home("alice");
    fs::create_dir_all(home.join("in")).unwrap();
    let local = tempfile::tempdir().unwrap();
    let l = local.path().display();
    fs::write(local.path().join("f"), "content").unwrap();
    let out = server.sftp_ok(
        "alice",
        &format!(
            "pwd\nls -1 /\nls -1 /files\nls -1 /files/here\ndf /\nput {l}/f\n\
             put {l}/f /files/here/g\nget /files/here/in/f {l}/back\n\
             rename /files/here/g ../h\nsymlink /files/here/h /files/here/in/link\n\
             get link {l}/linked\nls -l /files/here/in/link\n"
        ),
    );
    assert!(out.contains("Remote working directory: /files/here/in"), "{out}");
    for line in ["/files", "/files/here", "/files/here/in"] {
        assert!(out.lines().any(|shown| shown.trim_end() == line), "{line} in {out}");
    }
    for name in ["back", "linked"] {
        assert_eq!(fs::read(local.path().join(name)).unwrap(), b"content", "{name}");
    }
    assert_eq!(fs::read_link(home.join("in/link")).unwrap(), Path::new("../h"));
    let line = server.wait_for_log("the upload", |line| line["sender"] == "Upload");
    assert_eq!(line["virtual_path"], "/in/f", "without the prefix");
    for (command, told) in [
        (format!("put {l}/f /f"), "no such file"),
        (format!("put {l}/f /files/f"), "no such file"),
        ("ls /other".to_owned(), "not found"),
        ("ls /files/other".to_owned(), "not found"),
        ("get /in/f".to_owned(), "not found"),
        ("symlink /h /files/here/x".to_owned(), "no such file"),
        ("rmdir /files".to_owned(), "permission denied"),
        ("rename /files/here/h /files/h".to_owned(), "no such file"),
    ] {
        let out = server.sftp("alice", &format!("{command}\n"));
        assert!(!out.status.success(), "{command}");
        let shown = text(&out).to_lowercase();
        assert!(shown.contains(told), "{command}: {shown}");
    }
    let port = server.sftp_port.to_string();
    let mut ssh = Command::new("ssh");
    ssh.args(server.ssh_options()).args(["-p", &port, "alice@127.0.0.1", "pwd"]);
    let out = ssh.output().unwrap();
    assert!(!out.status.success(), "commands are off: {}", text(&out));
}

#[test]
fn statvfs_reports_the_quota_or_the_disk() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    server.add_user(
        "bob",
        json!({
            "public_keys": [common::clients::public_key()],
            "quota_size": 10 * 1024 * 1024,
            "quota_files": 7,
        }),
    );
    let disk = server.sftp_ok("alice", "df -h /\n");
    assert!(disk.contains('%'), "{disk}");
    let local = tempfile::tempdir().unwrap();
    random_file(&local.path().join("f"), 5 * 1024 * 1024);
    server.sftp_ok("bob", &format!("put {}/f\n", local.path().display()));
    let quota = server.sftp_ok("bob", "df /\n");
    assert!(quota.contains("10240") && quota.contains("5120"), "{quota}");
}

#[test]
fn one_connection_carries_several_sessions() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mux");
    let mut master = std::process::Command::new("ssh");
    master.args(server.ssh_options()).args(["-N", "-M", "-S"]).arg(&socket).args([
        "-p",
        &server.sftp_port.to_string(),
        "alice@127.0.0.1",
    ]);
    let mut master = master.spawn().unwrap();
    common::server::eventually("the master connection", || socket.exists());
    let control = format!("ControlPath={}", socket.display());
    let sessions: Vec<_> = (0..4)
        .map(|at| {
            let data = dir.path().join(format!("in{at}"));
            random_file(&data, 2_000_000 + at);
            let batch = format!(
                "put {0} f{at}\nget f{at} {1}/out{at}\n",
                data.display(),
                dir.path().display()
            );
            let mut command = server.sftp_command("alice", &["-o", &control]);
            let batch_file = dir.path().join(format!("batch{at}"));
            fs::write(&batch_file, batch).unwrap();
            command.stdin(fs::File::open(batch_file).unwrap());
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut session in sessions {
        assert!(session.wait().unwrap().success());
    }
    for at in 0..4 {
        let sent = fs::read(dir.path().join(format!("in{at}"))).unwrap();
        assert_eq!(fs::read(dir.path().join(format!("out{at}"))).unwrap(), sent);
    }
    let _ = master.kill();
    let _ = master.wait();
}

#[test]
fn a_file_copied_to_its_own_end_grows_once() {
    let server = TestServer::start();
    // The quota ends what would otherwise fill the disk.
    server.add_user("alice", json!({"quota_size": 100_000_000}));
    let Some(out) = server.python_client("copy_onto_itself.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
    assert_eq!(fs::read(server.home("alice").join("f")).unwrap(), [b'x'; 200]);
}

#[test]
fn one_connection_carries_any_number_of_sessions_in_turn() {
    let server = TestServer::start();
    server.add_user("alice", json!({"max_sessions": 1}));
    let Some(out) = server.python_client("in_turn.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
}
