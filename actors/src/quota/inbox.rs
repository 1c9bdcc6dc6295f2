//! What reaches the tracker without a message.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ids::AccountId;
use crate::ports::{Transferred, Usage, UsageDelta};

/// What reaches the tracker without a message. It survives a panic.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Items>);

#[derive(Debug, Default)]
pub(super) struct Items {
    /// Deltas without a lease: summed, so bounded by the number of accounts.
    pub(super) adjusted: HashMap<AccountId, UsageDelta>,
    /// Leases that came back: bounded by those that were granted, each of which
    /// made the tracker empty the inbox.
    pub(super) returned: VecDeque<(AccountId, u64, UsageDelta)>,
    /// Store operations that ended.
    pub(super) answers: VecDeque<StoreAnswer>,
}

impl Inbox {
    pub(super) fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items {
    pub(super) fn settle(&mut self, account: AccountId, lease: Option<u64>, delta: UsageDelta) {
        match lease {
            Some(lease) => self.returned.push_back((account, lease, delta)),
            None if delta.is_zero() => {}
            None => {
                let sum = self.adjusted.entry(account).or_default();
                *sum = sum.plus(delta);
            }
        }
    }
}

/// The end of a store operation.
#[derive(Debug)]
pub(super) enum StoreAnswer {
    Loaded(AccountId, Result<Usage, String>),
    Added(Vec<AccountId>, Result<(), String>),
    WasSet(AccountId, Result<(), String>),
    TransferredLoaded(AccountId, Result<Transferred, String>),
    TransferredAdded(Vec<AccountId>, Result<(), String>),
}
