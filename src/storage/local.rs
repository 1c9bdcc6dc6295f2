//! Files of this machine, confined beneath one directory.
//!
//! Every path is resolved by [`beneath`]; what acts on a name acts on a name in
//! an already open directory. So no link, however quickly it is swapped, leads
//! outside, and no operation resolves the same path twice.

mod atomic;
mod attributes;
mod beneath;
mod errno;
mod extent;
mod handle;
mod listing;
mod on_demand;
mod pace;
#[cfg(test)]
mod races;
mod root;
pub(crate) mod selective;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, fstat, ftruncate, mkdirat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use self::atomic::Name;
use self::attributes::{require_regular, set_owner_and_mode, size};
use self::beneath::DIRECTORY;
use self::errno::fail;
use self::handle::{Destination, Opened, Reader, Writer};
pub use self::on_demand::OnDemand;
use self::pace::Pace;
use self::root::Root;
use self::selective::rename_only;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::StoragePath;
use crate::storage::{
    Atomicity, Capabilities, EntryStream, FileKind, Metadata, ReadHandle, RenameMode,
    SetAttributes, Space, Storage, WriteHandle, WriteMode,
};

/// Opening must neither wait for a pipe's other end nor make a terminal ours.
const CAREFULLY: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

const CAPABILITIES: Capabilities = Capabilities {
    random_write: true,
    atomic_rename: true,
    symlinks: true,
    attributes: true,
    resume: true,
    directories: true,
    system_commands: true,
};

/// A directory of this machine as a storage.
#[derive(Debug, Clone)]
pub struct LocalStorage {
    root: Arc<Root>,
    /// Where it is, for logs and hooks only; never opened again.
    location: Arc<Path>,
    temp_directory: Option<Arc<OwnedFd>>,
    pace: Arc<Pace>,
}

impl LocalStorage {
    /// Opens `root`, an existing directory; links in its own path are followed,
    /// since the administrator wrote it. `temp_path` is where atomic uploads go
    /// until they are complete, on the same file system; `None` is next to their target.
    ///
    /// Blocks for as long as the disk takes; see [`LocalStorage::open_offloaded`].
    pub fn open(root: &Path, temp_path: Option<&Path>) -> Result<Self> {
        Self::open_with(root, temp_path, beneath::best)
    }

    fn open_with(
        root: &Path,
        temp_path: Option<&Path>,
        resolver: impl FnOnce(BorrowedFd<'_>) -> Box<dyn beneath::Resolve>,
    ) -> Result<Self> {
        let fd = open_absolute(root, "root directory")?;
        let temp_directory =
            temp_path.map(|path| open_absolute(path, "temp_path").map(Arc::new)).transpose()?;
        let is_local = attributes::is_on_local_disk(&fd);
        let resolver = resolver(fd.as_fd());
        Ok(Self {
            root: Arc::new(Root::new(fd, resolver)),
            location: root.into(),
            temp_directory,
            pace: Arc::new(Pace::new(is_local)),
        })
    }

    /// [`LocalStorage::open`] on the blocking pool, creating the root first when
    /// `create` says with which mode and owner (see [`LocalStorage::create_root`]).
    pub async fn open_offloaded(
        root: PathBuf,
        temp_path: Option<PathBuf>,
        create: Option<(u32, Option<(u32, u32)>)>,
    ) -> Result<Self> {
        offload(move || {
            if let Some((mode, owner)) = create {
                Self::create_root(&root, mode, owner)?;
            }
            Self::open(&root, temp_path.as_deref())
        })
        .await
    }

    /// Creates `root` and its missing parents, all with `mode`; `owner` is given
    /// to `root` itself when we run as root. True when it was not there. Blocks.
    pub fn create_root(root: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<bool> {
        let failed = |path: &Path, errno: Errno| {
            Error::from_io(format!("create directory {}", path.display()), errno.into())
        };
        match mkdirat(CWD, root, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(Errno::NOENT) => {
                let parent = root.parent().ok_or_else(|| failed(root, Errno::NOENT))?;
                Self::create_root(parent, mode, None)?;
                match mkdirat(CWD, root, Mode::RWXU) {
                    Ok(()) => {}
                    Err(Errno::EXIST) => return Ok(false),
                    Err(errno) => return Err(failed(root, errno)),
                }
            }
            Err(errno) => return Err(failed(root, errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(CWD, root, flags, Mode::empty())
            .and_then(|fd| set_owner_and_mode(&fd, owner, mode))
            .map_err(|errno| failed(root, errno))?;
        Ok(true)
    }

    /// One hop to the blocking pool for everything that one request needs.
    /// Work that asks the disk a little: here and now while the disk answers from
    /// memory, on the blocking pool when it has been slow or may be remote.
    async fn ask<T: Send + 'static>(
        &self,
        path: &StoragePath,
        doing: &'static str,
        work: impl FnOnce(&Root, &StoragePath) -> Result<T, Errno> + Send + 'static,
    ) -> Result<T> {
        let Some(started) = self.pace.start_asking() else {
            return self.offload(path, doing, work).await;
        };
        require_name(path)?;
        let answer = work(&self.root, path).map_err(|errno| fail(doing, path, errno));
        self.pace.note_since(started);
        answer
    }

    async fn offload<T: Send + 'static>(
        &self,
        path: &StoragePath,
        doing: &'static str,
        work: impl FnOnce(&Root, &StoragePath) -> Result<T, Errno> + Send + 'static,
    ) -> Result<T> {
        require_name(path)?;
        let (root, path) = (self.root.clone(), path.clone());
        offload(move || work(&root, &path).map_err(|errno| fail(doing, &path, errno))).await
    }
}

/// The only door to the blocking pool, so that what runs there, and whether it
/// does, is decided in one place. Dropping the future does not stop the work.
async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            Err(Error::internal("a file operation panicked on the blocking pool"))
        }
        Err(_) => Err(Error::new(ErrorKind::Aborted, "the server is shutting down")),
    }
}

