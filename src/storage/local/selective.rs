//! Renaming objects of certain kinds only.
//!
//! Who may rename files but not directories could look harmless when the name is looked
//! up, and exchange what has the name before it is renamed, with a second session: so a
//! look before is not enough, and `rename` knows no such condition. Two things do.
//!
//! * A slash behind the old name is refused by the system unless it is a directory.
//! * A thread that has given up making directories, links or files with Landlock
//!   (Linux 5.19) cannot give one a new name either, and the kernel looks at the object
//!   it is about to rename, under the locks it renames with.
//!
//! Elsewhere, what turns out to be of another kind is given its old name back. That is
//! less: for a moment it has the new one, and it keeps it if the old one is taken.

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use super::atomic::Name;
use super::{attributes, rename_without_replacing};
use crate::storage::Kinds;

/// Runs `rename`, which renames `from` to `to` and nothing else, so that it fails with
/// `ACCES` for an object that is none of `kinds`.
pub(super) fn rename_only<T: Send>(
    kinds: Kinds,
    from: Name<'_>,
    to: Name<'_>,
    rename: impl FnOnce(Name<'_>) -> Result<T, Errno> + Send,
) -> Result<T, Errno> {
    if kinds == Kinds::ALL {
        return rename(from);
    }
    // The usual answer, and a cheap one.
    require(kinds, from)?;
    if kinds == Kinds::DIRECTORIES {
        let with_slash = [from.1, b"/"].concat();
        return rename((from.0, &with_slash)).map_err(|errno| match errno {
            Errno::NOTDIR => Errno::ACCESS,
            errno => errno,
        });
    }
    #[cfg(target_os = "linux")]
    if let Some(rules) = landlocked::without(kinds) {
        return landlocked::run(rules, || rename(from));
    }
    rename_and_look(kinds, from, to, rename)
}

fn require(kinds: Kinds, (directory, name): Name<'_>) -> Result<(), Errno> {
    let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if kinds.has(attributes::kind(found.st_mode)) { Ok(()) } else { Err(Errno::ACCESS) }
}

/// What can be done without the kernel's help.
fn rename_and_look<T>(
    kinds: Kinds,
    from: Name<'_>,
    to: Name<'_>,
    rename: impl FnOnce(Name<'_>) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let renamed = rename(from)?;
    match require(kinds, to) {
        Err(Errno::ACCESS) => {
            let _ = rename_without_replacing(to, from);
            Err(Errno::ACCESS)
        }
        _ => Ok(renamed),
    }
}

#[cfg(target_os = "linux")]
mod landlocked {
    use landlock::{
        AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
        RulesetCreated, RulesetCreatedAttr, RulesetError,
    };
    use rustix::io::Errno;

    use crate::storage::Kinds;

    /// Rules under which nothing but `kinds` gets a new name; `None` where the kernel
    /// cannot do that.
    pub(super) fn without(kinds: Kinds) -> Option<RulesetCreated> {
        // From one directory into another, which every rule set forbids unless it says so.
        let everywhere = PathFd::new("/").ok()?;
        rules(given_up(kinds), everywhere).ok()
    }

    fn given_up(kinds: Kinds) -> BitFlags<AccessFs> {
        let mut given_up = BitFlags::empty();
        if !kinds.files {
            given_up |= AccessFs::MakeReg
                | AccessFs::MakeFifo
                | AccessFs::MakeSock
                | AccessFs::MakeChar
                | AccessFs::MakeBlock;
        }
        if !kinds.links {
            given_up |= AccessFs::MakeSym;
        }
        if !kinds.directories {
            given_up |= AccessFs::MakeDir;
        }
        given_up
    }

    fn rules(
        given_up: BitFlags<AccessFs>,
        everywhere: PathFd,
    ) -> Result<RulesetCreated, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(given_up | AccessFs::Refer)?
            .create()?
            .add_rule(PathBeneath::new(everywhere, AccessFs::Refer))
    }

    /// Runs `work` in a thread of its own, since rules stay with a thread for ever.
    pub(super) fn run<T: Send>(
        rules: RulesetCreated,
        work: impl FnOnce() -> Result<T, Errno> + Send,
    ) -> Result<T, Errno> {
        let confined = move || {
            rules.restrict_self().map_err(|_| Errno::ACCESS)?;
            work()
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("rename".into());
            let running = thread.spawn_scoped(scope, confined).map_err(|_| Errno::AGAIN)?;
            running.join().unwrap_or(Err(Errno::IO))
        })
    }
}

/// Whether the kernel looks at what it renames.
#[cfg(test)]
pub(crate) fn is_kernel_checked() -> bool {
    #[cfg(target_os = "linux")]
    {
        landlocked::without(Kinds { directories: false, ..Kinds::ALL }).is_some()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fd::AsFd;
    use rustix::fs::renameat;

    use super::*;
    use crate::storage::local::open_absolute;

    type Way = fn(Kinds, Name<'_>, Name<'_>) -> Result<(), Errno>;

    fn renamed(from: Name<'_>, to: Name<'_>) -> Result<(), Errno> {
        renameat(from.0, from.1, to.0, to.1)
    }

    #[test]
    fn only_the_wanted_kinds_get_another_name_in_every_way() {
        let by_looking: Way =
            |kinds, from, to| rename_and_look(kinds, from, to, |f| renamed(f, to));
        let all: Way = |kinds, from, to| rename_only(kinds, from, to, |f| renamed(f, to));
        let mut ways = vec![("looking", by_looking), ("all", all)];
        #[cfg(target_os = "linux")]
        if is_kernel_checked() {
            ways.push(("kernel", |kinds, from, to| {
                landlocked::run(landlocked::without(kinds).unwrap(), || renamed(from, to))
            }));
        }
        let bools = [false, true];
        for (way, rename) in ways {
            for (files, links, directories) in bools
                .into_iter()
                .flat_map(|a| bools.into_iter().flat_map(move |b| bools.map(|c| (a, b, c))))
            {
                let kinds = Kinds { files, links, directories };
                for target in ["here", "sub/there"] {
                    let dir = tempfile::tempdir().unwrap();
                    std::fs::create_dir_all(dir.path().join("sub")).unwrap();
                    std::fs::write(dir.path().join("file"), "x").unwrap();
                    symlink("file", dir.path().join("link")).unwrap();
                    std::fs::create_dir_all(dir.path().join("dir/inside")).unwrap();
                    let at = open_absolute(dir.path(), "test").unwrap();
                    for (name, is_wanted) in
                        [("file", files), ("link", links), ("dir", directories)]
                    {
                        let (from, to) = ((at.as_fd(), name.as_bytes()), target.as_bytes());
                        let got = rename(kinds, from, (at.as_fd(), to));
                        let want = if is_wanted { Ok(()) } else { Err(Errno::ACCESS) };
                        assert_eq!(got, want, "{way} {kinds:?} {name} to {target}");
                        let is_there = |name| statat(&at, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
                        assert_eq!((is_there(name), is_there(target)), (!is_wanted, is_wanted));
                        if is_wanted {
                            renamed((at.as_fd(), to), from).unwrap();
                        }
                    }
                }
            }
        }
    }
}
