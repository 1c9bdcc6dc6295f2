//! What an account may do, per directory.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::paths::VirtualPath;

/// One right on the objects inside a directory.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Everything below, also what is added later.
    #[serde(rename = "*")]
    Any,
    List,
    Download,
    Upload,
    /// Needs `upload` as well.
    Overwrite,
    /// Files and directories.
    Delete,
    DeleteFiles,
    DeleteDirs,
    /// Files and directories.
    Rename,
    RenameFiles,
    RenameDirs,
    CreateDirs,
    CreateSymlinks,
    Chmod,
    Chown,
    Chtimes,
    Copy,
}

impl Permission {
    /// Every permission, in the order of the documentation.
    pub const ALL: [Permission; 17] = [
        Self::Any,
        Self::List,
        Self::Download,
        Self::Upload,
        Self::Overwrite,
        Self::Delete,
        Self::DeleteFiles,
        Self::DeleteDirs,
        Self::Rename,
        Self::RenameFiles,
        Self::RenameDirs,
        Self::CreateDirs,
        Self::CreateSymlinks,
        Self::Chmod,
        Self::Chown,
        Self::Chtimes,
        Self::Copy,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::List => "list",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::DeleteFiles => "delete_files",
            Self::DeleteDirs => "delete_dirs",
            Self::Rename => "rename",
            Self::RenameFiles => "rename_files",
            Self::RenameDirs => "rename_dirs",
            Self::CreateDirs => "create_dirs",
            Self::CreateSymlinks => "create_symlinks",
            Self::Chmod => "chmod",
            Self::Chown => "chown",
            Self::Chtimes => "chtimes",
            Self::Copy => "copy",
        }
    }

    /// The permission with this wire name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions of one directory, ready for many questions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// True if `permission` or `*` is in the set.
    pub fn grants(self, permission: Permission) -> bool {
        self.0 & (bit(permission) | bit(Permission::Any)) != 0
    }

    /// True if at least one of `permissions` is granted.
    pub fn grants_any(self, permissions: &[Permission]) -> bool {
        permissions.iter().any(|permission| self.grants(*permission))
    }

    /// True if each of `permissions` is granted.
    pub fn grants_all(self, permissions: &[Permission]) -> bool {
        permissions.iter().all(|permission| self.grants(*permission))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(permission: Permission) -> u32 {
    1 << permission as u32
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | bit(permission)))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Permission::ALL.iter().filter(|p| self.0 & bit(**p) != 0).map(|p| p.as_str()))
            .finish()
    }
}

/// Directory to permissions. The entry of the deepest directory alone applies:
/// entries replace each other, they do not add up. An empty list on a
/// sub-directory allows nothing there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Permissions(
    // The peer writes `null` for a directory in which nothing is allowed.
    #[serde(deserialize_with = "null_lists_are_empty")] BTreeMap<String, Vec<Permission>>,
);

fn null_lists_are_empty<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, Vec<Permission>>, D::Error> {
    let lists = BTreeMap::<String, Option<Vec<Permission>>>::deserialize(from)?;
    Ok(lists.into_iter().map(|(dir, list)| (dir, list.unwrap_or_default())).collect())
}

impl Permissions {
    /// `permissions` on `/` and nothing else.
    pub fn on_root(permissions: impl IntoIterator<Item = Permission>) -> Self {
        Self(BTreeMap::from([("/".to_owned(), permissions.into_iter().collect())]))
    }

    /// Sets the entry of one directory.
    pub fn set(
        &mut self,
        directory: impl Into<String>,
        permissions: impl IntoIterator<Item = Permission>,
    ) {
        self.0.insert(directory.into(), permissions.into_iter().collect());
    }

    /// What is allowed on the objects inside `directory`: the entry of the
    /// deepest ancestor-or-self; nothing if there is none.
    pub fn at(&self, directory: &VirtualPath) -> PermissionSet {
        let governing = self.governing(directory);
        governing.map(|(_, list)| list.iter().copied().collect()).unwrap_or_default()
    }

    /// The entry behind [`Permissions::at`], with its directory.
    pub fn governing(&self, directory: &VirtualPath) -> Option<(&str, &[Permission])> {
        let mut directory = directory.clone();
        loop {
            let entry = std::str::from_utf8(directory.as_bytes())
                .ok()
                .and_then(|dir| self.0.get_key_value(dir));
            match entry {
                Some((path, list)) => return Some((path, list)),
                None if directory.is_root() => return None,
                None => directory = directory.parent(),
            }
        }
    }

