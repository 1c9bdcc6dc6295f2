//! The bounded queue of finished lines and the thread that writes them.
//!
//! The writer takes all lines that are waiting, writes them with one call, and
//! pauses for a few milliseconds: under load a line then costs its caller neither
//! a system call nor a wake-up.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use slog::Level;

use super::drain::push_head;
use super::journal::Journal;
use super::rotate::RotatingFile;
use super::tail::Tail;
use super::timestamp::Zone;

/// Lines that may wait; at some 300 bytes each, a few megabytes.
const CAPACITY: usize = 8192;
/// How long the writer lets further lines gather after it has written some.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes after which a batch is written even if more lines wait.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Where the writer thread writes.
#[derive(Debug)]
pub(super) enum Output {
    Stderr,
    File(RotatingFile),
    Journal(Journal),
    Memory(Captured),
    /// Fails while the flag is set.
    #[cfg(test)]
    Broken(Arc<std::sync::atomic::AtomicBool>, Captured),
}

impl Output {
    fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(lines),
            Self::File(file) => file.write_lines(lines),
            Self::Journal(journal) => journal.write_lines(lines),
            Self::Memory(captured) => {
                captured.append(lines);
                Ok(())
            }
            #[cfg(test)]
            Self::Broken(is_broken, captured) => {
                if is_broken.load(Ordering::Relaxed) {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                captured.append(lines);
                Ok(())
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.rotate(),
            _ => Ok(()),
        }
    }
}

/// What a test's logger has written.
#[derive(Debug, Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// All lines so far; flush the log first.
    pub fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

enum Message {
    Line(String),
    /// A line that is written, but not kept among the newest.
    Unwatched(String),
    Rotate(SyncSender<io::Result<()>>),
    Flush(SyncSender<()>),
    Stop,
}

/// The sending side, shared by all loggers.
#[derive(Debug)]
pub(super) struct LineSender {
    queue: SyncSender<Message>,
    /// Dropped and not yet reported.
    dropped: Arc<AtomicU64>,
    dropped_total: AtomicU64,
    tail: Tail,
}

impl LineSender {
    /// Queues a line, waiting for room; lost only after the writer has stopped.
    pub(super) fn send(&self, line: String) {
        let _ = self.queue.send(Message::Line(line));
    }

    /// The same for a line that is not kept among the newest.
    pub(super) fn send_unwatched(&self, line: String) {
        let _ = self.queue.send(Message::Unwatched(line));
    }

    /// Queues a line, or counts it as dropped if there is no room.
    pub(super) fn send_or_drop(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.dropped_total.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped_total.load(Ordering::Relaxed)
    }

    pub(super) fn rotate(&self) -> io::Result<()> {
        let (done, wait) = sync_channel(1);
        let stopped = || io::Error::new(io::ErrorKind::BrokenPipe, "the log writer has stopped");
        self.queue.send(Message::Rotate(done)).map_err(|_| stopped())?;
        wait.recv().map_err(|_| stopped())?
    }

    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }
}

/// The writer thread; joined by [`Writer::stop`].
#[derive(Debug)]
pub(super) struct Writer {
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Lets the thread write what is queued, and waits for it.
    pub(super) fn stop(&mut self, sender: &LineSender) {
        if let Some(thread) = self.thread.take() {
            let _ = sender.queue.send(Message::Stop);
            let _ = thread.join();
        }
    }
}

pub(super) fn start(output: Output, zone: Zone) -> io::Result<(Arc<LineSender>, Writer)> {
    let (sender, messages, work) = prepare(output, zone);
    let thread = std::thread::Builder::new()
        .name("sftpgo-log".to_owned())
        .spawn(move || work.run(&messages))?;
    Ok((sender, Writer { thread: Some(thread) }))
}

fn prepare(output: Output, zone: Zone) -> (Arc<LineSender>, Receiver<Message>, Work) {
    let (queue, messages) = sync_channel(CAPACITY);
    let dropped = Arc::new(AtomicU64::new(0));
    let tail = Tail::new(zone);
    let sender = Arc::new(LineSender {
        queue,
        dropped: Arc::clone(&dropped),
        dropped_total: AtomicU64::new(0),
        tail: tail.clone(),
    });
    let work =
        Work { output, zone, tail, dropped, batch: Vec::new(), batch_lines: 0, failing: None };
    (sender, messages, work)
}

/// Lines that could not be written since the target started to fail.
struct Failing {
    lines: u64,
    error: String,
}

struct Work {
    output: Output,
    zone: Zone,
    tail: Tail,
    dropped: Arc<AtomicU64>,
    batch: Vec<u8>,
    batch_lines: u64,
    failing: Option<Failing>,
}

