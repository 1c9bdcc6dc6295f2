//! Running rsync on an account's files.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use super::super::command_line::MAX_LINE;
use super::super::stream::Reader;
use super::super::system::{
    Plan, ask, can_confine, exit_mark, failed, found, installed, not_started, run,
};
use super::super::{Failure, Io};
use super::{Invocation, are_secluded, unsecluded};
use crate::error::{Error, ErrorKind};
use crate::paths::VirtualPath;
use crate::vfs::{Changes, Session, SystemCommandRoot};

/// Where rsync works.
struct Work {
    /// What it works on: the first is what is logged and limited.
    roots: Vec<SystemCommandRoot>,
    /// Where it starts; the account's root without one.
    directory: Option<OwnedFd>,
    /// The paths that it is told, from there.
    paths: Vec<Vec<u8>>,
    /// Options that name places, in our words.
    options: Vec<Vec<u8>>,
}

/// `rsync --server …`; the exit status.
pub(in super::super) async fn serve(
    session: &Session,
    words: &[Vec<u8>],
    io: &mut Io,
    about: &mut Option<VirtualPath>,
) -> Result<u32, Failure> {
    let invocation = if are_secluded(words) {
        let rest = secluded(&mut io.input).await?;
        unsecluded(words, rest).and_then(|words| Invocation::parse(&words))
    } else {
        Invocation::parse(words)
    };
    let invocation = invocation.map_err(Failure::Refused)?;
    let program = installed("rsync")?;
    session.require_no_filters().map_err(|error| failed(&session.start_directory(), error))?;
    if let Some(option) = invocation.needs_confinement.filter(|_| !can_confine()) {
        let why = "needs a kernel that can confine rsync (Linux 5.19 with Landlock)";
        return Err(Failure::Refused(format!("option {option} {why}")));
    }
    if let Some(option) = invocation.needs_own_care {
        // Only versions that stay below a directory by themselves know this option.
        let answer = ask(&program, &["--confine-root=/", "--version"]).await?;
        if !answer.status.success() {
            let why = "the rsync of the server is older than 3.5.0, and follows links";
            return Err(Failure::Refused(format!("option {option} is not allowed: {why}")));
        }
    }
    let mut work = if invocation.is_sender {
        sources(session, &invocation).await?
    } else {
        destination(session, &invocation, io).await?
    };
    if invocation.reads_names {
        work.options.extend(names_from_stream(&work)?);
    }
    let changes = match (invocation.is_sender, invocation.removes_sources) {
        (true, false) => Changes::Nothing,
        _ => Changes::Files,
    };
    let (exited, guard) = exit_mark();
    let first = work.roots.first().ok_or_else(no_path)?;
    let command = session.begin_system_command(first, changes, exited).await?;
    *about = Some(first.virtual_path.clone());
    let words = invocation.words(command.may_create_links, work.options, work.paths);
    let directory = match work.directory {
        Some(directory) => directory,
        None => command.home.try_clone().map_err(not_started)?,
    };
    let plan = Plan {
        program,
        arguments: words.into_iter().map(OsString::from_vec).collect(),
        environment: Vec::new(),
        directory,
        places: work.roots.into_iter().filter_map(|root| root.place).collect(),
        others: Vec::new(),
        must_be_confined: invocation.needs_confinement.is_some(),
    };
    run(plan, command, guard, io).await
}

fn no_path() -> Failure {
    Failure::Refused("no path was given".to_owned())
}

/// The arguments that a client sends before anything else, each with a NUL behind it, and
/// an empty one at the end.
async fn secluded(input: &mut Reader) -> Result<Vec<Vec<u8>>, Failure> {
    let mut words = Vec::new();
    let mut word = Vec::new();
    for _ in 0..MAX_LINE {
        match input.byte().await.ok_or(Failure::Gone)? {
            0 if word.is_empty() => return Ok(words),
            0 => words.push(std::mem::take(&mut word)),
            byte => word.push(byte),
        }
    }
    Err(Failure::Refused("the arguments are too long".to_owned()))
}

