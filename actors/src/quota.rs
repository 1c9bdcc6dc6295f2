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

mod progress;
pub mod transferred;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use actix::{Actor, AsyncContext, Context, Supervised};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ids::AccountId;
use crate::mailbox::{Answer, Ask, Desk, Mail, Reply, receives_letters};
use crate::meter::unix_ms;
use crate::pool::Pool;
use crate::ports::{BoxError, Transferred, Usage, UsageDelta, UsageStore};

pub use progress::ScanProgress;

/// Sent by `Quota::reserve`.
struct Reserve {
    account: AccountId,
    limits: Limits,
    want: Want,
}

impl Ask for Reserve {
    type Reply = Result<Lease, Denied>;
}

/// Sent by `Lease::renew`.
struct Renew {
    account: AccountId,
    lease: u64,
    at_least: u64,
}

impl Ask for Renew {
    type Reply = Result<(), Denied>;
}

/// Sent by `Quota::usage`.
struct GetUsage {
    account: AccountId,
}

impl Ask for GetUsage {
    type Reply = Result<Usage, UsageUnavailable>;
}

/// Sent by `Quota::begin_scan`.
struct BeginScan {
    account: AccountId,
}

impl Ask for BeginScan {
    type Reply = Result<Scan, ScanRefused>;
}

/// Sent by `Scan::finish`.
struct FinishScan {
    account: AccountId,
    scan: u64,
    measured: Usage,
}

impl Ask for FinishScan {
    type Reply = Option<(ScanOutcome, Stored)>;
}

/// Sent by a dropped `Scan`.
struct CancelScan {
    account: AccountId,
    scan: u64,
}

impl Ask for CancelScan {
    type Reply = ();
}

/// Sent by the REST API.
struct GetScans;

impl Ask for GetScans {
    type Reply = Vec<ScanReport>;
}

/// Sent by `Quota::set_usage`.
struct SetUsage {
    account: AccountId,
    usage: Usage,
    mode: SetMode,
}

impl Ask for SetUsage {
    type Reply = Result<Stored, SetUsageError>;
}

/// Sent by `Quota::flush`.
struct Flush;

impl Ask for Flush {
    type Reply = Vec<Stored>;
}

/// Sent by `Quota::forget`.
struct Forget {
    account: AccountId,
}

impl Ask for Forget {
    type Reply = ();
}

/// Sent by the task of a store operation: look into the inbox.
struct StoreAnswered;

impl Ask for StoreAnswered {
    type Reply = ();
}

/// Resolves when what was asked for is written, or could not be.
type Stored = oneshot::Receiver<Result<(), String>>;

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

/// What an account may store; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub size: Option<u64>,
    /// Number of files.
    pub files: Option<u64>,
}

impl Limits {
    fn is_none(self) -> bool {
        self.size.is_none() && self.files.is_none()
    }
}

/// What an upload wants to reserve when it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// Bytes that must fit; 0 when the size is not known. An account at its
    /// limit is denied even then.
    pub bytes: u64,
    /// 1 for a new file, 0 for an existing one.
    pub files: u64,
}

/// Why a reservation was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The size limit is reached.
    Size,
    /// The limit of files is reached.
    Files,
    /// The usage could not be read; the text is for the log.
    Unavailable(String),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("the size quota is exceeded"),
            Self::Files => f.write_str("the quota of files is exceeded"),
            Self::Unavailable(why) => write!(f, "the quota cannot be checked: {why}"),
        }
    }
}

impl std::error::Error for Denied {}

/// Usage could not be read or written; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageUnavailable(pub String);

impl UsageUnavailable {
    fn tracker_gone() -> Self {
        Self("the quota tracker has failed".into())
    }
}

impl fmt::Display for UsageUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usage is unavailable: {}", self.0)
    }
}

impl std::error::Error for UsageUnavailable {}

/// Why a scan may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanRefused {
    /// One scan per account at a time.
    AlreadyScanning,
    /// The tracker is dead.
    Gone,
}

impl fmt::Display for ScanRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyScanning => "a quota scan is already running",
            Self::Gone => "the quota tracker has failed",
        })
    }
}

impl std::error::Error for ScanRefused {}

/// How [`Quota::set_usage`] combines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMode {
    /// The given usage replaces the present one.
    Reset,
    /// The given usage is added.
    Add,
}

