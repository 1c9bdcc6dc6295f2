//! Starts the actors, reports their health, and stops them in order.
//!
//! Stop order: no new connections and transfers; connections that have nothing
//! to do; after the grace time all others; then, when every transfer has ended,
//! the usage is written and the hooks run out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::time::{Instant, sleep, timeout};

use crate::entry::Common;
use crate::hooks::{HookDispatcher, Hooks, HooksConfig, HooksHealth};
use crate::mailbox::{ActorHealth, Answer, Ask, Desk, Gauges, Mail, Reply, receives_letters};
use crate::pool::Pool;
use crate::ports::{HookRunner, UsageStore};
use crate::quota::{Quota, QuotaConfig, QuotaHealth, QuotaTracker};
use crate::registry::{ConnectionRegistry, EndConnections, Registry, RegistryConfig};
use crate::supervise::{Alarm, run_once, supervise};
use crate::throughput::Throughput;

/// Asks that may wait in each mailbox of which there is one.
const MAILBOX_SLOTS: usize = 1024;

/// How often the end of connections is looked at while draining.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// How long `health` waits for the control thread before it reports a stall.
const HEALTH_WAIT: Duration = Duration::from_secs(1);

/// Sent by `Supervisor::health`: is the control thread alive?
struct Ping;

impl Ask for Ping {
    type Reply = ();
}

/// Sent by the server when it is told to stop.
struct Shutdown {
    grace: Duration,
}

impl Ask for Shutdown {
    type Reply = Drained;
}

/// What the actors need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisorConfig {
    pub registry: RegistryConfig,
    pub quota: QuotaConfig,
    pub hooks: HooksConfig,
    /// How long a shutdown waits, after the grace time, for killed connections
    /// to leave, and again for usage and hooks.
    pub close_timeout: Duration,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        Self {
            registry: RegistryConfig::default(),
            quota: QuotaConfig::default(),
            hooks: HooksConfig::default(),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What upper layers implement.
#[derive(Clone)]
pub struct Ports {
    pub usage: Arc<dyn UsageStore>,
    pub hooks: Arc<dyn HookRunner>,
}

/// The handles of all actors.
#[derive(Debug, Clone)]
pub struct Actors {
    pub supervisor: Supervisor,
    pub registry: Registry,
    pub quota: Quota,
    pub hooks: Hooks,
    pub throughput: Throughput,
}

/// Whether a shutdown cut nothing short: no transfer was killed, every
/// connection left in time, and all usage was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained(pub bool);

/// An actor that could not be kept alive; the process should stop and be
/// started clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub actor: &'static str,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the actor {} keeps failing", self.actor)
    }
}

impl std::error::Error for Failure {}

/// The state of the actor core, for health checks and the metrics page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// How long the control thread took to answer; `None` when it did not
    /// within a second.
    pub control_roundtrip: Option<Duration>,
    pub actors: Vec<ActorHealth>,
    pub hooks: HooksHealth,
    pub quota: QuotaHealth,
    /// Transfers begun whose end has not finished.
    pub transfers: usize,
    pub is_draining: bool,
}

/// The supervisor's handle.
#[derive(Debug, Clone)]
pub struct Supervisor(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    mail: Mail<SupervisorActor>,
    alarm: Alarm,
    gauges: Vec<Arc<Gauges>>,
    common: Arc<Common>,
    quota: Quota,
    hooks: Hooks,
}

impl Supervisor {
    /// Starts all actors. Must be called inside the actix system, on its thread;
    /// the runtime of that system becomes the worker pool.
    pub fn start(config: SupervisorConfig, ports: Ports) -> Actors {
        let pool = Pool::current();
        let alarm = Alarm::new();
        let registry_desk = Desk::new("ConnectionRegistry", MAILBOX_SLOTS);
        let quota_desk = Desk::new("QuotaTracker", MAILBOX_SLOTS);
        let hooks_desk = Desk::new("HookDispatcher", MAILBOX_SLOTS);
        let supervisor_desk = Desk::new("Supervisor", MAILBOX_SLOTS);
        let common =
            Common::new(pool.clone(), Gauges::new("Connection", 0), Gauges::new("Transfer", 0));
        let gauges = vec![
            supervisor_desk.gauges().clone(),
            registry_desk.gauges().clone(),
            common.connection_gauges.clone(),
            common.transfer_gauges.clone(),
            quota_desk.gauges().clone(),
            hooks_desk.gauges().clone(),
        ];

        let registry =
            ConnectionRegistry::new(config.registry, registry_desk.clone(), common.clone());
        let registry = Registry::new(supervise(registry, &registry_desk, alarm.clone()));
        let (tracker, quota) =
            QuotaTracker::new(config.quota, quota_desk.clone(), pool.clone(), ports.usage);
        let quota = quota(supervise(tracker, &quota_desk, alarm.clone()));
        let (dispatcher, hooks) =
            HookDispatcher::new(config.hooks, hooks_desk.clone(), pool.clone(), ports.hooks);
        let hooks = hooks(supervise(dispatcher, &hooks_desk, alarm.clone()));

        let throughput = Throughput::start(registry.clone(), &common);
        let drain = Drain {
            registry: registry.clone(),
            quota: quota.clone(),
            hooks: hooks.clone(),
            common: common.clone(),
            close_timeout: config.close_timeout,
        };
        let on_panic = alarm.clone();
        let mail = run_once(SupervisorActor { pool, drain }, &supervisor_desk, move || {
            on_panic.raise("Supervisor");
        });
        let handle =
            Handle { mail, alarm, gauges, common, quota: quota.clone(), hooks: hooks.clone() };
        Actors { supervisor: Supervisor(Arc::new(handle)), registry, quota, hooks, throughput }
    }

