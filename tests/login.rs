//! Who gets in, and who does not.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::TestServer;
use common::api::Api;
use common::clients::{has, public_key, run, text};
use common::server::{ADMIN, ADMIN_PASSWORD, PASSWORD};
use serde_json::json;

/// Password login through a real client; true when it got a session.
fn password_login(server: &TestServer, username: &str, password: &str) -> Option<bool> {
    let python = common::clients::python()?;
    let out = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/login.py"))
        .args(["127.0.0.1", &server.sftp_port.to_string(), username, password])
        .output()
        .unwrap();
    match out.status.code() {
        Some(0) => Some(true),
        Some(10) => Some(false),
        _ => panic!("login client failed: {}", text(&out)),
    }
}

#[test]
fn passwords_and_several_keys_open_the_same_account() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let other =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS other";
    server.add_user("alice", json!({"public_keys": [other, public_key()]}));
    server.sftp_ok("alice", "ls\n");
    let Some(right) = password_login(&server, "alice", PASSWORD) else { return };
    assert!(right);
    assert_eq!(password_login(&server, "alice", "wrong"), Some(false));
    assert_eq!(password_login(&server, "nobody", PASSWORD), Some(false));
    let line = server.wait_for_log("failed password", |line| {
        line["sender"] == "connection_failed" && line["username"] == "nobody"
    });
    assert_eq!(line["login_type"], "password");
    assert_eq!(line["client_ip"], "127.0.0.1");
    assert!(!server.log_text().contains(PASSWORD), "password in the log");
}

#[test]
fn account_rules_refuse_a_login() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let key = json!([public_key()]);
    let refused = [
        ("disabled", json!({"status": 0})),
        ("expired", json!({"expiration_date": 1_000_000_000_000u64})),
        ("elsewhere", json!({"filters": {"allowed_ip": ["192.0.2.0/24"]}})),
        ("denied", json!({"filters": {"denied_ip": ["127.0.0.0/8"]}})),
        ("nokeys", json!({"filters": {"denied_login_methods": ["publickey"]}})),
        ("nossh", json!({"filters": {"denied_protocols": ["SSH"]}})),
    ];
    for (name, mut changes) in refused {
        changes["public_keys"] = key.clone();
        server.add_user(name, changes);
        let out = server.sftp(name, "ls\n");
        assert!(!out.status.success(), "{name} got in");
        assert!(text(&out).contains("Permission denied"), "{name}: {}", text(&out));
    }
    server.add_user(
        "allowed",
        json!({"public_keys": key, "filters": {"allowed_ip": ["127.0.0.1"]},
               "expiration_date": 4_102_444_800_000u64}),
    );
    server.sftp_ok("allowed", "ls\n");
}

#[test]
fn sessions_beyond_the_accounts_limit_are_refused() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", json!({"public_keys": [public_key()], "max_sessions": 1}));
    let mut first = server
        .sftp_command("alice", &[])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let api = server.api();
    common::server::eventually("the first session", || api.connections().len() == 1);
    let out = server.sftp("alice", "ls\n");
    assert!(!out.status.success(), "a second session was allowed");
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    common::server::eventually("the first session's end", || api.connections().is_empty());
    server.sftp_ok("alice", "ls\n");
}

/// How many of `guesses` on one connection the server looked at, and how long that took.
fn guess(tries: &str, guesses: &str) -> (usize, Duration) {
    let mut server = TestServer::with(&[("SFTPD__MAX_AUTH_TRIES", tries)]);
    server.add_key_user("alice");
    let started = Instant::now();
    let out = server.python_client("guess.py", "alice", [guesses]).unwrap();
    let took = started.elapsed();
    assert!(out.status.success(), "{}", text(&out));
    // The log is whole only then.
    server.stop();
    let looked_at = server
        .log()
        .into_iter()
        .filter(|line| line["sender"] == "connection_failed" && line["username"] == "alice");
    (looked_at.count(), took)
}

