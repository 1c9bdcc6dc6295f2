//! curl, and with it libssh2, which also PHP, libgit2 and many devices use.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::TestServer;
use common::clients::{key, run, text};
use common::server::PASSWORD;
use serde_json::json;
use tempfile::TempDir;

/// Whether curl has libssh2; `None` skips the test.
fn libssh2() -> Option<()> {
    if !common::clients::has("curl") {
        return None;
    }
    let about = run(Command::new("curl").arg("--version"));
    if !about.contains(" libssh2/") {
        // Some distributions build curl with libssh, or without either.
        eprintln!("skipped: this curl has no libssh2: {about}");
        return None;
    }
    Some(())
}

/// A server, an account, and what to send.
struct Story {
    server: TestServer,
    local: TempDir,
    fingerprint: String,
}

impl Story {
    fn begin() -> Option<Self> {
        libssh2()?;
        let server = TestServer::start();
        server.add_key_user("alice");
        let public = server.dir().join("id_ed25519.pub");
        let shown = run(Command::new("ssh-keygen").args(["-l", "-f"]).arg(public));
        let fingerprint = shown.split_whitespace().nth(1).unwrap();
        let fingerprint = fingerprint.strip_prefix("SHA256:").unwrap().to_owned();
        Some(Self { server, local: tempfile::tempdir().unwrap(), fingerprint })
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.server.sftp_port)
    }

    fn file(&self, name: &str, len: usize) -> PathBuf {
        let path = self.local.path().join(name);
        fs::write(&path, content(len)).unwrap();
        path
    }

    fn remote(&self, path: &str) -> PathBuf {
        self.server.home("alice").join(path)
    }

    fn curl(&self, login: &[&str], args: &[&str]) -> Output {
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "--max-time", "60", "--hostpubsha256", &self.fingerprint]);
        command.env("HOME", self.local.path()).args(login).args(args);
        command.output().unwrap()
    }

    /// With the password; must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let out = self.curl(&["-u", &format!("alice:{PASSWORD}")], args);
        assert!(out.status.success(), "{args:?}: {}", text(&out));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// With the password; must end with curl's status.
    fn fails(&self, args: &[&str], status: i32) {
        let out = self.curl(&["-u", &format!("alice:{PASSWORD}")], args);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {}", text(&out));
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn files_go_up_and_down_with_a_password_and_with_a_key() {
    let Some(story) = Story::begin() else { return };
    let (public, private) = (key().with_extension("pub"), key());
    let password = format!("alice:{PASSWORD}");
    let with_key = ["--key", shown(private), "--pubkey", shown(&public), "-u", "alice:"];
    for (login, name) in [(&["-u", &password][..], "by password"), (&with_key, "by key")] {
        let dir = name.replace(' ', "-");
        for len in [0, 1, 32_768, 5_000_003] {
            let file = story.file("file", len);
            let url = story.url("sftp", &format!("/{dir}/sub/{len}"));
            let out = story.curl(login, &["--ftp-create-dirs", "-T", shown(&file), &url]);
            assert!(out.status.success(), "{name} {len}: {}", text(&out));
            assert!(fs::read(story.remote(&format!("{dir}/sub/{len}"))).unwrap() == content(len));
            let out = story.curl(login, &[&url]);
            assert!(out.status.success(), "{name} {len}: {}", text(&out));
            assert!(out.stdout == content(len), "{name} {len}");
        }
    }
    let url = story.url("sftp", "/");
    for login in ["alice:wrong", "nobody:wrong"] {
        let out = story.curl(&["-u", login], &[&url]);
        assert_eq!(out.status.code(), Some(67), "{login}: {}", text(&out));
    }
    // The server is who it says: another fingerprint is refused by the client.
    let other = "A".repeat(43);
    story.fails(&["--hostpubsha256", &other, &url], 60);
}

#[test]
fn transfers_are_resumed_both_ways_and_parts_can_be_had() {
    let Some(story) = Story::begin() else { return };
    let whole = story.file("whole", 3_000_000);
    let url = story.url("sftp", "/file");
    story.ok(&["-T", shown(&story.file("part", 1_000_001)), &url]);
    story.ok(&["-C", "-", "-T", shown(&whole), &url]);
    assert!(fs::read(story.remote("file")).unwrap() == content(3_000_000));

    let down = story.file("down", 2_000_001);
    story.ok(&["-C", "-", "-o", shown(&down), &url]);
    assert!(fs::read(&down).unwrap() == content(3_000_000));
    let part = story.local.path().join("range");
    story.ok(&["-r", "1000000-1999999", "-o", shown(&part), &url]);
    assert!(fs::read(&part).unwrap() == content(3_000_000)[1_000_000..2_000_000]);

    story.ok(&["--append", "-T", shown(&story.file("tail", 10)), &url]);
    assert_eq!(fs::metadata(story.remote("file")).unwrap().len(), 3_000_010);
}

#[test]
fn directories_are_listed_and_commands_around_a_transfer_are_carried_out() {
    let Some(story) = Story::begin() else { return };
    let file = story.file("file", 100);
    let root = story.url("sftp", "/");
    let quote = |commands: &[&str]| {
        let mut args = vec![&*root];
        args.extend(commands.iter().flat_map(|command| ["-Q", command]));
        story.ok(&args)
    };
    quote(&["mkdir /dir", "pwd"]);
    story.ok(&["-T", shown(&file), &story.url("sftp", "/dir/one"), "-Q", "-rename /dir/one /two"]);
    let names = || {
        let shown = story.ok(&["-l", &root]);
        let names = shown.split_whitespace().filter(|name| !name.starts_with('.'));
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["dir", "two"]);
    let listing = story.ok(&[&root]);
    let line = listing.lines().find(|line| line.ends_with(" two")).expect("the file");
    assert!(line.starts_with("-rw") && line.contains(" 100 "), "{listing}");

    quote(&["chmod 600 /two", "symlink two /link", "mtime \"20010203 04:05:06\" /two"]);
    let made = fs::metadata(story.remote("two")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&made.permissions());
    let modified = made.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!((mode & 0o777, modified.as_secs() / 86_400), (0o600, 11_356));
    assert_eq!(story.ok(&[&story.url("sftp", "/link")]).len(), 100);
    assert!(quote(&["statvfs /"]).contains("two"));
    quote(&["rename /two /three", "rm /link", "rmdir /dir"]);
    assert_eq!(names(), ["three"]);

    // 78, there is no such file; 21, a command was refused.
    story.fails(&[&story.url("sftp", "/none")], 78);
    story.fails(&[&root, "-Q", "rmdir /three"], 21);
}

#[test]
fn what_an_account_may_not_do_curl_is_told() {
    let Some(story) = Story::begin() else { return };
    story.server.add_user("bob", json!({"permissions": {"/": ["list", "download"]}}));
    let file = story.file("file", 1000);
    let login = ["-u", &format!("bob:{PASSWORD}")];
    fs::create_dir(story.server.home("bob")).unwrap();
    fs::write(story.server.home("bob").join("there"), "x").unwrap();
    let url = story.url("sftp", "/there");
    assert!(story.curl(&login, &[&url]).status.success());
    for (args, status) in [
        (&["-T", shown(&file), &*url][..], 9),
        (&["-T", shown(&file), &story.url("sftp", "/new")], 9),
        (&[&url, "-Q", "rm /there"], 21),
    ] {
        let out = story.curl(&login, args);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {}", text(&out));
    }
    assert_eq!(fs::read(story.server.home("bob").join("there")).unwrap(), b"x");
}

#[test]
fn the_scp_of_libssh2_goes_both_ways() {
    let Some(story) = Story::begin() else { return };
    for len in [0, 1, 4_000_000] {
        let file = story.file("file", len);
        let url = story.url("scp", &format!("/{len}"));
        story.ok(&["-T", shown(&file), &url]);
        assert!(fs::read(story.remote(&len.to_string())).unwrap() == content(len));
        let back = story.local.path().join("back");
        let _ = fs::remove_file(&back);
        story.ok(&["-o", shown(&back), &url]);
        // curl makes no file of nothing.
        assert!(fs::read(&back).unwrap_or_default() == content(len));
    }
    story.fails(&[&story.url("scp", "/none")], 78);
}
