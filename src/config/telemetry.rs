//! `telemetry`: metrics and health, apart from the REST API.

use super::setting::section;
use super::tls::MinTlsVersion;

section! {
    /// Metrics and health, on a listener of their own.
    pub struct TelemetryConfig {
        /// TCP port of `/metrics` and `/healthz`. 0 disables it, unless the address is a Unix
        /// socket.
        pub bind_port: u16 = 0;

        /// IP address to listen on; empty for all of them; an absolute path for a Unix socket.
        pub bind_address: String = "127.0.0.1".to_owned();

        /// File in the format of `htpasswd` (bcrypt or Apache MD5) with the users who may read the
        /// metrics. Read again on SIGHUP. Empty lets everybody. `/healthz` never asks.
        pub auth_user_file: String = String::new();

        /// File with the certificate chain, in PEM format, the certificate first. With it and its
        /// key, HTTPS is spoken instead of HTTP. Read again on SIGHUP, and every eight hours.
        pub certificate_file: String = String::new();

        /// File with the private key of the certificate, in PEM format.
        pub certificate_key_file: String = String::new();

        /// Oldest version of TLS that clients may use: 12 or 13.
        pub min_tls_version: MinTlsVersion = MinTlsVersion::Tls12;

        /// Cipher suites for TLS 1.2. Empty for all that are supported, which are all secure.
        /// Those of TLS 1.3 are always on.
        pub tls_cipher_suites: Vec<String> = Vec::new();

        /// Protocols to negotiate (ALPN): only `http/1.1`, as this version has no HTTP/2.
        pub tls_protocols: Vec<String> = Vec::new(), check super::tls::check_protocols;
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "enable_profiler": false
}"#;
