//! One-time passwords and the dialogue of keyboard-interactive logins.

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use common::TestServer;
use common::clients::{asked, has, is_in, python, run, text};
use common::server::{ADMIN, ADMIN_PASSWORD, PASSWORD};
use serde_json::{Value, json};

/// The code of a secret in base32, `shift` periods from now.
fn code(secret: &str, shift: i64) -> String {
    let script = "import base64,hashlib,hmac,struct,sys,time\n\
        key = base64.b32decode(sys.argv[1] + '=' * (-len(sys.argv[1]) % 8))\n\
        count = int(time.time()) // 30 + int(sys.argv[2])\n\
        tag = hmac.new(key, struct.pack('>Q', count), hashlib.sha1).digest()\n\
        at = tag[-1] & 15\n\
        print('%06d' % ((struct.unpack('>I', tag[at:at + 4])[0] & 0x7fffffff) % 1000000))";
    run(Command::new("python3").args(["-c", script, secret, &shift.to_string()])).trim().to_owned()
}

/// One request with basic credentials or a token: status and JSON.
fn call(server: &TestServer, arguments: &[&str], path: &str) -> (u16, Value) {
    let out = Command::new("curl")
        .args(["-s", "--max-time", "20", "-w", "\n%{http_code}"])
        .args(arguments)
        .arg(format!("http://127.0.0.1:{}/api/v2{path}", server.http_port))
        .output()
        .unwrap();
    let shown = String::from_utf8(out.stdout).unwrap();
    let (body, status) = shown.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

struct Caller<'a> {
    server: &'a TestServer,
    bearer: String,
    base: &'static str,
}

impl<'a> Caller<'a> {
    fn new(server: &'a TestServer, base: &'static str, token: &Value) -> Self {
        let bearer = format!("Authorization: Bearer {}", token["access_token"].as_str().unwrap());
        Self { server, bearer, base }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        call(self.server, &["-H", &self.bearer], &format!("{}{path}", self.base))
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let body = body.to_string();
        let arguments = ["-H", &self.bearer, "-H", "Content-Type: application/json", "-d", &body];
        call(self.server, &arguments, &format!("{}{path}", self.base))
    }

    /// Switches one-time passwords on; the secret.
    fn set_up(&self, protocols: Option<Value>) -> String {
        let (status, kinds) = self.get("/totp/configs");
        assert_eq!((status, &kinds[0]["name"]), (200, &json!("Default")));
        let (status, made) = self.post("/totp/generate", json!({"config_name": "Default"}));
        assert_eq!(status, 200, "{made}");
        assert!(made["qr_code"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{made}");
        let secret = made["secret"].as_str().unwrap().to_owned();
        let attempt = |passcode: &str| {
            let body = json!({"config_name": "Default", "passcode": passcode, "secret": secret});
            self.post("/totp/validate", body).0
        };
        assert_eq!(attempt("000000x"), 400);
        assert_eq!(attempt(&code(&secret, 0)), 200);
        let mut save = json!({
            "enabled": true, "config_name": "Default",
            "secret": {"status": "Plain", "payload": secret},
        });
        if let Some(protocols) = protocols {
            save["protocols"] = protocols;
        }
        let (status, answer) = self.post("/totp/save", save);
        assert_eq!(status, 200, "{answer}");
        secret
    }
}

fn user_token(server: &TestServer, name: &str, arguments: &[&str]) -> (u16, Value) {
    let basic = format!("{name}:{PASSWORD}");
    let mut all = vec!["-u", basic.as_str()];
    all.extend(arguments);
    call(server, &all, "/user/token")
}

const INTERACTIVE: &[&str] = &["PreferredAuthentications=keyboard-interactive"];

#[test]
fn a_user_sets_up_a_second_factor_and_is_asked_for_it() {
    if !has("sftp") || !has("python3") {
        return;
    }
    let server = TestServer::start();
    server.add_user("alice", json!({}));
    let (status, token) = user_token(&server, "alice", &[]);
    assert_eq!(status, 200, "{token}");
    let alice = Caller::new(&server, "/user", &token);
    assert_eq!(alice.get("/2fa/recoverycodes").0, 400);
    assert!(is_in(&asked(&server, "alice", INTERACTIVE, &[])));

    let secret = alice.set_up(Some(json!(["SSH", "HTTP"])));
    // Without, with a wrong and with the right code.
    let with = |code: &str| is_in(&asked(&server, "alice", INTERACTIVE, &[("CODE", code)]));
    assert!(!with(""));
    assert!(!with("123"));
    let now = code(&secret, 0);
    assert!(with(&now));
    assert!(!with(&now), "a code was good twice");
    server.wait_for_log("wrong code", |line| line["error"] == "wrong one-time password");
    // The plain password is let through, unless the account requires a second factor.
    let plain = ["PreferredAuthentications=password"];
    assert!(is_in(&asked(&server, "alice", &plain, &[])));
    let user = json!({
        "username": "alice", "status": 1, "home_dir": server.home("alice"),
        "permissions": {"/": ["*"]}, "filters": {"two_factor_protocols": ["SSH"]},
    });
    let (status, answer) = server.api().put("/users/alice", &user);
    assert_eq!(status, 200, "{answer}");
    assert!(!is_in(&asked(&server, "alice", &plain, &[])));
    assert!(with(&code(&secret, 1)), "the update has changed the second factor");

    // Over HTTP the code is a header; this one is used up.
    assert_eq!(user_token(&server, "alice", &[]).0, 401);
    assert_eq!(user_token(&server, "alice", &["-H", "X-SFTPGO-OTP: 000"]).0, 401);
    let used = format!("X-SFTPGO-OTP: {}", code(&secret, 1));
    assert_eq!(user_token(&server, "alice", &["-H", &used]).0, 401);

    let (status, codes) = alice.get("/2fa/recoverycodes");
    assert_eq!((status, codes.as_array().unwrap().len()), (200, 12));
    let (status, new) = alice.post("/2fa/recoverycodes", json!({}));
    assert_eq!(status, 200);
    assert_ne!(new[0], codes[0]["secret"]["payload"]);
    // Nothing of it is shown to others or kept in the clear.
    let (_, shown) = server.api().get("/users/alice");
    assert_eq!(shown["filters"]["totp_config"]["secret"]["status"], "Secretbox");
    assert!(!shown.to_string().contains(&secret));
    assert_eq!(shown["filters"]["totp_config"]["secret"]["key"], Value::Null);
    // It cannot be switched off while it is required, but by an administrator.
    let (status, answer) = alice.post("/totp/save", json!({"enabled": false}));
    assert_eq!(status, 400, "{answer}");
    assert_eq!(server.api().call("PUT", "/users/alice/2fa/disable", None).0, 200);
    assert_eq!(server.api().call("PUT", "/users/alice/2fa/disable", None).0, 400);
    assert_eq!(server.api().call("PUT", "/users/nobody/2fa/disable", None).0, 404);
    assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[])), "required, and not there");
}

