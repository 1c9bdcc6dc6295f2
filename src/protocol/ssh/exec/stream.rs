//! What flows between a client and its command.
//!
//! **Nothing waits for the client's window inside the SSH session's task.** Output is
//! written by the command's own task and waits there. Input is queued by the session's
//! task, which holds the client back above [`INPUT_BUDGET`], because the SSH library
//! enlarges the window on receipt, not on consumption. But while output waits, the
//! WINDOW_ADJUST that it waits for may be behind the data that is held back: then input
//! is taken on, up to [`INPUT_LIMIT`], where a client that sends and never reads is
//! disconnected. Held back is the whole connection: so early where that slows an upload
//! with a bandwidth limit, late where another channel would suffer, and for a moment at a
//! time, as in [`crate::protocol::ssh::sftp::engine`].

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use actors::{Connection, KillSwitch};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::protocol::ssh::sftp::engine::{
    INPUT_LIMIT, LEAST_INPUT_BUDGET, LONGEST_HOLD, SHARED_INPUT_BUDGET,
};

/// Bytes of queued input above which a client is held back.
pub const INPUT_BUDGET: usize = 512 * 1024;

/// What a queued piece costs besides its bytes.
const PIECE_OVERHEAD: usize = 64;

/// The client sends and does not read what it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputNotRead;

/// The client has closed the channel or gone, or the session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// One direction of bytes to the client.
pub type Pipe = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// The ways to the client that belong to one channel.
pub struct Outlets {
    pub stdout: Pipe,
    pub stderr: Pipe,
    pub end: Box<dyn End>,
}

/// The end of a channel from our side.
#[async_trait]
pub trait End: Send + Sync {
    /// Exit status, EOF and close; nothing may follow.
    async fn end(self: Box<Self>, status: u32);
}

/// Bytes from the client, queued.
#[derive(Debug)]
pub struct Input {
    queue: Mutex<Queue>,
    arrived: Notify,
    /// Something was consumed, or output began to wait: `room` looks again.
    progress: Notify,
    /// How many outputs wait for the client.
    waiting_outputs: AtomicUsize,
    /// Nobody will ever read; what arrives is dropped.
    is_ignored: AtomicBool,
    /// At most [`INPUT_BUDGET`].
    budget: usize,
    kill: KillSwitch,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    cost: usize,
    has_ended: bool,
}

impl Input {
    /// `upload_rate`: bytes per second that are taken, if that is limited.
    pub fn new(kill: KillSwitch, upload_rate: Option<u64>) -> Self {
        let enough = |rate: u64| usize::try_from(rate / 10).unwrap_or(usize::MAX);
        Self {
            budget: upload_rate
                .map_or(INPUT_BUDGET, |rate| enough(rate).clamp(LEAST_INPUT_BUDGET, INPUT_BUDGET)),
            queue: Mutex::default(),
            arrived: Notify::new(),
            progress: Notify::new(),
            waiting_outputs: AtomicUsize::new(0),
            is_ignored: AtomicBool::new(false),
            kill,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue stays sound whatever panicked while holding it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what the client sent.
    pub fn push(&self, data: &[u8]) {
        if data.is_empty() || self.is_ignored.load(Ordering::Acquire) {
            return;
        }
        let mut queue = self.lock();
        if queue.has_ended {
            return;
        }
        queue.cost += data.len() + PIECE_OVERHEAD;
        queue.pieces.push_back(Bytes::copy_from_slice(data));
        drop(queue);
        self.arrived.notify_one();
    }

    /// The client will send nothing more.
    pub fn end(&self) {
        self.lock().has_ended = true;
        self.arrived.notify_one();
    }

    /// Drops what is queued and whatever arrives from now on.
    pub fn ignore(&self) {
        self.is_ignored.store(true, Ordering::Release);
        let mut queue = self.lock();
        queue.pieces.clear();
        queue.cost = 0;
        drop(queue);
        self.progress.notify_waiters();
    }

    /// Waits until the client may send more. `is_alone`: no other channel of the
    /// connection waits with it.
    pub async fn room(&self, is_alone: bool) -> Result<(), OutputNotRead> {
        let budget = if is_alone { self.budget } else { SHARED_INPUT_BUDGET };
        if self.lock().cost <= budget {
            return Ok(());
        }
        let held = tokio::time::sleep(LONGEST_HOLD);
        tokio::pin!(held);
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            let cost = self.lock().cost;
            if cost > INPUT_LIMIT {
                return Err(OutputNotRead);
            }
            if cost <= budget || self.waiting_outputs.load(Ordering::Acquire) > 0 {
                return Ok(());
            }
            tokio::select! {
                () = progress => {}
                () = &mut held, if cost <= SHARED_INPUT_BUDGET => return Ok(()),
                () = self.kill.fired() => return Ok(()),
            }
        }
    }

    /// The next piece; `None` at the end. One task reads.
    pub async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(piece) = queue.pieces.pop_front() {
                    queue.cost = queue.cost.saturating_sub(piece.len() + PIECE_OVERHEAD);
                    drop(queue);
                    self.progress.notify_waiters();
                    return Some(piece);
                }
                if queue.has_ended {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }
}

/// Input in the sizes that a command asks for.
#[derive(Debug)]
pub struct Reader {
    input: Arc<Input>,
    current: Bytes,
}

impl Reader {
    pub fn new(input: Arc<Input>) -> Self {
        Self { input, current: Bytes::new() }
    }

