//! The pipelined engine of one SFTP channel.
//!
//! Three parties share a channel's state:
//!
//! * [`Channel::receive`] runs inside the SSH session's own task. It cuts the byte
//!   stream into packets and begins each request on the spot. What needs no waiting is
//!   answered there (cached data, names in the directory cache, a WRITE the page cache
//!   takes): a change of threads would cost more than the work. The rest is queued.
//! * the *worker* task takes queued requests in order. Reads overlap with each other, and
//!   so do questions about paths; anything else waits until they are done, so a client
//!   that pipelines WRITE, CLOSE, RENAME gets what it meant.
//! * the *pump* task hands replies to the SSH session when that has no room at once.
//!
//! **Replies keep the order of their requests**, as OpenSSH's server gives them: the
//! draft does not ask for it, but clients rely on it (paramiko waits for ever for the
//! reply of a pipelined write that came before its turn). So overlapping requests are
//! collected in order, and after the worker has replied, `receive` answers on the spot
//! only once the pump knows that the SSH session has taken every earlier reply.
//!
//! **Bounded bytes.** Requests queue up to [`INPUT_BUDGET`], then `receive` holds the
//! session back, which is what slows a client down: the SSH library enlarges the
//! window on receipt, not on consumption. Held back is the whole connection. So it is
//! held back early where that slows an upload with a bandwidth limit, for a moment at a
//! time; and late, where another channel would suffer. Replies queue up to [`OUTPUT_BUDGET`], then
//! the worker stops. When both are full the client is not reading its replies, and the
//! WINDOW_ADJUST that would free us is behind the data we refuse to read; so then
//! `receive` reads on, up to [`INPUT_LIMIT`], where a client that sends and never
//! reads is disconnected.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actors::{KillSwitch, SessionHandle};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;

use super::dispatch;
use super::handles::{Handles, Open};
use super::packet::{self, Framer, MAX_DATA, Malformed, Request, StatusCode};
use super::prefix::{Named, Prefix};
use super::status::to_status;
use crate::metrics::Metrics;
use crate::paths::VirtualPath;
use crate::vfs::{Pace, Session};

/// Bytes of queued requests above which a client is held back.
pub const INPUT_BUDGET: usize = 1024 * 1024;

/// The same while the connection has other channels: more than OpenSSH's client has
/// under way, so that a slow upload holds up nobody but itself.
pub const SHARED_INPUT_BUDGET: usize = 4 * 1024 * 1024;

/// The least it is, however slow the uploads of an account may be.
pub const LEAST_INPUT_BUDGET: usize = 64 * 1024;

/// How long a packet of the connection is held back by one slow channel, below
/// [`SHARED_INPUT_BUDGET`]: a client's keepalives and new channels wait behind it.
pub const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// Bytes of queued requests that end the channel: the client does not read replies.
pub const INPUT_LIMIT: usize = 8 * 1024 * 1024;

/// Bytes of replies waiting for the SSH session above which no work is started.
pub const OUTPUT_BUDGET: usize = 256 * 1024;

/// Requests of one channel that may wait for storage at a time.
const MAX_IN_FLIGHT: usize = 16;

/// What a queued request costs besides its bytes.
const REQUEST_OVERHEAD: usize = 64;

/// The way out that is open while the SSH session calls [`Channel::receive`].
pub trait Inline {
    /// Sends channel data at once. Never waits.
    fn send(&mut self, reply: Bytes);
    /// True while what was sent has not left: the client's window is used up or the
    /// keys are being exchanged. Then nothing more is sent inline.
    fn is_blocked(&self) -> bool;
}

/// The way out for tasks other than the SSH session's own.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Hands the reply over if there is room now; gives it back otherwise.
    fn try_send(&self, reply: Bytes) -> Result<(), TrySend>;
    /// Waits for room; an error when the SSH session is gone.
    async fn send(&self, reply: Bytes) -> Result<(), Gone>;
    /// Waits until the SSH session has taken everything handed over before.
    async fn flush(&self) -> Result<(), Gone>;
    /// No more data will follow: exit status 0, EOF and close.
    async fn close(&self);
}

/// Why [`Outlet::try_send`] did not take a reply.
#[derive(Debug)]
pub enum TrySend {
    Full(Bytes),
    Gone,
}

/// The SSH session has ended.
#[derive(Debug)]
pub struct Gone;

/// Why a channel must close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelError {
    /// The byte stream cannot be followed any more.
    Malformed(Malformed),
    /// A request came before SSH_FXP_INIT.
    NotInitialised,
    /// The client sends requests and does not read the replies.
    RepliesNotRead,
}

