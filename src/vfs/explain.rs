//! Why an account may or may not do something: the checks of [`super::Session`] asked
//! one after the other, each with the rule that it went by. Nothing on a disk is
//! touched, so a link that a path leads through is not known here.

use std::path::PathBuf;
use std::sync::Arc;

use actors::Direction;

use super::mounts::{Mount, Mounts, QuotaOwner};
use super::open::folder_mounts;
use super::policy::{Operation, Policy, Renamed};
use super::screen::screen;
use crate::config::TrackQuota;
use crate::error::{ErrorKind, Result};
use crate::metrics::Backend;
use crate::model::User;
use crate::paths::VirtualPath;
use crate::storage::FileTime;
use crate::storage::local::OnDemand;

/// The checks of every operation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The permissions of the directory.
    Permissions,
    /// The filters on names.
    NameFilters,
    /// Mount points stay where they are.
    MountPoints,
}

impl Check {
    pub const ALL: [Self; 3] = [Self::Permissions, Self::NameFilters, Self::MountPoints];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permissions => "permissions",
            Self::NameFilters => "name_filters",
            Self::MountPoints => "mount_points",
        }
    }

    /// Asks this check alone.
    pub(super) fn ask(
        self,
        policy: &Policy,
        mounts: &Mounts,
        operation: Operation<'_>,
    ) -> Result<()> {
        match self {
            Self::Permissions => policy.decide_permissions(operation),
            Self::NameFilters => policy.decide_names(operation),
            Self::MountPoints => mounts.protect(operation),
        }
    }
}

macro_rules! asked {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $make:expr;)+) => {
        /// Something that an account may want to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Asked {
            $($(#[$doc])* $variant,)+
        }

        impl Asked {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// `target` is the second path, where the operation has one.
            fn operation<'p>(
                self,
                path: &'p VirtualPath,
                target: &'p VirtualPath,
            ) -> Operation<'p> {
                type Make = for<'a> fn(&'a VirtualPath, &'a VirtualPath) -> Operation<'a>;
                let make: Make = match self {
                    $(Self::$variant => $make,)+
                };
                make(path, target)
            }
        }
    };
}

asked! {
    List = "list", |path, _| Operation::List(path);
    Stat = "stat", |path, _| Operation::Stat(path);
    Download = "download", |path, _| Operation::Download(path);
    /// A new file.
    Upload = "upload", |path, _| Operation::CreateFile(path);
    /// Writing to a file that exists.
    Overwrite = "overwrite", |path, _| Operation::OverwriteFile(path);
    CreateDir = "create_dir", |path, _| Operation::CreateDir(path);
    DeleteFile = "delete_file", |path, _| Operation::RemoveFile(path);
    DeleteDir = "delete_dir", |path, _| Operation::RemoveDir(path);
    RenameFile = "rename_file", |path, to| Operation::Rename(Renamed::File, path, to);
    RenameDir = "rename_dir", |path, to| Operation::Rename(Renamed::Directory, path, to);
    RenameSymlink = "rename_symlink", |path, to| Operation::Rename(Renamed::Symlink, path, to);
    /// Being the target of a rename or copy, while a file is there.
    Replace = "replace", |path, _| Operation::ReplaceByRename(path);
    Copy = "copy", |path, to| Operation::Copy(path, to);
    /// A link at the second path that leads to the first.
    Symlink = "create_symlink", |path, to| Operation::Symlink { target: path, link: to };
    Chmod = "chmod", |path, _| Operation::Chmod(path);
    Chown = "chown", |path, _| Operation::Chown(path);
    Chtimes = "chtimes", |path, _| Operation::Chtimes(path);
    Truncate = "truncate", |path, _| Operation::Truncate(path);
    /// How much room there is.
    Space = "space", |path, _| Operation::Space(path);
}

