//! The old protocol of scp, with the clients that speak it.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use common::TestServer;
use common::clients::{has, key, public_key, run, text};
use common::server::{PASSWORD, eventually};
use serde_json::json;

/// `scp -O` with more options and its two or more paths; `host:` stands for the account.
fn scp(server: &TestServer, username: &str, args: &[&str]) -> Output {
    let host = format!("{username}@127.0.0.1:");
    let mut command = Command::new("scp");
    command.arg("-O").args(server.ssh_options()).args(["-P", &server.sftp_port.to_string()]);
    for arg in args {
        match arg.strip_prefix("host:") {
            Some(path) => command.arg(format!("{host}{path}")),
            None => command.arg(arg),
        };
    }
    command.stdin(Stdio::null()).output().unwrap()
}

fn scp_ok(server: &TestServer, args: &[&str]) {
    let out = scp(server, "alice", args);
    assert!(out.status.success(), "{args:?}: {}", text(&out));
}

fn scp_fails(server: &TestServer, args: &[&str], said: &str) {
    let out = scp(server, "alice", args);
    assert!(!out.status.success(), "{args:?}: {}", text(&out));
    assert!(text(&out).contains(said), "{args:?} without {said:?}: {}", text(&out));
}

/// A server with the account `alice`, and a directory of the client.
fn ready() -> (TestServer, tempfile::TempDir) {
    let server = TestServer::start();
    server.add_key_user("alice");
    fs::create_dir_all(server.home("alice")).unwrap();
    (server, tempfile::tempdir().unwrap())
}

fn path(dir: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = dir.path().join(name);
    let shown = path.to_str().unwrap().to_owned();
    (path, shown)
}

/// Bytes that are no pattern of 32 KiB.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn set_modified(path: &Path, unix_secs: u64) {
    let file = fs::File::options().read(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_secs)).unwrap();
}

#[test]
fn the_whole_account_can_be_downloaded() {
    if !has("scp") {
        return;
    }
    let (server, local) = ready();
    fs::write(server.home("alice").join("f"), "x").unwrap();
    for (at, source) in ["host:/", "host:", "host:."].into_iter().enumerate() {
        let (target, shown) = path(&local, &format!("copy{at}"));
        // Into a directory that is there it gets the name of the account.
        fs::create_dir(&target).unwrap();
        scp_ok(&server, &["-r", source, &shown]);
        assert_eq!(fs::read(target.join("alice/f")).unwrap(), b"x", "{source}");
    }
    let (target, shown) = path(&local, "new");
    scp_ok(&server, &["-r", "host:/", &shown]);
    assert_eq!(fs::read(target.join("f")).unwrap(), b"x");
}

#[test]
fn files_go_both_ways_and_arrive_whole() {
    if !has("scp") {
        return;
    }
    let (server, local) = ready();
    let home = server.home("alice");
    for len in [0, 1, 4096, 100_000, 3_000_000] {
        let (from, from_shown) = path(&local, "from");
        fs::write(&from, content(len)).unwrap();
        scp_ok(&server, &[&from_shown, "host:up"]);
        assert_eq!(fs::read(home.join("up")).unwrap(), content(len));
        let (back, back_shown) = path(&local, "back");
        scp_ok(&server, &["host:/up", &back_shown]);
        assert_eq!(fs::read(back).unwrap(), content(len));
    }
    // Into directories, under the name they have.
    fs::create_dir(home.join("dir")).unwrap();
    let (_, shown) = path(&local, "from");
    scp_ok(&server, &[&shown, "host:dir"]);
    scp_ok(&server, &[&shown, "host:"]);
    assert!(home.join("dir/from").is_file() && home.join("from").is_file());
    // The transfers are listed as those of SCP.
    server.wait_for_log("an upload", |line| {
        line["sender"] == "Upload" && line["protocol"] == "SCP" && line["size_bytes"] == 3_000_000
    });
    server.wait_for_log("a download", |line| {
        line["sender"] == "Download"
            && line["protocol"] == "SCP"
            && line["virtual_path"] == "/up"
            && line["connection_id"].as_str().is_some_and(|id| id.starts_with("SCP_"))
    });
}