impl From<Malformed> for ChannelError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl std::fmt::Display for ChannelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(Malformed::Length(len)) => write!(f, "sftp packet length {len}"),
            Self::Malformed(Malformed::Truncated { .. }) => f.write_str("sftp packet cut short"),
            Self::NotInitialised => f.write_str("sftp request before initialisation"),
            Self::RepliesNotRead => f.write_str("client does not read its sftp replies"),
        }
    }
}

/// State shared by the three parties.
pub(super) struct Shared {
    pub(super) session: Session,
    /// Where the client finds the account's root.
    prefix: Prefix,
    /// Where the client's relative paths begin.
    start_directory: VirtualPath,
    /// The session's place in the registry, until the worker has ended.
    _entry: SessionHandle,
    pub(super) handles: Handles,
    pub(super) log: slog::Logger,
    pub(super) metrics: Arc<Metrics>,
    kill: KillSwitch,
    outlet: Arc<dyn Outlet>,
    /// At most [`INPUT_BUDGET`].
    input_budget: usize,
    queue: Mutex<VecDeque<Job>>,
    /// Cost of what is queued or being worked on.
    queued: AtomicUsize,
    /// Of these, the bytes of the WRITE being worked on that are written already.
    written: AtomicUsize,
    /// Requests queued or being worked on; inline answers only at zero.
    pending: AtomicUsize,
    arrived: Notify,
    /// Work was finished or the output stalled: `receive` looks again.
    progress: Notify,
    out: Mutex<Out>,
    out_arrived: Notify,
    out_room: Notify,
    out_stalled: AtomicBool,
    /// The client will send nothing more; what is queued is still carried out.
    input_ended: AtomicBool,
    gone: AtomicBool,
}

/// A queued request.
enum Job {
    Packet(Bytes),
    /// Begun by `receive`, and found to need waiting.
    Begun {
        group: Group,
        answer: Answer,
        len: usize,
    },
}

type Answer = BoxFuture<'static, Reply>;

/// A reply, and when its bytes may leave if not at once.
pub(super) struct Reply {
    pub(super) bytes: Bytes,
    pub(super) pace: Option<Pace>,
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, pace: None }
    }
}

#[derive(Default)]
struct Out {
    replies: VecDeque<Reply>,
    bytes: usize,
    /// The pump holds a reply that is not in `replies` any more.
    sending: bool,
    /// The pump waits for a bandwidth limit, and not for the client.
    pacing: bool,
    /// Replies given to the outlet or waiting for it.
    handed: u64,
    /// Of these, how many the SSH session is known to have taken.
    taken: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The guarded values stay sound whatever panicked while holding them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A client's path from its root.
    pub(super) fn resolve(&self, raw: &[u8]) -> VirtualPath {
        VirtualPath::resolve(&self.start_directory, raw)
    }

    /// What a client's path means.
    pub(super) fn named(&self, raw: &[u8]) -> crate::error::Result<Named> {
        self.prefix.named(self.resolve(raw))
    }

    /// A path of the account as the client knows it.
    pub(super) fn shown(&self, path: &VirtualPath) -> VirtualPath {
        self.prefix.shown(path)
    }

    fn enqueue(&self, job: Job, len: usize) {
        self.pending.fetch_add(1, Ordering::AcqRel);
        self.queued.fetch_add(len + REQUEST_OVERHEAD, Ordering::AcqRel);
        lock(&self.queue).push_back(job);
        self.arrived.notify_one();
        if self.is_gone() {
            self.forget_queue();
        }
    }

    /// A request that has begun holds what it works on, and that is this: left in the
    /// queue, both would stay for ever.
    fn forget_queue(&self) {
        let left = std::mem::take(&mut *lock(&self.queue));
        drop(left);
    }

