//! The account that `portable` makes up from its flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::PortableOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::model::glob::Glob;
use crate::model::{Password, PatternsFilter, Permission, Permissions, User, public_key};
use crate::paths::VirtualPath;

/// Without characters that look alike.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

const GENERATED_PASSWORD_CHARS: usize = 20;
const GENERATED_NAME_CHARS: usize = 6;

/// The account, and what to tell about it.
#[derive(Clone)]
pub struct PortableAccount {
    /// With the password in clear text; to be validated and hashed by the store.
    pub user: User,
    /// The clear text that was given or generated; `None` when only public keys count.
    pub password: Option<String>,
}

impl fmt::Debug for PortableAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortableAccount").field("user", &self.user).finish_non_exhaustive()
    }
}

impl PortableOptions {
    /// The account that the flags describe. A missing name is generated, and so
    /// is a missing password when there is no public key.
    ///
    /// # Errors
    /// `InvalidInput` naming the flag; a directory or password file that cannot be read.
    pub fn account(&self) -> Result<PortableAccount> {
        let public_keys = public_keys(&self.public_keys)?;
        let password = match self.given_password()? {
            Some(password) => Some(password),
            None if public_keys.is_empty() => Some(random_text(GENERATED_PASSWORD_CHARS)?),
            None => None,
        };
        let username = match self.username.as_str() {
            "" => format!("user-{}", random_text(GENERATED_NAME_CHARS)?.to_lowercase()),
            given => given.to_owned(),
        };
        let mut user = User {
            username,
            status: 1,
            password: Password::new(password.clone().unwrap_or_default()),
            public_keys,
            home_dir: home_dir(&self.directory)?,
            permissions: Permissions::on_root(permissions(&self.permissions)?),
            ..User::default()
        };
        user.filters.file_patterns = self.patterns()?;
        if self.start_directory != "/" {
            user.filters.start_directory = self.start_directory.clone();
        }
        Ok(PortableAccount { user, password })
    }

    fn given_password(&self) -> Result<Option<String>> {
        if !self.password_file.is_empty() {
            let path = &self.password_file;
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::from_io(format!("--password-file {path}"), error))?;
            let password = text.trim_end_matches(['\r', '\n']);
            if password.is_empty() {
                return Err(Error::invalid(format!("--password-file {path}: is empty")));
            }
            return Ok(Some(password.to_owned()));
        }
        Ok(Some(self.password.0.clone()).filter(|password| !password.is_empty()))
    }

    /// The rules on names, one per directory.
    fn patterns(&self) -> Result<Vec<PatternsFilter>> {
        let mut rules = BTreeMap::<String, PatternsFilter>::new();
        let no_prefix = "";
        for (flag, texts, prefix, is_allowed) in [
            ("--allowed-patterns", &self.allowed_patterns, no_prefix, true),
            ("--denied-patterns", &self.denied_patterns, no_prefix, false),
            ("--allowed-extensions", &self.allowed_extensions, "*", true),
            ("--denied-extensions", &self.denied_extensions, "*", false),
        ] {
            for text in texts {
                let (path, names) = name_rule(text).ok_or_else(|| {
                    Error::invalid(format!("{flag}: {text:?} is not /dir::names"))
                })?;
                let rule = rules.entry(path.clone()).or_default();
                rule.path = path;
                let list =
                    if is_allowed { &mut rule.allowed_patterns } else { &mut rule.denied_patterns };
                for name in names {
                    let name = format!("{prefix}{}", name.to_lowercase());
                    Glob::parse(&name).map_err(|error| error.wrap(format!("{flag}: {name:?}")))?;
                    if !list.contains(&name) {
                        list.push(name);
                    }
                }
            }
        }
        Ok(rules.into_values().collect())
    }
}

/// `/dir::*.jpg,*.png`: the directory and the names.
fn name_rule(text: &str) -> Option<(String, Vec<&str>)> {
    let (path, names) = text.trim().split_once("::")?;
    let names: Vec<&str> =
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let path = path.trim();
    let clean = || VirtualPath::new(path).to_string_lossy().into_owned();
    (path.starts_with('/') && !names.is_empty()).then(|| (clean(), names))
}

fn permissions(names: &[String]) -> Result<Vec<Permission>> {
    let mut permissions = Vec::new();
    for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let permission = Permission::from_name(name)
            .ok_or_else(|| Error::invalid(format!("--permissions: {name:?} is unknown")))?;
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    if permissions.is_empty() {
        return Err(Error::invalid("--permissions: at least one is needed"));
    }
    Ok(permissions)
}

/// Several keys may share one flag, separated by commas; a comment may hold a
/// comma too, so only what starts like a key begins a new one.
fn public_keys(given: &[String]) -> Result<Vec<String>> {
    let starts_key =
        |text: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| text.starts_with(prefix));
    let mut keys: Vec<String> = Vec::new();
    for text in given {
        for (index, piece) in text.split(',').enumerate() {
            match keys.last_mut() {
                Some(key) if index > 0 && !starts_key(piece.trim_start()) => {
                    key.push(',');
                    key.push_str(piece);
                }
                _ => keys.push(piece.trim().to_owned()),
            }
        }
    }
    keys.retain(|key| !key.is_empty());
    for key in &keys {
        public_key::parse(key).map_err(|error| error.wrap("--public-key"))?;
    }
    Ok(keys)
}

/// The served directory as an absolute path.
fn home_dir(directory: &str) -> Result<String> {
    let wrap = |error| Error::from_io(format!("--directory {directory}"), error);
    // The working directory may have been reached through a link: what is served
    // is the directory itself.
    let path = std::fs::canonicalize(Path::new(directory)).map_err(wrap)?;
    if !path.is_dir() {
        let context = format!("--directory {directory}: not a directory");
        return Err(Error::new(ErrorKind::NotADirectory, context));
    }
    path.into_os_string()
        .into_string()
        .map_err(|_| Error::invalid(format!("--directory {directory}: is not UTF-8")))
}

/// Evenly distributed characters of [`ALPHABET`].
fn random_text(length: usize) -> Result<String> {
    // Bytes beyond the last whole multiple would favour the first characters.
    let limit = 256 / ALPHABET.len() * ALPHABET.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0_u8; 64];
        aws_lc_rs::rand::fill(&mut bytes)
            .map_err(|_| Error::internal("no random bytes for the credentials"))?;
        let chars = bytes
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < limit)
            .filter_map(|byte| ALPHABET.get(byte % ALPHABET.len()))
            .map(|byte| char::from(*byte));
        text.extend(chars.take(length - text.len()));
    }
    Ok(text)
}
