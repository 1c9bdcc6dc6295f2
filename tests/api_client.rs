//! The REST API driven by the client that others publish for it: `sftpgo-client`
//! from PyPI, generated from the description that this server must be compatible with.

mod common;

use std::process::Command;

use common::TestServer;
use common::clients::{has, python, run};
use common::server::{ADMIN, ADMIN_PASSWORD};

#[test]
fn the_published_client_manages_accounts_connections_and_quotas() {
    let Some(python) = python() else { return };
    if !has("sftp") || !has("ssh-keygen") {
        return;
    }
    let server = TestServer::start();
    let work_dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/rest_api.py");
    let shown = run(Command::new(python)
        .args(["-B", script])
        .arg(format!("http://127.0.0.1:{}", server.http_port))
        .args([ADMIN, ADMIN_PASSWORD, "127.0.0.1"])
        .arg(server.sftp_port.to_string())
        .arg(work_dir.path()));
    assert!(shown.ends_with("all steps passed\n"), "{shown}");
}
