//! How often clients may connect and ask.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use common::TestServer;
use common::clients::{has, text};
use common::server::eventually;
use serde_json::json;

/// Settings of the limiter `at`, with what is the same for all of them here.
fn limiter(server: &mut TestServer, at: usize, settings: &[(&str, &str)]) {
    for (key, value) in settings {
        server.set(&format!("COMMON__RATE_LIMITERS__{at}__{key}"), value);
    }
}

/// Whether a client that comes from `address` gets a session.
fn gets_in(server: &TestServer, address: &str) -> bool {
    let out = server.sftp_with("alice", "pwd\n", &["-o", &format!("BindAddress={address}")]);
    let shown = text(&out);
    if !out.status.success() {
        assert!(shown.contains("closed") || shown.contains("reset"), "{shown}");
    }
    out.status.success()
}

/// Status and headers of a request that comes from `address`.
fn ask(server: &TestServer, address: &str, path: &str) -> (u16, String) {
    let out = Command::new("curl")
        .args(["-s", "--max-time", "20", "-D", "-", "--interface", address])
        .arg(format!("http://127.0.0.1:{}{path}", server.http_port))
        .output()
        .unwrap();
    let answer = String::from_utf8_lossy(&out.stdout).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {}", text(&out))), answer)
}

fn refusals(server: &TestServer, address: &str) -> usize {
    let refused = format!("connection from {address} refused: ");
    let lines = server.log();
    let messages = lines.iter().filter_map(|line| line["message"].as_str());
    messages
        .filter(|message| message.starts_with(&refused) && message.contains("rate limit"))
        .count()
}

#[test]
fn an_address_that_connects_too_often_is_turned_away_and_others_are_not() {
    if !has("sftp") {
        return;
    }
    let mut server = TestServer::prepare(&[]);
    let limits = [("AVERAGE", "1"), ("PERIOD", "86400000"), ("BURST", "2"), ("PROTOCOLS", "SSH")];
    limiter(&mut server, 0, &limits);
    limiter(&mut server, 0, &[("ALLOW_LIST", "127.0.0.8/30")]);
    server.launch();
    server.add_key_user("alice");
    let tries: Vec<_> = (0..4).map(|_| gets_in(&server, "127.0.0.1")).collect();
    assert_eq!(tries, [true, true, false, false]);
    eventually("both refusals are in the log", || refusals(&server, "127.0.0.1") == 2);
    eventually("nobody is connected", || server.api().connections().is_empty());
    assert!(gets_in(&server, "127.0.0.2"));
    assert!((0..4).all(|_| gets_in(&server, "127.0.0.9")), "it is exempt");

    let (code, status) = server.api().get("/status");
    assert_eq!(code, 200, "{status}");
    let limits = json!({"is_active": true, "protocols": ["SSH"]});
    assert_eq!(status["rate_limiters"], limits);
}

#[test]
fn a_limit_for_everybody_counts_all_addresses_and_protocols_together() {
    if !has("sftp") || !has("curl") {
        return;
    }
    let mut server = TestServer::prepare(&[]);
    limiter(&mut server, 0, &[("AVERAGE", "1"), ("PERIOD", "86400000"), ("BURST", "2")]);
    limiter(&mut server, 1, &[("AVERAGE", "1"), ("PERIOD", "86400000"), ("BURST", "6")]);
    limiter(&mut server, 1, &[("TYPE", "1")]);
    server.launch();
    // Of six tokens, two are taken for the account.
    server.add_key_user("alice");
    assert!(gets_in(&server, "127.0.0.2"));
    assert_eq!(ask(&server, "127.0.0.2", "/api/v2/version").0, 401);
    for _ in 0..5 {
        assert!(!gets_in(&server, "127.0.0.2"), "over its own limit");
    }
    assert!(gets_in(&server, "127.0.0.3"), "which has cost others nothing");
    assert_eq!(ask(&server, "127.0.0.4", "/api/v2/version").0, 401);
    assert!(!gets_in(&server, "127.0.0.5"), "the sixth token was the last");
    let (status, answer) = ask(&server, "127.0.0.6", "/api/v2/version");
    assert_eq!(status, 429, "{answer}");
    let told = answer.to_lowercase();
    assert!(told.contains("retry-after: ") && told.contains("\"too many requests"), "{answer}");
    let (status, answer) = ask(&server, "127.0.0.6", "/web/admin/login");
    assert_eq!(status, 429, "{answer}");
    assert!(answer.contains("<title>Too many requests"), "{answer}");
    assert_eq!(ask(&server, "127.0.0.6", "/healthz").0, 200);
}

#[test]
fn who_comes_a_little_early_waits_for_its_turn() {
    if !has("curl") {
        return;
    }
    let mut server = TestServer::prepare(&[]);
    limiter(&mut server, 0, &[("AVERAGE", "2"), ("BURST", "1")]);
    server.launch();
    let began = Instant::now();
    for round in 0..5 {
        // Half a second between two tokens; who is less than a quarter early waits.
        let (status, answer) = ask(&server, "127.0.0.2", "/api/v2/version");
        assert_eq!(status, 401, "request {round}: {answer}");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());

    let began = Instant::now();
    for round in 0..4 {
        let address = ("127.0.0.1", server.sftp_port);
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut greeting = [0; 8];
        client.read_exact(&mut greeting).unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_eq!(&greeting, b"SSH-2.0-");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
}
