//! `http`: the HTTP client of hooks.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "timeout": 20,
    "retry_wait_min": 2,
    "retry_wait_max": 30,
    "retry_max": 3,
    "ca_certificates": [],
    "certificates": [{"cert": "", "key": ""}],
    "skip_tls_verify": false,
    "headers": [{"key": "", "value": "", "url": ""}]
}"#;
