//! Hostile SSH clients: each is refused or ignored, the server lives and serves others.

mod common;

use common::TestServer;
use common::clients::{key, public_key, text};

/// Runs one case of `malicious_ssh.py` and looks that the server is well afterwards.
fn survives(case: &str) {
    let server = TestServer::start();
    server.add_user("mallory", serde_json::json!({"public_keys": [public_key()]}));
    let key = key().display().to_string();
    let Some(out) = server.python_client("malicious_ssh.py", "mallory", [case, &key]) else {
        return;
    };
    assert!(out.status.success(), "{}", text(&out));
    let out = server.python_client("login.py", "mallory", [""; 0]).unwrap();
    assert!(out.status.success(), "nobody is served any more: {}", text(&out));
    assert!(!server.log_text().contains("panic"), "{}", server.output());
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak_kib < 200_000, "peak memory {peak_kib} KiB");
}

macro_rules! cases {
    ($($name:ident: $case:literal;)+) => {
        $(#[test]
        fn $name() {
            survives($case);
        })+
    };
}

cases! {
    packets_of_impossible_length_close_the_connection: "lengths";
    what_is_no_ssh_closes_the_connection: "greetings";
    broken_key_exchanges_close_the_connection: "key_exchanges";
    anything_before_the_new_keys_closes_a_strict_connection: "strict";
    requests_before_the_login_lead_nowhere: "unauthenticated";
    the_key_that_signs_is_the_key_that_counts: "two_faced";
    there_are_ten_channels_and_no_more: "channels";
    what_is_repeated_for_ever_is_not_kept: "floods";
    a_client_that_reads_nothing_is_not_waited_for: "silent_reader";
    more_data_than_the_window_is_survived: "window";
    a_thousand_half_open_connections_shut_nobody_out: "half_open";
}
