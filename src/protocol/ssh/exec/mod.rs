//! Commands over SSH: what a client may run on a channel instead of SFTP.
//!
//! There is no shell. A command line is split into words, its first word must be a
//! command that exists and is enabled, and each command reads the rest by itself. It runs
//! in a task of its own, between an [`Input`] that the SSH session fills and [`Output`]s
//! that it may wait for; the task ends when the command does, when the client closes the
//! channel, or when the session is killed. None of this knows the SSH library:
//! `ssh/handler.rs` has the ways in and out.

mod checksum;
pub mod command_line;
#[cfg(target_os = "linux")]
mod confinement;
mod git;
#[cfg(unix)]
mod rsync;
pub mod scp;
mod stream;
#[cfg(unix)]
mod system;

use std::sync::{Arc, Weak};
use std::time::Instant;

use actors::{Connection, Protocol, SessionHandle};
use tokio_util::sync::CancellationToken;

use self::checksum::Algorithm;
pub use self::stream::{End, Outlets, OutputNotRead};
use self::stream::{Gone, Input, Output, Reader};
use super::sftp::status::to_status;
use crate::config::SSH_COMMANDS;
use crate::error::{Error, ErrorKind};
use crate::metrics::Metrics;
use crate::paths::VirtualPath;
use crate::vfs::Session;
use std::fmt::Write as _;

/// Characters of a command line that are shown.
const LONGEST_SHOWN: usize = 1024;

/// What a first word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Checksum(Algorithm),
    Cd,
    Pwd,
    Scp,
    Copy,
    Remove,
    Rsync,
    Git(git::Program),
}

impl Program {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "md5sum" => Self::Checksum(Algorithm::Md5),
            "sha1sum" => Self::Checksum(Algorithm::Sha1),
            "sha256sum" => Self::Checksum(Algorithm::Sha256),
            "sha384sum" => Self::Checksum(Algorithm::Sha384),
            "sha512sum" => Self::Checksum(Algorithm::Sha512),
            "cd" => Self::Cd,
            "pwd" => Self::Pwd,
            "scp" => Self::Scp,
            "sftpgo-copy" => Self::Copy,
            "sftpgo-remove" => Self::Remove,
            "rsync" => Self::Rsync,
            "git-receive-pack" => Self::Git(git::Program::ReceivePack),
            "git-upload-pack" => Self::Git(git::Program::UploadPack),
            "git-upload-archive" => Self::Git(git::Program::UploadArchive),
            _ => return None,
        })
    }
}

/// The commands that the configuration enables.
#[derive(Debug, Clone, Default)]
pub struct Enabled(Vec<String>);

/// A command that exists and is enabled, with its words.
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    words: Vec<Vec<u8>>,
    /// As the client wrote it, for the log and for hooks.
    text: String,
}

impl Enabled {
    /// `sftpd.enabled_ssh_commands`; `*` is all.
    pub fn from_config(names: &[String]) -> Self {
        let all = || SSH_COMMANDS.iter().map(|name| (*name).to_owned()).collect();
        Self(if names.iter().any(|name| name == "*") { all() } else { names.to_vec() })
    }

    /// Their names, in the order of the configuration.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// What a client's command line asks for.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn find(&self, line: &[u8]) -> Result<Command, String> {
        let mut words = command_line::split(line).map_err(|malformed| malformed.to_string())?;
        if words.is_empty() {
            return Err("the command line is empty".to_owned());
        }
        let name = words.remove(0);
        let name = std::str::from_utf8(&name).map_err(|_| "not enabled".to_owned())?;
        if !self.0.iter().any(|enabled| enabled == name) {
            return Err("not enabled".to_owned());
        }
        let program = Program::from_name(name).ok_or_else(|| "not enabled".to_owned())?;
        Ok(Command { program, words, text: String::from_utf8_lossy(line).into_owned() })
    }
}

impl Command {
    /// What its session speaks.
    pub fn protocol(&self) -> Protocol {
        match self.program {
            Program::Scp => Protocol::Scp,
            _ => Protocol::Ssh,
        }
    }
}

/// A command line for logs and administrators: short, and without anything that a terminal
/// obeys.
pub fn shown(line: &[u8]) -> String {
    let mut out = String::new();
    for char in String::from_utf8_lossy(line).chars().take(LONGEST_SHOWN) {
        let _ = write!(out, "{}", char.escape_debug());
    }
    out
}