    /// The entries of `directory` itself and of everything below it.
    pub fn within<'a>(
        &'a self,
        directory: &'a VirtualPath,
    ) -> impl Iterator<Item = (VirtualPath, PermissionSet)> + 'a {
        self.iter()
            .map(|(path, list)| (VirtualPath::new(path), list.iter().copied().collect()))
            .filter(move |(path, _)| path.starts_with(directory))
    }

    /// All entries, sorted by directory.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Permission])> {
        self.0.iter().map(|(path, list)| (path.as_str(), list.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cleans the keys, removes doubled permissions, and requires a non-empty `/`.
    pub fn normalise(&mut self) -> Result<()> {
        let mut clean = BTreeMap::new();
        for (directory, mut list) in std::mem::take(&mut self.0) {
            if !directory.starts_with('/') {
                return Err(Error::invalid(format!("directory {directory:?} is not absolute")));
            }
            if directory.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "directory {directory:?} contains a control character"
                )));
            }
            let path = VirtualPath::new(&directory).to_string_lossy().into_owned();
            let mut seen = Vec::with_capacity(list.len().min(Permission::ALL.len()));
            list.retain(|permission| {
                let is_new = !seen.contains(permission);
                seen.push(*permission);
                is_new
            });
            if clean.insert(path.clone(), list).is_some() {
                return Err(Error::invalid(format!("directory {path:?} is given twice")));
            }
        }
        if clean.get("/").is_none_or(Vec::is_empty) {
            return Err(Error::invalid("at least one permission on \"/\" is required"));
        }
        self.0 = clean;
        Ok(())
    }
}

impl FromIterator<(String, Vec<Permission>)> for Permissions {
    fn from_iter<I: IntoIterator<Item = (String, Vec<Permission>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(json: &str) -> Permissions {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_permission_has_its_wire_name() {
        for permission in Permission::ALL {
            let json = serde_json::to_string(&permission).unwrap();
            assert_eq!(json, format!("\"{permission}\""));
            assert_eq!(Permission::from_name(permission.as_str()), Some(permission));
        }
        assert!(serde_json::from_str::<Permission>("\"fly\"").is_err());
    }

    #[test]
    fn the_deepest_entry_replaces_the_others() {
        let rules = permissions(
            r#"{"/":["*"],"/in":["upload","list"],"/in/closed":[],"/in/closed/door":["download"]}"#,
        );
        let table: &[(&str, Permission, bool)] = &[
            ("/", Permission::Delete, true),
            ("/other/deep", Permission::Copy, true),
            ("/in", Permission::Upload, true),
            ("/in", Permission::Download, false),
            ("/in/x/y", Permission::List, true),
            ("/in/x/y", Permission::Delete, false),
            ("/inside", Permission::Delete, true),
            ("/in/closed", Permission::List, false),
            ("/in/closed/x", Permission::List, false),
            ("/in/closed/door", Permission::Download, true),
            ("/in/closed/door", Permission::Upload, false),
        ];
        for (directory, permission, want) in table {
            let set = rules.at(&VirtualPath::new(directory));
            assert_eq!(set.grants(*permission), *want, "{permission} on {directory}");
        }
        assert!(rules.at(&VirtualPath::new(b"/caf\xe9")).grants(Permission::List));
        assert!(Permissions::default().at(&VirtualPath::root()).is_empty());
    }

    #[test]
    fn entries_below_a_directory_are_found() {
        let rules = permissions(r#"{"/":["*"],"/a":["list"],"/a/b":[],"/ab":["list"]}"#);
        let below: Vec<_> =
            rules.within(&VirtualPath::new("/a")).map(|(path, _)| path.to_string()).collect();
        assert_eq!(below, ["/a", "/a/b"]);
    }

    #[test]
    fn normalising_cleans_keys_and_requires_the_root() {
        let mut rules = permissions(r#"{"/":["list","list","*"],"/a/../b//":["list"],"/c":[]}"#);
        rules.normalise().unwrap();
        let got: Vec<_> = rules.iter().map(|(path, list)| (path.to_owned(), list.len())).collect();
        assert_eq!(got, [("/".into(), 2), ("/b".into(), 1), ("/c".into(), 0)]);

        for (json, part) in [
            (r#"{}"#, "on \"/\""),
            (r#"{"/":[]}"#, "on \"/\""),
            (r#"{"/a":["*"]}"#, "on \"/\""),
            (r#"{"/":["*"],"a":["*"]}"#, "not absolute"),
            (r#"{"/":["*"],"/a":["*"],"/a/":["*"]}"#, "given twice"),
            (r#"{"/":["*"],"/a\u0000":["*"]}"#, "control character"),
        ] {
            let error = permissions(json).normalise().unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
