//! Every way to prove who one is over SSH, with OpenSSH's own programs.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::TestServer;
use common::clients::{asked, has, is_in, key, public_key, run, text};
use common::server::eventually;
use serde_json::json;

/// Waits for the lines `login` and `connection_failed` of one user, as "sender method".
fn wait_for_attempts<const N: usize>(server: &TestServer, username: &str, wanted: [&str; N]) {
    eventually("every attempt is in the log", || attempts(server, username).len() >= N);
    assert_eq!(attempts(server, username), wanted);
}

fn attempts(server: &TestServer, username: &str) -> Vec<String> {
    let lines = server.log();
    let of_user = lines.iter().filter(|line| line["username"] == username);
    of_user
        .filter_map(|line| match line["sender"].as_str()? {
            "login" => Some(format!("login {}", line["method"].as_str()?)),
            "connection_failed" => Some(format!("failed {}", line["login_type"].as_str()?)),
            _ => None,
        })
        .collect()
}

fn two_steps() -> serde_json::Value {
    json!({
        "public_keys": [public_key()],
        "filters": {"denied_login_methods": ["publickey", "password", "keyboard-interactive"]},
    })
}

#[test]
fn a_key_and_then_a_password_open_an_account_that_needs_both() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", two_steps());
    let wrong = [("PASSWORD", "wrong")];
    // Neither alone is enough.
    assert!(!is_in(&asked(&server, "alice", &["PreferredAuthentications=publickey"], &[])));
    assert!(!is_in(&asked(&server, "alice", &["PreferredAuthentications=password"], &[])));
    let alone = "PreferredAuthentications=keyboard-interactive";
    assert!(!is_in(&asked(&server, "alice", &[alone], &[])));
    // Nor both, if one is wrong.
    let both = ["PreferredAuthentications=publickey,password"];
    assert!(!is_in(&asked(&server, "alice", &both, &wrong)));
    assert!(is_in(&asked(&server, "alice", &both, &[])));
    let interactive = ["PreferredAuthentications=publickey,keyboard-interactive"];
    assert!(is_in(&asked(&server, "alice", &interactive, &[])));
    assert!(!is_in(&asked(&server, "alice", &interactive, &wrong)));
    wait_for_attempts(
        &server,
        "alice",
        [
            "failed password",
            "failed keyboard-interactive",
            "failed publickey+password",
            "login publickey+password",
            "login publickey+keyboard-interactive",
            "failed publickey+keyboard-interactive",
        ],
    );
    let metrics = run(Command::new("curl")
        .args(["-s", &format!("http://127.0.0.1:{}/metrics", server.telemetry_port)]));
    for line in [
        "sftpgo_key_and_password_login_ok_total 1",
        "sftpgo_key_and_password_login_ko_total 1",
        "sftpgo_key_and_keyboard_int_login_ok_total 1",
        "sftpgo_login_ok_total 2",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn the_second_step_can_be_narrowed_by_account_and_server() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__PASSWORD_AUTHENTICATION", "false")]);
    let mut narrow = two_steps();
    let denied = narrow["filters"]["denied_login_methods"].as_array_mut().unwrap();
    denied.push(json!("publickey+keyboard-interactive"));
    server.add_user("narrow", narrow);
    server.add_user("wide", two_steps());
    let all = ["PreferredAuthentications=publickey,password,keyboard-interactive"];
    // publickey+password is what remains for the account, and the server has no passwords.
    assert!(!is_in(&asked(&server, "narrow", &all, &[])));
    assert!(is_in(&asked(&server, "wide", &all, &[])));
    wait_for_attempts(&server, "wide", ["login publickey+keyboard-interactive"]);
}

/// The methods that the server lists after a failure, as the client shows them.
fn offered(server: &TestServer, username: &str) -> String {
    let out = asked(server, username, &["PreferredAuthentications=none"], &[]);
    let shown = text(&out);
    let list = shown.split("Permission denied (").nth(1).unwrap_or_else(|| panic!("{shown}"));
    list.split(')').next().unwrap().to_owned()
}

