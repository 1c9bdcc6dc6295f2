//! Who may write how much.
//!
//! **Leases.** An upload reserves a lease: a grant of at most
//! [`QuotaConfig::lease_bytes`] that is deducted from what remains the moment it
//! is given. The data task spends it with [`Lease::take`], an atomic
//! subtraction, and asks again only when it is used up. What is spent was
//! granted and what is granted was deducted, so parallel uploads cannot exceed
//! a limit by a byte.
//!
//! **Clawing back.** A grant that is not spent yet must not deny others what
//! would fit. The unspent part of a grant is one atomic, so before the tracker
//! denies it swaps the unspent grants of the account's other leases to zero and
//! uses what it got. A `take` that races with the swap either came first, then
//! its bytes are spent and were not clawed back, or it fails and renews. When
//! bytes are scarce, what remains is shared between the open leases, so that
//! uploads near the limit do not claw back from each other for every packet.
//!
//! **Settling needs no message.** [`Lease::settle`], [`Quota::adjust`] and
//! dropped leases leave their deltas in an inbox that the tracker empties before
//! it decides anything and each second; so a small upload without limits costs
//! no ask at all. A settlement is one item of the inbox: the delta is counted
//! and the lease returned in the same step.
//!
//! **Storing.** Deltas are summed per account and written in batches. A failed
//! write is tried again with newer deltas merged in. For one account at most one
//! store operation is in flight, so a read can never miss half of a write.
//!
//! **Scans.** A file that settles while a scan runs may or may not have been
//! seen by it. The limit comes first: what was added meanwhile is counted on top
//! of the measured usage, what was removed meanwhile is taken as seen. So usage
//! is never too low, and [`ScanOutcome::was_disturbed`] tells the scanner that
//! it may be too high and another scan would help.
//!
//! What accounts may *transfer* is counted in [`transferred`].

mod account;
mod inbox;
mod lease;
mod messages;
mod progress;
mod scan;
mod terms;
mod tracker;
pub mod transferred;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use self::inbox::Inbox;
use self::lease::OpenLease;
use self::messages::{
    BeginScan, Flush, Forget, GetScans, GetUsage, Reserve, SetUsage, wait_stored,
};
use crate::ids::AccountId;
use crate::mailbox::Mail;
use crate::ports::{Usage, UsageDelta};

pub use lease::Lease;
pub use progress::ScanProgress;
pub use scan::Scan;
pub use terms::{
    Denied, Limits, ScanOutcome, ScanRefused, ScanReport, SetMode, SetUsageError, UsageUnavailable,
    Want,
};
pub(crate) use tracker::QuotaTracker;

/// How the tracker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaConfig {
    /// The most that one grant holds, in bytes; at least 1. Larger grants mean
    /// fewer asks. An upload whose size is known gets all of it at once.
    pub lease_bytes: u64,
    /// How often deltas are written.
    pub flush_interval: Duration,
    /// How long usage that was read is trusted; others may write to the same
    /// database.
    pub usage_max_age: Duration,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            lease_bytes: 64 * 1024 * 1024,
            flush_interval: Duration::from_secs(1),
            usage_max_age: Duration::from_secs(10),
        }
    }
}

/// Counters of the tracker, for the metrics page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaHealth {
    /// Leases of accounts with limits that are open now.
    pub open_leases: usize,
    /// Accounts with counters that are not written.
    pub unsaved_accounts: usize,
    /// Store operations that failed since the start.
    pub store_failures: u64,
}

#[derive(Debug, Default)]
struct Counters {
    open_leases: AtomicUsize,
    unsaved_accounts: AtomicUsize,
    store_failures: AtomicU64,
}

/// The tracker's handle.
#[derive(Debug, Clone)]
pub struct Quota(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    mail: Mail<QuotaTracker>,
    inbox: Arc<Inbox>,
    counters: Arc<Counters>,
}

impl Quota {
    /// Reserves for an upload. Without limits it is granted at once and costs
    /// no message.
    pub async fn reserve(
        &self,
        account: AccountId,
        limits: Limits,
        want: Want,
    ) -> Result<Lease, Denied> {
        if limits.is_none() {
            return Ok(Lease(Some(OpenLease {
                account,
                grant: None,
                is_registered: None,
                inbox: self.0.inbox.clone(),
            })));
        }
        let ask = Reserve { account, limits, want };
        self.0.mail.ask(ask).await.unwrap_or_else(|_| Err(Denied::tracker_gone()))
    }

    /// Counts a change that no lease covers, such as a removed file. It counts
    /// when the call returns, whether or not the future is awaited.
    pub fn adjust(&self, account: AccountId, bytes_delta: i64, files_delta: i64) -> Ready<()> {
        let delta = UsageDelta { bytes: bytes_delta, files: files_delta };
        self.0.inbox.lock().settle(account, None, delta);
        ready(())
    }

    /// What the account stores, with what is settled and not written yet.
    pub async fn usage(&self, account: AccountId) -> Result<Usage, UsageUnavailable> {
        let gone = |_| Err(UsageUnavailable::tracker_gone());
        self.0.mail.ask(GetUsage { account }).await.unwrap_or_else(gone)
    }

    /// Begins a scan: the right to measure the account's usage and set it.
    pub async fn begin_scan(&self, account: AccountId) -> Result<Scan, ScanRefused> {
        self.0.mail.ask(BeginScan { account }).await.unwrap_or(Err(ScanRefused::Gone))
    }

    /// The running scans, oldest first.
    pub async fn scans(&self) -> Vec<ScanReport> {
        let mut scans = self.0.mail.ask(GetScans).await.unwrap_or_default();
        scans.sort_by(|a, b| (a.started_unix_ms, &a.account).cmp(&(b.started_unix_ms, &b.account)));
        scans
    }

    /// Sets the usage, and waits until it is written.
    pub async fn set_usage(
        &self,
        account: AccountId,
        usage: Usage,
        mode: SetMode,
    ) -> Result<(), SetUsageError> {
        match self.0.mail.ask(SetUsage { account, usage, mode }).await {
            Ok(Ok(stored)) => wait_stored(stored).await.map_err(SetUsageError::Unavailable),
            Ok(Err(refused)) => Err(refused),
            Err(_) => Err(SetUsageError::Unavailable(UsageUnavailable::tracker_gone())),
        }
    }

    /// Writes everything that has settled. After an error it is tried again
    /// each second; nothing is lost.
    pub async fn flush(&self) -> Result<(), UsageUnavailable> {
        let writes = self.0.mail.ask(Flush).await;
        let mut result = Ok(());
        for stored in writes.map_err(|_| UsageUnavailable::tracker_gone())? {
            result = result.and(wait_stored(stored).await);
        }
        result
    }

    /// Drops what is known and not written about a deleted account, so that an
    /// account created later under its name does not inherit it.
    pub async fn forget(&self, account: AccountId) {
        let _ = self.0.mail.ask(Forget { account }).await;
    }

    pub(crate) fn health(&self) -> QuotaHealth {
        let counters = &self.0.counters;
        QuotaHealth {
            open_leases: counters.open_leases.load(Ordering::Relaxed),
            unsaved_accounts: counters.unsaved_accounts.load(Ordering::Relaxed),
            store_failures: counters.store_failures.load(Ordering::Relaxed),
        }
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.0.mail.ask(fault).await;
    }
}
