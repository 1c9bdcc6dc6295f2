//! What the registry, the connection, its sessions and its transfers share: one
//! entry per connection, read by `List` without asking anybody.
//!
//! The entry is the truth and counts are derived from it, so a restarted
//! registry can rebuild them. Whatever is added is removed by a destructor.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::{ConnectionId, Protocol, session_id};
use crate::mailbox::Gauges;
use crate::meter::{Activity, KillReason, KillSwitch};
use crate::pool::Pool;
use crate::registry::{Admission, Login, Refused, SessionEnd, SessionReport, TransferReport};
use crate::throughput::{Flow, Track, Unsampled};
use crate::transfer::TransferSpec;

/// What all connections of one process share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) pool: Pool,
    /// Set once, when shutdown begins: nothing new may start.
    is_draining: AtomicBool,
    /// Transfers begun whose end has not finished, on open and closed connections.
    transfers: AtomicUsize,
    /// What ended transfers moved since the last sample.
    pub(crate) unsampled: Unsampled,
    pub(crate) connection_gauges: Arc<Gauges>,
    pub(crate) transfer_gauges: Arc<Gauges>,
}

impl Common {
    pub(crate) fn new(pool: Pool, connections: Arc<Gauges>, transfers: Arc<Gauges>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            is_draining: AtomicBool::new(false),
            transfers: AtomicUsize::new(0),
            unsampled: Unsampled::default(),
            connection_gauges: connections,
            transfer_gauges: transfers,
        })
    }

    pub(crate) fn start_draining(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    pub(crate) fn transfers(&self) -> usize {
        self.transfers.load(Ordering::SeqCst)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) kill: KillSwitch,
    pub(crate) common: Arc<Common>,
    activity: Activity,
    is_closed: AtomicBool,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    login: Option<Login>,
    sessions: Vec<OpenSession>,
    transfers: Vec<RunningTransfer>,
    sessions_opened: u32,
    transfers_begun: u64,
    /// When the last transfer that ended did.
    transfer_ended: Option<Instant>,
    closed_because: Option<String>,
}

#[derive(Debug)]
struct OpenSession {
    id: Arc<str>,
    protocol: Protocol,
    command: String,
}

#[derive(Debug)]
struct RunningTransfer {
    number: u64,
    session: Arc<str>,
    spec: TransferSpec,
    track: Track,
    /// Its commit or abort runs: busy without moving bytes.
    is_ending: bool,
}

impl Entry {
    pub(crate) fn new(id: ConnectionId, admission: Admission, common: Arc<Common>) -> Self {
        let Admission { peer, local, protocol, kill } = admission;
        Self {
            id,
            peer,
            local,
            protocol,
            kill,
            common,
            activity: Activity::starting_now(),
            is_closed: AtomicBool::new(false),
            inside: Mutex::default(),
        }
    }