#[test]
fn the_methods_offered_do_not_tell_who_exists() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", two_steps());
    server.add_user(
        "bob",
        json!({"filters": {"denied_login_methods": ["password-over-SSH", "publickey"]}}),
    );
    let list = offered(&server, "nobody");
    assert_eq!(list, "publickey,password,keyboard-interactive");
    assert_eq!(offered(&server, "alice"), list);
    assert_eq!(offered(&server, "bob"), list);
    // password-over-SSH denies the plain method only.
    assert!(!is_in(&asked(&server, "bob", &["PreferredAuthentications=password"], &[])));
    let interactive = ["PreferredAuthentications=keyboard-interactive"];
    assert!(is_in(&asked(&server, "bob", &interactive, &[])));
}

#[test]
fn a_first_step_counts_only_for_the_name_it_was_made_for() {
    let server = TestServer::start();
    server.add_user("alice", two_steps());
    let mut other = two_steps();
    other["public_keys"] = json!([]);
    server.add_user("other", other);
    let key = key().display().to_string();
    let Some(out) = server.python_client("two_steps.py", "alice", [&key, "other"]) else { return };
    assert!(out.status.success(), "{}", text(&out));
}

/// A directory with an authority, and certificates made by it.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        keygen(&["-t", "ed25519", "-f"], &authority.path("ca"));
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A key of this type with a certificate for it.
    fn certify(&self, name: &str, kind: &str, options: &[&str]) -> PathBuf {
        let key = self.path(name);
        keygen(&["-t", kind, "-f"], &key);
        run(Command::new("ssh-keygen")
            .arg("-q")
            .arg("-s")
            .arg(self.path("ca"))
            .args(["-I", name])
            .args(options)
            .arg(key.with_extension("pub")));
        key
    }
}

fn keygen(arguments: &[&str], file: &Path) {
    run(Command::new("ssh-keygen").args(["-q", "-N", ""]).args(arguments).arg(file));
}

/// `sftp` with another key than the usual one.
fn with_key(server: &TestServer, username: &str, key: &Path) -> bool {
    let mut command = Command::new("sftp");
    command.args(["-F", "/dev/null", "-i"]).arg(key);
    let options = common::clients::ssh_options();
    // Without its key, the last two.
    let out = command
        .args(&options[2..options.len() - 2])
        .args(["-b", "/dev/null", "-P", &server.sftp_port.to_string()])
        .arg(format!("{username}@127.0.0.1"))
        .output()
        .unwrap();
    assert!(out.status.success() || text(&out).contains("Permission denied"), "{}", text(&out));
    out.status.success()
}

#[test]
fn certificates_of_a_trusted_authority_open_the_accounts_they_name() {
    if !has("sftp") || !has("ssh-keygen") {
        return;
    }
    let authority = Authority::new();
    let other = Authority::new();
    let mut server = TestServer::prepare(&[
        ("SFTPD__TRUSTED_USER_CA_KEYS", "ca.pub"),
        ("SFTPD__REVOKED_USER_CERTS_FILE", "revoked.json"),
    ]);
    std::fs::copy(authority.path("ca.pub"), server.dir().join("ca.pub")).unwrap();
    std::fs::write(server.dir().join("revoked.json"), "[]").unwrap();
    server.launch();
    server.add_user("alice", json!({"public_keys": [public_key()]}));
    server.add_user("bob", json!({"status": 0}));

    let good = authority.certify("good", "ed25519", &["-n", "alice,carol"]);
    assert!(with_key(&server, "alice", &good));
    for kind in ["rsa", "ecdsa"] {
        assert!(with_key(&server, "alice", &authority.certify(kind, kind, &["-n", "alice"])));
    }
    let here =
        authority.certify("here", "ed25519", &["-n", "alice", "-O", "source-address=127.0.0.0/8"]);
    assert!(with_key(&server, "alice", &here));
    // Plain keys work beside them.
    server.sftp_ok("alice", "ls\n");

    let refused: &[(&str, &str, PathBuf, &str)] = &[
        ("alice", "another name", authority.certify("n", "ed25519", &["-n", "bob"]), "principal"),
        ("alice", "no name", authority.certify("no", "ed25519", &[]), "principal"),
        ("alice", "stranger", other.certify("s", "ed25519", &["-n", "alice"]), "not trusted"),
        (
            "alice",
            "elsewhere",
            authority.certify(
                "e",
                "ed25519",
                &["-n", "alice", "-O", "source-address=192.0.2.0/24"],
            ),
            "this address",
        ),
        (
            "alice",
            "command",
            authority.certify("c", "ed25519", &["-n", "alice", "-O", "force-command=true"]),
            "force-command",
        ),
        ("bob", "disabled", authority.certify("b", "ed25519", &["-n", "bob"]), "disabled"),
        ("nobody", "unknown", authority.certify("u", "ed25519", &["-n", "nobody"]), "not exist"),
    ];
    for (user, what, key, reason) in refused {
        assert!(!with_key(&server, user, key), "{what} got in");
        server.wait_for_log(what, |line| {
            line["sender"] == "connection_failed"
                && line["error"].as_str().is_some_and(|error| error.contains(reason))
        });
    }
    let expired = authority.certify("x", "ed25519", &["-n", "alice", "-V", "-2d:-1d"]);
    assert!(!with_key(&server, "alice", &expired), "an expired one got in");
    let early = authority.certify("y", "ed25519", &["-n", "alice", "-V", "+1d:+2d"]);
    assert!(!with_key(&server, "alice", &early), "one not valid yet got in");

    // As ssh-keygen -l shows it, and without a restart.
    let shown = run(Command::new("ssh-keygen").arg("-lf").arg(good.with_extension("pub")));
    let print = shown.split(' ').nth(1).unwrap();
    std::fs::write(server.dir().join("revoked.json"), json!([print]).to_string()).unwrap();
    assert!(with_key(&server, "alice", &good));
    server.signal("HUP");
    common::server::eventually("the certificate revoked", || !with_key(&server, "alice", &good));
    assert!(with_key(&server, "alice", &here), "another certificate was revoked");
}

