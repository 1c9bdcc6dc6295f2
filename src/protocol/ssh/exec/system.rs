//! Running rsync and git: programs of the machine, started without a shell.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, fchdir, kill_process_group, umask};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(target_os = "linux")]
use super::confinement;
use super::git;
use super::rsync::Invocation;
use super::stream::{Gone, Output, Reader};
use super::{Failure, Io};
use crate::error::{Error, ErrorKind};
use crate::paths::VirtualPath;
use crate::vfs::{Changes, Session, SystemCommand, SystemCommandRoot};

/// Passed on at a time.
const CHUNK: usize = 64 * 1024;

/// How a program is started.
struct Plan {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, &'static OsStr)>,
    /// Where it starts.
    directory: OwnedFd,
    /// What it may reach.
    places: Vec<OwnedFd>,
    /// What it executes in turn.
    others: Vec<PathBuf>,
    must_be_confined: bool,
}

/// `rsync --server …`; the exit status.
pub(super) async fn rsync(
    session: &Session,
    words: &[Vec<u8>],
    io: &mut Io,
    about: &mut Option<VirtualPath>,
) -> Result<u32, Failure> {
    let invocation = Invocation::parse(words).map_err(Failure::Refused)?;
    let program = installed("rsync")?;
    let (roots, paths) = if invocation.is_sender {
        sources(session, &invocation.paths).await?
    } else {
        let raw = invocation.paths.first().map(Vec::as_slice).unwrap_or_default();
        let (root, path) = destination(session, raw).await?;
        (vec![root], vec![path])
    };
    let changes = match (invocation.is_sender, invocation.removes_sources) {
        (true, false) => Changes::Nothing,
        _ => Changes::Files,
    };
    let (exited, guard) = exit_mark();
    let first = roots.first().ok_or_else(|| Failure::Refused("no path was given".to_owned()))?;
    let command = session.begin_system_command(first, changes, exited).await?;
    *about = Some(first.virtual_path.clone());
    let words = invocation.words(command.may_create_links, paths);
    let directory = if invocation.is_sender { &command.home } else { &first.place };
    let plan = Plan {
        program,
        arguments: words.into_iter().map(OsString::from_vec).collect(),
        environment: Vec::new(),
        directory: directory.try_clone().map_err(not_started)?,
        places: roots.into_iter().map(|root| root.place).collect(),
        others: Vec::new(),
        must_be_confined: false,
    };
    run(plan, command, guard, io).await
}

/// The paths that a client wants to read, below the account's directory.
async fn sources(
    session: &Session,
    paths: &[Vec<u8>],
) -> Result<(Vec<SystemCommandRoot>, Vec<Vec<u8>>), Failure> {
    let (mut roots, mut words) = (Vec::new(), Vec::new());
    for raw in paths {
        let path = VirtualPath::resolve(&session.start_directory(), raw);
        let root = found(session, &path).await?;
        let mut word = [b"./", &root.relative[..]].concat();
        // With it the contents are meant, without it the directory.
        if raw.ends_with(b"/") && !word.ends_with(b"/") {
            word.push(b'/');
        }
        words.push(word);
        roots.push(root);
    }
    Ok((roots, words))
}

/// Where a client wants to write: into a directory that is there, or under a name in one.
async fn destination(
    session: &Session,
    raw: &[u8],
) -> Result<(SystemCommandRoot, Vec<u8>), Failure> {
    let path = VirtualPath::resolve(&session.start_directory(), raw);
    match session.system_command_root(&path).await {
        Ok(root) if root.is_directory => return Ok((root, b"./".to_vec())),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path, error)),
        Ok(_) | Err(_) => {}
    }
    let parent = found(session, &path.parent()).await?;
    let mut word = [b"./", path.file_name()].concat();
    if raw.ends_with(b"/") {
        word.push(b'/');
    }
    Ok((parent, word))
}

async fn found(session: &Session, path: &VirtualPath) -> Result<SystemCommandRoot, Failure> {
    session.system_command_root(path).await.map_err(|error| failed(path, error))
}

