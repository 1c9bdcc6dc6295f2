//! Bare digests, `{MD5}`, `{SHA256}` and `{SHA512}`: hexadecimal, or base64 as
//! LDAP directories write them. No salt, no cost; verified only so that
//! imported accounts can log in (and then get a better hash).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use super::equal;
use crate::error::{Error, Result};

#[derive(Clone, Copy)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512,
}

pub struct Digest {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

impl Digest {
    pub fn parse(text: &str) -> Result<Self> {
        let (algorithm, len, encoded) = if let Some(rest) = text.strip_prefix("{MD5}") {
            (Algorithm::Md5, 16, rest)
        } else if let Some(rest) = text.strip_prefix("{SHA256}") {
            (Algorithm::Sha256, 32, rest)
        } else if let Some(rest) = text.strip_prefix("{SHA512}") {
            (Algorithm::Sha512, 64, rest)
        } else {
            return Err(Error::invalid("the digest has an unknown algorithm"));
        };
        let digest = hex::decode(encoded).or_else(|_| STANDARD.decode(encoded));
        match digest {
            Ok(digest) if digest.len() == len => Ok(Self { algorithm, digest }),
            _ => Err(Error::invalid("the digest is malformed")),
        }
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Md5 => equal(&Md5::digest(password), &self.digest),
            Algorithm::Sha256 => equal(&Sha256::digest(password), &self.digest),
            Algorithm::Sha512 => equal(&Sha512::digest(password), &self.digest),
        }
    }
}
