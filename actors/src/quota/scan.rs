//! A scan: the right to measure an account and to set what it stores.

use std::sync::Arc;

use super::messages::{CancelScan, FinishScan, wait_stored};
use super::progress::ScanProgress;
use super::terms::{ScanOutcome, UsageUnavailable};
use super::tracker::QuotaTracker;
use crate::ids::AccountId;
use crate::mailbox::Mail;
use crate::ports::{Usage, UsageDelta};

/// The right to set the usage of an account to what was measured. Dropping it
/// cancels the scan.
#[derive(Debug)]
pub struct Scan {
    pub(super) account: AccountId,
    pub(super) scan: u64,
    pub(super) progress: Arc<ScanProgress>,
    pub(super) mail: Option<Mail<QuotaTracker>>,
}

impl Scan {
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Where to count what was seen so far.
    pub fn progress(&self) -> &ScanProgress {
        &self.progress
    }

    /// Sets the measured usage and waits until it is written. After an error it
    /// counts all the same, and is tried again each second.
    pub async fn finish(mut self, measured: Usage) -> Result<ScanOutcome, UsageUnavailable> {
        let Some(mail) = self.mail.take() else {
            return Err(UsageUnavailable::tracker_gone());
        };
        let ask = FinishScan { account: self.account.clone(), scan: self.scan, measured };
        match mail.ask(ask).await {
            Ok(Some((outcome, stored))) => wait_stored(stored).await.map(|()| outcome),
            Ok(None) => Err(UsageUnavailable("the account was deleted".into())),
            Err(_) => Err(UsageUnavailable::tracker_gone()),
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        if let Some(mail) = self.mail.take() {
            mail.tell(CancelScan { account: self.account.clone(), scan: self.scan });
        }
    }
}

/// A scan as the tracker knows it.
pub(super) struct RunningScan {
    pub(super) number: u64,
    pub(super) started_unix_ms: u64,
    pub(super) progress: Arc<ScanProgress>,
    /// What was added since it began.
    pub(super) added: UsageDelta,
    pub(super) is_disturbed: bool,
}
