//! One SFTP session over a pair of byte streams, as a subsystem of another SSH server
//! has them.
//!
//! The streams may be anything (OpenSSH gives sockets or pipes), so they block, each in a
//! thread of its own. Nobody waits for these threads: a read that is never answered, and a
//! write that nobody takes, must not keep the process from ending.
//!
//! All replies pass through one queue, those of [`Inline`] and those of [`Outlet`], which
//! keeps their order. Above [`OUTPUT_BUDGET`] it takes no more, and the engine holds back
//! what it has.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Read, Write};
use std::sync::mpsc::{Receiver as SyncReceiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use actors::{Connection, SessionHandle};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::Prefix;
use super::engine::{Channel, Gone, Inline, OUTPUT_BUDGET, Outlet, TrySend};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Metrics;
use crate::vfs::Session;

/// Bytes of one read: several requests of a client that sends many at a time.
const READ_BYTES: usize = 128 * 1024;

/// Buffers that go round between the reading thread and the engine.
const READ_BUFFERS: usize = 2;

/// Bytes of small replies that are written with one call.
const WRITE_BYTES: usize = 64 * 1024;

/// What a session needs besides its streams.
pub struct Start {
    pub session: Session,
    pub entry: SessionHandle,
    pub connection: Connection,
    pub metrics: Arc<Metrics>,
    pub log: slog::Logger,
}

/// Serves until `input` ends and everything that was asked is answered.
///
/// # Errors
/// The session was ended by the server; a stream failed; a client that cannot be followed.
pub async fn serve(
    start: Start,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<()> {
    let Start { session, entry, connection, metrics, log } = start;
    let kill = connection.kill_switch().clone();
    let outbox = Arc::new(Outbox::default());
    let (mut chunks, spent) = read_in_background(input)?;
    write_in_background(outbox.clone(), output)?;
    let (prefix, ending) = (Prefix::default(), kill.clone());
    let mut channel = Channel::start(session, prefix, entry, outbox.clone(), ending, metrics, log);
    let ended_by_server = || {
        let why = kill.reason().map_or_else(|| "the session was ended".into(), |r| r.to_string());
        Err(Error::new(ErrorKind::Aborted, why))
    };
    loop {
        let chunk = tokio::select! {
            () = kill.fired() => return ended_by_server(),
            written = outbox.ended() => return written,
            chunk = chunks.recv() => chunk,
        };
        let Some(chunk) = chunk else { break };
        let Chunk { buffer, len } =
            chunk.map_err(|error| Error::from_io("cannot read from the client", error))?;
        connection.touch();
        let data = buffer.get(..len).unwrap_or_default();
        channel
            .receive(data, true, &mut &*outbox)
            .await
            .map_err(|error| Error::invalid(error.to_string()))?;
        // The thread has ended if nobody takes it: then that was the last one.
        let _ = spent.try_send(buffer);
    }
    channel.end_of_input();
    tokio::select! {
        () = kill.fired() => ended_by_server(),
        written = outbox.ended() => written,
    }
}

/// What one read gave.
struct Chunk {
    buffer: Box<[u8]>,
    len: usize,
}

type Chunks = mpsc::Receiver<io::Result<Chunk>>;

/// Starts the reading thread; it takes back the buffers of chunks that are done with.
fn read_in_background(
    input: impl Read + Send + 'static,
) -> Result<(Chunks, SyncSender<Box<[u8]>>)> {
    let (chunks, receiver) = mpsc::channel(READ_BUFFERS);
    let (spent, buffers) = sync_channel(READ_BUFFERS);
    for _ in 0..READ_BUFFERS {
        // There is room for them all.
        let _ = spent.try_send(vec![0; READ_BYTES].into_boxed_slice());
    }
    spawn("sftpgo-input", move || read_all(input, &buffers, &chunks))?;
    Ok((receiver, spent))
}

/// Until the input ends or fails, or nobody wants more of it.
fn read_all(
    mut input: impl Read,
    buffers: &SyncReceiver<Box<[u8]>>,
    chunks: &mpsc::Sender<io::Result<Chunk>>,
) {
    while let Ok(mut buffer) = buffers.recv() {
        let chunk = loop {
            match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return,
                Ok(len) => break Ok(Chunk { buffer, len }),
                Err(error) => break Err(error),
            }
        };
        let failed = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || failed {
            return;
        }
    }
}

fn write_in_background(outbox: Arc<Outbox>, output: impl Write + Send + 'static) -> Result<()> {
    spawn("sftpgo-output", move || {
        let outcome = outbox.write_all(output);
        outbox.end(outcome);
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::from_io(format!("cannot start the thread {name}"), error))
}

/// Replies on their way to the writing thread.
#[derive(Default)]
struct Outbox {
    queue: Mutex<Queue>,
    /// For the writing thread: there are replies, or there will be none.
    arrived: Condvar,
    /// For the engine's pump, which alone waits for room.
    room: Notify,
    /// For [`serve`], which alone waits for the end.
    ended: Notify,
}

#[derive(Default)]
struct Queue {
    replies: VecDeque<Bytes>,
    /// Of these and of those that are being written.
    bytes: usize,
    /// Nothing will be added.
    is_complete: bool,
    /// Everything is written, or nothing more can be.
    has_ended: bool,
    failure: Option<io::Error>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue stays sound whatever panicked while holding it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue>, reply: Bytes) {
        queue.bytes += reply.len();
        queue.replies.push_back(reply);
        drop(queue);
        self.arrived.notify_one();
    }

    /// Everything that waits, once something does; `None` when that was all.
    fn take(&self) -> Option<VecDeque<Bytes>> {
        let mut queue = self.lock();
        loop {
            if !queue.replies.is_empty() {
                return Some(std::mem::take(&mut queue.replies));
            }
            if queue.is_complete {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_all(&self, output: impl Write) -> io::Result<()> {
        let mut output = BufWriter::with_capacity(WRITE_BYTES, output);
        while let Some(replies) = self.take() {
            for reply in replies {
                output.write_all(&reply)?;
                self.lock().bytes -= reply.len();
                self.room.notify_one();
            }
            output.flush()?;
        }
        Ok(())
    }

    fn end(&self, outcome: io::Result<()>) {
        let mut queue = self.lock();
        queue.has_ended = true;
        queue.failure = outcome.err();
        drop(queue);
        self.room.notify_one();
        self.ended.notify_one();
    }

    /// Waits until everything is written, or cannot be.
    async fn ended(&self) -> Result<()> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(error) = queue.failure.take() {
                    return Err(Error::from_io("cannot write to the client", error));
                }
                if queue.has_ended {
                    return Ok(());
                }
            }
            self.ended.notified().await;
        }
    }
}

impl Inline for &Outbox {
    fn send(&mut self, reply: Bytes) {
        let queue = self.lock();
        if !queue.has_ended {
            self.push(queue, reply);
        }
    }

    fn is_blocked(&self) -> bool {
        self.lock().bytes > OUTPUT_BUDGET
    }
}

#[async_trait]
impl Outlet for Outbox {
    fn try_send(&self, reply: Bytes) -> Result<(), TrySend> {
        let queue = self.lock();
        if queue.has_ended {
            return Err(TrySend::Gone);
        }
        if queue.bytes > OUTPUT_BUDGET {
            return Err(TrySend::Full(reply));
        }
        self.push(queue, reply);
        Ok(())
    }

    async fn send(&self, mut reply: Bytes) -> Result<(), Gone> {
        loop {
            match self.try_send(reply) {
                Ok(()) => return Ok(()),
                Err(TrySend::Gone) => return Err(Gone),
                Err(TrySend::Full(back)) => reply = back,
            }
            self.room.notified().await;
        }
    }

    async fn flush(&self) -> Result<(), Gone> {
        // What is in the queue is in order already.
        Ok(())
    }

    async fn close(&self) {
        self.lock().is_complete = true;
        self.arrived.notify_one();
    }
}
