//! Settings of TLS that several servers have.

use super::setting::integer_choice;

integer_choice! {
    /// The oldest version of TLS that a client may use.
    pub enum MinTlsVersion {
        /// TLS 1.2.
        Tls12 = 12,
        /// TLS 1.3.
        Tls13 = 13,
    }
}

/// Whether every protocol to negotiate is one that is spoken.
pub fn check_protocols(names: &[String]) -> Result<(), String> {
    match names.iter().find(|name| *name != "http/1.1") {
        None => Ok(()),
        Some(other) => Err(format!("{other:?} is not available in this version, only http/1.1 is")),
    }
}
