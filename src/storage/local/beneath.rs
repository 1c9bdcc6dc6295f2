//! How a relative path is opened so that nothing outside a directory is reached.
//!
//! Two ways with one meaning. Links are followed as long as every step stays
//! beneath the root; an absolute link, a `..` above the root and a kernel magic
//! link fail with `XDEV` or `LOOP`. Whoever swaps a directory for a link while
//! we resolve wins nothing: the answer is a file beneath the root or an error.

use std::fmt::Debug;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{Errno, retry_on_intr};

/// Directories are opened for passing through, not for reading.
#[cfg(target_os = "linux")]
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// As many links as Linux follows in one path.
const MAX_LINKS: u32 = 40;

/// A way to open paths beneath a root.
pub(super) trait Resolve: Send + Sync + Debug {
    /// False if any link is refused with `LOOP`, also one that stays beneath.
    fn follows_links(&self) -> bool {
        true
    }

    /// Opens `path`, relative to `root` and not empty (`.` is the root itself).
    /// `..` is allowed in `path` and means what the kernel means by it.
    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno>;
}

/// The best way this system has; asks the kernel once.
pub(super) fn best(root: BorrowedFd<'_>) -> Box<dyn Resolve> {
    #[cfg(target_os = "linux")]
    {
        // Old kernels say NOSYS, some sandboxes PERM.
        match OpenAt2.open(root, b".", DIRECTORY, Mode::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            _ => return Box::new(OpenAt2),
        }
    }
    let _ = root;
    Box::new(ComponentWise)
}

/// The same for paths on which no link is followed.
pub(super) fn best_without_links(root: BorrowedFd<'_>) -> Box<dyn Resolve> {
    #[cfg(target_os = "linux")]
    {
        match OpenAt2WithoutLinks.open(root, b".", DIRECTORY, Mode::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            _ => return Box::new(OpenAt2WithoutLinks),
        }
    }
    let _ = root;
    Box::new(NameWise)
}

/// Linux 5.6: the kernel checks every step in one call.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct OpenAt2;

#[cfg(target_os = "linux")]
impl Resolve for OpenAt2 {
    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        use rustix::fs::{ResolveFlags, openat2};
        // The kernel gives up with AGAIN when something anywhere was renamed
        // while it went through a `..`. A busy system does that for a while,
        // a hostile one for ever: after some rounds walk by hand.
        const ROUNDS: u32 = 32;
        for _ in 0..ROUNDS {
            match openat2(
                root,
                path,
                flags,
                mode,
                ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
            ) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        ComponentWise.open(root, path, flags, mode)
    }
}

/// As [`OpenAt2`], refusing every link.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(super) struct OpenAt2WithoutLinks;

#[cfg(target_os = "linux")]
impl Resolve for OpenAt2WithoutLinks {
    fn follows_links(&self) -> bool {
        false
    }

    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        use rustix::fs::{ResolveFlags, openat2};
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        retry_on_intr(|| openat2(root, path, flags, mode, how))
    }
}

/// As [`ComponentWise`], refusing every link.
#[derive(Debug)]
pub(super) struct NameWise;

impl Resolve for NameWise {
    fn follows_links(&self) -> bool {
        false
    }

    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let mut directory = None::<OwnedFd>;
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            let here = directory.as_ref().map_or(root, |directory| directory.as_fd());
            if name == b".." {
                return Err(Errno::XDEV);
            }
            if names.peek().is_none() {
                return match open_plain(here, name, flags, mode) {
                    // With O_PATH a link itself is opened instead of failing.
                    Ok(fd) if is_link(&fd)? && !flags.contains(OFlags::NOFOLLOW) => {
                        Err(Errno::LOOP)
                    }
                    opened => opened,
                };
            }
            directory = Some(match open_plain(here, name, DIRECTORY, Mode::empty()) {
                // What the system says of a link that shall be a directory.
                Err(Errno::NOTDIR) if link_target(here, name)?.is_some() => {
                    return Err(Errno::LOOP);
                }
                entered => entered?,
            });
        }
        Err(Errno::NOENT)
    }
}

/// Every Unix: one `openat(O_NOFOLLOW)` for each component, reading links ourselves.
#[derive(Debug)]
pub(super) struct ComponentWise;

impl Resolve for ComponentWise {
    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        // A `..` walks down again from the root and can find a changed tree.
        const ROUNDS: u32 = 32;
        for _ in 0..ROUNDS {
            match walk(root, path, flags, mode) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Where the walk is: the names that led there hold no link and no dot.
struct Position<'r> {
    root: BorrowedFd<'r>,
    names: Vec<Vec<u8>>,
    directory: Option<OwnedFd>,
}

impl Position<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_ref().map_or(self.root, |directory| directory.as_fd())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Errno> {
        let directory = open_plain(self.fd(), name, DIRECTORY, Mode::empty())?;
        self.directory = Some(directory);
        self.names.push(name.to_vec());
        Ok(())
    }

