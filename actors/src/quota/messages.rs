//! What the tracker is asked.

use tokio::sync::oneshot;

use super::lease::Lease;
use super::scan::Scan;
use super::terms::{
    Denied, Limits, ScanOutcome, ScanRefused, ScanReport, SetMode, SetUsageError, UsageUnavailable,
    Want,
};
use crate::ids::AccountId;
use crate::mailbox::Ask;
use crate::ports::Usage;

/// Sent by `Quota::reserve`.
pub(super) struct Reserve {
    pub(super) account: AccountId,
    pub(super) limits: Limits,
    pub(super) want: Want,
}

impl Ask for Reserve {
    type Reply = Result<Lease, Denied>;
}

/// Sent by `Lease::renew`.
pub(super) struct Renew {
    pub(super) account: AccountId,
    pub(super) lease: u64,
    pub(super) at_least: u64,
}

impl Ask for Renew {
    type Reply = Result<(), Denied>;
}

/// Sent by `Quota::usage`.
pub(super) struct GetUsage {
    pub(super) account: AccountId,
}

impl Ask for GetUsage {
    type Reply = Result<Usage, UsageUnavailable>;
}

/// Sent by `Quota::begin_scan`.
pub(super) struct BeginScan {
    pub(super) account: AccountId,
}

impl Ask for BeginScan {
    type Reply = Result<Scan, ScanRefused>;
}

/// Sent by `Scan::finish`.
pub(super) struct FinishScan {
    pub(super) account: AccountId,
    pub(super) scan: u64,
    pub(super) measured: Usage,
}

impl Ask for FinishScan {
    type Reply = Option<(ScanOutcome, Stored)>;
}

/// Sent by a dropped `Scan`.
pub(super) struct CancelScan {
    pub(super) account: AccountId,
    pub(super) scan: u64,
}

impl Ask for CancelScan {
    type Reply = ();
}

/// Sent by the REST API.
pub(super) struct GetScans;

impl Ask for GetScans {
    type Reply = Vec<ScanReport>;
}

/// Sent by `Quota::set_usage`.
pub(super) struct SetUsage {
    pub(super) account: AccountId,
    pub(super) usage: Usage,
    pub(super) mode: SetMode,
}

impl Ask for SetUsage {
    type Reply = Result<Stored, SetUsageError>;
}

/// Sent by `Quota::flush`.
pub(super) struct Flush;

impl Ask for Flush {
    type Reply = Vec<Stored>;
}

/// Sent by `Quota::forget`.
pub(super) struct Forget {
    pub(super) account: AccountId,
}

impl Ask for Forget {
    type Reply = ();
}

/// Sent by the task of a store operation: look into the inbox.
pub(super) struct StoreAnswered;

impl Ask for StoreAnswered {
    type Reply = ();
}

/// Resolves when what was asked for is written, or could not be.
pub(super) type Stored = oneshot::Receiver<Result<(), String>>;

/// Waits until it is written.
pub(super) async fn wait_stored(stored: Stored) -> Result<(), UsageUnavailable> {
    match stored.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(UsageUnavailable(why)),
        Err(_) => Err(UsageUnavailable::tracker_gone()),
    }
}