#[test]
fn an_administrator_with_a_second_factor_needs_it_for_a_token() {
    if !has("python3") {
        return;
    }
    let server = TestServer::start();
    let api = server.api();
    let basic = format!("{ADMIN}:{ADMIN_PASSWORD}");
    let token = |arguments: &[&str]| {
        let mut all = vec!["-u", basic.as_str()];
        all.extend(arguments);
        call(&server, &all, "/token")
    };
    let admin = Caller::new(&server, "/admin", &token(&[]).1);
    let secret = admin.set_up(None);
    assert_eq!(token(&[]).0, 401);
    let header = format!("X-SFTPGO-OTP: {}", code(&secret, 0));
    assert_eq!(token(&["-H", &header]).0, 200);
    assert_eq!(token(&["-H", &header]).0, 401, "a code was good twice");
    // A user's token opens nothing of the administrators, and the other way round.
    server_user(&api, &server);
    let (_, user) = user_token(&server, "alice", &[]);
    assert_eq!(Caller::new(&server, "/admin", &user).get("/totp/configs").0, 401);
    let swapped = Caller { base: "/user", ..Caller::new(&server, "/admin", &user) };
    assert_eq!(swapped.get("/totp/configs").0, 200);
    assert_eq!(api.call("PUT", &format!("/admins/{ADMIN}/2fa/disable"), None).0, 200);
    assert_eq!(token(&[]).0, 200);
}

fn server_user(api: &common::api::Api, server: &TestServer) {
    let user = json!({
        "username": "alice", "password": PASSWORD, "status": 1,
        "home_dir": server.home("alice"), "permissions": {"/": ["*"]},
    });
    assert_eq!(api.post("/users", &user).0, 201);
}

/// A server whose dialogue is led by this shell script.
fn with_program(script: &str) -> TestServer {
    let mut server = TestServer::prepare(&[]);
    let path = server.dir().join("hook.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let path = path.display().to_string();
    server.set("SFTPD__KEYBOARD_INTERACTIVE_AUTH_HOOK", &path);
    server.set("COMMAND__ENV", "PLACE=here");
    server.launch();
    server.add_user("alice", json!({}));
    server
}

#[test]
fn a_program_leads_the_dialogue() {
    if !has("sftp") {
        return;
    }
    let server = with_program(
        r#"echo '{"questions":["Password: "],"echos":[false],"check_password":1}'
read checked
[ "$checked" = OK ] || exit 1
echo "for $SFTPGO_AUTHD_USERNAME from $SFTPGO_AUTHD_IP in $PLACE, hash $(expr length "$SFTPGO_AUTHD_PASSWORD")" >&2
echo
echo '{"instruction":"Two more","questions":["Colour: ","Animal: "],"echos":[true,false]}'
read colour
read animal
[ "$colour $animal" = "blue blue" ] || { echo '{"auth_result":-1}'; exit; }
echo '{"auth_result":1}'"#,
    );
    let blue = [("ANSWER", "blue")];
    assert!(is_in(&asked(&server, "alice", INTERACTIVE, &blue)));
    let questions = std::fs::read_to_string(server.dir().join("asked")).unwrap();
    for part in ["Password: ", "Colour: ", "Animal: "] {
        assert!(questions.contains(part), "{questions}");
    }
    let line = server.wait_for_log("what the program prints", |line| {
        line["sender"] == "keyboard_interactive_auth_hook"
    });
    let message = line["message"].as_str().unwrap();
    assert!(message.starts_with("for alice from 127.0.0.1 in here, hash 60"), "{message}");
    assert_eq!(line["level"], "warn");
    assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[("ANSWER", "red")])));
    assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[("PASSWORD", "wrong")])));
    // Somebody unknown is asked the same and never gets in.
    let before = questions.lines().count();
    assert!(!is_in(&asked(&server, "nobody", INTERACTIVE, &blue)));
    let after = std::fs::read_to_string(server.dir().join("asked")).unwrap().lines().count();
    assert!(after > before);
}