/// One of git's programs for servers; the exit status.
pub(super) async fn git(
    session: &Session,
    which: git::Program,
    words: &[Vec<u8>],
    io: &mut Io,
    about: &mut Option<VirtualPath>,
) -> Result<u32, Failure> {
    let raw = git::repository(words).map_err(Failure::Refused)?;
    let program = installed("git")?;
    let path = VirtualPath::resolve(&session.start_directory(), raw);
    let root = match session.system_command_root(&path).await {
        // git lets its users leave out the suffix of a bare repository.
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_root() => {
            found(session, &VirtualPath::new([path.as_bytes(), b".git"].concat())).await?
        }
        root => root.map_err(|error| failed(&path, error))?,
    };
    if !root.is_directory {
        return Err(failed(&path, Error::new(ErrorKind::NotADirectory, "a file")));
    }
    let others = vec![git_programs(&program).await?];
    let (exited, guard) = exit_mark();
    let command = session.begin_system_command(&root, which.changes(), exited).await?;
    *about = Some(root.virtual_path.clone());
    let plan = Plan {
        program,
        arguments: vec![which.subcommand().into(), ".".into()],
        environment: git::environment(),
        directory: root.place.try_clone().map_err(not_started)?,
        places: vec![root.place],
        others,
        must_be_confined: true,
    };
    run(plan, command, guard, io).await
}

/// The directory of the programs that git is made of.
async fn git_programs(git: &Path) -> Result<PathBuf, Failure> {
    const LONGEST: Duration = Duration::from_secs(10);
    let asking = Command::new(git)
        .arg("--exec-path")
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(LONGEST, asking).await;
    let answer = answer.map_err(|_| Failure::Refused("git does not answer".to_owned()))?;
    let mut path = answer.map_err(not_started)?.stdout;
    while path.last().is_some_and(u8::is_ascii_whitespace) {
        path.pop();
    }
    let path = PathBuf::from(OsString::from_vec(path));
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Failure::Refused("git is incomplete".to_owned()))
    }
}

/// The program of this name in the server's `PATH`, with all links resolved.
fn installed(name: &str) -> Result<PathBuf, Failure> {
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| directory.join(name).canonicalize().ok())
        .ok_or_else(|| Failure::Refused(format!("{name} is not installed on the server")))
}

fn failed(path: &VirtualPath, error: Error) -> Failure {
    Failure::Files { about: path.as_bytes().to_vec(), error }
}

fn not_started(error: io::Error) -> Failure {
    Failure::Refused(format!("the program could not be started: {}", error.kind()))
}

/// A token that is cancelled when the guard is dropped: whoever has the guard has the
/// program, or never started one.
fn exit_mark() -> (CancellationToken, DropGuard) {
    let exited = CancellationToken::new();
    (exited.clone(), exited.drop_guard())
}

/// A running program and what it started; killed when dropped before its end.
struct Group {
    leader: Option<Pid>,
    has_ended: Arc<AtomicBool>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Until the leader is reaped its number belongs to nobody else.
        if let Some(leader) = self.leader
            && !self.has_ended.load(Ordering::Acquire)
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Starts the program and passes its bytes until it ends.
async fn run(
    plan: Plan,
    command: SystemCommand,
    guard: DropGuard,
    io: &mut Io,
) -> Result<u32, Failure> {
    let mut child = start(plan, &command).map_err(|error| {
        slog::warn!(io.log, "a system command could not be started: {error}");
        not_started(error)
    })?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let group = Group { leader, has_ended: Arc::default() };
    let ended = reap(child, group.has_ended.clone(), guard);

    let feeding = async {
        match feed(stdin, &mut io.input, &command).await {
            // What ends a command is the end of the program, not of its input.
            Ok(()) => std::future::pending().await,
            Err(error) => error,
        }
    };
    let working = async {
        let (out, err) = (
            pass_on(stdout, &mut io.stdout, Some(&command)),
            pass_on(stderr, &mut io.stderr, None),
        );
        let (out, err) = tokio::join!(out, err);
        let status = ended.await;
        out.and(err).map(|()| status)
    };
    let status = tokio::select! {
        error = feeding => return Err(error.into()),
        status = working => status?,
    };
    command.finish().await?;
    match status {
        Ok(Ok(status)) => Ok(exit_code(status)),
        Ok(Err(error)) => Err(not_started(error)),
        Err(_) => Err(Failure::Gone),
    }
}

/// Waits for the program in a task of its own, so that none stays a zombie whatever
/// becomes of its client.
fn reap(
    mut child: Child,
    has_ended: Arc<AtomicBool>,
    guard: DropGuard,
) -> oneshot::Receiver<io::Result<ExitStatus>> {
    let (tell, ended) = oneshot::channel();
    tokio::spawn(async move {
        let status = child.wait().await;
        has_ended.store(true, Ordering::Release);
        drop(guard);
        let _ = tell.send(status);
    });
    ended
}

/// As a shell counts: 128 and the signal that ended it.
fn exit_code(status: ExitStatus) -> u32 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u32::try_from(code).ok()).unwrap_or(1)
}