fn open_absolute(path: &Path, what: &str) -> Result<OwnedFd> {
    openat(CWD, path, DIRECTORY, Mode::empty())
        .map_err(|errno| Error::from_io(format!("open {what} {}", path.display()), errno.into()))
}

/// A NUL byte ends a path for the system, so it would name something else.
fn require_name(path: &StoragePath) -> Result<()> {
    if path.as_bytes().contains(&0) {
        return Err(Error::new(ErrorKind::InvalidPath, "a path with a NUL byte"));
    }
    Ok(())
}

impl LocalStorage {
    /// See [`Storage::without_following`].
    fn not_following(&self) -> Result<Self> {
        let root = self.root.without_links();
        let root = root.map_err(|errno| fail("open again", &StoragePath::root(), errno))?;
        Ok(Self { root: Arc::new(root), ..self.clone() })
    }
}

#[async_trait]
impl Storage for LocalStorage {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata> {
        self.ask(path, "stat", |root, path| {
            #[cfg(target_os = "linux")]
            {
                let object = root.open(path, OFlags::PATH, Mode::empty())?;
                Ok(attributes::metadata(&fstat(&object)?))
            }
            #[cfg(not(target_os = "linux"))]
            {
                let place = match root.place_behind_links(path) {
                    Err(Errno::BUSY | Errno::ISDIR) => {
                        let directory = root.open(path, DIRECTORY, Mode::empty())?;
                        return Ok(attributes::metadata(&fstat(&directory)?));
                    }
                    place => place?,
                };
                let stat = statat(&place.directory, &place.name[..], AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(attributes::metadata(&stat))
            }
        })
        .await
    }

    async fn lstat(&self, path: &StoragePath) -> Result<Metadata> {
        if path.is_root() {
            return self.stat(path).await;
        }
        self.ask(path, "stat", |root, path| {
            let place = root.place(path)?;
            let stat = statat(&place.directory, &place.name[..], AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(attributes::metadata(&stat))
        })
        .await
    }

    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        let directory = self
            .ask(dir, "list", |root, path| {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | CAREFULLY;
                Dir::new(root.open(path, flags, Mode::empty())?)
            })
            .await?;
        Ok(Box::new(listing::Listing::new(directory, dir.clone())))
    }

