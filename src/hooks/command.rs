//! Programs as hooks: run directly and never through a shell, with nothing in their
//! environment but what is configured and what the hook is about, killed with their
//! children when their time is over.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use slog::{Logger, warn};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::CommandConfig;
use crate::error::{Error, ErrorKind, Result};

/// Longest line of a program's answer.
const MAX_LINE: u64 = 64 * 1024;

/// As much of what a program prints on its standard error goes to the log.
const MAX_ERROR_LINES: usize = 50;
const MAX_ERROR_LINE: u64 = 1024;

/// The section `command`: what programs are given besides their input.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    config: CommandConfig,
}

/// One program with what it is always given.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// Its own limit, if it has one.
    limit: Option<Duration>,
}

impl Programs {
    pub fn new(config: &CommandConfig) -> Self {
        Self { config: config.clone() }
    }

    /// The program at `path`, run as `hook`.
    pub fn program(&self, path: &str, hook: &str) -> Program {
        let own = self.config.commands.iter().find(|command| {
            command.path == path && (command.hook.is_empty() || command.hook == hook)
        });
        let own_env = own.map_or(&[][..], |command| &command.env[..]);
        // The later of two values of one name wins.
        let env = self.config.env.iter().chain(own_env);
        let env = env.filter_map(|pair| pair.split_once('='));
        Program {
            path: PathBuf::from(path),
            args: own.map_or_else(Vec::new, |command| command.args.clone()),
            limit: own
                .filter(|command| command.timeout > 0)
                .map(|command| Duration::from_secs(command.timeout.into())),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }
}

/// A program that is talked to line by line. Dropping it kills the program and its
/// children, and so does the end of its time.
#[derive(Debug)]
pub struct Interactive {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _kill: DropGuard,
}

impl Program {
    /// Starts it. `about` are the variables that say what the hook is about; what it
    /// prints on its standard error is logged.
    pub fn interactive(
        &self,
        about: &[(&str, &str)],
        deadline: Instant,
        log: Logger,
    ) -> Result<Interactive> {
        let shown = self.path.display();
        let deadline = match self.limit {
            Some(limit) => deadline.min(Instant::now() + limit),
            None => deadline,
        };
        let mut child = Command::new(&self.path)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(about.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::from_io(format!("cannot run {shown}"), error))?;
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::internal(format!("{shown} was started without its pipes")));
        };
        tokio::spawn(log_lines(errors, log));
        let kill = CancellationToken::new();
        tokio::spawn(reap(child, deadline, kill.clone()));
        Ok(Interactive { input, output: BufReader::new(output), _kill: kill.drop_guard() })
    }
}

/// Waits for the program's end and brings it about if it has to be.
async fn reap(mut child: Child, deadline: Instant, kill: CancellationToken) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let has_ended = tokio::select! {
        _ = child.wait() => true,
        () = kill.cancelled() => false,
        () = tokio::time::sleep_until(deadline) => false,
    };
    if !has_ended {
        if let Some(group) = group {
            // It has its own group, whose number is taken until it was waited for.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait().await;
    }
}

async fn log_lines(errors: impl AsyncRead + Unpin, log: Logger) {
    let mut errors = BufReader::new(errors);
    for _ in 0..MAX_ERROR_LINES {
        let mut line = Vec::new();
        match (&mut errors).take(MAX_ERROR_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => warn!(log, "{}", String::from_utf8_lossy(&line).trim_end()),
        }
    }
    // Read on, or the program would wait for a reader.
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
}

impl Interactive {
    /// The next line that is not empty, without its end; `None` when there will be none.
    pub async fn line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.output).take(MAX_LINE).read_until(b'\n', &mut line).await;
            let read = read.map_err(|error| Error::from_io("reading from the program", error))?;
            if read == 0 {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
                return Err(Error::invalid(format!("a line of more than {MAX_LINE} bytes")));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(text.to_vec()));
            }
        }
    }

    /// Writes one line for every answer. None may hold a line break.
    pub async fn answer(&mut self, answers: &[String]) -> Result<()> {
        let mut lines = String::new();
        for answer in answers {
            if answer.contains(['\n', '\r']) {
                return Err(Error::new(ErrorKind::InvalidInput, "an answer has a line break"));
            }
            lines.push_str(answer);
            lines.push('\n');
        }
        let write = async {
            self.input.write_all(lines.as_bytes()).await?;
            self.input.flush().await
        };
        write.await.map_err(|error| Error::from_io("writing to the program", error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::CommandSettings;

    fn script(dir: &std::path::Path, text: &str) -> String {
        let path = dir.join("hook");
        // Written under another name: a file that is open for writing cannot be run.
        std::fs::write(dir.join("new"), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(dir.join("new"), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::rename(dir.join("new"), &path).unwrap();
        path.display().to_string()
    }

    fn start(path: &str, config: CommandConfig, limit: Duration) -> Interactive {
        Programs::new(&config)
            .program(path, "keyboard_interactive")
            .interactive(&[("ABOUT", "a b")], Instant::now() + limit, crate::logging::discard())
            .unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_gets_only_what_it_is_given_and_no_shell() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(
            dir.path(),
            "printf '%s|%s|%s|%s|%s\\n' \"$ABOUT\" \"$ONE\" \"$TWO\" \"$HOME\" \"$1\"",
        );
        let config = CommandConfig {
            env: vec!["ONE=1".into(), "TWO=2".into()],
            commands: vec![CommandSettings {
                path: path.clone(),
                env: vec!["TWO=own".into()],
                args: vec!["$(id) *".into()],
                hook: "keyboard_interactive".into(),
                timeout: 0,
            }],
        };
        let mut program = start(&path, config, LONG);
        let line = program.line().await.unwrap().unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), "a b|1|own||$(id) *");
        assert_eq!(program.line().await.unwrap(), None);
    }

    #[tokio::test]
    async fn answers_are_lines_and_an_answer_cannot_make_two() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "read a; read b; echo; echo \"$b $a\"");
        let mut program = start(&path, CommandConfig::default(), LONG);
        assert!(program.answer(&["x\ny".into()]).await.is_err());
        program.answer(&["one".into(), "two".into()]).await.unwrap();
        assert_eq!(program.line().await.unwrap().unwrap(), b"two one");
    }

    #[tokio::test]
    async fn a_program_and_its_children_end_with_its_time_and_with_its_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "sleep 1000 & echo $!; wait");
        for limit in [Duration::from_millis(300), LONG] {
            let mut program = start(&path, CommandConfig::default(), limit);
            let child = program.line().await.unwrap().unwrap();
            let child = String::from_utf8(child).unwrap();
            if limit < LONG {
                assert_eq!(program.line().await.unwrap(), None);
            }
            drop(program);
            let stat = format!("/proc/{child}/stat");
            for _ in 0..500 {
                // Nobody may reap it here, so a zombie has ended as well.
                match std::fs::read_to_string(&stat) {
                    Ok(text) if !text.contains(") Z ") => {}
                    _ => break,
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let left = std::fs::read_to_string(&stat).unwrap_or_default();
            assert!(left.is_empty() || left.contains(") Z "), "{left}");
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_read_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "yes | tr -d '\\n'");
        let mut program = start(&path, CommandConfig::default(), LONG);
        assert!(program.line().await.is_err());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let program = Programs::default().program("/no/such/program", "keyboard_interactive");
            let error = program
                .interactive(&[], Instant::now() + LONG, crate::logging::discard())
                .unwrap_err();
            assert!(error.to_string().contains("/no/such/program"), "{error}");
        });
    }
}
