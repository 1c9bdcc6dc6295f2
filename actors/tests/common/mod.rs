//! Fake ports and ready-made systems. No sockets, no database.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actors::{
    AbortReason, AccountId, Actors, Admission, BoxError, Connection, Direction, Event, FsAction,
    HookRunner, KillSwitch, Login, Meter, Ports, Protocol, SessionHandle, Supervisor,
    SupervisorConfig, Transfer, TransferEnd, TransferSpec, Transferred, TransferredDelta, Usage,
    UsageDelta, UsageStore, Verdict,
};
use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc};

/// Runs the test on one thread with paused time: every pause is instant, and
/// what may happen happens before time goes on.
pub fn paused<F: Future>(test: F) -> F::Output {
    actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    })
    .block_on(test)
}

/// Runs the test as the server runs: actors on this thread, a pool beside it.
pub fn pooled<F: Future>(test: F) -> F::Output {
    actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .thread_name("pool")
            .enable_all()
            .build()
            .unwrap()
    })
    .block_on(test)
}

/// The actors with fake ports.
pub struct World {
    pub actors: Actors,
    pub store: Arc<FakeStore>,
    pub hooks: Arc<FakeHooks>,
}

impl World {
    pub fn new() -> Self {
        Self::with(SupervisorConfig::default())
    }

    pub fn with(config: SupervisorConfig) -> Self {
        let store = Arc::new(FakeStore::default());
        let hooks = Arc::new(FakeHooks::default());
        let ports = Ports { usage: store.clone(), hooks: hooks.clone() };
        Self { actors: Supervisor::start(config, ports), store, hooks }
    }

    /// A client that logged in without limits and opened one SFTP session.
    pub async fn client(&self, username: &str) -> Client {
        let connection = self.actors.registry.admit(admission("192.0.2.1")).await.unwrap();
        self.actors.registry.logged_in(connection.id(), login(username, 0)).await.unwrap();
        let session = connection.open_session(Protocol::Sftp).await.unwrap();
        Client { connection, session }
    }

    /// Waits until no transfer is left.
    pub async fn transfers_ended(&self) {
        while self.actors.supervisor.health().await.transfers > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    pub async fn restarts(&self, actor: &str) -> u64 {
        let health = self.actors.supervisor.health().await;
        health.actors.iter().find(|health| health.name == actor).unwrap().restarts
    }
}

pub struct Client {
    pub connection: Connection,
    pub session: SessionHandle,
}

impl Client {
    pub async fn upload(&self) -> (Transfer, Meter) {
        let meter = Meter::new();
        let spec = spec(meter.clone());
        let transfer = self.connection.begin_transfer(self.session.id(), spec).await.unwrap();
        (transfer, meter)
    }
}

pub fn spec(meter: Meter) -> TransferSpec {
    TransferSpec { direction: Direction::Upload, virtual_path: "/report.pdf".into(), meter }
}

pub fn admission(host: &str) -> Admission {
    Admission {
        peer: SocketAddr::new(host.parse().unwrap(), 50_000),
        local: "192.0.2.200:22".parse().unwrap(),
        protocol: Protocol::Ssh,
        kill: KillSwitch::new(),
    }
}

pub fn login(username: &str, max_sessions: u32) -> Login {
    Login {
        username: username.into(),
        max_sessions,
        client_version: "SSH-2.0-test".into(),
        end: None,
    }
}

/// Usage in memory; can fail, and can be held.
pub struct FakeStore {
    pub usage: Mutex<HashMap<AccountId, Usage>>,
    pub transferred: Mutex<HashMap<AccountId, Transferred>>,
    pub is_failing: AtomicBool,
    pub loads: AtomicUsize,
    /// How many accounts each `add` carried.
    pub adds: Mutex<Vec<usize>>,
    pub sets: AtomicUsize,
    /// An operation takes one permit for its time; take it away to hold them.
    pub gate: Semaphore,
}

impl Default for FakeStore {
    fn default() -> Self {
        Self {
            usage: Mutex::default(),
            transferred: Mutex::default(),
            is_failing: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
            adds: Mutex::default(),
            sets: AtomicUsize::new(0),
            gate: Semaphore::new(1_000),
        }
    }
}

impl FakeStore {
    pub fn put(&self, account: &AccountId, size: u64, files: u64) {
        let usage = Usage { size, files, updated_unix_ms: 1 };
        self.usage.lock().unwrap().insert(account.clone(), usage);
    }

    /// Size and files.
    pub fn get(&self, account: &AccountId) -> (u64, u64) {
        let usage = self.usage.lock().unwrap().get(account).copied().unwrap_or_default();
        (usage.size, usage.files)
    }

    pub fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::SeqCst);
    }

    async fn pass(&self) -> Result<(), BoxError> {
        let _permit = self.gate.acquire().await?;
        if self.is_failing.load(Ordering::SeqCst) {
            return Err("the store is down".into());
        }
        Ok(())
    }
}

