//! The worker pool, reachable from every thread.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Spawns on the multi-thread runtime that the server was started on.
///
/// `tokio::spawn` uses the runtime of the calling thread, which in a web worker
/// or an arbiter is a single thread; a transfer dropped there must still be
/// ended on the pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Handle);

impl Pool {
    /// The pool of the runtime that runs the actix system.
    pub(crate) fn current() -> Self {
        Self(Handle::current())
    }

    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(task)
    }
}
