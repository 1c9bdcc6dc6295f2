//! The commands around the server, and how a start succeeds or fails.

mod common;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::TestServer;
use common::clients::{has, run, text};
use common::server::{ADMIN, PASSWORD, eventually};
use serde_json::{Value, json};

/// A command that must end by itself.
fn finish(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("did not end: {}", text(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// A start that must fail with status 1; what it said, without a trace of a panic.
fn refused(server: &TestServer) -> String {
    let out = finish(server.command());
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    let shown = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!shown.contains("panicked"), "{shown}");
    shown
}

fn initprovider(server: &TestServer, args: &[&str]) -> Output {
    let mut command = server.subcommand("initprovider");
    command.args(args);
    finish(command)
}

/// The settings of the harness that make an administrator are about `serve` alone.
fn without_default_admin() -> TestServer {
    TestServer::prepare(&[("DATA_PROVIDER__CREATE_DEFAULT_ADMIN", "false")])
}

/// Everything of a running server as a file.
fn dump_of(server: &TestServer, path: &Path) -> Value {
    let (status, dump) = server.api().get("/dumpdata?output-data=1");
    assert_eq!(status, 200, "{dump}");
    fs::write(path, dump.to_string()).unwrap();
    dump
}

/// Whether the account's password works, through a real client.
fn logs_in(server: &TestServer, username: &str) -> Option<bool> {
    let out = server.python_client("login.py", username, [""; 0])?;
    assert!(matches!(out.status.code(), Some(0 | 10)), "{}", text(&out));
    Some(out.status.success())
}

#[test]
fn initprovider_makes_a_store_once_and_then_finds_it_current() {
    let server = without_default_admin();
    let database = server.dir().join("sftpgo.db");
    for expected in ["initialised", "already up to date"] {
        let out = initprovider(&server, &[]);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out));
        assert!(text(&out).contains(expected), "{}", text(&out));
        assert!(database.exists());
    }
    fs::write(&database, "this is no database, whatever its name says\n".repeat(100)).unwrap();
    let out = initprovider(&server, &[]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("data provider"), "{}", text(&out));
}

