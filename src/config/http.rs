//! `http`: the HTTP client of hooks.

use super::setting::{Secret, section};

section! {
    /// The HTTP client of hooks.
    pub struct HttpConfig {
        /// Seconds for a request with its answer.
        pub timeout: f64 = 20.0, range 0.1..=300.0;

        /// Files with further certificate authorities, in PEM format.
        pub ca_certificates: Vec<String> = Vec::new();

        /// Certificate to show to servers that ask for one: the first element.
        pub certificates: Vec<HttpCertificate> = Vec::new(), check check_certificates;

        /// Accept every certificate of a server. For tests only: anybody on the way can then
        /// read and change what hooks are asked and answer.
        pub skip_tls_verify: bool = false;

        /// Headers to send.
        pub headers: Vec<HttpHeader> = Vec::new();
    }
}

section! {
    /// A certificate and its key.
    pub struct HttpCertificate {
        /// File with the certificate, in PEM format.
        pub cert: String = String::new();

        /// File with the private key, in PEM format.
        pub key: String = String::new();
    }
}

section! {
    /// A header of requests.
    pub struct HttpHeader {
        /// Name of the header. Empty: the element is left out.
        pub key: String = String::new();

        /// Its value. Empty: the element is left out.
        pub value: Secret = Secret::default();

        /// Start of the addresses it is sent to. Empty for all of them.
        pub url: String = String::new();
    }
}

fn check_certificates(list: &[HttpCertificate]) -> Result<(), String> {
    match list.len() {
        0 | 1 => Ok(()),
        _ => Err("only one certificate can be shown".to_owned()),
    }
}

/// Known settings of features that this version lacks, at the values that leave them off.
pub const LATER: &str = r#"{
    "retry_wait_min": 2,
    "retry_wait_max": 30,
    "retry_max": 3
}"#;
