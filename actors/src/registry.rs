//! Who is connected: admits connections within the limits, counts sessions,
//! lists and kills them, ends idle ones and those whose account's time is over.
//!
//! The entries are shared memory, so listing reads atomics and asks nobody, and
//! after a panic every count is rebuilt from them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::{Actor, AsyncContext, Context, Supervised};

use crate::connection::{self, Connection, SessionHandle};
use crate::entry::{Common, Entry};
use crate::ids::{ConnectionId, ConnectionIds, Direction, Protocol};
use crate::mailbox::{Answer, Ask, Desk, Mail, Reply, receives_letters};
use crate::meter::{KillReason, KillSwitch, unix_ms};

/// How often idle connections, and those whose time is over, are looked for, at most;
/// see [`idle_check_period`].
const IDLE_CHECK_MAX: Duration = Duration::from_secs(30);
const IDLE_CHECK_MIN: Duration = Duration::from_secs(1);

/// Open sessions of one connection, whatever the account allows.
const MAX_SESSIONS_PER_CONNECTION: usize = 1024;

/// During shutdown, how long a connection stays after its last transfer: long
/// enough for the reply to leave.
const LINGER: Duration = Duration::from_millis(250);

/// Sent by the accept loops.
struct Admit(Admission);

impl Ask for Admit {
    type Reply = Result<Connection, Refused>;
}

/// Sent by the protocols after a successful authentication.
struct LoggedIn {
    connection: ConnectionId,
    login: Login,
}

impl Ask for LoggedIn {
    type Reply = Result<(), Refused>;
}

/// Sent by `Connection::open_session`.
pub(crate) struct OpenSession {
    pub(crate) connection: ConnectionId,
    pub(crate) protocol: Protocol,
}

impl Ask for OpenSession {
    type Reply = Result<SessionHandle, Refused>;
}

/// Sent by the admin pages and the REST API. The entries are returned as they
/// are; the asker reads them on its own thread.
struct List;

impl Ask for List {
    type Reply = Vec<Arc<Entry>>;
}

/// Sent by the admin pages and the REST API.
struct Kill {
    id: Box<str>,
    reason: KillReason,
}

impl Ask for Kill {
    type Reply = KillOutcome;
}

/// Sent when an account was changed or deleted.
struct KillUser {
    username: Box<str>,
    reason: KillReason,
}

impl Ask for KillUser {
    type Reply = usize;
}

/// Sent when an account was changed and may stay.
struct SetEnd {
    username: Box<str>,
    end: Option<SessionEnd>,
}

impl Ask for SetEnd {
    type Reply = ();
}

/// Sent by the metrics page.
struct Count;

impl Ask for Count {
    type Reply = usize;
}

/// Sent by whoever shows an account.
struct UserSessions {
    username: Box<str>,
}

impl Ask for UserSessions {
    type Reply = usize;
}

/// Sent when the configuration is reloaded.
struct Reconfigure(RegistryConfig);

impl Ask for Reconfigure {
    type Reply = ();
}

/// Sent by a `Connection` when it ends.
pub(crate) struct ConnectionGone {
    pub(crate) connection: ConnectionId,
}

impl Ask for ConnectionGone {
    type Reply = ();
}

/// Sent by the Supervisor during shutdown: end the connections that have
/// nothing left to do, or all of them. Replies how many remain.
pub(crate) struct EndConnections {
    pub(crate) also_busy: bool,
}

impl Ask for EndConnections {
    type Reply = usize;
}

/// Limits; 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryConfig {
    /// Connections of the whole server.
    pub max_total_connections: u32,
    /// Connections from one address.
    pub max_per_host_connections: u32,
    /// Seconds without a request and without a transferred byte.
    pub idle_timeout_secs: u64,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { max_total_connections: 0, max_per_host_connections: 20, idle_timeout_secs: 15 * 60 }
    }
}

/// A connection that asks to be let in.
#[derive(Debug, Clone)]
pub struct Admission {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub protocol: Protocol,
    /// Ends the connection; the connection's tasks select on it.
    pub kill: KillSwitch,
}

/// What is known after authentication.
#[derive(Debug, Clone)]
pub struct Login {
    pub username: Arc<str>,
    /// Sessions that the account may have at once; 0 for no limit.
    pub max_sessions: u32,
    /// What the client calls itself.
    pub client_version: String,
    /// When the account's sessions end by themselves.
    pub end: Option<SessionEnd>,
}

