//! The one interface to files: every backend implements [`Storage`].
//!
//! Nobody above this module asks *which* backend it is; if you want to, a
//! [`Capabilities`] field is missing. Handles are positional because SFTP is.

#[cfg(test)]
pub mod conformance;
#[cfg(unix)]
pub mod local;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::paths::StoragePath;

/// What a backend can do, as named facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Writes at any offset, in any order, on one handle.
    pub random_write: bool,
    /// Rename replaces the target in one step.
    pub atomic_rename: bool,
    pub symlinks: bool,
    /// Mode, owner and times can be set.
    pub attributes: bool,
    /// An existing object can be continued.
    pub resume: bool,
    /// Directories exist by themselves, also when empty.
    pub directories: bool,
    /// rsync and git may run on the files directly.
    pub system_commands: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// Tells one object of a backend from every other, also after a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectId {
    pub device: u64,
    pub number: u64,
}

/// What is known of one object. Times are Unix seconds, with nanoseconds where the backend has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    pub kind: FileKind,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Permission bits only (`0o7777`).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    pub modified: FileTime,
    pub accessed: FileTime,
    /// `None` where the backend has only names.
    pub id: Option<ObjectId>,
}

impl Metadata {
    /// Of a directory that no backend has, since this time.
    pub fn of_synthesised_directory(since: FileTime) -> Self {
        Self {
            kind: FileKind::Directory,
            size: 0,
            mode: 0o755,
            uid: 0,
            gid: 0,
            links: 1,
            modified: since,
            accessed: since,
            id: None,
        }
    }
}

/// Seconds and nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FileTime {
    pub secs: i64,
    pub nanos: u32,
}

impl FileTime {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Self { secs, nanos: since.subsec_nanos() }
    }
}

/// In an owner pair: leave this half as it is (POSIX `chown` with -1).
pub const OWNER_UNCHANGED: u32 = u32::MAX;

/// Attributes to change; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetAttributes {
    pub size: Option<u64>,
    pub mode: Option<u32>,
    /// Uid and gid; [`OWNER_UNCHANGED`] leaves one of them.
    pub owner: Option<(u32, u32)>,
    /// Accessed, modified.
    pub times: Option<(FileTime, FileTime)>,
}

impl SetAttributes {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One name in a directory, with the metadata of the name itself (links are not followed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Vec<u8>,
    pub metadata: Metadata,
}

/// A directory being listed in bounded memory.
#[async_trait]
pub trait EntryStream: Send {
    /// The next entries, at most `max`, without `.` and `..`; empty at the end.
    async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>>;
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteMode {
    /// Create the file when it is missing.
    pub create: bool,
    /// With `create`: fail with `AlreadyExists` when it is there.
    pub exclusive: bool,
    /// Start empty.
    pub truncate: bool,
    /// Every write goes to the end, whatever its offset.
    pub append: bool,
    /// The handle can also be read.
    pub read: bool,
    /// Where the bytes go until `commit` (`common.upload_mode`).
    pub atomic: Atomicity,
    /// With an atomic upload: a link that has the name is replaced, as by a rename,
    /// instead of being followed to the file that is then written.
    pub replace_link: bool,
    /// Exact mode of a new file: the caller has applied its umask, and the
    /// umask of the process does not matter. A replaced file keeps its own.
    pub mode: u32,
    /// Owner of a new file (see [`OWNER_UNCHANGED`]); applied only when the server runs as root.
    pub owner: Option<(u32, u32)>,
}

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// Regular files, and whatever is neither a link nor a directory.
    pub files: bool,
    pub links: bool,
    pub directories: bool,
}

impl Kinds {
    /// Everything.
    pub const ALL: Self = Self { files: true, links: true, directories: true };
    /// Directories alone.
    pub const DIRECTORIES: Self = Self { files: false, links: false, directories: true };

    /// Whether `kind` is one of them.
    pub fn has(self, kind: FileKind) -> bool {
        match kind {
            FileKind::File | FileKind::Other => self.files,
            FileKind::Symlink => self.links,
            FileKind::Directory => self.directories,
        }
    }
}

/// What a rename may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenameMode {
    /// An existing file gives way.
    pub replace: bool,
    /// What may be renamed. It counts what the object is at that moment, whatever had
    /// its name before; as far as the storage can know.
    pub kinds: Kinds,
}

