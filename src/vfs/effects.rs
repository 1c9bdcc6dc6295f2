//! What follows an operation: quota, hook, log line and metric, once for all
//! protocols; and how a transfer ends, whoever ends it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actors::{
    AbortReason, BoxError, Connection, Denied, Direction, FsAction, FsEvent, FsStatus, KillSwitch,
    Lease, Limits, Meter, Protocol, Refused, Transfer, TransferEnd, TransferSpec, UsageDelta,
    Verdict, Want,
};
use async_trait::async_trait;

use super::first_transfers::FirstTransfers;
use super::ledger;
use super::limits::SessionLimits;
use super::mounts::{QuotaOwner, Resolved};
use super::options::VfsServices;
use super::policy::Policy;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::{self, TransferKind};
use crate::model::User;
use crate::paths::VirtualPath;
use crate::storage::{Ended, Metadata, Partial, ReadHandle, WriteHandle};

/// The text that log lines and clients know for every refused byte.
const SPACE_LIMIT: &str = "failure: denying write due to space limit";

/// A write that the quota forbids.
pub(super) fn over_quota() -> Error {
    Error::new(ErrorKind::QuotaExceeded, SPACE_LIMIT)
}

/// Without a size or file limit a lease is never denied.
pub(super) fn denied(denied: Denied) -> Error {
    match denied {
        Denied::Size | Denied::Files => over_quota(),
        Denied::Unavailable(_) => {
            Error::with_source(ErrorKind::Unavailable, "check the quota", denied)
        }
    }
}

/// Why nothing is done any more on a killed connection.
pub(super) fn killed(kill: &KillSwitch) -> Error {
    let why = kill.reason().map_or_else(|| "the connection is closed".into(), |r| r.to_string());
    Error::new(ErrorKind::Aborted, why)
}

pub(super) fn refused(refused: Refused) -> Error {
    Error::with_source(ErrorKind::Aborted, "begin transfer", refused)
}

/// Who acts and from where; all that effects need besides the operation itself.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) user: Arc<User>,
    pub(super) policy: Policy,
    pub(super) connection: Connection,
    pub(super) session_id: Arc<str>,
    pub(super) protocol: Protocol,
    pub(super) services: VfsServices,
    pub(super) limits: SessionLimits,
    pub(super) first_transfers: FirstTransfers,
    client: IpAddr,
    local_addr: String,
    remote_addr: String,
}

impl Origin {
    pub(super) fn new(
        policy: Policy,
        connection: Connection,
        session_id: Arc<str>,
        protocol: Protocol,
        (local, remote): (SocketAddr, SocketAddr),
        services: VfsServices,
    ) -> Self {
        let first_transfers = FirstTransfers::of(policy.user());
        let limits = SessionLimits::of(policy.user(), remote.ip(), services.options().track_quota);
        Self {
            user: policy.user().clone(),
            policy,
            connection,
            session_id,
            protocol,
            services,
            limits,
            first_transfers,
            client: remote.ip(),
            local_addr: local.to_string(),
            remote_addr: remote.to_string(),
        }
    }

    /// Fails once the connection is killed; before every operation.
    pub(super) fn require_alive(&self) -> Result<()> {
        let kill = self.connection.kill_switch();
        if kill.is_fired() { Err(killed(kill)) } else { Ok(()) }
    }

    /// A lease of what `owner` has room for.
    pub(super) async fn reserve(&self, owner: &QuotaOwner, want: Want) -> Result<Lease> {
        let leased = self.services.quota.reserve(owner.account.clone(), owner.limits, want);
        leased.await.map_err(denied)
    }

    /// Counts a change that no lease covers.
    pub(super) fn adjust(&self, place: &Resolved, delta: UsageDelta) {
        if let Some(owner) = &place.mount.quota
            && !delta.is_zero()
        {
            // It counts with the call; there is nothing to wait for.
            drop(self.services.quota.adjust(owner.account.clone(), delta.bytes, delta.files));
        }
    }

    /// Counts a file that was removed or replaced.
    pub(super) fn settle_gone(&self, place: &Resolved, gone: &Metadata) {
        if let Some(account) = place.account() {
            let delta = self.services.ledger.settle_gone(account, gone);
            self.adjust(place, delta);
        }
    }

