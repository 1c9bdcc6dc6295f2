//! The command line and the configuration, as somebody at a shell sees them.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use common::TestServer;

/// The program with an environment that says nothing about it.
fn sftpgo(config_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sftpgo"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SFTPGO_") {
            command.env_remove(name);
        }
    }
    command.current_dir(config_dir).env("HOME", config_dir);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that was printed, wherever.
fn printed(output: &Output) -> String {
    stdout(output) + &String::from_utf8_lossy(&output.stderr)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("temporary directory")
}

/// The commands that read the configuration, logging to the terminal.
const COMMANDS: [&[&str]; 3] = [&["serve", "-l", ""], &["initprovider"], &["ping"]];

#[test]
fn a_wrong_type_stops_the_start_with_key_value_and_file_in_every_format() {
    for (name, text) in [
        ("sftpgo.json", r#"{"sftpd": {"max_auth_tries": "several"}}"#),
        ("sftpgo.toml", "[sftpd]\nmax_auth_tries = \"several\"\n"),
        ("sftpgo.yaml", "sftpd:\n  max_auth_tries: several\n"),
        ("sftpgo.hcl", "sftpd {\n  max_auth_tries = \"several\"\n}\n"),
        ("sftpgo.env", "SFTPGO_SFTPD__MAX_AUTH_TRIES=several\n"),
        ("sftpgo.properties", "sftpd.max_auth_tries=several\n"),
    ] {
        let dir = directory();
        std::fs::write(dir.path().join(name), text).expect("file");
        for command in COMMANDS {
            let output = sftpgo(dir.path()).args(command).output().expect("run");
            let printed = printed(&output);
            assert_eq!(output.status.code(), Some(1), "{name} {command:?}: {printed}");
            for part in ["sftpd.max_auth_tries", "several", name, "integer"] {
                assert!(printed.contains(part), "{part} in {name} {command:?}: {printed}");
            }
        }
    }
}

#[test]
fn an_unknown_enum_value_names_the_possible_ones() {
    let dir = directory();
    std::fs::write(dir.path().join("sftpgo.toml"), "[common]\nupload_mode = 5\n").expect("file");
    for command in COMMANDS {
        let output = sftpgo(dir.path()).args(command).output().expect("run");
        let printed = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("common.upload_mode") && printed.contains("0, 1, 2"), "{printed}");
    }
}

#[test]
fn a_wrong_variable_is_named() {
    let dir = directory();
    for command in COMMANDS {
        let output = sftpgo(dir.path())
            .args(command)
            .env("SFTPGO_SFTPD__BINDINGS__0__PORT", "ssh")
            .output()
            .expect("run");
        let printed = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("SFTPGO_SFTPD__BINDINGS__0__PORT"), "{printed}");
    }
}

#[test]
fn a_missing_or_unreadable_file_is_named() {
    let dir = directory();
    std::fs::write(dir.path().join("broken.json"), "{").expect("file");
    for command in COMMANDS {
        for (flag, file) in
            [("--config-file", "missing.toml"), ("-f", "missing"), ("-f", "broken.json")]
        {
            let output = sftpgo(dir.path()).args(command).args([flag, file]).output().expect("run");
            assert_eq!(output.status.code(), Some(1));
            assert!(printed(&output).contains(file), "{}", printed(&output));
        }
    }
}

#[test]
fn flags_beat_their_variables_and_variables_of_flags_count() {
    let (good, bad) = (directory(), directory());
    std::fs::write(bad.path().join("sftpgo.toml"), "[httpd]\njwt_lifetime = 0\n").expect("file");
    let output =
        sftpgo(good.path()).arg("ping").env("SFTPGO_CONFIG_DIR", bad.path()).output().expect("run");
    assert!(printed(&output).contains("httpd.jwt_lifetime"), "{}", printed(&output));
    let output = sftpgo(good.path())
        .args(["ping", "-c"])
        .arg(good.path())
        .env("SFTPGO_CONFIG_DIR", bad.path())
        // Nobody listens there.
        .env("SFTPGO_HTTPD__BINDINGS__0__PORT", "1")
        .output()
        .expect("run");
    assert!(!printed(&output).contains("httpd.jwt_lifetime"), "{}", printed(&output));
    assert!(printed(&output).contains("health check"), "{}", printed(&output));
}

