//! Copying files and trees within the server: for copies, and for renames from one
//! storage to another, which copy first and then clear the source.
//!
//! * The copy is listed as a transfer of its connection, and ends with it.
//! * It is complete, or it is not there: what was copied before an error, or before
//!   the client left, is removed again.
//! * A source is removed only when all of it is copied, file by file, and only what
//!   is still what was copied. What cannot be removed stays where it was, and its
//!   copy is removed, so that nothing is stored twice.
//! * Symbolic links, pipes and devices are left out, and so are uploads in progress.
//!   A move leaves them at the source, with the directories they are in.

use std::sync::Arc;

use actors::{
    AbortReason, BoxError, Direction, Lease, Meter, Transfer, TransferEnd, TransferSpec, Want,
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::effects::{Origin, denied, end_error, refused, to_its_end};
use super::ledger::difference;
use super::mounts::{Mounts, QuotaOwner, Resolved};
use super::policy::Operation;
use super::session::Session;
use super::walk::{Step, StorageTree, VirtualTree, Walk};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{
    Atomicity, FileKind, FileTime, Metadata, ObjectId, Partial, ReadHandle, SetAttributes,
    WriteHandle, WriteMode,
};

/// What happens to the source in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Copy,
    Move,
}

/// Something to be copied or moved, and where to, after [`Session::examine`].
#[derive(Debug, Clone)]
pub(super) struct Relocation {
    pub(super) from: VirtualPath,
    pub(super) to: VirtualPath,
    pub(super) source: Resolved,
    pub(super) target: Resolved,
    /// What the source is: a file or a directory.
    pub(super) found: Metadata,
    pub(super) purpose: Purpose,
    /// The file, or with a move the link, that will be replaced.
    replaces: Option<Metadata>,
    /// Both names lead to one file.
    pub(super) is_same: bool,
}

impl Relocation {
    fn source_at(&self, relative: &StoragePath) -> VirtualPath {
        VirtualPath::resolve(&self.from, relative.as_bytes())
    }

    fn target_at(&self, relative: &StoragePath) -> VirtualPath {
        VirtualPath::resolve(&self.to, relative.as_bytes())
    }

    fn target_place(&self, relative: &StoragePath) -> Resolved {
        let path = self.target.path.below(relative);
        Resolved { mount: self.target.mount.clone(), path }
    }
}

