use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use actors::{ActorHealth, HooksHealth, QuotaHealth};

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// The samples of a page by series.
fn samples(metrics: &Metrics) -> BTreeMap<String, f64> {
    metrics
        .render()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// What `act` changed, histograms and the process's own series left out.
fn changes(act: impl FnOnce(&Metrics)) -> Vec<(String, f64)> {
    let metrics = Metrics::new().unwrap();
    let before = samples(&metrics);
    act(&metrics);
    samples(&metrics)
        .into_iter()
        .filter(|(series, _)| {
            !series.contains("duration_seconds") && !series.starts_with("process")
        })
        .filter_map(|(series, value)| {
            let change = value - before.get(&series).copied().unwrap_or_default();
            (change != 0.0).then_some((series, change))
        })
        .collect()
}

fn expected(changes: &[(&str, f64)]) -> Vec<(String, f64)> {
    let mut changes: Vec<(String, f64)> =
        changes.iter().map(|(name, change)| (format!("sftpgo_{name}"), *change)).collect();
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    changes
}

#[test]
fn every_established_name_is_there_at_zero() {
    let page = samples(&Metrics::new().unwrap());
    let mut names: Vec<String> = [
        "dataprovider_availability",
        "active_connections",
        "ssh_commands_total",
        "ssh_command_errors_total",
        "no_auth_total",
        "http_req_total",
        "http_req_ok_total",
        "http_client_errors_total",
        "http_server_errors_total",
    ]
    .map(str::to_owned)
    .to_vec();
    for prefix in ["", "s3_", "gcs_", "az_", "sftpfs_", "httpfs_"] {
        for name in [
            "uploads_total",
            "downloads_total",
            "upload_errors_total",
            "download_errors_total",
            "upload_size",
            "download_size",
        ] {
            names.push(format!("{prefix}{name}"));
        }
    }
    for prefix in [
        "",
        "password_",
        "public_key_",
        "keyboard_interactive_",
        "key_and_password_",
        "key_and_keyboard_int_",
        "tls_cert_",
        "tls_cert_and_pwd_",
        "idp_",
    ] {
        for name in ["login_attempts_total", "login_ok_total", "login_ko_total"] {
            names.push(format!("{prefix}{name}"));
        }
    }
    for prefix in ["s3", "gcs", "az"] {
        for name in ["list_objects", "copy_object", "delete_object", "head_object"] {
            names.push(format!("{prefix}_{name}"));
            names.push(format!("{prefix}_{name}_errors"));
        }
    }
    for name in names {
        assert_eq!(page.get(&format!("sftpgo_{name}")), Some(&0.0), "{name}");
    }
}

#[test]
fn the_process_tells_its_own_figures() {
    let page = samples(&Metrics::new().unwrap());
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
        assert_eq!(page.contains_key(name), cfg!(target_os = "linux"), "{name}");
    }
}

#[test]
fn a_transfer_moves_its_counters_and_those_of_its_backend() {
    assert_eq!(
        changes(|m| m.upload_finished(Backend::Local, true, 10, MILLISECOND)),
        expected(&[("uploads_total", 1.0), ("upload_size", 10.0)])
    );
    assert_eq!(
        changes(|m| m.upload_finished(Backend::S3, false, 7, MILLISECOND)),
        expected(&[
            ("upload_errors_total", 1.0),
            ("upload_size", 7.0),
            ("s3_upload_errors_total", 1.0),
            ("s3_upload_size", 7.0),
        ])
    );
    assert_eq!(
        changes(|m| m.download_finished(Backend::Sftp, true, 5, MILLISECOND)),
        expected(&[
            ("downloads_total", 1.0),
            ("download_size", 5.0),
            ("sftpfs_downloads_total", 1.0),
            ("sftpfs_download_size", 5.0),
        ])
    );
}

#[test]
fn a_login_counts_once_in_general_and_once_for_its_method() {
    for method in LoginMethod::ALL {
        let prefix = method.prefix();
        assert_eq!(
            changes(|m| m.login_attempt(method, false, MILLISECOND)),
            expected(&[
                ("login_attempts_total", 1.0),
                ("login_ko_total", 1.0),
                (&format!("{prefix}_login_attempts_total"), 1.0),
                (&format!("{prefix}_login_ko_total"), 1.0),
            ])
        );
    }
    assert_eq!(
        changes(|m| m.login_attempt(LoginMethod::Password, true, MILLISECOND)),
        expected(&[
            ("login_attempts_total", 1.0),
            ("login_ok_total", 1.0),
            ("password_login_attempts_total", 1.0),
            ("password_login_ok_total", 1.0),
        ])
    );
    assert_eq!(changes(Metrics::no_auth_tried), expected(&[("no_auth_total", 1.0)]));
}

