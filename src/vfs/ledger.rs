//! What the quota counts for files that are being written in place.
//!
//! The usage of an account changes when an upload ends, but in place its file
//! grows before that. Whoever truncates, removes or overwrites such a file
//! meanwhile must not be credited with bytes that nobody has counted yet; else
//! the usage could be driven to zero with a full disk. So for each such file the
//! ledger remembers the size that is counted, and every change is a difference
//! to that.
//!
//! What an operation saw and what it counts must not be separated by another
//! operation on the same files: whoever removes a file between the two would
//! credit it as well. So whatever changes what an account stores takes its
//! [`Turn`] for the change and its counting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actors::{AccountId, UsageDelta};

use super::mounts::Resolved;
use crate::storage::{FileKind, Metadata, ObjectId};

type Key = (AccountId, ObjectId);

/// One for the whole server. Bounded by the number of open uploads and running
/// operations.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    files: Mutex<HashMap<Key, Counted>>,
    turns: Mutex<HashMap<AccountId, Weak<tokio::sync::Mutex<()>>>>,
}

/// The right to change what one account stores; given up by dropping it. Never
/// held while a client or a hook is waited for.
#[derive(Debug)]
pub(super) struct Turn {
    ledger: Arc<Ledger>,
    account: AccountId,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut turns = self.ledger.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.get(&self.account).is_some_and(|turn| turn.strong_count() == 0) {
            turns.remove(&self.account);
        }
    }
}

#[derive(Debug)]
struct Counted {
    /// The size that the account's usage includes; `None`: not even the file.
    size: Option<u64>,
    writers: usize,
}

/// Keeps a file in the ledger while it is written.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    key: Option<Key>,
    counted: Option<u64>,
}

