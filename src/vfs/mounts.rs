//! Which storage a virtual path lies in: the only place that turns a
//! [`VirtualPath`] into a [`StoragePath`] and back.
//!
//! Something is mounted at the root, usually the home, and virtual folders below
//! it. A path belongs to the deepest mount above it; what a storage has on its own
//! beneath the place of another mount is hidden. Mount points and the directories
//! that lead to them are there also when no disk has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use actors::{AccountId, Limits};

use super::policy::Operation;
use crate::config::TrackQuota;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Backend;
use crate::model::{User, VirtualFolder};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{FileKind, FileTime, Metadata, Storage};

/// A storage at a place in the virtual tree.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) at: VirtualPath,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) backend: Backend,
    /// Whose quota counts what is stored here; `None` when nobody's does.
    pub(super) quota: Option<QuotaOwner>,
}

/// Who pays for what is stored.
#[derive(Debug, Clone)]
pub(super) struct QuotaOwner {
    pub(super) account: AccountId,
    pub(super) limits: Limits,
}

impl QuotaOwner {
    /// The user as the owner of its home, by `data_provider.track_quota`.
    pub(super) fn of_home(user: &User, track: TrackQuota) -> Option<Self> {
        let limits = limits(user.quota_size, user.quota_files);
        let is_tracked = match track {
            TrackQuota::Off => false,
            TrackQuota::Always => true,
            TrackQuota::WithLimits => limits != Limits::default(),
        };
        is_tracked.then(|| Self { account: AccountId::user(user.username.as_str()), limits })
    }

    /// The user for a private folder; otherwise the folder, which is counted also
    /// without limits: other users may have some.
    pub(super) fn of_folder(
        user: &User,
        folder: &VirtualFolder,
        track: TrackQuota,
    ) -> Option<Self> {
        if is_private(folder) {
            return Self::of_home(user, track);
        }
        (track != TrackQuota::Off).then(|| Self {
            account: AccountId::folder(folder.folder.name.as_str()),
            limits: limits(folder.quota_size, folder.quota_files),
        })
    }
}

/// Whether what is stored in it counts as the user's own.
pub(super) fn is_private(folder: &VirtualFolder) -> bool {
    folder.quota_size < 0 && folder.quota_files < 0
}

fn limits(size: i64, files: i64) -> Limits {
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    Limits { size: limit(size), files: limit(files) }
}

/// A virtual path and where it is stored.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) mount: Arc<Mount>,
    pub(super) path: StoragePath,
}

impl Resolved {
    /// The path that a log line or a hook shows.
    pub(super) fn display(&self) -> String {
        self.mount.storage.display_path(&self.path)
    }

    pub(super) fn is_in_same_mount(&self, other: &Resolved) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// Whether moving something from one to the other changes nobody's usage.
    pub(super) fn has_same_owner(&self, other: &Resolved) -> bool {
        self.account() == other.account()
    }

    /// Whose usage counts what is stored here.
    pub(super) fn account(&self) -> Option<&AccountId> {
        self.mount.quota.as_ref().map(|owner| &owner.account)
    }

    /// The virtual path of something else in the same mount.
    pub(super) fn virtual_path_of(&self, path: &StoragePath) -> VirtualPath {
        VirtualPath::resolve(&self.mount.at, path.as_bytes())
    }
}

/// All mounts of an account.
#[derive(Debug)]
pub(super) struct Mounts {
    /// What is at the root.
    base: Arc<Mount>,
    /// Whether that is a folder, which hides the home.
    base_is_folder: bool,
    /// Those below the root, the deepest first.
    folders: Vec<Arc<Mount>>,
    /// When directories that no disk has were last modified.
    since: FileTime,
}

impl Mounts {
    /// The deepest mount wins; a folder at the root takes the place of `home`.
    pub(super) fn new(home: Mount, folders: Vec<Mount>, since: FileTime) -> Self {
        let (mut at_root, mut below): (Vec<_>, Vec<_>) =
            folders.into_iter().map(Arc::new).partition(|mount| mount.at.is_root());
        below.sort_by_key(|mount| std::cmp::Reverse(mount.at.components().count()));
        let base_is_folder = !at_root.is_empty();
        let base = at_root.pop().unwrap_or_else(|| Arc::new(home));
        Self { base, base_is_folder, folders: below, since }
    }

    pub(super) fn resolve(&self, path: &VirtualPath) -> Resolved {
        let above = self.folders.iter().find(|mount| path.starts_with(&mount.at));
        let mount = above.unwrap_or(&self.base);
        let below = path.strip_prefix(&mount.at).unwrap_or_default();
        Resolved { mount: mount.clone(), path: StoragePath::new(below) }
    }

    /// The folders' places below the root.
    pub(super) fn points(&self) -> impl Iterator<Item = &VirtualPath> {
        self.folders.iter().map(|mount| &mount.at)
    }

