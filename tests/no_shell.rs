//! What an SSH client may ask for besides files and the commands that are enabled: nothing.

mod common;

use common::TestServer;
use common::clients::text;

#[test]
fn everything_else_is_refused_with_an_answer() {
    let server = TestServer::start();
    server.add_user("alice", serde_json::json!({}));
    let Some(out) = server.python_client("requests.py", "alice", [""; 0]) else { return };
    assert!(out.status.success(), "{}", text(&out));
    server.wait_for_log("a refused command", |line| line.to_string().contains("ssh command"));
    let log = server.log_text();
    assert!(!log.contains("panic"), "{log}");
}