    /// How the actors are. Everything but the round trip is read from shared
    /// memory, so a stalled control thread is reported instead of waited for.
    pub async fn health(&self) -> HealthReport {
        let asked = Instant::now();
        let answered = timeout(HEALTH_WAIT, self.0.mail.ask(Ping)).await;
        HealthReport {
            control_roundtrip: matches!(answered, Ok(Ok(()))).then(|| asked.elapsed()),
            actors: self.0.gauges.iter().map(|gauges| gauges.health()).collect(),
            hooks: self.0.hooks.health(),
            quota: self.0.quota.health(),
            transfers: self.0.common.transfers(),
            is_draining: self.0.common.is_draining(),
        }
    }

    /// Resolves when an actor cannot be kept alive: it was restarted five times
    /// within a minute, or it is the supervisor itself and panicked. The server
    /// then shuts down.
    pub async fn failed(&self) -> Failure {
        Failure { actor: self.0.alarm.raised().await }
    }

    /// Refuses what is new, waits up to `grace` for running transfers, kills the
    /// rest, writes usage, lets the hooks run out.
    pub async fn shutdown(&self, grace: Duration) -> Drained {
        self.0.mail.ask(Shutdown { grace }).await.unwrap_or(Drained(false))
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.0.mail.ask(fault).await;
    }
}

/// See the module.
struct SupervisorActor {
    pool: Pool,
    drain: Drain,
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;
}

receives_letters!(SupervisorActor);

impl Answer<Ping> for SupervisorActor {
    fn answer(&mut self, _: Ping, reply: Reply<()>, _: &mut Context<Self>) {
        reply.send(());
    }
}

impl Answer<Shutdown> for SupervisorActor {
    fn answer(
        &mut self,
        Shutdown { grace }: Shutdown,
        reply: Reply<Drained>,
        _: &mut Context<Self>,
    ) {
        let drain = self.drain.clone();
        self.pool.spawn(async move { reply.send(drain.run(grace).await) });
    }
}

/// The stop order, as a task: the supervisor itself stays responsive.
#[derive(Clone)]
struct Drain {
    registry: Registry,
    quota: Quota,
    hooks: Hooks,
    common: Arc<Common>,
    close_timeout: Duration,
}

impl Drain {
    async fn run(self, grace: Duration) -> Drained {
        let left_by_themselves = self.end_connections(false, grace).await;
        let was_cut_short = !left_by_themselves && self.common.transfers() > 0;
        let all_left = left_by_themselves || self.end_connections(true, self.close_timeout).await;
        let deadline = Instant::now() + self.close_timeout;
        let is_written = self.write_usage(deadline).await;
        while !self.hooks.is_idle() && Instant::now() < deadline {
            sleep(DRAIN_POLL).await;
        }
        Drained(all_left && !was_cut_short && is_written && self.hooks.is_idle())
    }

    /// Returns whether no connection and no transfer is left within `patience`.
    async fn end_connections(&self, also_busy: bool, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.registry.mail().ask(EndConnections { also_busy }).await {
                Ok(0) if self.common.transfers() == 0 => return true,
                Ok(_) if Instant::now() < deadline => sleep(DRAIN_POLL).await,
                // A dead registry cannot say who is left.
                Ok(_) | Err(_) => return false,
            }
        }
    }

    async fn write_usage(&self, deadline: Instant) -> bool {
        loop {
            match tokio::time::timeout_at(deadline, self.quota.flush()).await {
                Ok(Ok(())) => return true,
                Ok(Err(_)) if Instant::now() < deadline => sleep(DRAIN_POLL).await,
                Ok(Err(_)) | Err(_) => return false,
            }
        }
    }
}
