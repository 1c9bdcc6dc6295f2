//! `plugins`: external programs that extend the server.
//!
//! Nothing of it is available yet: the table holds the fields of an element at
//! the values that leave it without effect.

pub const LATER: &str = r#"[{
    "type": "",
    "cmd": "",
    "args": [],
    "sha256sum": "",
    "auto_mtls": false,
    "env_prefix": "",
    "env_vars": [],
    "notifier_options": {
        "fs_events": [],
        "provider_events": [],
        "provider_objects": [],
        "log_events": [],
        "retry_max_time": 0,
        "retry_queue_max_size": 0
    },
    "kms_options": {"scheme": "", "encrypted_status": ""},
    "auth_options": {"scope": 0}
}]"#;