/// A moment from which on an account may not be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    pub reason: KillReason,
}

/// Why something was not allowed to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The server has as many connections as it may.
    TotalLimit,
    /// The address has as many connections as it may.
    HostLimit,
    /// The account has as many sessions as it may.
    SessionLimit,
    /// The server is shutting down.
    Draining,
    /// The connection is closed or killed, or the actor is dead.
    Gone,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TotalLimit => "too many connections",
            Self::HostLimit => "too many connections from this address",
            Self::SessionLimit => "too many open sessions",
            Self::Draining => "the server is shutting down",
            Self::Gone => "the connection is closed",
        })
    }
}

impl std::error::Error for Refused {}

/// What became of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillOutcome {
    /// Its switch is fired; nobody was waited for.
    Killed,
    NotFound,
}

/// One session, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionReport {
    pub username: Arc<str>,
    /// `<PROTO>_<connection>_<n>`; without the number for a logged-in
    /// connection that has no session open.
    pub session_id: Arc<str>,
    pub client_version: String,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub protocol: Protocol,
    /// What the session executes; empty if nothing special.
    pub command: String,
    /// Milliseconds since the Unix epoch.
    pub connected_unix_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub last_activity_unix_ms: u64,
    pub transfers: Vec<TransferReport>,
}

/// One open upload or download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferReport {
    pub direction: Direction,
    pub virtual_path: String,
    /// Milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub last_activity_unix_ms: u64,
    /// Bytes moved so far.
    pub bytes: u64,
    /// How large the whole is, if that is known; what is resumed moves less.
    pub expected_bytes: Option<u64>,
    /// Which one of its connection it is, from 1.
    pub number: u64,
    /// Bytes per second, mean of the last ten seconds.
    pub rate: u64,
    /// Bytes per second in each of the last seconds, oldest first; at most
    /// [`RECENT_POINTS`](crate::throughput::RECENT_POINTS).
    pub recent_rates: Vec<u64>,
}

impl TransferReport {
    /// Seconds until the whole has moved at the current rate; `None` if nothing moves or
    /// nobody knows how large it is.
    pub fn secs_left(&self) -> Option<u64> {
        self.expected_bytes?.checked_sub(self.bytes)?.checked_div(self.rate)
    }
}

/// The registry's handle. When the registry is dead, refusals say
/// [`Refused::Gone`], and reports are empty.
#[derive(Debug, Clone)]
pub struct Registry(Mail<ConnectionRegistry>);

impl Registry {
    pub(crate) fn new(mail: Mail<ConnectionRegistry>) -> Self {
        Self(mail)
    }

    pub(crate) fn mail(&self) -> &Mail<ConnectionRegistry> {
        &self.0
    }

    /// Lets a connection in, within the limits.
    pub async fn admit(&self, admission: Admission) -> Result<Connection, Refused> {
        self.0.ask(Admit(admission)).await.unwrap_or(Err(Refused::Gone))
    }

    /// Notes who the client is, if the account may have one more session.
    pub async fn logged_in(&self, id: &ConnectionId, login: Login) -> Result<(), Refused> {
        let ask = LoggedIn { connection: id.clone(), login };
        self.0.ask(ask).await.unwrap_or(Err(Refused::Gone))
    }

    /// All sessions of logged-in clients, oldest connection first.
    pub async fn list(&self) -> Vec<SessionReport> {
        let entries = self.entries().await;
        let mut reports: Vec<_> = entries.iter().flat_map(|entry| entry.reports()).collect();
        reports.sort_by(|a, b| {
            (a.connected_unix_ms, &a.session_id).cmp(&(b.connected_unix_ms, &b.session_id))
        });
        reports
    }

    pub(crate) async fn entries(&self) -> Vec<Arc<Entry>> {
        self.0.ask(List).await.unwrap_or_default()
    }

    /// Kills the connection that `id` names: a session id, a connection id, or
    /// the id that the list shows for a connection without sessions.
    pub async fn kill(&self, id: &str, reason: KillReason) -> KillOutcome {
        self.0.ask(Kill { id: id.into(), reason }).await.unwrap_or(KillOutcome::NotFound)
    }

