//! `sftpgo convert-users`: accounts move in from other servers with their passwords.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::TestServer;
use common::clients::text;
use common::server::PASSWORD;

/// What `openssl passwd` makes of the password that the test clients send.
const SHA512: &str = "$6$convertsalt$EYptciksddryjcBY/5oELD3S6d64ColTeKHhkp/ISiVkURyCdu4a6BRd57mfG08dLbHyUtMq8DrCim1eNK/uZ0";
const SHA256: &str = "$5$convertsalt$x/gdQpf.LvuXCcaFw.NSbpgvZuD5pOqpTSjNCh7Cs.1";
const MD5: &str = "$1$convert$MG1C1NnmKgt7IUVk.504p.";

fn convert(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sftpgo"))
        .arg("convert-users")
        .args(arguments)
        .env_clear()
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Whether the account's password works, through a real client.
fn logs_in(server: &TestServer, username: &str) -> Option<bool> {
    let out = server.python_client("login.py", username, [""; 0])?;
    assert!(matches!(out.status.code(), Some(0 | 10)), "{}", text(&out));
    Some(out.status.success())
}

#[test]
fn accounts_of_other_servers_log_in_with_the_passwords_they_had() {
    assert_eq!(PASSWORD, "Us3r-of-this-test", "the hashes are of this one");
    let server = TestServer::start();
    let work = tempfile::tempdir().unwrap();
    let homes = server.homes();
    let home = |name: &str| homes.join(name).display().to_string();
    let write = |name: &str, content: String| fs::write(work.path().join(name), content).unwrap();
    write(
        "passwd",
        format!(
            "root:x:0:0:root:/root:/bin/bash\r\ndaemon:x:1:1::/:/usr/sbin/nologin\r\n\
             ulla:x:1000:1000:Ulla:{}:/bin/bash\r\nlocked:x:1001:1001::{}:/bin/bash\r\n",
            home("ulla"),
            home("locked")
        ),
    );
    write(
        "shadow",
        format!(
            "root:{SHA512}:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n\
             ulla:{SHA512}:19000:0:99999:7:::\nlocked:!{SHA512}:19000:0:99999:7:::\n"
        ),
    );
    write(
        "pureftpd.passwd",
        format!("petra:{MD5}:0:0::{}/./:2048000:::::500:1048576:::127.0.0.0/8::\n", home("petra")),
    );
    write("ftpd.passwd", format!("pro:{SHA256}:0:0::{}:/bin/false\n", home("pro")));

    for (arguments, count, told) in [
        (
            &[
                "passwd",
                "unix-passwd",
                "unix.json",
                "--shadow",
                "shadow",
                "--force-uid",
                "0",
                "--force-gid",
                "0",
            ][..],
            2,
            &[
                "user \"daemon\": skipped: ",
                "user \"locked\": password: is locked there; imported disabled",
            ][..],
        ),
        (&["pureftpd.passwd", "pure-ftpd", "pure.json"], 1, &[]),
        (&["ftpd.passwd", "proftpd", "pro.json"], 1, &[]),
    ] {
        let out = convert(work.path(), arguments);
        assert!(out.status.success(), "{}", text(&out));
        let output = arguments[2];
        let stdout = String::from_utf8_lossy(&out.stdout);
        assert_eq!(stdout, format!("{count} users written to {output}\n"));
        let stderr = String::from_utf8_lossy(&out.stderr);
        for part in told {
            assert!(stderr.contains(part), "{part} in {stderr}");
        }
        assert_eq!(stderr.lines().count(), told.len(), "{stderr}");
        let mode = fs::metadata(work.path().join(output)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    let api = server.api();
    let load = |file: &str| {
        let path = work.path().join(file);
        let (status, body) = api.get(&format!("/loaddata?input-file={}&mode=1", path.display()));
        assert_eq!(status, 200, "{body}");
        body["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(load("unix.json"), "Data restored: 2 added, 0 updated, 0 skipped");
    assert_eq!(load("pure.json"), "Data restored: 1 added, 0 updated, 0 skipped");
    assert_eq!(load("pro.json"), "Data restored: 1 added, 0 updated, 0 skipped");
    // What was changed here in between stays.
    let mut petra = api.get("/users/petra").1;
    assert_eq!((&petra["quota_files"], &petra["quota_size"]), (&500.into(), &1_048_576.into()));
    assert_eq!(petra["upload_bandwidth"], 2000);
    assert_eq!(petra["filters"]["allowed_ip"][0], "127.0.0.0/8");
    petra["email"] = "petra@example.com".into();
    assert_eq!(api.put("/users/petra", &petra).0, 200);
    assert_eq!(load("pure.json"), "Data restored: 0 added, 0 updated, 1 skipped");
    assert_eq!(load("unix.json"), "Data restored: 0 added, 0 updated, 2 skipped");
    assert_eq!(api.get("/users/petra").1["email"], "petra@example.com");
    assert_eq!(api.get("/users/root").0, 404);

    for (username, works) in [("ulla", true), ("petra", true), ("pro", true), ("locked", false)] {
        let Some(found) = logs_in(&server, username) else { return };
        assert_eq!(found, works, "{username}");
    }
    // Unlocking it is all that is missing.
    let mut locked = api.get("/users/locked").1;
    locked["status"] = 1.into();
    assert_eq!(api.put("/users/locked", &locked).0, 200);
    assert_eq!(logs_in(&server, "locked"), Some(true));
}

#[test]
fn a_failed_conversion_says_why_and_writes_nothing() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("bad"), "ann:x:1:1\n").unwrap();
    fs::write(work.path().join("there.json"), "mine").unwrap();
    fs::write(work.path().join("good"), format!("ann:{MD5}:1:1::/srv/ann:/bin/sh\n")).unwrap();
    for (arguments, told) in [
        (&["bad", "proftpd", "out.json"][..], "bad:1: has 4 fields, not 7"),
        (&["missing", "proftpd", "out.json"], "missing: cannot be read"),
        (&["good", "proftpd", "there.json"], "there.json: exists, --force replaces it"),
        (&["good", "proftpd", "nowhere/out.json"], "nowhere/out.json: cannot be written"),
    ] {
        let out = convert(work.path(), arguments);
        assert_eq!(out.status.code(), Some(1), "{}", text(&out));
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(stderr.contains(told) && !stderr.contains(MD5), "{stderr}");
    }
    assert!(!work.path().join("out.json").exists());
    assert_eq!(fs::read_to_string(work.path().join("there.json")).unwrap(), "mine");
}