impl Asked {
    /// The operation with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|asked| asked.as_str() == name)
    }

    /// Whether it has a second path.
    pub fn has_target(self) -> bool {
        matches!(
            self,
            Self::RenameFile | Self::RenameDir | Self::RenameSymlink | Self::Copy | Self::Symlink
        )
    }

    /// Which way it moves bytes of a client, if it does.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Download => Some(Direction::Download),
            Self::Upload | Self::Overwrite => Some(Direction::Upload),
            _ => None,
        }
    }

    /// Whether it needs room.
    pub fn stores(self) -> bool {
        matches!(self, Self::Upload | Self::Overwrite | Self::Copy)
    }

    /// The directory whose permissions count for `path`.
    fn governing_dir(self, path: &VirtualPath) -> VirtualPath {
        match self {
            Self::List | Self::Space => path.clone(),
            _ => path.parent(),
        }
    }
}

/// What one check said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    /// The rule it went by, in words.
    pub rule: String,
    /// Why it refuses, if it does.
    pub denied: Option<Denied>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub because: String,
    /// The client is told that there is no such file.
    pub looks_absent: bool,
}

/// Where a path is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAt {
    /// The mount's place in the tree; `/` for the home.
    pub mount: String,
    /// The path in the storage, as log lines show it.
    pub file_path: String,
    /// Whose quota it counts to; `None` if nobody counts.
    pub quota: Option<QuotaRule>,
}

/// A quota and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRule {
    /// A folder, or the user.
    pub is_folder: bool,
    pub owner: String,
    pub max_bytes: Option<u64>,
    pub max_files: Option<u64>,
}

/// Answers for one account.
#[derive(Debug)]
pub struct Explainer {
    policy: Policy,
    mounts: Mounts,
}

impl Explainer {
    /// For an account with what it inherits.
    ///
    /// # Errors
    /// `InvalidInput` for a stored filter on names that is none.
    pub fn of(user: Arc<User>, track_quota: TrackQuota) -> Result<Self> {
        let policy = Policy::of(user.clone())?;
        let patterns = policy.patterns();
        let home = Arc::new(OnDemand::new(PathBuf::from(&user.home_dir), None));
        let home = Mount {
            at: VirtualPath::root(),
            storage: screen(home, &VirtualPath::root(), patterns)?,
            backend: Backend::Local,
            quota: QuotaOwner::of_home(&user, track_quota),
        };
        let folders = folder_mounts(&user, None, track_quota, patterns)?;
        let mounts = Mounts::new(home, folders, FileTime::default());
        Ok(Self { policy, mounts })
    }

    /// Every check of the operation, in the order in which a session asks them. The
    /// first that denies decides. Without a target a second path is the first.
    pub fn findings(
        &self,
        asked: Asked,
        path: &VirtualPath,
        target: Option<&VirtualPath>,
    ) -> Vec<Finding> {
        let operation = asked.operation(path, target.unwrap_or(path));
        let finding = |check: Check| {
            let denied = check.ask(&self.policy, &self.mounts, operation).err().map(|error| {
                let looks_absent = error.kind() == ErrorKind::NotFound;
                Denied { because: error.context().to_owned(), looks_absent }
            });
            Finding { check, rule: self.rule(check, asked, path, target), denied }
        };
        Check::ALL.into_iter().map(finding).collect()
    }

    /// The first denial, if there is one.
    pub fn denied(
        &self,
        asked: Asked,
        path: &VirtualPath,
        target: Option<&VirtualPath>,
    ) -> Option<(Check, Denied)> {
        let findings = self.findings(asked, path, target);
        findings.into_iter().find_map(|finding| Some((finding.check, finding.denied?)))
    }

    /// Where `path` lies.
    pub fn stored_at(&self, path: &VirtualPath) -> StoredAt {
        let place = self.mounts.resolve(path);
        let quota = place.mount.quota.as_ref().map(|owner| QuotaRule {
            is_folder: matches!(owner.account, actors::AccountId::Folder(_)),
            owner: owner.account.name().to_owned(),
            max_bytes: owner.limits.size,
            max_files: owner.limits.files,
        });
        StoredAt { mount: place.mount.at.to_string(), file_path: place.display(), quota }
    }