#[test]
fn a_program_that_says_yes_lets_in_only_who_is_allowed() {
    if !has("sftp") {
        return;
    }
    let server = with_program(r#"echo '{"auth_result":1}'"#);
    assert!(is_in(&asked(&server, "alice", INTERACTIVE, &[])));
    server.add_user("bob", json!({"status": 0}));
    server
        .add_user("carol", json!({"filters": {"denied_login_methods": ["keyboard-interactive"]}}));
    for name in ["bob", "carol", "nobody"] {
        assert!(!is_in(&asked(&server, name, INTERACTIVE, &[])), "{name}");
    }
}

#[test]
fn a_program_that_fails_or_breaks_the_contract_lets_nobody_in() {
    if !has("sftp") {
        return;
    }
    for script in [
        "exit 0",
        "exit 3",
        "echo nonsense",
        r#"echo '{"questions":["a"],"echos":[]}'"#,
        r#"echo '{"auth_result":2}'"#,
        // It does not wait for its answer.
        r#"echo '{"questions":["Password: "],"echos":[false]}'"#,
    ] {
        let server = with_program(script);
        assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[])), "{script}");
    }
}

#[test]
fn a_client_that_goes_away_takes_the_program_with_it() {
    let Some(python) = python() else { return };
    let server = with_program(
        r#"echo $$ >"$0.pid"
echo '{"questions":["Wait: "],"echos":[true]}'
sleep 1000"#,
    );
    let script = "import paramiko,sys\n\
        from paramiko.transport import ServiceRequestingTransport\n\
        t = ServiceRequestingTransport(('127.0.0.1', int(sys.argv[1])))\n\
        t.start_client(timeout=20)\n\
        t.auth_interactive('alice', lambda *a: t.close() or [])";
    let out =
        Command::new(python).args(["-c", script, &server.sftp_port.to_string()]).output().unwrap();
    let pid = std::fs::read_to_string(server.dir().join("hook.sh.pid"))
        .unwrap_or_else(|error| panic!("{error}: {}", text(&out)));
    let status = format!("/proc/{}/status", pid.trim());
    common::server::eventually("the program's end", || {
        std::fs::read_to_string(&status).map_or(true, |text| text.contains("zombie"))
    });
}

/// An HTTP server that leads the dialogue and prints what it is sent.
struct HttpHook(Child);

impl Drop for HttpHook {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_http_server_leads_the_dialogue() {
    if !has("sftp") || !has("python3") {
        return;
    }
    let mut child = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/keyboard_hook.py"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let hook = HttpHook(child);
    let mut next =
        move || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let port = next();
    let url = format!("http://127.0.0.1:{port}/ask");
    let server = TestServer::with(&[
        ("SFTPD__KEYBOARD_INTERACTIVE_AUTH_HOOK", &url),
        ("HTTP__HEADERS__0__KEY", "X-Hook"),
        ("HTTP__HEADERS__0__VALUE", "let me in"),
    ]);
    server.add_user("alice", json!({}));
    assert!(is_in(&asked(&server, "alice", INTERACTIVE, &[("ANSWER", "blue")])));
    let first = next();
    assert_eq!(first["header"], "let me in");
    let first = &first["body"];
    assert_eq!(first["step"], 1);
    assert_eq!(first["username"], "alice");
    assert_eq!(first["ip"], "127.0.0.1");
    assert_eq!(first["password"].as_str().unwrap().len(), 60);
    assert_eq!(first["answers"], Value::Null);
    assert_eq!(first["questions"], Value::Null);
    let second = next()["body"].clone();
    assert_eq!(second["request_id"], first["request_id"]);
    assert_eq!(second["step"], 2);
    assert_eq!(second["questions"], json!(["Password: "]));
    assert_eq!(second["answers"], json!(["OK"]));
    let third = next()["body"].clone();
    assert_eq!(third["questions"], json!(["Colour: "]));
    assert_eq!(third["answers"], json!(["blue"]));

    assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[("ANSWER", "red")])));
    for answer in ["empty", "error", "huge", "moved"] {
        assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[("ANSWER", answer)])), "{answer}");
    }
    drop(hook);
    assert!(!is_in(&asked(&server, "alice", INTERACTIVE, &[("ANSWER", "blue")])));
}
