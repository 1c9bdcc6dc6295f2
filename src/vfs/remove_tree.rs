//! Removing a directory with all that is in it.

use async_trait::async_trait;

use super::policy::Operation;
use super::session::Session;
use super::walk::{Step, Tree, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{EntryStream, FileKind};

/// A directory that changes while it is read may leave out some of its entries: then it
/// is gone through again, but not for ever.
const ROUNDS: usize = 8;

/// A directory as far as the account may list it.
struct AllowedTree<'s> {
    session: &'s Session,
    top: VirtualPath,
}

#[async_trait]
impl Tree for AllowedTree<'_> {
    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        let dir = VirtualPath::resolve(&self.top, dir.as_bytes());
        self.session.decide(Operation::List(&dir))?;
        self.session.mounts.list(&dir, None).await
    }
}

impl Session {
    /// Removes a file, a link, or a directory with everything below it, each object as if
    /// it were removed by itself: with its permission, its hook and its log line. The
    /// first failure ends it; what is gone by then stays gone.
    ///
    /// # Errors
    /// `PermissionDenied` also for a directory that holds a virtual folder, which is no
    /// part of it.
    pub async fn remove_tree(&self, root: &VirtualPath) -> Result<()> {
        self.origin.require_alive()?;
        if self.mounts.is_fixed(root) {
            let context = format!("{root} is or contains a virtual folder");
            return Err(Error::new(ErrorKind::PermissionDenied, context));
        }
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
        // Before anything in it is touched.
        self.decide(Operation::RemoveDir(root))?;
        for _ in 1..ROUNDS {
            match self.remove_all_in(root).await {
                Err(error) if error.kind() == ErrorKind::NotEmpty => {}
                done => return done,
            }
        }
        self.remove_all_in(root).await
    }

    async fn remove_all_in(&self, root: &VirtualPath) -> Result<()> {
        let mut walk = Walk::new(AllowedTree { session: self, top: root.clone() });
        while let Some(step) = walk.next().await? {
            self.origin.require_alive()?;
            match step {
                Step::Entered(_) => {}
                Step::Unreadable(_, error) => return Err(error),
                Step::Entries(dir, entries) => {
                    let dir = VirtualPath::resolve(root, dir.as_bytes());
                    for entry in entries {
                        self.origin.connection.touch();
                        self.remove_file(&dir.join(&entry.name)).await?;
                    }
                }
                Step::Left(dir) => {
                    self.remove_dir(&VirtualPath::resolve(root, dir.as_bytes())).await?;
                }
            }
        }
        Ok(())
    }
}