    /// The names in `dir` that are mount points or lead to one.
    pub(super) fn names_in(&self, dir: &VirtualPath) -> BTreeSet<Vec<u8>> {
        let below = self.points().filter_map(|at| at.strip_prefix(dir));
        let first = below.filter_map(|rest| rest.split(|byte| *byte == b'/').next());
        first.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
    }

    fn is_point(&self, path: &VirtualPath) -> bool {
        (self.base_is_folder && path.is_root()) || self.points().any(|at| at == path)
    }

    /// Whether `path` is a mount point or leads to one: a directory, whatever the
    /// disk says.
    pub(super) fn is_fixed(&self, path: &VirtualPath) -> bool {
        (self.base_is_folder && path.is_root()) || self.points().any(|at| at.starts_with(path))
    }

    /// Of a path for which [`Mounts::is_fixed`].
    pub(super) async fn fixed_metadata(&self, path: &VirtualPath) -> Metadata {
        let place = self.resolve(path);
        match place.mount.storage.stat(&place.path).await {
            Ok(found) if found.kind == FileKind::Directory => found,
            // The folder does not answer, or the disk has no such directory.
            Ok(_) | Err(_) => Metadata::of_synthesised_directory(self.since),
        }
    }

    /// Refuses, as `PermissionDenied`, what would remove, replace or move a mount
    /// point, or take it away with a directory above it. Mode and owner of a mount
    /// point are the administrator's.
    pub(super) fn protect(&self, operation: Operation<'_>) -> Result<()> {
        if self.folders.is_empty() && !self.base_is_folder {
            return Ok(());
        }
        match operation {
            Operation::List(_)
            | Operation::Stat(_)
            | Operation::Space(_)
            | Operation::Download(_)
            | Operation::Chtimes(_) => Ok(()),
            Operation::CreateFile(path)
            | Operation::OverwriteFile(path)
            | Operation::Truncate(path)
            | Operation::RemoveFile(path)
            | Operation::RemoveDir(path)
            | Operation::ReplaceByRename(path)
            | Operation::Symlink { link: path, .. }
            | Operation::Copy(_, path) => self.refuse_fixed(path),
            Operation::Rename(_, from, to) => {
                self.refuse_fixed(from)?;
                self.refuse_fixed(to)
            }
            // A directory above a mount point may be made, where no disk has it.
            Operation::CreateDir(path) | Operation::Chmod(path) | Operation::Chown(path) => {
                if self.is_point(path) { Err(fixed(path)) } else { Ok(()) }
            }
        }
    }

    fn refuse_fixed(&self, path: &VirtualPath) -> Result<()> {
        if self.is_fixed(path) { Err(fixed(path)) } else { Ok(()) }
    }
}

