//! Commands that a client runs over SSH: the built-in ones, and what is refused.

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use common::TestServer;
use common::clients::{has, text};
use common::programs::with_all;
use serde_json::json;

/// `ssh` with a command line, and what it gets on its standard input.
fn ssh(server: &TestServer, line: &str, input: &[u8]) -> Output {
    let mut child = Command::new("ssh")
        .args(server.ssh_options())
        .args(["-T", "-p", &server.sftp_port.to_string(), "alice@127.0.0.1", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read closes the pipe.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn says(server: &TestServer, line: &str, input: &[u8], want: &str) {
    let out = ssh(server, line, input);
    assert_eq!(String::from_utf8_lossy(&out.stdout), want, "{line}: {}", text(&out));
    assert_eq!(out.status.code(), Some(0), "{line}: {}", text(&out));
}

fn fails(server: &TestServer, line: &str, said: &str) {
    let out = ssh(server, line, b"");
    assert_eq!(out.status.code(), Some(1), "{line}: {}", text(&out));
    let shown = String::from_utf8_lossy(&out.stderr);
    assert!(shown.contains(said), "{line}: {shown}");
    assert!(!shown.contains(server.homes().to_str().unwrap()), "a path of the disk: {shown}");
    assert!(out.stdout.is_empty(), "{line}: {}", text(&out));
}

#[test]
fn digests_are_those_of_the_real_programs() {
    if !has("ssh") || !has("sha384sum") {
        return;
    }
    let server = with_all(json!({}));
    let home = server.home("alice");
    let big: Vec<u8> = (0..1_500_000u32).map(|at| (at >> 7) as u8).collect();
    fs::write(home.join("big"), &big).unwrap();
    fs::write(home.join("a b"), "").unwrap();
    for program in ["md5sum", "sha1sum", "sha256sum", "sha384sum", "sha512sum"] {
        let real = |name: &str| {
            let out = Command::new(program).arg(name).current_dir(&home).output().unwrap();
            String::from_utf8(out.stdout).unwrap()
        };
        says(&server, &format!("{program} big"), b"", &real("big"));
        says(&server, &format!("{program} 'a b'"), b"not read", &real("a b"));
        // Of the standard input.
        let of_big = real("big").replace("big", "-");
        says(&server, program, &big, &of_big);
    }
    let line = server.wait_for_log("the command", |line| {
        line["sender"] == "SSHCommand" && line["ssh_command"] == "sha512sum big"
    });
    assert!(line["file_path"].as_str().unwrap().ends_with("alice/big"), "{line}");
    assert_eq!(line["protocol"], "SSH");
    assert!(line["connection_id"].as_str().unwrap().starts_with("SSH_"), "{line}");
    // A digest is no download.
    assert!(!server.log().iter().any(|line| line["sender"] == "Download"));
}

#[test]
fn a_command_is_shown_to_administrators_while_it_runs() {
    if !has("ssh") {
        return;
    }
    let server = with_all(json!({}));
    let mut child = Command::new("ssh")
        .args(server.ssh_options())
        .args(["-T", "-p", &server.sftp_port.to_string(), "alice@127.0.0.1", "sha256sum"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    common::server::eventually("the command", || {
        let connections = api.connections();
        connections.iter().any(|it| it["command"] == "sha256sum" && it["protocol"] == "SSH")
    });
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    common::server::eventually("its end", || api.connections().is_empty());
}

#[test]
fn failures_are_told_without_paths_of_the_disk() {
    if !has("ssh") {
        return;
    }
    let server = with_all(json!({
        "permissions": {"/": ["*"], "/in": ["list", "upload"]},
    }));
    let home = server.home("alice");
    fs::create_dir(home.join("in")).unwrap();
    fs::write(home.join("in/f"), "x").unwrap();
    symlink("/etc/passwd", home.join("out")).unwrap();
    fails(&server, "md5sum missing", "md5sum: missing: no such file");
    fails(&server, "md5sum in", "is a directory");
    fails(&server, "md5sum in/f", "permission denied");
    fails(&server, "md5sum out", "permission denied");
    fails(&server, "md5sum a b", "at most one file");
    fails(&server, "sftpgo-remove", "exactly one path");
    fails(&server, "sftpgo-remove /", "permission denied");
    assert!(home.join("out").is_symlink(), "something of the root was removed");
    fails(&server, "sftpgo-copy in", "are needed");
    fails(&server, "sftpgo-copy in/f copy", "permission denied");
    fails(&server, "sftpgo-copy missing copy", "no such file");
    fails(&server, "sftpgo-remove in", "permission denied");
    fails(&server, "sftpgo-remove missing", "no such file");
    fails(&server, "scp -x -t .", "unknown option -x");
    assert!(home.join("in/f").exists());
    server.wait_for_log("the failure", |line| {
        line["sender"] == "SSH"
            && line["message"]
                .as_str()
                .is_some_and(|m| m.contains("md5sum in/f") && m.contains("download"))
    });
    assert!(!server.log().iter().any(|line| line["sender"] == "sftpgo"), "who spoke is unknown");
    assert!(!server.log().iter().any(|line| line["sender"] == "SSHCommand"));
}

#[test]
fn the_directory_commands_answer_what_clients_expect() {
    if !has("ssh") {
        return;
    }
    let server = with_all(json!({"filters": {"start_directory": "/start"}}));
    says(&server, "pwd", b"", "/start\n");
    says(&server, "cd", b"", "");
    says(&server, "cd /anywhere", b"", "");
}

#[test]
fn a_tree_is_removed_with_its_links_and_nothing_behind_them() {
    if !has("ssh") {
        return;
    }
    let server = with_all(json!({
        "quota_files": 1000,
        "permissions": {"/": ["*"], "/tree/keep": ["list", "upload"]},
    }));
    let home = server.home("alice");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("precious"), "x").unwrap();
    let tree = home.join("tree");
    fs::create_dir_all(tree.join("a/b/c")).unwrap();
    fs::create_dir_all(tree.join("empty")).unwrap();
    for at in 0..600 {
        fs::write(tree.join(format!("a/{at}")), "x").unwrap();
    }
    fs::write(tree.join("a/b/c/deep"), "x").unwrap();
    symlink(outside.path(), tree.join("a/link")).unwrap();
    symlink("a", tree.join("inside")).unwrap();
    fs::create_dir(tree.join("keep")).unwrap();
    fs::write(tree.join("keep/this"), "x").unwrap();
    fails(&server, "sftpgo-remove tree", "permission denied");
    assert!(tree.join("keep/this").exists());
    fs::rename(tree.join("keep"), home.join("kept")).unwrap();
    if tree.exists() {
        says(&server, "sftpgo-remove /tree", b"", "");
    }
    assert!(!tree.exists());
    assert!(outside.path().join("precious").exists());
    says(&server, "sftpgo-remove kept/this", b"", "");
    assert!(home.join("kept").exists() && !home.join("kept/this").exists());
}

#[test]
fn files_and_trees_are_copied_on_the_server() {
    if !has("ssh") {
        return;
    }
    let server = with_all(json!({"quota_files": 100}));
    let home = server.home("alice");
    fs::create_dir_all(home.join("tree/sub")).unwrap();
    fs::write(home.join("tree/sub/file"), "content").unwrap();
    says(&server, "sftpgo-copy tree/sub/file one", b"", "");
    says(&server, "sftpgo-copy tree 'another tree'", b"", "");
    assert_eq!(fs::read_to_string(home.join("one")).unwrap(), "content");
    assert_eq!(fs::read_to_string(home.join("another tree/sub/file")).unwrap(), "content");
    assert_eq!(server.api().get("/users/alice").1["used_quota_files"], 2);
    let line = server.wait_for_log("the command", |line| {
        line["sender"] == "SSHCommand" && line["ssh_command"] == "sftpgo-copy tree/sub/file one"
    });
    assert!(line["target_path"].as_str().unwrap().ends_with("alice/one"), "{line}");
}

#[test]
fn only_enabled_commands_run() {
    if !has("ssh") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__ENABLED_SSH_COMMANDS", "pwd,cd")]);
    server.add_key_user("alice");
    says(&server, "pwd", b"", "/\n");
    for line in ["md5sum", "scp -t .", "rsync --server . x", "id", "pwd;id", "sh -c pwd", "pwd 'x"]
    {
        let out = ssh(&server, line, b"");
        assert!(!out.status.success(), "{line}: {}", text(&out));
        assert!(out.stdout.is_empty(), "{line}: {}", text(&out));
        assert!(text(&out).contains("exec request failed"), "{line}: {}", text(&out));
        server.wait_for_log("the refusal", |entry| {
            entry["message"].as_str().is_some_and(|m| {
                m.contains(&format!("\"{}\"", line.escape_debug())) && m.contains("refused")
            })
        });
    }
}

#[test]
fn the_metrics_count_commands() {
    if !has("ssh") || !has("curl") {
        return;
    }
    let server = with_all(json!({}));
    says(&server, "pwd", b"", "/\n");
    says(&server, "cd", b"", "");
    fails(&server, "md5sum missing", "no such file");
    let url = format!("http://127.0.0.1:{}/metrics", server.telemetry_port);
    let metrics = common::clients::run(Command::new("curl").args(["-sf", &url]));
    assert!(metrics.contains("sftpgo_ssh_commands_total 2"), "{metrics}");
    assert!(metrics.contains("sftpgo_ssh_command_errors_total 1"), "{metrics}");
}

#[test]
fn an_unknown_command_stops_the_start() {
    let server = TestServer::prepare(&[("SFTPD__ENABLED_SSH_COMMANDS", "md5sum,md6sum")]);
    let out = server.command().output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    for said in ["enabled_ssh_commands", "md6sum", "git-upload-pack"] {
        assert!(text(&out).contains(said), "{}", text(&out));
    }
}

#[test]
fn a_client_that_leaves_or_floods_ends_its_command() {
    let server = with_all(json!({}));
    let big = fs::File::create(server.home("alice").join("big")).unwrap();
    big.set_len(50 * 1024 * 1024 * 1024).unwrap();
    let Some(out) = server.python_client("commands.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}\n{}", text(&out), server.output());
    let api = server.api();
    common::server::eventually("no session is left", || api.connections().is_empty());
}
