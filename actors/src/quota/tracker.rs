//! The actor: the books of all accounts, and when they are read and written.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use actix::{Actor, AsyncContext, Context, Supervised};
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::account::{Account, InFlight, Waiting};
use super::inbox::{Inbox, Items, StoreAnswer};
use super::lease::{Lease, OpenLease};
use super::messages::{
    BeginScan, CancelScan, FinishScan, Flush, Forget, GetScans, GetUsage, Renew, Reserve, SetUsage,
    StoreAnswered, Stored,
};
use super::progress::ScanProgress;
use super::scan::{RunningScan, Scan};
use super::terms::{
    Denied, Limits, ScanOutcome, ScanRefused, ScanReport, SetMode, SetUsageError, UsageUnavailable,
    Want,
};
use super::{Counters, Handle, Quota, QuotaConfig, transferred};
use crate::ids::AccountId;
use crate::mailbox::{Answer, Desk, Mail, Reply, receives_letters};
use crate::meter::unix_ms;
use crate::pool::Pool;
use crate::ports::{BoxError, Usage, UsageDelta, UsageStore};

/// See the module.
pub(crate) struct QuotaTracker {
    pub(super) config: QuotaConfig,
    pub(super) desk: Desk,
    pub(super) pool: Pool,
    pub(super) store: Arc<dyn UsageStore>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) accounts: HashMap<AccountId, Account>,
    pub(super) transferred: HashMap<AccountId, transferred::Account>,
    /// Numbers leases and scans.
    pub(super) last_number: u64,
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

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn account(&mut self, account: &AccountId) -> &mut Account {
        if !self.accounts.contains_key(account) {
            self.accounts.insert(account.clone(), Account::default());
        }
        self.accounts.entry(account.clone()).or_default()
    }

    /// Applies what reached the inbox; before every decision.
    pub(super) fn empty_inbox(&mut self, ctx: &mut Context<Self>) {
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

    pub(super) fn apply(&mut self, answer: StoreAnswer, ctx: &mut Context<Self>) {
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

    pub(super) fn note_result(&self, result: &Result<(), String>) {
        if result.is_err() {
            self.counters.store_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What an account needs next, now that it has no store operation in flight.
    pub(super) fn proceed(&mut self, account: &AccountId, ctx: &mut Context<Self>) {
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
    pub(super) fn decide_or_load(&mut self, account: &AccountId, ctx: &mut Context<Self>) {
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

    pub(super) fn decide_waiting(
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

    pub(super) fn reserve(
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
    pub(super) fn save(&mut self, only: Option<&AccountId>, ctx: &mut Context<Self>) {
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
    pub(super) fn ask_store<F>(&self, ctx: &Context<Self>, operation: F)
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

    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
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
pub(super) async fn guarded<T>(
    operation: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, String> {
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
