//! Metadata of files: from the system's form, and back when it is set.

use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Stat, StatVfsMountFlags, Timespec, Timestamps, Uid, fchmod,
    fchown, fstat, fstatvfs, ftruncate, futimens,
};
use rustix::io::Errno;

use super::root::Root;
use crate::paths::StoragePath;
use crate::storage::{
    FileKind, FileTime, Metadata, OWNER_UNCHANGED, ObjectId, SetAttributes, Space,
};

/// Whether the file system is one that this machine keeps by itself: it may be slow,
/// but it does not wait for a network or another process. Unknown ones are taken for
/// remote.
#[cfg(target_os = "linux")]
pub(super) fn is_on_local_disk(directory: impl AsFd) -> bool {
    // constant: the magic numbers of statfs(2): ext2-4, XFS, Btrfs, F2FS, ZFS, bcachefs,
    // overlayfs, tmpfs, ramfs.
    const LOCAL: [u64; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0xca45_1a4e,
        0x794c_7630,
        0x0102_1994,
        0x8584_58f6,
    ];
    rustix::fs::fstatfs(directory)
        .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|magic| LOCAL.contains(&magic)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_on_local_disk(_directory: impl AsFd) -> bool {
    false
}

pub(super) fn kind(mode: u32) -> FileKind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

pub(super) fn metadata(stat: &Stat) -> Metadata {
    let kind = kind(stat.st_mode);
    Metadata {
        kind,
        size: match kind {
            FileKind::Directory => 0,
            _ => size(stat),
        },
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: count(stat.st_nlink),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        id: Some(id(stat)),
    }
}

pub(super) fn id(stat: &Stat) -> ObjectId {
    // Only compared, so a sign that some systems give their numbers is no matter.
    ObjectId { device: wide(stat.st_dev), number: wide(stat.st_ino) }
}

fn wide<N: Copy + TryInto<u64> + TryInto<i64>>(number: N) -> u64 {
    TryInto::<u64>::try_into(number)
        .or_else(|_| TryInto::<i64>::try_into(number).map(i64::cast_unsigned))
        .unwrap_or(u64::MAX)
}

pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// As wide as the widest system has it.
fn count(links: impl Into<u64>) -> u64 {
    links.into()
}

fn time(secs: impl TryInto<i64>, nanos: impl TryInto<u32>) -> FileTime {
    FileTime { secs: secs.try_into().unwrap_or(0), nanos: nanos.try_into().unwrap_or(0) }
}

/// Refuses everything but regular files: reading a pipe or device could block
/// for ever or do something to hardware.
pub(super) fn require_regular(stat: &Stat) -> Result<(), Errno> {
    match kind(stat.st_mode) {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(Errno::ISDIR),
        FileKind::Symlink => Err(Errno::LOOP),
        FileKind::Other => Err(Errno::NXIO),
    }
}

/// Gives a file its owner, if we may, and exactly this mode whatever the umask
/// or default ACL made of it. The owner first: changing it clears mode bits.
pub(super) fn set_owner_and_mode(
    fd: impl AsFd,
    owner: Option<(u32, u32)>,
    mode: u32,
) -> Result<Stat, Errno> {
    let fd = fd.as_fd();
    let mut stat = fstat(fd)?;
    if let Some((uid, gid)) = owner
        && is_root()
    {
        let differs = |wanted, is| wanted != OWNER_UNCHANGED && wanted != is;
        if differs(uid, stat.st_uid) || differs(gid, stat.st_gid) {
            fchown(fd, self::uid(uid), self::gid(gid))?;
            stat = fstat(fd)?;
        }
    }
    if stat.st_mode & 0o7777 != mode & 0o7777 {
        fchmod(fd, permission_bits(mode))?;
        stat.st_mode = (stat.st_mode & !0o7777) | (mode & 0o7777);
    }
    Ok(stat)
}

/// The mode of a file whose content somebody else now writes: what ran as its owner does
/// not go on to. The system sees to that itself, but not for root.
pub(super) fn mode_of_rewritten(stat: &Stat) -> u32 {
    stat.st_mode & 0o1777
}

/// Gives an open file that mode before its content changes.
pub(super) fn prepare_rewriting(fd: impl AsFd, stat: &Stat) -> Result<(), Errno> {
    if stat.st_mode & 0o6000 == 0 {
        return Ok(());
    }
    match fchmod(fd, permission_bits(mode_of_rewritten(stat))) {
        // Not ours, so we are not root.
        Err(Errno::PERM) => Ok(()),
        result => result,
    }
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(super) fn permission_bits(mode: u32) -> Mode {
    Mode::from_bits_truncate(mode & 0o7777)
}

pub(super) fn uid(raw: u32) -> Option<Uid> {
    (raw != OWNER_UNCHANGED).then(|| Uid::from_raw(raw))
}

pub(super) fn gid(raw: u32) -> Option<Gid> {
    (raw != OWNER_UNCHANGED).then(|| Gid::from_raw(raw))
}

/// On an open file. Size, owner, mode, times, in this order: each later one is
/// disturbed by an earlier one. Metadata from before.
pub(super) fn apply(fd: impl AsFd, attributes: &SetAttributes) -> Result<Metadata, Errno> {
    let fd = fd.as_fd();
    let before = fstat(fd)?;
    if let Some(size) = attributes.size {
        require_regular(&before)?;
        if i64::try_from(size).is_err() {
            return Err(Errno::FBIG);
        }
        prepare_rewriting(fd, &before)?;
        ftruncate(fd, size)?;
    }
    if let Some((uid, gid)) = attributes.owner {
        fchown(fd, self::uid(uid), self::gid(gid))?;
    }
    if let Some(mode) = attributes.mode {
        fchmod(fd, permission_bits(mode))?;
    }
    if let Some(times) = attributes.times {
        futimens(fd, &timestamps(times))?;
    }
    Ok(metadata(&before))
}

/// On a path, through links that stay beneath the root.
pub(super) fn apply_at(
    root: &Root,
    path: &StoragePath,
    attributes: &SetAttributes,
) -> Result<Metadata, Errno> {
    use rustix::fs::OFlags;
    if attributes.size.is_some() {
        // Only this needs the right to write.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = root.open(path, flags, Mode::empty())?;
        return apply(&file, attributes);
    }
    apply_to_object(root, path, attributes)
}

/// Linux can name an object without opening it for reading, so a file whose
/// mode is 0 can be given another one; special files are not disturbed.
#[cfg(target_os = "linux")]
fn apply_to_object(
    root: &Root,
    path: &StoragePath,
    attributes: &SetAttributes,
) -> Result<Metadata, Errno> {
    use rustix::fs::{OFlags, chmodat, chownat, utimensat};
    let object = root.open(path, OFlags::PATH, Mode::empty())?;
    let before = fstat(&object)?;
    // An O_PATH descriptor takes no fchmod; its entry in /proc leads to exactly
    // this object, without any name being resolved again.
    let entry = format!("/proc/self/fd/{}", object.as_fd().as_raw_fd());
    if let Some((uid, gid)) = attributes.owner {
        chownat(&object, c"", self::uid(uid), self::gid(gid), AtFlags::EMPTY_PATH)?;
    }
    if let Some(mode) = attributes.mode {
        chmodat(CWD, &entry, permission_bits(mode), AtFlags::empty())?;
    }
    if let Some(times) = attributes.times {
        utimensat(CWD, &entry, &timestamps(times), AtFlags::empty())?;
    }
    Ok(metadata(&before))
}

#[cfg(not(target_os = "linux"))]
fn apply_to_object(
    root: &Root,
    path: &StoragePath,
    attributes: &SetAttributes,
) -> Result<Metadata, Errno> {
    use rustix::fs::OFlags;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let object = match root.open(path, OFlags::RDONLY | flags, Mode::empty()) {
        Err(Errno::ACCESS) => root.open(path, OFlags::WRONLY | flags, Mode::empty())?,
        other => other?,
    };
    apply(&object, attributes)
}

fn timestamps((accessed, modified): (FileTime, FileTime)) -> Timestamps {
    let spec = |time: FileTime| Timespec {
        tv_sec: time.secs,
        tv_nsec: time.nanos.min(999_999_999).into(),
    };
    Timestamps { last_access: spec(accessed), last_modification: spec(modified) }
}

/// What the file system that holds `path` has.
pub(super) fn space(root: &Root, path: &StoragePath) -> Result<Space, Errno> {
    use rustix::fs::OFlags;
    #[cfg(target_os = "linux")]
    let flags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let object = root.open(path, flags, Mode::empty())?;
    let found = fstatvfs(&object)?;
    Ok(Space {
        block_size: found.f_bsize,
        fragment_size: found.f_frsize,
        blocks: found.f_blocks,
        blocks_free: found.f_bfree,
        blocks_available: found.f_bavail,
        files: found.f_files,
        files_free: found.f_ffree,
        files_available: found.f_favail,
        filesystem_id: found.f_fsid,
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        name_max: found.f_namemax,
    })
}