    /// More of the present WRITE is written: as much more may arrive.
    pub(super) fn progressed(&self, bytes: usize) {
        self.written.fetch_add(bytes, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    fn finished(&self, packet_len: usize) {
        self.written.store(0, Ordering::Release);
        self.queued.fetch_sub(packet_len + REQUEST_OVERHEAD, Ordering::AcqRel);
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Now the pump may find out when replies on the spot are in order again.
            self.out_arrived.notify_one();
        }
        self.progress.notify_waiters();
    }

    /// True when a reply sent on the spot cannot overtake another.
    fn is_quiet(&self) -> bool {
        self.pending.load(Ordering::Acquire) == 0 && {
            let out = lock(&self.out);
            out.taken == out.handed
        }
    }

    /// Sends a reply from the worker: straight to the session if it has room.
    fn reply(&self, mut reply: Reply) {
        if let Some(pace) = &mut reply.pace {
            pace.begin();
        }
        let mut out = lock(&self.out);
        out.handed += 1;
        let reply = if out.replies.is_empty() && !out.sending && reply.pace.is_none() {
            match self.outlet.try_send(reply.bytes) {
                Ok(()) => return,
                Err(TrySend::Gone) => {
                    drop(out);
                    return self.session_gone();
                }
                Err(TrySend::Full(bytes)) => Reply::from(bytes),
            }
        } else {
            reply
        };
        out.bytes += reply.bytes.len();
        out.replies.push_back(reply);
        drop(out);
        self.out_arrived.notify_one();
    }

    fn session_gone(&self) {
        self.gone.store(true, Ordering::Release);
        lock(&self.out).replies.clear();
        self.forget_queue();
        self.progress.notify_waiters();
        self.out_room.notify_one();
        self.out_arrived.notify_one();
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether the client may send more. `arrived` and `whole` are those of
    /// [`Framer::partial`].
    fn has_input_room(&self, is_alone: bool, (arrived, whole): (usize, usize)) -> bool {
        let written = self.written.load(Ordering::Acquire);
        let queued = self.queued.load(Ordering::Acquire).saturating_sub(written);
        // The packet under way counts as well, else a large one arrives in a burst; and
        // there is always room for it, else it would never arrive.
        let budget = if is_alone { self.input_budget.max(whole) } else { SHARED_INPUT_BUDGET };
        queued == 0 || queued.saturating_add(arrived) <= budget
    }

    /// Waits until the client may send more. `is_alone`: no other channel of the
    /// connection waits with it.
    async fn input_room(
        &self,
        is_alone: bool,
        partial: (usize, usize),
    ) -> Result<(), ChannelError> {
        if self.has_input_room(is_alone, partial) {
            return Ok(());
        }
        let held = tokio::time::sleep(LONGEST_HOLD);
        tokio::pin!(held);
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            let queued = self.queued.load(Ordering::Acquire);
            if queued > INPUT_LIMIT {
                return Err(ChannelError::RepliesNotRead);
            }
            let stalled = self.out_stalled.load(Ordering::Acquire);
            if self.has_input_room(is_alone, partial) || stalled || self.is_gone() {
                return Ok(());
            }
            tokio::select! {
                () = progress => {}
                () = &mut held, if queued <= SHARED_INPUT_BUDGET => return Ok(()),
                () = self.kill.fired() => return Ok(()),
            }
        }
    }

    /// Waits until replies may be produced again.
    async fn output_room(&self) {
        loop {
            let (has_room, is_pacing) = {
                let out = lock(&self.out);
                (out.bytes <= OUTPUT_BUDGET, out.pacing)
            };
            let is_stalled = !has_room && !is_pacing && !self.is_gone();
            if self.out_stalled.swap(is_stalled, Ordering::AcqRel) != is_stalled {
                self.progress.notify_waiters();
            }
            if has_room || self.is_gone() {
                return;
            }
            self.out_room.notified().await;
        }
    }
}

/// The receiving end of one SFTP channel, owned by the SSH session's handler.
/// Dropping it lets the worker finish what the client had already sent.
pub struct Channel {
    framer: Framer,
    initialised: bool,
    /// The worker owns it: when that has ended, the session's place in the registry and
    /// its descriptors are free, whether or not the client confirms the end.
    shared: Weak<Shared>,
}

impl Channel {
    /// Starts the worker and the pump for a session.
    pub fn start(
        session: Session,
        prefix: Prefix,
        entry: SessionHandle,
        outlet: Arc<dyn Outlet>,
        kill: KillSwitch,
        metrics: Arc<Metrics>,
        log: slog::Logger,
    ) -> Self {
        let enough = |rate: u64| usize::try_from(rate / 10).unwrap_or(usize::MAX);
        let input_budget = session
            .upload_rate()
            .map_or(INPUT_BUDGET, |rate| enough(rate).clamp(LEAST_INPUT_BUDGET, INPUT_BUDGET));
        let shared = Arc::new(Shared {
            start_directory: prefix.shown(&session.start_directory()),
            prefix,
            session,
            _entry: entry,
            handles: Handles::default(),
            log,
            metrics,
            kill,
            outlet,
            input_budget,
            queue: Mutex::default(),
            queued: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            pending: AtomicUsize::new(0),
            arrived: Notify::new(),
            progress: Notify::new(),
            out: Mutex::default(),
            out_arrived: Notify::new(),
            out_room: Notify::new(),
            out_stalled: AtomicBool::new(false),
            input_ended: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        });
        let channel =
            Self { framer: Framer::default(), initialised: false, shared: Arc::downgrade(&shared) };
        tokio::spawn(run(shared));
        channel
    }