fn fixed(path: &VirtualPath) -> Error {
    let context = format!("{path} is a virtual folder or holds one");
    Error::new(ErrorKind::PermissionDenied, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::local::OnDemand;
    use crate::vfs::policy::Renamed;

    fn path(text: &str) -> VirtualPath {
        VirtualPath::new(text)
    }

    fn mount(at: &str) -> Mount {
        Mount {
            at: path(at),
            storage: Arc::new(OnDemand::new(format!("/srv{at}").into(), None)),
            backend: Backend::Local,
            quota: None,
        }
    }

    fn mounts(points: &[&str]) -> Mounts {
        let folders = points.iter().map(|at| mount(at)).collect();
        Mounts::new(
            Mount { at: VirtualPath::root(), ..mount("/home") },
            folders,
            FileTime::default(),
        )
    }

    #[test]
    fn the_deepest_mount_above_a_path_has_it() {
        let table: &[(&[&str], &str, &str)] = &[
            (&[], "/", "/srv/home"),
            (&[], "/a/b", "/srv/home/a/b"),
            (&["/a"], "/a", "/srv/a"),
            (&["/a"], "/a/b/c", "/srv/a/b/c"),
            (&["/a"], "/ab", "/srv/home/ab"),
            (&["/a"], "/", "/srv/home"),
            (&["/a/b"], "/a", "/srv/home/a"),
            (&["/a/b"], "/a/b/c", "/srv/a/b/c"),
            (&["/a", "/a/b"], "/a/b/c", "/srv/a/b/c"),
            (&["/a/b", "/a"], "/a/b", "/srv/a/b"),
            (&["/a/b", "/a"], "/a/c", "/srv/a/c"),
            (&["/"], "/x", "/srv/x"),
            (&["/"], "/", "/srv/"),
            (&["/", "/a"], "/a/x", "/srv/a/x"),
            (&["/", "/a"], "/b", "/srv/b"),
        ];
        for (points, asked, want) in table {
            let got = mounts(points).resolve(&path(asked)).display();
            assert_eq!(got, *want, "{asked} with {points:?}");
        }
    }

    #[test]
    fn a_directory_shows_the_mount_points_below_it_once() {
        let mounts = mounts(&["/a/b/c", "/a/b/d", "/e", "/a/x"]);
        let table: &[(&str, &[&str])] = &[
            ("/", &["a", "e"]),
            ("/a", &["b", "x"]),
            ("/a/b", &["c", "d"]),
            ("/a/b/c", &[]),
            ("/e", &[]),
            ("/a/bb", &[]),
        ];
        for (dir, want) in table {
            let names: Vec<_> = mounts.names_in(&path(dir)).into_iter().collect();
            let want: Vec<_> = want.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(names, want, "{dir}");
            assert_eq!(mounts.is_fixed(&path(dir)), *dir != "/a/bb", "{dir}");
        }
    }

    #[test]
    fn mount_points_and_what_holds_them_cannot_be_tampered_with() {
        use Operation as O;
        let mounts = mounts(&["/a/m"]);
        let (point, above, inside, other) = (path("/a/m"), path("/a"), path("/a/m/x"), path("/b"));
        type Make = for<'p> fn(&'p VirtualPath, &'p VirtualPath) -> Operation<'p>;
        // (operation on the path, allowed on the mount point, allowed above it)
        let table: &[(&str, Make, bool, bool)] = &[
            ("list", |p, _| O::List(p), true, true),
            ("stat", |p, _| O::Stat(p), true, true),
            ("space", |p, _| O::Space(p), true, true),
            ("download", |p, _| O::Download(p), true, true),
            ("create", |p, _| O::CreateFile(p), false, false),
            ("overwrite", |p, _| O::OverwriteFile(p), false, false),
            ("truncate", |p, _| O::Truncate(p), false, false),
            ("mkdir", |p, _| O::CreateDir(p), false, true),
            ("remove", |p, _| O::RemoveFile(p), false, false),
            ("rmdir", |p, _| O::RemoveDir(p), false, false),
            ("rename from", |p, q| O::Rename(Renamed::Directory, p, q), false, false),
            ("rename onto", |p, q| O::Rename(Renamed::Directory, q, p), false, false),
            ("rename file onto", |p, q| O::Rename(Renamed::File, q, p), false, false),
            ("replace", |p, _| O::ReplaceByRename(p), false, false),
            ("link", |p, q| O::Symlink { target: q, link: p }, false, false),
            ("link to", |p, q| O::Symlink { target: p, link: q }, true, true),
            ("copy", |p, q| O::Copy(p, q), true, true),
            ("copy onto", |p, q| O::Copy(q, p), false, false),
            ("chmod", |p, _| O::Chmod(p), false, true),
            ("chown", |p, _| O::Chown(p), false, true),
            ("chtimes", |p, _| O::Chtimes(p), true, true),
        ];
        for (name, make, on_point, on_above) in table {
            for (target, want) in
                [(&point, *on_point), (&above, *on_above), (&inside, true), (&path("/c"), true)]
            {
                let got = mounts.protect(make(target, &other));
                assert_eq!(got.is_ok(), want, "{name} {target}");
                if let Err(error) = got {
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                }
            }
            assert!(self::mounts(&[]).protect(make(&path("/"), &other)).is_ok(), "{name}");
        }
        let hidden_home = self::mounts(&["/"]);
        assert!(hidden_home.protect(O::Chmod(&path("/"))).is_err());
        assert!(hidden_home.protect(O::Chmod(&path("/x"))).is_ok());
        assert!(hidden_home.protect(O::RemoveDir(&path("/"))).is_err());
    }

    #[test]
    fn who_pays_follows_the_folder_and_the_configuration() {
        use TrackQuota::{Always, Off, WithLimits};
        let user = |size| User { username: "u".into(), quota_size: size, ..User::default() };
        let folder = |size, files| {
            let mut folder =
                VirtualFolder { quota_size: size, quota_files: files, ..Default::default() };
            folder.folder.name = "f".into();
            folder
        };
        let (alice, shared) = (|| Some(AccountId::user("u")), || Some(AccountId::folder("f")));
        // (tracking, limit of the user, of the folder, owner, limits that hold)
        let table = [
            (Off, 5, (-1, -1), None, None),
            (Off, 5, (9, 9), None, None),
            (Always, 5, (-1, -1), alice(), Some((Some(5), None))),
            (Always, 0, (-1, -1), alice(), Some((None, None))),
            (Always, 5, (0, 0), shared(), Some((None, None))),
            (Always, 5, (9, 0), shared(), Some((Some(9), None))),
            (WithLimits, 0, (-1, -1), None, None),
            (WithLimits, 5, (-1, -1), alice(), Some((Some(5), None))),
            (WithLimits, 0, (0, 0), shared(), Some((None, None))),
            (WithLimits, 0, (9, 3), shared(), Some((Some(9), Some(3)))),
        ];
        for (track, quota, (size, files), account, want) in table {
            let owner = QuotaOwner::of_folder(&user(quota), &folder(size, files), track);
            let got = owner.as_ref().map(|owner| (owner.limits.size, owner.limits.files));
            assert_eq!(got, want, "{track:?} {quota} {size}");
            assert_eq!(owner.map(|owner| owner.account), account, "{track:?} {quota} {size}");
        }
    }
}
