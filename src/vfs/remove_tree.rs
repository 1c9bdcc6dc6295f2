//! Removing a directory with all that is in it.

use super::listing::Listing;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::FileKind;

/// Entries asked from a directory at a time.
const BATCH: usize = 256;

/// A directory on the way to being empty.
struct Level {
    path: VirtualPath,
    listing: Listing,
    /// Of the last batch, not entered yet.
    directories: Vec<Vec<u8>>,
    has_removed: bool,
}

impl Session {
    /// Removes a file, a link, or a directory with everything below it, each object as if
    /// it were removed by itself: with its permission, its hook and its log line. The
    /// first failure ends it; what is gone by then stays gone.
    ///
    /// Holds one open directory and at most one batch of names per level.
    pub async fn remove_tree(&self, root: &VirtualPath) -> Result<()> {
        self.require_one_storage_below(root)?;
        match self.remove_file(root).await {
            Err(error) if error.kind() == ErrorKind::IsADirectory => {}
            // Who may remove directories alone.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                match self.lstat(root).await {
                    Ok(found) if found.kind == FileKind::Directory => {}
                    _ => return Err(error),
                }
            }
            done => return done,
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut entering = Some(root.clone());
        loop {
            if let Some(path) = entering.take() {
                let listing = self.list(&path).await?;
                let directories = Vec::new();
                levels.push(Level { path, listing, directories, has_removed: false });
            }
            let Some(level) = levels.last_mut() else { return Ok(()) };
            if let Some(name) = level.directories.pop() {
                level.has_removed = true;
                entering = Some(level.path.join(&name));
                continue;
            }
            let batch = level.listing.next_batch(BATCH).await?;
            if batch.is_empty() {
                self.leave(&mut levels).await?;
                continue;
            }
            for entry in batch {
                match entry.metadata.kind {
                    FileKind::Directory => level.directories.push(entry.name),
                    FileKind::File | FileKind::Symlink | FileKind::Other => {
                        self.remove_file(&level.path.join(&entry.name)).await?;
                        level.has_removed = true;
                    }
                }
            }
        }
    }

    /// Removes the innermost directory, or lists it again: a directory that changes
    /// while it is read may leave out some of its entries.
    async fn leave(&self, levels: &mut Vec<Level>) -> Result<()> {
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match self.remove_dir(&level.path).await {
            Ok(()) => {
                levels.pop();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotEmpty && level.has_removed => {
                level.listing = self.list(&level.path).await?;
                level.has_removed = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A tree is removed only within one storage: what is mounted in it is not a part of
    /// it, and a mount itself cannot be removed.
    fn require_one_storage_below(&self, root: &VirtualPath) -> Result<()> {
        let meets = |folder: &VirtualPath| folder.starts_with(root);
        let folders = &self.user().virtual_folders;
        match folders.iter().find(|folder| meets(&VirtualPath::new(&folder.virtual_path))) {
            None => Ok(()),
            Some(folder) => Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("{root} contains the virtual folder {}", folder.virtual_path),
            )),
        }
    }
}
