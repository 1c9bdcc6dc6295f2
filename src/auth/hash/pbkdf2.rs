//! `$pbkdf2-sha256$iterations$salt$base64(hash)` (RFC 8018 section 5.2), the
//! salt as literal text, or in base64 for `$pbkdf2-b64salt-sha256$`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::{CostLimits, equal};
use crate::error::{Error, Result};

/// Shortest and longest hash that is accepted, in bytes.
const HASH_LEN: std::ops::RangeInclusive<usize> = 16..=128;

#[derive(Clone, Copy)]
enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

pub struct Pbkdf2 {
    prf: Prf,
    iterations: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Pbkdf2 {
    pub fn parse(text: &str, limits: &CostLimits) -> Result<Self> {
        let malformed = || Error::invalid("the pbkdf2 hash is malformed");
        let mut parts = text.split('$').skip(1);
        let mut next = || parts.next().ok_or_else(malformed);
        let (algorithm, iterations, salt, hash) = (next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(malformed());
        }
        let (prf, salt) = match algorithm {
            "pbkdf2-sha1" => (Prf::Sha1, salt.as_bytes().to_vec()),
            "pbkdf2-sha256" => (Prf::Sha256, salt.as_bytes().to_vec()),
            "pbkdf2-sha512" => (Prf::Sha512, salt.as_bytes().to_vec()),
            "pbkdf2-b64salt-sha256" => (Prf::Sha256, decode(salt).ok_or_else(malformed)?),
            _ => return Err(Error::invalid("the pbkdf2 hash has an unknown variant")),
        };
        let iterations: u32 = iterations.parse().map_err(|_| malformed())?;
        if !(1..=limits.pbkdf2_iterations).contains(&iterations) {
            return Err(Error::invalid(format!(
                "the pbkdf2 hash has {iterations} iterations, accepted are 1 to {}",
                limits.pbkdf2_iterations
            )));
        }
        let hash = decode(hash).ok_or_else(malformed)?;
        if !HASH_LEN.contains(&hash.len()) {
            return Err(malformed());
        }
        Ok(Self { prf, iterations, salt, hash })
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let mut computed = Zeroizing::new(vec![0; self.hash.len()]);
        match self.prf {
            Prf::Sha1 => ::pbkdf2::pbkdf2_hmac::<sha1::Sha1>(
                password,
                &self.salt,
                self.iterations,
                &mut computed,
            ),
            Prf::Sha256 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha256>(
                password,
                &self.salt,
                self.iterations,
                &mut computed,
            ),
            Prf::Sha512 => ::pbkdf2::pbkdf2_hmac::<sha2::Sha512>(
                password,
                &self.salt,
                self.iterations,
                &mut computed,
            ),
        }
        equal(&computed, &self.hash)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}
