//! The files in `etc/` do what they promise, judged by the tools that read them.

use std::path::{Path, PathBuf};
use std::process::Command;

use actors::{ActorHealth, HealthReport, HooksHealth, QuotaHealth};
use serde_json::Value;
use sftpgo::logging::{self, ConnectionFailed, LogOptions, Logging, Login};
use tempfile::TempDir;

fn etc(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(path)
}

/// The tool's output and whether it succeeded; `None` if it is not installed, which
/// only a developer's machine may lack.
fn run(tool: &str, arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{tool}: {error}");
            eprintln!("skipped: {tool} is not installed");
            None
        }
    }
}

/// Logs what three bad clients and an innocent one did, as the server does.
fn write_log(path: &Path) {
    let logging =
        Logging::start(LogOptions { file: Some(path.to_owned()), ..LogOptions::default() })
            .unwrap();
    let failed = |client_ip, username, login_type| {
        logging::connection_failed(
            logging.logger(),
            &ConnectionFailed {
                client_ip,
                username,
                login_type,
                protocol: "SSH",
                error: &"invalid credentials",
            },
        );
    };
    failed("192.0.2.7", "ann", "password");
    failed("2001:db8::1", "x\"}\n{\"sender\":\"", "publickey+password");
    failed("192.0.2.8", "ann", "keyboard-interactive");
    failed("192.0.2.9", "ann", "publickey");
    failed("192.0.2.10", "", "no_auth_tried");
    // Wants to have somebody else banned.
    let forged = "{\"level\":\"debug\",\"sender\":\"connection_failed\",\
                  \"client_ip\":\"192.0.2.77\",\"username\":\"x\",\"login_type\":\"password\"}";
    logging::login(
        logging.logger(),
        &Login {
            ip: "192.0.2.11",
            username: forged,
            method: "password",
            protocol: "SSH",
            connection_id: "0a",
            client: forged,
            encrypted: true,
            info: forged,
        },
    );
}

/// The addresses that fail2ban would count, in the order of their lines.
fn counted_by_fail2ban(mode: &str) -> Option<Vec<String>> {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("sftpgo.log");
    write_log(&log);
    let filter = format!("{}[mode={mode}]", etc("fail2ban/filter.d/sftpgo.conf").display());
    let (_, said) = run("fail2ban-regex", &["--out", "ip", &log.to_string_lossy(), &filter])?;
    Some(said.lines().map(|line| line.trim().to_owned()).filter(|l| !l.is_empty()).collect())
}

#[test]
fn the_fail2ban_filter_counts_wrong_passwords_and_cannot_be_forged() {
    if let Some(counted) = counted_by_fail2ban("normal") {
        assert_eq!(counted, ["192.0.2.7", "2001:db8::1", "192.0.2.8"]);
    }
}

#[test]
fn the_aggressive_fail2ban_filter_also_counts_keys_and_scanners() {
    if let Some(counted) = counted_by_fail2ban("aggressive") {
        assert_eq!(counted, ["192.0.2.7", "2001:db8::1", "192.0.2.8", "192.0.2.9", "192.0.2.10"]);
    }
}

#[test]
fn the_alert_rules_pass_prometheus_own_check() {
    let rules = etc("prometheus/sftpgo-alerts.yml");
    if let Some((is_ok, said)) = run("promtool", &["check", "rules", &rules.to_string_lossy()]) {
        assert!(is_ok, "{said}");
    }
}

/// What `/metrics` shows once everything has happened once.
fn metrics_page() -> String {
    let metrics = sftpgo::metrics::Metrics::new().unwrap();
    metrics.set_health(&HealthReport {
        control_roundtrip: None,
        actors: vec![ActorHealth {
            name: "registry",
            mailbox_depth: 0,
            mailbox_capacity: 0,
            handled: 0,
            restarts: 0,
            busy_us: 0,
            slowest_us: 0,
            slow_handlers: 0,
        }],
        hooks: HooksHealth::default(),
        quota: QuotaHealth::default(),
        transfers: 0,
        is_draining: false,
    });
    metrics.render().unwrap()
}

/// Fails for names of series in `text` that are not on the page.
fn assert_series_exist(text: &str) {
    let page = metrics_page();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_series = |word: &&str| word.starts_with("sftpgo_") || word.starts_with("process_");
    let mut asked: Vec<&str> = text.split(|c| !is_name(c)).filter(is_series).collect();
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        let is_there = page
            .lines()
            .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(is_there, "{name}");
    }
}

#[test]
fn the_alert_rules_ask_only_for_series_that_exist() {
    let rules = std::fs::read_to_string(etc("prometheus/sftpgo-alerts.yml")).unwrap();
    assert_series_exist(&rules);
}

/// The panels of the dashboard, and the expressions of each.
fn dashboard() -> (Value, Vec<String>) {
    let text = std::fs::read_to_string(etc("grafana/sftpgo-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    (dashboard, expressions)
}

#[test]
fn the_dashboard_asks_only_for_series_that_exist() {
    let (dashboard, expressions) = dashboard();
    assert_series_exist(&expressions.join("\n"));
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            assert!(query.contains("sftpgo_dataprovider_availability"), "{query}");
        }
    }
}

#[test]
fn the_panels_of_the_dashboard_have_their_own_place_and_number() {
    let (dashboard, _) = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let place = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().unwrap();
    for (index, panel) in panels.iter().enumerate() {
        let shown = panel["title"].as_str().unwrap();
        assert!(place(panel, "x") + place(panel, "w") <= 24, "{shown} is wider than the page");
        for other in &panels[..index] {
            assert_ne!(panel["id"], other["id"], "{shown}");
            let apart = |from: &str, size: &str| {
                place(panel, from) >= place(other, from) + place(other, size)
                    || place(other, from) >= place(panel, from) + place(panel, size)
            };
            assert!(apart("x", "w") || apart("y", "h"), "{shown} covers {}", other["title"]);
        }
    }
}

#[test]
fn the_expressions_of_the_dashboard_are_understood_by_prometheus() {
    let (_, expressions) = dashboard();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("rules.yml");
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (index, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m");
        // A JSON string is a YAML one.
        let quoted = serde_json::to_string(&expression).unwrap();
        rules.push_str(&format!("  - record: panel:number{index}\n    expr: {quoted}\n"));
    }
    std::fs::write(&file, rules).unwrap();
    if let Some((is_ok, said)) = run("promtool", &["check", "rules", &file.to_string_lossy()]) {
        assert!(is_ok, "{said}");
    }
}
