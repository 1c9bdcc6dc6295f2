//! Real clients, told where the server is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::server::{PASSWORD, TestServer};

/// True when the program is there. A missing one skips the test with a printed reason,
/// but fails it in CI: the test command installs it.
pub fn has(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    if !found {
        missing(program);
    }
    found
}

fn missing(what: &str) {
    if std::env::var_os("CI").is_some() {
        panic!("{what} is missing: run scripts/test, which installs it");
    }
    eprintln!("skipped: {what} is not installed; scripts/test installs it");
}

/// The Python of the test environment, with paramiko, asyncssh and the API client.
pub fn python() -> Option<PathBuf> {
    let venv = std::env::var_os("SFTPGO_TEST_VENV").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache/sftpgo/test-venv"))
    })?;
    let python = venv.join("bin/python");
    if python.exists() {
        return Some(python);
    }
    missing("the Python test environment");
    None
}

/// A key pair shared by all tests of one process; made by ssh-keygen.
pub fn key() -> &'static Path {
    static KEY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &KEY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(&path)
            .status()
            .expect("ssh-keygen is installed");
        assert!(status.success());
        (dir, path)
    })
    .1
}

/// The public half, as an authorized-keys line.
pub fn public_key() -> String {
    std::fs::read_to_string(key().with_extension("pub")).unwrap().trim().to_owned()
}

/// Options that keep an OpenSSH program from everything but [`key`] and the address it
/// is given.
pub fn ssh_options() -> Vec<String> {
    [
        "-F",
        "/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "IdentityAgent=none",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=20",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(["-i".to_owned(), key().display().to_string()])
    .collect()
}

impl TestServer {
    /// An account that logs in with [`key`] and with the password.
    pub fn add_key_user(&self, username: &str) {
        self.add_user(username, serde_json::json!({"public_keys": [public_key()]}));
    }

    /// Options that point an OpenSSH program at this server and nothing else.
    pub fn ssh_options(&self) -> Vec<String> {
        ssh_options()
    }

    /// `sftp` with a batch of commands, authenticated by [`key`].
    pub fn sftp(&self, username: &str, batch: &str) -> Output {
        self.sftp_with(username, batch, &[])
    }

    pub fn sftp_with(&self, username: &str, batch: &str, extra: &[&str]) -> Output {
        use std::io::Write;
        let mut child = self
            .sftp_command(username, extra)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sftp is installed");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(batch.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// `sftp -b -` not yet spawned.
    pub fn sftp_command(&self, username: &str, extra: &[&str]) -> Command {
        let mut command = Command::new("sftp");
        command
            .args(self.ssh_options())
            .args(extra)
            .args(["-b", "-", "-P", &self.sftp_port.to_string()])
            .arg(format!("{username}@127.0.0.1"));
        command
    }

    /// The same batch, which must succeed; its standard output.
    pub fn sftp_ok(&self, username: &str, batch: &str) -> String {
        let out = self.sftp(username, batch);
        assert!(out.status.success(), "sftp failed: {}", text(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// A Python client script below `tests/clients`, with host, port, user and password
    /// as its first arguments.
    pub fn python_client<S: AsRef<OsStr>>(
        &self,
        script: &str,
        username: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Option<Output> {
        let out = Command::new(python()?)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script))
            .args(["127.0.0.1", &self.sftp_port.to_string(), username, PASSWORD])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Some(out)
    }
}

/// `sftp` that answers questions through `askpass.sh`, with options of OpenSSH and
/// variables for the answers.
pub fn asked(
    server: &TestServer,
    username: &str,
    options: &[&str],
    answers: &[(&str, &str)],
) -> Output {
    let mut command = Command::new("sftp");
    command.args(["-F", "/dev/null"]);
    for option in options {
        command.args(["-o", option]);
    }
    for option in [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "NumberOfPasswordPrompts=1",
        "ConnectTimeout=20",
    ] {
        command.args(["-o", option]);
    }
    let mut child = command
        .arg("-i")
        .arg(key())
        .args(["-P", &server.sftp_port.to_string()])
        .arg(format!("{username}@127.0.0.1"))
        .env("SSH_ASKPASS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/askpass.sh"))
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("PASSWORD", PASSWORD)
        .env("ASKED", server.dir().join("asked"))
        .envs(answers.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sftp is installed");
    // A client that was refused has closed its end.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"pwd\n");
    child.wait_with_output().unwrap()
}

/// Whether [`asked`] got a session.
pub fn is_in(out: &Output) -> bool {
    let shown = text(out);
    let entered = shown.contains("Remote working directory: /");
    assert!(entered || shown.contains("Permission denied"), "{shown}");
    entered
}

/// Both outputs of a finished program.
pub fn text(out: &Output) -> String {
    format!(
        "{}\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", text(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