    /// Kills all connections of an account; returns how many.
    pub async fn kill_user(&self, username: &str, reason: KillReason) -> usize {
        self.0.ask(KillUser { username: username.into(), reason }).await.unwrap_or(0)
    }

    /// Sets when the account's connections end, as they stay for now.
    pub async fn set_end(&self, username: &str, end: Option<SessionEnd>) {
        let _ = self.0.ask(SetEnd { username: username.into(), end }).await;
    }

    /// Open connections, logged in or not.
    pub async fn count(&self) -> usize {
        self.0.ask(Count).await.unwrap_or(0)
    }

    /// What the account counts against its `max_sessions`.
    pub async fn user_sessions(&self, username: &str) -> usize {
        self.0.ask(UserSessions { username: username.into() }).await.unwrap_or(0)
    }

    /// Changes the limits. Connections that exceed lower ones stay.
    pub async fn reconfigure(&self, config: RegistryConfig) {
        let _ = self.0.ask(Reconfigure(config)).await;
    }

    /// Makes something bad happen in the actor.
    #[cfg(feature = "fault-injection")]
    pub async fn inject(&self, fault: crate::mailbox::Fault) {
        let _ = self.0.ask(fault).await;
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConnectionRegistry {
    config: RegistryConfig,
    desk: Desk,
    common: Arc<Common>,
    ids: ConnectionIds,
    entries: HashMap<ConnectionId, Arc<Entry>>,
    per_host: HashMap<IpAddr, u32>,
    per_user: HashMap<Arc<str>, HashSet<ConnectionId>>,
}

impl ConnectionRegistry {
    pub(crate) fn new(config: RegistryConfig, desk: Desk, common: Arc<Common>) -> Self {
        Self {
            config,
            desk,
            common,
            ids: ConnectionIds::default(),
            entries: HashMap::new(),
            per_host: HashMap::new(),
            per_user: HashMap::new(),
        }
    }

    fn check_limits(&self, host: IpAddr) -> Result<(), Refused> {
        let RegistryConfig { max_total_connections, max_per_host_connections, .. } = self.config;
        let from_host = self.per_host.get(&host).copied().unwrap_or(0);
        if self.common.is_draining() {
            Err(Refused::Draining)
        } else if is_reached(self.entries.len(), max_total_connections) {
            Err(Refused::TotalLimit)
        } else if is_reached(from_host as usize, max_per_host_connections) {
            Err(Refused::HostLimit)
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, entry: Arc<Entry>) {
        *self.per_host.entry(entry.host()).or_default() += 1;
        if let Some(username) = entry.username() {
            self.per_user.entry(username).or_default().insert(entry.id.clone());
        }
        self.entries.insert(entry.id.clone(), entry);
    }

    fn remove(&mut self, id: &ConnectionId) {
        let Some(entry) = self.entries.remove(id) else { return };
        if let Some(count) = self.per_host.get_mut(&entry.host()) {
            *count -= 1;
            if *count == 0 {
                self.per_host.remove(&entry.host());
            }
        }
        if let Some(username) = entry.username() {
            self.forget_user_of(id, &username);
        }
    }

    fn forget_user_of(&mut self, id: &ConnectionId, username: &Arc<str>) {
        if let Some(connections) = self.per_user.get_mut(username) {
            connections.remove(id);
            if connections.is_empty() {
                self.per_user.remove(username);
            }
        }
    }

    fn of_user(&self, username: &str) -> impl Iterator<Item = &Arc<Entry>> {
        let ids = self.per_user.get(username).into_iter().flatten();
        ids.filter_map(|id| self.entries.get(id)).filter(|entry| !entry.is_closed())
    }

    /// Sessions of the account on all connections but this one.
    fn sessions_elsewhere(&self, username: &str, except: &ConnectionId) -> usize {
        let others = self.of_user(username).filter(|entry| entry.id != *except);
        others.map(|entry| entry.counted_sessions()).sum()
    }

    fn log_in(&mut self, id: &ConnectionId, login: Login) -> Result<(), Refused> {
        let entry = self.entries.get(id).ok_or(Refused::Gone)?.clone();
        if let Some(refused) = entry.refusal() {
            return Err(refused);
        }
        let elsewhere = self.sessions_elsewhere(&login.username, id);
        if is_exceeded(elsewhere + entry.counted_sessions(), login.max_sessions) {
            return Err(Refused::SessionLimit);
        }
        if let Some(previous) = entry.username() {
            self.forget_user_of(id, &previous);
        }
        self.per_user.entry(login.username.clone()).or_default().insert(id.clone());
        entry.log_in(login);
        Ok(())
    }

    fn open_session(
        &self,
        id: &ConnectionId,
        protocol: Protocol,
    ) -> Result<SessionHandle, Refused> {
        let entry = self.entries.get(id).ok_or(Refused::Gone)?;
        if let Some(refused) = entry.refusal() {
            return Err(refused);
        }
        let here = entry.open_sessions();
        if here >= MAX_SESSIONS_PER_CONNECTION {
            return Err(Refused::SessionLimit);
        }
        let max_sessions = entry.max_sessions();
        if max_sessions > 0 {
            let elsewhere =
                entry.username().map_or(0, |username| self.sessions_elsewhere(&username, id));
            // The first session takes the place that the login was counted for;
            // it is checked all the same, as the limit may have been lowered.
            if is_exceeded(elsewhere + here + 1, max_sessions) {
                return Err(Refused::SessionLimit);
            }
        }
        Ok(entry.open_session(protocol))
    }

    fn find(&self, id: &str) -> Option<&Arc<Entry>> {
        let entry = match id.splitn(4, '_').collect::<Vec<_>>()[..] {
            [connection] => self.entries.get(connection)?,
            [protocol, connection] => {
                self.entries.get(connection).filter(|entry| entry.protocol.as_str() == protocol)?
            }
            [_, connection, _] => {
                self.entries.get(connection).filter(|entry| entry.has_session(id))?
            }
            _ => return None,
        };
        (!entry.is_closed()).then_some(entry)
    }

    /// The clock is that of the wall: dates are meant, also when it is set.
    fn end_over(&self) {
        let now = unix_ms(SystemTime::now());
        for entry in self.entries.values() {
            if let Some(reason) = entry.is_over(now) {
                entry.kill.fire(reason);
            }
        }
    }

    fn end_idle(&self) {
        let timeout = Duration::from_secs(self.config.idle_timeout_secs);
        if timeout.is_zero() {
            return;
        }
        for entry in self.entries.values().filter(|entry| entry.idle() >= timeout) {
            entry.kill.fire(KillReason::IdleTimeout);
        }
    }

    /// One timer that sets the next, as the period follows the configuration.
    fn schedule_idle_check(&self, ctx: &mut Context<Self>) {
        ctx.run_later(idle_check_period(self.config.idle_timeout_secs), |registry, ctx| {
            let started = Instant::now();
            registry.end_idle();
            registry.end_over();
            registry.desk.gauges().note_busy(started.elapsed());
            registry.schedule_idle_check(ctx);
        });
    }
}

/// A quarter of the timeout, so that it is never overrun by much.
fn idle_check_period(idle_timeout_secs: u64) -> Duration {
    if idle_timeout_secs == 0 {
        return IDLE_CHECK_MAX;
    }
    (Duration::from_secs(idle_timeout_secs) / 4).clamp(IDLE_CHECK_MIN, IDLE_CHECK_MAX)
}

/// Whether one more would be too many; 0 is no limit.
fn is_reached(count: usize, limit: u32) -> bool {
    is_exceeded(count.saturating_add(1), limit)
}

fn is_exceeded(count: usize, limit: u32) -> bool {
    limit > 0 && count > limit as usize
}

impl Actor for ConnectionRegistry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.schedule_idle_check(ctx);
    }
}

impl Supervised for ConnectionRegistry {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.per_host.clear();
        self.per_user.clear();
        for entry in std::mem::take(&mut self.entries).into_values() {
            // A connection whose `ConnectionGone` was lost to the panic.
            if !entry.is_closed() {
                self.insert(entry);
            }
        }
    }
}

