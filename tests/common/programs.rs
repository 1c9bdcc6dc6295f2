//! rsync, told where the server is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::TestServer;
use super::clients::{public_key, text};

/// A server with every command enabled, and `alice` with these changes.
pub fn with_all(changes: Value) -> TestServer {
    let server = TestServer::with(&[("SFTPD__ENABLED_SSH_COMMANDS", "*")]);
    let mut user = json!({"public_keys": [public_key()]});
    for (key, value) in changes.as_object().into_iter().flatten() {
        user[key] = value.clone();
    }
    server.add_user("alice", user);
    fs::create_dir_all(server.home("alice")).unwrap();
    server
}

/// The same, and a directory for what clients have.
pub fn ready(changes: Value) -> (TestServer, tempfile::TempDir) {
    (with_all(changes), tempfile::tempdir().unwrap())
}

/// The `ssh` that rsync and git are told to use.
pub fn ssh_command(server: &TestServer) -> String {
    format!("ssh {} -p {}", server.ssh_options().join(" "), server.sftp_port)
}

/// A client's rsync; arguments that begin with `host:` are about `alice`.
pub fn rsync(server: &TestServer, args: &[&str]) -> Output {
    let mut command = Command::new("rsync");
    command.args(["-e", &ssh_command(server)]);
    for arg in args {
        match arg.strip_prefix("host:") {
            Some(path) => command.arg(format!("alice@127.0.0.1:{path}")),
            None => command.arg(arg),
        };
    }
    command.stdin(Stdio::null()).output().unwrap()
}

pub fn rsync_ok(server: &TestServer, args: &[&str]) {
    let out = rsync(server, args);
    assert!(out.status.success(), "{args:?}: {}\n{}", text(&out), server.output());
}

pub fn rsync_fails(server: &TestServer, args: &[&str], said: &str) {
    let out = rsync(server, args);
    assert!(!out.status.success(), "{args:?}: {}", text(&out));
    assert!(text(&out).contains(said), "{args:?} without {said:?}: {}", text(&out));
}

pub fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
