//! Renaming from one mount to another.

use actors::UsageDelta;

use super::effects::{Origin, to_its_end};
use super::ledger::difference;
use super::mounts::Resolved;
use super::policy::Operation;
use super::relocate::{Purpose, Relocation};
use super::session::Session;
use super::walk::{Step, StorageTree, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Entry, FileKind, Kinds, Metadata, RenameMode};

impl Session {
    /// Moves a file or a directory into another mount: at once where both are on one
    /// file system, otherwise by copying it and then clearing the source.
    ///
    /// # Errors
    /// As for copies; in addition `Conflict` for what changed while it was moved.
    pub(super) async fn rename_across(
        &self,
        from: &VirtualPath,
        to: &VirtualPath,
        kinds: Kinds,
    ) -> Result<()> {
        let work = self.examine(from, to, Purpose::Move).await?;
        // Looked up again, and from here on it must stay what it is.
        if !kinds.has(work.found.kind) {
            let context = format!("{from} may not be renamed to {to}");
            return Err(Error::new(ErrorKind::PermissionDenied, context));
        }
        if work.is_same || self.rename_at_once(&work, kinds).await? {
            // As the system does it with two names of one file: nothing.
            return Ok(());
        }
        self.relocate(work).await.map(drop)
    }

    /// False where that is not possible, and then nothing was done.
    async fn rename_at_once(&self, work: &Relocation, kinds: Kinds) -> Result<bool> {
        let Relocation { to, source, target, found, .. } = work;
        if !is_on_one_device(found, target).await {
            return Ok(false);
        }
        let changes_owner = !source.has_same_owner(target);
        // A tree can take long, and nobody waits for that.
        let measured = match found.kind {
            FileKind::Directory if changes_owner => match self.measure_tree(work).await? {
                Some(tree) => Some(tree),
                None => return Ok(false),
            },
            _ if changes_owner => None,
            _ => Some(UsageDelta::default()),
        };
        let how = RenameMode { replace: self.may(Operation::ReplaceByRename(to)), kinds };
        let (origin, work) = (self.origin.clone(), work.clone());
        to_its_end(async move { rename_counted(&origin, &work, measured, how).await }).await
    }

    /// As [`measure_file`] for all files of a directory.
    async fn measure_tree(&self, work: &Relocation) -> Result<Option<UsageDelta>> {
        let source = &work.source;
        let storage = &source.mount.storage;
        let tree = StorageTree { storage: storage.clone(), top: source.path.clone() };
        let mut walk = Walk::new(tree);
        let mut sum = UsageDelta::default();
        while let Some(step) = walk.next().await? {
            self.origin.require_alive()?;
            match step {
                Step::Entered(_) | Step::Left(_) => {}
                Step::Unreadable(_, error) => return Err(error),
                Step::Entries(_, entries) => {
                    let is_file = |entry: &&Entry| entry.metadata.kind == FileKind::File;
                    for entry in entries.iter().filter(is_file) {
                        match measure_file(&self.origin, source, &entry.metadata) {
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

/// Renames and counts what changes its owner: as `measured` before, or the file as it
/// is now.
async fn rename_counted(
    origin: &Origin,
    work: &Relocation,
    measured: Option<UsageDelta>,
    how: RenameMode,
) -> Result<bool> {
    let Relocation { source, target, .. } = work;
    let turns = origin.services.ledger.turns(&[source, target]).await;
    let moving = match measured {
        Some(measured) => measured,
        None => {
            let found = source.mount.storage.lstat(&source.path).await?;
            match measure_file(origin, source, &found) {
                Some(file) => file,
                None => return Ok(false),
            }
        }
    };
    let lease = match &target.mount.quota {
        Some(owner) if !moving.is_zero() => {
            let replaced = target.mount.storage.lstat(&target.path).await;
            // Instead of another file there is none more.
            let is_file = replaced.is_ok_and(|replaced| replaced.kind == FileKind::File);
            let files = moving.files.unsigned_abs().saturating_sub(u64::from(is_file));
            let bytes = moving.bytes.unsigned_abs();
            Some(origin.reserve_room(owner, bytes, files).await?)
        }
        Some(_) | None => None,
    };
    let storage = &source.mount.storage;
    let renamed = storage.rename_into(&source.path, &*target.mount.storage, &target.path, how);
    let Some(replaced) = renamed.await? else { return Ok(false) };
    if let Some(replaced) = &replaced {
        origin.settle_gone(target, replaced);
    }
    if let Some(lease) = lease {
        drop(lease.settle(moving.bytes, moving.files));
    }
    let gone =
        UsageDelta { bytes: moving.bytes.saturating_neg(), files: moving.files.saturating_neg() };
    origin.adjust(source, gone);
    drop(turns);
    Ok(true)
}

/// What goes from one owner's usage to the other's; `None` for a file that is being
/// written: the rest of it would be counted for an owner who does not have it any
/// more. Of files that nobody counted so far that is not known.
fn measure_file(origin: &Origin, source: &Resolved, found: &Metadata) -> Option<UsageDelta> {
    let is_file = found.kind == FileKind::File;
    (is_file && !origin.is_open(source, found)).then(|| difference(None, Some(found.size)))
}

async fn is_on_one_device(found: &Metadata, target: &Resolved) -> bool {
    let parent = target.mount.storage.stat(&target.path.parent()).await;
    let device = |metadata: &Metadata| metadata.id.map(|id| id.device);
    parent.is_ok_and(|parent| device(&parent).is_some() && device(&parent) == device(found))
}