#[test]
fn trees_keep_their_shape_times_and_modes() {
    if !has("scp") {
        return;
    }
    let (server, local) = ready();
    let home = server.home("alice");
    let (tree, tree_shown) = path(&local, "tree");
    fs::create_dir_all(tree.join("a/empty")).unwrap();
    fs::create_dir_all(tree.join("b b")).unwrap();
    for (name, len) in [("a/1", 1000), ("b b/zwei ü", 70_000), ("-rf", 3), ("x'y\"z", 4)] {
        fs::write(tree.join(name), content(len)).unwrap();
        set_modified(&tree.join(name), 1_500_000_000);
    }
    fs::set_permissions(tree.join("a/1"), fs::Permissions::from_mode(0o600)).unwrap();
    set_modified(&tree.join("a"), 1_400_000_000);

    scp_ok(&server, &["-r", "-p", &tree_shown, "host:"]);
    let stored = home.join("tree");
    run(Command::new("diff").arg("-r").arg(&tree).arg(&stored));
    assert_eq!(fs::metadata(stored.join("a/1")).unwrap().mtime(), 1_500_000_000);
    assert_eq!(fs::metadata(stored.join("a")).unwrap().mtime(), 1_400_000_000);
    assert_eq!(fs::metadata(stored.join("a/1")).unwrap().mode() & 0o777, 0o600);

    // A second time it goes into the directory that is there, and replaces the files.
    scp_ok(&server, &["-r", "-p", &tree_shown, "host:"]);
    run(Command::new("diff").arg("-r").arg(&tree).arg(&stored));
    // Under another name.
    scp_ok(&server, &["-r", &tree_shown, "host:copy"]);
    run(Command::new("diff").arg("-r").arg(&tree).arg(home.join("copy")));

    // Back, without what is no file: a link to outside, and a pipe.
    symlink("/etc/passwd", stored.join("link")).unwrap();
    symlink("a/1", stored.join("inside")).unwrap();
    run(Command::new("mkfifo").arg(stored.join("pipe")));
    let (back, back_shown) = path(&local, "back");
    scp_ok(&server, &["-r", "-p", "host:tree", &back_shown]);
    run(Command::new("diff").arg("-r").arg(&tree).arg(&back));
    assert_eq!(fs::metadata(back.join("b b/zwei ü")).unwrap().mtime(), 1_500_000_000);
}

#[test]
fn what_cannot_be_done_is_said_and_the_rest_is_done() {
    if !has("scp") {
        return;
    }
    let (server, local) = ready();
    let home = server.home("alice");
    let (_, one) = path(&local, "one");
    fs::write(&one, "1").unwrap();
    scp_fails(&server, &["host:missing", &one], "no such file");
    fs::create_dir(home.join("dir")).unwrap();
    scp_fails(&server, &["host:dir", &one], "not a regular file");
    scp_fails(&server, &[&one, "host:missing/"], "no such file");
    scp_fails(&server, &[&one, "host:no/where"], "no such file");
    let (_, two) = path(&local, "two");
    fs::write(&two, "2").unwrap();
    fs::write(home.join("file"), "x").unwrap();
    scp_fails(&server, &[&one, &two, "host:file"], "not a directory");
    // A link out of the home is not followed, in neither direction.
    symlink("/etc/passwd", home.join("out")).unwrap();
    scp_fails(&server, &["host:out", &one], "permission denied");
    scp_fails(&server, &[&one, "host:out"], "permission denied");
    assert!(fs::read_to_string("/etc/passwd").unwrap().contains("root"));
    // One of several.
    let (back, back_shown) = path(&local, "back");
    fs::create_dir(&back).unwrap();
    fs::create_dir(home.join("tree")).unwrap();
    fs::write(home.join("tree/good"), "good").unwrap();
    fs::write(home.join("tree/bad\nname"), "bad").unwrap();
    scp_fails(&server, &["-r", "host:tree", &back_shown], "newline");
    assert_eq!(fs::read_to_string(back.join("tree/good")).unwrap(), "good");
    assert_eq!(fs::read_dir(back.join("tree")).unwrap().count(), 1);
}

#[test]
fn permissions_and_quota_are_those_of_every_protocol() {
    if !has("scp") {
        return;
    }
    let server = TestServer::with(&[("COMMON__UPLOAD_MODE", "1")]);
    server.add_user(
        "alice",
        json!({
            "public_keys": [public_key()],
            "quota_size": 100_000,
            "permissions": {"/": ["*"], "/in": ["upload", "create_dirs"], "/out": ["list", "download"]},
        }),
    );
    let home = server.home("alice");
    for dir in ["in", "out"] {
        fs::create_dir_all(home.join(dir)).unwrap();
    }
    let local = tempfile::tempdir().unwrap();
    let (_, small) = path(&local, "small");
    fs::write(&small, "small").unwrap();
    let (_, big) = path(&local, "big");
    fs::write(&big, content(500_000)).unwrap();

    scp_ok(&server, &[&small, "host:in"]);
    scp_ok(&server, &[&small, "host:in/other"]);
    fs::rename(home.join("in/small"), home.join("in/first")).unwrap();
    scp_ok(&server, &[&small, "host:in/"]);
    assert!(home.join("in/small").is_file() && home.join("in/other").is_file());
    scp_fails(&server, &[&small, "host:in/small"], "permission denied");
    scp_fails(&server, &[&small, "host:out/x"], "permission denied");
    scp_fails(&server, &["host:in/small", &big], "permission denied");
    fs::write(home.join("out/there"), "there").unwrap();
    scp_ok(&server, &["host:out/there", &small]);
    scp_fails(&server, &["-r", "host:in", &small], "permission denied");
    fs::write(&small, "small").unwrap();

    scp_fails(&server, &[&big, "host:big"], "denying write due to space limit");
    assert!(!home.join("big").exists());
    // After the failure the next file is taken.
    scp_fails(&server, &[&big, &small, "host:"], "denying write due to space limit");
    assert_eq!(fs::read_to_string(home.join("small")).unwrap(), "small");
    let names: Vec<_> =
        fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "something was left behind: {names:?}");
    let user = server.api().get("/users/alice").1;
    assert_eq!(user["used_quota_files"], 4, "{user}");
}

