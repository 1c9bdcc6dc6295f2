//! A password as objects carry it: clear text on its way in, a hash once stored.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Beginnings of the stored forms that `auth` can verify; anything else is clear text.
const HASH_PREFIXES: &[&str] = &[
    "$2a$",
    "$2b$",
    "$2y$",
    "$argon2id$",
    "$pbkdf2-sha1$",
    "$pbkdf2-sha256$",
    "$pbkdf2-sha512$",
    "$pbkdf2-b64salt-sha256$",
    "$1$",
    "$apr1$",
    "$5$",
    "$6$",
    "{MD5}",
    "{SHA256}",
    "{SHA512}",
];

/// A password or its hash. Never shown: not by `Debug`, and not serialised with
/// the object it belongs to; only dumps write it, explicitly. Empty means none,
/// and "keep the stored one" in an update.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For `skip_serializing_if`: always. `skip_serializing` would do the same but
    /// also take the field out of the OpenAPI schema, where clients look it up.
    pub(super) fn is_hidden(&self) -> bool {
        true
    }

    /// True if it starts like one of the hash formats that can be verified, and
    /// so is stored as it is.
    pub fn is_hashed(&self) -> bool {
        HASH_PREFIXES.iter().any(|prefix| self.0.starts_with(prefix))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Password(none)" } else { "Password(..)" })
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Empty, whatever it holds: what must be written is asked for by name.
impl Serialize for Password {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<String>::deserialize(deserializer)?.unwrap_or_default()))
    }
}
