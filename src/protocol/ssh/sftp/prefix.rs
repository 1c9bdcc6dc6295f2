//! `sftpd.folder_prefix`: a directory in which SFTP clients find the root of the account.
//!
//! Permissions, filters, log lines and hooks have the paths of the account, without the
//! prefix: only what a client sends and is shown has it.

use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Entry, FileTime, Metadata};

/// Where clients find the account's root; `/` by default.
#[derive(Debug, Clone)]
pub struct Prefix(VirtualPath);

impl Default for Prefix {
    fn default() -> Self {
        Self(VirtualPath::root())
    }
}

/// What a client has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A path of the account.
    Account(VirtualPath),
    /// A directory above its root, in which there is nothing but this one.
    Ancestor(Vec<u8>),
}

impl Prefix {
    /// As it is configured: relative ones begin at `/` too, and an empty one is none.
    pub fn from_config(prefix: &str) -> Self {
        Self(VirtualPath::new(prefix))
    }

    /// Whether there is one.
    pub fn is_none(&self) -> bool {
        self.0.is_root()
    }

    /// What the path of a client stands for.
    ///
    /// # Errors
    /// `NotFound` for what is neither in the account nor leads to it.
    pub fn named(&self, path: VirtualPath) -> Result<Named> {
        if self.is_none() {
            return Ok(Named::Account(path));
        }
        if let Some(rest) = path.strip_prefix(&self.0) {
            return Ok(Named::Account(VirtualPath::new(rest)));
        }
        match self.0.strip_prefix(&path) {
            Some(rest) => {
                let child = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
                Ok(Named::Ancestor(child.to_vec()))
            }
            None => Err(Error::new(ErrorKind::NotFound, format!("{path} is not in the account"))),
        }
    }

    /// A path of the account as the client knows it.
    pub fn shown(&self, path: &VirtualPath) -> VirtualPath {
        if self.is_none() {
            return path.clone();
        }
        VirtualPath::resolve(&self.0, path.as_bytes().strip_prefix(b"/").unwrap_or_default())
    }
}

impl Named {
    /// The path of the account, for what cannot be done above its root.
    ///
    /// # Errors
    /// `PermissionDenied` there.
    pub fn in_account(self) -> Result<VirtualPath> {
        match self {
            Self::Account(path) => Ok(path),
            Self::Ancestor(_) => {
                let told = "above the root of the account nothing can be done";
                Err(Error::new(ErrorKind::PermissionDenied, told))
            }
        }
    }
}

/// The only entry of a directory above the root of the account.
pub fn entry(name: &[u8]) -> Entry {
    Entry { name: name.to_vec(), metadata: metadata() }
}

/// Of a directory above the root of the account.
pub fn metadata() -> Metadata {
    Metadata::of_synthesised_directory(FileTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_names_is_in_the_account_leads_to_it_or_is_nowhere() {
        let account = |path: &str| Some(Named::Account(VirtualPath::new(path)));
        let ancestor = |child: &str| Some(Named::Ancestor(child.as_bytes().to_vec()));
        let table = [
            ("", "/", account("/")),
            ("/", "/a/b", account("/a/b")),
            ("/p", "/p", account("/")),
            ("p/", "/p/a", account("/a")),
            ("/p", "/", ancestor("p")),
            ("/p", "/pa", None),
            ("/p", "/a", None),
            ("/p/q", "/p", ancestor("q")),
            ("/p/q", "/", ancestor("p")),
            ("/p/../q", "/q/a/b", account("/a/b")),
            ("/p/q", "/p/a", None),
        ];
        for (prefix, path, wanted) in table {
            let prefix = Prefix::from_config(prefix);
            let named = prefix.named(VirtualPath::new(path)).ok();
            assert_eq!(named, wanted, "{prefix:?} {path}");
            if let Some(Named::Account(inside)) = named {
                assert_eq!(prefix.shown(&inside), VirtualPath::new(path), "{prefix:?} {path}");
            }
        }
    }
}