    /// Removes a file and counts that.
    pub(super) async fn remove(&self, place: &Resolved) -> Result<Metadata> {
        let turn = self.services.ledger.turns(&[place]).await;
        let removed = place.mount.storage.remove_file(&place.path).await?;
        self.settle_gone(place, &removed);
        drop(turn);
        Ok(removed)
    }

    /// Whether a file that was found there is being written in place, as far as that
    /// is counted.
    pub(super) fn is_open(&self, place: &Resolved, found: &Metadata) -> bool {
        place.account().is_some_and(|account| self.services.ledger.is_open(account, found))
    }

    /// Asks the hook before the operation, if there is one.
    pub(super) async fn ask_hook(
        &self,
        action: FsAction,
        virtual_path: &VirtualPath,
        place: &Resolved,
    ) -> Result<()> {
        if !self.services.hooks.wants(action) {
            return Ok(());
        }
        match self.services.hooks.decide(self.event(action, virtual_path, place)).await {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("the hook denied {action} of {virtual_path}"),
            )),
        }
    }

    fn event(&self, action: FsAction, virtual_path: &VirtualPath, place: &Resolved) -> FsEvent {
        FsEvent {
            path: place.display().into_bytes(),
            virtual_path: virtual_path.as_bytes().to_vec(),
            ip: Some(self.client),
            session_id: self.session_id.clone(),
            role: Some(self.user.role.clone()).filter(|role| !role.is_empty()),
            is_local_file: place.mount.backend == crate::metrics::Backend::Local,
            ..FsEvent::new(action, self.protocol, self.user.username.as_str())
        }
    }

    async fn notify(&self, action: FsAction, make: impl FnOnce() -> FsEvent) {
        if self.services.hooks.wants(action) {
            self.services.hooks.notify(make()).await;
        }
    }

    /// The log line and the hook of an SSH command that succeeded; `command` as the
    /// client wrote it, with what it was about, if it was about anything.
    pub(super) async fn ssh_command_done(
        &self,
        command: &str,
        started: Instant,
        path: Option<(&VirtualPath, &Resolved)>,
        target: Option<(&VirtualPath, &Resolved)>,
    ) {
        let display = |place: Option<(&VirtualPath, &Resolved)>| {
            place.map(|(_, place)| place.display()).unwrap_or_default()
        };
        let elapsed_ms = millis(started.elapsed());
        logging::command(
            &self.services.logger,
            &logging::Command {
                operation: logging::Operation::SshCommand { command },
                local_addr: &self.local_addr,
                remote_addr: &self.remote_addr,
                username: &self.user.username,
                file_path: &display(path),
                target_path: &display(target),
                elapsed_ms,
                connection_id: &self.session_id,
                protocol: self.protocol.as_str(),
            },
        );
        self.notify(FsAction::SshCmd, || {
            let event = match path {
                Some((path, place)) => self.event(FsAction::SshCmd, path, place),
                None => FsEvent {
                    ip: Some(self.client),
                    session_id: self.session_id.clone(),
                    role: Some(self.user.role.clone()).filter(|role| !role.is_empty()),
                    ..FsEvent::new(FsAction::SshCmd, self.protocol, self.user.username.as_str())
                },
            };
            FsEvent {
                ssh_cmd: Some(command.to_owned()),
                target_path: target.map(|(_, place)| place.display().into_bytes()),
                virtual_target_path: target.map(|(path, _)| path.as_bytes().to_vec()),
                elapsed_ms: Some(elapsed_ms),
                ..event
            }
        })
        .await;
    }

    /// The log line and the hook of a command that succeeded.
    pub(super) async fn command_done(&self, command: Command<'_>) {
        let elapsed_ms = millis(command.started.elapsed());
        let (path, target) = (command.place.display(), command.target.map(|(_, to)| to.display()));
        logging::command(
            &self.services.logger,
            &logging::Command {
                operation: command.operation,
                local_addr: &self.local_addr,
                remote_addr: &self.remote_addr,
                username: &self.user.username,
                file_path: &path,
                target_path: target.as_deref().unwrap_or_default(),
                elapsed_ms,
                connection_id: &self.session_id,
                protocol: self.protocol.as_str(),
            },
        );
        if let Some(action) = command.action {
            self.notify(action, || FsEvent {
                target_path: target.map(String::into_bytes),
                virtual_target_path: command.target.map(|(to, _)| to.as_bytes().to_vec()),
                file_size: command.file_size,
                elapsed_ms: Some(elapsed_ms),
                ..self.event(action, command.virtual_path, command.place)
            })
            .await;
        }
    }
}

