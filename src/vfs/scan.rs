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
use crate::storage::{EntryStream, FileKind, Storage};

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
/// Holds one open directory per level and one batch of entries in memory.
/// `cancel` ends it with `Aborted`.
pub async fn scan_user(
    user: &User,
    services: &VfsServices,
    started_unix_secs: i64,
    progress: &ScanProgress,
    cancel: &CancellationToken,
) -> Result<Usage> {
    let account = AccountId::user(user.username.as_str());
    let home = PathBuf::from(&user.home_dir);
    let storage = match LocalStorage::open_offloaded(home, None, None).await {
        Ok(storage) => storage,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Usage::default()),
        Err(error) => return Err(error),
    };
    scan_storage(&storage, &account, services, started_unix_secs, progress, cancel).await
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
    let path = PathBuf::from(&folder.mapped_path);
    let storage = match LocalStorage::open_offloaded(path, None, None).await {
        Ok(storage) => storage,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Usage::default()),
        Err(error) => return Err(error),
    };
    scan_storage(&storage, &account, services, started_unix_secs, progress, cancel).await
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
    /// No path that the system takes is deeper.
    const MAX_DEPTH: usize = 2048;
    let mut usage = Usage::default();
    let root = StoragePath::root();
    let mut open: Vec<(StoragePath, Box<dyn EntryStream>)> =
        vec![(root.clone(), storage.list(&root).await?)];
    let mut found: Vec<(StoragePath, crate::storage::Metadata)> = Vec::new();
    progress.directories.fetch_add(1, Ordering::Relaxed);
    loop {
        if cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Aborted, "the quota scan was cancelled"));
        }
        // Directories of the last batch first, so that what waits stays small.
        if let Some((path, metadata)) = found.pop() {
            if metadata.kind == FileKind::Directory && open.len() < MAX_DEPTH {
                match storage.list(&path).await {
                    Ok(entries) => {
                        open.push((path, entries));
                        progress.directories.fetch_add(1, Ordering::Relaxed);
                    }
                    // Gone, replaced, or closed to us since it was listed.
                    Err(error) if is_passing(error.kind()) => {}
                    Err(error) => return Err(error),
                }
            }
            continue;
        }
        let Some((dir, entries)) = open.last_mut() else { return Ok(usage) };
        let batch = entries.next_batch(BATCH).await?;
        if batch.is_empty() {
            open.pop();
            continue;
        }
        for entry in batch {
            let path = dir.join(&entry.name);
            match entry.metadata.kind {
                FileKind::Directory => found.push((path, entry.metadata)),
                FileKind::File if storage.is_temporary(&entry.name) => {
                    // Counted if it is a file of the user's with an unlucky name.
                    match storage.remove_abandoned(&path, started_unix_secs).await {
                        Ok(_) => {}
                        Err(error) if is_passing(error.kind()) => {}
                        Err(error) => return Err(error),
                    }
                }
                FileKind::File => {
                    if let Some(size) = services.ledger.counted(account, &entry.metadata) {
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

/// What a tree that is in use does to a walk.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}
