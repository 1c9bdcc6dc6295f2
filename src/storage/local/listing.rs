//! A directory read in batches.

use async_trait::async_trait;
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, statat};
use rustix::io::Errno;

use super::errno::fail;
use super::{attributes, offload};
use crate::error::{Error, Result};
use crate::paths::StoragePath;
use crate::storage::{Entry, EntryStream, FileKind, FileTime, Metadata};

/// Holds the directory open and one buffer of the system's entries, so memory
/// does not grow with the directory.
#[derive(Debug)]
pub(super) struct Listing {
    /// Away while a batch is read on the blocking pool.
    directory: Option<Dir>,
    path: StoragePath,
}

impl Listing {
    pub(super) fn new(directory: Dir, path: StoragePath) -> Self {
        Self { directory: Some(directory), path }
    }
}

#[async_trait]
impl EntryStream for Listing {
    async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>> {
        // Absent after the end, and after a batch whose caller went away.
        let Some(mut directory) = self.directory.take() else {
            return Ok(Vec::new());
        };
        let path = self.path.clone();
        let (directory, batch) = offload(move || {
            let batch =
                read_batch(&mut directory, max).map_err(|error| fail("list", &path, error))?;
            Ok::<_, Error>((directory, batch))
        })
        .await?;
        if !batch.is_empty() {
            self.directory = Some(directory);
        }
        Ok(batch)
    }
}

fn read_batch(directory: &mut Dir, max: usize) -> Result<Vec<Entry>, Errno> {
    const MAX_RESERVED: usize = 1024;
    let mut batch = Vec::with_capacity(max.min(MAX_RESERVED));
    while batch.len() < max.max(1) {
        let Some(found) = directory.read() else { break };
        let found = found?;
        let name = found.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let metadata = match statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => attributes::metadata(&stat),
            // Removed since the system listed it.
            Err(Errno::NOENT) => continue,
            // We may read the directory but not enter it, or the entry is broken:
            // its name is still there.
            Err(_) => bare(&found),
        };
        batch.push(Entry { name: name.to_bytes().to_vec(), metadata });
    }
    Ok(batch)
}

fn bare(found: &DirEntry) -> Metadata {
    let never = FileTime::default();
    Metadata {
        kind: match found.file_type() {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Other,
        },
        size: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        links: 1,
        modified: never,
        accessed: never,
        id: None,
    }
}