/// What a command is started with.
pub struct Start {
    pub command: Command,
    pub session: Session,
    pub entry: SessionHandle,
    pub connection: Connection,
    pub outlets: Outlets,
    pub metrics: Arc<Metrics>,
    pub log: slog::Logger,
}

/// The SSH session's end of a running command. Dropping it ends the command.
pub struct Channel {
    /// The command's task owns it: without it the command has ended.
    input: Weak<Input>,
    /// The client has closed the channel or gone.
    gone: CancellationToken,
}

impl Channel {
    /// Starts the command in a task of its own.
    pub fn start(start: Start) -> Self {
        start.entry.set_command(shown(start.command.text.as_bytes()));
        let kill = start.connection.kill_switch();
        let gone = kill.token().child_token();
        let input = Arc::new(Input::new(kill.clone(), start.session.upload_rate()));
        let channel = Self { input: Arc::downgrade(&input), gone: gone.clone() };
        tokio::spawn(run(start, input, gone));
        channel
    }

    /// Takes what the client sent. Returns when it may send more.
    /// `is_alone`: the connection has no other channel.
    pub async fn receive(&self, data: &[u8], is_alone: bool) -> Result<(), OutputNotRead> {
        match self.input.upgrade() {
            None => Ok(()),
            Some(input) => {
                input.push(data);
                input.room(is_alone).await
            }
        }
    }

    /// The client will send nothing more.
    pub fn end_of_input(&self) {
        if let Some(input) = self.input.upgrade() {
            input.end();
        }
    }

    /// True when the command has closed the channel, or is about to.
    pub fn has_ended(&self) -> bool {
        self.input.strong_count() == 0
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// Its words make no sense, or are not allowed; the client is told why.
    Refused(String),
    /// An operation on the files; `about` is what the client called them.
    Files { about: Vec<u8>, error: Error },
    /// Nobody is there to be told.
    Gone,
}

impl From<Gone> for Failure {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Files { about: Vec::new(), error }
    }
}

/// The three streams of a command, and its log.
struct Io {
    input: Reader,
    stdout: Output,
    stderr: Output,
    log: slog::Logger,
}

async fn run(start: Start, input: Arc<Input>, gone: CancellationToken) {
    let Start { command, session, entry, connection, outlets, metrics, log } = start;
    let Outlets { stdout, stderr, end } = outlets;
    let output = |pipe| Output::new(pipe, input.clone(), connection.clone());
    let mut io =
        Io { stdout: output(stdout), stderr: output(stderr), input: Reader::new(input), log };
    let status = tokio::select! {
        biased;
        () = gone.cancelled() => None,
        status = work(&command, &session, &mut io) => Some(status),
    };
    metrics.ssh_command_finished(status == Some(0));
    // The session may be holding the client back for a command that reads no more.
    io.input.ignore();
    // Before the client learns of the end: it may open the next channel at once.
    drop((session, entry, io));
    if let Some(status) = status {
        tokio::select! {
            () = gone.cancelled() => {}
            () = end.end(status) => {}
        }
    }
}

/// Carries the command out, with all that follows from it; the exit status.
async fn work(command: &Command, session: &Session, io: &mut Io) -> u32 {
    let failure = match carry_out(command, session, io).await {
        Ok(status) => return status,
        Err(failure) => failure,
    };
    io.input.ignore();
    let line = shown(command.text.as_bytes());
    let (about, told) = match failure {
        Failure::Gone => return 1,
        Failure::Refused(why) => {
            slog::info!(io.log, "ssh command \"{line}\" refused: {why}");
            (Vec::new(), why)
        }
        Failure::Files { about, error } => {
            slog::info!(io.log, "ssh command \"{line}\" failed: {error}");
            (about, text(&error).to_owned())
        }
    };
    let name = command.text.split_whitespace().next().unwrap_or_default();
    let mut message = format!("{name}: ").into_bytes();
    if !about.is_empty() {
        message.extend_from_slice(&about);
        message.extend_from_slice(b": ");
    }
    message.extend_from_slice(told.as_bytes());
    message.push(b'\n');
    let _ = io.stderr.write(&message).await;
    1
}

/// What a client is told of an error: never a path of the disk.
fn text(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Unsupported => "this command cannot work here",
        _ => to_status(error).1,
    }
}

