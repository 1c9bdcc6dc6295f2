//! Uploads that appear at once: a temporary file that becomes the target.
//!
//! The temporary file is `.sftpgo-upload.<32 hex digits>.<name>` next to the
//! target or in `common.temp_path`. The old target stays untouched until the
//! rename. While it is written the file carries an advisory lock, which ends
//! with the process: an unlocked one was left behind by a crash.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Stat, fcntl_getfl, fcntl_setfl, flock, fstat, openat,
    renameat, statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::attributes::{self, is_root, require_regular, set_owner_and_mode, size};
use super::extent;
use super::root::Place;
use crate::storage::{FileKind, Metadata, SetAttributes, WriteMode};

const PREFIX: &[u8] = b".sftpgo-upload.";
const UNIQUE_DIGITS: usize = 32;
/// The longest name that common file systems take, in bytes.
const NAME_MAX: usize = 255;

/// A file on its way to becoming `target_name` in `target`.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: OwnedFd,
    name: Vec<u8>,
    /// Where the target is, when that is another directory than the temporary file's.
    elsewhere: Option<OwnedFd>,
    /// That directory is on another file system: becoming the target takes a copy.
    must_copy: bool,
    target_name: Vec<u8>,
}

/// What [`create`] made.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) file: OwnedFd,
    pub(super) temporary: Temporary,
    /// The target that is there already.
    pub(super) replaces: Option<Metadata>,
}

/// Makes the temporary file for `place`, with the old bytes when the upload
/// continues an existing file. `temp_directory` is `common.temp_path`.
/// `cancelled` ends the copying early.
pub(super) fn create(
    place: Place<'_>,
    temp_directory: Option<BorrowedFd<'_>>,
    how: &WriteMode,
    cancelled: &AtomicBool,
) -> Result<Created, Errno> {
    let old = existing(&place)?;
    match &old {
        Some(_) if how.create && how.exclusive => return Err(Errno::EXIST),
        Some(stat) if how.replace_link && is_link(stat) => {}
        Some(stat) => require_regular(stat)?,
        None if !how.create => return Err(Errno::NOENT),
        None => {}
    }
    let Place { directory: target_directory, name: target_name } = place;
    let target_directory = target_directory.into_owned()?;
    let (directory, elsewhere) = match temp_directory {
        Some(other) => (rustix::io::fcntl_dupfd_cloexec(other, 0)?, Some(target_directory)),
        None => (target_directory, None),
    };
    // A link has no content to continue with, and no mode of its own.
    let rewritten = old.as_ref().filter(|stat| !is_link(stat));
    let continues = rewritten.is_some() && !how.truncate;
    let access = if how.read || continues { OFlags::RDWR } else { OFlags::WRONLY };
    let (file, name) = create_unique(&directory, &target_name, access)?;
    let must_copy = match &elsewhere {
        Some(target) => fstat(target)?.st_dev != fstat(&file)?.st_dev,
        None => false,
    };
    let temporary = Temporary { directory, name, elsewhere, must_copy, target_name };
    let prepare = || {
        let (owner, mode) = match rewritten {
            Some(stat) => (Some((stat.st_uid, stat.st_gid)), attributes::mode_of_rewritten(stat)),
            None => (how.owner, how.mode),
        };
        set_owner_and_mode(&file, owner, mode)?;
        if continues {
            let old = openat(
                temporary.target_directory(),
                &temporary.target_name[..],
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            require_regular(&fstat(&old)?)?;
            copy_content(&old, &file, cancelled)?;
        }
        if how.append {
            // Only now: the kernel copies into no file that is open for appending.
            fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::APPEND)?;
        }
        Ok(())
    };
    if let Err(error) = prepare() {
        temporary.remove();
        return Err(error);
    }
    let replaces = old.as_ref().map(attributes::metadata);
    Ok(Created { file, temporary, replaces })
}

fn is_link(stat: &Stat) -> bool {
    attributes::kind(stat.st_mode) == FileKind::Symlink
}

