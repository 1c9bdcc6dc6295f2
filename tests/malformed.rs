//! Hostile SFTP clients: each gets a status or loses its channel; the server lives.

mod common;

use common::TestServer;
use common::clients::text;

#[test]
fn malformed_packets_get_a_status_or_a_closed_channel() {
    let server = TestServer::start();
    server.add_user("mallory", serde_json::json!({}));
    let Some(out) = server.python_client("malformed.py", "mallory", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
    assert!(!server.log_text().contains("panic"), "{}", server.output());
}

#[test]
fn a_client_that_never_reads_is_cut_off_in_bounded_memory() {
    let server = TestServer::start();
    server.add_user("mallory", serde_json::json!({}));
    std::fs::create_dir_all(server.home("mallory")).unwrap();
    let big = std::fs::File::create(server.home("mallory").join("big")).unwrap();
    big.set_len(50_000_000).unwrap();
    let Some(out) = server.python_client("flood.py", "mallory", [""; 0]) else { return };
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "disconnected", "{}", text(&out));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak_kib < 200_000, "peak memory {peak_kib} KiB");
}

#[test]
fn replies_keep_the_order_of_pipelined_requests() {
    let server = TestServer::start();
    server.add_user("alice", serde_json::json!({"upload_bandwidth": 256}));
    let Some(out) = server.python_client("order.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
}

/// Open descriptors of the server.
fn descriptors(server: &TestServer) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

#[test]
fn requests_after_the_end_of_a_channel_leave_nothing_behind() {
    let server = TestServer::start();
    server.add_user("mallory", serde_json::json!({}));
    let run = |times: &str| {
        let out = server.python_client("after_eof.py", "mallory", [times])?;
        assert!(out.status.success(), "{}", text(&out));
        let api = server.api();
        common::server::eventually("the connection's end", || api.connections().is_empty());
        Some(())
    };
    if run("1").is_none() {
        return;
    }
    let before = descriptors(&server);
    run("40");
    // Each forgotten session would hold its home directory.
    common::server::eventually("every descriptor closed", || descriptors(&server) < before + 10);
}

#[test]
fn a_name_of_any_length_is_a_short_log_line() {
    let server = TestServer::start();
    let name = "n".repeat(30_000);
    let Some(out) = server.python_client("login.py", &name, [""; 0]) else { return };
    assert_eq!(out.status.code(), Some(10), "{}", text(&out));
    let line = server.wait_for_log("failed password", |line| {
        line["sender"] == "connection_failed" && line["login_type"] == "password"
    });
    assert_eq!(line["username"].as_str().unwrap().len(), 255);
    assert!(server.log_text().lines().all(|line| line.len() < 2000));
}
