//! Verified passwords, remembered so that frequent logins need no slow hash.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

use crate::error::{Error, Result};

/// Most passwords that are remembered; the oldest goes first.
const CAPACITY: usize = 10_000;

/// Remembers that a clear-text password matched a stored hash, as a digest keyed
/// with a random secret of this process: the memory holds nothing that could be
/// attacked with less effort than the stored hash. A changed hash is another
/// digest, so nothing has to be invalidated.
pub struct VerifiedPasswords {
    key: hmac::Key,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    digests: HashSet<[u8; 32]>,
    oldest_first: VecDeque<[u8; 32]>,
}

impl VerifiedPasswords {
    pub fn new() -> Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|error| Error::internal(format!("no random numbers: {error}")))?;
        Ok(Self { key, seen: Mutex::default() })
    }

    pub fn contains(&self, stored: &str, clear: &str) -> bool {
        let digest = self.digest(stored, clear);
        self.lock().digests.contains(&digest)
    }

    pub fn insert(&self, stored: &str, clear: &str) {
        let digest = self.digest(stored, clear);
        let mut seen = self.lock();
        if seen.digests.insert(digest) {
            seen.oldest_first.push_back(digest);
            if seen.oldest_first.len() > CAPACITY
                && let Some(oldest) = seen.oldest_first.pop_front()
            {
                seen.digests.remove(&oldest);
            }
        }
    }

    fn digest(&self, stored: &str, clear: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        // With its length first, the hash cannot run into the password.
        context.update(&(stored.len() as u64).to_be_bytes());
        context.update(stored.as_bytes());
        context.update(clear.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        // A panic cannot leave the two collections worse than unequal, which
        // costs at most one slow verification.
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_hash_and_password_are_known() {
        let cache = VerifiedPasswords::new().unwrap();
        cache.insert("$hash", "secret");
        assert!(cache.contains("$hash", "secret"));
        assert!(!cache.contains("$hash", "secret2"));
        assert!(!cache.contains("$hash2", "secret"));
        assert!(!cache.contains("$hashs", "ecret"));
    }

    #[test]
    fn the_cache_does_not_grow_without_bound() {
        let cache = VerifiedPasswords::new().unwrap();
        for n in 0..CAPACITY + 10 {
            cache.insert("$hash", &n.to_string());
        }
        assert!(!cache.contains("$hash", "0"));
        assert!(cache.contains("$hash", "10"));
        let seen = cache.lock();
        assert_eq!((seen.digests.len(), seen.oldest_first.len()), (CAPACITY, CAPACITY));
    }
}
