//! Runs hooks without letting them pile up: a bounded queue, a few running at a
//! time for each target.
//!
//! A place in the queue is taken before the dispatcher is told, so a full queue
//! delays [`Hooks::notify`] a few seconds and then drops the event and counts
//! it; [`Hooks::decide`] does not wait and denies. The place is given back when
//! the hook starts. Each hook is its own task on the worker pool.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Context, Supervised};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::events::{Event, FsAction};
use crate::mailbox::{Answer, Ask, Desk, Mail, Reply, receives_letters};
use crate::pool::Pool;
use crate::ports::{HookRunner, Verdict};

/// Sent by `Hooks::notify` and `Hooks::decide`.
struct Run(Job);

impl Ask for Run {
    type Reply = Verdict;
}

/// Sent by the task of a hook when it has ended.
struct HookEnded {
    target: Arc<str>,
}

impl Ask for HookEnded {
    type Reply = ();
}

/// Bounds of the dispatcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HooksConfig {
    /// Events that may wait to be run; at least 1.
    pub queue_capacity: usize,
    /// Hooks that may run at once for one target; at least 1.
    pub max_running_per_target: usize,
    /// How long `notify` waits for a place in a full queue.
    pub notify_wait: Duration,
}

impl Default for HooksConfig {
    fn default() -> Self {
        Self {
            queue_capacity: 1024,
            max_running_per_target: 8,
            notify_wait: Duration::from_secs(3),
        }
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notified {
    /// It will be run.
    Queued,
    /// The queue stayed full; the event is lost and counted.
    Dropped,
    /// No hook is configured for it.
    Unwanted,
}

/// Counters of the dispatcher, for the metrics page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HooksHealth {
    /// Events that wait to be run.
    pub queued: usize,
    pub queue_capacity: usize,
    /// Hooks that run now.
    pub running: usize,
    /// Events lost because the queue stayed full, since the start.
    pub dropped_events: u64,
    /// Questions denied because the queue was full, since the start.
    pub denied_when_full: u64,
    /// Hooks that failed or panicked, since the start.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Counters {
    running: AtomicUsize,
    dropped_events: AtomicU64,
    denied_when_full: AtomicU64,
    failures: AtomicU64,
}

/// The dispatcher's handle.
#[derive(Clone)]
pub struct Hooks(Arc<Handle>);

struct Handle {
    mail: Mail<HookDispatcher>,
    runner: Arc<dyn HookRunner>,
    places: Arc<Semaphore>,
    config: HooksConfig,
    counters: Arc<Counters>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Whether a hook is configured for the action; if not, do not build the event.
    pub fn wants(&self, action: FsAction) -> bool {
        self.0.runner.wants(action)
    }

    /// Tells that something happened. Waits a few seconds while the queue is
    /// full, never for the hook itself.
    pub async fn notify(&self, event: impl Into<Event>) -> Notified {
        let event = event.into();
        if !self.wants(event.action()) {
            return Notified::Unwanted;
        }
        let place = self.0.places.clone().acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(self.0.config.notify_wait, place).await else {
            self.0.counters.dropped_events.fetch_add(1, Ordering::Relaxed);
            return Notified::Dropped;
        };
        let target = self.0.runner.target(&event);
        self.0.mail.tell(Run(Job { event, target, is_question: false, reply: None, place }));
        Notified::Queued
    }

    /// Asks whether something may happen, and waits for the answer. Denies when
    /// the queue is full, when the hook fails, or when the dispatcher is dead;
    /// allows when no hook is configured.
    pub async fn decide(&self, event: impl Into<Event>) -> Verdict {
        let event = event.into();
        if !self.wants(event.action()) {
            return Verdict::Allow;
        }
        let Ok(place) = self.0.places.clone().try_acquire_owned() else {
            self.0.counters.denied_when_full.fetch_add(1, Ordering::Relaxed);
            return Verdict::Deny;
        };
        let target = self.0.runner.target(&event);
        let job = Job { event, target, is_question: true, reply: None, place };
        self.0.mail.tell_and_wait(Run(job)).await.unwrap_or(Verdict::Deny)
    }

    pub(crate) fn health(&self) -> HooksHealth {
        let Handle { places, config, counters, .. } = &*self.0;
        HooksHealth {
            queued: config.queue_capacity.max(1) - places.available_permits(),
            queue_capacity: config.queue_capacity.max(1),
            running: counters.running.load(Ordering::SeqCst),
            dropped_events: counters.dropped_events.load(Ordering::Relaxed),
            denied_when_full: counters.denied_when_full.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
        }
    }

    /// Whether no hook waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        let health = self.health();
        health.queued == 0 && health.running == 0
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.0.mail.ask(fault).await;
    }
}