    fn rule(
        &self,
        check: Check,
        asked: Asked,
        path: &VirtualPath,
        target: Option<&VirtualPath>,
    ) -> String {
        let paths = std::iter::once(path).chain(target.filter(|_| asked.has_target()));
        match check {
            Check::Permissions => {
                let entries = paths.map(|path| self.permissions_for(&asked.governing_dir(path)));
                entries.collect::<Vec<_>>().join("; ")
            }
            Check::NameFilters if self.policy.patterns().is_empty() => "no filters".to_owned(),
            Check::NameFilters => "the filters on names".to_owned(),
            Check::MountPoints => {
                let points: Vec<_> = self.mounts.points().map(ToString::to_string).collect();
                match points.is_empty() {
                    true => "no folders below the root".to_owned(),
                    false => format!("folders at {}", points.join(", ")),
                }
            }
        }
    }

    fn permissions_for(&self, dir: &VirtualPath) -> String {
        match self.policy.user().permissions.governing(dir) {
            None => format!("no permissions for {dir}"),
            Some((entry, [])) => format!("{entry}: nothing"),
            Some((entry, list)) => {
                let names: Vec<_> = list.iter().map(|permission| permission.as_str()).collect();
                format!("{entry}: {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explainer(account: serde_json::Value) -> Explainer {
        let mut user = json!({"username": "ann", "home_dir": "/srv/ann", "status": 1});
        for (key, value) in account.as_object().unwrap() {
            user[key] = value.clone();
        }
        let user: User = serde_json::from_value(user).unwrap();
        Explainer::of(Arc::new(user), TrackQuota::Always).unwrap()
    }

    #[test]
    fn the_deciding_rule_is_named() {
        let ann = explainer(json!({
            "permissions": {"/": ["*"], "/in": ["list", "upload"], "/closed": []},
            "filters": {"file_patterns": [
                {"path": "/", "denied_patterns": ["*.exe"], "deny_policy": 0},
                {"path": "/secret", "denied_patterns": ["*"], "deny_policy": 1},
            ]},
            "virtual_folders": [{"name": "shared", "mapped_path": "/srv/shared",
                "virtual_path": "/team/shared", "quota_size": 1000, "quota_files": 0}],
        }));
        let table = [
            (Asked::Download, "/a.txt", None),
            (Asked::Upload, "/in/a", None),
            (Asked::Download, "/in/a", Some((Check::Permissions, "/in: list, upload"))),
            (Asked::List, "/closed", Some((Check::Permissions, "/closed: nothing"))),
            (Asked::List, "/in/deep", None),
            (Asked::Download, "/a.EXE", Some((Check::NameFilters, "the filters on names"))),
            (Asked::Stat, "/secret/x", Some((Check::NameFilters, "the filters on names"))),
            (Asked::DeleteDir, "/team", Some((Check::MountPoints, "folders at /team/shared"))),
        ];
        for (asked, path, want) in table {
            let path = VirtualPath::new(path);
            let findings = ann.findings(asked, &path, None);
            let denied = findings.iter().find(|finding| finding.denied.is_some());
            let got = denied.map(|finding| (finding.check, finding.rule.as_str()));
            assert_eq!(got, want, "{asked:?} {path}");
            let first = ann.denied(asked, &path, None);
            assert_eq!(first.map(|(check, _)| check), want.map(|(check, _)| check));
        }
        let absent = ann.denied(Asked::Stat, &VirtualPath::new("/secret/x"), None);
        assert!(absent.unwrap().1.looks_absent);
    }

    #[test]
    fn the_place_and_its_quota_are_told() {
        let ann = explainer(json!({
            "permissions": {"/": ["*"]}, "quota_files": 7,
            "virtual_folders": [{"name": "shared", "mapped_path": "/srv/shared",
                "virtual_path": "/shared", "quota_size": 1000, "quota_files": 0}],
        }));
        let stored = ann.stored_at(&VirtualPath::new("/shared/x/y"));
        assert_eq!(
            (stored.mount.as_str(), stored.file_path.as_str()),
            ("/shared", "/srv/shared/x/y")
        );
        let quota = stored.quota.unwrap();
        assert_eq!((quota.is_folder, quota.owner.as_str()), (true, "shared"));
        assert_eq!((quota.max_bytes, quota.max_files), (Some(1000), None));
        let home = ann.stored_at(&VirtualPath::new("/x")).quota.unwrap();
        assert_eq!((home.is_folder, home.max_files), (false, Some(7)));
    }
}
