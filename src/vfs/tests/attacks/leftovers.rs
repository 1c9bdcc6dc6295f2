//! What stays behind when the removal at the end of a round is refused. It is cleared away
//! now and then, so that the last rounds list no more than the first.

use rustix::fs::{AtFlags, Dir, fstat, unlinkat};

use super::*;

/// Rounds between two times of tidying up.
const ROUNDS_BETWEEN: usize = 256;

const BENEATH: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes the leftovers of earlier rounds directly in `roots` and in the directories
/// there, but never in `guarded`. No link is followed.
pub fn clear(round: usize, roots: &[&Path], guarded: &Path) {
    if round == 0 || !round.is_multiple_of(ROUNDS_BETWEEN) {
        return;
    }
    let guarded = std::fs::symlink_metadata(guarded).unwrap().ino();
    for root in roots {
        let Ok(root) = openat(CWD, *root, BENEATH, Mode::empty()) else { continue };
        clear_in(&root, guarded);
        for name in names(&root) {
            let Ok(dir) = openat(&root, name.as_c_str(), BENEATH, Mode::empty()) else { continue };
            clear_in(&dir, guarded);
        }
    }
}

fn clear_in(dir: &OwnedFd, guarded: u64) {
    if fstat(dir).unwrap().st_ino == guarded {
        return;
    }
    for name in names(dir).iter().filter(|name| has_number(name.to_bytes())) {
        remove(dir, name);
    }
}

/// Whether a round has made it: `12`, `new-12`; and what an upload is called until then.
fn has_number(name: &[u8]) -> bool {
    let number = name.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_number || name.starts_with(b".sftpgo-upload.")
}

fn remove(dir: &OwnedFd, name: &std::ffi::CStr) {
    if unlinkat(dir, name, AtFlags::empty()).is_ok() {
        return;
    }
    if let Ok(inside) = openat(dir, name, BENEATH, Mode::empty()) {
        for name in names(&inside) {
            remove(&inside, &name);
        }
    }
    let _ = unlinkat(dir, name, AtFlags::REMOVEDIR);
}

fn names(dir: &OwnedFd) -> Vec<std::ffi::CString> {
    let entries = Dir::read_from(dir).unwrap();
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned()));
    names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).collect()
}