impl Session {
    /// Looks at what is to be copied or moved and at what is in its way: a copy is written
    /// through a link, as an upload is; a move takes its place, as a rename does.
    ///
    /// # Errors
    /// `IsADirectory` and `NotADirectory` when one cannot take the other's place,
    /// `Unsupported` for links and special files, `PermissionDenied` when a file is
    /// there that may not be replaced.
    pub(super) async fn examine(
        &self,
        from: &VirtualPath,
        to: &VirtualPath,
        purpose: Purpose,
    ) -> Result<Relocation> {
        let (source, target) = (self.mounts.resolve(from), self.mounts.resolve(to));
        let found = if self.mounts.is_fixed(from) {
            self.mounts.fixed_metadata(from).await
        } else {
            source.mount.storage.lstat(&source.path).await?
        };
        let existing = match target.mount.storage.lstat(&target.path).await {
            Ok(link) if link.kind == FileKind::Symlink && purpose == Purpose::Copy => {
                Some(target.mount.storage.stat(&target.path).await.unwrap_or(link))
            }
            Ok(existing) => Some(existing),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let fail = |kind, why: &str| Err(Error::new(kind, format!("{from} to {to}: {why}")));
        match (found.kind, existing.as_ref().map(|existing| existing.kind)) {
            (FileKind::Symlink | FileKind::Other, _) => {
                return fail(
                    ErrorKind::Unsupported,
                    "links and special files stay in their storage",
                );
            }
            (_, Some(FileKind::Directory)) => {
                return fail(ErrorKind::IsADirectory, "the target is a directory");
            }
            (FileKind::Directory, Some(_)) => {
                return fail(ErrorKind::NotADirectory, "the target is a file");
            }
            (FileKind::Directory, None) if to.starts_with(from) => return fail_into_itself(from),
            (FileKind::Directory | FileKind::File, _) => {}
        }
        let is_same =
            found.id.is_some() && existing.as_ref().map(|other| other.id) == Some(found.id);
        if existing.is_some() && !is_same {
            self.decide(Operation::ReplaceByRename(to))?;
        }
        let (from, to) = (from.clone(), to.clone());
        let replaces = existing;
        Ok(Relocation { from, to, source, target, found, purpose, replaces, is_same })
    }

    /// Copies, and for a move clears the source; gives the copied bytes. Decides
    /// about each object of a copied tree, since there may be rules inside it.
    pub(super) async fn relocate(&self, work: Relocation) -> Result<u64> {
        let meter = Meter::new();
        let spec = TransferSpec {
            direction: Direction::Upload,
            virtual_path: work.to.to_string(),
            meter: meter.clone(),
        };
        let connection = &self.origin.connection;
        let transfer =
            connection.begin_transfer(&self.origin.session_id, spec).await.map_err(refused)?;
        let is_directory = work.found.kind == FileKind::Directory;
        let end = RelocationEnd {
            origin: self.origin.clone(),
            mounts: self.mounts.clone(),
            work: work.clone(),
            is_made: false,
            keeps_times: true,
            failure: None,
        };
        let session = Session { origin: self.origin.clone(), mounts: self.mounts.clone() };
        let caller_has_left = CancellationToken::new();
        let _leaving = caller_has_left.clone().drop_guard();
        // Not simply dropped with the caller: what the disk is asked for at that moment
        // happens all the same, and must have happened before it is undone.
        to_its_end(async move {
            let mut copying = Copying {
                session: &session,
                work: &work,
                meter,
                caller_has_left,
                ending: Some((transfer, Box::new(end))),
            };
            let copied = if is_directory {
                copying.tree().await
            } else {
                copying.file(&StoragePath::root(), &work.found, work.replaces.as_ref()).await
            };
            copying.finish(copied.err()).await?;
            Ok(copying.meter.bytes())
        })
        .await
    }
}

impl Origin {
    /// Reserves room for what will be stored, all of it at once.
    pub(super) async fn reserve_room(
        &self,
        owner: &QuotaOwner,
        bytes: u64,
        files: u64,
    ) -> Result<Lease> {
        let lease = self.reserve(owner, Want { bytes, files }).await?;
        lease.take_or_renew(bytes).await.map_err(denied)?;
        Ok(lease)
    }
}

fn fail_into_itself<T>(from: &VirtualPath) -> Result<T> {
    Err(Error::invalid(format!("{from} cannot be put into itself")))
}

/// The first half: everything is copied.
struct Copying<'s> {
    session: &'s Session,
    work: &'s Relocation,
    meter: Meter,
    caller_has_left: CancellationToken,
    /// Taken by the end.
    ending: Option<(Transfer, Box<RelocationEnd>)>,
}

