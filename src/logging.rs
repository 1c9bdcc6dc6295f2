//! The log: one JSON object per line, in a fixed key order.
//!
//! Tools read these lines (fail2ban filters by regular expression, so even the
//! order of the keys is part of the contract): first `level`, `time`, `sender`,
//! then the fields of the line's kind. `docs/observability.md` lists them.
//!
//! A line is encoded on the thread that logs it and handed as one string to a
//! writer thread over a bounded queue ([`queue`]), which writes whole lines to
//! stderr, to a rotated file ([`rotate`]) or to systemd's journal ([`journal`]).
//!
//! Two kinds of line go through the same [`slog::Logger`]:
//!
//! * App lines by slog's macros: `sender`, `connection_id` if the logger has one,
//!   `message`, then any further values. When the queue is full they are dropped,
//!   and the number of dropped lines is logged as soon as there is room.
//! * Records of what clients did, by the typed functions [`transfer`], [`command`],
//!   [`http`], [`connection_failed`] and [`login`]. They are never dropped: the
//!   caller waits for room.
//!
//! slog-async is not used because it has one overflow policy per queue, not per
//! line, boxes every value twice, and loses its thread to the first panic.
//! file-rotate is not used because it limits backups by count or by age but not
//! by both, compresses while the writer waits, drops lines silently when it cannot
//! open the file, and asserts (panics) when somebody else moved the log.

mod drain;
mod journal;
mod json;
mod lines;
mod queue;
mod rotate;
mod tail;
mod timestamp;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use slog::{Level, Logger};

use crate::error::{Error, Result};

pub use lines::{
    Command, ConnectionFailed, HttpRequest, Login, Operation, Transfer, TransferKind, command,
    connection_failed, http, login, transfer,
};
pub use queue::Captured;
pub use tail::{Tail, TailFilter, TailLine, TailPage};

/// Where the log goes and what is in it.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The log file; `None` writes to stderr, unrotated.
    pub file: Option<PathBuf>,
    /// The size in MB (1024 × 1024 bytes) at which the file is rotated; 0 means 100.
    pub max_size_mb: u64,
    /// How many rotated files are kept; 0 keeps all that are young enough.
    pub max_backups: usize,
    /// After how many days a rotated file is deleted; 0 means never.
    pub max_age_days: u32,
    /// Compress rotated files with gzip.
    pub compress: bool,
    /// The least severe level that is logged.
    pub level: Level,
    /// Times (and the names of rotated files) in UTC instead of local time.
    pub utc: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            file: None,
            max_size_mb: 10,
            max_backups: 5,
            max_age_days: 28,
            compress: false,
            level: Level::Debug,
            utc: false,
        }
    }
}

/// The running log. Dropping it writes everything that was logged before and
/// stops the writer; lines logged later are lost.
#[derive(Debug)]
pub struct Logging {
    logger: Logger,
    control: LogControl,
    writer: queue::Writer,
}

impl Logging {
    /// Opens the target and starts the writer thread.
    ///
    /// # Errors
    /// When the log file or its directory cannot be created.
    pub fn start(options: LogOptions) -> Result<Self> {
        let zone = timestamp::Zone::from_utc(options.utc);
        let file = options.file.as_deref().map(Arc::from);
        let output = match options.file {
            None => queue::Output::Stderr,
            Some(path) => queue::Output::File(rotate::RotatingFile::open(rotate::Limits {
                path,
                max_bytes: if options.max_size_mb == 0 { 100 } else { options.max_size_mb }
                    .saturating_mul(1024 * 1024),
                max_backups: options.max_backups,
                max_age_days: options.max_age_days,
                compress: options.compress,
                zone,
            })?),
        };
        let mut logging = Self::with_output(output, options.level, zone)?;
        logging.control.file = file;
        Ok(logging)
    }

    /// Logs to systemd's journal.
    ///
    /// # Errors
    /// There is none on this machine.
    pub fn to_journal(level: Level, utc: bool) -> Result<Self> {
        let journal = journal::Journal::open(journal::SOCKET.as_ref()).map_err(|error| {
            Error::from_io(format!("cannot log to systemd's journal, {}", journal::SOCKET), error)
        })?;
        Self::with_output(queue::Output::Journal(journal), level, timestamp::Zone::from_utc(utc))
    }

    fn with_output(output: queue::Output, level: Level, zone: timestamp::Zone) -> Result<Self> {
        let (sender, writer) = queue::start(output, zone)
            .map_err(|error| Error::from_io("starting the log writer thread", error))?;
        let logger = Logger::root(drain::JsonLines::new(sender.clone(), level, zone), slog::o!());
        Ok(Self { logger, control: LogControl { sender, file: None }, writer })
    }

    /// The root logger; derive one per part with [`for_sender`].
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    /// What the signal handlers need; cheap to clone.
    pub fn control(&self) -> LogControl {
        self.control.clone()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.writer.stop(&self.control.sender);
    }
}

/// A handle to rotate and flush the log from elsewhere.
#[derive(Debug, Clone)]
pub struct LogControl {
    sender: Arc<queue::LineSender>,
    file: Option<Arc<Path>>,
}

impl LogControl {
    /// Starts a new log file now (SIGUSR1); does nothing when logging to stderr.
    /// If somebody else moved the file away, it is simply opened anew.
    /// Waits for the writer thread, so call it off the async threads.
    ///
    /// # Errors
    /// When the file cannot be renamed or opened; the old one stays in use then.
    pub fn rotate(&self) -> Result<()> {
        self.sender.rotate().map_err(|error| Error::from_io("rotating the log file", error))
    }

    /// Returns when every line logged before is written.
    pub fn flush(&self) {
        self.sender.flush();
    }

    /// The file that is written to, if it is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The newest lines.
    pub fn tail(&self) -> &Tail {
        self.sender.tail()
    }

    /// How many app lines were dropped so far because the queue was full.
    pub fn dropped_lines(&self) -> u64 {
        self.sender.dropped_total()
    }
}

/// A logger whose app lines carry this `sender`.
pub fn for_sender(logger: &Logger, sender: &'static str) -> Logger {
    logger.new(slog::o!("sender" => sender))
}

/// A logger whose app lines carry this `connection_id`.
pub fn for_connection(logger: &Logger, connection_id: &str) -> Logger {
    logger.new(slog::o!("connection_id" => connection_id.to_owned()))
}

/// One app line without a derived logger: for places that speak for several senders.
pub fn app(
    logger: &Logger,
    level: Level,
    sender: &str,
    connection_id: Option<&str>,
    message: std::fmt::Arguments<'_>,
) {
    lines::app(logger, level, sender, connection_id, message);
}

/// A logger that drops everything.
pub fn discard() -> Logger {
    Logger::root(slog::Discard, slog::o!())
}

/// A log into memory, for tests of other modules: what they logged is in [`Captured`].
pub fn capture(level: Level) -> (Logging, Captured) {
    let captured = Captured::default();
    let output = queue::Output::Memory(captured.clone());
    match Logging::with_output(output, level, timestamp::Zone::Utc) {
        Ok(logging) => (logging, captured),
        Err(error) => unreachable!("a thread for the test log: {error}"),
    }
}

#[cfg(test)]
mod tests;
