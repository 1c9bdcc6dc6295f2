//! Stored passwords: every format that can be verified, parsed strictly and
//! with bounded cost, so that a hash from a hostile dump can neither hang the
//! server nor match everything.

mod argon2id;
mod digest;
mod md5_crypt;
mod pbkdf2;
mod sha_crypt;

use crate::error::{Error, Result};

/// How expensive a stored hash may be to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostLimits {
    /// bcrypt cost: each step doubles the time.
    pub bcrypt_cost: u32,
    /// argon2 memory in KiB.
    pub argon2_memory_kib: u32,
    /// argon2 memory in KiB times passes.
    pub argon2_work_kib: u64,
    /// PBKDF2 iterations.
    pub pbkdf2_iterations: u32,
    /// SHA-crypt rounds.
    pub sha_crypt_rounds: u32,
}

impl Default for CostLimits {
    /// A few seconds at most, for each format.
    fn default() -> Self {
        Self {
            bcrypt_cost: 16,
            argon2_memory_kib: 1024 * 1024,
            argon2_work_kib: 4 * 1024 * 1024,
            pbkdf2_iterations: 10_000_000,
            sha_crypt_rounds: 2_000_000,
        }
    }
}

/// The family of a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Bcrypt,
    Argon2id,
    Pbkdf2,
    Md5Crypt,
    ShaCrypt,
    Digest,
}

/// A stored hash that can be verified.
pub struct StoredHash(Parsed);

enum Parsed {
    Bcrypt(String),
    Argon2id(argon2id::Argon2id),
    Pbkdf2(pbkdf2::Pbkdf2),
    Md5Crypt(md5_crypt::Md5Crypt),
    ShaCrypt(sha_crypt::ShaCryptHash),
    Digest(digest::Digest),
}

impl StoredHash {
    /// Reads a hash; the error says what is wrong with it and holds none of it.
    pub fn parse(text: &str, limits: &CostLimits) -> Result<Self> {
        if !text.is_ascii() {
            return Err(Error::invalid("the hash is not ASCII"));
        }
        let parsed = match text {
            _ if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) => {
                Parsed::Bcrypt(check_bcrypt(text, limits)?)
            }
            _ if text.starts_with("$argon2id$") => {
                Parsed::Argon2id(argon2id::Argon2id::parse(text, limits)?)
            }
            _ if text.starts_with("$pbkdf2-") => {
                Parsed::Pbkdf2(pbkdf2::Pbkdf2::parse(text, limits)?)
            }
            _ if text.starts_with("$1$") || text.starts_with("$apr1$") => {
                Parsed::Md5Crypt(md5_crypt::Md5Crypt::parse(text)?)
            }
            _ if text.starts_with("$5$") || text.starts_with("$6$") => {
                Parsed::ShaCrypt(sha_crypt::ShaCryptHash::parse(text, limits)?)
            }
            _ if text.starts_with('{') => Parsed::Digest(digest::Digest::parse(text)?),
            _ => return Err(Error::invalid("the hash has an unknown format")),
        };
        Ok(Self(parsed))
    }

    pub fn scheme(&self) -> Scheme {
        match &self.0 {
            Parsed::Bcrypt(_) => Scheme::Bcrypt,
            Parsed::Argon2id(_) => Scheme::Argon2id,
            Parsed::Pbkdf2(_) => Scheme::Pbkdf2,
            Parsed::Md5Crypt(_) => Scheme::Md5Crypt,
            Parsed::ShaCrypt(_) => Scheme::ShaCrypt,
            Parsed::Digest(_) => Scheme::Digest,
        }
    }

    /// Whether this is the hash of `password`. Slow on purpose, and blocking;
    /// the comparison takes the same time wherever the two differ.
    pub fn matches(&self, password: &[u8]) -> bool {
        match &self.0 {
            Parsed::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Parsed::Argon2id(hash) => hash.matches(password),
            Parsed::Pbkdf2(hash) => hash.matches(password),
            Parsed::Md5Crypt(hash) => hash.matches(password),
            Parsed::ShaCrypt(hash) => hash.matches(password),
            Parsed::Digest(hash) => hash.matches(password),
        }
    }
}

fn check_bcrypt(text: &str, limits: &CostLimits) -> Result<String> {
    // `$2b$` cost `$` 22 characters of salt and 31 of hash.
    let is_well_formed = text.len() == 60
        && text.as_bytes()[6] == b'$'
        && text[7..].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    let cost = text.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
    let (true, Some(cost)) = (is_well_formed, cost) else {
        return Err(Error::invalid("the bcrypt hash is malformed"));
    };
    if !(4..=limits.bcrypt_cost).contains(&cost) {
        return Err(Error::invalid(format!(
            "the bcrypt hash has cost {cost}, accepted are 4 to {}",
            limits.bcrypt_cost
        )));
    }
    if text.parse::<bcrypt::HashParts>().is_err() {
        return Err(Error::invalid("the bcrypt hash is malformed"));
    }
    Ok(text.to_owned())
}

/// Compares two digests without telling where they differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
