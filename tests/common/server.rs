//! The server under test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::api::Api;

/// The administrator every test server starts with.
pub const ADMIN: &str = "admin";
pub const ADMIN_PASSWORD: &str = "Adm1n-of-this-test";
/// The password of accounts made by [`TestServer::add_user`].
pub const PASSWORD: &str = "Us3r-of-this-test";

/// The built binary, serving from its own directory on loopback. Stopped on drop.
pub struct TestServer {
    dir: TempDir,
    env: Vec<(String, String)>,
    child: Option<Child>,
    pub sftp_port: u16,
    pub http_port: u16,
    pub telemetry_port: u16,
}

impl TestServer {
    /// With the defaults.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With settings as environment variables without their prefix:
    /// `("COMMON__UPLOAD_MODE", "1")`.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let mut server = Self::prepare(settings);
        server.launch();
        server
    }

    /// Everything but the process: for tests that look at a failing start.
    pub fn prepare(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("sftpgo-test-").tempdir().unwrap();
        let [sftp_port, http_port, telemetry_port] = free_ports();
        let mut env = vec![];
        let mut set = |key: &str, value: &str| env.push((format!("SFTPGO_{key}"), value.into()));
        set("SFTPD__BINDINGS__0__PORT", &sftp_port.to_string());
        set("SFTPD__BINDINGS__0__ADDRESS", "127.0.0.1");
        // One key that is quick to make.
        set("SFTPD__HOST_KEYS", "id_ed25519");
        set("HTTPD__BINDINGS__0__PORT", &http_port.to_string());
        set("HTTPD__BINDINGS__0__ADDRESS", "127.0.0.1");
        set("TELEMETRY__BIND_PORT", &telemetry_port.to_string());
        set("DATA_PROVIDER__CREATE_DEFAULT_ADMIN", "true");
        set("DEFAULT_ADMIN_USERNAME", ADMIN);
        set("DEFAULT_ADMIN_PASSWORD", ADMIN_PASSWORD);
        set("DATA_PROVIDER__PASSWORD_HASHING__BCRYPT_OPTIONS__COST", "4");
        set("COMMON__MAX_PER_HOST_CONNECTIONS", "0");
        for (key, value) in settings {
            set(key, value);
        }
        let server = Self { dir, env, child: None, sftp_port, http_port, telemetry_port };
        fs::create_dir(server.homes()).unwrap();
        server
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, key: &str, value: &str) {
        self.env.push((format!("SFTPGO_{key}"), value.to_owned()));
    }

    /// The command that starts it, not yet spawned.
    pub fn command(&self) -> Command {
        self.subcommand("serve")
    }

    /// Another command with the same configuration.
    pub fn subcommand(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftpgo"));
        command.arg(name).arg("-c").arg(self.dir()).env_clear();
        for name in ["PATH", "HOME", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        command
    }

    /// Starts the process and waits until it says it is healthy.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "already running");
        let out = fs::File::create(self.dir().join("stderr")).unwrap();
        let child = self.command().stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while Api::healthz(self.http_port) != Some(200) {
            let child = self.child.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("server ended at start with {status}\n{}", self.output());
            }
            assert!(Instant::now() < deadline, "server not healthy\n{}", self.output());
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The parent of the accounts' home directories.
    pub fn homes(&self) -> PathBuf {
        self.dir.path().join("homes")
    }

    pub fn home(&self, username: &str) -> PathBuf {
        self.homes().join(username)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// The REST API as the administrator.
    pub fn api(&self) -> Api {
        Api::login(self.http_port, ADMIN, ADMIN_PASSWORD)
    }

    /// Adds an account with every permission and a password; `changes` are fields that
    /// replace the defaults.
    pub fn add_user(&self, username: &str, changes: serde_json::Value) {
        let mut user = serde_json::json!({
            "username": username,
            "password": PASSWORD,
            "status": 1,
            "home_dir": self.home(username),
            "permissions": {"/": ["*"]},
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            user[key] = value.clone();
        }
        let (status, body) = self.api().post("/users", &user);
        assert_eq!(status, 201, "{body}");
    }

    /// Sends a signal by number.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// SIGKILL, and waits for the end.
    pub fn kill_hard(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("running");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("server did not end\n{}", self.output());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// The log so far, one JSON object a line.
    pub fn log(&self) -> Vec<serde_json::Value> {
        let text = self.log_text();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(self.dir().join("sftpgo.log")).unwrap_or_default()
    }

    /// Waits for a log line that `wanted` accepts.
    pub fn wait_for_log(
        &self,
        what: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(line) = self.log().into_iter().find(&wanted) {
                return line;
            }
            assert!(Instant::now() < deadline, "no log line: {what}\n{}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the server printed and logged, for a failing test.
    pub fn output(&self) -> String {
        let stderr = fs::read_to_string(self.dir().join("stderr")).unwrap_or_default();
        let log = self.log_text();
        let tail: Vec<_> = log.lines().rev().take(60).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        format!("--- stderr\n{stderr}\n--- end of the log\n{tail}\n---")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.output());
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports on which nobody listens, for servers that are about to start. They are below those
/// that the system takes for outgoing connections, of which one could come in between.
pub fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u16 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    [(); N].map(|()| {
        loop {
            // Each process begins elsewhere, so that two that test at once seldom meet.
            let number = std::process::id().wrapping_mul(131);
            let number = number.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let port = FIRST + u16::try_from(number).unwrap();
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        }
    })
}

/// Polls until `condition` holds; fails the test after 20 seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
