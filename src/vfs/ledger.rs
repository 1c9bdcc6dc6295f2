//! What the quota counts for files that are being written in place.
//!
//! The usage of an account changes when an upload ends, but in place its file
//! grows before that. Whoever truncates, removes or overwrites such a file
//! meanwhile must not be credited with bytes that nobody has counted yet; else
//! the usage could be driven to zero with a full disk. So for each such file the
//! ledger remembers the size that is counted, and every change is a difference
//! to that.
//!
//! A file that is removed or replaced is looked at first, to know what goes. So that
//! it is still the same file then, and nobody opens it in between whom the ledger
//! does not know yet, such changes of one account come one after the other:
//! [`Ledger::change`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::{AccountId, UsageDelta};
use tokio::sync::OwnedMutexGuard;

use crate::storage::{FileKind, Metadata, ObjectId};

type Key = (AccountId, ObjectId);

/// One for the whole server. Bounded by the number of open uploads and of operations
/// at the same time.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    files: Mutex<HashMap<Key, Counted>>,
    /// Of accounts whose files are being opened, removed or replaced now.
    changing: Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>,
}

/// While it exists nobody else opens, removes or replaces a file of the account.
#[derive(Debug)]
pub(super) struct Change {
    ledger: Arc<Ledger>,
    account: AccountId,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Change {
    fn drop(&mut self) {
        drop(self.turn.take());
        let mut changing = self.ledger.changing();
        // Whoever waits holds it, too; and nobody comes to hold it while we look.
        if changing.get(&self.account).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            changing.remove(&self.account);
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
    /// Waits for the account's turn. For one operation of the disk and what it
    /// settles, never longer. Who needs the turns of two accounts takes
    /// [`Ledger::change_both`].
    pub(super) async fn change(self: &Arc<Self>, account: &AccountId) -> Change {
        let turn = self.changing().entry(account.clone()).or_default().clone();
        let turn = Some(turn.lock_owned().await);
        Change { ledger: self.clone(), account: account.clone(), turn }
    }

    /// As [`Ledger::change`] for up to two accounts, in an order in which two
    /// operations cannot wait for each other.
    pub(super) async fn change_both(
        self: &Arc<Self>,
        one: Option<&AccountId>,
        other: Option<&AccountId>,
    ) -> (Option<Change>, Option<Change>) {
        let other = other.filter(|other| one != Some(*other));
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let first = match first {
            Some(account) => Some(self.change(account).await),
            None => None,
        };
        let second = match second {
            Some(account) => Some(self.change(account).await),
            None => None,
        };
        (first, second)
    }

    fn changing(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn changes_of_one_account_take_turns_and_leave_nothing_behind() {
        let ledger = Arc::new(Ledger::default());
        let (a, b) = (AccountId::user("a"), AccountId::user("b"));
        let is_free = async |account: &AccountId| {
            let wait = std::time::Duration::from_millis(5);
            tokio::time::timeout(wait, ledger.change(account)).await.is_ok()
        };
        let held = ledger.change(&a).await;
        assert!(!is_free(&a).await && is_free(&b).await);
        drop(held);
        let held = ledger.change_both(Some(&b), Some(&a)).await;
        assert!(!is_free(&a).await && !is_free(&b).await);
        drop(held);
        let held = ledger.change_both(Some(&a), Some(&a)).await;
        assert!(!is_free(&a).await && is_free(&b).await);
        drop(held);
        let held = ledger.change_both(None, Some(&b)).await;
        assert!(is_free(&a).await && !is_free(&b).await);
        drop(held);
        let rounds = (0..200).map(|round| {
            let (ledger, a, b) = (ledger.clone(), a.clone(), b.clone());
            tokio::spawn(async move {
                let (one, other) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
                let held = ledger.change_both(Some(one), Some(other)).await;
                tokio::task::yield_now().await;
                drop(held);
            })
        });
        for round in rounds.collect::<Vec<_>>() {
            round.await.unwrap();
        }
        assert!(ledger.changing().is_empty());
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