/// What a client wants to read, below the account's root.
async fn sources(session: &Session, invocation: &Invocation) -> Result<Work, Failure> {
    let sources = invocation.sources(&session.start_directory()).map_err(Failure::Refused)?;
    let mut work =
        Work { roots: Vec::new(), directory: None, paths: Vec::new(), options: Vec::new() };
    for source in sources {
        let root = session.system_command_source(&source.path, source.is_followed).await;
        let root = root.map_err(|error| failed(&source.path, error))?;
        let word = match source.base() {
            None => source.word(&root.relative),
            Some(base) => {
                let real = session.real_path_for_program(base).await;
                source.word(&real.map_err(|error| failed(base, error.into()))?)
            }
        };
        // What is removed is removed from the directory that holds it.
        let holder = if invocation.removes_sources && !root.is_directory && !root.is_missing {
            Some(found(session, &source.path.parent()).await?)
        } else {
            None
        };
        work.paths.push(word);
        work.roots.push(root);
        work.roots.extend(holder);
    }
    // rsync says itself what is missing of several, but not for nothing at all.
    let nothing = work.roots.first().filter(|_| work.roots.iter().all(|root| root.is_missing));
    match nothing.filter(|_| !invocation.allows_missing) {
        Some(root) => {
            let error = Error::new(ErrorKind::NotFound, "nothing is there");
            Err(failed(&root.virtual_path, error.into()))
        }
        None => Ok(work),
    }
}

/// Where a client wants to write: into a directory that is there, or under a name in one.
async fn destination(
    session: &Session,
    invocation: &Invocation,
    io: &mut Io,
) -> Result<Work, Failure> {
    let raw = invocation.paths.first().ok_or_else(no_path)?;
    let path = VirtualPath::resolve(&session.start_directory(), raw);
    let (root, word, directory) = match session.system_command_root(&path).await {
        Ok(root) if root.is_directory => (root, b"./".to_vec(), path),
        Ok(_) => {
            let parent = path.parent();
            (found(session, &parent).await?, [b"./", path.file_name()].concat(), parent)
        }
        Err(error) if error.is_not_found() && !path.is_root() => {
            let root = above(session, &path, invocation.makes_path).await?;
            let below = path.strip_prefix(&root.virtual_path).unwrap_or_default();
            let end: &[u8] = if raw.ends_with(b"/") { b"/" } else { b"" };
            (root, [b"./", below, end].concat(), path)
        }
        Err(error) => return Err(failed(&path, error)),
    };
    let start = root.place.as_ref().map(OwnedFd::try_clone).transpose().map_err(not_started)?;
    let mut work =
        Work { roots: vec![root], directory: start, paths: vec![word], options: Vec::new() };
    for (option, value) in &invocation.bases {
        let base = VirtualPath::resolve(&directory, value);
        match session.system_command_root(&base).await {
            Ok(root) => {
                let place = root.place.as_ref().map(place_of).transpose().map_err(not_started)?;
                let place = place.unwrap_or_default();
                work.options.push([option.as_bytes(), b"=", &place].concat());
                work.roots.push(root);
            }
            // The first of a series of backups has none before it.
            Err(error) if error.is_not_found() => {
                let path = base.to_string_lossy();
                let line = format!("rsync: {option} does not exist: {}\n", path.escape_debug());
                io.stderr.write(line.as_bytes()).await?;
            }
            Err(error) => return Err(failed(&base, error)),
        }
    }
    Ok(work)
}

/// The directory in which `path` shall be made: that above it, or with `--mkpath` the
/// deepest that exists.
async fn above(
    session: &Session,
    path: &VirtualPath,
    makes_path: bool,
) -> Result<SystemCommandRoot, Failure> {
    let mut parent = path.parent();
    loop {
        match session.system_command_root(&parent).await {
            Err(error) if error.is_not_found() && makes_path && !parent.is_root() => {
                parent = parent.parent();
            }
            root => return root.map_err(|error| failed(&parent, error)),
        }
    }
}

/// The names that a client sends while rsync runs stay below the source.
fn names_from_stream(work: &Work) -> Result<[Vec<u8>; 2], Failure> {
    let root = work.roots.first().ok_or_else(no_path)?;
    let Some(place) = root.place.as_ref().filter(|_| root.is_directory) else {
        let error = Error::new(ErrorKind::NotADirectory, "names begin in a directory");
        return Err(failed(&root.virtual_path, error.into()));
    };
    let place = place_of(place).map_err(not_started)?;
    Ok([b"--files-from=-".to_vec(), [b"--confine-root=", &place[..]].concat()])
}

/// The path of the machine, as the kernel has it.
fn place_of(place: &OwnedFd) -> io::Result<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::fs::readlink(link, Vec::new()).map(Into::into).map_err(Into::into)
}
