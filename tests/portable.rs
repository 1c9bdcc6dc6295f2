//! `sftpgo portable`: somebody shares a directory for an afternoon.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use common::clients::{has, public_key, ssh_options, text};
use common::server::eventually;
use tempfile::TempDir;

/// A directory to share, and everything the program may touch besides, apart from it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sftpgo-portable-").tempdir().unwrap();
        let place = Self(dir);
        for made in ["config", "tmp", "served/sub"] {
            fs::create_dir_all(place.0.path().join(made)).unwrap();
        }
        fs::write(place.served().join("notes.txt"), "read me\n").unwrap();
        place
    }

    fn served(&self) -> PathBuf {
        self.0.path().join("served")
    }

    /// `sftpgo portable`, serving on loopback. It is run where its files are shared, as
    /// people do.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftpgo"));
        command.arg("portable").args(args).env_clear().current_dir(self.served());
        for name in ["PATH", "HOME", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("TMPDIR", self.0.path().join("tmp"))
            .env("SFTPGO_SFTPD__BINDINGS__0__ADDRESS", "127.0.0.1")
            .stdin(Stdio::null());
        command
    }

    /// The program must end by itself.
    fn fails(&self, args: &[&str]) -> Output {
        let out = self.command(args).output().unwrap();
        assert!(!out.status.success(), "{args:?} was accepted");
        assert!(out.stdout.is_empty(), "{}", text(&out));
        assert!(!text(&out).contains("panicked"), "{}", text(&out));
        out
    }

    /// Every file below the place, relative to it.
    fn files(&self) -> Vec<String> {
        let mut found = vec![];
        let mut dirs = vec![self.0.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.0.path()).unwrap().display().to_string();
                if path.is_dir() {
                    dirs.push(path);
                }
                found.push(name);
            }
        }
        found.sort();
        found
    }
}

/// A running portable server and what it said about itself.
struct Portable {
    child: Child,
    port: u16,
    username: String,
    password: Option<String>,
}

