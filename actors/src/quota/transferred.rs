//! How much each account has transferred, and how much it may.
//!
//! **No leases.** A byte that moved never comes back, so nothing needs to be
//! granted or returned: all transfers of an account count in the same [`Tally`],
//! and each chunk is taken by the atomic addition that checks the limit. Parallel
//! transfers cannot exceed it by a byte, and none asks for a message per chunk.
//!
//! **Storing.** The tally goes on by itself. The tracker remembers how much of it
//! is stored; the rest is written in batches with the other counters, and nothing
//! has to be given back when a write fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Context;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::inbox::StoreAnswer;
use super::messages::{Stored, wait_stored};
use super::tracker::guarded;
use super::{Quota, QuotaTracker, SetMode, SetUsageError, UsageUnavailable};
use crate::ids::{AccountId, Direction};
use crate::mailbox::{Answer, Ask, Reply};
use crate::ports::{Transferred, TransferredDelta};

/// Sent by `Quota::allowance`.
struct GetAllowance {
    account: AccountId,
    limits: TransferLimits,
}

impl Ask for GetAllowance {
    type Reply = Result<Allowance, UsageUnavailable>;
}

/// Sent by `Quota::set_transferred`.
struct SetTransferred {
    account: AccountId,
    given: Transferred,
    mode: SetMode,
}

impl Ask for SetTransferred {
    type Reply = Result<Stored, UsageUnavailable>;
}

/// What an account may transfer, in bytes; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferLimits {
    pub upload: Option<u64>,
    pub download: Option<u64>,
    /// Both together; the two others do not count then.
    pub total: Option<u64>,
}

impl TransferLimits {
    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What the transfers of one account have moved, while somebody may add to it.
#[derive(Debug, Default)]
struct Tally {
    uploaded: AtomicU64,
    downloaded: AtomicU64,
    /// The sum of both, so that a limit on it is one check.
    total: AtomicU64,
}

impl Tally {
    fn of(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Upload => &self.uploaded,
            Direction::Download => &self.downloaded,
        }
    }

    fn read(&self) -> Transferred {
        Transferred {
            uploaded: self.uploaded.load(Ordering::Acquire),
            downloaded: self.downloaded.load(Ordering::Acquire),
        }
    }

    /// Moves the counters; what is taken meanwhile stays counted.
    fn shift(&self, by: TransferredDelta) {
        // Two's complement: adding a negative number wraps to what is meant.
        self.uploaded.fetch_add(by.uploaded as u64, Ordering::AcqRel);
        self.downloaded.fetch_add(by.downloaded as u64, Ordering::AcqRel);
        self.total.fetch_add(by.uploaded.wrapping_add(by.downloaded) as u64, Ordering::AcqRel);
    }
}

/// The right to transfer as long as the limits are not reached. Clones, and all
/// allowances of one account, count together.
#[derive(Debug, Clone)]
pub struct Allowance {
    tally: Arc<Tally>,
    limits: TransferLimits,
}

impl Allowance {
    /// Counts `bytes` if they fit; `false`: nothing was counted. Atomic, no message.
    pub fn take(&self, direction: Direction, bytes: u64) -> bool {
        let (own, total) = (self.tally.of(direction), &self.tally.total);
        let (checked, limit, other) = match (self.limits.total, self.limit(direction)) {
            (Some(limit), _) => (total, limit, own),
            (None, Some(limit)) => (own, limit, total),
            (None, None) => (own, u64::MAX, total),
        };
        let add = |moved: u64| moved.checked_add(bytes).filter(|moved| *moved <= limit);
        if checked.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_err() {
            return false;
        }
        other.fetch_add(bytes, Ordering::AcqRel);
        true
    }

    /// Takes back what was counted for bytes that did not move.
    pub fn give_back(&self, direction: Direction, bytes: u64) {
        self.tally.of(direction).fetch_sub(bytes, Ordering::AcqRel);
        self.tally.total.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Whether not a single byte more may be transferred.
    pub fn is_used_up(&self, direction: Direction) -> bool {
        let (moved, limit) = match (self.limits.total, self.limit(direction)) {
            (Some(limit), _) => (&self.tally.total, limit),
            (None, Some(limit)) => (self.tally.of(direction), limit),
            (None, None) => return false,
        };
        moved.load(Ordering::Acquire) >= limit
    }

    fn limit(&self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Upload => self.limits.upload,
            Direction::Download => self.limits.download,
        }
    }
}

impl Quota {
    /// The allowance of an account. Without limits it is given even when what was
    /// transferred before cannot be read: it counts on top of that.
    pub async fn allowance(
        &self,
        account: AccountId,
        limits: TransferLimits,
    ) -> Result<Allowance, UsageUnavailable> {
        let gone = |_| Err(UsageUnavailable::tracker_gone());
        self.0.mail.ask(GetAllowance { account, limits }).await.unwrap_or_else(gone)
    }