    /// True when the server has closed the channel, or is about to.
    pub fn has_ended(&self) -> bool {
        self.shared.strong_count() == 0
    }

    /// Takes channel data. Returns when the client may send more, or with the reason
    /// to close the channel. `is_alone`: the connection has no other channel.
    pub async fn receive(
        &mut self,
        data: &[u8],
        is_alone: bool,
        out: &mut impl Inline,
    ) -> Result<(), ChannelError> {
        let Self { framer, initialised, shared } = self;
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        framer.feed(data, |packet| {
            if !*initialised {
                return match packet::decode(packet) {
                    Ok((_, Request::Init { .. })) => {
                        *initialised = true;
                        out.send(dispatch::version());
                        Ok(())
                    }
                    _ => Err(ChannelError::NotInitialised),
                };
            }
            // After its EOF a client has nothing to say, and nobody to say it to.
            if shared.is_gone() || shared.input_ended.load(Ordering::Acquire) {
                return Ok(());
            }
            if shared.is_quiet() && !out.is_blocked() {
                if !answer_inline(&shared, packet, out) {
                    begin(&shared, packet, out);
                }
            } else {
                shared.enqueue(Job::Packet(Bytes::copy_from_slice(packet)), packet.len());
            }
            Ok(())
        })?;
        shared.input_room(is_alone, framer.partial()).await
    }

    /// The client will send nothing more; queued requests are still carried out,
    /// then the channel closes.
    pub fn end_of_input(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.input_ended.store(true, Ordering::Release);
            shared.arrived.notify_one();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.end_of_input();
    }
}

/// Begins a request; the worker goes on with it if it has to wait for anything.
fn begin(shared: &Arc<Shared>, packet: &[u8], out: &mut impl Inline) {
    let len = packet.len();
    let group = group(packet);
    let mut answer = dispatch::answer(shared.clone(), Bytes::copy_from_slice(packet)).boxed();
    // Nobody is woken by this poll: the worker polls again as soon as it has the future.
    let mut context = Context::from_waker(Waker::noop());
    match answer.as_mut().poll(&mut context) {
        Poll::Ready(reply) => {
            shared.written.store(0, Ordering::Release);
            match reply {
                Reply { bytes, pace: None } => out.send(bytes),
                reply => shared.reply(reply),
            }
        }
        Poll::Pending => shared.enqueue(Job::Begun { group, answer, len }, len),
    }
}

/// Answers the two requests that move data if they need no waiting, without copying
/// the packet; false leaves it to [`begin`].
fn answer_inline(shared: &Shared, packet: &[u8], out: &mut impl Inline) -> bool {
    match packet::decode(packet) {
        Ok((id, Request::Write { handle, offset, data })) if data.len() <= MAX_DATA => {
            let Some(handle) = shared.handles.find(handle) else { return false };
            let Open::Upload(upload) = &handle.open else { return false };
            match upload.try_write_at(offset, data) {
                None => false,
                Some(Ok(())) => {
                    out.send(packet::status_reply(id, StatusCode::Ok, ""));
                    true
                }
                Some(Err(error)) => {
                    let (code, text) = to_status(&error);
                    out.send(packet::status_reply(id, code, text));
                    true
                }
            }
        }
        Ok((id, Request::Read { handle, offset, len })) => {
            let Some(handle) = shared.handles.find(handle) else { return false };
            let len = (len as usize).min(MAX_DATA);
            match dispatch::read_now(&handle, id, offset, len) {
                Ok(Some(reply)) => out.send(reply),
                Ok(None) => return false,
                Err(error) => {
                    let (code, text) = to_status(&error);
                    out.send(packet::status_reply(id, code, text));
                }
            }
            true
        }
        _ => false,
    }
}

/// Requests of one group may overlap with each other, never with another group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// READ. Not WRITE: ranges may overlap, and appended data has an order.
    Read,
    /// Questions about paths.
    Lookup,
    /// Everything else: alone.
    Alone,
}

fn group(packet: &[u8]) -> Group {
    match packet::decode(packet) {
        Ok((_, Request::Read { .. })) => Group::Read,
        Ok((
            _,
            Request::Stat { .. }
            | Request::Lstat { .. }
            | Request::Readlink { .. }
            | Request::Realpath { .. },
        )) => Group::Lookup,
        _ => Group::Alone,
    }
}

/// One channel, until the client is gone or done.
async fn run(shared: Arc<Shared>) {
    let (outlet, kill) = (shared.outlet.clone(), shared.kill.clone());
    let is_done = serve(&shared).await;
    shared.session_gone();
    // Before the client learns of the end: it may open the next channel at once.
    drop(shared);
    if is_done {
        tokio::select! {
            () = kill.fired() => {}
            () = outlet.close() => {}
        }
    }
}

