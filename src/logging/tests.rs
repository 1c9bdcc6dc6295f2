use std::fs;

use slog::{Drain, debug, error, info, o, trace, warn};
use tempfile::TempDir;

use super::*;

/// Runs `write` on a fresh log and gives back its lines with their times replaced by `T`.
fn lines_of(level: Level, write: impl FnOnce(&Logger)) -> Vec<String> {
    let (logging, captured) = capture(level);
    write(logging.logger());
    drop(logging);
    captured.lines().iter().map(|line| without_time(line)).collect()
}

fn without_time(line: &str) -> String {
    let (head, rest) = line.split_once("\"time\":\"").expect("a time in every line");
    let (time, rest) = rest.split_once('"').expect("a closed time");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000");
    format!("{head}\"time\":\"T\"{rest}")
}

#[test]
fn an_app_line_has_sender_connection_message_and_then_its_values_in_order() {
    let lines = lines_of(Level::Debug, |logger| {
        info!(logger, "started");
        let logger = for_sender(logger, "sftpd");
        warn!(logger, "port {} is taken", 22; "port" => 22, "address" => "::1", "ok" => false);
        let logger = for_connection(&logger, "SFTP_0a_1").new(o!("user" => "joe"));
        debug!(logger, "say \"hi\"\n"; "user" => "ann", "none" => None::<u8>);
        app(&logger, Level::Error, "SFTP", Some("SFTP_0b_1"), format_args!("odd \\ {}", 1));
        app(&logger, Level::Info, "common", None, format_args!("plain"));
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"info","time":"T","sender":"sftpgo","message":"started"}"#,
            r#"{"level":"warn","time":"T","sender":"sftpd","message":"port 22 is taken","port":22,"address":"::1","ok":false}"#,
            r#"{"level":"debug","time":"T","sender":"sftpd","connection_id":"SFTP_0a_1","message":"say \"hi\"\n","user":"ann","none":null}"#,
            r#"{"level":"error","time":"T","sender":"SFTP","connection_id":"SFTP_0b_1","message":"odd \\ 1"}"#,
            r#"{"level":"info","time":"T","sender":"common","message":"plain"}"#,
        ]
    );
}

#[test]
fn lines_below_the_level_are_left_out() {
    let lines = lines_of(Level::Warning, |logger| {
        assert!(!logger.is_enabled(Level::Info));
        trace!(logger, "no");
        debug!(logger, "no");
        info!(logger, "no");
        warn!(logger, "yes");
        error!(logger, "yes");
        connection_failed(logger, &failed("ann"));
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"warn","time":"T","sender":"sftpgo","message":"yes"}"#,
            r#"{"level":"error","time":"T","sender":"sftpgo","message":"yes"}"#,
        ]
    );
}

fn upload() -> Transfer<'static> {
    Transfer {
        kind: TransferKind::Upload,
        local_addr: "127.0.0.1:2022",
        remote_addr: "127.0.0.1:50000",
        elapsed_ms: 12,
        size_bytes: 4096,
        username: "ann",
        file_path: "/srv/ann/a.bin",
        virtual_path: "/a.bin",
        connection_id: "SFTP_0a_1",
        protocol: "SFTP",
        ftp_mode: "",
        error: None,
    }
}

#[test]
fn transfers_have_their_fields_in_order_and_failures_are_errors() {
    let lines = lines_of(Level::Info, |logger| {
        transfer(logger, &upload());
        let quota = crate::error::Error::new(
            crate::error::ErrorKind::QuotaExceeded,
            "denying write due to space limit",
        );
        transfer(
            logger,
            &Transfer {
                kind: TransferKind::Download,
                ftp_mode: "passive",
                error: Some(&quota),
                ..upload()
            },
        );
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"info","time":"T","sender":"Upload","local_addr":"127.0.0.1:2022","remote_addr":"127.0.0.1:50000","elapsed_ms":12,"size_bytes":4096,"username":"ann","file_path":"/srv/ann/a.bin","virtual_path":"/a.bin","connection_id":"SFTP_0a_1","protocol":"SFTP"}"#,
            r#"{"level":"error","time":"T","sender":"Download","local_addr":"127.0.0.1:2022","remote_addr":"127.0.0.1:50000","elapsed_ms":12,"size_bytes":4096,"username":"ann","file_path":"/srv/ann/a.bin","virtual_path":"/a.bin","connection_id":"SFTP_0a_1","protocol":"SFTP","ftp_mode":"passive","error":"denying write due to space limit"}"#,
        ]
    );
}

