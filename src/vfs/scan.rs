//! Measuring what an account stores, by walking through all of it.

use std::path::PathBuf;
use std::sync::Arc;

use actors::{AccountId, ScanProgress, Usage};
use tokio_util::sync::CancellationToken;

use super::mounts::is_private;
use super::options::VfsServices;
use super::walk::{Step, StorageTree, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Folder, User};
use crate::paths::StoragePath;
use crate::storage::local::LocalStorage;
use crate::storage::{Entry, FileKind, Metadata, Storage};

/// What a scan needs besides what is scanned.
struct Scanning<'s> {
    account: AccountId,
    services: &'s VfsServices,
    started_unix_secs: i64,
    progress: &'s ScanProgress,
    cancel: &'s CancellationToken,
}

/// Counts the regular files below the user's home and in its private folders; links
/// are not followed. A home or folder that does not exist yet stores nothing, and a
/// private folder that lies inside the home, or in another one, counts once. The home
/// counts as it is on disk, also what is hidden beneath a mount point.
///
/// A file that is being written counts with what its account is charged for
/// already, since the rest follows when the upload ends. Temporary files of
/// uploads do not count, and those that a killed server left behind, last
/// modified before `started_unix_secs`, are removed.
///
/// Memory and open directories are bounded, see [`Walk`]. `cancel` ends it with
/// `Aborted`, and what cannot be read with its error: there is no result then.
pub async fn scan_user(
    user: &User,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    let account = AccountId::user(user.username.as_str());
    let scanning = Scanning { account, services, started_unix_secs, progress, cancel };
    let mut usage = Usage::default();
    for directory in own_directories(user).await {
        scanning.directory(directory, &mut usage).await?;
    }
    Ok(usage)
}

/// As [`scan_user`], for a folder whoever has it mounted.
pub async fn scan_folder(
    folder: &Folder,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    let account = AccountId::folder(folder.name.as_str());
    let scanning = Scanning { account, services, started_unix_secs, progress, cancel };
    let mut usage = Usage::default();
    scanning.directory(PathBuf::from(&folder.mapped_path), &mut usage).await?;
    Ok(usage)
}

/// The home and the private folders.
pub(super) fn directories_of(user: &User) -> impl Iterator<Item = &str> {
    let private = user.virtual_folders.iter().filter(|folder| is_private(folder));
    let folders = private.map(|folder| folder.folder.mapped_path.as_str());
    std::iter::once(user.home_dir.as_str()).chain(folders)
}

/// The same, as far as they are not inside one another.
async fn own_directories(user: &User) -> Vec<PathBuf> {
    let all: Vec<_> = directories_of(user).map(PathBuf::from).collect();
    if all.len() < 2 {
        return all;
    }
    let given = all.clone();
    // Two ways to one directory shall be seen as such.
    let work = move || {
        let real = all.into_iter().map(|path| path.canonicalize().unwrap_or(path));
        outermost(real.collect())
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| outermost(given))
}

/// Without those that are inside another one, or there twice.
fn outermost(mut directories: Vec<PathBuf>) -> Vec<PathBuf> {
    // Whatever is inside a directory follows it in this order.
    directories.sort();
    let mut kept: Vec<PathBuf> = Vec::with_capacity(directories.len());
    for directory in directories {
        if kept.last().is_none_or(|outer| !directory.starts_with(outer)) {
            kept.push(directory);
        }
    }
    kept
}

impl Scanning<'_> {
    /// Adds what is in the directory to `usage`.
    async fn directory(&self, path: PathBuf, usage: &mut Usage) -> Result<()> {
        let storage = match LocalStorage::open_offloaded(path, None, None).await {
            Ok(storage) => Arc::new(storage),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let top = StoragePath::root();
        let mut walk = Walk::new(StorageTree { storage: storage.clone(), top });
        while let Some(step) = walk.next().await? {
            if self.cancel.is_cancelled() {
                return Err(Error::new(ErrorKind::Aborted, "the quota scan was cancelled"));
            }
            match step {
                Step::Entered(_) => {
                    self.progress.entered_directory();
                }
                Step::Unreadable(dir, error) => require_gone(&*storage, &dir, error).await?,
                Step::Left(_) => {}
                Step::Entries(dir, entries) => {
                    for entry in entries {
                        self.entry(&*storage, &dir, &entry, usage).await?;
                    }
                    self.progress.counted(usage.files, usage.size);
                }
            }
        }
        Ok(())
    }

    async fn entry(
        &self,
        storage: &dyn Storage,
        dir: &StoragePath,
        Entry { name, metadata }: &Entry,
        usage: &mut Usage,
    ) -> Result<()> {
        match metadata.kind {
            FileKind::File if storage.is_temporary(name) => {
                match storage.remove_abandoned(&dir.join(name), self.started_unix_secs).await {
                    Err(error) if !is_passing(error.kind()) => return Err(error),
                    Ok(_) | Err(_) => {}
                }
            }
            // Its directory may be read, but not entered.
            FileKind::File if metadata.id.is_none() => {
                let path = dir.join(name);
                match storage.lstat(&path).await {
                    Ok(found) if found.kind == FileKind::File => self.file(&found, usage),
                    Ok(_) => {}
                    Err(error) => require_gone(storage, &path, error).await?,
                }
            }
            FileKind::File => self.file(metadata, usage),
            FileKind::Directory | FileKind::Symlink | FileKind::Other => {}
        }
        Ok(())
    }

    fn file(&self, metadata: &Metadata, usage: &mut Usage) {
        if let Some(size) = self.services.ledger.counted(&self.account, metadata) {
            usage.files += 1;
            usage.size = usage.size.saturating_add(size);
        }
    }
}

/// What is not there any more, or has become a link, stores nothing. Whatever else cannot
/// be read, such as a directory that is closed to us or has a path too long to be named,
/// fails the scan: left out, it would be a way around the quota.
async fn require_gone(storage: &dyn Storage, path: &StoragePath, error: Error) -> Result<()> {
    if is_gone(error.kind()) {
        return Ok(());
    }
    match storage.lstat(path).await {
        Ok(found) if matches!(found.kind, FileKind::Symlink | FileKind::Other) => Ok(()),
        Err(now) if is_gone(now.kind()) => Ok(()),
        Ok(_) | Err(_) => Err(error),
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What keeps an abandoned upload from being removed, and nothing else.
fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidPath, PermissionDenied};
    is_gone(kind) || matches!(kind, PermissionDenied | InvalidPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_inside_another_is_not_scanned_twice() {
        let table: &[(&[&str], &[&str])] = &[
            (&["/home"], &["/home"]),
            (&["/home", "/srv"], &["/home", "/srv"]),
            (&["/home", "/home/private"], &["/home"]),
            (&["/srv/a/home", "/srv/a", "/srv/ab", "/srv/a-b"], &["/srv/a", "/srv/a-b", "/srv/ab"]),
            (&["/home", "/home", "/homes"], &["/home", "/homes"]),
        ];
        for (given, want) in table {
            let got = outermost(given.iter().map(PathBuf::from).collect());
            assert_eq!(got, want.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }
}
