//! SHA crypt: `$5$` (SHA-256) and `$6$` (SHA-512), `$6$rounds=N$salt$hash`.

use sha_crypt::{PasswordVerifier, ShaCrypt};

use super::CostLimits;
use crate::error::{Error, Result};

/// The salt counts up to here.
const MAX_SALT_LEN: usize = 16;

/// Rounds if the hash does not say.
const DEFAULT_ROUNDS: u32 = 5000;

/// Fewest rounds of the algorithm.
const MIN_ROUNDS: u32 = 1000;

pub struct ShaCryptHash(String);

impl ShaCryptHash {
    pub fn parse(text: &str, limits: &CostLimits) -> Result<Self> {
        let malformed = || Error::invalid("the SHA crypt hash is malformed");
        let (id, rest) = match text.strip_prefix("$5$") {
            Some(rest) => ("5", rest),
            None => ("6", text.strip_prefix("$6$").ok_or_else(malformed)?),
        };
        let (rounds, rest) = match rest.strip_prefix("rounds=") {
            None => (DEFAULT_ROUNDS, rest),
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$').ok_or_else(malformed)?;
                (rounds.parse().map_err(|_| malformed())?, rest)
            }
        };
        if !(MIN_ROUNDS..=limits.sha_crypt_rounds).contains(&rounds) {
            return Err(Error::invalid(format!(
                "the SHA crypt hash has {rounds} rounds, accepted are {MIN_ROUNDS} to {}",
                limits.sha_crypt_rounds
            )));
        }
        let (salt, hash) = rest.split_once('$').ok_or_else(malformed)?;
        let hash_len = if id == "5" { 43 } else { 86 };
        let plain =
            |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
        if hash.len() != hash_len || !plain(hash) || salt.is_empty() || !plain(salt) {
            return Err(malformed());
        }
        let salt = &salt[..salt.len().min(MAX_SALT_LEN)];
        Ok(Self(format!("${id}$rounds={rounds}${salt}${hash}")))
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        ShaCrypt::default().verify_password(password, self.0.as_str()).is_ok()
    }
}
