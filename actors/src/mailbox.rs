//! How a handle reaches its actor: [`Mail::ask`] waits for a free slot and then
//! for the reply; [`Mail::tell`] is for drops and completions and never waits.
//!
//! actix's own back-pressure is not used. `do_send` ignores the capacity, and a
//! `Request` that meets a full mailbox returns `Pending` without registering a
//! waker (0.13.5), so it hangs unless something else wakes its task. Here a
//! semaphore holds the free slots, which also counts what waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// A handler that holds the control thread longer than this is a bug.
pub(crate) const SLOW_HANDLER: Duration = Duration::from_millis(1);

/// The actor is dead or closing, or panicked over this very message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// A message: what is wanted or what happened, and what is answered.
pub(crate) trait Ask: Send + 'static {
    type Reply: Send + 'static;
}

/// Implemented by an actor for every message it understands.
pub(crate) trait Answer<M: Ask>: Actor<Context = Context<Self>> {
    /// Runs on the control thread and must not block. `reply` may be kept and
    /// used later, from any thread.
    fn answer(&mut self, message: M, reply: Reply<M::Reply>, ctx: &mut Context<Self>);
}

/// Where the answer goes; dropping it tells the asker that the actor is gone.
#[derive(Debug)]
pub(crate) struct Reply<T>(Option<oneshot::Sender<T>>);

impl<T> Reply<T> {
    /// A reply and where it arrives.
    pub(crate) fn channel() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    /// Sends the answer. When the asker has left, the value is dropped, so
    /// handles and leases in it return by themselves.
    pub(crate) fn send(self, answer: T) {
        if let Some(sender) = self.0 {
            drop(sender.send(answer));
        }
    }
}

/// Counters of one actor, or of all actors of one kind; read for the metrics page.
#[derive(Debug)]
pub(crate) struct Gauges {
    name: &'static str,
    capacity: usize,
    depth: AtomicUsize,
    handled: AtomicU64,
    panics: AtomicU64,
    busy_ns: AtomicU64,
    slowest_ns: AtomicU64,
    slow: AtomicU64,
}

/// The state of one actor, or of all actors of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorHealth {
    pub name: &'static str,
    /// Messages asked and not yet handled.
    pub mailbox_depth: usize,
    /// Slots of the mailbox; asks above it wait. 0: bounded otherwise.
    pub mailbox_capacity: usize,
    /// Messages handled since the start.
    pub handled: u64,
    /// Panics since the start; each was followed by a restart, except in a
    /// `Connection`, the end of a `Transfer` or the `Supervisor`.
    pub restarts: u64,
    /// Time spent in handlers, in microseconds.
    pub busy_us: u64,
    /// The longest single handler, in microseconds.
    pub slowest_us: u64,
    /// Handlers that held the control thread longer than 1 ms.
    pub slow_handlers: u64,
}

impl Gauges {
    pub(crate) fn new(name: &'static str, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            capacity,
            depth: AtomicUsize::new(0),
            handled: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            slowest_ns: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn note_handled(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes time spent on the control thread; timers use it too.
    pub(crate) fn note_busy(&self, spent: Duration) {
        let ns = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.busy_ns.fetch_add(ns, Ordering::Relaxed);
        self.slowest_ns.fetch_max(ns, Ordering::Relaxed);
        if spent > SLOW_HANDLER {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn health(&self) -> ActorHealth {
        ActorHealth {
            name: self.name,
            mailbox_depth: self.depth.load(Ordering::Relaxed),
            mailbox_capacity: self.capacity,
            handled: self.handled.load(Ordering::Relaxed),
            restarts: self.panics.load(Ordering::Relaxed),
            busy_us: self.busy_ns.load(Ordering::Relaxed) / 1_000,
            slowest_us: self.slowest_ns.load(Ordering::Relaxed) / 1_000,
            slow_handlers: self.slow.load(Ordering::Relaxed),
        }
    }
}

/// A message on its way: counted from the moment it is posted until it is
/// handled or dropped, whichever comes.
#[derive(Debug)]
pub(crate) struct Posted {
    gauges: Arc<Gauges>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Posted {
    pub(crate) fn new(gauges: Arc<Gauges>, slot: Option<OwnedSemaphorePermit>) -> Self {
        gauges.depth.fetch_add(1, Ordering::Relaxed);
        Self { gauges, _slot: slot }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.gauges.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) struct Letter<M: Ask> {
    message: M,
    reply: Reply<M::Reply>,
    posted: Posted,
}

impl<M: Ask> actix::Message for Letter<M> {
    type Result = ();
}

impl<M: Ask> Letter<M> {
    /// Opens the letter: frees its slot, lets the actor answer, notes the time.
    pub(crate) fn deliver<A: Answer<M>>(self, actor: &mut A, ctx: &mut Context<A>) {
        let Self { message, reply, posted } = self;
        let gauges = posted.gauges.clone();
        drop(posted);
        let started = Instant::now();
        gauges.note_handled();
        actor.answer(message, reply, ctx);
        gauges.note_busy(started.elapsed());
    }
}

/// The mailbox of one actor, apart from its address: its slots and gauges.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    gauges: Arc<Gauges>,
    slots: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new(name: &'static str, capacity: usize) -> Self {
        let slots = Arc::new(Semaphore::new(capacity));
        Self { gauges: Gauges::new(name, capacity), slots }
    }

    pub(crate) fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }

    /// The actor's own address, for tasks that report back to it. Actors do not
    /// keep it: an actor that holds its own address never stops.
    pub(crate) fn mail_of<A>(&self, ctx: &Context<A>) -> Mail<A>
    where
        A: Actor<Context = Context<A>>,
    {
        Mail { addr: ctx.address(), desk: self.clone() }
    }

    pub(crate) fn mail<A: Actor>(&self, addr: Addr<A>) -> Mail<A> {
        Mail { addr, desk: self.clone() }
    }
}

/// The private address behind a handle.
pub(crate) struct Mail<A: Actor> {
    addr: Addr<A>,
    desk: Desk,
}

impl<A: Actor> Clone for Mail<A> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), desk: self.desk.clone() }
    }
}

