//! `sftpgo startsubsys`, as the SFTP subsystem of OpenSSH's server and on plain pipes.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use common::clients::{has, key, public_key, python, run, ssh_options, text};
use common::server::{eventually, free_ports};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A configuration directory, and where homes go.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("sftpgo-subsystem-").tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        Self(dir)
    }

    /// With one account in memory, of whoever runs the tests.
    fn with_account(changes: Value) -> Self {
        let place = Self::new();
        let mut user = json!({
            "username": whoami(),
            "status": 1,
            "home_dir": place.path("kept"),
            "permissions": {"/": ["*"]},
        });
        for (key, value) in changes.as_object().unwrap() {
            user[key] = value.clone();
        }
        let dump = json!({"users": [user], "version": 17});
        fs::write(place.path("config/accounts.json"), dump.to_string()).unwrap();
        let provider = json!({"driver": "memory", "name": "accounts.json"});
        place.configure(&json!({ "data_provider": provider }));
        place
    }

    fn configure(&self, config: &Value) {
        fs::write(self.path("config/sftpgo.json"), config.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where the user of the tests is at home.
    fn home(&self) -> PathBuf {
        self.path("homes").join(whoami())
    }

    /// The arguments of the program, with flags of a test.
    fn arguments(&self, flags: &[&str]) -> Vec<String> {
        let config = self.path("config").display().to_string();
        let homes = self.path("homes").display().to_string();
        let usual = ["startsubsys", "-c", &config, "-d", &homes];
        usual.iter().chain(flags).map(|word| (*word).to_owned()).collect()
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftpgo"));
        command.args(self.arguments(flags)).env_clear();
        command
    }
}

fn whoami() -> String {
    run(Command::new("id").arg("-un")).trim().to_owned()
}

/// OpenSSH's server on loopback, with the program as its subsystem.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    fn start(place: &Place, flags: &[&str]) -> Option<Self> {
        if !has("sftp") {
            return None;
        }
        let program = sshd()?;
        // Where sshd wants one and the package's service has never run.
        let _ = fs::create_dir("/run/sshd");
        let [port] = free_ports();
        let (host_key, authorized) = (place.path("host_key"), place.path("authorized_keys"));
        if !host_key.exists() {
            let mut keygen = Command::new("ssh-keygen");
            run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&host_key));
        }
        fs::write(&authorized, public_key()).unwrap();
        let subsystem = place.arguments(flags).join(" ");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nPermitRootLogin prohibit-password\n\
             PasswordAuthentication no\nUsePAM no\nMaxStartups 100\n\
             Subsystem sftp {} {subsystem} 2>>{}\n",
            host_key.display(),
            authorized.display(),
            env!("CARGO_BIN_EXE_sftpgo"),
            place.path("log").display(),
        );
        let file = place.path("sshd_config");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(place.path("sshd.log")).unwrap();
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { child, port };
        eventually("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(sshd)
    }

    fn sftp_command(&self) -> Command {
        let mut command = Command::new("sftp");
        command
            .args(ssh_options())
            .args(["-b", "-", "-P", &self.port.to_string()])
            .arg(format!("{}@127.0.0.1", whoami()));
        command
    }

    fn sftp(&self, batch: &str) -> Output {
        let mut child = self
            .sftp_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A client whose session was refused has closed its end.
        let _ = child.stdin.take().unwrap().write_all(batch.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn sftp_ok(&self, batch: &str) -> String {
        let out = self.sftp(batch);
        assert!(out.status.success(), "{batch}: {}", text(&out));
        text(&out)
    }

    fn sftp_fails(&self, batch: &str, said: &str) {
        let out = self.sftp(batch);
        let shown = text(&out);
        assert!(!out.status.success() && shown.contains(said), "{batch}: {shown}");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// sshd wants to be started by its whole path, which is that of administrators.
fn sshd() -> Option<PathBuf> {
    let known = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
    let found = known.into_iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        assert!(!has("sshd"), "sshd is at an unknown place");
    }
    found
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

#[test]
fn opensshs_server_runs_it_as_its_subsystem() {
    let place = Place::new();
    let Some(sshd) = Sshd::start(&place, &[]) else { return };
    let data = content(20_000_000);
    let (file, back) = (place.path("file"), place.path("back"));
    fs::write(&file, &data).unwrap();
    let shown = sshd.sftp_ok(&format!(
        "pwd\nmkdir sub\nput {} sub/file\nget sub/file {}\nrename sub/file sub/other\nls -l sub\n",
        file.display(),
        back.display()
    ));
    assert!(shown.contains("Remote working directory: /\n"), "{shown}");
    assert!(fs::read(place.home().join("sub/other")).unwrap() == data);
    assert!(fs::read(&back).unwrap() == data);
    // sshd throws away what a subsystem says on its stderr, so it goes to a file.
    let log = fs::read_to_string(place.path("log")).unwrap();
    assert!(log.contains("connection ended: closed by the client"), "{log}");
    let log: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let upload = log.iter().find(|line| line["sender"] == "Upload").expect("the upload");
    assert_eq!((&upload["username"], &upload["protocol"]), (&json!(whoami()), &json!("SFTP")));
    let from = upload["remote_addr"].as_str().unwrap();
    assert!(from.starts_with("127.0.0.1:") && from != "127.0.0.1:0", "{from}");
    // A session each: none of them has a file in common with others.
    assert!(!place.path("config/sftpgo.db").exists());

    sshd.sftp_fails("get /../../../etc/passwd\n", "not found");
    sshd.sftp_fails(&format!("get {}\n", file.display()), "not found");
}

#[test]
fn rclone_and_paramiko_work_through_opensshs_server() {
    let place = Place::new();
    let Some(sshd) = Sshd::start(&place, &["--log-level", "error"]) else { return };
    let tree = place.path("tree");
    fs::create_dir_all(tree.join("sub dir")).unwrap();
    for (name, len) in [("empty", 0), ("one", 1), ("sub dir/ünï", 300_000), ("five", 5 << 20)] {
        fs::write(tree.join(name), content(len)).unwrap();
    }
    if has("rclone") {
        let remote = format!(
            ":sftp,host=127.0.0.1,port={},user={},key_file={},shell_type=none:up",
            sshd.port,
            whoami(),
            key().display()
        );
        let rclone = |args: [&str; 3]| {
            run(Command::new("rclone").args(["--config", "/dev/null", "--retries", "1"]).args(args))
        };
        let tree = tree.display().to_string();
        rclone(["copy", &tree, &remote]);
        let down = place.path("down").display().to_string();
        rclone(["copy", &remote, &down]);
        run(Command::new("diff").args(["-r", &tree, &down]));
    }
    if let Some(python) = python() {
        let script = "import paramiko, sys\n\
            t = paramiko.Transport(('127.0.0.1', int(sys.argv[1])))\n\
            t.connect(username=sys.argv[2], pkey=paramiko.Ed25519Key(filename=sys.argv[3]))\n\
            s = paramiko.SFTPClient.from_transport(t)\n\
            s.put(sys.argv[4], '/paramiko')\n\
            with s.open('/paramiko') as f:\n    f.prefetch()\n    got = f.read()\n\
            assert got == open(sys.argv[4], 'rb').read()\n\
            assert sorted(s.listdir('/')) == sorted(sys.argv[5:] + ['paramiko'])\n\
            t.close()\n";
        let mut command = Command::new(python);
        command.args(["-c", script, &sshd.port.to_string(), &whoami()]).arg(key());
        command.arg(tree.join("five"));
        if place.home().join("up").exists() {
            command.arg("up");
        }
        run(&mut command);
    }
}

#[test]
fn what_the_account_may_not_do_it_may_not_do_here_either() {
    let place = Place::with_account(json!({
        "permissions": {"/": ["list", "download", "upload"], "/in": ["upload"]},
        "quota_size": 100_000,
        "filters": {"file_patterns": [{"path": "/", "denied_patterns": ["*.exe"]}]},
    }));
    let Some(sshd) = Sshd::start(&place, &[]) else { return };
    let home = place.home();
    fs::create_dir_all(home.join("in")).unwrap();
    fs::write(home.join("tool.exe"), "tool").unwrap();
    let (small, large) = (place.path("small"), place.path("large"));
    fs::write(&small, content(10_000)).unwrap();
    fs::write(&large, content(200_000)).unwrap();
    let (small, large) = (small.display(), large.display());
    sshd.sftp_ok(&format!("put {small} file\nput {small} in/file\nget file /dev/null\n"));
    sshd.sftp_fails("mkdir dir\n", "ermission denied");
    sshd.sftp_fails("rename file other\n", "ermission denied");
    sshd.sftp_fails(&format!("put {small} file\n"), "ermission denied");
    sshd.sftp_fails("ls in\n", "ermission denied");
    sshd.sftp_fails("get tool.exe /dev/null\n", "ermission denied");
    sshd.sftp_fails(&format!("put {large} large\n"), "Failure");
    // What is there counts, also what an earlier session has left.
    for at in 0..7 {
        sshd.sftp_ok(&format!("put {small} file{at}\n"));
    }
    sshd.sftp_fails(&format!("put {small} file8\n"), "Failure");
    assert!(!place.path("kept").exists(), "the home of the account is replaced");
    drop(sshd);

    let sshd = Sshd::start(&place, &["-p"]).unwrap();
    sshd.sftp_ok(&format!("put {small} mine\n"));
    assert!(place.path("kept/mine").exists() && !home.join("mine").exists());
}

#[test]
fn a_session_ends_with_its_connection() {
    let place = Place::new();
    place.configure(&json!({"common": {"upload_mode": 1}}));
    let Some(sshd) = Sshd::start(&place, &[]) else { return };
    let file = place.path("file");
    fs::write(&file, content(3_000_000)).unwrap();
    let mut client = Command::new("sftp")
        .args(["-l", "800"])
        .args(ssh_options())
        .args(["-b", "-", "-P", &sshd.port.to_string()])
        .arg(format!("{}@127.0.0.1", whoami()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let put = format!("put {} slow\n", file.display());
    client.stdin.take().unwrap().write_all(put.as_bytes()).unwrap();
    let files = || fs::read_dir(place.home()).map(Iterator::count).unwrap_or(0);
    eventually("the upload has begun", || files() == 1);
    assert!(is_running(&place));
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("the process has ended", || !is_running(&place));
    assert_eq!(files(), 0, "an upload that was cut leaves nothing in this mode");
}

/// Whether a process of the program works for the place.
fn is_running(place: &Place) -> bool {
    let config = place.path("config").display().to_string();
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains("sftpgo startsubsys") && line.contains(&config)
    })
}

/// The program on pipes, and the bytes of SFTP.
struct Piped(Child);

impl Piped {
    fn start(place: &Place, flags: &[&str]) -> Self {
        let child = place
            .command(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut piped = Self(child);
        piped.send(&[1, 0, 0, 0, 3]);
        assert_eq!(piped.reply()[0], 2, "VERSION");
        piped
    }

    fn send(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.0.stdin.as_mut().unwrap().write_all(&[&length[..], body].concat()).unwrap();
    }

    fn reply(&mut self) -> Vec<u8> {
        let out = self.0.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        out.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        out.read_exact(&mut body).unwrap();
        body
    }

    fn open_for_writing(&mut self, path: &str) {
        let path = [&(path.len() as u32).to_be_bytes()[..], path.as_bytes()].concat();
        let (flags, attributes) = (0x1au32.to_be_bytes(), 0u32.to_be_bytes());
        self.send(&[&[3, 0, 0, 0, 1][..], &path, &flags, &attributes].concat());
        assert_eq!(self.reply()[0], 102, "HANDLE");
    }

    /// No more is sent; how the program ends, and what it logged.
    fn finish(mut self) -> (ExitStatus, String) {
        drop(self.0.stdin.take());
        let out = self.0.wait_with_output().unwrap();
        (out.status, String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

#[test]
fn the_end_of_the_input_is_the_end_and_so_is_a_signal() {
    let place = Place::new();
    place.configure(&json!({"common": {"upload_mode": 1}}));
    let (status, log) = Piped::start(&place, &[]).finish();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("closed by the client"), "{log}");
    for signal in ["-HUP", "-TERM", "-INT"] {
        let mut piped = Piped::start(&place, &[]);
        piped.open_for_writing("/file");
        run(Command::new("kill").arg(signal).arg(piped.0.id().to_string()));
        // Its input stays open: nothing but the signal tells it to end.
        let input = piped.0.stdin.take();
        let (status, log) = piped.finish();
        drop(input);
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert_eq!(fs::read_dir(place.home()).unwrap().count(), 0, "{signal}: {log}");
    }
}

#[test]
fn every_request_is_answered_also_to_a_client_that_reads_late() {
    let place = Place::new();
    let mut piped = Piped::start(&place, &[]);
    fs::write(place.home().join("file"), content(100_000)).unwrap();
    piped.send(&[&[3, 0, 0, 0, 1, 0, 0, 0, 5][..], b"/file", &[0, 0, 0, 1, 0, 0, 0, 0]].concat());
    let handle = piped.reply()[5..].to_vec();
    // Some forty times what pipes and queues hold, and then the end.
    const READS: u32 = 500;
    for id in 0..READS {
        let range = [&0u64.to_be_bytes()[..], &100_000u32.to_be_bytes()].concat();
        piped.send(&[&[5][..], &id.to_be_bytes(), &handle, &range].concat());
    }
    drop(piped.0.stdin.take());
    for id in 0..READS {
        let reply = piped.reply();
        assert_eq!((reply[0], &reply[1..5]), (103, &id.to_be_bytes()[..]));
        assert!(reply[9..] == content(100_000));
    }
    let (status, log) = piped.finish();
    assert!(status.success(), "{log}");
}

#[test]
fn what_is_not_sftp_ends_it_with_an_error() {
    let place = Place::new();
    for bytes in [&b"SSH-2.0-nonsense\r\n"[..], &[0, 0, 0, 5, 17, 0, 0, 0, 1]] {
        let mut child = place
            .command(&[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(bytes).unwrap();
        let out = child.wait_with_output().unwrap();
        drop(stdin);
        let shown = text(&out);
        assert_eq!(out.status.code(), Some(1), "{shown}");
        assert!(out.stdout.is_empty() && shown.contains("sftp"), "{shown}");
        assert!(!shown.contains("panicked"), "{shown}");
    }
}

#[test]
fn accounts_that_are_kept_out_are_kept_out_here_too() {
    for (changes, why) in [
        (json!({"status": 0}), "disabled"),
        (json!({"expiration_date": 1}), "expired"),
        (json!({"filters": {"denied_protocols": ["SSH"]}}), "protocol"),
        (json!({"filters": {"denied_ip": ["192.0.2.0/24"]}}), "192.0.2.7"),
    ] {
        let place = Place::with_account(changes);
        let out = place
            .command(&[])
            .env("SSH_CONNECTION", "192.0.2.7 1025 127.0.0.1 22")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let shown = text(&out);
        assert_eq!(out.status.code(), Some(1), "{why}: {shown}");
        assert!(out.stdout.is_empty() && shown.contains(why), "{why}: {shown}");
    }
}

#[test]
fn a_start_that_cannot_be_says_why_and_nothing_on_the_clients_stream() {
    let place = Place::new();
    let fails = |flags: &[&str], status: i32, named: &str| {
        let out = place.command(flags).stdin(Stdio::null()).output().unwrap();
        let shown = text(&out);
        assert_eq!(out.status.code(), Some(status), "{flags:?}: {shown}");
        assert!(out.stdout.is_empty() && shown.contains(named), "{flags:?}: {shown}");
    };
    fails(&["--config-file", "missing"], 1, "missing");
    fails(&["-s", "22"], 2, "-s");
    if !Path::new("/run/systemd/journal/socket").exists() {
        fails(&["-j"], 1, "/run/systemd/journal/socket");
    }
    fs::create_dir(place.path("homes")).unwrap();
    fs::write(place.home(), "not a directory").unwrap();
    fails(&[], 1, &whoami());
}
