//! Measuring what an account stores, by walking through all of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::{AccountId, Usage};
use tokio_util::sync::CancellationToken;

use super::options::VfsServices;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Folder, User};
use crate::paths::StoragePath;
use crate::storage::local::LocalStorage;
use crate::storage::{Entry, EntryStream, FileKind, Storage};

/// How far a scan is; for whoever watches it.
#[derive(Debug, Default)]
pub struct ScanProgress {
    files: AtomicU64,
    bytes: AtomicU64,
    directories: AtomicU64,
}

impl ScanProgress {
    /// Regular files counted so far.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Directories entered so far.
    pub fn directories(&self) -> u64 {
        self.directories.load(Ordering::Relaxed)
    }
}

/// Counts the regular files below the user's home; links are not followed. A
/// home that does not exist yet stores nothing.
///
/// A file that is being written counts with what its account is charged for
/// already, since the rest follows when the upload ends. Temporary files of
/// uploads do not count, and those that a killed server left behind, last
/// modified before `started_unix_secs`, are removed.
///
/// Holds one open directory and at most one batch of names per level.
/// `cancel` ends it with `Aborted`.
pub async fn scan_user(
    user: &User,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    let account = AccountId::user(user.username.as_str());
    scan_directory(&user.home_dir, &account, services, started_unix_secs, progress, cancel).await
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
    let path = &folder.mapped_path;
    scan_directory(path, &account, services, started_unix_secs, progress, cancel).await
}

async fn scan_directory(
    path: &str,
    account: &AccountId,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    let storage = match LocalStorage::open_offloaded(PathBuf::from(path), None, None).await {
        Ok(storage) => storage,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Usage::default()),
        Err(error) => return Err(error),
    };
    scan_storage(&storage, account, services, started_unix_secs, progress, cancel).await
}

/// A directory that the walk is in.
struct Level {
    path: StoragePath,
    entries: Box<dyn EntryStream>,
    /// Of the last batch, not entered yet.
    directories: Vec<Vec<u8>>,
}

async fn scan_storage(
    storage: &dyn Storage,
    account: &AccountId,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    const BATCH: usize = 1000;
    let mut usage = Usage::default();
    let mut levels: Vec<Level> = Vec::new();
    let mut next = Some(StoragePath::root());
    loop {
        if cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Aborted, "the quota scan was cancelled"));
        }
        if let Some(path) = next.take() {
            match storage.list(&path).await {
                Ok(entries) => {
                    levels.push(Level { path, entries, directories: Vec::new() });
                    progress.directories.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if is_passing(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(Level { path, entries, directories }) = levels.last_mut() else {
            return Ok(usage);
        };
        if let Some(name) = directories.pop() {
            next = Some(path.join(&name));
            continue;
        }
        let batch = entries.next_batch(BATCH).await?;
        if batch.is_empty() {
            levels.pop();
            continue;
        }
        for Entry { name, metadata } in batch {
            match metadata.kind {
                FileKind::Directory => directories.push(name),
                FileKind::File if storage.is_temporary(&name) => {
                    match storage.remove_abandoned(&path.join(&name), started_unix_secs).await {
                        Ok(_) => {}
                        Err(error) if is_passing(error.kind()) => {}
                        Err(error) => return Err(error),
                    }
                }
                FileKind::File => {
                    if let Some(size) = services.ledger.counted(account, &metadata) {
                        usage.files += 1;
                        usage.size = usage.size.saturating_add(size);
                    }
                }
                FileKind::Symlink | FileKind::Other => {}
            }
        }
        progress.files.store(usage.files, Ordering::Relaxed);
        progress.bytes.store(usage.size, Ordering::Relaxed);
    }
}

/// What a walk meets in a tree that is in use: gone, replaced, or closed to us
/// since it was listed; also a path that has become too long to name.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}