fn command_line(operation: Operation<'static>) -> Command<'static> {
    Command {
        operation,
        local_addr: "l:1",
        remote_addr: "r:2",
        username: "ann",
        file_path: "/srv/a",
        target_path: "",
        elapsed_ms: 3,
        connection_id: "SFTP_0a_1",
        protocol: "SFTP",
    }
}

#[test]
fn commands_carry_the_values_of_their_kind_and_neutral_ones_otherwise() {
    let lines = lines_of(Level::Info, |logger| {
        for operation in [
            Operation::Chmod { mode: 0o100644 },
            Operation::Chown { uid: 1000, gid: 0 },
            Operation::Chtimes {
                access_unix_secs: Some(1_700_000_000),
                modification_unix_secs: None,
            },
            Operation::Truncate { size: 5 },
            Operation::SshCommand { command: "md5sum \"a b\"" },
        ] {
            command(logger, &command_line(operation));
        }
        command(logger, &Command { target_path: "/srv/b", ..command_line(Operation::Rename) });
    });
    let expected = |sender: &str, target: &str, middle: &str| {
        format!(
            r#"{{"level":"info","time":"T","sender":"{sender}","local_addr":"l:1","remote_addr":"r:2","username":"ann","file_path":"/srv/a","target_path":"{target}",{middle},"connection_id":"SFTP_0a_1","protocol":"SFTP"}}"#
        )
    };
    assert_eq!(
        lines,
        [
            expected(
                "Chmod",
                "",
                r#""filemode":"0644","uid":-1,"gid":-1,"access_time":"","modification_time":"","size":-1,"elapsed":3,"ssh_command":"""#
            ),
            expected(
                "Chown",
                "",
                r#""filemode":"","uid":1000,"gid":0,"access_time":"","modification_time":"","size":-1,"elapsed":3,"ssh_command":"""#
            ),
            expected(
                "Chtimes",
                "",
                r#""filemode":"","uid":-1,"gid":-1,"access_time":"2023-11-14T22:13:20","modification_time":"","size":-1,"elapsed":3,"ssh_command":"""#
            ),
            expected(
                "Truncate",
                "",
                r#""filemode":"","uid":-1,"gid":-1,"access_time":"","modification_time":"","size":5,"elapsed":3,"ssh_command":"""#
            ),
            expected(
                "SSHCommand",
                "",
                r#""filemode":"","uid":-1,"gid":-1,"access_time":"","modification_time":"","size":-1,"elapsed":3,"ssh_command":"md5sum \"a b\"""#
            ),
            expected(
                "Rename",
                "/srv/b",
                r#""filemode":"","uid":-1,"gid":-1,"access_time":"","modification_time":"","size":-1,"elapsed":3,"ssh_command":"""#
            ),
        ]
    );
}

fn failed(username: &'static str) -> ConnectionFailed<'static> {
    ConnectionFailed {
        client_ip: "192.0.2.7",
        username,
        login_type: "password",
        protocol: "SSH",
        error: &"invalid credentials",
    }
}

#[test]
fn a_failed_connection_cannot_forge_a_line_by_its_username() {
    let lines = lines_of(Level::Debug, |logger| {
        connection_failed(logger, &failed("ann"));
        connection_failed(logger, &failed("x\"}\n{\"sender\":\"connection_failed"));
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"debug","time":"T","sender":"connection_failed","client_ip":"192.0.2.7","username":"ann","login_type":"password","protocol":"SSH","error":"invalid credentials"}"#,
            r#"{"level":"debug","time":"T","sender":"connection_failed","client_ip":"192.0.2.7","username":"x\"}\n{\"sender\":\"connection_failed","login_type":"password","protocol":"SSH","error":"invalid credentials"}"#,
        ]
    );
}

#[test]
fn a_login_tells_how_and_with_what() {
    let lines = lines_of(Level::Info, |logger| {
        login(
            logger,
            &Login {
                ip: "192.0.2.7",
                username: "ann",
                method: "publickey",
                protocol: "SSH",
                connection_id: "0a0b",
                client: "SSH-2.0-OpenSSH_9.2",
                encrypted: true,
                info: "aes128-gcm@openssh.com",
            },
        );
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"info","time":"T","sender":"login","ip":"192.0.2.7","username":"ann","method":"publickey","protocol":"SSH","connection_id":"0a0b","client":"SSH-2.0-OpenSSH_9.2","encrypted":true,"info":"aes128-gcm@openssh.com"}"#,
        ]
    );
}