/// Runs what changes the disk and then counts that, also when the caller goes away in
/// between: the disk does not stop for that.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(Error::internal("a file operation panicked")),
        Err(_) => Err(Error::new(ErrorKind::Aborted, "the server is shutting down")),
    }
}

/// A command that succeeded.
pub(super) struct Command<'c> {
    pub(super) operation: logging::Operation<'c>,
    /// What the hook is told, if it is told.
    pub(super) action: Option<FsAction>,
    pub(super) started: Instant,
    pub(super) virtual_path: &'c VirtualPath,
    pub(super) place: &'c Resolved,
    pub(super) target: Option<(&'c VirtualPath, &'c Resolved)>,
    pub(super) file_size: Option<u64>,
}

impl<'c> Command<'c> {
    pub(super) fn new(
        operation: logging::Operation<'c>,
        started: Instant,
        virtual_path: &'c VirtualPath,
        place: &'c Resolved,
    ) -> Self {
        Self {
            operation,
            action: None,
            started,
            virtual_path,
            place,
            target: None,
            file_size: None,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of a transfer: what its end will need.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) origin: Arc<Origin>,
    pub(super) virtual_path: VirtualPath,
    pub(super) place: Resolved,
    pub(super) meter: Meter,
    direction: Direction,
    started: Instant,
    failure: OnceLock<Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    kind: ErrorKind,
    text: String,
}

impl Failure {
    fn to_error(&self) -> Error {
        Error::new(self.kind, self.text.clone())
    }
}

impl Running {
    /// Asks the connection for the right to transfer.
    pub(super) async fn begin(
        origin: &Arc<Origin>,
        direction: Direction,
        virtual_path: &VirtualPath,
        place: Resolved,
    ) -> Result<(Arc<Self>, Transfer)> {
        let meter = Meter::new();
        let spec = TransferSpec {
            direction,
            virtual_path: virtual_path.to_string(),
            meter: meter.clone(),
        };
        let transfer =
            origin.connection.begin_transfer(&origin.session_id, spec).await.map_err(refused)?;
        let running = Self {
            origin: origin.clone(),
            virtual_path: virtual_path.clone(),
            place,
            meter,
            direction,
            started: Instant::now(),
            failure: OnceLock::new(),
        };
        Ok((Arc::new(running), transfer))
    }

    pub(super) fn kill(&self) -> &KillSwitch {
        self.origin.connection.kill_switch()
    }

    /// Fails once the connection is killed or the transfer has failed.
    pub(super) fn require_sound(&self) -> Result<()> {
        if self.kill().is_fired() {
            return Err(killed(self.kill()));
        }
        match self.failure.get() {
            None => Ok(()),
            Some(failure) => Err(failure.to_error()),
        }
    }

    /// Marks the transfer failed, so that its end is an abort. The first reason stays.
    pub(super) fn fail(&self, error: Error) -> Error {
        let _ = self.failure.set(Failure { kind: error.kind(), text: error.to_string() });
        error
    }