/// A hook to run.
struct Job {
    event: Event,
    target: Arc<str>,
    is_question: bool,
    /// Filled in by the dispatcher; a dead dispatcher drops it, which denies.
    reply: Option<Reply<Verdict>>,
    place: OwnedSemaphorePermit,
}

/// What waits and runs for one target.
struct Target {
    queue: VecDeque<Job>,
    /// Every running hook holds a clone, so the count is true even when the
    /// message that it ended was lost to a panic.
    running: Arc<()>,
}

impl Target {
    fn running(&self) -> usize {
        Arc::strong_count(&self.running) - 1
    }
}

/// See the module.
pub(crate) struct HookDispatcher {
    config: HooksConfig,
    desk: Desk,
    pool: Pool,
    runner: Arc<dyn HookRunner>,
    targets: HashMap<Arc<str>, Target>,
    counters: Arc<Counters>,
}

impl HookDispatcher {
    /// The dispatcher, and what makes its handle of its address.
    pub(crate) fn new(
        config: HooksConfig,
        desk: Desk,
        pool: Pool,
        runner: Arc<dyn HookRunner>,
    ) -> (Self, impl FnOnce(Mail<Self>) -> Hooks) {
        let counters = Arc::new(Counters::default());
        let places = Arc::new(Semaphore::new(config.queue_capacity.max(1)));
        let dispatcher = Self {
            config,
            desk,
            pool,
            runner: runner.clone(),
            targets: HashMap::new(),
            counters: counters.clone(),
        };
        let handle = move |mail| Hooks(Arc::new(Handle { mail, runner, places, config, counters }));
        (dispatcher, handle)
    }

    /// Starts what may start for one target; forgets it when nothing is left.
    fn start_waiting(&mut self, target: &Arc<str>, ctx: &Context<Self>) {
        let Some(state) = self.targets.get_mut(target) else { return };
        while state.running() < self.config.max_running_per_target.max(1) {
            let Some(job) = state.queue.pop_front() else { break };
            let mail = self.desk.mail_of(ctx);
            let ended = Ended {
                slot: Some(state.running.clone()),
                counters: self.counters.clone(),
                mail,
                target: target.clone(),
            };
            self.counters.running.fetch_add(1, Ordering::SeqCst);
            self.pool.spawn(run(job, self.runner.clone(), ended));
        }
        if state.queue.is_empty() && state.running() == 0 {
            self.targets.remove(target);
        }
    }
}

/// Held by a running hook; tells the dispatcher when dropped.
struct Ended {
    slot: Option<Arc<()>>,
    counters: Arc<Counters>,
    mail: Mail<HookDispatcher>,
    target: Arc<str>,
}

impl Ended {
    fn fail(&self) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.counters.running.fetch_sub(1, Ordering::SeqCst);
        // Freed before the message, or its handler would still count it.
        self.slot = None;
        self.mail.tell(HookEnded { target: self.target.clone() });
    }
}

async fn run(job: Job, runner: Arc<dyn HookRunner>, ended: Ended) {
    let Job { event, is_question, reply, place, .. } = job;
    drop(place);
    let verdict = if is_question {
        match AssertUnwindSafe(runner.decide(&event)).catch_unwind().await {
            Ok(Ok(verdict)) => Some(verdict),
            Ok(Err(_)) | Err(_) => None,
        }
    } else {
        match AssertUnwindSafe(runner.notify(&event)).catch_unwind().await {
            Ok(Ok(())) => Some(Verdict::Allow),
            Ok(Err(_)) | Err(_) => None,
        }
    };
    if verdict.is_none() {
        ended.fail();
    }
    drop(ended);
    if let Some(reply) = reply {
        reply.send(verdict.unwrap_or(Verdict::Deny));
    }
}

impl Actor for HookDispatcher {
    type Context = Context<Self>;
}

impl Supervised for HookDispatcher {
    fn restarting(&mut self, ctx: &mut Self::Context) {
        let targets: Vec<_> = self.targets.keys().cloned().collect();
        for target in targets {
            self.start_waiting(&target, ctx);
        }
    }
}

receives_letters!(HookDispatcher);

impl Answer<Run> for HookDispatcher {
    fn answer(&mut self, Run(mut job): Run, reply: Reply<Verdict>, ctx: &mut Context<Self>) {
        let target = job.target.clone();
        job.reply = Some(reply);
        self.targets
            .entry(target.clone())
            .or_insert_with(|| Target { queue: VecDeque::new(), running: Arc::new(()) })
            .queue
            .push_back(job);
        self.start_waiting(&target, ctx);
    }
}

impl Answer<HookEnded> for HookDispatcher {
    fn answer(&mut self, ended: HookEnded, reply: Reply<()>, ctx: &mut Context<Self>) {
        self.start_waiting(&ended.target, ctx);
        reply.send(());
    }
}