    async fn open_read(&self, path: &StoragePath) -> Result<Arc<dyn ReadHandle>> {
        let file = self
            .ask(path, "open", |root, path| {
                let file = root.open(path, OFlags::RDONLY | CAREFULLY, Mode::empty())?;
                require_regular(&fstat(&file)?)?;
                Ok(file)
            })
            .await?;
        Ok(Arc::new(Reader::new(file, path.clone())))
    }

    async fn open_write(&self, path: &StoragePath, how: WriteMode) -> Result<Arc<dyn WriteHandle>> {
        require_name(path)?;
        // Copying the old bytes can take long; it ends when nobody waits for it.
        let cancelled = CancelOnDrop::default();
        let is_cancelled = cancelled.0.clone();
        let (root, path) = (self.root.clone(), path.clone());
        let temp_directory = self.temp_directory.clone();
        let work = move || {
            let opened = match how.atomic {
                Atomicity::Direct => open_target(&root, &path, &how),
                Atomicity::Atomic | Atomicity::AtomicResumable => {
                    open_temporary(&root, &path, &how, temp_directory.as_deref(), &is_cancelled)
                }
            };
            let (file, destination, replaces) =
                opened.map_err(|errno| fail("open for writing", &path, errno))?;
            Ok(Opened {
                root,
                path,
                file,
                destination,
                replaces,
                atomicity: how.atomic,
                appends: how.append,
                reads: how.read,
            })
        };
        let may_copy = how.atomic != Atomicity::Direct && !how.truncate;
        let opened = match self.pace.start_asking().filter(|_| !may_copy) {
            None => offload(work).await?,
            Some(started) => {
                let opened = work();
                self.pace.note_since(started);
                opened?
            }
        };
        Ok(Arc::new(Writer::new(opened, self.pace.clone())))
    }