impl Copying<'_> {
    /// Fails once nobody wants the copy any more. Otherwise it goes on, which is activity
    /// also where there are no bytes to move.
    fn require_wanted(&self) -> Result<()> {
        if self.caller_has_left.is_cancelled() {
            return Err(Error::new(ErrorKind::Aborted, "whoever asked for the copy has left"));
        }
        self.session.origin.require_alive()?;
        self.meter.touch();
        Ok(())
    }

    async fn tree(&mut self) -> Result<()> {
        let Self { session, work, .. } = *self;
        let top = work.from.clone();
        let mut walk = Walk::new(VirtualTree { mounts: session.mounts.clone(), top });
        // Of the directories that the walk is in.
        let mut entered: Vec<Metadata> = Vec::new();
        let mut made: Option<ObjectId> = None;
        while let Some(step) = walk.next().await? {
            self.require_wanted()?;
            match step {
                Step::Unreadable(_, error) => return Err(error),
                Step::Entered(dir) => {
                    let found = self.directory(&dir).await?;
                    let place = work.target_place(&dir);
                    if dir.is_root() {
                        self.is_made();
                        made = place.mount.storage.lstat(&place.path).await?.id;
                    } else if made.is_some() && found.id == made {
                        // Two mounts of one directory can hide that.
                        return fail_into_itself(&work.from);
                    }
                    entered.push(found);
                }
                Step::Entries(dir, entries) => {
                    for entry in entries {
                        let at = dir.join(&entry.name);
                        let storage = session.mounts.resolve(&work.source_at(&at)).mount;
                        if entry.metadata.kind == FileKind::File
                            && !storage.storage.is_temporary(&entry.name)
                        {
                            self.require_wanted()?;
                            self.file(&at, &entry.metadata, None).await?;
                        }
                    }
                }
                Step::Left(dir) => {
                    // Only now: adding to a directory changes it, and its mode may
                    // forbid that.
                    if let Some(found) = entered.pop() {
                        let place = work.target_place(&dir);
                        let attributes = SetAttributes {
                            mode: Some(found.mode & 0o777),
                            times: Some((found.accessed, found.modified)),
                            ..SetAttributes::default()
                        };
                        let set = place.mount.storage.set_attributes(&place.path, attributes);
                        // As good as the storage can.
                        drop(set.await);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes one directory; what its source is like.
    async fn directory(&self, dir: &StoragePath) -> Result<Metadata> {
        let Self { session, work, .. } = self;
        let from = work.source_at(dir);
        self.decide(&from, &work.target_at(dir))?;
        let found = if session.mounts.is_fixed(&from) {
            session.mounts.fixed_metadata(&from).await
        } else {
            let source = session.mounts.resolve(&from);
            source.mount.storage.lstat(&source.path).await?
        };
        let place = work.target_place(dir);
        let mode = found.mode & 0o777 | 0o700;
        place.mount.storage.create_dir(&place.path, mode, session.owner_of_new()).await?;
        Ok(found)
    }

    /// Copies one file, which is there under its name only when it is complete.
    async fn file(
        &mut self,
        at: &StoragePath,
        found: &Metadata,
        replaces: Option<&Metadata>,
    ) -> Result<()> {
        let Self { session, work, .. } = *self;
        let from = work.source_at(at);
        self.decide(&from, &work.target_at(at))?;
        let (source, target) = (session.mounts.resolve(&from), work.target_place(at));
        if work.purpose == Purpose::Move && session.origin.is_open(&source, found) {
            if !at.is_root() {
                // Its upload would go on in a file that is gone.
                return Ok(());
            }
            let context = format!("{from}: cannot be moved while it is written");
            return Err(Error::new(ErrorKind::Conflict, context));
        }
        let reader = source.mount.storage.open_read(&source.path).await?;
        let size = reader.metadata().await?.size;
        if work.purpose == Purpose::Copy {
            // What is moved was there before, however large it is.
            session.origin.limits.check_file_size(size)?;
        }
        // What moves within one quota needs no room.
        let pays = work.purpose == Purpose::Copy || !work.source.has_same_owner(&target);
        let lease = match &target.mount.quota {
            Some(owner) if pays => {
                let is_new = replaces.is_none_or(|replaced| replaced.kind != FileKind::File);
                let files = u64::from(is_new);
                Some(session.origin.reserve_room(owner, size, files).await?)
            }
            Some(_) | None => None,
        };
        let how = WriteMode {
            create: true,
            exclusive: replaces.is_none(),
            truncate: true,
            append: false,
            read: false,
            atomic: Atomicity::Atomic,
            replace_link: work.purpose == Purpose::Move,
            mode: found.mode & 0o777,
            owner: session.owner_of_new(),
        };
        let writer = target.mount.storage.open_write(&target.path, how).await?;
        let turn;
        let ended = match self.content(&*reader, &*writer, size).await {
            Ok(()) => {
                let times = Some((found.accessed, found.modified));
                let attributes = SetAttributes { times, ..SetAttributes::default() };
                if writer.set_attributes(attributes).await.is_err() {
                    self.loses_times();
                }
                turn = session.origin.services.ledger.turns(&[&target]).await;
                writer.commit().await?
            }
            Err(error) => {
                // Nothing is left, or only what a scan removes.
                drop(writer.abort(Partial::Discard).await);
                return Err(error);
            }
        };
        if let Some(owner) = &target.mount.quota {
            let ledger = &session.origin.services.ledger;
            let stored = difference(None, ended.stored.map(|stored| stored.size));
            let delta = match &ended.replaced {
                Some(replaced) => ledger.settle_gone(&owner.account, replaced).plus(stored),
                None => stored,
            };
            match lease {
                Some(lease) => drop(lease.settle(delta.bytes, delta.files)),
                None => session.origin.adjust(&target, delta),
            }
        }
        drop(turn);
        if at.is_root() && replaces.is_none() {
            self.is_made();
        }
        Ok(())
    }

    /// The first `size` bytes, within the kernel where it can do that.
    async fn content(
        &self,
        reader: &dyn ReadHandle,
        writer: &dyn WriteHandle,
        size: u64,
    ) -> Result<()> {
        const WITHIN_KERNEL: u64 = 16 * 1024 * 1024;
        const THROUGH_MEMORY: u64 = 1024 * 1024;
        let mut at = 0;
        while at < size {
            self.require_wanted()?;
            let left = size - at;
            let copied = match writer.copy_from(reader, at, left.min(WITHIN_KERNEL)).await {
                Some(copied) => copied?,
                None => {
                    let len = usize::try_from(left.min(THROUGH_MEMORY)).unwrap_or(usize::MAX);
                    let data = reader.read_at(at, len).await?;
                    let len = data.len() as u64;
                    if len > 0 {
                        writer.write_at(at, data).await?;
                    }
                    len
                }
            };
            if copied == 0 {
                // It was truncated meanwhile.
                return Ok(());
            }
            at += copied;
            self.meter.add(copied);
        }
        Ok(())
    }

    /// A move was decided as a whole.
    fn decide(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        match self.work.purpose {
            Purpose::Copy => self.session.decide(Operation::Copy(from, to)),
            Purpose::Move => Ok(()),
        }
    }

    fn is_made(&mut self) {
        if let Some((_, end)) = &mut self.ending {
            end.is_made = true;
        }
    }

    fn loses_times(&mut self) {
        if let Some((_, end)) = &mut self.ending {
            end.keeps_times = false;
        }
    }

    /// The second half, which nobody's departure stops.
    async fn finish(&mut self, failure: Option<Error>) -> Result<()> {
        let Some((transfer, mut end)) = self.ending.take() else {
            return Err(Error::internal("a copy was ended twice"));
        };
        end.failure = failure;
        transfer.finish(end).await.map_err(end_error)
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        if let Some((transfer, end)) = self.ending.take() {
            transfer.abort(end, AbortReason::Dropped);
        }
    }
}

/// The second half: the source is cleared, or the copy is undone.
struct RelocationEnd {
    origin: Arc<Origin>,
    mounts: Arc<Mounts>,
    work: Relocation,
    /// There is something at the target that was not there before.
    is_made: bool,
    /// The copies have the times of their sources.
    keeps_times: bool,
    failure: Option<Error>,
}

#[async_trait]
impl TransferEnd for RelocationEnd {
    async fn commit(mut self: Box<Self>) -> Result<(), BoxError> {
        if let Some(failure) = self.failure.take() {
            self.undo().await;
            return Err(failure.into());
        }
        match self.work.purpose {
            Purpose::Copy => Ok(()),
            Purpose::Move => self.clear_source().await.map_err(BoxError::from),
        }
    }

    async fn abort(self: Box<Self>, _: AbortReason) {
        self.undo().await;
    }
}

impl RelocationEnd {
    /// Removes what was copied. What others have put there meanwhile stays: it has no
    /// counterpart at the source.
    async fn undo(&self) {
        if !self.is_made {
            return;
        }
        let Relocation { target, found, .. } = &self.work;
        let result = if found.kind == FileKind::Directory {
            self.undo_tree().await
        } else {
            self.undo_file(&StoragePath::root()).await
        };
        if let Err(error) = result {
            let logger = &self.origin.services.logger;
            let path = target.display();
            slog::warn!(logger, "a part of a copy that failed is left behind at {path}: {error}");
        }
    }

    async fn undo_tree(&self) -> Result<()> {
        let Relocation { target, .. } = &self.work;
        let storage = &target.mount.storage;
        let tree = StorageTree { storage: storage.clone(), top: target.path.clone() };
        let mut walk = Walk::new(tree);
        let mut first = Ok(());
        while let Some(step) = walk.next().await? {
            let done = match step {
                Step::Unreadable(_, error) => Err(error),
                Step::Entered(dir) => {
                    let open = SetAttributes { mode: Some(0o700), ..SetAttributes::default() };
                    drop(storage.set_attributes(&target.path.below(&dir), open).await);
                    Ok(())
                }
                Step::Entries(dir, entries) => {
                    let mut done = Ok(());
                    for entry in entries {
                        if entry.metadata.kind == FileKind::File {
                            done = done.and(self.undo_file(&dir.join(&entry.name)).await);
                        }
                    }
                    done
                }
                Step::Left(dir) => storage.remove_dir(&target.path.below(&dir)).await,
            };
            first = first.and(done);
        }
        first
    }

    async fn undo_file(&self, at: &StoragePath) -> Result<()> {
        let counterpart = self.mounts.resolve(&self.work.source_at(at));
        let has_source = counterpart
            .mount
            .storage
            .lstat(&counterpart.path)
            .await
            .is_ok_and(|found| found.kind == FileKind::File);
        if has_source {
            self.origin.remove(&self.work.target_place(at)).await?;
        }
        Ok(())
    }

    /// Removes the source of a move, as far as it was copied.
    async fn clear_source(&self) -> Result<()> {
        if self.work.found.kind == FileKind::File {
            return self.clear_file(&StoragePath::root()).await;
        }
        let Relocation { source, from, to, .. } = &self.work;
        let storage = &source.mount.storage;
        let tree = StorageTree { storage: storage.clone(), top: source.path.clone() };
        let mut walk = Walk::new(tree);
        let (mut first, mut staying) = (Ok(()), 0_u64);
        while let Some(step) = walk.next().await? {
            let done = match step {
                Step::Unreadable(_, error) => Err(error),
                Step::Entered(_) => Ok(()),
                Step::Entries(dir, entries) => {
                    let mut done = Ok(());
                    for entry in entries {
                        if entry.metadata.kind == FileKind::File
                            && !storage.is_temporary(&entry.name)
                            && !self.origin.is_open(source, &entry.metadata)
                        {
                            done = done.and(self.clear_file(&dir.join(&entry.name)).await);
                        } else {
                            staying += 1;
                        }
                    }
                    done
                }
                Step::Left(dir) => {
                    match storage.remove_dir(&source.path.below(&dir)).await {
                        // Of something that stays.
                        Err(error) if error.kind() == ErrorKind::NotEmpty => Ok(()),
                        removed => removed,
                    }
                }
            };
            first = first.and(done);
        }
        if staying > 0 {
            let logger = &self.origin.services.logger;
            slog::warn!(
                logger,
                "rename {from} to {to}: {staying} links, special files or unfinished uploads \
                 stay where they were"
            );
        }
        first
    }

    async fn clear_file(&self, at: &StoragePath) -> Result<()> {
        let Relocation { source, from, .. } = &self.work;
        let place = Resolved { mount: source.mount.clone(), path: source.path.below(at) };
        let copy = self.work.target_place(at);
        let copied = copy.mount.storage.lstat(&copy.path).await;
        // From here on nobody replaces or opens what is looked at.
        let turn = self.origin.services.ledger.turns(&[&place]).await;
        let found = place.mount.storage.lstat(&place.path).await?;
        let is_copied = copied.is_ok_and(|copied| is_copy(&found, &copied, self.keeps_times));
        if !is_copied || self.origin.is_open(&place, &found) {
            let context = format!("{from}: changed while it was moved, so it stays");
            return Err(Error::new(ErrorKind::Conflict, context));
        }
        let removed = place.mount.storage.remove_file(&place.path).await;
        if let Ok(removed) = &removed {
            self.origin.settle_gone(&place, removed);
        }
        drop(turn);
        if removed.is_err() {
            drop(self.origin.remove(&copy).await);
        }
        removed.map(drop)
    }
}

/// Whether `copy` can stand for `original`: it is another file, of the same size and
/// time. Some file systems keep times of whole seconds, or of every other one.
fn is_copy(original: &Metadata, copy: &Metadata, compares_times: bool) -> bool {
    let is_coarse = |time: FileTime| time.nanos == 0;
    let same_time = original.modified == copy.modified
        || is_coarse(copy.modified) && copy.modified.secs.abs_diff(original.modified.secs) < 2;
    copy.kind == FileKind::File
        && original.kind == FileKind::File
        && original.size == copy.size
        && (original.id.is_none() || original.id != copy.id)
        && (!compares_times || same_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_what_was_copied_may_be_removed() {
        let time = |secs, nanos| FileTime { secs, nanos };
        let file = |number, size, modified| Metadata {
            kind: FileKind::File,
            size,
            mode: 0o644,
            uid: 0,
            gid: 0,
            links: 1,
            modified,
            accessed: modified,
            id: Some(ObjectId { device: 1, number }),
        };
        let original = file(1, 10, time(100, 7));
        // (the copy, with times that can be compared, without)
        let table = [
            (file(2, 10, time(100, 7)), true, true),
            (file(2, 11, time(100, 7)), false, false),
            (file(2, 10, time(100, 8)), false, true),
            (file(2, 10, time(100, 0)), true, true),
            (file(2, 10, time(101, 0)), true, true),
            (file(2, 10, time(98, 0)), false, true),
            (file(1, 10, time(100, 7)), false, false),
            (Metadata { kind: FileKind::Directory, ..original.clone() }, false, false),
        ];
        for (copy, with_times, without) in table {
            assert_eq!(is_copy(&original, &copy, true), with_times, "{copy:?}");
            assert_eq!(is_copy(&original, &copy, false), without, "{copy:?}");
        }
    }
}
