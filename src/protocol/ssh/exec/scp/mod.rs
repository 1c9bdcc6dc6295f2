//! `scp`: the old protocol, as `scp -O` and every other client of it speak it.
//!
//! The client starts `scp -t` to send and `scp -f` to receive; `message` has the lines
//! that the two then exchange. All files are reached through the session, so that
//! permissions, quota, bandwidth, hooks and log are those of every other protocol.

pub mod message;
mod sink;
mod source;

use message::{MAX_LINE, warning};

use super::Io;
use super::stream::Gone;
use crate::error::Error;
use crate::paths::VirtualPath;
use crate::protocol::ssh::sftp::status::to_status;
use crate::vfs::Session;

/// What `scp` was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub role: Role,
    /// `-r`
    pub is_recursive: bool,
    /// `-p`
    pub keeps_times: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// `-f`: we send.
    Source { paths: Vec<Vec<u8>> },
    /// `-t`: we receive; with `-d` only into an existing directory.
    Sink { target: Vec<u8>, needs_directory: bool },
}

impl Arguments {
    /// # Errors
    /// Why these are no arguments of a server's `scp`.
    pub fn parse(words: &[Vec<u8>]) -> Result<Self, String> {
        let (mut source, mut sink) = (false, false);
        let (mut is_recursive, mut keeps_times, mut needs_directory) = (false, false, false);
        let mut words = words.iter();
        let mut paths = Vec::new();
        for word in words.by_ref() {
            match word.strip_prefix(b"-") {
                Some(b"-") => break,
                // Options end at the first path, as for the real program.
                None | Some(b"") => {
                    paths.push(word.clone());
                    break;
                }
                Some(letters) => {
                    for letter in letters {
                        match letter {
                            b'f' => source = true,
                            b't' => sink = true,
                            b'r' => is_recursive = true,
                            b'p' => keeps_times = true,
                            b'd' => needs_directory = true,
                            // They say what the client shows.
                            b'v' | b'q' => {}
                            letter => {
                                let letter = char::from(*letter).escape_default();
                                return Err(format!("unknown option -{letter}"));
                            }
                        }
                    }
                }
            }
        }
        paths.extend(words.cloned());
        let role = match (source, sink, paths.as_slice()) {
            (true, false, [_, ..]) => Role::Source { paths },
            (false, true, [target]) => Role::Sink { target: target.clone(), needs_directory },
            (true, false, []) => return Err("no file was named".to_owned()),
            (false, true, _) => return Err("one target is needed".to_owned()),
            _ => return Err("one of -f and -t is needed: this is a server".to_owned()),
        };
        Ok(Self { role, is_recursive, keeps_times })
    }
}

/// Why the conversation ended early.
#[derive(Debug)]
enum Stop {
    Gone,
    /// What the client said makes no sense; it is told so.
    Protocol(String),
    /// The client gave up.
    ClientFailed(Vec<u8>),
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<message::Malformed> for Stop {
    fn from(malformed: message::Malformed) -> Self {
        Self::Protocol(malformed.to_string())
    }
}

/// One conversation, from either side.
struct Talk<'s> {
    session: &'s Session,
    arguments: Arguments,
    io: &'s mut Io,
    /// Something failed that did not end the conversation.
    has_failed: bool,
}

/// Carries out the whole conversation. True when everything succeeded.
pub(super) async fn serve(session: &Session, arguments: Arguments, io: &mut Io) -> bool {
    let role = arguments.role.clone();
    let mut talk = Talk { session, arguments, io, has_failed: false };
    let ended = match role {
        Role::Source { paths } => talk.send_all(&paths).await,
        Role::Sink { target, needs_directory } => talk.receive_all(&target, needs_directory).await,
    };
    match ended {
        Ok(()) => !talk.has_failed,
        Err(Stop::Gone) => false,
        Err(Stop::ClientFailed(text)) => {
            let text = String::from_utf8_lossy(&text);
            slog::info!(talk.io.log, "the scp client gave up: {}", text.escape_debug());
            false
        }
        Err(Stop::Protocol(text)) => {
            slog::info!(talk.io.log, "scp ended: {text}");
            let _ = talk.io.stdout.write(&warning(text.as_bytes())).await;
            false
        }
    }
}

impl Talk<'_> {
    /// What a client's path means.
    fn resolve(&self, raw: &[u8]) -> VirtualPath {
        VirtualPath::resolve(&self.session.start_directory(), raw)
    }

    async fn acknowledge(&mut self) -> Result<(), Stop> {
        Ok(self.io.stdout.write(&[0]).await?)
    }

    /// Tells the client that something failed, and goes on.
    async fn report(&mut self, path: &[u8], error: &Error) -> Result<(), Stop> {
        slog::info!(self.io.log, "scp: {}: {error}", String::from_utf8_lossy(path).escape_debug());
        self.report_text(path, to_status(error).1).await
    }

    async fn report_text(&mut self, path: &[u8], text: &str) -> Result<(), Stop> {
        self.has_failed = true;
        let line = [path, b": ", text.as_bytes()].concat();
        Ok(self.io.stdout.write(&warning(&line)).await?)
    }

    /// Waits for the answer of the other side: true when all is well there, false when it
    /// reported a failure and goes on.
    async fn answer(&mut self) -> Result<bool, Stop> {
        let kind = self.io.input.byte().await.ok_or(Stop::Gone)?;
        match kind {
            0 => Ok(true),
            1 | 2 => {
                let mut text = Vec::new();
                loop {
                    match self.io.input.byte().await.ok_or(Stop::Gone)? {
                        b'\n' => break,
                        _ if text.len() >= MAX_LINE => {
                            return Err(message::Malformed::TooLong.into());
                        }
                        byte => text.push(byte),
                    }
                }
                if kind == 2 {
                    return Err(Stop::ClientFailed(text));
                }
                self.note_warning(&text);
                Ok(false)
            }
            _ => Err(message::Malformed::UnknownKind.into()),
        }
    }

    fn note_warning(&mut self, text: &[u8]) {
        self.has_failed = true;
        let text = String::from_utf8_lossy(text);
        slog::info!(self.io.log, "the scp client reports: {}", text.escape_debug());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_a_server() {
        let parse = |line: &str| {
            let words: Vec<Vec<u8>> =
                line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
            Arguments::parse(&words)
        };
        let source = |paths: &[&str], is_recursive, keeps_times| {
            let paths = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
            Ok(Arguments { role: Role::Source { paths }, is_recursive, keeps_times })
        };
        let sink = |target: &str, needs_directory, is_recursive| {
            let role = Role::Sink { target: target.into(), needs_directory };
            Ok(Arguments { role, is_recursive, keeps_times: false })
        };
        assert_eq!(parse("-f a"), source(&["a"], false, false));
        assert_eq!(parse("-v -r -p -f a b"), source(&["a", "b"], true, true));
        assert_eq!(parse("-prf -- -a"), source(&["-a"], true, true));
        assert_eq!(parse("-f a -t"), source(&["a", "-t"], false, false));
        assert_eq!(parse("-qdt dir"), sink("dir", true, false));
        assert_eq!(parse("-r -t ."), sink(".", false, true));
        assert_eq!(parse("-t -"), sink("-", false, false));
        for wrong in ["", "a", "-f", "-t", "-t a b", "-f -t a", "-x -f a", "-S prog -f a", "a b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
