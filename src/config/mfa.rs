//! `mfa`: time-based one-time passwords.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "totp": [{"name": "Default", "issuer": "SFTPGo", "algo": "sha1"}]
}"#;