/// Why usage was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUsageError {
    /// The scan would overwrite it.
    ScanRunning,
    /// It is set, but could not be written yet; it will be tried again.
    Unavailable(UsageUnavailable),
}

impl fmt::Display for SetUsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScanRunning => f.write_str("a quota scan is running"),
            Self::Unavailable(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for SetUsageError {}

/// A running scan, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    pub account: AccountId,
    /// Milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Regular files counted so far.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Directories entered so far.
    pub directories: u64,
}

/// What a finished scan left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOutcome {
    /// The usage that now counts.
    pub usage: Usage,
    /// Something settled while the scan ran: the usage may be too high.
    pub was_disturbed: bool,
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
        self.0.mail.ask(ask).await.unwrap_or_else(|_| Err(tracker_gone()))
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

fn tracker_gone() -> Denied {
    Denied::Unavailable("the quota tracker has failed".into())
}

async fn wait_stored(stored: Stored) -> Result<(), UsageUnavailable> {
    match stored.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(UsageUnavailable(why)),
        Err(_) => Err(UsageUnavailable::tracker_gone()),
    }
}

/// A reservation. Settle it when the file is real; dropping it returns it and
/// counts nothing.
#[derive(Debug)]
pub struct Lease(Option<OpenLease>);

#[derive(Debug)]
struct OpenLease {
    account: AccountId,
    /// What may be taken; `None` without a size limit.
    grant: Option<Arc<Grant>>,
    /// The lease's number and its tracker; `None` without any limit.
    is_registered: Option<(u64, Mail<QuotaTracker>)>,
    inbox: Arc<Inbox>,
}