#[test]
fn http_requests_are_counted_by_class_of_status() {
    for (status, class) in [
        (204, Some("http_req_ok_total")),
        (304, None),
        (404, Some("http_client_errors_total")),
        (503, Some("http_server_errors_total")),
    ] {
        let mut counters = vec![("http_req_total", 1.0)];
        counters.extend(class.map(|class| (class, 1.0)));
        assert_eq!(changes(|m| m.http_request(status, MILLISECOND)), expected(&counters));
    }
}

#[test]
fn latencies_land_in_their_histograms() {
    let metrics = Metrics::new().unwrap();
    metrics.http_request(200, Duration::from_millis(3));
    metrics.login_attempt(LoginMethod::PublicKey, true, Duration::from_millis(300));
    metrics.sftp_request(Duration::from_micros(50));
    metrics.upload_finished(Backend::Local, true, 0, Duration::from_secs(3));
    metrics.download_finished(Backend::Local, true, 0, Duration::from_secs(5000));
    let page = samples(&metrics);
    for (series, count) in [
        ("sftpgo_http_request_duration_seconds_bucket{le=\"0.0025\"}", 0.0),
        ("sftpgo_http_request_duration_seconds_bucket{le=\"0.005\"}", 1.0),
        ("sftpgo_login_duration_seconds_bucket{le=\"0.5\"}", 1.0),
        ("sftpgo_sftp_request_duration_seconds_bucket{le=\"0.0001\"}", 1.0),
        ("sftpgo_transfer_duration_seconds_bucket{direction=\"upload\",le=\"10\"}", 1.0),
        ("sftpgo_transfer_duration_seconds_bucket{direction=\"download\",le=\"1800\"}", 0.0),
        ("sftpgo_transfer_duration_seconds_count{direction=\"download\"}", 1.0),
    ] {
        assert_eq!(page.get(series), Some(&count), "{series}");
    }
}

/// One actor that was restarted twice, and every other figure different.
fn health(waiting: usize, restarts: u64, busy_us: u64) -> HealthReport {
    HealthReport {
        control_roundtrip: Some(Duration::from_micros(250)),
        actors: vec![ActorHealth {
            name: "registry",
            mailbox_depth: waiting,
            mailbox_capacity: 1024,
            handled: 100,
            restarts,
            busy_us,
            slowest_us: 1200,
            slow_handlers: 3,
        }],
        hooks: HooksHealth {
            queued: 5,
            queue_capacity: 64,
            running: 6,
            dropped_events: 7,
            denied_when_full: 8,
            failures: 9,
        },
        quota: QuotaHealth { open_leases: 10, unsaved_accounts: 11, store_failures: 12 },
        transfers: 13,
        is_draining: false,
    }
}

#[test]
fn totals_set_twice_do_not_count_twice_and_never_go_back() {
    assert_eq!(
        changes(|m| {
            m.set_health(&health(4, 2, 1_500_000));
            m.set_health(&health(3, 2, 1_500_000));
            m.set_health(&health(3, 1, 1_000_000));
            m.set_dropped_log_lines(14);
            m.set_dropped_log_lines(14);
            m.set_active_sessions(15);
            m.set_provider_available(true);
        }),
        expected(&[
            ("actor_mailbox_messages{actor=\"registry\"}", 3.0),
            ("actor_restarts_total{actor=\"registry\"}", 2.0),
            ("actor_busy_seconds_total{actor=\"registry\"}", 1.5),
            ("actor_slow_handlers_total{actor=\"registry\"}", 3.0),
            ("control_roundtrip_seconds", 0.00025),
            ("hook_queue_events", 5.0),
            ("hooks_running", 6.0),
            ("hook_events_dropped_total", 7.0),
            ("hook_questions_denied_total", 8.0),
            ("hook_failures_total", 9.0),
            ("quota_open_leases", 10.0),
            ("quota_unsaved_accounts", 11.0),
            ("quota_store_failures_total", 12.0),
            ("open_transfers", 13.0),
            ("log_lines_dropped_total", 14.0),
            ("active_connections", 15.0),
            ("dataprovider_availability", 1.0),
        ])
    );
}

#[test]
fn a_control_thread_that_does_not_answer_shows() {
    let stalled = HealthReport { control_roundtrip: None, ..health(0, 0, 0) };
    let metrics = Metrics::new().unwrap();
    metrics.set_health(&stalled);
    assert_eq!(samples(&metrics).get("sftpgo_control_roundtrip_seconds"), Some(&1.0));
}

#[test]
fn the_page_passes_prometheus_own_check() {
    let metrics = Metrics::new().unwrap();
    metrics.set_health(&health(0, 0, 0));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        assert!(std::env::var_os("CI").is_none(), "promtool is not installed");
        eprintln!("skipped: promtool is not installed");
        return;
    };
    promtool.stdin.take().unwrap().write_all(metrics.render().unwrap().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(String::from_utf8_lossy(&said), "");
}
