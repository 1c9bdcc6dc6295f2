//! Tells the program its commit and build date. Both are optional: a source
//! archive has no history.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-env-changed=SFTPGO_BUILD_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    // The log of HEAD changes with every commit and checkout; in a work tree it
    // is not below .git.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && std::path::Path::new(&log).is_file()
    {
        println!("cargo:rerun-if-changed={log}");
    }

    let commit = std::env::var("SFTPGO_BUILD_COMMIT")
        .ok()
        .filter(|commit| !commit.is_empty())
        .or_else(|| git(&["describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]))
        .unwrap_or_default();
    println!("cargo:rustc-env=SFTPGO_BUILD_COMMIT={commit}");

    let seconds = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|epoch| epoch.trim().parse().ok())
        .or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|now| now.as_secs()))
        .unwrap_or_default();
    let date = utc(seconds);
    println!("cargo:rustc-env=SFTPGO_BUILD_DATE={date}");

    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let parts = [version.as_str(), commit.as_str(), date.as_str()];
    let long: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    println!("cargo:rustc-env=SFTPGO_BUILD_VERSION={}", long.join("-"));
}

/// The output of git in the directory of the package, if it is a repository of its own.
fn git(arguments: &[&str]) -> Option<String> {
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    if !std::path::Path::new(&root).join(".git").exists() {
        return None;
    }
    let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// `2019-08-08T19:28:36Z`, by the proleptic Gregorian calendar.
fn utc(unix_secs: u64) -> String {
    let (mut days, in_day) = (unix_secs / 86_400, unix_secs % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        days + 1,
        in_day / 3600,
        in_day / 60 % 60,
        in_day % 60
    )
}
