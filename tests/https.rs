//! HTTPS, proxies in front of the REST API, and what browsers are told, with the clients
//! that people have: curl and OpenSSL.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::TestServer;
use common::clients::{has, run, text};
use common::server::{ADMIN, ADMIN_PASSWORD, free_ports};

/// An authority with its files, made by OpenSSL.
struct Authority {
    dir: tempfile::TempDir,
}

const CONFIG: &str = "[ca]\ndefault_ca = own\n[own]\ndatabase = index\nserial = serial\n\
    crlnumber = number\ncertificate = ca.pem\nprivate_key = ca.key\nnew_certs_dir = .\n\
    default_md = sha256\ndefault_days = 2\ndefault_crl_days = 2\npolicy = any\n\
    crl_extensions = list\n[any]\ncommonName = supplied\n\
    [list]\nauthorityKeyIdentifier = keyid:always\n\
    [server]\nsubjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\n\
    [client]\nextendedKeyUsage = clientAuth\n";

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Self { dir };
        for (name, content) in [("config", CONFIG), ("index", ""), ("number", "01\n")] {
            std::fs::write(authority.path(name), content).unwrap();
        }
        std::fs::write(authority.path("serial"), "10\n").unwrap();
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
             -keyout ca.key -out ca.pem -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn openssl(&self, arguments: &str) {
        run(Command::new("openssl")
            .current_dir(self.dir.path())
            .args(arguments.split_whitespace()));
    }

    /// Makes `file.pem` and `file.key` of the kind `server` or `client`.
    fn issue(&self, kind: &str, file: &str, name: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} \
             -keyout {file}.key -out {file}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config config -extensions {kind} -in {file}.csr -out {file}.pem"
        ));
    }

    /// Writes the list of what was revoked.
    fn list(&self) {
        self.openssl("ca -config config -gencrl -out list.pem");
    }
}

/// A server whose second binding has these settings; `HTTPD__BINDINGS__1__` stands before
/// each.
fn with_binding(settings: &[(&str, &str)], others: &[(&str, &str)]) -> (TestServer, u16) {
    let (mut server, port) = prepare(settings, others);
    server.launch();
    (server, port)
}

fn prepare(settings: &[(&str, &str)], others: &[(&str, &str)]) -> (TestServer, u16) {
    let [port] = free_ports();
    let mut server = TestServer::prepare(others);
    let text = port.to_string();
    let usual = [("PORT", text.as_str()), ("ADDRESS", "127.0.0.1")];
    for (key, value) in usual.iter().chain(settings) {
        server.set(&format!("HTTPD__BINDINGS__1__{key}"), value);
    }
    (server, port)
}

fn tls(authority: &Authority, min_version: &'static str) -> Vec<(&'static str, String)> {
    vec![
        ("ENABLE_HTTPS", "true".to_owned()),
        ("CERTIFICATE_FILE", authority.shown("server.pem")),
        ("CERTIFICATE_KEY_FILE", authority.shown("server.key")),
        ("MIN_TLS_VERSION", min_version.to_owned()),
    ]
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

/// The output of curl with the head of the answer, or its exit code.
fn curl(arguments: &[&str]) -> Result<String, i32> {
    let out = Command::new("curl")
        .args(["-s", "-i", "--max-time", "20"])
        .args(arguments)
        .output()
        .unwrap();
    match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        false => Err(out.status.code().unwrap_or(-1)),
    }
}

/// What `openssl s_client` says of a handshake, and whether it succeeded.
fn handshake(authority: &Authority, port: u16, arguments: &[&str]) -> (bool, String) {
    let out = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-verify_return_error", "-CAfile", &authority.shown("ca.pem")])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&out);
    (out.status.success() && said.contains("Verify return code: 0"), said)
}

#[test]
fn only_the_configured_versions_suites_and_protocols_are_spoken() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let mut settings = tls(&authority, "12");
    let suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned();
    settings.push(("TLS_CIPHER_SUITES", suites));
    let (_server, port) = with_binding(&borrowed(&settings), &[]);
    let table: &[(&[&str], bool)] = &[
        (&["-tls1_3"], true),
        (&["-tls1_2"], true),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], true),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], false),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
        (&["-alpn", "h2,http/1.1"], true),
    ];
    for (arguments, works) in table {
        let (did, said) = handshake(&authority, port, arguments);
        assert_eq!(did, *works, "{arguments:?}\n{said}");
    }
    let (_, said) = handshake(&authority, port, &["-alpn", "h2,http/1.1"]);
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");

    let (_server, port) = with_binding(&borrowed(&tls(&authority, "13")), &[]);
    for (arguments, works) in [(["-tls1_3"], true), (["-tls1_2"], false)] {
        let (did, said) = handshake(&authority, port, &arguments);
        assert_eq!(did, works, "{arguments:?}\n{said}");
    }
    // Who speaks HTTP there gets nothing, and the server goes on.
    assert!(curl(&[&format!("http://127.0.0.1:{port}/healthz")]).is_err());
    let ca = authority.shown("ca.pem");
    let answer = curl(&["--cacert", &ca, &format!("https://127.0.0.1:{port}/healthz")]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn ping_asks_a_server_that_speaks_https_only() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let (mut server, port) = with_binding(&borrowed(&tls(&authority, "13")), &[]);
    // As if the other listener were not there.
    server.set("HTTPD__BINDINGS__0__PORT", "0");
    let out = server.subcommand("ping").output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    server.stop();
    let out = server.subcommand("ping").output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).contains(&format!("127.0.0.1:{port}")), "{}", text(&out));
}

