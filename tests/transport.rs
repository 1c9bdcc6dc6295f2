//! What the SSH transport can be told to do.

mod common;

use std::process::{Command, Stdio};

use common::TestServer;
use common::clients::{has, run, text};
use serde_json::json;

/// A password login through a socket that first sends `header`: whether it got in.
fn through_proxy(server: &TestServer, header: &str) -> Option<bool> {
    let out = server.python_client("behind_proxy.py", "alice", [header])?;
    match out.status.code() {
        Some(0) => Some(true),
        Some(10) => Some(false),
        _ => panic!("{}", text(&out)),
    }
}

/// Version 2 over IPv4 from 192.0.2.77, in hexadecimal.
const V2: &str = "0d0a0d0a000d0a515549540a2111000cc000024d0000000030390016";

fn v1() -> String {
    "PROXY TCP4 192.0.2.77 127.0.0.1 12345 22\r\n".bytes().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_load_balancer_says_who_the_client_is() {
    let server = TestServer::with(&[
        ("COMMON__PROXY_PROTOCOL", "2"),
        ("COMMON__PROXY_ALLOWED", "127.0.0.1,10.0.0.0/8"),
        ("COMMON__MAX_PER_HOST_CONNECTIONS", "1"),
    ]);
    // The address that counts is that of the header, also for the account's rules.
    server.add_user("alice", json!({"filters": {"allowed_ip": ["192.0.2.77"]}}));
    for header in [v1(), V2.to_owned()] {
        let Some(is_in) = through_proxy(&server, &header) else { return };
        assert!(is_in, "{header}");
    }
    assert_eq!(through_proxy(&server, ""), Some(false), "without a header");
    let line = server.wait_for_log("the login", |line| line["sender"] == "login");
    assert_eq!(line["ip"], "192.0.2.77");
    server.wait_for_log("the refusal", |line| {
        line["message"] == "connection from 127.0.0.1 refused: no PROXY header"
    });
}

#[test]
fn a_header_of_somebody_else_is_not_believed() {
    let optional = TestServer::with(&[
        ("COMMON__PROXY_PROTOCOL", "1"),
        ("COMMON__PROXY_ALLOWED", "10.0.0.0/8"),
    ]);
    optional.add_user("alice", json!({"filters": {"allowed_ip": ["127.0.0.1"]}}));
    for header in [v1(), V2.to_owned(), String::new()] {
        let Some(is_in) = through_proxy(&optional, &header) else { return };
        assert!(is_in, "the header was believed or not dropped: {header}");
    }
    let required = TestServer::with(&[
        ("COMMON__PROXY_PROTOCOL", "2"),
        ("COMMON__PROXY_ALLOWED", "10.0.0.0/8"),
    ]);
    required.add_user("alice", json!({}));
    assert_eq!(through_proxy(&required, V2), Some(false));
}

#[test]
fn bindings_and_senders_can_be_left_out_of_the_proxy_protocol() {
    let skipped = TestServer::with(&[
        ("COMMON__PROXY_PROTOCOL", "2"),
        ("COMMON__PROXY_SKIPPED", "127.0.0.0/8"),
    ]);
    let binding = TestServer::with(&[
        ("COMMON__PROXY_PROTOCOL", "2"),
        ("SFTPD__BINDINGS__0__APPLY_PROXY_CONFIG", "false"),
    ]);
    for server in [skipped, binding] {
        server.add_user("alice", json!({}));
        let Some(is_in) = through_proxy(&server, "") else { return };
        assert!(is_in);
        assert_eq!(through_proxy(&server, V2), Some(false), "a header is no SSH");
    }
}

#[test]
fn keys_are_exchanged_again_while_files_move_both_ways() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let local = tempfile::tempdir().unwrap();
    let data: Vec<u8> = (0..24u32 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    let file = local.path().join("data");
    std::fs::write(&file, &data).unwrap();
    for cipher in ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"] {
        let back = local.path().join("back");
        let batch = format!("put {0} {cipher}\nget {cipher} {1}\n", file.display(), back.display());
        let options = ["-o", "RekeyLimit=1M", "-c", cipher];
        let out = server.sftp_with("alice", &batch, &options);
        assert!(out.status.success(), "{cipher}: {}", text(&out));
        assert!(std::fs::read(server.home("alice").join(cipher)).unwrap() == data, "{cipher}: put");
        assert!(std::fs::read(&back).unwrap() == data, "{cipher}: get");
    }
    // Both directions at once.
    let mut clients: Vec<_> = ["put", "get"]
        .into_iter()
        .map(|what| {
            let batch = match what {
                "put" => format!("put {} both\n", file.display()),
                _ => format!("get aes256-ctr {}\n", local.path().join("both").display()),
            };
            let mut client = server
                .sftp_command("alice", &["-o", "RekeyLimit=1M"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut client.stdin.take().unwrap(), batch.as_bytes()).unwrap();
            client
        })
        .collect();
    for client in &mut clients {
        assert!(client.wait().unwrap().success());
    }
    assert!(std::fs::read(local.path().join("both")).unwrap() == data);
}

/// What `ssh` says it has negotiated.
fn negotiated(server: &TestServer, options: &[&str]) -> String {
    let out = Command::new("ssh")
        .arg("-vv")
        .args(&server.ssh_options()[..2])
        .args(options)
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "BatchMode=yes", "-p", &server.sftp_port.to_string(), "nobody@127.0.0.1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    text(&out)
}

#[test]
fn fips_mode_leaves_approved_algorithms_only() {
    if !has("ssh") {
        return;
    }
    let server = TestServer::with(&[("SFTPD__FIPS_MODE", "true")]);
    let shown = negotiated(&server, &[]);
    let agreed = |what: &str| {
        let line = shown.lines().find(|line| line.contains(what));
        line.unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    let kex = agreed("kex: algorithm:");
    assert!(kex.contains("nistp") || kex.contains("diffie-hellman-group"), "{kex}");
    assert!(agreed("kex: server->client cipher:").contains("aes"), "{shown}");
    let refused = negotiated(&server, &["-o", "KexAlgorithms=curve25519-sha256"]);
    assert!(refused.contains("no matching key exchange method"), "{refused}");
    let mut wrong = TestServer::prepare(&[
        ("SFTPD__FIPS_MODE", "true"),
        ("SFTPD__CIPHERS", "chacha20-poly1305@openssh.com"),
    ]);
    let out = wrong.command().output().unwrap();
    assert!(!out.status.success());
    let _ = &mut wrong;
    let told = format!("{}{}", text(&out), wrong.log_text());
    assert!(told.contains("sftpd.ciphers") && told.contains("valid are aes128-gcm"), "{told}");
}

/// Host keys of three kinds for a server that is not started yet.
fn give_host_keys(server: &TestServer) {
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let path = server.dir().join(format!("id_{kind}"));
        let _ = std::fs::remove_file(&path);
        let mut keygen = Command::new("ssh-keygen");
        run(keygen.args(["-q", "-t", kind, "-N", "", "-f"]).arg(path));
    }
}

#[test]
fn host_keys_are_offered_by_their_own_list_and_no_other() {
    if !has("ssh") || !has("ssh-keygen") {
        return;
    }
    const ED25519: &str = "ssh-ed25519";
    const ECDSA: &str = "ecdsa-sha2-nistp256";
    // (host_key_algorithms, public_key_algorithms, what the server offers)
    let table = [
        ("", "", "ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256"),
        (ED25519, "", ED25519),
        ("rsa-sha2-256", "", "rsa-sha2-256"),
        (ED25519, "ssh-rsa", ED25519),
        ("rsa-sha2-512", "ssh-rsa,rsa-sha2-256", "rsa-sha2-512"),
        (ECDSA, ED25519, ECDSA),
    ];
    for (host, public, wanted) in table {
        let mut server = TestServer::prepare(&[
            ("SFTPD__HOST_KEYS", "id_rsa,id_ecdsa,id_ed25519"),
            ("SFTPD__HOST_KEY_ALGORITHMS", host),
            ("SFTPD__PUBLIC_KEY_ALGORITHMS", public),
        ]);
        give_host_keys(&server);
        server.launch();
        let shown = negotiated(&server, &[]);
        let offered = shown.split("peer server KEXINIT proposal").nth(1).and_then(|proposal| {
            proposal.lines().find_map(|line| line.split("host key algorithms: ").nth(1))
        });
        assert_eq!(offered.map(str::trim_end), Some(wanted), "{host} {public}: {shown}");
    }
    let wrong =
        [("SFTPD__HOST_KEYS", "id_ed25519"), ("SFTPD__HOST_KEY_ALGORITHMS", "rsa-sha2-512")];
    let server = TestServer::prepare(&wrong);
    let out = server.command().output().unwrap();
    assert!(!out.status.success());
    let told = format!("{}{}", text(&out), server.log_text());
    assert!(
        told.contains("`sftpd.host_key_algorithms`: there is no host key for any of"),
        "{told}"
    );
}

#[test]
fn several_bindings_serve_the_same_accounts() {
    if !has("sftp") {
        return;
    }
    let [port] = common::server::free_ports();
    let mut server = TestServer::with(&[
        ("SFTPD__BINDINGS__1__PORT", &port.to_string()),
        ("SFTPD__BINDINGS__1__ADDRESS", "127.0.0.1"),
    ]);
    server.add_key_user("alice");
    server.sftp_ok("alice", "ls\n");
    server.sftp_port = port;
    server.sftp_ok("alice", "ls\n");
}

#[test]
fn keepalives_of_a_client_are_answered_while_nothing_else_happens() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=60"];
    let mut sftp = Command::new("sftp");
    sftp.args(["-o", "LogLevel=DEBUG3"]).args(server.ssh_options()).args(options);
    sftp.args(["-b", "-", "-P", &server.sftp_port.to_string(), "alice@127.0.0.1"]);
    let mut child =
        sftp.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let batch = "ls\n!sleep 4\nls\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), batch.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let shown = text(&out);
    assert!(out.status.success(), "{shown}");
    // RFC 4254, section 4: a global request, and the answer to one that is not known.
    assert!(shown.contains("send packet: type 80"), "{shown}");
    assert!(shown.contains("receive packet: type 82"), "{shown}");
}

#[test]
fn compression_is_not_offered_and_clients_that_ask_for_it_do_without() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    server.add_key_user("alice");
    let shown = negotiated(&server, &["-C"]);
    assert!(shown.contains("compression: none") && !shown.contains("compression: zlib"), "{shown}");
    let out = server.sftp_with("alice", "mkdir made\nls\n", &["-C"]);
    assert!(out.status.success() && text(&out).contains("made"), "{}", text(&out));
}