/// What an aborted write does with the bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// What the [`Atomicity`] says: a client that vanished may come back.
    Keep,
    /// Leave nothing that was not there before, as far as that is possible: a
    /// new file is removed, a temporary one never becomes the target.
    Discard,
}

/// How a write ended, so that the caller can settle accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The target as this write left it; `None` when the target is what it was before.
    pub stored: Option<Metadata>,
    /// The file that was at the target before, as it was last seen; `None` when there was none.
    pub replaced: Option<Metadata>,
}

/// When an upload becomes its target (`common.upload_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// 0: write to the target itself.
    Direct,
    /// 1: write to a temporary name; an aborted upload leaves nothing.
    Atomic,
    /// 2: write to a temporary name; an aborted upload becomes the target, to be resumed.
    AtomicResumable,
}

/// What a mount's file system has in total and left, in bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub block_size: u64,
    pub fragment_size: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub files_available: u64,
    pub filesystem_id: u64,
    pub read_only: bool,
    pub name_max: u64,
}

/// A file open for reading.
#[async_trait]
pub trait ReadHandle: Send + Sync + Debug {
    /// Reads at `offset` into `buf` if that needs no waiting (data in the page
    /// cache); `None` when it would wait or the backend cannot tell. Less than the
    /// whole of `buf` means that the file ends there.
    fn try_read_at(&self, _offset: u64, _buf: &mut [u8]) -> Option<Result<usize>> {
        None
    }
    /// Up to `len` bytes from `offset`; fewer only at the end of the file, empty past it.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes>;
    async fn metadata(&self) -> Result<Metadata>;
    /// The file of this machine that it is, for copies that need not pass through
    /// this process.
    #[cfg(unix)]
    fn local_file(&self) -> Option<Arc<std::os::fd::OwnedFd>> {
        None
    }
    /// Never the size: the handle is for reading. Metadata from before the change.
    async fn set_attributes(&self, _attributes: SetAttributes) -> Result<Metadata> {
        Err(unsupported("set attributes on this handle"))
    }
}

/// A file open for writing. `&self` throughout: several writes may be in flight.
#[async_trait]
pub trait WriteHandle: Send + Sync + Debug {
    /// True when the target existed and is being overwritten or continued;
    /// its size at open, for quota.
    fn replaced_size(&self) -> Option<u64>;
    /// The file that [`WriteHandle::commit`] would replace now; `None` when there
    /// is none, or when the target itself is written.
    async fn replaceable(&self) -> Result<Option<Metadata>>;
    /// Writes all of `data` at `offset` if that needs no waiting; `None` when it
    /// would wait or the backend cannot tell, and then nothing was written.
    fn try_write_at(&self, _offset: u64, _data: &[u8]) -> Option<Result<()>> {
        None
    }
    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()>;
    /// Copies up to `len` bytes from `offset` in `source` to the same place, without
    /// them passing through this process: how many, at least one. `None` when that
    /// is not possible or the source ends there, and then nothing was written.
    async fn copy_from(
        &self,
        _source: &dyn ReadHandle,
        _offset: u64,
        _len: u64,
    ) -> Option<Result<u64>> {
        None
    }
    /// Reads back, on a handle opened with `WriteMode::read`.
    fn try_read_at(&self, _offset: u64, _buf: &mut [u8]) -> Option<Result<usize>> {
        None
    }
    async fn read_at(&self, _offset: u64, _len: usize) -> Result<Bytes> {
        Err(unsupported("read from a handle opened for writing"))
    }
    /// Of the bytes written so far (the temporary file in atomic mode).
    async fn metadata(&self) -> Result<Metadata>;
    /// Metadata from before the change.
    async fn set_attributes(&self, attributes: SetAttributes) -> Result<Metadata>;
    /// Makes the bytes durable (fsync).
    async fn sync(&self) -> Result<()>;
    /// Ends the write: the target now has the new content.
    /// No write may be in flight. Called at most once, and not after `abort`.
    async fn commit(&self) -> Result<Ended>;
    /// Ends the write after an error. With [`Partial::Keep`] the partial file
    /// stays under the target with `Direct` and `AtomicResumable`, and nothing with `Atomic`.
    async fn abort(&self, partial: Partial) -> Result<Ended>;
}