    /// Log line, metrics and hook of the end. `file_size` is what is stored.
    async fn ended(&self, error: Option<&Failure>, file_size: u64) {
        let Self { origin, meter, started, place, virtual_path, .. } = self;
        let elapsed = started.elapsed();
        let path = place.display();
        logging::transfer(
            &origin.services.logger,
            &logging::Transfer {
                kind: match self.direction {
                    Direction::Upload => TransferKind::Upload,
                    Direction::Download => TransferKind::Download,
                },
                local_addr: &origin.local_addr,
                remote_addr: &origin.remote_addr,
                elapsed_ms: millis(elapsed),
                size_bytes: meter.bytes(),
                username: &origin.user.username,
                file_path: &path,
                virtual_path: &virtual_path.to_string_lossy(),
                connection_id: &origin.session_id,
                protocol: origin.protocol.as_str(),
                ftp_mode: "",
                error: error.map(|error| &error.text as &dyn std::fmt::Display),
            },
        );
        if error.is_none() {
            origin.note_first(self.direction).await;
        }
        let (metrics, backend) = (&origin.services.metrics, place.mount.backend);
        let action = match self.direction {
            Direction::Upload => {
                metrics.upload_finished(backend, error.is_none(), meter.bytes(), elapsed);
                FsAction::Upload
            }
            Direction::Download => {
                metrics.download_finished(backend, error.is_none(), meter.bytes(), elapsed);
                FsAction::Download
            }
        };
        origin
            .notify(action, || FsEvent {
                file_size: Some(file_size),
                elapsed_ms: Some(millis(elapsed)),
                status: match error.map(|error| error.kind) {
                    None => FsStatus::Ok,
                    Some(ErrorKind::QuotaExceeded | ErrorKind::DownloadQuotaExceeded) => {
                        FsStatus::QuotaExceeded
                    }
                    Some(_) => FsStatus::Error,
                },
                ..origin.event(action, virtual_path, place)
            })
            .await;
    }
}

/// Turns what ended a transfer into the error that its client gets.
pub(super) fn end_error(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::with_source(ErrorKind::Aborted, "end of the transfer", error),
    }
}

/// Ends one upload.
#[derive(Debug)]
pub(super) struct UploadEnd {
    pub(super) running: Arc<Running>,
    pub(super) handle: Arc<dyn WriteHandle>,
    /// `None` where nobody's quota counts.
    pub(super) quota: Option<QuotaHold>,
}

/// What an upload holds of its account's quota until it ends.
#[derive(Debug)]
pub(super) struct QuotaHold {
    pub(super) lease: Lease,
    /// For a file that is written in place.
    pub(super) entry: Option<ledger::Entry>,
    /// For one that takes its place at the end.
    pub(super) expected: Option<Expected>,
}

/// What an upload got for free since a file was there that it replaces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Bytes of that file which the new one begins with.
    pub(super) bytes: u64,
    /// Another file was not reserved.
    pub(super) is_no_new_file: bool,
}

#[async_trait]
impl TransferEnd for UploadEnd {
    async fn commit(self: Box<Self>) -> Result<(), BoxError> {
        if let Some(failure) = self.running.failure.get().cloned() {
            let error = failure.to_error();
            self.give_up(failure).await;
            return Err(error.into());
        }
        let turn = self.turn().await;
        let room = match self.make_room().await {
            Ok(room) => room,
            Err(error) => {
                drop(turn);
                let failure = Failure { kind: error.kind(), text: error.to_string() };
                self.give_up(failure).await;
                return Err(error.into());
            }
        };
        match self.handle.commit().await {
            Ok(ended) => {
                let stored = ended.stored.as_ref().map_or(0, |stored| stored.size);
                let Self { running, quota, .. } = *self;
                settle(&running, quota, Some(&ended));
                drop((room, turn));
                running.ended(None, stored).await;
                Ok(())
            }
            Err(error) => {
                // The storage has cleaned up; nothing new is stored.
                let Self { running, quota, .. } = *self;
                settle(&running, quota, None);
                drop((room, turn));
                let failure = Failure { kind: error.kind(), text: error.to_string() };
                running.ended(Some(&failure), 0).await;
                Err(error.into())
            }
        }
    }

    async fn abort(self: Box<Self>, reason: AbortReason) {
        let failure = self
            .running
            .failure
            .get()
            .cloned()
            .unwrap_or_else(|| Failure { kind: ErrorKind::Aborted, text: reason.to_string() });
        self.give_up(failure).await;
    }
}

impl UploadEnd {
    /// For what ends in the storage, and the counting of it.
    async fn turn(&self) -> Vec<ledger::Turn> {
        match &self.quota {
            Some(_) => self.running.origin.services.ledger.turns(&[&self.running.place]).await,
            None => Vec::new(),
        }
    }