#[test]
fn two_servers_exchange_files_through_the_client() {
    if !has("scp") {
        return;
    }
    let (first, _local) = ready();
    let (second, _other) = ready();
    fs::create_dir(first.home("alice").join("tree")).unwrap();
    fs::write(first.home("alice").join("tree/file"), content(1_000_000)).unwrap();
    let url = |server: &TestServer, path: &str| {
        format!("scp://alice@127.0.0.1:{}/{path}", server.sftp_port)
    };
    let mut command = Command::new("scp");
    command.args(["-O", "-3", "-r"]).args(first.ssh_options());
    run(command.arg(url(&first, "tree")).arg(url(&second, "")));
    let copied = second.home("alice").join("tree/file");
    assert_eq!(fs::read(copied).unwrap(), content(1_000_000));
}

#[test]
fn putty_and_dropbear_speak_it_too() {
    let (server, local) = ready();
    let home = server.home("alice");
    let (from, from_shown) = path(&local, "from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("file"), content(200_000)).unwrap();
    let (back, back_shown) = path(&local, "back");
    if has("pscp") {
        let port = server.sftp_port.to_string();
        let pscp = |args: &[&str]| {
            let mut command = Command::new("pscp");
            command
                .args(["-scp", "-batch", "-r", "-p", "-P", &port, "-pw", PASSWORD])
                .args(["-hostkey", &host_key(&server)])
                .args(args)
                .env("HOME", local.path());
            run(&mut command)
        };
        pscp(&[&from_shown, "alice@127.0.0.1:putty"]);
        assert_eq!(fs::read(home.join("putty/file")).unwrap(), content(200_000));
        pscp(&["alice@127.0.0.1:putty", &back_shown]);
        assert_eq!(fs::read(back.join("file")).unwrap(), content(200_000));
        fs::remove_dir_all(&back).unwrap();
    }
    if has("dbclient") && has("scp") && has("dropbearconvert") {
        let (_, converted) = path(&local, "key");
        let mut convert = Command::new("dropbearconvert");
        run(convert.args(["openssh", "dropbear"]).arg(key()).arg(&converted));
        let (program, program_shown) = path(&local, "dropbear-ssh");
        fs::write(
            &program,
            // OpenSSH's scp passes options of its own program.
            format!(
                "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\n\
                 exec dbclient -y -y -i {converted} -p {} -l alice \"$@\"\n",
                server.sftp_port
            ),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let dropbear = |args: &[&str]| {
            let mut command = Command::new("scp");
            command.args(["-O", "-r", "-S", &program_shown]).args(args).env("HOME", local.path());
            run(&mut command)
        };
        dropbear(&[&from_shown, "127.0.0.1:dropbear"]);
        assert_eq!(fs::read(home.join("dropbear/file")).unwrap(), content(200_000));
        dropbear(&["127.0.0.1:dropbear", &back_shown]);
        assert_eq!(fs::read(back.join("file")).unwrap(), content(200_000));
    }
}

/// The fingerprint of the server's key.
fn host_key(server: &TestServer) -> String {
    let public = server.dir().join("id_ed25519.pub");
    let shown = run(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(public));
    shown.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_hostile_peer_gains_nothing() {
    let server = TestServer::with(&[("COMMON__UPLOAD_MODE", "1")]);
    server.add_key_user("alice");
    let Some(out) = server.python_client("scp_hostile.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}\n{}", text(&out), server.output());
    let mut names: Vec<_> = fs::read_dir(server.home("alice"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["dir", "good"]);
    assert!(!server.homes().join("escaped").exists());
    assert!(!server.log_text().contains("panic"));
}

#[test]
fn a_client_that_stops_reading_is_gone_when_its_session_is_killed() {
    if !has("scp") {
        return;
    }
    let (server, _local) = ready();
    let big = server.home("alice").join("big");
    fs::File::create(&big).unwrap().set_len(400 * 1024 * 1024).unwrap();
    let Some(python) = common::clients::python() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/scp_stopped.py");
    let mut client = Command::new(python)
        .arg(script)
        .args(["127.0.0.1", &server.sftp_port.to_string(), "alice", PASSWORD])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let api = server.api();
    eventually("a transfer that stands still", || {
        api.connections().iter().any(|session| {
            session["protocol"] == "SCP"
                && session["active_transfers"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|t| t["size"].as_u64() > Some(1_000_000)))
        })
    });
    let id = api.connections()[0]["connection_id"].as_str().unwrap().to_owned();
    let started = std::time::Instant::now();
    assert_eq!(api.delete(&format!("/connections/{id}")).0, 200);
    while !api.connections().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "the session lives on");
    }
    client.kill().unwrap();
    client.wait().unwrap();
}