    /// One up, by walking down again: the directory may have been moved out of
    /// the root since we entered it, and then its own `..` would lead outside.
    fn leave(&mut self) -> Result<(), Errno> {
        if self.names.pop().is_none() {
            return Err(Errno::XDEV);
        }
        self.directory = None;
        for name in std::mem::take(&mut self.names) {
            self.enter(&name).map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR | Errno::NOENT => Errno::AGAIN,
                other => other,
            })?;
        }
        Ok(())
    }
}

fn walk(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let mut here = Position { root, names: Vec::new(), directory: None };
    let mut todo: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    push_components(&mut todo, path);
    while let Some(part) = todo.pop() {
        let is_last = todo.is_empty();
        match part.as_slice() {
            b"" | b"." => {}
            b".." => here.leave()?,
            name if is_last => match open_last(here.fd(), name, flags, mode)? {
                Last::Opened(fd) => return Ok(fd),
                Last::Link(target) => follow(&mut todo, &target, &mut links)?,
            },
            name => match here.enter(name) {
                Ok(()) => {}
                Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                    let target = link_target(here.fd(), name)?.ok_or(error)?;
                    follow(&mut todo, &target, &mut links)?;
                }
                Err(error) => return Err(error),
            },
        }
    }
    // The path ended in a directory that we already hold.
    openat(here.fd(), ".", flags.difference(OFlags::NOFOLLOW) | OFlags::CLOEXEC, mode)
}

/// The names that lead to where `path` ends, through no link: see
/// [`crate::storage::Storage::real_path`]. Empty for the root.
pub(super) fn real_path(
    root: BorrowedFd<'_>,
    path: &[u8],
    follow_last: bool,
) -> Result<Vec<u8>, Errno> {
    const ROUNDS: u32 = 32;
    for _ in 0..ROUNDS {
        match trace(root, path, follow_last) {
            Err(Errno::AGAIN) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

fn trace(root: BorrowedFd<'_>, path: &[u8], follow_last: bool) -> Result<Vec<u8>, Errno> {
    let mut here = Position { root, names: Vec::new(), directory: None };
    let mut todo: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    push_components(&mut todo, path);
    while let Some(part) = todo.pop() {
        let is_last = todo.is_empty();
        match part.as_slice() {
            b"" | b"." => {}
            b".." => here.leave()?,
            name if is_last => {
                let target = match link_target(here.fd(), name) {
                    Ok(target) => target.filter(|_| follow_last),
                    Err(Errno::NOENT) => None,
                    Err(error) => return Err(error),
                };
                match target {
                    Some(target) => follow(&mut todo, &target, &mut links)?,
                    None => here.names.push(name.to_vec()),
                }
            }
            name => match here.enter(name) {
                Ok(()) => {}
                Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                    let target = link_target(here.fd(), name)?.ok_or(error)?;
                    follow(&mut todo, &target, &mut links)?;
                }
                Err(error) => return Err(error),
            },
        }
    }
    Ok(here.names.join(&b'/'))
}

fn is_link(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Symlink)
}

enum Last {
    Opened(OwnedFd),
    Link(Vec<u8>),
}

fn open_last(
    directory: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<Last, Errno> {
    let follows = !flags.contains(OFlags::NOFOLLOW);
    match open_plain(directory, name, flags, mode) {
        Ok(fd) => {
            // With O_PATH a link itself is opened instead of failing.
            if follows && is_link(&fd)? {
                return match link_target(directory, name)? {
                    Some(target) => Ok(Last::Link(target)),
                    None => Err(Errno::AGAIN),
                };
            }
            Ok(Last::Opened(fd))
        }
        Err(error @ (Errno::LOOP | Errno::NOTDIR)) if follows => {
            link_target(directory, name)?.map(Last::Link).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn open_plain(
    directory: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode))
}

/// What the link says; `None` when it is no link.
fn link_target(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match readlinkat(directory, name, Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::INVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

fn follow(todo: &mut Vec<Vec<u8>>, target: &[u8], links: &mut u32) -> Result<(), Errno> {
    *links += 1;
    if *links > MAX_LINKS {
        return Err(Errno::LOOP);
    }
    if target.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    if target.is_empty() {
        return Err(Errno::NOENT);
    }
    push_components(todo, target);
    Ok(())
}

fn push_components(todo: &mut Vec<Vec<u8>>, path: &[u8]) {
    todo.extend(path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
}
