//! The web admin in a real browser: the stories are in `tests/web`.

mod common;

use std::path::Path;
use std::process::Command;

use common::clients::has;
use common::server::{ADMIN, ADMIN_PASSWORD, TestServer};

/// Lets Chromium play the story of this name against the server.
fn play(story: &str, server: &TestServer) {
    let Some(modules) = node_modules() else { return };
    let output = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web").join(story))
        .env("SFTPGO_TEST_NODE_MODULES", modules)
        .env("SFTPGO_TEST_CHROMIUM", which("chromium"))
        .env("SFTPGO_TEST_ROOT", format!("http://127.0.0.1:{}", server.http_port))
        .env("SFTPGO_TEST_SFTP_PORT", server.sftp_port.to_string())
        .env("SFTPGO_TEST_OBSCURED", obscured("a pass phrase"))
        .env("SFTPGO_TEST_ADMIN", ADMIN)
        .env("SFTPGO_TEST_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{story}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A password as rclone wants it.
fn obscured(password: &str) -> String {
    let output = Command::new("rclone").args(["obscure", password]).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Where `scripts/test` has put what the stories need; skips where there is none.
fn node_modules() -> Option<String> {
    if !has("node") || !has("chromium") {
        return None;
    }
    let modules = std::env::var("SFTPGO_TEST_NODE_MODULES").ok();
    let modules = modules.filter(|path| Path::new(path).join("playwright-core").is_dir());
    if modules.is_none() {
        assert!(std::env::var_os("CI").is_none(), "playwright-core is missing: run scripts/test");
        eprintln!("skipped: playwright-core is missing; scripts/test installs it");
    }
    modules
}

fn which(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.exists());
    found.expect("has() has found it").display().to_string()
}

#[test]
fn an_empty_server_is_set_up_in_the_browser() {
    let server = TestServer::with(&[
        ("DATA_PROVIDER__CREATE_DEFAULT_ADMIN", "false"),
        ("HTTPD__SETUP__INSTALLATION_CODE", "only-for-me"),
    ]);
    play("set_up.mjs", &server);
    if node_modules().is_some() {
        server.wait_for_log("what was wrong", |line| line["error"] == "wrong installation code");
    }
}

#[test]
fn people_sign_in_and_out_by_mouse_and_keys() {
    play("sign_in.mjs", &TestServer::start());
}

#[test]
fn every_page_is_accessible_fits_and_is_quiet() {
    play("every_page.mjs", &TestServer::start());
}

#[test]
fn a_slow_upload_is_watched_and_ended_from_the_page() {
    if has("rclone") {
        play("kill.mjs", &TestServer::start());
    }
}

#[test]
fn users_are_made_changed_and_deleted_in_the_browser() {
    play("users.mjs", &TestServer::start());
}

#[test]
fn live_pages_survive_a_server_that_goes_away_and_can_be_paused() {
    if has("rclone") {
        play("live.mjs", &TestServer::start());
    }
}

#[test]
fn what_is_done_every_day_needs_no_script() {
    if has("rclone") {
        play("without_script.mjs", &TestServer::start());
    }
}

#[test]
fn what_is_typed_is_lost_only_by_saving_or_discarding_it() {
    play("drafts.mjs", &TestServer::start());
}

#[test]
fn long_work_is_left_and_found_again() {
    play("tasks.mjs", &TestServer::start());
}

#[test]
fn a_backup_is_looked_at_before_it_is_restored() {
    play("restore.mjs", &TestServer::start());
}

#[test]
fn times_are_those_of_the_place_where_they_are_read() {
    play("times.mjs", &TestServer::start());
}