#[async_trait]
impl UsageStore for FakeStore {
    async fn load(&self, account: &AccountId) -> Result<Usage, BoxError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        Ok(self.usage.lock().unwrap().get(account).copied().unwrap_or_default())
    }

    async fn add(&self, deltas: Vec<(AccountId, UsageDelta)>) -> Result<(), BoxError> {
        self.adds.lock().unwrap().push(deltas.len());
        self.pass().await?;
        let mut usage = self.usage.lock().unwrap();
        for (account, delta) in deltas {
            let entry = usage.entry(account).or_default();
            *entry = entry.plus(delta);
        }
        Ok(())
    }

    async fn set(&self, account: &AccountId, usage: Usage) -> Result<(), BoxError> {
        self.sets.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        self.usage.lock().unwrap().insert(account.clone(), usage);
        Ok(())
    }

    async fn load_transferred(&self, account: &AccountId) -> Result<Transferred, BoxError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.pass().await?;
        Ok(self.transferred.lock().unwrap().get(account).copied().unwrap_or_default())
    }

    async fn add_transferred(
        &self,
        deltas: Vec<(AccountId, TransferredDelta)>,
    ) -> Result<(), BoxError> {
        self.adds.lock().unwrap().push(deltas.len());
        self.pass().await?;
        let mut transferred = self.transferred.lock().unwrap();
        for (account, delta) in deltas {
            let entry = transferred.entry(account).or_default();
            *entry = entry.plus(delta);
        }
        Ok(())
    }
}

/// Hooks that note what they are told. The answer follows the user name:
/// `denied`, `failing` and `panicking` do what they say. The target is the role.
pub struct FakeHooks {
    pub ran: Mutex<Vec<Event>>,
    pub running: AtomicUsize,
    pub most_running: AtomicUsize,
    /// A running hook takes one permit for its time.
    pub gate: Semaphore,
}

impl Default for FakeHooks {
    fn default() -> Self {
        Self {
            ran: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            gate: Semaphore::new(1_000),
        }
    }
}

impl FakeHooks {
    pub fn users(&self) -> Vec<String> {
        self.ran.lock().unwrap().iter().map(|Event::Fs(event)| event.username.to_string()).collect()
    }

    async fn run(&self, event: &Event) -> Result<Verdict, BoxError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        let permit = self.gate.acquire().await?;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.ran.lock().unwrap().push(event.clone());
        drop(permit);
        let Event::Fs(event) = event;
        match &*event.username {
            "denied" => Ok(Verdict::Deny),
            "failing" => Err("exit status 1".into()),
            "panicking" => panic!("told to"),
            _ => Ok(Verdict::Allow),
        }
    }
}

#[async_trait]
impl HookRunner for FakeHooks {
    fn wants(&self, action: FsAction) -> bool {
        action != FsAction::Mkdir
    }

    fn target(&self, event: &Event) -> Arc<str> {
        let Event::Fs(event) = event;
        event.role.clone().unwrap_or_default().into()
    }

    async fn notify(&self, event: &Event) -> Result<(), BoxError> {
        self.run(event).await.map(drop)
    }

    async fn decide(&self, event: &Event) -> Result<Verdict, BoxError> {
        self.run(event).await
    }
}

/// How a [`FakeEnd`] was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    Commit { thread: Option<String> },
    Abort(AbortReason),
}

/// A transfer end that reports how it was run.
pub struct FakeEnd {
    ran: mpsc::UnboundedSender<Ran>,
    pub gate: Arc<Semaphore>,
    pub result: Result<(), &'static str>,
    pub panics: bool,
}

impl FakeEnd {
    pub fn new() -> (Box<Self>, mpsc::UnboundedReceiver<Ran>) {
        let (ran, receiver) = mpsc::unbounded_channel();
        let end = Self { ran, gate: Arc::new(Semaphore::new(1)), result: Ok(()), panics: false };
        (Box::new(end), receiver)
    }

    /// Its commit waits for a permit of the gate.
    pub fn held() -> (Box<Self>, mpsc::UnboundedReceiver<Ran>, Arc<Semaphore>) {
        let (mut end, receiver) = Self::new();
        end.gate = Arc::new(Semaphore::new(0));
        let gate = end.gate.clone();
        (end, receiver, gate)
    }
}

#[async_trait]
impl TransferEnd for FakeEnd {
    async fn commit(self: Box<Self>) -> Result<(), BoxError> {
        let thread = std::thread::current().name().map(str::to_owned);
        self.ran.send(Ran::Commit { thread }).unwrap();
        assert!(!self.panics, "told to");
        self.gate.acquire().await?.forget();
        Ok(self.result?)
    }

    async fn abort(self: Box<Self>, reason: AbortReason) {
        self.ran.send(Ran::Abort(reason)).unwrap();
    }
}

/// Everything an end reported; waits until the end is gone.
pub async fn all(mut ran: mpsc::UnboundedReceiver<Ran>) -> Vec<Ran> {
    let mut runs = Vec::new();
    while let Some(run) = ran.recv().await {
        runs.push(run);
    }
    runs
}

pub fn is_commit(runs: &[Ran]) -> bool {
    matches!(runs, [Ran::Commit { .. }])
}
