//! Open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, fstat, ftruncate, statat, unlinkat};
use rustix::io::Errno;

use super::atomic::Temporary;
use super::errno::fail;
use super::extent::{self, Readiness};
use super::pace::Pace;
use super::root::Root;
use super::{attributes, offload};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::StoragePath;
use crate::storage::{Atomicity, Ended, Metadata, Partial, ReadHandle, SetAttributes, WriteHandle};

/// Larger writes are handed over at once: copying them alone takes too long for
/// a thread that serves other connections.
const LARGEST_DIRECT_WRITE: usize = 512 * 1024;

/// A regular file open for reading.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<OwnedFd>,
    path: StoragePath,
    readiness: Readiness,
}

impl Reader {
    pub(super) fn new(file: OwnedFd, path: StoragePath) -> Self {
        Self { file: Arc::new(file), path, readiness: Readiness::new() }
    }
}

#[async_trait]
impl ReadHandle for Reader {
    fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
        let read = self.readiness.read(self.file.as_fd(), offset, buf)?;
        Some(read.map_err(|error| fail("read", &self.path, error)))
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        read_offloaded(&self.file, &self.path, offset, len).await
    }

    /// Not offloaded: an open local file answers from memory.
    async fn metadata(&self) -> Result<Metadata> {
        metadata_of(&self.file, &self.path)
    }

    fn local_file(&self) -> Option<Arc<OwnedFd>> {
        Some(self.file.clone())
    }

    async fn set_attributes(&self, attributes: SetAttributes) -> Result<Metadata> {
        if attributes.size.is_some() {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("set size of /{}: the handle is open for reading", self.path),
            ));
        }
        apply_offloaded(&self.file, &self.path, attributes).await
    }
}

async fn read_offloaded(
    file: &Arc<OwnedFd>,
    path: &StoragePath,
    offset: u64,
    len: usize,
) -> Result<Bytes> {
    let (file, path) = (file.clone(), path.clone());
    offload(move || {
        extent::read_waiting(&*file, offset, len)
            .map(Bytes::from)
            .map_err(|error| fail("read", &path, error))
    })
    .await
}

async fn apply_offloaded(
    file: &Arc<OwnedFd>,
    path: &StoragePath,
    attributes: SetAttributes,
) -> Result<Metadata> {
    let (file, path) = (file.clone(), path.clone());
    offload(move || {
        attributes::apply(&*file, &attributes)
            .map_err(|error| fail("set attributes of", &path, error))
    })
    .await
}

fn metadata_of(file: &OwnedFd, path: &StoragePath) -> Result<Metadata> {
    fstat(file).map(|stat| attributes::metadata(&stat)).map_err(|error| fail("stat", path, error))
}

/// Where the bytes of an upload are.
#[derive(Debug)]
pub(super) enum Destination {
    /// In the target, which we created or which was there.
    Target {
        is_new: bool,
    },
    Temporary(Temporary),
}

/// What a [`Writer`] is made of.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) root: Arc<Root>,
    pub(super) path: StoragePath,
    pub(super) file: OwnedFd,
    pub(super) destination: Destination,
    /// The target before; `None` when there was none.
    pub(super) replaces: Option<Metadata>,
    pub(super) atomicity: Atomicity,
    pub(super) appends: bool,
    pub(super) reads: bool,
}

/// A regular file open for writing.
#[derive(Debug)]
pub(super) struct Writer {
    file: Arc<OwnedFd>,
    shared: Arc<Shared>,
    readiness: Readiness,
    pace: Arc<Pace>,
}

/// What the end of a write needs on the blocking pool.
#[derive(Debug)]
struct Shared {
    root: Arc<Root>,
    path: StoragePath,
    destination: Destination,
    replaces: Option<Metadata>,
    atomicity: Atomicity,
    appends: bool,
    reads: bool,
    /// Nothing more to do when the handle goes away.
    has_ended: AtomicBool,
}

impl Writer {
    pub(super) fn new(opened: Opened, pace: Arc<Pace>) -> Self {
        let Opened { root, path, file, destination, replaces, atomicity, appends, reads } = opened;
        Self {
            file: Arc::new(file),
            shared: Arc::new(Shared {
                root,
                path,
                destination,
                replaces,
                atomicity,
                appends,
                reads,
                has_ended: AtomicBool::new(false),
            }),
            readiness: Readiness::new(),
            pace,
        }
    }

    fn require_readable(&self) -> Result<()> {
        if self.shared.reads {
            return Ok(());
        }
        let context = format!("read /{}: the handle is open for writing only", self.shared.path);
        Err(Error::new(ErrorKind::PermissionDenied, context))
    }

    async fn end(&self, how: End) -> Result<Ended> {
        if self.shared.has_ended.swap(true, Ordering::AcqRel) {
            return Err(Error::internal(format!("/{} was ended twice", self.shared.path)));
        }
        if how == End::Commit && matches!(self.shared.destination, Destination::Target { .. }) {
            // Nothing to move: an open local file answers from memory.
            return self.shared.end(&self.file, how);
        }
        let is_quick = match &self.shared.destination {
            Destination::Target { .. } => true,
            Destination::Temporary(temporary) => !temporary.must_copy(),
        };
        if how == End::Commit
            && is_quick
            && let Some(started) = self.pace.start_asking()
        {
            // One rename.
            let ended = self.shared.end(&self.file, how);
            self.pace.note_since(started);
            return ended;
        }
        let (shared, file) = (self.shared.clone(), self.file.clone());
        offload(move || shared.end(&file, how)).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    Abort(Partial),
}

impl Shared {
    fn end(&self, file: &OwnedFd, how: End) -> Result<Ended> {
        let ended = match (&self.destination, how) {
            (Destination::Temporary(temporary), End::Commit) => self.publish(temporary, file),
            (Destination::Temporary(temporary), End::Abort(Partial::Keep))
                if self.atomicity == Atomicity::AtomicResumable =>
            {
                self.publish(temporary, file)
            }
            (Destination::Temporary(temporary), End::Abort(_)) => {
                temporary.remove();
                Ok(Ended { stored: None, replaced: self.replaces.clone() })
            }
            (Destination::Target { is_new: true }, End::Abort(Partial::Discard)) => {
                self.discard_new(file)
            }
            (Destination::Target { .. }, _) => self.keep(file),
        };
        let doing = if how == End::Commit { "commit" } else { "abort" };
        ended.map_err(|error| fail(doing, &self.path, error))
    }

