//! `mfa`: time-based one-time passwords.

use super::setting::{section, word_choice};

section! {
    /// Time-based one-time passwords as a second factor.
    pub struct MfaConfig {
        /// The kinds of codes that accounts can choose from.
        pub totp: Vec<TotpSettings> = vec![TotpSettings::default()], check check_totp;
    }
}

section! {
    /// One kind of codes.
    pub struct TotpSettings {
        /// Unique name, stored with the accounts that use it: do not change it.
        pub name: String = "Default".to_owned();

        /// What authenticator programs show as the issuer.
        pub issuer: String = "SFTPGo".to_owned();

        /// Hash algorithm. Many authenticator programs know `sha1` only.
        pub algo: TotpAlgorithm = TotpAlgorithm::Sha1;
    }
}

word_choice! {
    /// Hash algorithm of one-time passwords.
    pub enum TotpAlgorithm {
        /// HMAC-SHA-1.
        Sha1 = "sha1",
        /// HMAC-SHA-256.
        Sha256 = "sha256",
        /// HMAC-SHA-512.
        Sha512 = "sha512",
    }
}

fn check_totp(list: &[TotpSettings]) -> Result<(), String> {
    for (at, one) in list.iter().enumerate() {
        if one.name.is_empty() || one.issuer.is_empty() {
            return Err(format!("element {} needs a name and an issuer", at + 1));
        }
        if list.iter().take(at).any(|other| other.name == one.name) {
            return Err(format!("the name {:?} is given twice", one.name));
        }
    }
    Ok(())
}

pub const LATER: &str = "{}";