impl<A: Actor> std::fmt::Debug for Mail<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("to", &self.desk.gauges.name).finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Mail<A> {
    /// Waits for a free slot, posts, waits for the reply.
    ///
    /// Dropping the future gives up; a value that was already answered is
    /// dropped with it.
    pub(crate) async fn ask<M: Ask>(&self, message: M) -> Result<M::Reply, Gone>
    where
        A: Answer<M> + Handler<Letter<M>>,
    {
        // The semaphore is never closed; an error would mean the same as a dead actor.
        let slot = self.desk.slots.clone().acquire_owned().await.map_err(|_| Gone)?;
        let (reply, receiver) = Reply::channel();
        self.post(message, reply, Some(slot));
        receiver.await.map_err(|_| Gone)
    }

    /// Posts without a slot and without a reply. Only for messages whose number
    /// is bounded by live objects: drops, kills, completions of spawned tasks.
    pub(crate) fn tell<M: Ask>(&self, message: M)
    where
        A: Answer<M> + Handler<Letter<M>>,
    {
        self.post(message, Reply(None), None);
    }

    /// Like [`Mail::tell`], with a reply to wait for. The same bound applies.
    pub(crate) fn tell_and_wait<M: Ask>(&self, message: M) -> oneshot::Receiver<M::Reply>
    where
        A: Answer<M> + Handler<Letter<M>>,
    {
        let (reply, receiver) = Reply::channel();
        self.post(message, reply, None);
        receiver
    }

    fn post<M: Ask>(&self, message: M, reply: Reply<M::Reply>, slot: Option<OwnedSemaphorePermit>)
    where
        A: Answer<M> + Handler<Letter<M>>,
    {
        let posted = Posted::new(self.desk.gauges.clone(), slot);
        let letter = Letter { message, reply, posted };
        #[allow(
            clippy::disallowed_methods,
            reason = "the one place that posts: `slot` bounds asks, live objects bound tells"
        )]
        self.addr.do_send(letter);
    }
}

/// Makes actix deliver every [`Letter`] that the actor can [`Answer`].
macro_rules! receives_letters {
    ($actor:ty) => {
        impl<M: $crate::mailbox::Ask> actix::Handler<$crate::mailbox::Letter<M>> for $actor
        where
            Self: $crate::mailbox::Answer<M>,
        {
            type Result = ();

            fn handle(
                &mut self,
                letter: $crate::mailbox::Letter<M>,
                ctx: &mut actix::Context<Self>,
            ) {
                letter.deliver(self, ctx);
            }
        }

        #[cfg(feature = "fault-injection")]
        impl $crate::mailbox::Answer<$crate::mailbox::Fault> for $actor {
            fn answer(
                &mut self,
                fault: $crate::mailbox::Fault,
                reply: $crate::mailbox::Reply<()>,
                _: &mut actix::Context<Self>,
            ) {
                fault.happen();
                reply.send(());
            }
        }
    };
}
pub(crate) use receives_letters;

/// Something bad that a test wants to happen inside an actor's handler.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Panic,
    /// Hold the control thread this long.
    Hold(Duration),
}

#[cfg(feature = "fault-injection")]
impl Ask for Fault {
    type Reply = ();
}

#[cfg(feature = "fault-injection")]
impl Fault {
    pub(crate) fn happen(self) {
        match self {
            Self::Panic => panic!("fault injected by a test"),
            Self::Hold(duration) => std::thread::sleep(duration),
        }
    }
}