fn existing(place: &Place<'_>) -> Result<Option<Stat>, Errno> {
    match statat(&place.directory, &place.name[..], AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn create_unique(
    directory: &OwnedFd,
    target_name: &[u8],
    access: OFlags,
) -> Result<(OwnedFd, Vec<u8>), Errno> {
    let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut longest = NAME_MAX;
    loop {
        let name = temporary_name(target_name, longest);
        match openat(directory, &name[..], flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => {
                // For whoever looks for left-overs; not all file systems can.
                let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
                return Ok((file, name));
            }
            // A file system with shorter names: leave the target's name out.
            Err(Errno::NAMETOOLONG) if longest > 0 => longest = 0,
            Err(error) => return Err(error),
        }
    }
}

/// Unique, recognisable, and as much of the target's name as fits into `longest`.
fn temporary_name(target_name: &[u8], longest: usize) -> Vec<u8> {
    let mut name = PREFIX.to_vec();
    name.extend_from_slice(uuid::Uuid::new_v4().simple().to_string().as_bytes());
    let room = longest.saturating_sub(name.len() + 1);
    let mut keep = target_name.len().min(room);
    // Not through the middle of a character: some file systems insist on UTF-8.
    while keep > 0 && keep < target_name.len() && target_name[keep] & 0xC0 == 0x80 {
        keep -= 1;
    }
    if keep > 0 {
        name.push(b'.');
        name.extend_from_slice(&target_name[..keep]);
    }
    name
}

/// True for the names that [`create`] gives.
pub(super) fn is_temporary_name(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    rest.len() >= UNIQUE_DIGITS
        && rest[..UNIQUE_DIGITS].iter().all(u8::is_ascii_hexdigit)
        && matches!(rest.get(UNIQUE_DIGITS), None | Some(b'.'))
}

impl Temporary {
    /// Whether [`Temporary::publish`] takes as long as copying the file.
    pub(super) fn must_copy(&self) -> bool {
        self.must_copy
    }

    fn target_directory(&self) -> BorrowedFd<'_> {
        self.elsewhere.as_ref().unwrap_or(&self.directory).as_fd()
    }

    /// What is at the target now. Not offloaded: the directory is open, and the
    /// name was asked for before.
    pub(super) fn replaceable(&self) -> Result<Option<Metadata>, Errno> {
        match look((self.target_directory(), &self.target_name)) {
            Ok(there) => Ok(Some(attributes::metadata(&there))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the file the target. Gives the file that was there.
    pub(super) fn publish(&self, file: &OwnedFd) -> Result<Option<Metadata>, Errno> {
        let target = self.target_directory();
        match publish_replacing((self.directory.as_fd(), &self.name), (target, &self.target_name)) {
            // `temp_path` is on another file system, against its documentation.
            Err(Errno::XDEV) => {
                let replaced = copy_into_place(file, target, &self.target_name)?;
                self.remove();
                Ok(replaced)
            }
            result => result,
        }
    }

    /// A file that nobody will miss: errors are of no use to anybody.
    pub(super) fn remove(&self) {
        let _ = unlinkat(&self.directory, &self.name[..], AtFlags::empty());
    }
}

/// A name in an open directory.
pub(super) type Name<'n> = (BorrowedFd<'n>, &'n [u8]);

fn look((directory, name): Name<'_>) -> Result<Stat, Errno> {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Renames, taking the place of a file, which is the result. Somebody who
/// replaces the target between two calls of ours makes that result stale.
pub(super) fn rename_replacing(from: Name<'_>, to: Name<'_>) -> Result<Option<Metadata>, Errno> {
    // Usually nothing is there, and then one call is all.
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(None),
            // Taken, or a kernel or file system without this flag.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    let source = look(from)?;
    let replaced = match look(to) {
        // Two names of one object: the system does nothing.
        Ok(target) if attributes::id(&target) == attributes::id(&source) => return Ok(None),
        Ok(target) if attributes::kind(target.st_mode) == FileKind::Directory => {
            return Err(Errno::ISDIR);
        }
        Ok(target) => Some(attributes::metadata(&target)),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(error),
    };
    renameat(from.0, from.1, to.0, to.1)?;
    Ok(replaced)
}

/// As [`rename_replacing`] for a file that only we know, and with an exact
/// result also when two uploads are ready at the same moment: quota is counted
/// from it. The target changes in one step; the old file then has our name.
fn publish_replacing(from: Name<'_>, to: Name<'_>) -> Result<Option<Metadata>, Errno> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        // The target may come and go, but not for ever.
        const ROUNDS: u32 = 16;
        let rename = |flags| renameat_with(from.0, from.1, to.0, to.1, flags);
        for _ in 0..ROUNDS {
            match rename(RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(None),
                Err(Errno::EXIST) => {}
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
                Err(error) => return Err(error),
            }
            match rename(RenameFlags::EXCHANGE) {
                Ok(()) => {}
                Err(Errno::NOENT) => continue,
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
                Err(error) => return Err(error),
            }
            let replaced = look(from)?;
            if attributes::kind(replaced.st_mode) == FileKind::Directory {
                // It became one since the upload began: back.
                rename(RenameFlags::EXCHANGE)?;
                return Err(Errno::ISDIR);
            }
            unlinkat(from.0, from.1, AtFlags::empty())?;
            return Ok(Some(attributes::metadata(&replaced)));
        }
    }
    rename_replacing(from, to)
}

/// Copies `source` next to its target on another file system and renames it
/// there. Gives the file that was there.
pub(super) fn copy_into_place(
    source: impl AsFd,
    directory: BorrowedFd<'_>,
    name: &[u8],
) -> Result<Option<Metadata>, Errno> {
    let source = source.as_fd();
    let directory = rustix::io::fcntl_dupfd_cloexec(directory, 0)?;
    let (file, temporary_name) = create_unique(&directory, name, OFlags::WRONLY)?;
    let copy = || {
        let stat = fstat(source)?;
        copy_readable(source, &file)?;
        let owner = is_root().then_some((stat.st_uid, stat.st_gid));
        set_owner_and_mode(&file, owner, stat.st_mode & 0o7777)?;
        let metadata = attributes::metadata(&stat);
        let times = Some((metadata.accessed, metadata.modified));
        attributes::apply(&file, &SetAttributes { times, ..Default::default() })?;
        publish_replacing((directory.as_fd(), &temporary_name), (directory.as_fd(), name))
    };
    copy().inspect_err(|_| {
        let _ = unlinkat(&directory, &temporary_name[..], AtFlags::empty());
    })
}

/// The upload's descriptor may be write-only; its content is read through a new one.
fn copy_readable(source: BorrowedFd<'_>, target: &OwnedFd) -> Result<(), Errno> {
    let never = AtomicBool::new(false);
    match copy_content(source, target, &never) {
        #[cfg(target_os = "linux")]
        Err(Errno::BADF) => {
            use rustix::fd::AsRawFd;
            let again = rustix::fs::open(
                format!("/proc/self/fd/{}", source.as_raw_fd()),
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            copy_content(&again, target, &never)
        }
        result => result,
    }
}

/// All bytes of `source` into the empty `target`: shared blocks where the file
/// system can, else copied within the kernel, else by hand.
fn copy_content(source: impl AsFd, target: impl AsFd, cancelled: &AtomicBool) -> Result<(), Errno> {
    const STEP: usize = 16 * 1024 * 1024;
    let (source, target) = (source.as_fd(), target.as_fd());
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{copy_file_range, ioctl_ficlone};
        if ioctl_ficlone(target, source).is_ok() {
            return Ok(());
        }
        let (mut from, mut to) = (0, 0);
        loop {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Errno::CANCELED);
            }
            let step = || copy_file_range(source, Some(&mut from), target, Some(&mut to), STEP);
            match retry_on_intr(step) {
                Ok(0) => break,
                Ok(_) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
                Err(error) => return Err(error),
            }
        }
        if from >= size(&fstat(source)?) {
            return Ok(());
        }
    }
    let mut at = 0;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Errno::CANCELED);
        }
        let piece = extent::read_waiting(source, at, STEP)?;
        if piece.is_empty() {
            return Ok(());
        }
        extent::write_all(target, at, &piece, false)?;
        at += piece.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_fit_whatever_the_target_is_called() {
        let long = vec![b'x'; 255];
        let multibyte = "ü".repeat(127);
        for target in [&b"a"[..], b"report.pdf", &long, multibyte.as_bytes(), b"\xff\xfe"] {
            let name = temporary_name(target, NAME_MAX);
            assert!(name.len() <= NAME_MAX);
            assert!(is_temporary_name(&name));
            assert_eq!(std::str::from_utf8(&name).is_ok(), std::str::from_utf8(target).is_ok());
        }
        let name = temporary_name(b"report.pdf", NAME_MAX);
        assert!(name.ends_with(b".report.pdf"), "{}", String::from_utf8_lossy(&name));
        assert!(is_temporary_name(&temporary_name(b"report.pdf", 0)));
    }

    #[test]
    fn only_our_own_names_are_recognised() {
        for name in [
            &b".sftpgo-upload."[..],
            b".sftpgo-upload.file",
            b".sftpgo-upload.0123456789abcdef.x",
            b"x.sftpgo-upload.0123456789abcdef0123456789abcdef.x",
            b".sftpgo-upload.0123456789abcdef0123456789abcdefx",
        ] {
            assert!(!is_temporary_name(name), "{}", String::from_utf8_lossy(name));
        }
    }
}
