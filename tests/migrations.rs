//! The schema of every engine, on the engine itself.

use std::path::Path;
use std::process::Command;

#[test]
fn migrations_go_up_and_down_on_real_engines() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-migrations");
    // An engine that is missing is skipped, and in CI an error.
    let output = Command::new(script).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    eprint!("{shown}");
    assert!(output.status.success(), "{shown}");
}