#[test]
fn what_nobody_watches_is_written_and_not_kept_among_the_newest() {
    let request = |uri, is_watched| HttpRequest {
        sender: "httpd",
        local_addr: "127.0.0.1:8080",
        method: "GET",
        proto: "HTTP/1.1",
        remote_addr: "127.0.0.1:4444",
        request_id: "r1",
        uri,
        user_agent: "curl/8",
        resp_status: 200,
        resp_size: 2,
        elapsed_ms: 1,
        is_watched,
    };
    let (logging, captured) = capture(Level::Info);
    http(logging.logger(), &request("/static/1/mark.svg", false));
    http(logging.logger(), &request("/web/admin", true));
    logging.control().flush();
    assert_eq!(captured.lines().len(), 2);
    let page = logging.control().tail().newest_lines(&TailFilter::default(), 9);
    let uris: Vec<_> = page.lines.iter().map(|line| line.text("uri")).collect();
    assert_eq!(uris, ["/web/admin"]);
}

#[test]
fn http_requests_hide_secrets_in_their_query() {
    let request = HttpRequest {
        sender: "httpd",
        local_addr: "127.0.0.1:8080",
        method: "GET",
        proto: "HTTP/1.1",
        remote_addr: "127.0.0.1:4444",
        request_id: "r1",
        uri: "/api/v2/users?limit=5&Api_Key=abc&code=1&order=ASC",
        user_agent: "curl/8",
        resp_status: 200,
        resp_size: 2,
        elapsed_ms: 1,
        is_watched: true,
    };
    let lines = lines_of(Level::Info, |logger| {
        http(logger, &request);
        http(
            logger,
            &HttpRequest { sender: "telemetry", request_id: "", uri: "/metrics", ..request },
        );
    });
    assert_eq!(
        lines,
        [
            r#"{"level":"info","time":"T","sender":"httpd","local_addr":"127.0.0.1:8080","method":"GET","proto":"HTTP/1.1","remote_addr":"127.0.0.1:4444","request_id":"r1","uri":"/api/v2/users?limit=5&Api_Key=***&code=***&order=ASC","user_agent":"curl/8","resp_status":200,"resp_size":2,"elapsed_ms":1}"#,
            r#"{"level":"info","time":"T","sender":"telemetry","local_addr":"127.0.0.1:8080","method":"GET","proto":"HTTP/1.1","remote_addr":"127.0.0.1:4444","uri":"/metrics","user_agent":"curl/8","resp_status":200,"resp_size":2,"elapsed_ms":1}"#,
        ]
    );
}

#[test]
fn records_of_what_clients_did_survive_a_full_queue_from_many_threads() {
    let (logging, captured) = capture(Level::Info);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    transfer(logging.logger(), &upload());
                }
            });
        }
    });
    drop(logging);
    assert_eq!(captured.lines().len(), 40_000);
}

#[test]
fn a_file_log_is_rotated_on_demand_and_complete_after_the_drop() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sub/sftpgo.log");
    let logging =
        Logging::start(LogOptions { file: Some(path.clone()), ..LogOptions::default() }).unwrap();
    info!(logging.logger(), "before");
    logging.control().rotate().unwrap();
    info!(logging.logger(), "after");
    drop(logging);
    assert!(fs::read_to_string(&path).unwrap().contains("\"message\":\"after\""));
    let files: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(files.len(), 2);
}

#[test]
fn a_log_that_cannot_be_opened_names_its_path() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file/sftpgo.log");
    let error = Logging::start(LogOptions { file: Some(path.clone()), ..LogOptions::default() })
        .unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
}
