//! Running git, and what rsync has in common with it: programs of the machine, started
//! without a shell.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output as Answer, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, fchdir, kill_process_group, test_kill_process_group, umask, waitpgid,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(target_os = "linux")]
use super::confinement;
use super::git;
use super::stream::{Gone, Output, Reader};
use super::{Failure, Io};
use crate::error::{Error, ErrorKind};
use crate::paths::VirtualPath;
use crate::vfs::{NotForPrograms, Session, SystemCommand, SystemCommandRoot};

/// Passed on at a time.
const CHUNK: usize = 64 * 1024;

/// What a program gets to clean up after it was asked to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How a program is started.
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(String, &'static OsStr)>,
    /// Where it starts.
    pub(super) directory: OwnedFd,
    /// What it may reach.
    pub(super) places: Vec<OwnedFd>,
    /// What it executes in turn.
    pub(super) others: Vec<PathBuf>,
    pub(super) must_be_confined: bool,
}

/// Checks that a program may work on `path`, which exists.
pub(super) async fn found(
    session: &Session,
    path: &VirtualPath,
) -> Result<SystemCommandRoot, Failure> {
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
        Err(error) if error.is_not_found() && !path.is_root() => {
            found(session, &VirtualPath::new([path.as_bytes(), b".git"].concat())).await?
        }
        root => root.map_err(|error| failed(&path, error))?,
    };
    let Some(place) = root.place.as_ref().filter(|_| root.is_directory) else {
        return Err(failed(&path, Error::new(ErrorKind::NotADirectory, "a file").into()));
    };
    let place = || place.try_clone().map_err(not_started);
    let others = vec![git_programs(&program).await?];
    let (exited, guard) = exit_mark();
    let command = session.begin_system_command(&root, which.changes(), exited).await?;
    *about = Some(root.virtual_path.clone());
    let plan = Plan {
        program,
        arguments: vec![which.subcommand().into(), ".".into()],
        environment: git::environment(),
        directory: place()?,
        places: vec![place()?],
        others,
        must_be_confined: true,
    };
    run(plan, command, guard, io).await
}

/// What a program says of itself.
pub(super) async fn ask(program: &Path, arguments: &[&str]) -> Result<Answer, Failure> {
    const LONGEST: Duration = Duration::from_secs(10);
    let asking = Command::new(program)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let answer = tokio::time::timeout(LONGEST, asking).await;
    let answer = answer.map_err(|_| Failure::Refused("the program does not answer".to_owned()))?;
    answer.map_err(not_started)
}

/// The directory of the programs that git is made of.
async fn git_programs(git: &Path) -> Result<PathBuf, Failure> {
    let mut path = ask(git, &["--exec-path"]).await?.stdout;
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
pub(super) fn installed(name: &str) -> Result<PathBuf, Failure> {
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| directory.join(name).canonicalize().ok())
        .ok_or_else(|| Failure::Refused(format!("{name} is not installed on the server")))
}

/// What the client is told when a program may not work on `path`.
pub(super) fn failed(path: &VirtualPath, error: NotForPrograms) -> Failure {
    match error {
        NotForPrograms::Place(why) => {
            let path = path.to_string_lossy();
            let shown = path.escape_debug();
            Failure::Refused(format!("{shown}: this command cannot work here: {why}"))
        }
        NotForPrograms::Failed(error) => Failure::Files { about: path.as_bytes().to_vec(), error },
    }
}

pub(super) fn not_started(error: io::Error) -> Failure {
    Failure::Refused(format!("the program could not be started: {}", error.kind()))
}

/// A token that is cancelled when the guard is dropped: whoever has the guard has the
/// program, or never started one.
pub(super) fn exit_mark() -> (CancellationToken, DropGuard) {
    let exited = CancellationToken::new();
    (exited.clone(), exited.drop_guard())
}

/// A running program and what it started. Dropped before its end, it is asked to end.
struct Running {
    unwanted: CancellationToken,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.unwanted.cancel();
    }
}

impl Running {
    /// The end is seen by a task of its own, so that none stays a zombie whatever becomes
    /// of its client. `guard` is dropped when the last process is gone.
    fn watch(mut child: Child, guard: DropGuard) -> Self {
        let unwanted = CancellationToken::new();
        let (tell, ended) = oneshot::channel();
        let running = Self { unwanted: unwanted.clone(), ended };
        tokio::spawn(async move {
            let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
            let status = tokio::select! {
                status = child.wait() => status,
                () = end_by_signals(leader, unwanted) => child.wait().await,
            };
            let _ = tell.send(status);
            if let Some(leader) = leader {
                sweep(leader).await;
            }
            drop(guard);
        });
        running
    }
}

/// Once the program is not wanted any more: lets it remove its temporary files, and kills
/// it if it takes too long. Its number is nobody else's as long as it is not waited for.
async fn end_by_signals(leader: Option<Pid>, unwanted: CancellationToken) {
    unwanted.cancelled().await;
    let Some(leader) = leader else { return };
    let _ = kill_process_group(leader, Signal::TERM);
    tokio::time::sleep(LAST_WORDS).await;
    let _ = kill_process_group(leader, Signal::KILL);
}

/// Waits until what the program had started is gone too, and kills what stays. As long as
/// one of them is there, the group's number is nobody else's.
async fn sweep(group: Pid) {
    const STEP: Duration = Duration::from_millis(10);
    let deadline = tokio::time::Instant::now() + LAST_WORDS;
    loop {
        // Orphans are ours only where we are the first process of a container.
        while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
        if test_kill_process_group(group).is_err() {
            return;
        }
        if tokio::time::Instant::now() > deadline {
            let _ = kill_process_group(group, Signal::KILL);
            return;
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Starts the program and passes its bytes until it ends.
pub(super) async fn run(
    plan: Plan,
    command: SystemCommand,
    guard: DropGuard,
    io: &mut Io,
) -> Result<u32, Failure> {
    let mut child = start(plan, &command).map_err(|error| {
        slog::warn!(io.log, "a system command could not be started: {error}");
        not_started(error)
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut running = Running::watch(child, guard);

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
        let status = (&mut running.ended).await;
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