receives_letters!(ConnectionRegistry);

impl Answer<Admit> for ConnectionRegistry {
    fn answer(
        &mut self,
        Admit(admission): Admit,
        reply: Reply<Result<Connection, Refused>>,
        ctx: &mut Context<Self>,
    ) {
        if let Err(refused) = self.check_limits(admission.peer.ip().to_canonical()) {
            return reply.send(Err(refused));
        }
        let mut id = self.ids.next();
        while self.entries.contains_key(&id) {
            id = self.ids.next();
        }
        let entry = Arc::new(Entry::new(id, admission, self.common.clone()));
        self.insert(entry.clone());
        reply.send(Ok(connection::start(entry, self.desk.mail_of(ctx))));
    }
}

impl Answer<LoggedIn> for ConnectionRegistry {
    fn answer(
        &mut self,
        LoggedIn { connection, login }: LoggedIn,
        reply: Reply<Result<(), Refused>>,
        _: &mut Context<Self>,
    ) {
        reply.send(self.log_in(&connection, login));
    }
}

impl Answer<OpenSession> for ConnectionRegistry {
    fn answer(
        &mut self,
        OpenSession { connection, protocol }: OpenSession,
        reply: Reply<Result<SessionHandle, Refused>>,
        _: &mut Context<Self>,
    ) {
        reply.send(self.open_session(&connection, protocol));
    }
}

