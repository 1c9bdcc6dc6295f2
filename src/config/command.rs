//! `command`: how programs are run as hooks.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "timeout": 30,
    "env": [],
    "commands": [{"path": "", "timeout": 0, "env": [], "args": [], "hook": ""}]
}"#;