#[test]
fn ping_tells_health_by_its_status() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0),
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let port = listener.local_addr().expect("address").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("connection");
            let mut request = [0; 1024];
            let read = stream.read(&mut request).expect("request");
            assert!(request[..read].starts_with(b"GET /healthz "));
            stream.write_all(answer.as_bytes()).expect("answer");
        });
        let dir = directory();
        let output = sftpgo(dir.path())
            .arg("ping")
            .env("SFTPGO_HTTPD__BINDINGS__0__PORT", port.to_string())
            .output()
            .expect("run");
        assert_eq!(output.status.code(), Some(expected), "{}", printed(&output));
        server.join().expect("server");
    }
}

#[cfg(unix)]
#[test]
fn ping_asks_a_unix_socket_too() {
    let dir = directory();
    let socket = dir.path().join("http.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("listener");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("connection");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).expect("request");
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nok").expect("answer");
    });
    let output = sftpgo(dir.path())
        .arg("ping")
        .env("SFTPGO_HTTPD__BINDINGS__0__ADDRESS", &socket)
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    server.join().expect("server");
}

#[test]
fn a_wrong_command_line_is_status_2_and_help_is_0() {
    let dir = directory();
    for arguments in
        [&[][..], &["nonsense"], &["serve", "--nonsense"], &["portable", "--s3-bucket=x"]]
    {
        let output = sftpgo(dir.path()).args(arguments).output().expect("run");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", printed(&output));
    }
    let output = sftpgo(dir.path()).args(["portable", "--s3-bucket", "x"]).output().expect("run");
    assert!(printed(&output).contains("--s3-bucket is not available"), "{}", printed(&output));
    let output = sftpgo(dir.path()).args(["serve", "--help"]).output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    for part in ["SFTPGO_GRACE_TIME", "SFTPGO_LOADDATA_FROM", "SFTPGO_LOG_FILE_PATH"] {
        assert!(stdout(&output).contains(part), "{part}");
    }
}

#[test]
fn the_version_is_one_line_with_the_build_date() {
    let dir = directory();
    for flag in ["-v", "--version"] {
        let output = sftpgo(dir.path()).arg(flag).output().expect("run");
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with(concat!("sftpgo ", env!("CARGO_PKG_VERSION"), "-")), "{text}");
        // 2019-08-08T19:28:36Z
        let date = &text.trim_end()[text.trim_end().len() - 20..];
        assert!(date.ends_with('Z') && date.as_bytes()[10] == b'T', "{text}");
    }
}

#[test]
fn completions_and_man_pages_cover_the_commands() {
    let dir = directory();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = sftpgo(dir.path()).args(["gen", "completion", shell]).output().expect("run");
        assert_eq!(output.status.code(), Some(0));
        for part in ["sftpgo", "initprovider", "grace-time"] {
            assert!(stdout(&output).contains(part), "{part} for {shell}");
        }
    }
    let output = sftpgo(dir.path()).args(["gen", "man", "-d", "a/man"]).output().expect("run");
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    for page in ["sftpgo.1", "sftpgo-serve.1", "sftpgo-portable.1", "sftpgo-gen-man.1"] {
        let text = std::fs::read_to_string(dir.path().join("a/man").join(page)).expect(page);
        assert!(text.contains(".TH"), "{page}");
    }
    let output = sftpgo(dir.path()).args(["gen", "man"]).output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    assert!(dir.path().join("man/sftpgo.1").exists());
}

#[test]
fn a_stray_key_leaves_the_listeners_where_they_are() {
    let strays = ["SFTPD__BINDINGS__X__ADDRESS", "HTTPD__BINDINGS__X", "HTTPD__BINDINGS__PORT"];
    let server = TestServer::with(&strays.map(|stray| (stray, "5")));
    let lines = server.log();
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    for port in [server.sftp_port, server.http_port] {
        let expected = format!("listening on 127.0.0.1:{port}");
        assert!(messages.iter().any(|message| message.starts_with(&expected)), "{messages:?}");
    }
    for stray in strays {
        let is_named = |message: &&str| message.contains(stray) && message.contains("unknown key");
        assert!(messages.iter().any(is_named), "{stray}: {messages:?}");
    }
}
