//! The directory that a storage is confined to, and places beneath it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, readlinkat};
use rustix::io::Errno;

use super::beneath::{self, DIRECTORY, Resolve};
use crate::paths::StoragePath;

/// An open directory and the way to resolve paths beneath it.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    resolver: Box<dyn Resolve>,
}

/// A directory beneath the root; the root itself is not opened twice.
#[derive(Debug)]
pub(super) enum Directory<'r> {
    Root(BorrowedFd<'r>),
    Below(OwnedFd),
}

impl AsFd for Directory<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

impl Directory<'_> {
    /// To keep longer than the borrow of the root.
    pub(super) fn into_owned(self) -> Result<OwnedFd, Errno> {
        match self {
            Self::Root(fd) => rustix::io::fcntl_dupfd_cloexec(fd, 0),
            Self::Below(fd) => Ok(fd),
        }
    }
}

/// A name in an open directory. Calls with both reach this name in this
/// directory, whatever happens to the path that led here.
#[derive(Debug)]
pub(super) struct Place<'r> {
    pub(super) directory: Directory<'r>,
    /// One component: no slash, neither `.` nor `..`.
    pub(super) name: Vec<u8>,
}

impl Root {
    pub(super) fn new(fd: OwnedFd, resolver: Box<dyn Resolve>) -> Self {
        Self { fd, resolver }
    }

    /// The same directory, with paths on which no link is followed.
    pub(super) fn without_links(&self) -> Result<Self, Errno> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        let resolver = beneath::best_without_links(fd.as_fd());
        Ok(Self { fd, resolver })
    }

    /// Where `path` leads: see [`crate::storage::Storage::real_path`].
    pub(super) fn real_path(
        &self,
        path: &StoragePath,
        follow_last: bool,
    ) -> Result<StoragePath, Errno> {
        beneath::real_path(self.fd.as_fd(), path.as_bytes(), follow_last).map(StoragePath::new)
    }

    /// Opens what `path` names, following links that stay beneath the root
    /// unless `flags` hold `NOFOLLOW`.
    pub(super) fn open(
        &self,
        path: &StoragePath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let bytes = if path.is_root() { b"." } else { path.as_bytes() };
        self.open_raw(bytes, flags, mode)
    }

    fn open_raw(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.resolver.open(self.fd.as_fd(), path, flags | OFlags::CLOEXEC, mode)
    }

    /// The directory that holds `path`, and its name there. The root has no
    /// such place: `BUSY`, as the kernel says for the root of everything.
    pub(super) fn place(&self, path: &StoragePath) -> Result<Place<'_>, Errno> {
        if path.is_root() {
            return Err(Errno::BUSY);
        }
        let parent = path.parent();
        Ok(Place { directory: self.directory(parent.as_bytes())?, name: path.file_name().to_vec() })
    }

    /// As [`Root::place`], but when the name is a link, the place that it leads
    /// to in the end, which need not exist.
    pub(super) fn place_behind_links(&self, path: &StoragePath) -> Result<Place<'_>, Errno> {
        const MAX_LINKS: u32 = 40;
        let mut place = self.place(path)?;
        let mut parent = path.parent().as_bytes().to_vec();
        for _ in 0..MAX_LINKS {
            let target = match readlinkat(&place.directory, &place.name[..], Vec::new()) {
                Ok(_) if !self.resolver.follows_links() => return Err(Errno::LOOP),
                Ok(target) => target.into_bytes(),
                Err(Errno::INVAL | Errno::NOENT) => return Ok(place),
                Err(error) => return Err(error),
            };
            if target.starts_with(b"/") {
                return Err(Errno::XDEV);
            }
            // The kernel resolves `..` in what follows, not we: the parent may
            // itself be reached through links.
            let (directory, name) = match target.iter().rposition(|byte| *byte == b'/') {
                Some(cut) => (&target[..cut], &target[cut + 1..]),
                None => (&b""[..], &target[..]),
            };
            if matches!(name, b"" | b"." | b"..") {
                return Err(Errno::ISDIR);
            }
            if !directory.is_empty() {
                if !parent.is_empty() {
                    parent.push(b'/');
                }
                parent.extend_from_slice(directory);
            }
            place = Place { directory: self.directory(&parent)?, name: name.to_vec() };
        }
        Err(Errno::LOOP)
    }

    fn directory(&self, path: &[u8]) -> Result<Directory<'_>, Errno> {
        if path.is_empty() {
            return Ok(Directory::Root(self.fd.as_fd()));
        }
        self.open_raw(path, DIRECTORY, Mode::empty()).map(Directory::Below)
    }
}