/// The worker and the pump. True when the client is done and has all its replies.
async fn serve(shared: &Arc<Shared>) -> bool {
    let pump = pump(shared);
    let work = work(shared);
    tokio::pin!(pump, work);
    let ended_well = tokio::select! {
        () = shared.kill.fired() => false,
        () = &mut pump => false,
        () = &mut work => true,
    };
    // Handles close before the channel does: an upload without CLOSE is an abort,
    // and the client must not see the channel end before that is decided.
    shared.handles.clear();
    ended_well
        && tokio::select! {
            () = shared.kill.fired() => false,
            () = &mut pump => false,
            () = drained(shared) => true,
        }
}

async fn work(shared: &Arc<Shared>) {
    let mut in_flight: FuturesOrdered<BoxFuture<'static, (Reply, usize)>> = FuturesOrdered::new();
    let done = |(reply, len): (Reply, usize)| {
        shared.reply(reply);
        shared.finished(len);
    };
    let mut current = Group::Alone;
    loop {
        let next = lock(&shared.queue).pop_front();
        let Some(job) = next else {
            if in_flight.is_empty() {
                if shared.input_ended.load(Ordering::Acquire) {
                    return;
                }
                shared.arrived.notified().await;
            } else {
                tokio::select! {
                    Some(answered) = in_flight.next() => done(answered),
                    () = shared.arrived.notified() => {}
                }
            }
            continue;
        };
        let (group, answer, len) = match job {
            Job::Packet(packet) => {
                let (group, len) = (group(&packet), packet.len());
                (group, dispatch::answer(shared.clone(), packet).boxed(), len)
            }
            Job::Begun { group, answer, len } => (group, answer, len),
        };
        while group != current || in_flight.len() >= MAX_IN_FLIGHT {
            match in_flight.next().await {
                Some(answered) => done(answered),
                None => break,
            }
        }
        current = group;
        shared.output_room().await;
        if group == Group::Alone {
            done((answer.await, len));
        } else {
            in_flight.push_back(Box::pin(async move { (answer.await, len) }));
        }
    }
}

/// Hands over what [`Shared::reply`] could not; returns when the session is gone.
async fn pump(shared: &Shared) {
    loop {
        let next = {
            let mut out = lock(&shared.out);
            let next = out.replies.pop_front();
            out.sending = next.is_some();
            next
        };
        let Some(reply) = next else {
            if shared.is_gone() {
                return;
            }
            let handed = {
                let out = lock(&shared.out);
                (out.taken != out.handed).then_some(out.handed)
            };
            match handed.filter(|_| shared.pending.load(Ordering::Acquire) == 0) {
                None => shared.out_arrived.notified().await,
                Some(handed) => {
                    if shared.outlet.flush().await.is_err() {
                        shared.session_gone();
                        return;
                    }
                    lock(&shared.out).taken = handed;
                }
            }
            continue;
        };
        let len = reply.bytes.len();
        let sent = match reply.pace {
            None => shared.outlet.send(reply.bytes).await,
            Some(pace) => send_paced(shared, reply.bytes, pace).await,
        };
        {
            let mut out = lock(&shared.out);
            out.bytes = out.bytes.saturating_sub(len);
            out.sending = false;
            out.pacing = false;
        }
        shared.out_room.notify_one();
        if sent.is_err() {
            shared.session_gone();
            return;
        }
    }
}

/// Sends a reply in pieces, each at its moment.
async fn send_paced(shared: &Shared, mut left: Bytes, mut pace: Pace) -> Result<(), Gone> {
    let mut sent = 0;
    while !left.is_empty() {
        lock(&shared.out).pacing = true;
        let piece = left.split_to(pace.next(sent, left.len()).await.min(left.len()));
        sent += piece.len();
        match shared.outlet.try_send(piece) {
            Ok(()) => {}
            Err(TrySend::Gone) => return Err(Gone),
            Err(TrySend::Full(piece)) => {
                // Now it is the client who is slow, and the worker has to know.
                lock(&shared.out).pacing = false;
                shared.out_room.notify_one();
                shared.outlet.send(piece).await?;
            }
        }
    }
    Ok(())
}

/// Waits until the pump has nothing left.
async fn drained(shared: &Shared) {
    loop {
        {
            let out = lock(&shared.out);
            if out.replies.is_empty() && !out.sending {
                return;
            }
        }
        shared.out_room.notified().await;
    }
}

#[cfg(test)]
mod tests;