/// A place that holds files. All paths are relative to its root and cannot leave it.
#[async_trait]
pub trait Storage: Send + Sync + Debug {
    fn capabilities(&self) -> Capabilities;
    /// Follows links that stay below the root.
    async fn stat(&self, path: &StoragePath) -> Result<Metadata>;
    /// Of the name itself.
    async fn lstat(&self, path: &StoragePath) -> Result<Metadata>;
    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>>;
    async fn open_read(&self, path: &StoragePath) -> Result<Arc<dyn ReadHandle>>;
    async fn open_write(&self, path: &StoragePath, how: WriteMode) -> Result<Arc<dyn WriteHandle>>;
    /// `mode` has the umask applied.
    async fn create_dir(
        &self,
        path: &StoragePath,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<()>;
    /// A file or link, whose last metadata it gives; a directory is `IsADirectory`.
    async fn remove_file(&self, path: &StoragePath) -> Result<Metadata>;
    /// An empty directory.
    async fn remove_dir(&self, path: &StoragePath) -> Result<()>;
    /// With `replace` an existing file gives way, and its last metadata is the
    /// result; without, it is `AlreadyExists`. Onto a directory is `IsADirectory`. An
    /// object that is none of the kinds is `PermissionDenied`, and stays.
    async fn rename(
        &self,
        from: &StoragePath,
        to: &StoragePath,
        how: RenameMode,
    ) -> Result<Option<Metadata>>;
    /// As [`Storage::rename`], but into another storage, where both can do that as
    /// quickly as within one; `None` where they cannot, and then nothing was done.
    async fn rename_into(
        &self,
        _from: &StoragePath,
        _target: &dyn Storage,
        _to: &StoragePath,
        _how: RenameMode,
    ) -> Result<Option<Option<Metadata>>> {
        Ok(None)
    }
    /// The directory of this machine that it is, for what two of them do together.
    #[cfg(unix)]
    async fn as_local(&self) -> Result<Option<local::LocalStorage>> {
        Ok(None)
    }
    /// Follows links that stay below the root. Metadata from before the change.
    async fn set_attributes(
        &self,
        path: &StoragePath,
        attributes: SetAttributes,
    ) -> Result<Metadata>;
    /// `target` is what the link says, relative to the link's directory.
    async fn symlink(&self, _target: &[u8], _link: &StoragePath) -> Result<()> {
        Err(unsupported("symlink"))
    }
    /// What the link says, as stored.
    async fn read_link(&self, _path: &StoragePath) -> Result<Vec<u8>> {
        Err(unsupported("read link"))
    }
    async fn space(&self, _path: &StoragePath) -> Result<Space> {
        Err(unsupported("space"))
    }
    /// A file or directory to be named to a program of this machine, not to be read:
    /// only where [`Capabilities::system_commands`]. Follows links that stay below the root.
    #[cfg(unix)]
    async fn open_for_program(&self, _path: &StoragePath) -> Result<std::os::fd::OwnedFd> {
        Err(unsupported("a program on the files"))
    }
    /// Where `path` leads through the links on the way, as a path without links:
    /// through the last name too, if `follow_last` says so. What is there need not
    /// exist. A storage without links gives the path itself.
    async fn real_path(&self, path: &StoragePath, follow_last: bool) -> Result<StoragePath>;
    /// The same files for a caller who has followed links with
    /// [`Storage::real_path`]: a link on the way is `PermissionDenied`. So what was
    /// decided about the real path cannot happen to another one. `None` where there
    /// are no links. None of the two has a default: who forgets them would let links
    /// lead around the filters on names.
    fn without_following(&self) -> Result<Option<Arc<dyn Storage>>>;
    /// True for a name that a [`WriteHandle`] gives its file until `commit`: such
    /// a file belongs to nobody yet.
    fn is_temporary(&self, _name: &[u8]) -> bool {
        false
    }
    /// Removes `path` if it is the temporary file of a server that is gone, last
    /// modified before `before_unix_secs`. True when it was removed.
    async fn remove_abandoned(&self, _path: &StoragePath, _before_unix_secs: i64) -> Result<bool> {
        Ok(false)
    }
    /// The path a hook or log line shows: for local storage the real one.
    fn display_path(&self, path: &StoragePath) -> String;
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not supported by this storage"))
}
