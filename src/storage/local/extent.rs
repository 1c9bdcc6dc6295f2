//! Reading and writing whole extents of an open file.

use std::sync::atomic::{AtomicU8, Ordering};

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::fstat;
use rustix::io::{Errno, pread, pwrite, retry_on_intr, write};

use super::attributes::size;

/// Positions above this are none to the system.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// How this file can be read without waiting; found out at the first try.
#[derive(Debug)]
pub(super) struct Readiness(AtomicU8);

const TRY: u8 = 0;
/// The file is in memory anyway (tmpfs), where the kernel may not know the flag.
const ALWAYS: u8 = 1;
const NEVER: u8 = 2;

impl Readiness {
    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(TRY))
    }

    /// All of `buf`, or up to the end of the file; `None` if that would wait.
    pub(super) fn read(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        buf: &mut [u8],
    ) -> Option<Result<usize, Errno>> {
        if offset > MAX_OFFSET {
            return Some(Ok(0));
        }
        loop {
            match self.0.load(Ordering::Relaxed) {
                ALWAYS => return Some(read_into(file, offset, buf)),
                NEVER => return None,
                _ => {}
            }
            match read_cached(file, offset, buf) {
                Ok(count) if count == buf.len() => return Some(Ok(count)),
                // The file ends here, or the rest is not cached. (Linux 5.9 and
                // 5.10 also say 0 for the latter.)
                Ok(count) => {
                    let end = fstat(file).map(|stat| size(&stat)).unwrap_or(u64::MAX);
                    return (offset.saturating_add(count as u64) >= end).then_some(Ok(count));
                }
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    let found = if is_in_memory(file) { ALWAYS } else { NEVER };
                    self.0.store(found, Ordering::Relaxed);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn read_cached(file: BorrowedFd<'_>, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut slices = [std::io::IoSliceMut::new(buf)];
    preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT)
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: BorrowedFd<'_>, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

#[cfg(target_os = "linux")]
fn is_in_memory(file: BorrowedFd<'_>) -> bool {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(TMPFS_MAGIC))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: BorrowedFd<'_>) -> bool {
    false
}

fn read_into(file: BorrowedFd<'_>, offset: u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buf.len() {
        let at = offset.saturating_add(done as u64);
        match retry_on_intr(|| pread(file, &mut buf[done..], at))? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Up to `len` bytes, fewer only at the end of the file. May wait for the disk.
pub(super) fn read_waiting(file: impl AsFd, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let file = file.as_fd();
    // Never reserve more than there is to read, whatever the caller asked for.
    let left = size(&fstat(file)?).saturating_sub(offset);
    let len = len.min(usize::try_from(left).unwrap_or(usize::MAX));
    let mut buf = Vec::with_capacity(len);
    while buf.len() < len {
        let at = offset.saturating_add(buf.len() as u64);
        if retry_on_intr(|| pread(file, spare_capacity(&mut buf), at))? == 0 {
            break;
        }
    }
    // The vector may have had more room than was asked for.
    buf.truncate(len);
    hint_next(file, offset.saturating_add(buf.len() as u64));
    Ok(buf)
}

/// The next reads should find their data in the page cache, so that they need
/// not come here: most files are read from start to end.
#[cfg(target_os = "linux")]
fn hint_next(file: BorrowedFd<'_>, offset: u64) {
    use rustix::fs::{Advice, fadvise};
    const READ_AHEAD: std::num::NonZeroU64 = std::num::NonZeroU64::new(1024 * 1024).unwrap();
    let _ = fadvise(file, offset, Some(READ_AHEAD), Advice::WillNeed);
}

#[cfg(not(target_os = "linux"))]
fn hint_next(_: BorrowedFd<'_>, _: u64) {}

/// Up to `len` bytes from one file to the same place in another, as shared blocks
/// where the file system can: how many; `None` where it cannot or the source ends.
#[cfg(target_os = "linux")]
pub(super) fn copy_within_kernel(
    source: impl AsFd,
    target: impl AsFd,
    offset: u64,
    len: u64,
) -> Result<Option<u64>, Errno> {
    let (mut from, mut to) = (offset, offset);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut copy =
        || rustix::fs::copy_file_range(&source, Some(&mut from), &target, Some(&mut to), len);
    match retry_on_intr(&mut copy) {
        Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
        Ok(count) => Ok(Some(count as u64)),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn copy_within_kernel(
    _: impl AsFd,
    _: impl AsFd,
    _: u64,
    _: u64,
) -> Result<Option<u64>, Errno> {
    Ok(None)
}

/// All of `data` at `offset`, or at the end of a file opened for appending.
pub(super) fn write_all(
    file: impl AsFd,
    offset: u64,
    data: &[u8],
    appends: bool,
) -> Result<(), Errno> {
    let file = file.as_fd();
    if offset.checked_add(data.len() as u64).is_none_or(|end| end > MAX_OFFSET) {
        return Err(Errno::FBIG);
    }
    let mut done = 0;
    while done < data.len() {
        let rest = &data[done..];
        let count = if appends {
            retry_on_intr(|| write(file, rest))?
        } else {
            retry_on_intr(|| pwrite(file, rest, offset + done as u64))?
        };
        if count == 0 {
            return Err(Errno::IO);
        }
        done += count;
    }
    Ok(())
}