#[test]
fn guessing_ends_after_the_configured_tries_and_takes_its_time() {
    if common::clients::python().is_none() {
        return;
    }
    // Tries, guesses, looked at: 0 is the usual number, and less than that is no limit.
    let stories = [("2", "5", 2), ("0", "8", 6), ("-1", "8", 8)];
    std::thread::scope(|scope| {
        for (tries, guesses, expected) in stories {
            scope.spawn(move || {
                let (looked_at, took) = guess(tries, guesses);
                assert_eq!(looked_at, expected, "with {tries} tries");
                // The answer to a wrong password comes after a second at the earliest.
                assert!(took >= Duration::from_secs(expected as u64), "{took:?}, {tries} tries");
            });
        }
    });
}

#[test]
fn answers_to_logins_wait_as_configured() {
    let server = TestServer::with(&[
        ("COMMON__DEFENDER__LOGIN_DELAY__SUCCESS", "600"),
        ("COMMON__DEFENDER__LOGIN_DELAY__PASSWORD_FAILED", "1400"),
    ]);
    server.add_user("alice", json!({}));
    let at_least = |what: &str, millis: u64, answer: &dyn Fn() -> bool| {
        let started = Instant::now();
        if answer() {
            let took = started.elapsed();
            assert!(took >= Duration::from_millis(millis), "{what} took {took:?}");
        }
    };
    let token = |password: &str| {
        Api::ask_token(server.http_port, ADMIN, password)["access_token"].is_string()
    };
    at_least("a token", 600, &|| token(ADMIN_PASSWORD));
    at_least("no token", 1400, &|| !token("wrong"));
    // There may be no client.
    let login = |name: &str, password: &str| password_login(&server, name, password);
    at_least("a login", 600, &|| login("alice", PASSWORD) == Some(true));
    for name in ["alice", "nobody"] {
        at_least("a refusal", 1400, &|| login(name, "wrong") == Some(false));
    }
}

#[test]
fn a_password_where_there_are_none_is_told_with_its_name() {
    let server = TestServer::with(&[("SFTPD__PASSWORD_AUTHENTICATION", "false")]);
    server.add_user("alice", json!({}));
    let Some(is_in) = password_login(&server, "alice", PASSWORD) else { return };
    assert!(!is_in);
    let line = server.wait_for_log("the attempt", |line| line["sender"] == "connection_failed");
    assert_eq!((&line["username"], &line["login_type"]), (&json!("alice"), &json!("password")));
}

#[test]
fn keys_that_are_refused_count_as_tries() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__MAX_AUTH_TRIES", "2")]);
    server.add_key_user("alice");
    let offer = |wrong_keys: usize| {
        let mut command = Command::new("sftp");
        for at in 0..wrong_keys {
            let path = server.dir().join(format!("wrong-{at}"));
            if !path.exists() {
                let mut keygen = Command::new("ssh-keygen");
                run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path));
            }
            // Before the right key: they are offered in this order.
            command.arg("-i").arg(path);
        }
        command.args(server.ssh_options()).args([
            "-b",
            "/dev/null",
            "-P",
            &server.sftp_port.to_string(),
            "alice@127.0.0.1",
        ]);
        command.output().unwrap()
    };
    for few in [0, 1] {
        let out = offer(few);
        assert!(out.status.success(), "after {few} wrong keys: {}", text(&out));
    }
    let out = offer(2);
    assert!(!out.status.success(), "a third key was looked at");
}

#[test]
fn the_login_banner_is_shown() {
    if !has("ssh") {
        return;
    }
    let mut server = TestServer::prepare(&[("SFTPD__LOGIN_BANNER_FILE", "banner.txt")]);
    std::fs::write(server.dir().join("banner.txt"), "authorised users only\n").unwrap();
    server.launch();
    // OpenSSH's first value of an option wins, so this comes before the quiet ones.
    let out = std::process::Command::new("ssh")
        .args(["-o", "LogLevel=INFO"])
        .args(server.ssh_options())
        .args(["-p", &server.sftp_port.to_string(), "nobody@127.0.0.1"])
        .output()
        .unwrap();
    assert!(text(&out).contains("authorised users only"), "{}", text(&out));
}
