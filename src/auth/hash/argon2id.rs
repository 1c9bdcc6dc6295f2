//! `$argon2id$v=19$m=65536,t=1,p=2$salt$hash` (RFC 9106, PHC string format).

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::{CostLimits, equal};
use crate::error::{Error, Result};

/// Shortest and longest hash that is accepted, in bytes.
const HASH_LEN: std::ops::RangeInclusive<usize> = 16..=64;

pub struct Argon2id {
    context: Argon2<'static>,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Argon2id {
    pub fn parse(text: &str, limits: &CostLimits) -> Result<Self> {
        let malformed = || Error::invalid("the argon2id hash is malformed");
        let parsed = PasswordHash::new(text).map_err(|_| malformed())?;
        let version = match parsed.version {
            None | Some(0x10) => Version::V0x10,
            Some(0x13) => Version::V0x13,
            Some(_) => return Err(malformed()),
        };
        let params = Params::try_from(&parsed).map_err(|_| malformed())?;
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > limits.argon2_memory_kib || work > limits.argon2_work_kib {
            return Err(Error::invalid(format!(
                "the argon2id hash needs {} KiB in {} passes, accepted are {} KiB and {} KiB in all passes",
                params.m_cost(),
                params.t_cost(),
                limits.argon2_memory_kib,
                limits.argon2_work_kib
            )));
        }
        let salt = parsed.salt.ok_or_else(malformed)?.as_ref().to_vec();
        let hash = parsed.hash.ok_or_else(malformed)?.as_bytes().to_vec();
        if !HASH_LEN.contains(&hash.len()) {
            return Err(malformed());
        }
        Ok(Self { context: Argon2::new(Algorithm::Argon2id, version, params), salt, hash })
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let mut computed = Zeroizing::new(vec![0; self.hash.len()]);
        self.context.hash_password_into(password, &self.salt, &mut computed).is_ok()
            && equal(&computed, &self.hash)
    }
}