    /// The address that per-host limits count: IPv4 is the same host when it
    /// arrives mapped into IPv6.
    pub(crate) fn host(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    pub(crate) fn touch(&self) {
        self.activity.touch();
    }

    /// How long nothing was asked and no byte moved. A transfer whose end runs
    /// is busy, however long that takes.
    pub(crate) fn idle(&self) -> Duration {
        let inside = self.inside();
        if inside.transfers.iter().any(|transfer| transfer.is_ending) {
            return Duration::ZERO;
        }
        let meters = inside.transfers.iter().map(|transfer| transfer.spec.meter.idle());
        meters.fold(self.activity.idle(), Duration::min)
    }

    pub(crate) fn close(&self, cause: Option<String>) {
        self.is_closed.store(true, Ordering::SeqCst);
        let mut inside = self.inside();
        if inside.closed_because.is_none() {
            inside.closed_because = cause;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Why nothing new may start on this connection, if so.
    pub(crate) fn refusal(&self) -> Option<Refused> {
        if self.is_closed() || self.kill.is_fired() {
            Some(Refused::Gone)
        } else if self.common.is_draining() {
            Some(Refused::Draining)
        } else {
            None
        }
    }

    /// Why the connection ended: the kill reason, or what its task reported.
    pub(crate) fn end_cause(&self) -> Option<String> {
        match self.kill.reason() {
            Some(reason) => Some(reason.to_string()),
            None => self.inside().closed_because.clone(),
        }
    }

    pub(crate) fn log_in(&self, login: Login) {
        self.inside().login = Some(login);
        self.touch();
    }

    pub(crate) fn set_client_version(&self, version: &str) {
        if let Some(login) = &mut self.inside().login {
            version.clone_into(&mut login.client_version);
        }
    }

    pub(crate) fn set_end(&self, end: Option<SessionEnd>) {
        if let Some(login) = &mut self.inside().login {
            login.end = end;
        }
    }

    /// Why the account may not be connected any more, if so.
    pub(crate) fn is_over(&self, now_unix_ms: u64) -> Option<KillReason> {
        let inside = self.inside();
        let end = inside.login.as_ref()?.end.as_ref()?;
        (end.at_unix_ms <= now_unix_ms).then(|| end.reason.clone())
    }

    pub(crate) fn username(&self) -> Option<Arc<str>> {
        self.inside().login.as_ref().map(|login| login.username.clone())
    }

    /// 0 for no limit.
    pub(crate) fn max_sessions(&self) -> u32 {
        self.inside().login.as_ref().map_or(0, |login| login.max_sessions)
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.inside().sessions.len()
    }

    /// What the connection counts against `max_sessions`: its open sessions,
    /// and one while it has none.
    pub(crate) fn counted_sessions(&self) -> usize {
        self.open_sessions().max(1)
    }

    /// Whether no transfer runs and the last one ended at least this long ago,
    /// so that its reply has reached the client.
    pub(crate) fn is_without_transfers_for(&self, linger: Duration) -> bool {
        let inside = self.inside();
        inside.transfers.is_empty()
            && inside.transfer_ended.is_none_or(|ended| ended.elapsed() >= linger)
    }

    pub(crate) fn has_session(&self, id: &str) -> bool {
        self.inside().sessions.iter().any(|session| &*session.id == id)
    }

    /// Opens the next session; dropping the handle closes it.
    pub(crate) fn open_session(self: &Arc<Self>, protocol: Protocol) -> SessionHandle {
        let mut inside = self.inside();
        inside.sessions_opened = inside.sessions_opened.saturating_add(1);
        let id = session_id(protocol, &self.id, inside.sessions_opened);
        inside.sessions.push(OpenSession { id: id.clone(), protocol, command: String::new() });
        drop(inside);
        self.touch();
        SessionHandle { entry: self.clone(), id, protocol }
    }

    /// Lists a transfer until the guard is dropped. [`Refused::Gone`] also when
    /// the session is not open.
    pub(crate) fn begin_transfer(
        self: &Arc<Self>,
        session: &str,
        spec: TransferSpec,
    ) -> Result<TransferGuard, Refused> {
        let mut inside = self.inside();
        // Under the lock: either this sees that the server drains, or draining
        // sees the transfer.
        if let Some(refused) = self.refusal() {
            return Err(refused);
        }
        let open = inside.sessions.iter().find(|open| &*open.id == session);
        let session = open.ok_or(Refused::Gone)?.id.clone();
        inside.transfers_begun += 1;
        let number = inside.transfers_begun;
        let track = Track::default();
        inside.transfers.push(RunningTransfer { number, session, spec, track, is_ending: false });
        self.common.transfers.fetch_add(1, Ordering::SeqCst);
        drop(inside);
        self.touch();
        Ok(TransferGuard { entry: self.clone(), number })
    }

    /// What its transfers moved since the last sample, `during` before.
    pub(crate) fn sample(&self, during: Duration) -> Flow {
        let mut moved = Flow::default();
        for RunningTransfer { spec, track, .. } in &mut self.inside().transfers {
            moved += Flow::of(spec.direction, track.sample(spec.meter.bytes(), during));
        }
        moved
    }

    /// One report per session; one for the connection itself while a logged-in
    /// client has opened none; none before the login.
    pub(crate) fn reports(&self) -> Vec<SessionReport> {
        let inside = self.inside();
        let Some(login) = &inside.login else { return Vec::new() };
        let connection = SessionReport {
            username: login.username.clone(),
            session_id: format!("{}_{}", self.protocol, self.id).into(),
            client_version: login.client_version.clone(),
            peer: self.peer,
            local: self.local,
            protocol: self.protocol,
            command: String::new(),
            connected_unix_ms: self.activity.started_unix_ms(),
            last_activity_unix_ms: self.activity.last_unix_ms(),
            transfers: Vec::new(),
        };
        if inside.sessions.is_empty() {
            return vec![connection];
        }
        let report = |session: &OpenSession| {
            let own = inside.transfers.iter().filter(|transfer| transfer.session == session.id);
            let transfers: Vec<_> = own.map(RunningTransfer::report).collect();
            let moved = transfers.iter().map(|transfer| transfer.last_activity_unix_ms).max();
            SessionReport {
                session_id: session.id.clone(),
                protocol: session.protocol,
                command: session.command.clone(),
                last_activity_unix_ms: moved.unwrap_or(0).max(connection.last_activity_unix_ms),
                transfers,
                ..connection.clone()
            }
        };
        inside.sessions.iter().map(report).collect()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Every change below is complete or not begun, so a panic in between
        // leaves nothing half done.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningTransfer {
    fn report(&self) -> TransferReport {
        let TransferSpec { direction, virtual_path, meter } = &self.spec;
        TransferReport {
            direction: *direction,
            virtual_path: virtual_path.clone(),
            started_unix_ms: meter.started_unix_ms(),
            last_activity_unix_ms: meter.last_activity_unix_ms(),
            bytes: meter.bytes(),
            expected_bytes: meter.expected(),
            number: self.number,
            rate: self.track.current(),
            recent_rates: self.track.rates(),
        }
    }
}

/// An open session, such as an SSH channel. Dropping it closes the session.
#[derive(Debug)]
pub struct SessionHandle {
    entry: Arc<Entry>,
    id: Arc<str>,
    protocol: Protocol,
}

impl SessionHandle {
    /// `<PROTO>_<connection>_<n>`, `n` from 1.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same, to keep.
    pub fn shared_id(&self) -> Arc<str> {
        self.id.clone()
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Says what the session executes, for administrators.
    pub fn set_command(&self, command: String) {
        let mut inside = self.entry.inside();
        if let Some(session) = inside.sessions.iter_mut().find(|open| open.id == self.id) {
            session.command = command;
        }
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.entry.inside().sessions.retain(|open| open.id != self.id);
        self.entry.touch();
    }
}

/// Keeps a transfer listed and counted; dropped when its end has run.
#[derive(Debug)]
pub(crate) struct TransferGuard {
    entry: Arc<Entry>,
    number: u64,
}

impl TransferGuard {
    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.entry.common
    }

    /// Why the connection was killed, if it was.
    pub(crate) fn kill_reason(&self) -> Option<KillReason> {
        self.entry.kill.reason()
    }

    /// From here on the transfer is busy without moving bytes.
    pub(crate) fn mark_ending(&self) {
        let mut inside = self.entry.inside();
        if let Some(own) = inside.transfers.iter_mut().find(|own| own.number == self.number) {
            own.is_ending = true;
        }
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        let mut inside = self.entry.inside();
        let own = inside.transfers.iter().position(|running| running.number == self.number);
        if let Some(RunningTransfer { spec, track, .. }) = own.map(|at| inside.transfers.remove(at))
        {
            let rest = track.rest(spec.meter.bytes());
            self.entry.common.unsampled.add(spec.direction, rest);
        }
        inside.transfer_ended = Some(Instant::now());
        drop(inside);
        self.entry.touch();
        self.entry.common.transfers.fetch_sub(1, Ordering::SeqCst);
    }
}
