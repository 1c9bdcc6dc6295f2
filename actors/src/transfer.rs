//! One actor per open upload or download. It owns the right to end the
//! transfer, and ends it exactly once, also when the client's task is gone.
//!
//! The end runs on the worker pool and replies straight from there; the actor
//! only decides which end it is. Beginning and finishing a transfer are one ask
//! each, whatever its size.

use std::fmt;
use std::panic::AssertUnwindSafe;

use actix::{Actor, ActorContext, Context};
use futures_util::FutureExt;

use crate::entry::TransferGuard;
use crate::ids::Direction;
use crate::mailbox::{Answer, Ask, Mail, Reply, receives_letters};
use crate::meter::{KillReason, KillSwitch, Meter};
use crate::pool::Pool;
use crate::ports::{BoxError, TransferEnd};

/// Sent by `Transfer::finish`: commit, unless the connection was killed.
struct Finish {
    ending: Ending,
}

impl Ask for Finish {
    type Reply = Result<(), BoxError>;
}

/// Sent by `Transfer::abort`.
struct Abort {
    ending: Ending,
    reason: AbortReason,
}

impl Ask for Abort {
    type Reply = ();
}

/// What a transfer is, for the list of connections.
#[derive(Debug, Clone)]
pub struct TransferSpec {
    pub direction: Direction,
    /// The path that the client sees; lossy where it is not UTF-8.
    pub virtual_path: String,
    /// Counts the bytes; the data task adds, the list reads.
    pub meter: Meter,
}

/// Why a transfer ended without a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AbortReason {
    /// The connection was killed, and why.
    Killed(KillReason),
    /// The client left, or closed its session, before the end.
    Dropped,
    /// The transfer itself failed; the text is for the log.
    Failed(String),
    /// The actor that had to end the transfer is dead.
    Lost,
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(reason) => write!(f, "transfer aborted: {reason}"),
            Self::Dropped => f.write_str("transfer aborted: the client left before its end"),
            Self::Failed(why) => write!(f, "transfer aborted: {why}"),
            Self::Lost => f.write_str("transfer aborted: its actor failed"),
        }
    }
}

impl std::error::Error for AbortReason {}

/// The right to end one transfer. Ending consumes it, so it happens at most
/// once; dropping it unused ends the transfer without running any end.
#[derive(Debug)]
pub struct Transfer {
    mail: Mail<TransferActor>,
    pool: Pool,
}

impl Transfer {
    pub(crate) fn new(mail: Mail<TransferActor>, pool: Pool) -> Self {
        Self { mail, pool }
    }

    /// Runs `end.commit()` on the worker pool and returns its result. When the
    /// connection was killed before, runs `end.abort()` instead and fails with
    /// its [`AbortReason`]. A commit that already runs is never interrupted.
    ///
    /// The end is handed over by the call itself: dropping the future, even
    /// unpolled, only gives up the result.
    pub fn finish(
        self,
        end: Box<dyn TransferEnd>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send + 'static {
        let ending = Ending::new(end, self.pool);
        let reply = self.mail.tell_and_wait(Finish { ending });
        // The address must live until the reply: the actor stops without it.
        let mail = self.mail;
        async move {
            let result = reply.await.unwrap_or_else(|_| Err(AbortReason::Lost.into()));
            drop(mail);
            result
        }
    }

    /// Runs `end.abort(reason)` on the worker pool, also when the caller is
    /// gone by then. The kill reason replaces [`AbortReason::Dropped`] when the
    /// connection was killed.
    pub fn abort(self, end: Box<dyn TransferEnd>, reason: AbortReason) {
        let ending = Ending::new(end, self.pool);
        self.mail.tell(Abort { ending, reason });
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.mail.ask(fault).await;
    }
}

/// An end that has not run. Whoever loses it, a dead mailbox or a panicking
/// handler, aborts by dropping it.
struct Ending {
    end: Option<Box<dyn TransferEnd>>,
    pool: Pool,
}

impl Ending {
    fn new(end: Box<dyn TransferEnd>, pool: Pool) -> Self {
        Self { end: Some(end), pool }
    }

    async fn commit(mut self) -> Result<(), BoxError> {
        match self.end.take() {
            Some(end) => match AssertUnwindSafe(end.commit()).catch_unwind().await {
                Ok(result) => result,
                Err(_) => Err("the end of the transfer panicked".into()),
            },
            None => Err(AbortReason::Lost.into()),
        }
    }

    async fn abort(mut self, reason: AbortReason) {
        if let Some(end) = self.end.take() {
            // A panic here was printed by the panic hook; the guard of the
            // transfer must be released all the same.
            drop(AssertUnwindSafe(end.abort(reason)).catch_unwind().await);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.pool.spawn(end.abort(AbortReason::Lost));
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TransferActor {
    /// Moves to the task that runs the end, which releases it.
    guard: Option<TransferGuard>,
    kill: KillSwitch,
    pool: Pool,
}

impl TransferActor {
    pub(crate) fn new(guard: TransferGuard, kill: KillSwitch, pool: Pool) -> Self {
        Self { guard: Some(guard), kill, pool }
    }

    /// The guard of the end that starts now.
    fn start_ending(&mut self) -> Option<TransferGuard> {
        let guard = self.guard.take();
        if let Some(guard) = &guard {
            guard.mark_ending();
        }
        guard
    }
}

impl Actor for TransferActor {
    type Context = Context<Self>;
}

receives_letters!(TransferActor);

impl Answer<Finish> for TransferActor {
    fn answer(
        &mut self,
        Finish { ending }: Finish,
        reply: Reply<Result<(), BoxError>>,
        ctx: &mut Context<Self>,
    ) {
        let guard = self.start_ending();
        let killed = self.kill.reason().map(AbortReason::Killed);
        self.pool.spawn(async move {
            let result = match killed {
                None => ending.commit().await,
                Some(reason) => {
                    ending.abort(reason.clone()).await;
                    Err(reason.into())
                }
            };
            // Before the reply, so that whoever has it no longer finds the
            // transfer in the list.
            drop(guard);
            reply.send(result);
        });
        ctx.stop();
    }
}

impl Answer<Abort> for TransferActor {
    fn answer(
        &mut self,
        Abort { ending, reason }: Abort,
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        let guard = self.start_ending();
        let reason = match (reason, self.kill.reason()) {
            (AbortReason::Dropped, Some(kill)) => AbortReason::Killed(kill),
            (reason, _) => reason,
        };
        self.pool.spawn(async move {
            ending.abort(reason).await;
            drop(guard);
            reply.send(());
        });
        ctx.stop();
    }
}