impl Answer<List> for ConnectionRegistry {
    fn answer(&mut self, _: List, reply: Reply<Vec<Arc<Entry>>>, _: &mut Context<Self>) {
        reply.send(self.entries.values().filter(|entry| !entry.is_closed()).cloned().collect());
    }
}

impl Answer<Kill> for ConnectionRegistry {
    fn answer(
        &mut self,
        Kill { id, reason }: Kill,
        reply: Reply<KillOutcome>,
        _: &mut Context<Self>,
    ) {
        reply.send(match self.find(&id) {
            Some(entry) => {
                entry.kill.fire(reason);
                KillOutcome::Killed
            }
            None => KillOutcome::NotFound,
        });
    }
}

impl Answer<KillUser> for ConnectionRegistry {
    fn answer(
        &mut self,
        KillUser { username, reason }: KillUser,
        reply: Reply<usize>,
        _: &mut Context<Self>,
    ) {
        let mut killed = 0;
        for entry in self.of_user(&username) {
            entry.kill.fire(reason.clone());
            killed += 1;
        }
        reply.send(killed);
    }
}

impl Answer<SetEnd> for ConnectionRegistry {
    fn answer(
        &mut self,
        SetEnd { username, end }: SetEnd,
        reply: Reply<()>,
        _: &mut Context<Self>,
    ) {
        self.of_user(&username).for_each(|entry| entry.set_end(end.clone()));
        reply.send(());
    }
}

impl Answer<Count> for ConnectionRegistry {
    fn answer(&mut self, _: Count, reply: Reply<usize>, _: &mut Context<Self>) {
        reply.send(self.entries.len());
    }
}

impl Answer<UserSessions> for ConnectionRegistry {
    fn answer(
        &mut self,
        UserSessions { username }: UserSessions,
        reply: Reply<usize>,
        _: &mut Context<Self>,
    ) {
        reply.send(self.of_user(&username).map(|entry| entry.counted_sessions()).sum());
    }
}

impl Answer<Reconfigure> for ConnectionRegistry {
    fn answer(
        &mut self,
        Reconfigure(config): Reconfigure,
        reply: Reply<()>,
        _: &mut Context<Self>,
    ) {
        self.config = config;
        reply.send(());
    }
}

impl Answer<ConnectionGone> for ConnectionRegistry {
    fn answer(
        &mut self,
        ConnectionGone { connection }: ConnectionGone,
        reply: Reply<()>,
        _: &mut Context<Self>,
    ) {
        self.remove(&connection);
        reply.send(());
    }
}

impl Answer<EndConnections> for ConnectionRegistry {
    fn answer(
        &mut self,
        EndConnections { also_busy }: EndConnections,
        reply: Reply<usize>,
        _: &mut Context<Self>,
    ) {
        self.common.start_draining();
        for entry in self.entries.values() {
            if also_busy || entry.is_without_transfers_for(LINGER) {
                entry.kill.fire(KillReason::Shutdown);
            }
        }
        reply.send(self.entries.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_are_looked_for_often_enough() {
        for (timeout_secs, period_secs) in [(0, 30), (1, 1), (20, 5), (60, 15), (900, 30)] {
            assert_eq!(idle_check_period(timeout_secs), Duration::from_secs(period_secs));
        }
    }

    #[test]
    fn limit_of_zero_is_never_reached() {
        assert!(!is_reached(1_000_000, 0));
        assert!(!is_reached(1, 2));
        assert!(is_reached(2, 2));
    }
}