    /// What is at hand, at most `max` bytes; `None` at the end.
    pub async fn take(&mut self, max: usize) -> Option<Bytes> {
        if self.current.is_empty() {
            self.current = self.input.next().await?;
        }
        // Input may be there without end: others shall have their turn.
        tokio::task::coop::consume_budget().await;
        let len = self.current.len().min(max);
        Some(self.current.split_to(len))
    }

    /// Drops what is queued and whatever arrives from now on.
    pub fn ignore(&mut self) {
        self.current = Bytes::new();
        self.input.ignore();
    }

    /// One byte; `None` at the end.
    pub async fn byte(&mut self) -> Option<u8> {
        self.take(1).await?.first().copied()
    }
}

/// Bytes to the client.
pub struct Output {
    pipe: Pipe,
    input: Arc<Input>,
    connection: Connection,
}

impl Output {
    pub fn new(pipe: Pipe, input: Arc<Input>, connection: Connection) -> Self {
        Self { pipe, input, connection }
    }

    /// Sends all of `data`, waiting for the client's window.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), Gone> {
        if data.is_empty() {
            return Ok(());
        }
        let Self { pipe, input, connection } = self;
        let work = std::pin::pin!(pipe.write_all(data));
        let written = NoteWaiting { work, input, is_waiting: false };
        written.await.map_err(|_| Gone)?;
        connection.touch();
        Ok(())
    }
}

/// Tells `Input::room` while a write waits.
struct NoteWaiting<'i, F> {
    work: F,
    input: &'i Input,
    is_waiting: bool,
}

impl<F: Future<Output = io::Result<()>> + Unpin> Future for NoteWaiting<'_, F> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.work).poll(cx);
        if polled.is_pending() && !self.is_waiting {
            self.is_waiting = true;
            self.input.waiting_outputs.fetch_add(1, Ordering::AcqRel);
            self.input.progress.notify_waiters();
        }
        polled
    }
}

impl<F> Drop for NoteWaiting<'_, F> {
    fn drop(&mut self) {
        if self.is_waiting {
            self.input.waiting_outputs.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use actors::KillReason;
    use futures_util::FutureExt;

    use super::*;

    fn input() -> Arc<Input> {
        Arc::new(Input::new(KillSwitch::new(), None))
    }

    fn fill(input: &Input, bytes: usize) {
        for _ in 0..bytes / 32_768 {
            input.push(&[7; 32_768]);
        }
    }

    #[tokio::test]
    async fn a_client_is_held_back_until_the_command_has_consumed() {
        let input = input();
        input.push(b"x");
        assert_eq!(input.room(true).now_or_never(), Some(Ok(())));
        fill(&input, INPUT_BUDGET);
        assert_eq!(input.room(true).now_or_never(), None);
        let held = tokio::spawn({
            let input = input.clone();
            async move { input.room(true).await }
        });
        tokio::task::yield_now().await;
        for _ in 0..3 {
            input.next().await.unwrap();
        }
        assert_eq!(held.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn while_output_waits_input_is_taken_up_to_the_limit() {
        let input = input();
        fill(&input, INPUT_BUDGET + 65_536);
        assert_eq!(input.room(true).now_or_never(), None);
        let (near, _far) = tokio::io::duplex(16);
        let mut near = Box::pin(near);
        let data = [0; 64];
        let work = Box::pin(near.write_all(&data));
        let mut waiting = NoteWaiting { work, input: &input, is_waiting: false };
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(input.room(true).now_or_never(), Some(Ok(())));
        fill(&input, INPUT_LIMIT);
        assert_eq!(input.room(true).now_or_never(), Some(Err(OutputNotRead)));
        drop(waiting);
        input.ignore();
        fill(&input, INPUT_LIMIT);
        assert_eq!(input.room(true).now_or_never(), Some(Ok(())));
    }

    #[tokio::test]
    async fn holding_back_ends_when_the_session_is_killed() {
        let input = input();
        fill(&input, INPUT_BUDGET + 65_536);
        input.kill.fire(KillReason::Shutdown);
        assert_eq!(input.room(true).await, Ok(()));
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_in_the_asked_size() {
        let input = input();
        input.push(b"abc");
        input.push(b"");
        input.push(b"de");
        input.end();
        input.push(b"after the end");
        let mut reader = Reader::new(input);
        assert_eq!(reader.byte().await, Some(b'a'));
        assert_eq!(reader.take(10).await.unwrap(), &b"bc"[..]);
        assert_eq!(reader.take(1).await.unwrap(), &b"d"[..]);
        assert_eq!(reader.byte().await, Some(b'e'));
        assert_eq!(reader.byte().await, None);
        assert_eq!(reader.take(1).await, None);
    }
}
