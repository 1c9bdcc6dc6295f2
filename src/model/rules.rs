//! What the configuration says about objects: how names look and where homes are.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// The bits of `data_provider.naming_rules`: which names are allowed and how
/// they are brought to one form, on write and again at every lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamingRules {
    any_utf8: bool,
    lower_case: bool,
    trim: bool,
}

/// Longest name of an object, in bytes.
pub const MAX_NAME_LEN: usize = 255;

impl NamingRules {
    /// 1: any UTF-8 (else only `A-Z a-z 0-9 - . _ ~`), 2: lower-case, 4: trim spaces.
    /// Other bits are ignored.
    pub fn from_bits(bits: u32) -> Self {
        Self { any_utf8: bits & 1 != 0, lower_case: bits & 2 != 0, trim: bits & 4 != 0 }
    }

    /// The form of `name` that is looked up: trimmed and lower-cased as configured.
    pub fn canonical(self, name: &str) -> String {
        let name = if self.trim { name.trim() } else { name };
        if self.lower_case { name.to_lowercase() } else { name.to_owned() }
    }

    /// The form of `name` that is stored, or why it cannot be a name. Control
    /// characters, `/` and `\` are never allowed, nor are `.` and `..`: a name
    /// becomes a directory below `users_base_dir`.
    pub fn apply(self, name: &str) -> Result<String> {
        let name = self.canonical(name);
        if name.is_empty() {
            return Err(Error::invalid("must not be empty"));
        }
        if name.len() > MAX_NAME_LEN {
            return Err(Error::invalid(format!("longer than {MAX_NAME_LEN} bytes")));
        }
        if name == "." || name == ".." {
            return Err(Error::invalid("\".\" and \"..\" are not names"));
        }
        let never = |c: char| c.is_control() || c == '/' || c == '\\';
        if let Some(c) = name.chars().find(|c| never(*c)) {
            return Err(Error::invalid(format!("contains {c:?}")));
        }
        let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        if !self.any_utf8
            && let Some(c) = name.chars().find(|c| !unreserved(*c))
        {
            return Err(Error::invalid(format!(
                "contains {c:?}; data_provider.naming_rules allows only letters, digits and - . _ ~"
            )));
        }
        Ok(name)
    }
}

impl Default for NamingRules {
    fn default() -> Self {
        Self::from_bits(5)
    }
}

/// Everything of the configuration that validation needs.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub naming: NamingRules,
    /// A user without `home_dir` gets `<users_base_dir>/<username>`; absolute or `None`.
    pub users_base_dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_configured_bits() {
        let table: &[(u32, &str, Option<&str>)] = &[
            (0, "bob", Some("bob")),
            (0, "Bob-1._~", Some("Bob-1._~")),
            (0, "bob smith", None),
            (0, " bob", None),
            (0, "böb", None),
            (1, "böb @home", Some("böb @home")),
            (1, " bob ", Some(" bob ")),
            (2, "BOB", Some("bob")),
            (4, "  bob\t", Some("bob")),
            (5, " Bob Smith ", Some("Bob Smith")),
            (7, " ÖB ", Some("öb")),
            (5, "a/b", None),
            (5, "a\\b", None),
            (5, "a\nb", None),
            (5, "a\0b", None),
            (5, "   ", None),
            (5, "", None),
            (0, "..", None),
            (5, ".", None),
            (5, "...", Some("...")),
        ];
        for (bits, name, want) in table {
            let got = NamingRules::from_bits(*bits).apply(name).ok();
            assert_eq!(got.as_deref(), *want, "naming_rules {bits}, {name:?}");
        }
        let long = "x".repeat(MAX_NAME_LEN);
        assert!(NamingRules::default().apply(&long).is_ok());
        assert!(NamingRules::default().apply(&(long + "x")).is_err());
    }
}