/// An open connection on which a request can be sent bit by bit.
struct Slow(Child);

impl Slow {
    fn connect(authority: &Authority, port: u16) -> Self {
        let child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .args(["-CAfile", &authority.shown("ca.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn send(&mut self, bytes: &str) {
        let pipe = self.0.stdin.as_mut().unwrap();
        pipe.write_all(bytes.as_bytes()).unwrap();
        pipe.flush().unwrap();
    }

    fn answer(mut self) -> String {
        let mut answer = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
        self.0.wait().unwrap();
        answer
    }
}

#[test]
fn new_certificates_are_used_without_dropping_connections_and_broken_ones_are_not() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let (server, port) = with_binding(&borrowed(&tls(&authority, "12")), &[]);
    let subject = || handshake(&authority, port, &[]).1;
    assert!(subject().contains("CN = first"));

    let mut slow = Slow::connect(&authority, port);
    slow.send("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    authority.issue("server", "server", "second");
    server.signal("HUP");
    server.wait_for_log("the reload", |line| {
        line["message"] == "httpd.bindings[1]: new certificates are in use"
    });
    assert!(subject().contains("CN = second"));
    slow.send("Connection: close\r\n\r\n");
    let answer = slow.answer();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    for (file, content) in [("server.pem", "not a certificate"), ("server.key", "")] {
        let good = std::fs::read(authority.path(file)).unwrap();
        std::fs::write(authority.path(file), content).unwrap();
        server.signal("HUP");
        let named = authority.shown(file);
        let line = server.wait_for_log(file, |line| {
            line["level"] == "error"
                && line["message"].as_str().is_some_and(|message| message.contains(&named))
        });
        assert!(line["message"].as_str().unwrap().contains("are kept"), "{line}");
        assert!(subject().contains("CN = second"));
        std::fs::write(authority.path(file), good).unwrap();
    }
}

#[test]
fn a_certificate_of_the_client_is_needed_besides_the_login_and_can_be_revoked() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    let stranger = Authority::new();
    authority.issue("server", "server", "first");
    for name in ["one", "two"] {
        authority.issue("client", name, name);
    }
    stranger.issue("client", "one", "one");
    authority.list();
    let mut settings = tls(&authority, "12");
    settings.push(("CLIENT_AUTH_TYPE", "1".to_owned()));
    let others = [
        ("HTTPD__CA_CERTIFICATES", authority.shown("ca.pem")),
        ("HTTPD__CA_REVOCATION_LISTS", authority.shown("list.pem")),
    ];
    let (server, port) = with_binding(&borrowed(&settings), &borrowed(&others));
    let ask = |by: &Authority, name: &str, path: &str, version: &str| {
        let (cert, key) = (by.shown(&format!("{name}.pem")), by.shown(&format!("{name}.key")));
        let ca = authority.shown("ca.pem");
        let url = format!("https://127.0.0.1:{port}{path}");
        let basic = format!("{ADMIN}:{ADMIN_PASSWORD}");
        let mut arguments = vec!["--cacert", &ca, "--tls-max", version, &url];
        if !name.is_empty() {
            arguments.extend(["--cert", &cert, "--key", &key]);
        }
        if path.ends_with("/token") {
            arguments.extend(["-u", &basic]);
        }
        curl(&arguments).map(|answer| answer.split_whitespace().nth(1).unwrap_or("").to_owned())
    };
    for version in ["1.2", "1.3"] {
        let yes = |path| ask(&authority, "one", path, version);
        assert_eq!(yes("/api/v2/version").as_deref(), Ok("401"), "the login is still needed");
        assert_eq!(yes("/api/v2/token").as_deref(), Ok("200"));
        assert!(ask(&authority, "", "/api/v2/token", version).is_err(), "no certificate");
        assert!(ask(&stranger, "one", "/api/v2/token", version).is_err(), "of somebody else");
        assert!(ask(&authority, "server", "/api/v2/token", version).is_err(), "of a server");
    }
    authority.openssl("ca -config config -revoke two.pem");
    assert_eq!(ask(&authority, "two", "/healthz", "1.3").as_deref(), Ok("200"), "not yet known");
    authority.list();
    server.signal("HUP");
    server.wait_for_log("the reload", |line| {
        line["message"] == "httpd.bindings[1]: new certificates are in use"
    });
    for version in ["1.2", "1.3"] {
        assert!(ask(&authority, "two", "/healthz", version).is_err(), "revoked");
        assert_eq!(ask(&authority, "one", "/healthz", version).as_deref(), Ok("200"));
    }
}

#[test]
fn metrics_can_be_read_over_https() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let server = TestServer::with(&[
        ("TELEMETRY__CERTIFICATE_FILE", &authority.shown("server.pem")),
        ("TELEMETRY__CERTIFICATE_KEY_FILE", &authority.shown("server.key")),
    ]);
    let url = format!("https://127.0.0.1:{}/metrics", server.telemetry_port);
    let answer = curl(&["--cacert", &authority.shown("ca.pem"), &url]).unwrap();
    assert!(answer.contains("sftpgo_http_req_total"), "{answer}");
    assert!(curl(&[&url.replace("https", "http")]).is_err());
}

#[test]
fn settings_that_cannot_work_stop_the_start_and_are_named() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    authority.issue("server", "other", "other");
    let good = tls(&authority, "12");
    let other_key = authority.shown("other.key");
    let socket = authority.shown("api.sock");
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("CERTIFICATE_FILE", ""), ("CERTIFICATE_KEY_FILE", "")], "certificate_file"),
        (&[("CERTIFICATE_FILE", "/nowhere.pem")], "/nowhere.pem"),
        (&[("CERTIFICATE_KEY_FILE", &other_key)], "other.key"),
        (&[("TLS_CIPHER_SUITES", "TLS_NULL")], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (&[("TLS_PROTOCOLS", "h2")], "tls_protocols"),
        (&[("MIN_TLS_VERSION", "11")], "min_tls_version"),
        (&[("CLIENT_AUTH_TYPE", "1")], "ca_certificates"),
        (&[("CLIENT_AUTH_TYPE", "1"), ("ENABLE_HTTPS", "false")], "client_auth_type"),
        (&[("ADDRESS", &socket)], "Unix socket"),
        (&[("PROXY_ALLOWED", "proxy.example")], "proxy_allowed"),
        (&[("CLIENT_IP_PROXY_HEADER", "a b")], "client_ip_proxy_header"),
    ];
    for (changes, named) in table {
        let (mut server, _) = prepare(&borrowed(&good), &[]);
        for (key, value) in *changes {
            server.set(&format!("HTTPD__BINDINGS__1__{key}"), value);
        }
        let out = server.command().output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{changes:?}");
        let said = text(&out) + &server.log_text();
        let named_key = named.to_ascii_uppercase();
        assert!(said.contains(named) || said.contains(&named_key), "{changes:?}\n{said}");
    }
}

