//! `kms`: the key that protects stored secrets.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "secrets": {"url": "", "master_key": "", "master_key_path": ""}
}"#;
