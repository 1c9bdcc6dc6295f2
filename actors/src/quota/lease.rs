//! What an upload may write: taken without a message, settled without one.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::inbox::Inbox;
use super::messages::Renew;
use super::terms::Denied;
use super::tracker::QuotaTracker;
use crate::ids::AccountId;
use crate::mailbox::Mail;
use crate::ports::UsageDelta;

/// A reservation. Settle it when the file is real; dropping it returns it and
/// counts nothing.
#[derive(Debug)]
pub struct Lease(pub(super) Option<OpenLease>);

#[derive(Debug)]
pub(super) struct OpenLease {
    pub(super) account: AccountId,
    /// What may be taken; `None` without a size limit.
    pub(super) grant: Option<Arc<Grant>>,
    /// The lease's number and its tracker; `None` without any limit.
    pub(super) is_registered: Option<(u64, Mail<QuotaTracker>)>,
    pub(super) inbox: Arc<Inbox>,
}

/// The part of a grant that is not spent. Data tasks subtract, the tracker adds
/// and claws back.
#[derive(Debug, Default)]
pub(super) struct Grant {
    pub(super) unspent: AtomicU64,
}

impl Lease {
    /// Spends part of the grant; call it before writing. `false`: nothing was
    /// spent, [`Lease::renew`] and try again. Atomic, no message.
    pub fn take(&self, bytes: u64) -> bool {
        let Some(grant) = self.0.as_ref().and_then(|open| open.grant.as_ref()) else {
            return true;
        };
        let spend = |unspent: u64| unspent.checked_sub(bytes);
        grant.unspent.fetch_update(Ordering::AcqRel, Ordering::Acquire, spend).is_ok()
    }

    /// Asks for a grant of which at least `at_least` bytes are unspent, the next
    /// write. Another task of the upload, or a claw-back, may be quicker to get
    /// at them: `take` again, and renew again if that fails.
    pub async fn renew(&self, at_least: u64) -> Result<(), Denied> {
        let Some(open) = &self.0 else { return Ok(()) };
        let (Some(_), Some((lease, mail))) = (&open.grant, &open.is_registered) else {
            return Ok(());
        };
        let ask = Renew { account: open.account.clone(), lease: *lease, at_least };
        mail.ask(ask).await.unwrap_or_else(|_| Err(Denied::tracker_gone()))
    }

    /// Takes, renewing as often as it needs. The whole loop of an upload.
    pub async fn take_or_renew(&self, bytes: u64) -> Result<(), Denied> {
        while !self.take(bytes) {
            self.renew(bytes).await?;
        }
        Ok(())
    }

    /// Whether bytes are counted at all.
    pub fn is_limited(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.grant.is_some())
    }

    /// Counts what the upload really changed and returns the reservation. The
    /// deltas may be negative: a file was overwritten by a smaller one. They
    /// count when the call returns, whether or not the future is awaited.
    pub fn settle(mut self, bytes_delta: i64, files_delta: i64) -> Ready<()> {
        self.give_back(UsageDelta { bytes: bytes_delta, files: files_delta });
        ready(())
    }

    fn give_back(&mut self, delta: UsageDelta) {
        let Some(OpenLease { account, is_registered, inbox, .. }) = self.0.take() else { return };
        let lease = is_registered.map(|(lease, _)| lease);
        inbox.lock().settle(account, lease, delta);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(UsageDelta::default());
    }
}