    /// Sets what counts as transferred, and waits until it is written.
    pub async fn set_transferred(
        &self,
        account: AccountId,
        given: Transferred,
        mode: SetMode,
    ) -> Result<(), SetUsageError> {
        let stored = match self.0.mail.ask(SetTransferred { account, given, mode }).await {
            Ok(stored) => stored,
            Err(_) => Err(UsageUnavailable::tracker_gone()),
        };
        match stored {
            Ok(stored) => wait_stored(stored).await.map_err(SetUsageError::Unavailable),
            Err(unavailable) => Err(SetUsageError::Unavailable(unavailable)),
        }
    }
}

/// What is known about the transfers of one account.
#[derive(Default)]
pub(super) struct Account {
    tally: Arc<Tally>,
    /// How much of the tally the store has.
    stored: Transferred,
    /// When that was read; `None` before the first time.
    read: Option<Instant>,
    in_flight: Option<InFlight>,
    /// Asks that need what is stored.
    waiting: Vec<Waiting>,
    /// Who waits for the running save, and who for the next one.
    saving: Vec<oneshot::Sender<Result<(), String>>>,
    savers: Vec<oneshot::Sender<Result<(), String>>>,
}

/// The store operation of an account; there is never more than one.
enum InFlight {
    Load,
    /// The tally that will be stored when it ends well.
    Add(Transferred),
    /// Of an account that was deleted meanwhile.
    Forgotten,
}

enum Waiting {
    Allowance(TransferLimits, Reply<Result<Allowance, UsageUnavailable>>),
    Set(Transferred, Reply<Result<Stored, UsageUnavailable>>),
}

impl Account {
    fn unsaved(&self) -> TransferredDelta {
        self.tally.read().since(self.stored)
    }

    fn is_fresh(&self, max_age: Duration) -> bool {
        self.read.is_some_and(|read| read.elapsed() <= max_age)
    }

    pub(super) fn is_unsaved(&self) -> bool {
        !self.unsaved().is_zero() || matches!(self.in_flight, Some(InFlight::Add(_)))
    }

    /// No allowance is out, and nothing would be lost.
    pub(super) fn is_forgettable(&self, max_age: Duration) -> bool {
        Arc::strong_count(&self.tally) == 1
            && self.in_flight.is_none()
            && self.unsaved().is_zero()
            && self.waiting.is_empty()
            && self.savers.is_empty()
            && !self.is_fresh(max_age)
    }

    /// After a panic of the tracker: what was read is read again, what is counted stays.
    pub(super) fn distrust(&mut self) {
        self.read = None;
    }

    /// Drops what is known of a deleted account. Who still transfers for it counts
    /// for nobody.
    pub(super) fn forget(&mut self) {
        let Self { in_flight, .. } = std::mem::take(self);
        self.in_flight = in_flight.map(|_| InFlight::Forgotten);
    }

    fn next_save(&mut self) -> Stored {
        let (sender, receiver) = oneshot::channel();
        self.savers.push(sender);
        receiver
    }

    fn loaded(&mut self, result: Result<Transferred, String>) {
        if let Some(InFlight::Load) = self.in_flight.take()
            && let Ok(found) = &result
        {
            // On top of what was counted before it was read, or changed by another server.
            self.tally.shift(found.since(self.stored));
            self.stored = *found;
            self.read = Some(Instant::now());
        }
        let failure = result.err().filter(|_| self.read.is_none());
        for ask in std::mem::take(&mut self.waiting) {
            let unavailable = failure.clone().map(UsageUnavailable);
            match (ask, unavailable) {
                (Waiting::Allowance(_, reply), Some(why)) => reply.send(Err(why)),
                (Waiting::Set(_, reply), Some(why)) => reply.send(Err(why)),
                (Waiting::Allowance(limits, reply), None) => {
                    reply.send(Ok(Allowance { tally: self.tally.clone(), limits }));
                }
                (Waiting::Set(given, reply), None) => {
                    self.tally.shift(given.since(self.tally.read()));
                    let stored = self.next_save();
                    reply.send(Ok(stored));
                }
            }
        }
    }

    fn added(&mut self, result: &Result<(), String>) {
        if let Some(InFlight::Add(tally)) = self.in_flight.take()
            && result.is_ok()
        {
            self.stored = tally;
        }
        for saver in std::mem::take(&mut self.saving) {
            drop(saver.send(result.clone()));
        }
    }

    /// What has to be added to the store now, if anything.
    fn begin_save(&mut self) -> Option<TransferredDelta> {
        if self.in_flight.is_some() {
            return None;
        }
        let tally = self.tally.read();
        let delta = tally.since(self.stored);
        if delta.is_zero() {
            for saver in std::mem::take(&mut self.savers) {
                drop(saver.send(Ok(())));
            }
            return None;
        }
        self.in_flight = Some(InFlight::Add(tally));
        self.saving.append(&mut self.savers);
        Some(delta)
    }
}

