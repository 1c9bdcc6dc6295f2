//! One open upload or download, and the right to end it exactly once.
//!
//! The right is a value that ending consumes. Whoever ends it also runs the end; when
//! that caller leaves halfway, the rest goes on as a task of the worker pool, which
//! nobody's departure stops. It needs no mailbox: its only message would be the end
//! itself. (An actor per transfer on the control thread was measured, and a task per
//! end too: the thread changes to finish a 4 KiB file cost more CPU than all else
//! that is done for it.)

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;

use crate::entry::TransferGuard;
use crate::ids::Direction;
use crate::meter::{KillReason, Meter};
use crate::pool::Pool;
use crate::ports::{BoxError, TransferEnd};

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
}

impl fmt::Display for AbortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(reason) => write!(f, "transfer aborted: {reason}"),
            Self::Dropped => f.write_str("transfer aborted: the client left before its end"),
            Self::Failed(why) => write!(f, "transfer aborted: {why}"),
        }
    }
}

impl std::error::Error for AbortReason {}

/// The right to end one transfer. Ending consumes it, so it happens at most
/// once; dropping it unused ends the transfer without running any end.
#[derive(Debug)]
pub struct Transfer {
    /// Lists and counts the transfer; moves to the task that runs the end.
    guard: TransferGuard,
}

impl Transfer {
    pub(crate) fn new(guard: TransferGuard) -> Self {
        Self { guard }
    }

    /// Runs `end.commit()` on the worker pool and returns its result. When the
    /// connection was killed before, runs `end.abort()` instead and fails with
    /// its [`AbortReason`]. A commit that already runs is never interrupted.
    ///
    /// The end is started by the call itself: dropping the future, even
    /// unpolled, only gives up the result.
    pub fn finish(
        self,
        end: Box<dyn TransferEnd>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send + 'static {
        let task = self.start(|killed| async move {
            match killed.map(AbortReason::Killed) {
                None => end.commit().await,
                Some(reason) => {
                    end.abort(reason.clone()).await;
                    Err(reason.into())
                }
            }
        });
        async move {
            match task.await {
                Some(result) => result,
                None => Err("the end of the transfer panicked".into()),
            }
        }
    }

    /// Runs `end.abort(reason)` on the worker pool, also when the caller is
    /// gone by then; may be called on any thread. The kill reason replaces
    /// [`AbortReason::Dropped`] when the connection was killed.
    pub fn abort(self, end: Box<dyn TransferEnd>, reason: AbortReason) {
        // Dropped, it goes on as a task of its own; only a shutdown waits for it, by
        // counting the guards.
        drop(self.start(|killed| async move {
            let reason = match (reason, killed) {
                (AbortReason::Dropped, Some(kill)) => AbortReason::Killed(kill),
                (reason, _) => reason,
            };
            end.abort(reason).await;
        }));
    }

    /// The end as an [`Unstoppable`] future; its result is `None` after a panic. The
    /// guard is released before the result can be seen: whoever has that no longer
    /// finds the transfer in the list.
    fn start<E, F>(self, end: E) -> Unstoppable<Option<F::Output>>
    where
        E: FnOnce(Option<KillReason>) -> F + Send + 'static,
        F: Future<Output: Send> + Send + 'static,
    {
        let guard = self.guard;
        guard.mark_ending();
        let common = guard.common().clone();
        let pool = common.pool.clone();
        let work = Box::pin(async move {
            let result = AssertUnwindSafe(end(guard.kill_reason())).catch_unwind().await.ok();
            common.transfer_gauges.note_handled();
            if result.is_none() {
                common.transfer_gauges.note_panic();
            }
            drop(guard);
            result
        });
        Unstoppable { work: Some(work), pool }
    }
}

/// Work that its caller polls, and that goes on as a task of the pool when the
/// caller drops it. An end that needs no waiting then costs no change of threads.
struct Unstoppable<T: Send + 'static> {
    /// Taken when it has finished.
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    pool: Pool,
}

impl<T: Send + 'static> Future for Unstoppable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // Polled again after the end, it never answers; nobody does that.
        let Some(work) = &mut self.work else { return Poll::Pending };
        let result = ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(result)
    }
}

impl<T: Send + 'static> Drop for Unstoppable<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.pool.spawn(work);
        }
    }
}