    fn keep(&self, file: &OwnedFd) -> Result<Ended, Errno> {
        let stored = Some(attributes::metadata(&fstat(file)?));
        Ok(Ended { stored, replaced: self.replaces.clone() })
    }

    fn publish(&self, temporary: &Temporary, file: &OwnedFd) -> Result<Ended, Errno> {
        let replaced = temporary.publish(file).inspect_err(|_| temporary.remove())?;
        let stored = Some(attributes::metadata(&fstat(file)?));
        Ok(Ended { stored, replaced })
    }

    /// Removes the file that we created, if its name still leads to it; else
    /// empties it, wherever it is now.
    fn discard_new(&self, file: &OwnedFd) -> Result<Ended, Errno> {
        let ours = fstat(file)?;
        let place = self.root.place_behind_links(&self.path)?;
        let there = statat(&place.directory, &place.name[..], AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| attributes::id(&there) == attributes::id(&ours)) {
            unlinkat(&place.directory, &place.name[..], AtFlags::empty())?;
            return Ok(Ended { stored: None, replaced: None });
        }
        ftruncate(file, 0)?;
        self.keep(file)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if !self.has_ended.load(Ordering::Acquire)
            && let Destination::Temporary(temporary) = &self.destination
        {
            temporary.remove();
        }
    }
}

#[async_trait]
impl WriteHandle for Writer {
    fn replaced_size(&self) -> Option<u64> {
        self.shared.replaces.as_ref().map(|replaced| replaced.size)
    }

    async fn replaceable(&self) -> Result<Option<Metadata>> {
        match &self.shared.destination {
            Destination::Target { .. } => Ok(None),
            Destination::Temporary(temporary) => {
                temporary.replaceable().map_err(|error| fail("look for", &self.shared.path, error))
            }
        }
    }

    fn try_write_at(&self, offset: u64, data: &[u8]) -> Option<Result<()>> {
        if data.len() > LARGEST_DIRECT_WRITE {
            return None;
        }
        #[cfg(feature = "null-sink")]
        if self.shared.path.file_name() == b"null-sink" {
            return Some(Ok(()));
        }
        let start = self.pace.start()?;
        let written = extent::write_all(&*self.file, offset, data, self.shared.appends);
        let now = Instant::now();
        self.pace.note(now.saturating_duration_since(start), now);
        Some(written.map_err(|error| fail("write", &self.shared.path, error)))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let (file, shared, pace) = (self.file.clone(), self.shared.clone(), self.pace.clone());
        offload(move || {
            let start = Instant::now();
            let written = extent::write_all(&*file, offset, &data, shared.appends);
            // The time of a large write says little about the next small one.
            if data.len() <= LARGEST_DIRECT_WRITE {
                let now = Instant::now();
                pace.note(now.saturating_duration_since(start), now);
            }
            written.map_err(|error| fail("write", &shared.path, error))
        })
        .await
    }

    async fn copy_from(
        &self,
        source: &dyn ReadHandle,
        offset: u64,
        len: u64,
    ) -> Option<Result<u64>> {
        let source = source.local_file()?;
        let (file, shared) = (self.file.clone(), self.shared.clone());
        let copied = offload(move || {
            extent::copy_within_kernel(&*source, &*file, offset, len)
                .map_err(|error| fail("copy into", &shared.path, error))
        });
        copied.await.transpose()
    }

    fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
        if let Err(error) = self.require_readable() {
            return Some(Err(error));
        }
        let read = self.readiness.read(self.file.as_fd(), offset, buf)?;
        Some(read.map_err(|error| fail("read", &self.shared.path, error)))
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.require_readable()?;
        read_offloaded(&self.file, &self.shared.path, offset, len).await
    }

    async fn metadata(&self) -> Result<Metadata> {
        metadata_of(&self.file, &self.shared.path)
    }

    async fn set_attributes(&self, attributes: SetAttributes) -> Result<Metadata> {
        // A new size can take as long as writing it.
        if attributes.size.is_none()
            && let Some(started) = self.pace.start_asking()
        {
            let before = attributes::apply(&*self.file, &attributes)
                .map_err(|error| fail("set attributes of", &self.shared.path, error));
            self.pace.note_since(started);
            return before;
        }
        apply_offloaded(&self.file, &self.shared.path, attributes).await
    }

    async fn sync(&self) -> Result<()> {
        let (file, shared) = (self.file.clone(), self.shared.clone());
        offload(move || {
            rustix::fs::fsync(&*file).map_err(|error| fail("sync", &shared.path, error))
        })
        .await
    }

    async fn commit(&self) -> Result<Ended> {
        self.end(End::Commit).await
    }

    async fn abort(&self, partial: Partial) -> Result<Ended> {
        self.end(End::Abort(partial)).await
    }
}