#[test]
fn a_certificate_is_a_first_step_like_a_key() {
    if !has("sftp") || !has("ssh-keygen") {
        return;
    }
    let authority = Authority::new();
    let ca = authority.path("ca.pub").display().to_string();
    let server = TestServer::with(&[("SFTPD__TRUSTED_USER_CA_KEYS", &ca)]);
    let mut alice = two_steps();
    alice["public_keys"] = json!([]);
    server.add_user("alice", alice);
    let certificate = authority.certify("alice", "ed25519", &["-n", "alice"]);
    assert!(!with_key(&server, "alice", &certificate));
    let identity = format!("IdentityFile={}", certificate.display());
    let options = [identity.as_str(), "PreferredAuthentications=publickey,password"];
    assert!(is_in(&asked(&server, "alice", &options, &[])));
}

#[test]
fn a_host_certificate_replaces_the_list_of_known_hosts() {
    if !has("sftp") || !has("ssh-keygen") {
        return;
    }
    let authority = Authority::new();
    let host = authority.certify("id_ed25519", "ed25519", &["-h", "-n", "127.0.0.1"]);
    let stray = authority.certify("stray", "ed25519", &["-h", "-n", "127.0.0.1"]);
    let mut server =
        TestServer::prepare(&[("SFTPD__HOST_CERTIFICATES", "id_ed25519-cert.pub,stray-cert.pub")]);
    for file in ["id_ed25519", "id_ed25519-cert.pub"] {
        std::fs::copy(host.with_file_name(file), server.dir().join(file)).unwrap();
    }
    std::fs::copy(stray.with_file_name("stray-cert.pub"), server.dir().join("stray-cert.pub"))
        .unwrap();
    server.launch();
    server.add_key_user("alice");
    let ca = std::fs::read_to_string(authority.path("ca.pub")).unwrap();
    let known = server.dir().join("known_hosts");
    std::fs::write(&known, format!("@cert-authority * {ca}")).unwrap();
    let out = Command::new("sftp")
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i"])
        .arg(key())
        .args(["-b", "/dev/null", "-P", &server.sftp_port.to_string(), "alice@127.0.0.1"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out));
}

#[test]
fn security_keys_open_an_account_when_their_signature_holds() {
    let server = TestServer::start();
    let Some(python) = common::clients::python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/security_key.py");
    let keys = run(Command::new(&python).args([script, "keys"]));
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    server.add_user("alice", json!({"public_keys": keys}));
    let port = server.sftp_port.to_string();
    for kind in ["ed25519", "ecdsa"] {
        for (how, opens) in [
            ("right", true),
            ("tampered", false),
            ("other-application", false),
            ("replayed", false),
        ] {
            let out =
                Command::new(&python).args([script, "login", &port, kind, how]).output().unwrap();
            let shown = text(&out);
            assert_eq!(
                out.status.code(),
                Some(if opens { 0 } else { 10 }),
                "{kind} {how}: {shown}"
            );
        }
    }
}