impl Work {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut next = Some(first);
            let mut is_gathering = true;
            while let Some(message) = next {
                match message {
                    Message::Line(line) => {
                        self.tail.push(&line);
                        self.add(&line);
                    }
                    Message::Unwatched(line) => self.add(&line),
                    Message::Rotate(done) => {
                        self.write_batch();
                        let _ = done.send(self.output.rotate());
                    }
                    Message::Flush(done) => {
                        self.write_batch();
                        let _ = done.send(());
                        is_gathering = false;
                    }
                    Message::Stop => {
                        self.write_batch();
                        return;
                    }
                }
                next = messages.try_recv().ok();
            }
            self.write_batch();
            if is_gathering {
                std::thread::sleep(GATHER);
            }
        }
    }

    fn add(&mut self, line: &str) {
        self.batch.extend_from_slice(line.as_bytes());
        self.batch_lines += 1;
        if self.batch.len() >= MAX_BATCH_BYTES {
            self.write_batch();
        }
    }

    fn write_batch(&mut self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.add_own_line(format_args!(
                "{dropped} app lines were dropped because the log queue was full"
            ));
        }
        if self.batch.is_empty() {
            return;
        }
        self.tail.announce();
        if let Some(failing) = &self.failing {
            let report = format!("{} lines could not be written: {}", failing.lines, failing.error);
            let lines_before = self.batch_lines;
            self.add_own_line(format_args!("{report}"));
            // Not a line of anybody: it must not count as lost when this fails again.
            self.batch_lines = lines_before;
        }
        match self.output.write_lines(&self.batch) {
            Ok(()) => self.failing = None,
            Err(error) => self.lost(&error),
        }
        self.batch.clear();
        self.batch_lines = 0;
    }

    /// Once per outage also on stderr, since the log itself cannot tell.
    fn lost(&mut self, error: &io::Error) {
        match &mut self.failing {
            Some(failing) => failing.lines += self.batch_lines,
            None => {
                self.failing = Some(Failing { lines: self.batch_lines, error: error.to_string() });
                let _ = writeln!(io::stderr(), "sftpgo: cannot write the log: {error}");
            }
        }
    }

    fn add_own_line(&mut self, message: std::fmt::Arguments<'_>) {
        let mut line = String::new();
        push_head(&mut line, Level::Error, self.zone);
        let _ = writeln!(line, "\"sender\":\"log\",\"message\":\"{}\"}}", Quoted(message));
        self.tail.push(&line);
        self.batch.extend_from_slice(line.as_bytes());
        self.batch_lines += 1;
    }
}

struct Quoted<'a>(std::fmt::Arguments<'a>);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(super::json::Escape(f), "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn app_lines_beyond_the_queue_are_dropped_and_counted_in_the_log() {
        let captured = Captured::default();
        let (sender, messages, work) = prepare(Output::Memory(captured.clone()), Zone::Utc);
        for _ in 0..CAPACITY + 3 {
            sender.send_or_drop("line\n".to_owned());
        }
        assert_eq!(sender.dropped_total(), 3);
        let running = std::thread::spawn(move || work.run(&messages));
        sender.flush();
        sender.send_or_drop("line\n".to_owned());
        let mut writer = Writer { thread: Some(running) };
        writer.stop(&sender);

        let lines = captured.lines();
        let reports: Vec<&String> = lines.iter().filter(|line| *line != "line").collect();
        assert_eq!(lines.len(), CAPACITY + 2);
        assert_eq!(reports.len(), 1);
        assert!(reports[0].ends_with(
            "\"sender\":\"log\",\"message\":\"3 app lines were dropped because the log queue was full\"}"
        ));
    }

    #[test]
    fn an_outage_of_the_target_is_told_with_the_number_of_lost_lines() {
        let captured = Captured::default();
        let is_broken = Arc::new(AtomicBool::new(true));
        let output = Output::Broken(Arc::clone(&is_broken), captured.clone());
        let (sender, mut writer) = start(output, Zone::Utc).unwrap();
        sender.send("lost 1\n".to_owned());
        sender.flush();
        sender.send("lost 2\n".to_owned());
        sender.send("lost 3\n".to_owned());
        sender.flush();
        is_broken.store(false, Ordering::Relaxed);
        sender.send("kept\n".to_owned());
        sender.flush();
        sender.send("kept too\n".to_owned());
        writer.stop(&sender);

        let lines = captured.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!((lines[0].as_str(), lines[2].as_str()), ("kept", "kept too"));
        assert!(lines[1].contains("\"message\":\"3 lines could not be written: "), "{lines:?}");
    }
}
