//! `smtp`: the mail server for notifications.
//!
//! Nothing of it is available yet: the table holds the known settings at the
//! values that leave them off.

pub const LATER: &str = r#"{
    "host": "",
    "port": 587,
    "from": "",
    "user": "",
    "password": "",
    "auth_type": 0,
    "encryption": 0,
    "domain": "",
    "debug": 0,
    "oauth2": {
        "provider": 0,
        "tenant": "",
        "client_id": "",
        "client_secret": "",
        "refresh_token": ""
    }
}"#;
