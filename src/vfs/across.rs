//! Renaming from one mount to another.

use actors::UsageDelta;

use super::ledger::difference;
use super::mounts::Resolved;
use super::policy::Operation;
use super::relocate::{Purpose, Relocation};
use super::session::Session;
use super::walk::{Step, StorageTree, Walk};
use crate::error::Result;
use crate::paths::VirtualPath;
use crate::storage::{Entry, FileKind, Metadata};

impl Session {
    /// Moves a file or a directory into another mount: at once where both are on one
    /// file system, otherwise by copying it and then clearing the source.
    ///
    /// # Errors
    /// As for copies; in addition `Conflict` for what changed while it was moved.
    pub(super) async fn rename_across(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let work = self.examine(from, to).await?;
        if work.is_same || self.rename_at_once(&work).await? {
            // As the system does it with two names of one file: nothing.
            return Ok(());
        }
        self.relocate(work, Purpose::Move).await.map(drop)
    }

    /// False where that is not possible, and then nothing was done.
    async fn rename_at_once(&self, work: &Relocation) -> Result<bool> {
        let Relocation { to, source, target, found, .. } = work;
        if !is_on_one_device(found, target).await {
            return Ok(false);
        }
        let ledger = &self.origin.services.ledger;
        let changes_owner = !source.has_same_owner(target);
        // A tree can take long, and nobody waits for that.
        let tree = if changes_owner && found.kind == FileKind::Directory {
            match self.measure_tree(work).await? {
                Some(tree) => tree,
                None => return Ok(false),
            }
        } else {
            UsageDelta::default()
        };
        let change = ledger.change_both(source.account(), target.account()).await;
        let moving = if changes_owner && found.kind == FileKind::File {
            let found = source.mount.storage.lstat(&source.path).await?;
            match self.measure_file(source, &found) {
                Some(file) => file,
                None => return Ok(false),
            }
        } else {
            tree
        };
        let lease = match &target.mount.quota {
            Some(owner) if !moving.is_zero() => {
                let (bytes, files) = (moving.bytes.unsigned_abs(), moving.files.unsigned_abs());
                Some(self.reserve_room(owner, bytes, files).await?)
            }
            Some(_) | None => None,
        };
        let may_replace = self.may(Operation::ReplaceByRename(to));
        let renamed = source.mount.storage.rename_into(
            &source.path,
            &*target.mount.storage,
            &target.path,
            may_replace,
        );
        let Some(replaced) = renamed.await? else { return Ok(false) };
        if let Some(replaced) = &replaced {
            self.origin.settle_gone(target, replaced);
        }
        if let Some(lease) = lease {
            drop(lease.settle(moving.bytes, moving.files));
        }
        let gone = UsageDelta {
            bytes: moving.bytes.saturating_neg(),
            files: moving.files.saturating_neg(),
        };
        self.origin.adjust(source, gone);
        drop(change);
        Ok(true)
    }

    /// What goes from one owner's usage to the other's; `None` for a file that may be
    /// being written: the rest of it would be counted for an owner who does not have
    /// it any more.
    fn measure_file(&self, source: &Resolved, found: &Metadata) -> Option<UsageDelta> {
        let is_known = source.account().is_some() && found.kind == FileKind::File;
        (is_known && !self.origin.is_open(source, found))
            .then(|| difference(None, Some(found.size)))
    }

    /// As [`Session::measure_file`] for all files of a directory.
    async fn measure_tree(&self, work: &Relocation) -> Result<Option<UsageDelta>> {
        let source = &work.source;
        if source.account().is_none() {
            return Ok(None);
        }
        let storage = &source.mount.storage;
        let tree = StorageTree { storage: storage.clone(), top: source.path.clone() };
        let mut walk = Walk::new(tree);
        let mut sum = UsageDelta::default();
        while let Some(step) = walk.next().await? {
            self.origin.require_alive()?;
            match step {
                Step::Entered(_) | Step::Left(_) => {}
                Step::Unreadable(error) => return Err(error),
                Step::Entries(_, entries) => {
                    let is_file = |entry: &&Entry| entry.metadata.kind == FileKind::File;
                    for entry in entries.iter().filter(is_file) {
                        match self.measure_file(source, &entry.metadata) {
                            Some(size) if !storage.is_temporary(&entry.name) => {
                                sum = sum.plus(size);
                            }
                            Some(_) | None => return Ok(None),
                        }
                    }
                }
            }
        }
        Ok(Some(sum))
    }
}

async fn is_on_one_device(found: &Metadata, target: &Resolved) -> bool {
    let parent = target.mount.storage.stat(&target.path.parent()).await;
    let device = |metadata: &Metadata| metadata.id.map(|id| id.device);
    parent.is_ok_and(|parent| device(&parent).is_some() && device(&parent) == device(found))
}
