//! The defaults hold nothing an auditor calls weak.

mod common;

use std::process::Command;

use common::TestServer;
use common::clients::{python, text};

#[test]
fn ssh_audit_finds_no_weak_algorithm() {
    let Some(python) = python() else { return };
    // With the default host keys, as a first start makes them.
    let server = TestServer::with(&[("SFTPD__HOST_KEYS", "")]);
    let out = Command::new(python)
        .args(["-m", "ssh_audit", "--no-colors", "--level=warn", "--skip-rate-test"])
        .args(["-p", &server.sftp_port.to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    let shown = text(&out);
    assert!(shown.contains("algorithms") || out.status.success(), "{shown}");
    for line in shown.lines() {
        // Classic key exchanges stay for clients without a post-quantum one, which is
        // preferred; the auditor notes each of them.
        if line.contains("does not provide protection against post-quantum attacks") {
            continue;
        }
        // For libssh2 before 1.11; the only one, and the last choice.
        if line.contains("using encrypt-and-MAC mode") {
            assert!(last_mac(&shown).contains("hmac-sha2-256 "), "{shown}");
            continue;
        }
        assert!(!line.contains("[fail]") && !line.contains("[warn]"), "{line}\n{shown}");
    }
}

/// The last line about a MAC.
fn last_mac(shown: &str) -> &str {
    shown.lines().rfind(|line| line.starts_with("(mac) ")).unwrap_or_default()
}

#[test]
fn the_policy_that_we_ship_passes_the_defaults_and_nothing_weaker() {
    let Some(python) = python() else { return };
    let audit = |server: &TestServer| {
        let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/etc/ssh-audit/sftpgo.policy");
        Command::new(&python)
            .args(["-m", "ssh_audit", "--no-colors", "-P", policy])
            .args(["-p", &server.sftp_port.to_string(), "127.0.0.1"])
            .output()
            .unwrap()
    };
    let defaults = audit(&TestServer::with(&[("SFTPD__HOST_KEYS", "")]));
    assert!(defaults.status.success(), "{}", text(&defaults));
    let weaker = TestServer::with(&[
        ("SFTPD__HOST_KEYS", ""),
        ("SFTPD__MACS", "hmac-sha1,hmac-sha2-256-etm@openssh.com"),
    ]);
    let weaker = audit(&weaker);
    assert!(!weaker.status.success(), "{}", text(&weaker));
    assert!(text(&weaker).contains("MACs"), "{}", text(&weaker));
}
