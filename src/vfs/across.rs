//! Renaming from one mount to another.

use super::mounts::Resolved;
use super::policy::Operation;
use super::relocate::{Purpose, Relocation};
use super::session::Session;
use super::walk::{Step, StorageTree, Walk};
use crate::error::Result;
use crate::paths::VirtualPath;
use crate::storage::{FileKind, Metadata};

use actors::UsageDelta;

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
        let moving = if source.has_same_owner(target) {
            UsageDelta::default()
        } else {
            match self.measure(work).await? {
                Some(moving) => moving,
                None => return Ok(false),
            }
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
        let ledger = &self.origin.services.ledger;
        if let Some(owner) = &target.mount.quota {
            let delta = match &replaced {
                Some(replaced) => ledger.settle_gone(&owner.account, replaced).plus(moving),
                None => moving,
            };
            match lease {
                Some(lease) => drop(lease.settle(delta.bytes, delta.files)),
                None => self.origin.adjust(target, delta),
            }
        }
        let gone = UsageDelta {
            bytes: moving.bytes.saturating_neg(),
            files: moving.files.saturating_neg(),
        };
        self.origin.adjust(source, gone);
        Ok(true)
    }

    /// What goes from one owner's usage to the other's; `None` when that cannot be
    /// told, because something in it is being written: the rest of it would be counted
    /// for an owner who does not have it any more. A copy leaves such a file behind.
    async fn measure(&self, work: &Relocation) -> Result<Option<UsageDelta>> {
        let Relocation { source, found, .. } = work;
        let Some(owner) = &source.mount.quota else { return Ok(None) };
        let ledger = &self.origin.services.ledger;
        let size_of = |metadata: &Metadata| {
            let is_settled = !ledger.is_open(&owner.account, metadata);
            is_settled.then(|| super::ledger::difference(None, Some(metadata.size)))
        };
        if found.kind == FileKind::File {
            return Ok(size_of(found));
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
                    for entry in
                        entries.iter().filter(|entry| entry.metadata.kind == FileKind::File)
                    {
                        match size_of(&entry.metadata) {
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