impl Portable {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut child = place.command(args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut portable = Self { child, port: 0, username: String::new(), password: None };
        let mut shown = String::new();
        // The last line says how to log in.
        loop {
            let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) else {
                panic!("no credentials were printed:\n{shown}");
            };
            shown.push_str(&line);
            shown.push('\n');
            let (what, value) = line.split_once(": ").unwrap_or((&line, ""));
            match what {
                "username" => portable.username = value.to_owned(),
                "password" => {
                    portable.password = Some(value.to_owned());
                    break;
                }
                "login with the given public keys" => break,
                _ => {
                    if let Some(address) = line.strip_prefix("sftp on 127.0.0.1:") {
                        portable.port = address.parse().unwrap();
                    }
                }
            }
        }
        assert_ne!(portable.port, 0, "no port was printed:\n{shown}");
        portable
    }

    fn password(&self) -> &str {
        self.password.as_deref().expect("a password was printed")
    }

    /// A Python client with the printed credentials.
    fn python(&self, script: &str, password: &str) -> Option<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        let out = Command::new(common::clients::python()?)
            .arg(script)
            .args(["127.0.0.1", &self.port.to_string(), &self.username, password])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Some(out)
    }

    /// `sftp` with the test's key and a batch of commands.
    fn sftp(&self, batch: &str) -> Output {
        use std::io::Write;
        let mut child = Command::new("sftp")
            .args(ssh_options())
            .args(["-b", "-", "-P", &self.port.to_string()])
            .arg(format!("{}@127.0.0.1", self.username))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn sftp_ok(&self, batch: &str) -> String {
        let out = self.sftp(batch);
        assert!(out.status.success(), "{}", text(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// SIGTERM, and waits for the end.
    fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Portable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines as they come; the thread ends with the program.
fn lines(out: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[test]
fn generated_credentials_open_the_directory_for_reading_only() {
    let place = Place::new();
    let before = place.files();
    let portable = Portable::start(&place, &[]);
    assert!(portable.port > 1023);
    assert!(!portable.username.is_empty());
    assert!(portable.password().len() >= 16, "a password to be guessed");
    let Some(out) = portable.python("read_only.py", portable.password()) else { return };
    assert!(out.status.success(), "{}", text(&out));
    let out = portable.python("login.py", "something else").unwrap();
    assert_eq!(out.status.code(), Some(10), "{}", text(&out));
    let other = Portable::start(&place, &[]);
    assert_ne!(other.password, portable.password, "the same password twice");
    assert!(other.stop().success());
    assert!(portable.stop().success());
    assert_eq!(place.files(), before, "something was left behind");
}

#[test]
fn a_public_key_replaces_the_generated_password() {
    if !has("sftp") {
        return;
    }
    let place = Place::new();
    let portable = Portable::start(&place, &["-k", &public_key(), "-g", "*", "-u", "ann"]);
    assert_eq!((portable.username.as_str(), portable.password.as_deref()), ("ann", None));
    let notes = place.served().join("notes.txt");
    portable.sftp_ok(&format!(
        "mkdir /made\nput {} /made/copy.txt\nrename /notes.txt /sub/notes.txt\n",
        notes.display()
    ));
    assert_eq!(fs::read(place.served().join("made/copy.txt")).unwrap(), b"read me\n");
    assert!(place.served().join("sub/notes.txt").exists());
    for password in ["", "ann", "password"] {
        let Some(out) = portable.python("login.py", password) else { return };
        assert_eq!(out.status.code(), Some(10), "{password:?}: {}", text(&out));
    }
}

#[test]
fn a_password_comes_from_the_command_line_or_from_a_file() {
    let place = Place::new();
    let file = place.0.path().join("password");
    fs::write(&file, "from-a-file\n").unwrap();
    let given = Portable::start(&place, &["-u", "ann", "-p", "from-the-line"]);
    let read = Portable::start(&place, &["-u", "bob", "--password-file", file.to_str().unwrap()]);
    for (portable, password) in [(&given, "from-the-line"), (&read, "from-a-file")] {
        let Some(out) = portable.python("login.py", password) else { return };
        assert!(out.status.success(), "{}", text(&out));
    }
    let out = place.fails(&["--password-file", "/nonexistent/password"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).contains("/nonexistent/password"), "{}", text(&out));
}

#[test]
fn the_account_starts_where_it_is_told_and_may_still_leave_it() {
    if !has("sftp") {
        return;
    }
    let place = Place::new();
    fs::write(place.served().join("sub/inner.txt"), "inner").unwrap();
    let key = public_key();
    let portable = Portable::start(&place, &["-k", &key, "--start-directory", "/sub"]);
    let shown = portable.sftp_ok("pwd\nls -1\nget inner.txt /dev/null\nls -1 /\n");
    assert!(shown.contains("directory: /sub"), "{shown}");
    assert!(shown.contains("inner.txt") && shown.contains("/notes.txt"), "{shown}");
}

#[test]
fn rules_on_names_hold_for_what_is_shared() {
    if !has("sftp") {
        return;
    }
    let place = Place::new();
    for name in ["photo.JPG", "private.key", "sub/tool.exe", "sub/text"] {
        fs::write(place.served().join(name), name).unwrap();
    }
    let key = public_key();
    let args = [
        "-k",
        key.as_str(),
        "-g",
        "*",
        "--denied-patterns",
        "/::*.KEY,secret*",
        "--denied-extensions",
        "/sub::.exe",
        "--allowed-patterns",
        "/new::*.txt",
        "--allowed-extensions",
        "/new::.Jpg",
    ];
    let portable = Portable::start(&place, &args);
    let photo = place.served().join("photo.JPG");
    let photo = photo.display();
    portable.sftp_ok(&format!(
        "get photo.JPG /dev/null\nget sub/text /dev/null\nmkdir new\nput {photo} new/a.TXT\n\
         put {photo} new/b.jpg\n"
    ));
    for refused in [
        "get private.key /dev/null".to_owned(),
        "get sub/tool.exe /dev/null".to_owned(),
        "rename private.key public".to_owned(),
        "rename photo.JPG Secret.jpg".to_owned(),
        format!("put {photo} sub/x.EXE"),
        format!("put {photo} new/x.png"),
    ] {
        let out = portable.sftp(&format!("{refused}\n"));
        let shown = text(&out).to_lowercase();
        assert!(!out.status.success() && shown.contains("permission denied"), "{refused}: {shown}");
    }
    assert!(portable.stop().success());
    let out = place.fails(&["--denied-patterns", "/::[x"]);
    assert!(text(&out).contains("--denied-patterns"), "{}", text(&out));
}

#[test]
fn a_transfer_ends_within_the_grace_time_and_what_happened_is_in_the_log() {
    if !has("sftp") {
        return;
    }
    let place = Place::new();
    fs::write(place.served().join("large"), vec![7; 2 << 20]).unwrap();
    let (log, key) = (place.0.path().join("log"), public_key());
    let flags = ["-l", log.to_str().unwrap(), "--log-level", "info", "--log-utc-time"];
    let args = [&["-k", &key, "-u", "ann", "--grace-time", "60"][..], &flags].concat();
    let portable = Portable::start(&place, &args);
    let port = portable.port.to_string();
    let back = place.0.path().join("back");
    // Four seconds at this rate.
    let mut client = Command::new("sftp")
        .args(["-l", "4096"])
        .args(ssh_options())
        .args(["-P", &port, "ann@127.0.0.1:/large"])
        .arg(&back)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the download has begun", || fs::metadata(&back).is_ok_and(|file| file.len() > 0));
    assert!(portable.stop().success());
    assert!(client.wait().unwrap().success(), "the download was cut off");
    assert_eq!(fs::metadata(&back).unwrap().len(), 2 << 20);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("\"sender\":\"Download\""), "{log}");
    assert!(!log.contains("\"level\":\"debug\""), "{log}");
}

#[test]
fn a_taken_port_is_named_and_ends_the_start_with_status_1() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let out = place.fails(&["-s", &port]);
    assert_eq!(out.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert_eq!(shown.trim().lines().count(), 1, "{shown}");
}

#[test]
fn what_this_version_lacks_is_refused_by_name() {
    let place = Place::new();
    let before = place.files();
    for (args, named) in [
        (&["--s3-bucket", "b"][..], "--s3-bucket"),
        (&["--gcs-bucket=b"], "--gcs-bucket"),
        (&["--az-container", "c"], "--az-container"),
        (&["--crypto-passphrase", "p"], "--crypto-passphrase"),
        (&["--sftp-endpoint", "host:22"], "--sftp-endpoint"),
        (&["-f", "cryptfs"], "cryptfs"),
        (&["--ftpd-port", "0"], "--ftpd-port"),
        (&["--webdav-port", "0"], "--webdav-port"),
        (&["--httpd-port", "8080"], "--httpd-port"),
    ] {
        let out = place.fails(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        let shown = text(&out);
        assert!(shown.contains(named) && shown.contains("not available"), "{args:?}: {shown}");
    }
    let out = place.fails(&["-d", "/nonexistent/served"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out).contains("/nonexistent/served"), "{}", text(&out));
    assert_eq!(place.files(), before, "something was left behind");
}

/// What the local network hears about the service on `port`.
fn advertised(port: u16) -> Option<Box<mdns_sd::ResolvedService>> {
    let browser = mdns_sd::ServiceDaemon::new().unwrap();
    browser.disable_interface(mdns_sd::IfKind::All).unwrap();
    browser.enable_interface(mdns_sd::IfKind::LoopbackV4).unwrap();
    let events = browser.browse("_sftp-ssh._tcp.local.").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_timeout(left) {
            Ok(mdns_sd::ServiceEvent::ServiceResolved(service)) if service.port == port => {
                break Some(service);
            }
            Ok(_) => {}
            Err(_) => break None,
        }
    };
    let _ = browser.shutdown();
    found
}

#[test]
fn others_on_the_network_learn_what_they_may_and_no_more() {
    let place = Place::new();
    let discreet = Portable::start(&place, &["-S"]);
    let told = advertised(discreet.port).expect("the service is advertised");
    let property = |name| told.txt_properties.get_property_val_str(name).map(str::to_owned);
    assert!(property("version").is_some());
    assert_eq!((property("user"), property("password")), (None, None));

    let open = Portable::start(&place, &["-S", "-C"]);
    let told = advertised(open.port).expect("the service is advertised");
    let property = |name| told.txt_properties.get_property_val_str(name);
    assert_eq!(property("user"), Some(open.username.as_str()));
    assert_eq!(property("password"), open.password.as_deref());
    assert!(open.stop().success());
    assert!(discreet.stop().success());
}
