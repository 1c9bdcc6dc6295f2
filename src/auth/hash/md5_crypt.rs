//! MD5 crypt: `$1$salt$hash` of Unix and `$apr1$salt$hash` of Apache. 1000 fixed
//! rounds; weak by now, verified only so that old accounts can log in (and then
//! get a better hash).

use md5::{Digest, Md5};

use super::equal;
use crate::error::{Error, Result};

/// The alphabet of crypt(3), which is not that of base64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The salt counts up to here.
const MAX_SALT_LEN: usize = 8;

pub struct Md5Crypt {
    magic: &'static [u8],
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Md5Crypt {
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::invalid("the MD5 crypt hash is malformed");
        let (magic, rest): (&'static [u8], &str) = match text.strip_prefix("$1$") {
            Some(rest) => (b"$1$", rest),
            None => (b"$apr1$", text.strip_prefix("$apr1$").ok_or_else(malformed)?),
        };
        let (salt, hash) = rest.split_once('$').ok_or_else(malformed)?;
        let hash = hash.as_bytes();
        if hash.len() != 22 || !hash.iter().all(|b| ALPHABET.contains(b)) {
            return Err(malformed());
        }
        let salt = &salt.as_bytes()[..salt.len().min(MAX_SALT_LEN)];
        Ok(Self { magic, salt: salt.to_vec(), hash: hash.to_vec() })
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        equal(&encode(&self.digest(password)), &self.hash)
    }

    fn digest(&self, password: &[u8]) -> [u8; 16] {
        let inner: [u8; 16] = Md5::new()
            .chain_update(password)
            .chain_update(&self.salt)
            .chain_update(password)
            .finalize()
            .into();
        let mut first = Md5::new();
        first.update(password);
        first.update(self.magic);
        first.update(&self.salt);
        for block in password.chunks(16) {
            first.update(&inner[..block.len()]);
        }
        // The bits of the length choose between a NUL and the first character.
        let mut length = password.len();
        while length > 0 {
            let byte = if length & 1 == 1 { 0 } else { password[0] };
            first.update([byte]);
            length >>= 1;
        }
        let mut digest: [u8; 16] = first.finalize().into();
        for round in 0..1000 {
            let mut hasher = Md5::new();
            if round % 2 == 1 {
                hasher.update(password);
            } else {
                hasher.update(digest);
            }
            if round % 3 != 0 {
                hasher.update(&self.salt);
            }
            if round % 7 != 0 {
                hasher.update(password);
            }
            if round % 2 == 1 {
                hasher.update(digest);
            } else {
                hasher.update(password);
            }
            digest = hasher.finalize().into();
        }
        digest
    }
}

/// Sixteen bytes as 22 characters, in crypt's own byte order.
fn encode(digest: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(22);
    let mut push = |mut bits: u32, characters: usize| {
        for _ in 0..characters {
            out.push(ALPHABET[(bits & 0x3f) as usize]);
            bits >>= 6;
        }
    };
    for [high, middle, low] in [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]] {
        let word =
            u32::from(digest[high]) << 16 | u32::from(digest[middle]) << 8 | u32::from(digest[low]);
        push(word, 4);
    }
    push(u32::from(digest[11]), 2);
    out
}