#[test]
fn a_dump_moves_accounts_with_their_passwords_to_another_server() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("dump.json");
    let file = path.to_str().unwrap();
    let old = TestServer::start();
    old.add_user("alice", json!({}));
    dump_of(&old, &path);

    let mut new = without_default_admin();
    let out = initprovider(&new, &["--loaddata-from", file, "--loaddata-clean"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(!path.exists(), "the dump was to be removed");
    new.launch();
    assert_eq!(new.api().get("/users/alice").0, 200);
    let Some(works) = logs_in(&new, "alice") else { return };
    assert!(works, "the old password does not work on the new server");
}

#[test]
fn a_dump_that_cannot_be_loaded_changes_nothing_and_stays() {
    let mut server = without_default_admin();
    let path = server.dir().join("broken.json");
    fs::write(&path, r#"{"users": [{"username": "alice"}, 7]}"#).unwrap();
    let file = path.to_str().unwrap().to_owned();
    let out = initprovider(&server, &["--loaddata-from", &file, "--loaddata-clean"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains(&file), "{}", text(&out));
    assert!(path.exists());

    server.set("LOADDATA_FROM", &file);
    assert!(refused(&server).contains(&file));
    server.set("LOADDATA_FROM", "/nonexistent/dump.json");
    assert!(refused(&server).contains("/nonexistent/dump.json"));
    server.set("LOADDATA_FROM", "");
    server.set("DATA_PROVIDER__CREATE_DEFAULT_ADMIN", "true");
    server.launch();
    assert_eq!(server.api().get("/users/alice").0, 404);
}

/// A dump with an account that exists and one that does not.
fn write_dump(path: &Path, homes: &Path) {
    let user = |name: &str| {
        json!({"username": name, "status": 1, "password": PASSWORD, "description": "from the dump",
               "home_dir": homes.join(name), "permissions": {"/": ["*"]}, "quota_files": 100})
    };
    fs::write(path, json!({"users": [user("alice"), user("bob")]}).to_string()).unwrap();
}

fn description(server: &TestServer, username: &str) -> Value {
    let (status, user) = server.api().get(&format!("/users/{username}"));
    assert_eq!(status, 200, "{user}");
    user["description"].clone()
}

#[test]
fn serve_loads_a_dump_by_its_mode_then_scans_and_cleans() {
    let mut server = TestServer::start();
    server.add_user("alice", json!({"description": "as it was"}));
    for (name, files) in [("alice", 2), ("bob", 3)] {
        fs::create_dir_all(server.home(name)).unwrap();
        for at in 0..files {
            fs::write(server.home(name).join(format!("file-{at}")), [7; 1000]).unwrap();
        }
    }
    assert!(server.stop().success());
    let path = server.dir().join("dump.json");
    write_dump(&path, &server.homes());

    // Mode 1, the default: only what is missing is added; nobody is scanned.
    server.set("LOADDATA_FROM", path.to_str().unwrap());
    server.launch();
    assert_eq!(description(&server, "alice"), "as it was");
    assert_eq!(description(&server, "bob"), "from the dump");
    assert_eq!(server.api().get("/users/bob").1["used_quota_files"].as_u64().unwrap_or(0), 0);
    assert!(path.exists());
    assert!(server.stop().success());

    // Mode 0: what exists is replaced; everybody is scanned, and the dump goes away.
    server.set("LOADDATA_MODE", "0");
    server.set("LOADDATA_QUOTA_SCAN", "1");
    server.set("LOADDATA_CLEAN", "1");
    server.launch();
    assert_eq!(description(&server, "alice"), "from the dump");
    let api = server.api();
    for (name, files) in [("alice", 2), ("bob", 3)] {
        eventually("the scan", || {
            let user = api.get(&format!("/users/{name}")).1;
            user["used_quota_files"] == files && user["used_quota_size"] == files * 1000
        });
    }
    assert!(!path.exists());
    assert!(server.stop().success());
}

#[test]
fn with_update_mode_1_only_initprovider_touches_the_store() {
    let mut server = TestServer::prepare(&[("DATA_PROVIDER__UPDATE_MODE", "1")]);
    let shown = refused(&server);
    assert!(shown.contains("update_mode") && shown.contains("initprovider"), "{shown}");
    let out = initprovider(&server, &[]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    server.launch();
    assert!(server.stop().success());
}

#[test]
fn a_store_of_a_newer_version_is_refused_by_every_command() {
    if !has("sqlite3") {
        return;
    }
    let server = without_default_admin();
    assert!(initprovider(&server, &[]).status.success());
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    run(Command::new("sqlite3").arg(server.dir().join("sftpgo.db")).arg(newer));
    let out = initprovider(&server, &[]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    for shown in [text(&out), refused(&server)] {
        assert!(shown.contains("newer") && shown.contains("29990101000000"), "{shown}");
    }
}

#[test]
fn ping_follows_the_server() {
    let mut server = TestServer::prepare(&[]);
    let ping = |server: &TestServer| finish(server.subcommand("ping"));
    let out = ping(&server);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains(&server.http_port.to_string()), "{}", text(&out));
    server.launch();
    let out = ping(&server);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(server.stop().success());
    assert_eq!(ping(&server).status.code(), Some(1));
}

#[test]
fn a_configuration_without_any_service_does_not_start() {
    let server = TestServer::prepare(&[
        ("SFTPD__BINDINGS__0__PORT", "0"),
        ("HTTPD__BINDINGS__0__PORT", "0"),
    ]);
    let shown = refused(&server);
    assert!(shown.contains("no service is enabled"), "{shown}");
}

#[test]
fn one_service_is_enough() {
    let mut server = TestServer::prepare(&[("SFTPD__BINDINGS__0__PORT", "0")]);
    server.launch();
    assert!(server.stop().success());
    // The HTTP server alone is asked for health, so only telemetry can answer here.
    let mut server = TestServer::prepare(&[("HTTPD__BINDINGS__0__PORT", "0")]);
    server.http_port = server.telemetry_port;
    server.launch();
    assert!(server.stop().success());
}

#[test]
fn an_empty_log_path_sends_the_log_to_stderr() {
    let mut server = TestServer::prepare(&[("LOG_FILE_PATH", ""), ("LOG_LEVEL", "info")]);
    server.launch();
    assert!(server.stop().success());
    let shown = fs::read_to_string(server.dir().join("stderr")).unwrap();
    let lines: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let said = |what: &str| {
        lines.iter().any(|line| line["message"].as_str().is_some_and(|text| text.contains(what)))
    };
    assert!(said("started") && said("stopped"), "{shown}");
    assert!(lines.iter().all(|line| line["level"] != "debug"), "{shown}");
    assert!(!server.dir().join("sftpgo.log").exists());
}

/// Ends what the test started, however the test ends.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next message that systemd would get.
fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let read = socket.recv(&mut buffer).expect("a message within a minute");
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[test]
fn systemd_learns_when_the_server_is_ready_and_when_it_stops() {
    let server = TestServer::prepare(&[]);
    let path: PathBuf = server.dir().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut child = Reaped(
        server
            .command()
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    assert!(told(&socket).contains("READY=1"));
    // Ready means that a client gets in now.
    std::net::TcpStream::connect(("127.0.0.1", server.sftp_port)).unwrap();
    let api = server.api();
    assert_eq!(api.get("/version").0, 200);
    let pid = child.0.id().to_string();
    run(Command::new("kill").args(["-HUP", &pid]));
    assert!(told(&socket).contains("RELOADING=1"));
    assert!(told(&socket).contains("READY=1"));
    run(Command::new("kill").args(["-TERM", &pid]));
    assert!(told(&socket).contains("STOPPING=1"));
    let mut status = None;
    eventually("the end", || {
        status = child.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

/// What the server says first on a new connection.
fn ident(server: &TestServer) -> String {
    use std::io::{BufRead, BufReader};
    let stream = std::net::TcpStream::connect(("127.0.0.1", server.sftp_port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn files_in_env_d_set_what_the_environment_leaves_open() {
    let mut server = TestServer::prepare(&[]);
    let env_d = server.dir().join("env.d");
    fs::create_dir(&env_d).unwrap();
    fs::write(env_d.join("10-ident.env"), "# for scanners\nSFTPGO_COMMON__SERVER_VERSION=short\n")
        .unwrap();
    // Port 1 would fail; the environment has another one, which counts.
    fs::write(env_d.join("20-port.env"), "SFTPGO_SFTPD__BINDINGS__0__PORT=1\n").unwrap();
    server.launch();
    assert_eq!(ident(&server), "SSH-2.0-SFTPGo");
    assert!(server.stop().success());

    fs::write(env_d.join("30-wrong.env"), "SFTPGO_COMMON__UPLOAD_MODE=sometimes\n").unwrap();
    let shown = refused(&server);
    assert!(shown.contains("upload_mode") && shown.contains("sometimes"), "{shown}");
}

#[test]
fn the_first_administrator_is_made_once_and_never_changed() {
    let mut server = TestServer::start();
    assert_eq!(server.api().get(&format!("/admins/{ADMIN}")).0, 200);
    assert!(server.stop().success());
    server.set("DEFAULT_ADMIN_USERNAME", "other");
    server.set("DEFAULT_ADMIN_PASSWORD", "An0ther-of-this-test");
    server.launch();
    assert_eq!(server.api().get("/admins/other").0, 404);
}

#[test]
fn a_low_soft_limit_of_open_files_is_raised() {
    let server = TestServer::prepare(&[]);
    let serve = server.command();
    // The shell lowers its own limit and becomes the server.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 64 && exec \"$@\"", "sh"]).arg(serve.get_program());
    limited.args(serve.get_args()).env_clear();
    for (name, value) in serve.get_envs() {
        limited.env(name, value.unwrap_or_default());
    }
    let child = Reaped(limited.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the start", || common::api::Api::healthz(server.http_port) == Some(200));
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.0.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_ne!(numbers[0], "64", "{line}");
    assert_eq!(numbers[0], numbers[1], "{line}");
}

#[test]
fn accounts_in_memory_come_from_a_dump_at_each_start_and_nothing_is_kept() {
    let source = TestServer::start();
    source.add_user("alice", json!({}));
    let mut server = TestServer::prepare(&[
        ("DATA_PROVIDER__DRIVER", "memory"),
        ("DATA_PROVIDER__NAME", "accounts.json"),
        ("DATA_PROVIDER__UPDATE_MODE", "1"),
        ("DATA_PROVIDER__CREATE_DEFAULT_ADMIN", "false"),
    ]);
    let shown = refused(&server);
    assert!(shown.contains("data_provider.name") && shown.contains("accounts.json"), "{shown}");
    let dump = server.dir().join("accounts.json");
    dump_of(&source, &dump);
    for _ in 0..2 {
        server.launch();
        let names: Vec<_> = server.api().get("/users").1.as_array().unwrap().clone();
        let names: Vec<_> = names.iter().map(|user| user["username"].as_str().unwrap()).collect();
        assert_eq!(names, ["alice"], "of the dump, and of nothing before");
        server.add_user("bob", json!({}));
        assert!(server.stop().success());
    }
    assert!(!server.dir().join("sftpgo.db").exists());

    let out = initprovider(&server, &[]);
    assert!(out.status.success() && text(&out).contains("nothing to do"), "{}", text(&out));
    let out = initprovider(&server, &["--loaddata-from", dump.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("--loaddata-from"), "{}", text(&out));
}