/// The part of a grant that is not spent. Data tasks subtract, the tracker adds
/// and claws back.
#[derive(Debug, Default)]
struct Grant {
    unspent: AtomicU64,
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
        mail.ask(ask).await.unwrap_or_else(|_| Err(tracker_gone()))
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

/// The right to set the usage of an account to what was measured. Dropping it
/// cancels the scan.
#[derive(Debug)]
pub struct Scan {
    account: AccountId,
    scan: u64,
    progress: Arc<ScanProgress>,
    mail: Option<Mail<QuotaTracker>>,
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

/// What reaches the tracker without a message. It survives a panic.
#[derive(Debug, Default)]
struct Inbox(Mutex<Items>);

#[derive(Debug, Default)]
struct Items {
    /// Deltas without a lease: summed, so bounded by the number of accounts.
    adjusted: HashMap<AccountId, UsageDelta>,
    /// Leases that came back: bounded by those that were granted, each of which
    /// made the tracker empty the inbox.
    returned: VecDeque<(AccountId, u64, UsageDelta)>,
    /// Store operations that ended.
    answers: VecDeque<StoreAnswer>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Items {
    fn settle(&mut self, account: AccountId, lease: Option<u64>, delta: UsageDelta) {
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
enum StoreAnswer {
    Loaded(AccountId, Result<Usage, String>),
    Added(Vec<AccountId>, Result<(), String>),
    WasSet(AccountId, Result<(), String>),
    TransferredLoaded(AccountId, Result<Transferred, String>),
    TransferredAdded(Vec<AccountId>, Result<(), String>),
}

/// See the module.
pub(crate) struct QuotaTracker {
    config: QuotaConfig,
    desk: Desk,
    pool: Pool,
    store: Arc<dyn UsageStore>,
    inbox: Arc<Inbox>,
    counters: Arc<Counters>,
    accounts: HashMap<AccountId, Account>,
    transferred: HashMap<AccountId, transferred::Account>,
    /// Numbers leases and scans.
    last_number: u64,
}

/// What is known about one account.
#[derive(Default)]
struct Account {
    /// As read, or as our own writes made it; `None` until needed.
    stored: Option<(Usage, Instant)>,
    in_flight: Option<InFlight>,
    /// Set by a scan or an administrator and not being written yet; it replaces
    /// all that was settled before.
    replacement: Option<Usage>,
    /// Settled and not being written.
    unsaved: UsageDelta,
    changed_unix_ms: u64,
    leases: HashMap<u64, Reserved>,
    /// Sums over `leases`.
    granted_bytes: u64,
    reserved_files: u64,
    /// Asks that need the usage, in the order they came.
    waiting: VecDeque<Waiting>,
    scan: Option<RunningScan>,
    /// Saves that were started, and who waits for which one to end.
    saves: u64,
    savers: Vec<(u64, oneshot::Sender<Result<(), String>>)>,
}

/// The store operation of an account; there is never more than one.
enum InFlight {
    Load,
    Add(UsageDelta),
    Set(Usage),
}

struct Reserved {
    limits: Limits,
    grant: Arc<Grant>,
    /// All that was granted and not clawed back, spent or not.
    granted_bytes: u64,
    files: u64,
}

enum Waiting {
    Reserve(Limits, Want, Reply<Result<Lease, Denied>>),
    Renew(u64, u64, Reply<Result<(), Denied>>),
    Usage(Reply<Result<Usage, UsageUnavailable>>),
}

struct RunningScan {
    number: u64,
    started_unix_ms: u64,
    progress: Arc<ScanProgress>,
    /// What was added since it began.
    added: UsageDelta,
    is_disturbed: bool,
}

impl Account {
    /// What counts now, without open leases; `None` while it is not known.
    fn usage(&self) -> Option<Usage> {
        let stored = self.stored.map(|(usage, _)| usage);
        let (base, delta) = match (self.replacement, &self.in_flight) {
            (Some(replacement), _) => (replacement, self.unsaved),
            (None, Some(InFlight::Set(usage))) => (*usage, self.unsaved),
            (None, Some(InFlight::Add(saving))) => (stored?, saving.plus(self.unsaved)),
            (None, Some(InFlight::Load) | None) => (stored?, self.unsaved),
        };
        let mut usage = base.plus(delta);
        usage.updated_unix_ms = usage.updated_unix_ms.max(self.changed_unix_ms);
        Some(usage)
    }

    fn is_fresh(&self, max_age: Duration) -> bool {
        self.replacement.is_some()
            || matches!(self.in_flight, Some(InFlight::Set(_)))
            || self.stored.is_some_and(|(_, read)| read.elapsed() <= max_age)
    }

    fn count(&mut self, delta: UsageDelta) {
        if delta.is_zero() {
            return;
        }
        self.unsaved = self.unsaved.plus(delta);
        self.changed_unix_ms = unix_ms(SystemTime::now());
        if let Some(scan) = &mut self.scan {
            scan.is_disturbed = true;
            scan.added = scan
                .added
                .plus(UsageDelta { bytes: delta.bytes.max(0), files: delta.files.max(0) });
        }
    }

    /// Replaces all that was settled so far. An addition in flight is overtaken:
    /// the replacement is written after it.
    fn replace(&mut self, mut usage: Usage) {
        usage.updated_unix_ms = unix_ms(SystemTime::now());
        self.changed_unix_ms = usage.updated_unix_ms;
        self.replacement = Some(usage);
        self.unsaved = UsageDelta::default();
    }

    fn needs_saving(&self) -> bool {
        self.replacement.is_some() || !self.unsaved.is_zero()
    }

    fn is_unsaved(&self) -> bool {
        self.needs_saving() || matches!(self.in_flight, Some(InFlight::Add(_) | InFlight::Set(_)))
    }

    fn is_forgettable(&self, max_age: Duration) -> bool {
        self.in_flight.is_none()
            && !self.needs_saving()
            && self.leases.is_empty()
            && self.scan.is_none()
            && !self.has_askers()
            && !self.is_fresh(max_age)
    }

    fn has_askers(&self) -> bool {
        !self.waiting.is_empty() || !self.savers.is_empty()
    }

    /// A receiver for the end of the next save that starts.
    fn next_save(&mut self) -> Stored {
        let (sender, receiver) = oneshot::channel();
        self.savers.push((self.saves + 1, sender));
        receiver
    }

    /// The running save has ended: answers whoever waits for it.
    fn saved(&mut self, result: &Result<(), String>) {
        let ended = self.saves;
        for (number, sender) in std::mem::take(&mut self.savers) {
            if number <= ended {
                drop(sender.send(result.clone()));
            } else {
                self.savers.push((number, sender));
            }
        }
    }

    /// Answers whoever waits for a save that will not happen, as nothing is left
    /// to save.
    fn answer_savers(&mut self) {
        for (_, sender) in std::mem::take(&mut self.savers) {
            drop(sender.send(Ok(())));
        }
    }

    fn return_lease(&mut self, lease: u64) -> bool {
        let Some(reserved) = self.leases.remove(&lease) else { return false };
        self.granted_bytes = self.granted_bytes.saturating_sub(reserved.granted_bytes);
        self.reserved_files = self.reserved_files.saturating_sub(reserved.files);
        true
    }

    /// Grants at least `need` bytes under `limit`, clawing back from the leases
    /// other than `own` if it must; `None` when they do not fit.
    fn grant(&mut self, own: u64, limit: u64, need: u64, lease_bytes: u64) -> Option<u64> {
        let remains = limit.saturating_sub(self.usage()?.size);
        let mut available = remains.saturating_sub(self.granted_bytes);
        if available < need {
            for (_, other) in self.leases.iter_mut().filter(|(number, _)| **number != own) {
                let unspent = other.grant.unspent.swap(0, Ordering::AcqRel);
                other.granted_bytes = other.granted_bytes.saturating_sub(unspent);
                self.granted_bytes = self.granted_bytes.saturating_sub(unspent);
                available = remains.saturating_sub(self.granted_bytes);
                if available >= need {
                    break;
                }
            }
        }
        if available < need {
            return None;
        }
        let others = self.leases.keys().filter(|number| **number != own).count();
        let share = available / (others as u64 + 1);
        Some(share.min(lease_bytes).max(need))
    }

    fn reserve(
        &mut self,
        number: u64,
        limits: Limits,
        want: Want,
        config: &QuotaConfig,
    ) -> Result<Arc<Grant>, Denied> {
        let usage = self.usage().ok_or_else(|| Denied::Unavailable("not known".into()))?;
        let files = self.reserved_files.saturating_add(want.files);
        if limits
            .files
            .is_some_and(|limit| want.files > 0 && usage.files.saturating_add(files) > limit)
        {
            return Err(Denied::Files);
        }
        let granted_bytes = match limits.size {
            // An account at its limit may not even begin an empty file.
            Some(limit) => self
                .grant(number, limit, want.bytes.max(1), config.lease_bytes.max(1))
                .ok_or(Denied::Size)?,
            None => 0,
        };
        let grant = Arc::new(Grant { unspent: AtomicU64::new(granted_bytes) });
        let reserved = Reserved { limits, grant: grant.clone(), granted_bytes, files: want.files };
        self.leases.insert(number, reserved);
        self.granted_bytes = self.granted_bytes.saturating_add(granted_bytes);
        self.reserved_files = files;
        Ok(grant)
    }

    fn renew(&mut self, lease: u64, at_least: u64, lease_bytes: u64) -> Result<(), Denied> {
        let reserved = self.leases.get(&lease).ok_or_else(tracker_gone)?;
        let Some(limit) = reserved.limits.size else { return Ok(()) };
        let grant = reserved.grant.clone();
        let missing = at_least.saturating_sub(grant.unspent.load(Ordering::Acquire));
        if missing == 0 {
            return Ok(());
        }
        let more = self.grant(lease, limit, missing, lease_bytes).ok_or(Denied::Size)?;
        // Deducted before it can be spent, so that a panic in between errs
        // towards denying.
        self.granted_bytes = self.granted_bytes.saturating_add(more);
        if let Some(reserved) = self.leases.get_mut(&lease) {
            reserved.granted_bytes = reserved.granted_bytes.saturating_add(more);
        }
        grant.unspent.fetch_add(more, Ordering::AcqRel);
        Ok(())
    }
}

impl QuotaTracker {
    /// The tracker, and what makes its handle of its address.
    pub(crate) fn new(
        config: QuotaConfig,
        desk: Desk,
        pool: Pool,
        store: Arc<dyn UsageStore>,
    ) -> (Self, impl FnOnce(Mail<Self>) -> Quota) {
        let inbox = Arc::new(Inbox::default());
        let counters = Arc::new(Counters::default());
        let tracker = Self {
            config,
            desk,
            pool,
            store,
            inbox: inbox.clone(),
            counters: counters.clone(),
            accounts: HashMap::new(),
            transferred: HashMap::new(),
            last_number: 0,
        };
        (tracker, move |mail| Quota(Arc::new(Handle { mail, inbox, counters })))
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn account(&mut self, account: &AccountId) -> &mut Account {
        if !self.accounts.contains_key(account) {
            self.accounts.insert(account.clone(), Account::default());
        }
        self.accounts.entry(account.clone()).or_default()
    }

    /// Applies what reached the inbox; before every decision.
    fn empty_inbox(&mut self, ctx: &mut Context<Self>) {
        let Items { adjusted, returned, answers } = std::mem::take(&mut *self.inbox.lock());
        for (account, delta) in adjusted {
            self.account(&account).count(delta);
        }
        for (account, lease, delta) in returned {
            let state = self.account(&account);
            state.count(delta);
            if state.return_lease(lease) {
                self.counters.open_leases.fetch_sub(1, Ordering::Relaxed);
            }
        }
        for answer in answers {
            self.apply(answer, ctx);
        }
    }

    fn apply(&mut self, answer: StoreAnswer, ctx: &mut Context<Self>) {
        match answer {
            StoreAnswer::Loaded(account, result) => {
                let state = self.account(&account);
                state.in_flight = None;
                match result {
                    Ok(usage) => {
                        state.stored = Some((usage, Instant::now()));
                        self.decide_waiting(&account, None, ctx);
                    }
                    Err(why) => {
                        // Old usage is better than none: what this process
                        // granted is known exactly all the same.
                        let failure = state.usage().is_none().then_some(why);
                        self.counters.store_failures.fetch_add(1, Ordering::Relaxed);
                        self.decide_waiting(&account, failure, ctx);
                    }
                }
                self.proceed(&account, ctx);
            }
            StoreAnswer::Added(accounts, result) => {
                self.note_result(&result);
                for account in accounts {
                    let state = self.account(&account);
                    if let Some(InFlight::Add(delta)) = state.in_flight.take() {
                        match (&result, state.replacement) {
                            (Ok(()), _) => {
                                let read = state.stored.take();
                                state.stored = read.map(|(usage, at)| (usage.plus(delta), at));
                            }
                            (Err(_), None) => state.unsaved = state.unsaved.plus(delta),
                            // The replacement was measured with it.
                            (Err(_), Some(_)) => {}
                        }
                        state.saved(&result);
                    }
                    self.proceed(&account, ctx);
                }
            }
            StoreAnswer::WasSet(account, result) => {
                self.note_result(&result);
                let state = self.account(&account);
                if let Some(InFlight::Set(usage)) = state.in_flight.take() {
                    if result.is_ok() {
                        state.stored = Some((usage, Instant::now()));
                    } else if state.replacement.is_none() {
                        state.replacement = Some(usage);
                    }
                    state.saved(&result);
                }
                self.proceed(&account, ctx);
            }
            StoreAnswer::TransferredLoaded(account, result) => {
                self.apply_loaded(&account, result, ctx);
            }
            StoreAnswer::TransferredAdded(accounts, result) => {
                self.apply_added(&accounts, &result, ctx);
            }
        }
    }

    fn note_result(&self, result: &Result<(), String>) {
        if result.is_err() {
            self.counters.store_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What an account needs next, now that it has no store operation in flight.
    fn proceed(&mut self, account: &AccountId, ctx: &mut Context<Self>) {
        let state = self.account(account);
        if !state.savers.is_empty() {
            if state.needs_saving() {
                self.save(Some(account), ctx);
            } else {
                // What they wait for cancelled itself out.
                state.answer_savers();
            }
        }
        if !self.account(account).waiting.is_empty() {
            self.decide_or_load(account, ctx);
        }
    }

    /// Decides asks that need the usage, reading it first if it is not known or
    /// too old.
    fn decide_or_load(&mut self, account: &AccountId, ctx: &mut Context<Self>) {
        let max_age = self.config.usage_max_age;
        let state = self.account(account);
        let is_known = state.usage().is_some();
        if is_known && state.is_fresh(max_age) {
            return self.decide_waiting(account, None, ctx);
        }
        match state.in_flight {
            // Its end comes back here.
            Some(_) => {}
            None => {
                state.in_flight = Some(InFlight::Load);
                let (store, account) = (self.store.clone(), account.clone());
                self.ask_store(ctx, async move {
                    let result = guarded(store.load(&account)).await;
                    StoreAnswer::Loaded(account, result)
                });
            }
        }
    }

    fn decide_waiting(
        &mut self,
        account: &AccountId,
        failure: Option<String>,
        ctx: &mut Context<Self>,
    ) {
        while let Some(ask) = self.account(account).waiting.pop_front() {
            match (ask, &failure) {
                (Waiting::Reserve(limits, want, reply), None) => {
                    reply.send(self.reserve(account, limits, want, ctx));
                }
                (Waiting::Renew(lease, at_least, reply), None) => {
                    let lease_bytes = self.config.lease_bytes.max(1);
                    reply.send(self.account(account).renew(lease, at_least, lease_bytes));
                }
                (Waiting::Usage(reply), None) => {
                    let usage = self.account(account).usage();
                    reply.send(usage.ok_or_else(|| UsageUnavailable("not known".into())));
                }
                (Waiting::Reserve(.., reply), Some(why)) => {
                    reply.send(Err(Denied::Unavailable(why.clone())));
                }
                (Waiting::Renew(.., reply), Some(why)) => {
                    reply.send(Err(Denied::Unavailable(why.clone())));
                }
                (Waiting::Usage(reply), Some(why)) => {
                    reply.send(Err(UsageUnavailable(why.clone())));
                }
            }
        }
    }

    fn reserve(
        &mut self,
        account: &AccountId,
        limits: Limits,
        want: Want,
        ctx: &Context<Self>,
    ) -> Result<Lease, Denied> {
        let number = self.next_number();
        let config = self.config;
        let grant = self.account(account).reserve(number, limits, want, &config)?;
        self.counters.open_leases.fetch_add(1, Ordering::Relaxed);
        Ok(Lease(Some(OpenLease {
            account: account.clone(),
            grant: limits.size.map(|_| grant),
            is_registered: Some((number, self.desk.mail_of(ctx))),
            inbox: self.inbox.clone(),
        })))
    }

    /// Starts writing what can be written: of one account, or of all.
    fn save(&mut self, only: Option<&AccountId>, ctx: &mut Context<Self>) {
        let mut deltas = Vec::new();
        let mut replacements = Vec::new();
        let mut consider = |account: &AccountId, state: &mut Account| {
            if state.in_flight.is_some() || !state.needs_saving() {
                return;
            }
            state.saves += 1;
            state.in_flight = Some(match state.replacement.take() {
                Some(usage) => {
                    replacements.push((account.clone(), usage));
                    InFlight::Set(usage)
                }
                None => {
                    let delta = std::mem::take(&mut state.unsaved);
                    deltas.push((account.clone(), delta));
                    InFlight::Add(delta)
                }
            });
        };
        match only {
            Some(account) => {
                if let Some(state) = self.accounts.get_mut(account) {
                    consider(account, state);
                }
            }
            None => self.accounts.iter_mut().for_each(|(account, state)| consider(account, state)),
        }
        for (account, usage) in replacements {
            let store = self.store.clone();
            self.ask_store(ctx, async move {
                let result = guarded(store.set(&account, usage)).await;
                StoreAnswer::WasSet(account, result)
            });
        }
        if !deltas.is_empty() {
            let store = self.store.clone();
            let accounts = deltas.iter().map(|(account, _)| account.clone()).collect();
            self.ask_store(ctx, async move {
                let result = guarded(store.add(deltas)).await;
                StoreAnswer::Added(accounts, result)
            });
        }
    }

    /// Runs a store operation on the pool; its answer comes through the inbox,
    /// where a panic of this actor does not lose it.
    fn ask_store<F>(&self, ctx: &Context<Self>, operation: F)
    where
        F: Future<Output = StoreAnswer> + Send + 'static,
    {
        let (inbox, mail) = (self.inbox.clone(), self.desk.mail_of(ctx));
        self.pool.spawn(async move {
            let answer = operation.await;
            inbox.lock().answers.push_back(answer);
            mail.tell(StoreAnswered);
        });
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.empty_inbox(ctx);
        self.save(None, ctx);
        self.save_transferred(None, ctx);
        self.resume_transferred(ctx);
        // Asks are decided when they come or when the store answers. Should a
        // panic have come in between, this is where they go on.
        let is_stuck = |state: &Account| state.in_flight.is_none() && state.has_askers();
        let stuck = self.accounts.iter().filter(|(_, state)| is_stuck(state));
        let stuck: Vec<_> = stuck.map(|(account, _)| account.clone()).collect();
        for account in stuck {
            self.proceed(&account, ctx);
        }
        let max_age = self.config.usage_max_age;
        self.accounts.retain(|_, state| !state.is_forgettable(max_age));
        self.transferred.retain(|_, state| !state.is_forgettable(max_age));
        let unsaved = self.accounts.values().filter(|state| state.is_unsaved()).count()
            + self.transferred.values().filter(|state| state.is_unsaved()).count();
        self.counters.unsaved_accounts.store(unsaved, Ordering::Relaxed);
    }
}

/// Runs a store operation; a panic in it is an error like any other.
async fn guarded<T>(operation: impl Future<Output = Result<T, BoxError>>) -> Result<T, String> {
    match AssertUnwindSafe(operation).catch_unwind().await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the usage store panicked".into()),
    }
}

impl Actor for QuotaTracker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.config.flush_interval, |tracker, ctx| {
            let started = std::time::Instant::now();
            tracker.tick(ctx);
            tracker.desk.gauges().note_busy(started.elapsed());
        });
    }
}

impl Supervised for QuotaTracker {
    fn restarting(&mut self, _: &mut Self::Context) {
        // Leases, unsaved deltas, scans and waiting asks are kept; sums are
        // rebuilt and what was read is read again. Store operations in flight
        // go on, and answer through the inbox.
        let mut open_leases = 0;
        for state in self.accounts.values_mut() {
            state.granted_bytes = state.leases.values().map(|lease| lease.granted_bytes).sum();
            state.reserved_files = state.leases.values().map(|lease| lease.files).sum();
            state.stored = None;
            open_leases += state.leases.len();
        }
        self.transferred.values_mut().for_each(transferred::Account::distrust);
        self.counters.open_leases.store(open_leases, Ordering::Relaxed);
    }
}

receives_letters!(QuotaTracker);

impl Answer<Reserve> for QuotaTracker {
    fn answer(
        &mut self,
        Reserve { account, limits, want }: Reserve,
        reply: Reply<Result<Lease, Denied>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        self.account(&account).waiting.push_back(Waiting::Reserve(limits, want, reply));
        self.decide_or_load(&account, ctx);
    }
}

impl Answer<Renew> for QuotaTracker {
    fn answer(
        &mut self,
        Renew { account, lease, at_least }: Renew,
        reply: Reply<Result<(), Denied>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        self.account(&account).waiting.push_back(Waiting::Renew(lease, at_least, reply));
        self.decide_or_load(&account, ctx);
    }
}

impl Answer<GetUsage> for QuotaTracker {
    fn answer(
        &mut self,
        GetUsage { account }: GetUsage,
        reply: Reply<Result<Usage, UsageUnavailable>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        self.account(&account).waiting.push_back(Waiting::Usage(reply));
        self.decide_or_load(&account, ctx);
    }
}

impl Answer<BeginScan> for QuotaTracker {
    fn answer(
        &mut self,
        BeginScan { account }: BeginScan,
        reply: Reply<Result<Scan, ScanRefused>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        let number = self.next_number();
        let mail = self.desk.mail_of(ctx);
        let state = self.account(&account);
        if state.scan.is_some() {
            return reply.send(Err(ScanRefused::AlreadyScanning));
        }
        let progress = Arc::<ScanProgress>::default();
        state.scan = Some(RunningScan {
            number,
            started_unix_ms: unix_ms(SystemTime::now()),
            progress: progress.clone(),
            added: UsageDelta::default(),
            is_disturbed: false,
        });
        reply.send(Ok(Scan { account, scan: number, progress, mail: Some(mail) }));
    }
}

impl Answer<FinishScan> for QuotaTracker {
    fn answer(
        &mut self,
        FinishScan { account, scan, measured }: FinishScan,
        reply: Reply<Option<(ScanOutcome, Stored)>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        let state = self.account(&account);
        let Some(running) = state.scan.take_if(|running| running.number == scan) else {
            return reply.send(None);
        };
        state.replace(measured.plus(running.added));
        let usage = state.usage().unwrap_or(measured);
        let stored = state.next_save();
        self.save(Some(&account), ctx);
        let outcome = ScanOutcome { usage, was_disturbed: running.is_disturbed };
        reply.send(Some((outcome, stored)));
    }
}

impl Answer<CancelScan> for QuotaTracker {
    fn answer(
        &mut self,
        CancelScan { account, scan }: CancelScan,
        reply: Reply<()>,
        _: &mut Context<Self>,
    ) {
        if let Some(state) = self.accounts.get_mut(&account) {
            state.scan.take_if(|running| running.number == scan);
        }
        reply.send(());
    }
}

impl Answer<GetScans> for QuotaTracker {
    fn answer(&mut self, _: GetScans, reply: Reply<Vec<ScanReport>>, _: &mut Context<Self>) {
        let scans = self.accounts.iter().filter_map(|(account, state)| {
            let RunningScan { started_unix_ms, progress, .. } = state.scan.as_ref()?;
            Some(ScanReport {
                account: account.clone(),
                started_unix_ms: *started_unix_ms,
                files: progress.files(),
                bytes: progress.bytes(),
                directories: progress.directories(),
            })
        });
        reply.send(scans.collect());
    }
}

impl Answer<SetUsage> for QuotaTracker {
    fn answer(
        &mut self,
        SetUsage { account, usage, mode }: SetUsage,
        reply: Reply<Result<Stored, SetUsageError>>,
        ctx: &mut Context<Self>,
    ) {
        self.empty_inbox(ctx);
        let state = self.account(&account);
        if state.scan.is_some() {
            return reply.send(Err(SetUsageError::ScanRunning));
        }
        let added = UsageDelta {
            bytes: i64::try_from(usage.size).unwrap_or(i64::MAX),
            files: i64::try_from(usage.files).unwrap_or(i64::MAX),
        };
        match (mode, state.replacement) {
            (SetMode::Reset, _) => state.replace(usage),
            // Folded in, so that one save writes both.
            (SetMode::Add, Some(replacement)) => {
                let unsaved = state.unsaved;
                state.replace(replacement.plus(unsaved).plus(added));
            }
            (SetMode::Add, None) => state.count(added),
        }
        // Adding nothing leaves nothing to save, and nothing to wait for.
        let stored = if state.needs_saving() {
            state.next_save()
        } else {
            let (sender, receiver) = oneshot::channel();
            drop(sender.send(Ok(())));
            receiver
        };
        self.save(Some(&account), ctx);
        reply.send(Ok(stored));
    }
}

impl Answer<Flush> for QuotaTracker {
    fn answer(&mut self, _: Flush, reply: Reply<Vec<Stored>>, ctx: &mut Context<Self>) {
        self.empty_inbox(ctx);
        self.save(None, ctx);
        let mut writes = Vec::new();
        for state in self.accounts.values_mut() {
            // Behind a save that runs, there may be what settled since.
            if state.needs_saving() {
                writes.push(state.next_save());
            }
            if matches!(state.in_flight, Some(InFlight::Add(_) | InFlight::Set(_))) {
                let (sender, receiver) = oneshot::channel();
                state.savers.push((state.saves, sender));
                writes.push(receiver);
            }
        }
        writes.extend(self.flush_transferred(ctx));
        reply.send(writes);
    }
}

impl Answer<Forget> for QuotaTracker {
    fn answer(&mut self, Forget { account }: Forget, reply: Reply<()>, ctx: &mut Context<Self>) {
        self.empty_inbox(ctx);
        if let Some(state) = self.accounts.get_mut(&account) {
            state.stored = None;
            state.replacement = None;
            state.unsaved = UsageDelta::default();
            state.scan = None;
            if let Some(InFlight::Add(_) | InFlight::Set(_)) = state.in_flight {
                // Should it fail, nothing is left to try again.
                state.in_flight = Some(InFlight::Add(UsageDelta::default()));
            }
            state.answer_savers();
        }
        if let Some(state) = self.transferred.get_mut(&account) {
            state.forget();
        }
        reply.send(());
    }
}

impl Answer<StoreAnswered> for QuotaTracker {
    fn answer(&mut self, _: StoreAnswered, reply: Reply<()>, ctx: &mut Context<Self>) {
        self.empty_inbox(ctx);
        reply.send(());
    }
}
