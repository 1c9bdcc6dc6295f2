//! `telemetry`: metrics and health, apart from the REST API.

use super::setting::section;

section! {
    /// Metrics and health, on a listener of their own.
    pub struct TelemetryConfig {
        /// TCP port of `/metrics` and `/healthz`. 0 disables it, unless the address is a Unix
        /// socket.
        pub bind_port: u16 = 0;

        /// IP address to listen on; empty for all of them; an absolute path for a Unix socket.
        pub bind_address: String = "127.0.0.1".to_owned();

        /// File in the format of `htpasswd` (bcrypt or Apache MD5) with the users who may read the
        /// metrics. Empty lets everybody. `/healthz` never asks.
        pub auth_user_file: String = String::new();
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "enable_profiler": false,
    "certificate_file": "",
    "certificate_key_file": "",
    "min_tls_version": 12,
    "tls_cipher_suites": [],
    "tls_protocols": []
}"#;
