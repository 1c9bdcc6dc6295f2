//! What the kernel keeps a program from, whatever it is made to do: Landlock.
//!
//! rsync and git have had many ways to be led out of the directory they were given. So
//! before one starts, it gives up everything it does not need: it can reach its own
//! libraries, and the one directory or file that was allowed; execute nothing but itself;
//! make no devices; and open no TCP connection. Changing user comes on top of it, where
//! accounts have users.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
};

/// Renaming between directories can be allowed since this version (Linux 5.19), and git
/// cannot do without.
const NEEDED: ABI = ABI::V2;

/// The newest that is used where the kernel has it.
const WANTED: ABI = ABI::V5;

/// Where programs find their libraries and their data.
const READABLE: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// Whether this kernel can confine programs.
pub fn is_available() -> bool {
    let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    strict.handle_access(AccessFs::from_all(NEEDED)).and_then(Ruleset::create).is_ok()
}

/// What a program needs.
pub struct Needs<'n> {
    /// It, and what it executes in turn: files, or directories of programs.
    pub programs: &'n [PathBuf],
    /// What it works on: directories with everything below, or single files.
    pub places: &'n [BorrowedFd<'n>],
}

/// Everything not needed, given up by [`RulesetCreated::restrict_self`] in the new
/// process.
pub fn prepare(needs: &Needs<'_>) -> io::Result<RulesetCreated> {
    let failed = |error: RulesetError| io::Error::other(error);
    let everything = AccessFs::from_all(WANTED);
    let mut rules = Ruleset::default()
        .handle_access(everything)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let allow = |rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>| {
        match PathFd::new(path) {
            Ok(place) => rules.add_rule(PathBeneath::new(place, access)).map_err(failed),
            // Not every system has all of them.
            Err(_) => Ok(rules),
        }
    };
    for path in READABLE {
        rules = allow(rules, Path::new(path), reading)?;
    }
    rules = allow(rules, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    for program in needs.programs {
        rules = allow(rules, program, reading | AccessFs::Execute)?;
        if let Some(interpreter) = interpreter(program) {
            rules = allow(rules, &interpreter, reading | AccessFs::Execute)?;
        }
    }
    let working = everything
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    for place in needs.places {
        rules = rules.add_rule(PathBeneath::new(place, working)).map_err(failed)?;
    }
    Ok(rules)
}

/// The dynamic linker that an ELF program names, which the kernel executes as well.
fn interpreter(program: &Path) -> Option<PathBuf> {
    const PT_INTERP: u64 = 3;
    let mut file = std::fs::File::open(program).ok()?;
    let mut header = [0; 64];
    file.read_exact(&mut header).ok()?;
    // 64 bits and little-endian, as all that Landlock is likely to meet.
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = number(&header, 32, 8)?;
    let (size, count) = (number(&header, 54, 2)?, number(&header, 56, 2)?);
    for at in 0..count {
        file.seek(SeekFrom::Start(table.checked_add(at.checked_mul(size)?)?)).ok()?;
        let mut entry = [0; 56];
        file.read_exact(&mut entry).ok()?;
        if number(&entry, 0, 4)? == PT_INTERP {
            file.seek(SeekFrom::Start(number(&entry, 8, 8)?)).ok()?;
            let mut path = vec![0; usize::try_from(number(&entry, 32, 8)?.min(4096)).ok()?];
            file.read_exact(&mut path).ok()?;
            let path = path.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(std::str::from_utf8(path).ok()?));
        }
    }
    None
}

/// A little-endian number of `len` bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_of_a_program_is_found() {
        let own = std::env::current_exe().unwrap();
        let found = interpreter(&own).unwrap();
        assert!(found.is_absolute() && found.exists(), "{}", found.display());
        assert_eq!(interpreter(Path::new("/etc/passwd")), None);
        assert_eq!(interpreter(Path::new("/nonexistent")), None);
    }
}