impl Ledger {
    /// Waits for the account's turn.
    pub(super) async fn turn(self: &Arc<Self>, account: &AccountId) -> Turn {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            match turns.get(account).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::default();
                    turns.insert(account.clone(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        let guard = Some(turn.lock_owned().await);
        Turn { ledger: self.clone(), account: account.clone(), guard }
    }

    /// The turns of all accounts that count what is stored at `places`, in an
    /// order that is the same for everybody. A storage that is slow to rename
    /// waits for nobody: there a race may leave the counters off until a scan.
    pub(super) async fn turns(self: &Arc<Self>, places: &[&Resolved]) -> Vec<Turn> {
        let owners = places
            .iter()
            .filter(|place| place.mount.storage.capabilities().atomic_rename)
            .filter_map(|place| place.mount.quota.as_ref());
        let mut accounts: Vec<_> = owners.map(|owner| &owner.account).collect();
        accounts.sort();
        accounts.dedup();
        let mut turns = Vec::with_capacity(accounts.len());
        for account in accounts {
            turns.push(self.turn(account).await);
        }
        turns
    }

    /// Enters a file that is about to be written in place. `before` is what its
    /// size was before that, `None` for a new file, unless the ledger knows better.
    pub(super) fn enter(
        self: &Arc<Self>,
        account: &AccountId,
        id: Option<ObjectId>,
        before: Option<u64>,
    ) -> Entry {
        let key = id.map(|id| (account.clone(), id));
        let counted = match &key {
            None => before,
            Some(key) => {
                let mut files = self.lock();
                let file = files.entry(key.clone()).or_insert(Counted { size: before, writers: 0 });
                file.writers += 1;
                file.size
            }
        };
        Entry { ledger: self.clone(), key, counted }
    }

    /// The account stores `now` of a file of which it stored `before`, as far as
    /// whoever asks could see; the change of its usage.
    pub(super) fn settle(
        &self,
        account: &AccountId,
        id: Option<ObjectId>,
        before: Option<u64>,
        now: Option<u64>,
    ) -> UsageDelta {
        let Some(id) = id else { return difference(before, now) };
        match self.lock().get_mut(&(account.clone(), id)) {
            Some(file) => difference(std::mem::replace(&mut file.size, now), now),
            None => difference(before, now),
        }
    }

    /// A file that was removed or replaced.
    pub(super) fn settle_gone(&self, account: &AccountId, gone: &Metadata) -> UsageDelta {
        if gone.kind != FileKind::File {
            return UsageDelta::default();
        }
        self.settle(account, gone.id, Some(gone.size), None)
    }

    /// What is counted for a file that was found with this metadata.
    pub(super) fn counted(&self, account: &AccountId, found: &Metadata) -> Option<u64> {
        match found.id.and_then(|id| self.lock().get(&(account.clone(), id)).map(|file| file.size))
        {
            Some(counted) => counted,
            None => Some(found.size),
        }
    }

    /// Whether a file that was found with this metadata is being written in place.
    pub(super) fn is_open(&self, account: &AccountId, found: &Metadata) -> bool {
        found.id.is_some_and(|id| self.lock().contains_key(&(account.clone(), id)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Counted>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Which file it is.
    pub(super) fn id(&self) -> Option<ObjectId> {
        self.key.as_ref().map(|(_, id)| *id)
    }

    /// The size that the usage included when the file was entered.
    pub(super) fn counted(&self) -> Option<u64> {
        self.counted
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut files = self.ledger.lock();
        if let Some(file) = files.get_mut(&key) {
            file.writers = file.writers.saturating_sub(1);
            if file.writers == 0 {
                files.remove(&key);
            }
        }
    }
}

/// The change from one state of a file to another; `None` is no file.
pub(super) fn difference(before: Option<u64>, now: Option<u64>) -> UsageDelta {
    let signed = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
    UsageDelta {
        bytes: signed(now).saturating_sub(signed(before)),
        files: i64::from(now.is_some()) - i64::from(before.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::user("a")
    }

    fn id(number: u64) -> Option<ObjectId> {
        Some(ObjectId { device: 1, number })
    }

    fn delta(bytes: i64, files: i64) -> UsageDelta {
        UsageDelta { bytes, files }
    }

    #[test]
    fn changes_are_differences_of_states() {
        let table = [
            (None, Some(10), delta(10, 1)),
            (Some(10), Some(4), delta(-6, 0)),
            (Some(4), Some(10), delta(6, 0)),
            (Some(10), None, delta(-10, -1)),
            (None, Some(0), delta(0, 1)),
            (None, None, delta(0, 0)),
        ];
        for (before, now, want) in table {
            assert_eq!(difference(before, now), want, "{before:?} -> {now:?}");
            let ledger = Ledger::default();
            assert_eq!(ledger.settle(&account(), id(1), before, now), want);
        }
    }

    #[test]
    fn shrinking_a_file_that_is_not_counted_yet_earns_nothing() {
        let ledger = Arc::new(Ledger::default());
        let upload = ledger.enter(&account(), id(1), None);
        // 10 bytes were written; the path is truncated to 4, then the upload ends with 4.
        assert_eq!(ledger.settle(&account(), id(1), Some(10), Some(4)), delta(4, 1));
        assert_eq!(ledger.settle(&account(), id(1), None, Some(4)), delta(0, 0));
        // Removed while written: what was counted goes, and no more.
        assert_eq!(ledger.settle(&account(), id(1), Some(10), None), delta(-4, -1));
        assert_eq!(ledger.settle(&account(), id(1), None, None), delta(0, 0));
        drop(upload);
        assert!(ledger.lock().is_empty());
    }

    #[tokio::test]
    async fn one_account_takes_turns_and_nothing_is_left_of_them() {
        let ledger = Arc::new(Ledger::default());
        let first = ledger.turn(&account()).await;
        let other = ledger.turn(&AccountId::user("b")).await;
        let own = account();
        let second = ledger.turn(&own);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        drop((second, other));
        assert!(ledger.turns.lock().unwrap().is_empty());
    }

    #[test]
    fn a_second_writer_starts_from_what_is_counted() {
        let ledger = Arc::new(Ledger::default());
        let first = ledger.enter(&account(), id(1), None);
        // It found 10 bytes and emptied the file.
        let second = ledger.enter(&account(), id(1), Some(10));
        assert_eq!(second.counted(), None);
        assert_eq!(ledger.settle(&account(), id(1), None, Some(0)), delta(0, 1));
        drop(first);
        assert_eq!(ledger.settle(&account(), id(1), Some(10), Some(7)), delta(7, 0));
        drop(second);
        // Other accounts and files are other entries.
        let other = ledger.enter(&account(), id(2), Some(3));
        assert_eq!(other.counted(), Some(3));
        assert_eq!(ledger.settle(&AccountId::user("b"), id(2), Some(5), None), delta(-5, -1));
    }
}
