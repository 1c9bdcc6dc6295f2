//! What operators watch: metrics, health, log lines, fail2ban.

mod common;

use std::process::{Command, Stdio};

use common::TestServer;
use common::clients::{has, run, text};
use common::server::eventually;

fn metrics(server: &TestServer) -> String {
    run(Command::new("curl")
        .args(["-sf", &format!("http://127.0.0.1:{}/metrics", server.telemetry_port)]))
}

#[test]
fn metrics_move_with_use_and_satisfy_promtool() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    std::fs::write(local.path().join("f"), vec![1; 70_000]).unwrap();
    server.sftp_ok("alice", &format!("put {0}/f\nget f {0}/back\n", local.path().display()));
    let shown = metrics(&server);
    let value = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name} is missing\n{shown}"))
    };
    assert_eq!(value("sftpgo_uploads_total"), 1.0);
    assert_eq!(value("sftpgo_downloads_total"), 1.0);
    assert_eq!(value("sftpgo_upload_size"), 70_000.0);
    assert_eq!(value("sftpgo_download_size"), 70_000.0);
    assert_eq!(value("sftpgo_login_ok_total"), 1.0);
    assert_eq!(value("sftpgo_public_key_login_ok_total"), 1.0);
    assert_eq!(value("sftpgo_dataprovider_availability"), 1.0);
    assert!(value("sftpgo_sftp_request_duration_seconds_count") >= 4.0);
    if has("promtool") {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        use std::io::Write;
        promtool.stdin.take().unwrap().write_all(shown.as_bytes()).unwrap();
        let out = promtool.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", text(&out));
    }
}

#[test]
fn transfer_lines_carry_their_fields_in_order() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    std::fs::write(local.path().join("f"), vec![1; 1234]).unwrap();
    server.sftp_ok(
        "alice",
        &format!("mkdir d\nput {}/f d/f\nrename d/f d/g\n", local.path().display()),
    );
    let line = server.wait_for_log("the upload", |line| line["sender"] == "Upload");
    assert_eq!(line["size_bytes"], 1234);
    assert_eq!(line["username"], "alice");
    assert_eq!(line["virtual_path"], "/d/f");
    assert_eq!(line["protocol"], "SFTP");
    let id = line["connection_id"].as_str().unwrap();
    assert!(id.starts_with("SFTP_") && id.ends_with("_1"), "{id}");
    server.wait_for_log("the rename", |line| line["sender"] == "Rename");
    let raw = server.log_text();
    let raw = raw.lines().find(|line| line.contains("\"sender\":\"Upload\"")).unwrap();
    let keys = [
        "level",
        "time",
        "sender",
        "local_addr",
        "remote_addr",
        "elapsed_ms",
        "size_bytes",
        "username",
        "file_path",
        "virtual_path",
        "connection_id",
        "protocol",
    ];
    let mut from = 0;
    for key in keys {
        let at = raw[from..].find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}: {raw}"));
        from += at;
    }
}

#[test]
fn fail2ban_finds_failed_passwords_in_our_log() {
    if !has("fail2ban-regex") {
        return;
    }
    let Some(python) = common::clients::python() else { return };
    let mut server = TestServer::start();
    for _ in 0..3 {
        let out = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/login.py"))
            .args(["127.0.0.1", &server.sftp_port.to_string(), "root", "guess"])
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(10), "{}", text(&out));
    }
    server.stop();
    let out = run(Command::new("fail2ban-regex")
        .arg(server.dir().join("sftpgo.log"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/etc/fail2ban/filter.d/sftpgo.conf")));
    assert!(out.contains("3 matched"), "{out}");
}

#[test]
fn health_tells_the_truth_about_the_provider() {
    let server = TestServer::start();
    let health = || common::api::Api::healthz(server.telemetry_port);
    assert_eq!(health(), Some(200));
    // The database file is lost under the running server.
    std::fs::remove_file(server.dir().join("sftpgo.db")).unwrap();
    eventually("an unhealthy answer", || health().is_some_and(|code| code != 200));
}