    async fn create_dir(
        &self,
        path: &StoragePath,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        if path.is_root() {
            return Err(fail("create directory", path, Errno::EXIST));
        }
        self.ask(path, "create directory", move |root, path| {
            let place = root.place(path)?;
            let name = &place.name[..];
            mkdirat(&place.directory, name, attributes::permission_bits(mode & 0o777))?;
            // Not through a link, in case somebody was quicker than we are.
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&place.directory, name, flags, Mode::empty()) {
                Ok(directory) => set_owner_and_mode(&directory, owner, mode).map(drop),
                // A mode that forbids reading, or already gone again.
                Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn remove_file(&self, path: &StoragePath) -> Result<Metadata> {
        self.offload(path, "remove", |root, path| {
            let place = root.place(path)?;
            let name = &place.name[..];
            let stat = statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let metadata = attributes::metadata(&stat);
            if metadata.kind == FileKind::Directory {
                return Err(Errno::ISDIR);
            }
            unlinkat(&place.directory, name, AtFlags::empty())?;
            Ok(metadata)
        })
        .await
    }

    async fn remove_dir(&self, path: &StoragePath) -> Result<()> {
        self.ask(path, "remove directory", |root, path| {
            let place = root.place(path)?;
            match unlinkat(&place.directory, &place.name[..], AtFlags::REMOVEDIR) {
                // POSIX allows both for a directory with entries.
                Err(Errno::EXIST) => Err(Errno::NOTEMPTY),
                result => result,
            }
        })
        .await
    }

    async fn rename(
        &self,
        from: &StoragePath,
        to: &StoragePath,
        how: RenameMode,
    ) -> Result<Option<Metadata>> {
        require_name(to)?;
        let to = to.clone();
        self.offload(from, "rename", move |root, from| rename_beneath(root, from, &to, how)).await
    }

    async fn rename_into(
        &self,
        from: &StoragePath,
        target: &dyn Storage,
        to: &StoragePath,
        how: RenameMode,
    ) -> Result<Option<Option<Metadata>>> {
        let Some(target) = target.as_local().await? else { return Ok(None) };
        require_name(to)?;
        let to = to.clone();
        let renamed = self.offload(from, "rename", move |root, from| {
            let (from, to) = (root.place(from)?, target.root.place(&to)?);
            let renamed = rename_place(&from, &to, how);
            match renamed {
                Err(Errno::XDEV) => Ok(None),
                result => result.map(Some),
            }
        });
        renamed.await
    }

    async fn as_local(&self) -> Result<Option<LocalStorage>> {
        Ok(Some(self.clone()))
    }

    async fn set_attributes(
        &self,
        path: &StoragePath,
        attributes: SetAttributes,
    ) -> Result<Metadata> {
        let doing = "set attributes of";
        let work =
            move |root: &Root, path: &StoragePath| attributes::apply_at(root, path, &attributes);
        // A new size can take as long as writing it, or freeing it.
        if attributes.size.is_some() {
            return self.offload(path, doing, work).await;
        }
        self.ask(path, doing, work).await
    }

    async fn symlink(&self, target: &[u8], link: &StoragePath) -> Result<()> {
        if target.is_empty() || target.contains(&0) {
            return Err(Error::new(ErrorKind::InvalidPath, "a link target that names nothing"));
        }
        let target = target.to_vec();
        self.ask(link, "create link", move |root, link| {
            let place = root.place(link)?;
            symlinkat(&target[..], &place.directory, &place.name[..])
        })
        .await
    }

    async fn read_link(&self, path: &StoragePath) -> Result<Vec<u8>> {
        self.ask(path, "read link", |root, path| {
            let place = root.place(path)?;
            let target = readlinkat(&place.directory, &place.name[..], Vec::new())?;
            Ok(target.into_bytes())
        })
        .await
    }

    async fn open_for_program(&self, path: &StoragePath) -> Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        const FLAGS: OFlags = OFlags::PATH;
        #[cfg(not(target_os = "linux"))]
        const FLAGS: OFlags = OFlags::RDONLY.union(CAREFULLY);
        self.ask(path, "open", |root, path| root.open(path, FLAGS, Mode::empty())).await
    }

    async fn space(&self, path: &StoragePath) -> Result<Space> {
        self.ask(path, "space of", attributes::space).await
    }

    async fn real_path(&self, path: &StoragePath, follow_last: bool) -> Result<StoragePath> {
        self.ask(path, "follow", move |root, path| root.real_path(path, follow_last)).await
    }

    fn without_following(&self) -> Result<Option<Arc<dyn Storage>>> {
        Ok(Some(Arc::new(self.not_following()?)))
    }

    fn is_temporary(&self, name: &[u8]) -> bool {
        atomic::is_temporary_name(name)
    }

    /// Recognised by its name and by the lock that died with its server.
    async fn remove_abandoned(&self, path: &StoragePath, before_unix_secs: i64) -> Result<bool> {
        if !atomic::is_temporary_name(path.file_name()) {
            return Ok(false);
        }
        self.offload(path, "remove abandoned", move |root, path| {
            let place = root.place(path)?;
            let name = &place.name[..];
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | CAREFULLY;
            let file = openat(&place.directory, name, flags, Mode::empty())?;
            let stat = fstat(&file)?;
            require_regular(&stat)?;
            let is_old = attributes::metadata(&stat).modified.secs < before_unix_secs;
            // Where locks are not supported nothing is known, so nothing is removed.
            let lock = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
            if !is_old || lock.is_err() {
                return Ok(false);
            }
            unlinkat(&place.directory, name, AtFlags::empty())?;
            Ok(true)
        })
        .await
    }

    fn display_path(&self, path: &StoragePath) -> String {
        shown(&self.location, path)
    }
}

fn shown(location: &Path, path: &StoragePath) -> String {
    let mut shown = location.to_string_lossy().into_owned();
    if !path.is_root() {
        if !shown.ends_with('/') {
            shown.push('/');
        }
        shown.push_str(&path.to_string_lossy());
    }
    shown
}

/// Set when the future that waits for a long operation is dropped.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type OpenedFile = (OwnedFd, Destination, Option<Metadata>);

/// Opens or creates the target itself, and knows which of the two it did: that
/// decides about quota and about what an abort may remove.
fn open_target(root: &Root, path: &StoragePath, how: &WriteMode) -> Result<OpenedFile, Errno> {
    // Between two looks the file can appear or vanish, but not for ever.
    const ROUNDS: u32 = 16;
    let mut flags = if how.read { OFlags::RDWR } else { OFlags::WRONLY };
    flags |= CAREFULLY;
    if how.append {
        flags |= OFlags::APPEND;
    }
    for _ in 0..ROUNDS {
        if how.create {
            let new = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = attributes::permission_bits(how.mode & 0o777);
            match root.open(path, new, mode) {
                Ok(file) => return finish_new(file, how),
                Err(Errno::EXIST) if !how.exclusive => {}
                Err(error) => return Err(error),
            }
        }
        match root.open(path, flags, Mode::empty()) {
            Ok(file) => {
                let stat = fstat(&file)?;
                require_regular(&stat)?;
                attributes::prepare_rewriting(&file, &stat)?;
                if how.truncate && size(&stat) > 0 {
                    ftruncate(&file, 0)?;
                }
                let replaces = Some(attributes::metadata(&stat));
                return Ok((file, Destination::Target { is_new: false }, replaces));
            }
            Err(Errno::NOENT) if how.create => {}
            Err(error) => return Err(error),
        }
        // There is a name, but nothing behind it: a link to a file to be created.
        let place = root.place_behind_links(path)?;
        let new = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = attributes::permission_bits(how.mode & 0o777);
        match openat(&place.directory, &place.name[..], new, mode) {
            Ok(file) => return finish_new(file, how),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::AGAIN)
}

fn finish_new(file: OwnedFd, how: &WriteMode) -> Result<OpenedFile, Errno> {
    set_owner_and_mode(&file, how.owner, how.mode)?;
    Ok((file, Destination::Target { is_new: true }, None))
}

fn open_temporary(
    root: &Root,
    path: &StoragePath,
    how: &WriteMode,
    temp_directory: Option<&OwnedFd>,
    cancelled: &AtomicBool,
) -> Result<OpenedFile, Errno> {
    // An exclusive creation must not see through a link: the link exists.
    let place = if how.replace_link || how.create && how.exclusive {
        root.place(path)?
    } else {
        root.place_behind_links(path)?
    };
    let created = atomic::create(place, temp_directory.map(AsFd::as_fd), how, cancelled)?;
    Ok((created.file, Destination::Temporary(created.temporary), created.replaces))
}

fn rename_beneath(
    root: &Root,
    from: &StoragePath,
    to: &StoragePath,
    how: RenameMode,
) -> Result<Option<Metadata>, Errno> {
    let (from, to) = (root.place(from)?, root.place(to)?);
    match rename_place(&from, &to, how) {
        Err(Errno::XDEV) => move_across(&from, &to, how),
        result => result,
    }
}

fn rename_place(
    from: &root::Place<'_>,
    to: &root::Place<'_>,
    how: RenameMode,
) -> Result<Option<Metadata>, Errno> {
    let from = (from.directory.as_fd(), &from.name[..]);
    let to = (to.directory.as_fd(), &to.name[..]);
    rename_only(how.kinds, from, to, |from| {
        if how.replace {
            return atomic::rename_replacing(from, to);
        }
        rename_without_replacing(from, to).map(|()| None)
    })
}

fn rename_without_replacing(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            result => return result,
        }
    }
    require_absent(to)?;
    renameat(from.0, from.1, to.0, to.1)
}

fn require_absent((directory, name): Name<'_>) -> Result<(), Errno> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A rename between two file systems mounted beneath the root: regular files
/// are copied, anything else stays where it is.
fn move_across(
    from: &root::Place<'_>,
    to: &root::Place<'_>,
    how: RenameMode,
) -> Result<Option<Metadata>, Errno> {
    if !how.kinds.files {
        return Err(Errno::OPNOTSUPP);
    }
    if !how.replace {
        require_absent((to.directory.as_fd(), &to.name))?;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | CAREFULLY;
    let source = openat(&from.directory, &from.name[..], flags, Mode::empty())?;
    if require_regular(&fstat(&source)?).is_err() {
        return Err(Errno::OPNOTSUPP);
    }
    let replaced = atomic::copy_into_place(&source, to.directory.as_fd(), &to.name)?;
    unlinkat(&from.directory, &from.name[..], AtFlags::empty())?;
    Ok(replaced)
}
