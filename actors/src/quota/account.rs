//! The books of one account: what it stores, what is granted, and who waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::QuotaConfig;
use super::lease::{Grant, Lease};
use super::messages::Stored;
use super::scan::RunningScan;
use super::terms::{Denied, Limits, UsageUnavailable, Want};
use crate::mailbox::Reply;
use crate::meter::unix_ms;
use crate::ports::{Usage, UsageDelta};

/// What is known about one account.
#[derive(Default)]
pub(super) struct Account {
    /// As read, or as our own writes made it; `None` until needed.
    pub(super) stored: Option<(Usage, Instant)>,
    pub(super) in_flight: Option<InFlight>,
    /// Set by a scan or an administrator and not being written yet; it replaces
    /// all that was settled before.
    pub(super) replacement: Option<Usage>,
    /// Settled and not being written.
    pub(super) unsaved: UsageDelta,
    pub(super) changed_unix_ms: u64,
    pub(super) leases: HashMap<u64, Reserved>,
    /// Sums over `leases`.
    pub(super) granted_bytes: u64,
    pub(super) reserved_files: u64,
    /// Asks that need the usage, in the order they came.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) scan: Option<RunningScan>,
    /// Saves that were started, and who waits for which one to end.
    pub(super) saves: u64,
    pub(super) savers: Vec<(u64, oneshot::Sender<Result<(), String>>)>,
}

/// The store operation of an account; there is never more than one.
pub(super) enum InFlight {
    Load,
    Add(UsageDelta),
    Set(Usage),
}

pub(super) struct Reserved {
    pub(super) limits: Limits,
    pub(super) grant: Arc<Grant>,
    /// All that was granted and not clawed back, spent or not.
    pub(super) granted_bytes: u64,
    pub(super) files: u64,
}

pub(super) enum Waiting {
    Reserve(Limits, Want, Reply<Result<Lease, Denied>>),
    Renew(u64, u64, Reply<Result<(), Denied>>),
    Usage(Reply<Result<Usage, UsageUnavailable>>),
}

impl Account {
    /// What counts now, without open leases; `None` while it is not known.
    pub(super) fn usage(&self) -> Option<Usage> {
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

    pub(super) fn is_fresh(&self, max_age: Duration) -> bool {
        self.replacement.is_some()
            || matches!(self.in_flight, Some(InFlight::Set(_)))
            || self.stored.is_some_and(|(_, read)| read.elapsed() <= max_age)
    }

    pub(super) fn count(&mut self, delta: UsageDelta) {
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
    pub(super) fn replace(&mut self, mut usage: Usage) {
        usage.updated_unix_ms = unix_ms(SystemTime::now());
        self.changed_unix_ms = usage.updated_unix_ms;
        self.replacement = Some(usage);
        self.unsaved = UsageDelta::default();
    }

    pub(super) fn needs_saving(&self) -> bool {
        self.replacement.is_some() || !self.unsaved.is_zero()
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.needs_saving() || matches!(self.in_flight, Some(InFlight::Add(_) | InFlight::Set(_)))
    }

    pub(super) fn is_forgettable(&self, max_age: Duration) -> bool {
        self.in_flight.is_none()
            && !self.needs_saving()
            && self.leases.is_empty()
            && self.scan.is_none()
            && !self.has_askers()
            && !self.is_fresh(max_age)
    }

    pub(super) fn has_askers(&self) -> bool {
        !self.waiting.is_empty() || !self.savers.is_empty()
    }

    /// A receiver for the end of the next save that starts.
    pub(super) fn next_save(&mut self) -> Stored {
        let (sender, receiver) = oneshot::channel();
        self.savers.push((self.saves + 1, sender));
        receiver
    }

    /// The running save has ended: answers whoever waits for it.
    pub(super) fn saved(&mut self, result: &Result<(), String>) {
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
    pub(super) fn answer_savers(&mut self) {
        for (_, sender) in std::mem::take(&mut self.savers) {
            drop(sender.send(Ok(())));
        }
    }

    pub(super) fn return_lease(&mut self, lease: u64) -> bool {
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

    pub(super) fn reserve(
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

    pub(super) fn renew(
        &mut self,
        lease: u64,
        at_least: u64,
        lease_bytes: u64,
    ) -> Result<(), Denied> {
        let reserved = self.leases.get(&lease).ok_or_else(Denied::tracker_gone)?;
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