/// The status of a request that is sent after `before`, on a connection of its own.
fn raw(port: u16, before: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request =
        format!("{before}GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A refused connection may end with a reset.
    let _ = socket.read_to_string(&mut answer);
    answer.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

/// The address in the line of the request for `path`.
fn logged_address(server: &TestServer, path: &str) -> String {
    let line = server.wait_for_log(path, |line| line["uri"] == path);
    line["remote_addr"].as_str().unwrap().to_owned()
}

#[test]
fn a_load_balancer_tells_the_client_before_http_and_before_tls() {
    let header = "PROXY TCP4 192.0.2.77 127.0.0.1 12345 80\r\n";
    let proxy = [("COMMON__PROXY_PROTOCOL", "2"), ("COMMON__PROXY_ALLOWED", "127.0.0.1")];
    let (server, port) = with_binding(&[("PROXY_MODE", "1")], &proxy);
    assert_eq!(raw(port, header, "/healthz?first"), "200");
    assert_eq!(logged_address(&server, "/healthz?first"), "192.0.2.77:12345");
    assert_eq!(raw(port, "", "/healthz"), "", "the header is required");
    // The first binding has no part in it.
    assert_eq!(raw(server.http_port, "", "/healthz?second"), "200");
    assert!(logged_address(&server, "/healthz?second").starts_with("127.0.0.1:"));

    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let mut settings = tls(&authority, "12");
    settings.push(("PROXY_MODE", "1".to_owned()));
    let (_server, port) = with_binding(&borrowed(&settings), &proxy);
    let url = format!("https://127.0.0.1:{port}/healthz");
    let ca = authority.shown("ca.pem");
    let answer = curl(&["--haproxy-protocol", "--cacert", &ca, &url]).unwrap();
    assert!(answer.contains("HTTP/1.1 200"), "{answer}");
    assert!(curl(&["--cacert", &ca, &url]).is_err(), "the header is required");

    // Of somebody who may not tell, it closes the door.
    let stranger = [("COMMON__PROXY_PROTOCOL", "2"), ("COMMON__PROXY_ALLOWED", "10.0.0.0/8")];
    let (_server, port) = with_binding(&[("PROXY_MODE", "1")], &stranger);
    assert_eq!(raw(port, header, "/healthz"), "");
}

#[test]
fn a_header_with_the_client_counts_from_allowed_proxies_only() {
    for (allowed, seen) in [("127.0.0.0/8", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1:")] {
        let settings = [("PROXY_ALLOWED", allowed), ("CLIENT_IP_PROXY_HEADER", "X-Forwarded-For")];
        let (server, port) = with_binding(&settings, &[]);
        let url = format!("http://127.0.0.1:{port}/api/v2/token");
        let told = "X-Forwarded-For: 198.51.100.1, 203.0.113.9";
        let answer = curl(&["-H", told, "-u", "nobody:guess", &url]).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let shown = logged_address(&server, "/api/v2/token");
        assert!(shown.starts_with(seen), "{allowed}: {shown}");
        // What fail2ban reads must name the client, or it would ban the proxy.
        let line = server.wait_for_log("the failure", |line| line["sender"] == "connection_failed");
        assert_eq!(line["client_ip"], seen.trim_end_matches(':'), "{allowed}");
    }
}

#[test]
fn browsers_are_sent_to_https_and_told_to_stay() {
    if !has("openssl") {
        return;
    }
    let authority = Authority::new();
    authority.issue("server", "server", "first");
    let mut settings = tls(&authority, "12");
    for (key, value) in [
        ("SECURITY__ENABLED", "1"),
        ("SECURITY__STS_SECONDS", "600"),
        ("SECURITY__ALLOWED_HOSTS", "127.0.0.1"),
    ] {
        settings.push((key, value.to_owned()));
    }
    let [plain] = free_ports();
    let plain_text = plain.to_string();
    let (mut server, port) = prepare(&borrowed(&settings), &[]);
    for (key, value) in [
        ("PORT", plain_text.as_str()),
        ("ADDRESS", "127.0.0.1"),
        ("SECURITY__ENABLED", "1"),
        ("SECURITY__HTTPS_REDIRECT", "1"),
        ("SECURITY__HTTPS_HOST", &format!("127.0.0.1:{port}")),
    ] {
        server.set(&format!("HTTPD__BINDINGS__2__{key}"), value);
    }
    server.launch();
    let ca = authority.shown("ca.pem");
    let url = format!("http://127.0.0.1:{plain}/api/v2/version");
    let answer = curl(&["-L", "--cacert", &ca, &url]).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 301"), "{answer}");
    assert!(answer.contains("http/1.1 401"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=600"), "{answer}");
    for header in ["x-content-type-options: nosniff", "x-frame-options: deny"] {
        assert_eq!(answer.matches(header).count(), 2, "{header}\n{answer}");
    }
    let url = format!("https://127.0.0.1:{port}/api/v2/version");
    let answer = curl(&["--cacert", &ca, "-H", "Host: evil.test", &url]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
}

#[test]
fn a_page_of_an_allowed_origin_gets_its_permission() {
    let (_server, port) = with_binding(
        &[],
        &[
            ("HTTPD__CORS__ENABLED", "1"),
            ("HTTPD__CORS__ALLOWED_ORIGINS", "https://*.app.test"),
            ("HTTPD__CORS__ALLOWED_HEADERS", "authorization"),
            ("HTTPD__CORS__MAX_AGE", "60"),
        ],
    );
    let url = format!("http://127.0.0.1:{port}/api/v2/users");
    let preflight = |origin: &str| {
        let origin = format!("Origin: {origin}");
        let question =
            ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"];
        let headers = ["-H", &origin, "-H", question[0], "-H", question[1]];
        curl(&[&["-X", "OPTIONS"][..], &headers, &[&url]].concat()).unwrap().to_lowercase()
    };
    let answer = preflight("https://a.app.test");
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    for header in [
        "access-control-allow-origin: https://a.app.test",
        "access-control-allow-methods: get",
        "access-control-allow-headers: authorization",
        "access-control-max-age: 60",
    ] {
        assert!(answer.contains(header), "{header}\n{answer}");
    }
    assert!(!preflight("https://a.app.evil").contains("access-control-allow"));
}