async fn carry_out(command: &Command, session: &Session, io: &mut Io) -> Result<u32, Failure> {
    let started = Instant::now();
    let resolve = |raw: &[u8]| VirtualPath::resolve(&session.start_directory(), raw);
    let (mut about, mut target) = (None, None);
    let status = match command.program {
        Program::Cd => 0,
        Program::Pwd => {
            let line = [session.start_directory().as_bytes(), b"\n"].concat();
            io.stdout.write(&line).await?;
            0
        }
        Program::Checksum(algorithm) => {
            let line = match command.words.as_slice() {
                [] => checksum::line(&checksum::of_input(algorithm, &mut io.input).await, b"-"),
                [name] => {
                    io.input.ignore();
                    let path = resolve(name);
                    let digest = checksum::of_file(algorithm, session, &path).await;
                    let digest =
                        digest.map_err(|error| Failure::Files { about: name.clone(), error })?;
                    about = Some(path);
                    checksum::line(&digest, name)
                }
                _ => return Err(Failure::Refused("at most one file can be named".to_owned())),
            };
            io.stdout.write(&line).await?;
            0
        }
        Program::Copy => {
            io.input.ignore();
            let [from, to] = command.words.as_slice() else {
                let why = "exactly one path to copy and one to copy it to are needed";
                return Err(Failure::Refused(why.to_owned()));
            };
            let (path, to_path) = (resolve(from), resolve(to));
            let copied = session.copy(&path, &to_path).await;
            copied.map_err(|error| Failure::Files { about: from.clone(), error })?;
            (about, target) = (Some(path), Some(to_path));
            0
        }
        Program::Remove => {
            io.input.ignore();
            let [name] = command.words.as_slice() else {
                return Err(Failure::Refused("exactly one path is needed".to_owned()));
            };
            let path = resolve(name);
            let removed = session.remove_tree(&path).await;
            removed.map_err(|error| Failure::Files { about: name.clone(), error })?;
            about = Some(path);
            0
        }
        Program::Scp => {
            let arguments = scp::Arguments::parse(&command.words).map_err(Failure::Refused)?;
            let is_well = scp::serve(session, arguments, io).await;
            // Its files have told hooks and log each for itself.
            return Ok(if is_well { 0 } else { 1 });
        }
        #[cfg(unix)]
        Program::Rsync => rsync::serve(session, &command.words, io, &mut about).await?,
        #[cfg(unix)]
        Program::Git(program) => {
            if !system::can_confine() {
                let why = "git needs a kernel that can confine it (Linux 5.19 with Landlock)";
                return Err(Failure::Refused(why.to_owned()));
            }
            system::git(session, program, &command.words, io, &mut about).await?
        }
        #[cfg(not(unix))]
        Program::Rsync | Program::Git(_) => {
            return Err(Failure::Refused("this system cannot run it".to_owned()));
        }
    };
    if status == 0 {
        session.ssh_command_done(&command.text, started, about.as_ref(), target.as_ref()).await;
    } else {
        let line = shown(command.text.as_bytes());
        slog::info!(io.log, "ssh command \"{line}\" ended with status {status}");
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_configuration_is_a_program() {
        for name in SSH_COMMANDS {
            assert!(Program::from_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn only_enabled_commands_are_found() {
        let names = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let some = Enabled::from_config(&names(&["pwd", "scp"]));
        let all = Enabled::from_config(&names(&["*"]));
        // (line, found when some are enabled, found when all are)
        let table = [
            ("pwd", true, true),
            ("  pwd  ", true, true),
            ("'pwd'", true, true),
            ("scp -t .", true, true),
            ("md5sum a", false, true),
            ("rsync --server . a", false, true),
            ("git-upload-pack a", false, true),
            ("git upload-pack a", false, false),
            ("/bin/pwd", false, false),
            ("PWD", false, false),
            ("sh -c pwd", false, false),
            ("pwd;id", false, false),
            ("*", false, false),
            ("", false, false),
            ("pwd 'x", false, false),
        ];
        for (line, with_some, with_all) in table {
            assert_eq!(some.find(line.as_bytes()).is_ok(), with_some, "{line}");
            assert_eq!(all.find(line.as_bytes()).is_ok(), with_all, "{line}");
        }
        assert_eq!(all.find(b"scp -f x").unwrap().protocol(), Protocol::Scp);
        assert_eq!(all.find(b"md5sum x").unwrap().protocol(), Protocol::Ssh);
    }

    #[test]
    fn log_lines_show_no_more_than_enough() {
        assert_eq!(shown(b"md5sum a\x1b[2Jb\n"), "md5sum a\\u{1b}[2Jb\\n");
        assert!(shown(&[b'a'; 10_000]).len() <= LONGEST_SHOWN);
    }
}