    /// Pays for what an upload was to replace and is not there any more; the
    /// result must live until the upload is settled.
    async fn make_room(&self) -> Result<Option<Lease>> {
        let Some(QuotaHold { lease, expected: Some(expected), .. }) = &self.quota else {
            return Ok(None);
        };
        let Some(owner) = &self.running.place.mount.quota else { return Ok(None) };
        if *expected == Expected::default() || owner.limits == Limits::default() {
            return Ok(None);
        }
        let there = self.handle.replaceable().await?;
        let missing = expected.bytes.saturating_sub(there.as_ref().map_or(0, |file| file.size));
        lease.take_or_renew(missing).await.map_err(denied)?;
        if there.is_some() || !expected.is_no_new_file {
            return Ok(None);
        }
        // The bytes are in the upload's own lease.
        let limits = Limits { size: None, ..owner.limits };
        let want = Want { bytes: 0, files: 1 };
        self.running.origin.reserve(&QuotaOwner { limits, ..owner.clone() }, want).await.map(Some)
    }

    async fn give_up(self, failure: Failure) {
        // What an account has no room for shall not stay, whatever the mode.
        let partial = match failure.kind {
            ErrorKind::QuotaExceeded => Partial::Discard,
            _ => Partial::Keep,
        };
        let turn = self.turn().await;
        let (partial, room) = match partial {
            Partial::Keep => match self.make_room().await {
                Ok(room) => (Partial::Keep, room),
                Err(_) => (Partial::Discard, None),
            },
            Partial::Discard => (Partial::Discard, None),
        };
        let Self { running, handle, quota } = self;
        let ended = match handle.abort(partial).await {
            Ok(ended) => Some(ended),
            Err(error) => {
                let logger = &running.origin.services.logger;
                slog::warn!(logger, "the rest of a failed upload may be left behind: {error}");
                None
            }
        };
        let stored = ended.as_ref().and_then(|ended| ended.stored.as_ref());
        let file_size = match failure.kind {
            ErrorKind::QuotaExceeded => 0,
            _ => stored.map_or(0, |stored| stored.size),
        };
        settle(&running, quota, ended.as_ref());
        drop((room, turn));
        running.ended(Some(&failure), file_size).await;
    }
}

/// Counts what an upload really changed and gives back what it held.
fn settle(running: &Running, quota: Option<QuotaHold>, ended: Option<&Ended>) {
    let (Some(QuotaHold { lease, entry, .. }), Some(owner)) = (quota, &running.place.mount.quota)
    else {
        return;
    };
    let ledger = &running.origin.services.ledger;
    let delta = match ended {
        None => UsageDelta::default(),
        Some(Ended { stored, replaced }) => {
            let before = replaced.as_ref();
            // A file that was removed while it was open is stored no more.
            let now = stored.as_ref().filter(|stored| stored.links > 0);
            match &entry {
                // In place: one file from one state to another.
                Some(entry) => ledger.settle(
                    &owner.account,
                    entry.id(),
                    before.map(|before| before.size),
                    now.map(|now| now.size),
                ),
                // By rename: a new file, and the old one is gone.
                None => {
                    let gone = match (stored, before) {
                        (Some(_), Some(before)) => ledger.settle_gone(&owner.account, before),
                        _ => UsageDelta::default(),
                    };
                    gone.plus(ledger::difference(None, now.map(|now| now.size)))
                }
            }
        }
    };
    // The lease goes back in the same step.
    drop(lease.settle(delta.bytes, delta.files));
    drop(entry);
}

/// Ends one download.
#[derive(Debug)]
pub(super) struct DownloadEnd {
    pub(super) running: Arc<Running>,
    pub(super) handle: Arc<dyn ReadHandle>,
}

impl DownloadEnd {
    async fn end(self, failure: Option<Failure>) {
        let size = self.handle.metadata().await.map_or(0, |metadata| metadata.size);
        self.running.ended(failure.as_ref(), size).await;
    }
}

#[async_trait]
impl TransferEnd for DownloadEnd {
    async fn commit(self: Box<Self>) -> Result<(), BoxError> {
        let failure = self.running.failure.get().cloned();
        let result = match &failure {
            None => Ok(()),
            Some(failure) => Err(failure.to_error().into()),
        };
        self.end(failure).await;
        result
    }

    async fn abort(self: Box<Self>, reason: AbortReason) {
        let failure = self
            .running
            .failure
            .get()
            .cloned()
            .unwrap_or_else(|| Failure { kind: ErrorKind::Aborted, text: reason.to_string() });
        self.end(Some(failure)).await;
    }
}