impl QuotaTracker {
    /// Starts writing what was transferred since the last time: by one account, or by all.
    pub(super) fn save_transferred(&mut self, only: Option<&AccountId>, ctx: &Context<Self>) {
        let mut deltas = Vec::new();
        for (account, state) in &mut self.transferred {
            if only.is_none_or(|only| only == account)
                && let Some(delta) = state.begin_save()
            {
                deltas.push((account.clone(), delta));
            }
        }
        if deltas.is_empty() {
            return;
        }
        let store = self.store.clone();
        let accounts = deltas.iter().map(|(account, _)| account.clone()).collect();
        self.ask_store(ctx, async move {
            let result = guarded(store.add_transferred(deltas)).await;
            StoreAnswer::TransferredAdded(accounts, result)
        });
    }

    /// As [`QuotaTracker::save_transferred`]; receivers for all that is being written.
    pub(super) fn flush_transferred(&mut self, ctx: &Context<Self>) -> Vec<Stored> {
        self.save_transferred(None, ctx);
        let mut writes = Vec::new();
        for state in self.transferred.values_mut().filter(|state| state.is_unsaved()) {
            let (sender, receiver) = oneshot::channel();
            // What was counted behind the running save needs the next one.
            let is_next = match &state.in_flight {
                Some(InFlight::Add(saving)) => *saving != state.tally.read(),
                _ => true,
            };
            if is_next {
                state.savers.push(sender)
            } else {
                state.saving.push(sender)
            }
            writes.push(receiver);
        }
        writes
    }

    pub(super) fn apply_loaded(
        &mut self,
        account: &AccountId,
        result: Result<Transferred, String>,
        ctx: &Context<Self>,
    ) {
        self.note_result(&result.clone().map(drop));
        if let Some(state) = self.transferred.get_mut(account) {
            state.loaded(result);
            self.go_on(account, ctx);
        }
    }

    pub(super) fn apply_added(
        &mut self,
        accounts: &[AccountId],
        result: &Result<(), String>,
        ctx: &Context<Self>,
    ) {
        self.note_result(result);
        for account in accounts {
            if let Some(state) = self.transferred.get_mut(account) {
                state.added(result);
                self.go_on(account, ctx);
            }
        }
    }

    /// What an account needs next, now that it has no store operation in flight.
    fn go_on(&mut self, account: &AccountId, ctx: &Context<Self>) {
        let Some(state) = self.transferred.get(account) else { return };
        if !state.waiting.is_empty() {
            self.load_transferred(account, ctx);
        } else if !state.savers.is_empty() {
            self.save_transferred(Some(account), ctx);
        }
    }

    /// Asks that a panic has left behind go on.
    pub(super) fn resume_transferred(&mut self, ctx: &Context<Self>) {
        let is_stuck = |state: &Account| state.in_flight.is_none() && !state.waiting.is_empty();
        let stuck = self.transferred.iter().filter(|(_, state)| is_stuck(state));
        let stuck: Vec<_> = stuck.map(|(account, _)| account.clone()).collect();
        for account in stuck {
            self.load_transferred(&account, ctx);
        }
    }

    fn load_transferred(&mut self, account: &AccountId, ctx: &Context<Self>) {
        let state = self.transferred.entry(account.clone()).or_default();
        if state.in_flight.is_some() {
            // Its end comes back to whoever waits.
            return;
        }
        state.in_flight = Some(InFlight::Load);
        let (store, account) = (self.store.clone(), account.clone());
        self.ask_store(ctx, async move {
            let result = guarded(store.load_transferred(&account)).await;
            StoreAnswer::TransferredLoaded(account, result)
        });
    }
}

impl Answer<GetAllowance> for QuotaTracker {
    fn answer(
        &mut self,
        GetAllowance { account, limits }: GetAllowance,
        reply: Reply<Result<Allowance, UsageUnavailable>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        let max_age = self.config.usage_max_age;
        let state = self.transferred.entry(account.clone()).or_default();
        if limits.is_none() || state.is_fresh(max_age) {
            return reply.send(Ok(Allowance { tally: state.tally.clone(), limits }));
        }
        state.waiting.push(Waiting::Allowance(limits, reply));
        self.load_transferred(&account, ctx);
    }
}

impl Answer<SetTransferred> for QuotaTracker {
    fn answer(
        &mut self,
        SetTransferred { account, given, mode }: SetTransferred,
        reply: Reply<Result<Stored, UsageUnavailable>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        let state = self.transferred.entry(account.clone()).or_default();
        match mode {
            SetMode::Add => {
                state.tally.shift(given.since(Transferred::default()));
                let stored = state.next_save();
                self.save_transferred(Some(&account), ctx);
                reply.send(Ok(stored));
            }
            // A difference to what is stored, which must be known for that.
            SetMode::Reset => {
                state.waiting.push(Waiting::Set(given, reply));
                self.load_transferred(&account, ctx);
            }
        }
    }
}
