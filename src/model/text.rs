//! Checks of single text fields: e-mail addresses and paths on this machine.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Longest e-mail address (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL_LEN: usize = 254;

/// Longest path on this machine, in bytes (PATH_MAX of Linux).
const MAX_PATH_LEN: usize = 4096;

/// Accepts what can be an address: one `@` between two non-empty parts, without
/// spaces and control characters. Empty means none.
pub fn check_email(email: &str) -> Result<()> {
    if email.is_empty() {
        return Ok(());
    }
    let well_formed = email.len() <= MAX_EMAIL_LEN
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && (!local.contains('@') || (local.starts_with('"') && local.ends_with('"')))
                && !domain.is_empty()
                && !domain.starts_with(['.', '-'])
                && !domain.ends_with(['.', '-'])
                && !domain.contains("..")
        });
    if well_formed {
        Ok(())
    } else {
        Err(Error::invalid(format!("{email:?} is not an e-mail address")))
    }
}

/// The cleaned form of an absolute path on this machine: no `.`, no `..`, no
/// doubled or trailing separator.
pub fn clean_absolute_path(path: &str) -> Result<String> {
    if path.len() > MAX_PATH_LEN {
        return Err(Error::invalid(format!("longer than {MAX_PATH_LEN} bytes")));
    }
    if path.chars().any(char::is_control) {
        return Err(Error::invalid("contains a control character"));
    }
    if !Path::new(path).is_absolute() {
        return Err(Error::invalid(format!("{path:?} is not an absolute path")));
    }
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            // At the root `pop` does nothing, as in a file system.
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean.into_os_string().into_string().map_err(|_| Error::invalid("is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_need_two_parts() {
        for good in ["", "a@b", "a.b+c@example.com", "\"a@b\"@example.com", "ü@exämple.org"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in ["a", "@b", "a@", "a b@c", "a@b@c", "a@.c", "a@c.", "a@b..c", "a@b\n"] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
        assert!(check_email(&format!("{}@b", "x".repeat(MAX_EMAIL_LEN))).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn absolute_paths_are_cleaned() {
        let table: &[(&str, Option<&str>)] = &[
            ("/", Some("/")),
            ("/srv/data", Some("/srv/data")),
            ("/srv//data/./x/", Some("/srv/data/x")),
            ("/srv/../etc", Some("/etc")),
            ("/../..", Some("/")),
            ("", None),
            ("srv", None),
            ("./srv", None),
            ("/a\0b", None),
        ];
        for (path, want) in table {
            assert_eq!(clean_absolute_path(path).ok().as_deref(), *want, "{path:?}");
        }
    }
}