fn start(plan: Plan, allowed: &SystemCommand) -> io::Result<Child> {
    #[cfg(target_os = "linux")]
    let mut rules = if plan.must_be_confined || confinement::is_available() {
        let mut programs = plan.others;
        programs.push(plan.program.clone());
        let places: Vec<_> = plan.places.iter().map(AsFd::as_fd).collect();
        let needs = confinement::Needs { programs: &programs, places: &places };
        Some(confinement::prepare(&needs)?)
    } else {
        None
    };
    let mut command = Command::new(&plan.program);
    command
        .args(&plan.arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(plan.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(gid) = allowed.gid() {
        command.gid(gid);
    }
    if let Some(uid) = allowed.uid() {
        // It also gives up all supplementary groups.
        command.uid(uid);
    }
    let directory = plan.directory;
    let mask = rustix::fs::Mode::from_raw_mode(allowed.umask);
    let prepare = move || {
        umask(mask);
        fchdir(&directory)?;
        #[cfg(target_os = "linux")]
        if let Some(rules) = rules.take() {
            rules.restrict_self().map_err(|_| io::Error::from(io::ErrorKind::PermissionDenied))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec, where this runs, only functions may be called that
    // are safe in a signal handler. These are system calls and nothing else: umask,
    // fchdir, and of `restrict_self` prctl, landlock_restrict_self and close; nothing of
    // it allocates, locks or reads the environment.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// From the client to the program, in the limits of the account.
async fn feed(
    stdin: Option<ChildStdin>,
    input: &mut Reader,
    command: &SystemCommand,
) -> Result<(), Error> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    while let Some(data) = input.take(CHUNK).await {
        command.received(data.len()).await?;
        if stdin.write_all(&data).await.is_err() {
            // It reads no more, and says why when it ends.
            input.ignore();
            return Ok(());
        }
    }
    Ok(())
}

/// From the program to the client; counted and limited if `limits` says so.
async fn pass_on(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut Output,
    limits: Option<&SystemCommand>,
) -> Result<(), Failure> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0; CHUNK];
    loop {
        let len = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(len) => len,
        };
        if let Some(command) = limits {
            command.sent(len).await?;
        }
        to.write(buffer.get(..len).unwrap_or_default()).await.map_err(|Gone| Failure::Gone)?;
    }
}

/// Whether git can be run here at all.
pub(super) fn can_confine() -> bool {
    #[cfg(target_os = "linux")]
    return confinement::is_available();
    #[cfg(not(target_os = "linux"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_those_of_a_shell() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(23 << 8)), 23);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }

    #[test]
    fn programs_are_found_without_their_links() {
        let sh = installed("sh").unwrap_or_else(|_| panic!("there is a shell"));
        assert_eq!(sh, sh.canonicalize().unwrap());
        assert!(installed("no-such-program-anywhere").is_err());
    }
}
