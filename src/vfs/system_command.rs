//! What programs of the machine need that work on the files of an account directly:
//! rsync and git. They are outside of all that a session checks for each operation, so
//! everything is checked before they begin, and measured after they have ended.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::{
    AbortReason, Allowance, BoxError, Direction, Lease, Meter, Quota, Scan, ScanProgress,
    ScanRefused, Transfer, TransferEnd, TransferSpec, Want,
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::effects::{Origin, denied, end_error, refused};
use super::limits;
use super::mounts::{QuotaOwner, Resolved};
use super::scan;
use super::session::Session;
use super::throttle::Throttle;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Permission::{self, CreateDirs, Delete, Download, List, Overwrite, Upload};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{FileKind, OWNER_UNCHANGED};

/// What a program can do that no session watches: all of this must be allowed.
const NEEDED: [Permission; 6] = [List, Download, Upload, CreateDirs, Overwrite, Delete];

/// How long the usage waits for a scan that is already running, and for a killed
/// program to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a program may change what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    Nothing,
    Files,
}

/// What a program may work on, found and allowed.
pub struct SystemCommandRoot {
    /// As the client sees it.
    pub virtual_path: VirtualPath,
    /// Below the directory of [`SystemCommand::home`], through no link as far as it exists;
    /// empty for that itself.
    pub relative: Vec<u8>,
    pub is_directory: bool,
    /// It, to be named and not read: no swapped link leads from here to elsewhere. `None`
    /// for a link, and where nothing is.
    pub place: Option<OwnedFd>,
    /// Nothing is there.
    pub is_missing: bool,
    resolved: Resolved,
}

impl fmt::Debug for SystemCommandRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SystemCommandRoot").field(&self.virtual_path).finish()
    }
}

/// Why a program may not work on a path.
#[derive(Debug)]
pub enum NotForPrograms {
    /// What is special about it, for the client to read.
    Place(&'static str),
    Failed(Error),
}

impl From<Error> for NotForPrograms {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl NotForPrograms {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed(error) if error.kind() == ErrorKind::NotFound)
    }
}

impl Session {
    /// Checks that a program may work on `path`, a file or directory that exists.
    ///
    /// # Errors
    /// `Place` where programs cannot work: the storage is not a directory of this machine,
    /// or virtual folders or filters on names exist above or below, which programs know
    /// nothing of. `PermissionDenied` when a permission is missing there or below.
    pub async fn system_command_root(
        &self,
        path: &VirtualPath,
    ) -> Result<SystemCommandRoot, NotForPrograms> {
        self.find_for_program(path, true).await
    }

    /// As [`Session::system_command_root`] for something that a program shall send. A link
    /// at its end is it itself unless `follow` says otherwise, and it need not exist.
    pub async fn system_command_source(
        &self,
        path: &VirtualPath,
        follow: bool,
    ) -> Result<SystemCommandRoot, NotForPrograms> {
        match self.find_for_program(path, follow).await {
            Err(error) if error.is_not_found() => {}
            found => return found,
        }
        Ok(SystemCommandRoot {
            virtual_path: path.clone(),
            relative: self.real_path_for_program(path).await?,
            is_directory: false,
            place: None,
            is_missing: true,
            resolved: self.mounts.resolve(path),
        })
    }

    /// Where a directory is that a program only passes, below the directory of
    /// [`SystemCommand::home`]: through no link as far as it exists.
    pub async fn real_path_for_program(&self, path: &VirtualPath) -> Result<Vec<u8>> {
        let resolved = self.mounts.resolve(path);
        let storage = &resolved.mount.storage;
        let mut existing = resolved.path;
        let mut missing = StoragePath::root();
        loop {
            match storage.real_path(&existing, true).await {
                Ok(real) => return Ok(real.below(&missing).as_bytes().to_vec()),
                // A directory above it is not there.
                Err(error) if error.kind() == ErrorKind::NotFound && !existing.is_root() => {
                    missing = StoragePath::new(existing.file_name()).below(&missing);
                    existing = existing.parent();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// For programs that no filter on names lets work anywhere.
    ///
    /// # Errors
    /// `Place` if the account has any.
    pub fn require_no_filters(&self) -> Result<(), NotForPrograms> {
        if self.origin.policy.patterns().is_empty() {
            return Ok(());
        }
        Err(NotForPrograms::Place("the account has filters on names"))
    }

    async fn find_for_program(
        &self,
        path: &VirtualPath,
        follow: bool,
    ) -> Result<SystemCommandRoot, NotForPrograms> {
        self.origin.require_alive()?;
        self.require_nothing_special(path)?;
        let resolved = self.mounts.resolve(path);
        let storage = &resolved.mount.storage;
        if !storage.capabilities().system_commands || !resolved.mount.at.is_root() {
            return Err(NotForPrograms::Place("it is not stored in a directory of the server"));
        }
        self.require_all(path)?;
        // Links were followed to here, and what they lead to must be allowed as well;
        // the program is told a path without them.
        let real = storage.real_path(&resolved.path, follow).await?;
        let real_virtual = resolved.virtual_path_of(&real);
        self.require_nothing_special(&real_virtual)?;
        self.require_all(&real_virtual)?;
        let kind = storage.lstat(&real).await?.kind;
        // Where links are followed there is none, unless it has just been put there.
        if kind == FileKind::Other || (follow && kind == FileKind::Symlink) {
            let context = format!("{path} is not what a program can work on");
            return Err(Error::new(ErrorKind::PermissionDenied, context).into());
        }
        let is_directory = kind == FileKind::Directory;
        if !is_directory {
            self.require_all(&path.parent())?;
            self.require_all(&real_virtual.parent())?;
        }
        let place = match kind {
            FileKind::Symlink => None,
            _ => Some(storage.open_for_program(&real).await?),
        };
        let relative = real.as_bytes().to_vec();
        Ok(SystemCommandRoot {
            virtual_path: path.clone(),
            relative,
            is_directory,
            place,
            is_missing: false,
            resolved,
        })
    }

    /// Begins to run a program on `root`, if the quota has room. `exited` is cancelled
    /// once its last process is gone: only then is the usage measured.
    pub async fn begin_system_command(
        &self,
        root: &SystemCommandRoot,
        changes: Changes,
        exited: CancellationToken,
    ) -> Result<SystemCommand> {
        let direction = match changes {
            Changes::Nothing => Direction::Download,
            Changes::Files => Direction::Upload,
        };
        let (limits, quota) = (&self.origin.limits, &self.origin.services.quota);
        let allowance = limits.allowance(quota, direction).await?;
        let owner = root.resolved.mount.quota.clone().filter(|_| changes == Changes::Files);
        let lease = match &owner {
            None => None,
            Some(owner) => Some(self.room_for_program(owner).await?),
        };
        let storage = &root.resolved.mount.storage;
        let home = storage.open_for_program(&StoragePath::root()).await?;
        let meter = Meter::new();
        let virtual_path = root.virtual_path.to_string();
        let spec = TransferSpec { direction, virtual_path, meter: meter.clone() };
        let origin = self.origin.clone();
        let transfer =
            origin.connection.begin_transfer(&origin.session_id, spec).await.map_err(refused)?;
        let bandwidth = &origin.limits.bandwidth;
        let received = AtomicU64::new(0);
        let end = End { origin: origin.clone(), owner, lease, received, exited };
        Ok(SystemCommand {
            home,
            account: self.owner_of_new().filter(|_| rustix::process::geteuid().is_root()),
            umask: origin.services.options().umask,
            may_create_links: self
                .user()
                .permissions
                .at(&root.virtual_path)
                .grants(Permission::CreateSymlinks),
            receiving: Throttle::from_kib_per_sec(bandwidth.upload),
            sending: Throttle::from_kib_per_sec(bandwidth.download),
            allowance,
            meter,
            origin,
            ending: Some((transfer, Box::new(end))),
        })
    }

    async fn room_for_program(&self, owner: &QuotaOwner) -> Result<Lease> {
        let want = Want { bytes: 0, files: u64::from(owner.limits.files.is_some()) };
        self.origin.reserve(owner, want).await
    }

    fn require_all(&self, path: &VirtualPath) -> Result<()> {
        let permissions = &self.user().permissions;
        let here = (path.clone(), permissions.at(path));
        let below = permissions.within(path).map(|(path, set)| (path.clone(), set));
        match std::iter::once(here).chain(below).find(|(_, set)| !set.grants_all(&NEEDED)) {
            None => Ok(()),
            Some((lacking, _)) => Err(Error::new(
                ErrorKind::PermissionDenied,
                format!("a program on {path} needs more permissions on {lacking}"),
            )),
        }
    }

    /// Refuses where virtual folders lie above or below, or filters on names count.
    fn require_nothing_special(&self, path: &VirtualPath) -> Result<(), NotForPrograms> {
        let user = self.user();
        let concerns = |other: &str| {
            let other = VirtualPath::new(other);
            other.starts_with(path) || path.starts_with(&other)
        };
        if user.virtual_folders.iter().any(|folder| concerns(&folder.virtual_path)) {
            return Err(NotForPrograms::Place("virtual folders are mounted there"));
        }
        if self.origin.policy.patterns().concern(path) {
            return Err(NotForPrograms::Place("filters on names count there"));
        }
        Ok(())
    }
}

/// A program that is allowed to run: its limits, and what follows its end. Ends with
/// [`SystemCommand::finish`]; dropped before, it is aborted.
pub struct SystemCommand {
    /// The directory that [`SystemCommandRoot::relative`] is relative to.
    pub home: OwnedFd,
    /// Who the program runs as, when that is not who we are (see `OWNER_UNCHANGED`).
    pub account: Option<(u32, u32)>,
    pub umask: u32,
    pub may_create_links: bool,
    receiving: Option<Throttle>,
    sending: Option<Throttle>,
    allowance: Option<Allowance>,
    meter: Meter,
    origin: Arc<Origin>,
    /// Taken by the end.
    ending: Option<(Transfer, Box<End>)>,
}

impl fmt::Debug for SystemCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemCommand")
            .field("session", &self.origin.session_id)
            .finish_non_exhaustive()
    }
}

impl SystemCommand {
    /// The uid to change to, if any.
    pub fn uid(&self) -> Option<u32> {
        self.account.map(|(uid, _)| uid).filter(|uid| *uid != OWNER_UNCHANGED)
    }

    /// The gid to change to, if any.
    pub fn gid(&self) -> Option<u32> {
        self.account.map(|(_, gid)| gid).filter(|gid| *gid != OWNER_UNCHANGED)
    }

    /// Lets `bytes` from the client pass to the program, in the account's bandwidth.
    ///
    /// # Errors
    /// `QuotaExceeded` once more has arrived than there was room for, or than the account
    /// may transfer.
    pub async fn received(&self, bytes: usize) -> Result<()> {
        self.origin.require_alive()?;
        let lease = self.ending.as_ref().and_then(|(_, end)| end.lease.as_ref());
        if let Some(lease) = lease.filter(|lease| lease.is_limited()) {
            lease.take_or_renew(bytes as u64).await.map_err(denied)?;
        }
        limits::take(self.allowance.as_ref(), Direction::Upload, bytes)?;
        if let Some((_, end)) = &self.ending {
            end.received.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        self.pass(self.receiving.as_ref(), bytes).await
    }

    /// Lets `bytes` from the program pass to the client, in the account's bandwidth.
    ///
    /// # Errors
    /// `DownloadQuotaExceeded` when the account may not transfer that much more.
    pub async fn sent(&self, bytes: usize) -> Result<()> {
        self.origin.require_alive()?;
        limits::take(self.allowance.as_ref(), Direction::Download, bytes)?;
        self.pass(self.sending.as_ref(), bytes).await
    }

    async fn pass(&self, throttle: Option<&Throttle>, bytes: usize) -> Result<()> {
        if let Some(throttle) = throttle {
            let kill = self.origin.connection.kill_switch();
            throttle.acquire(bytes, kill, &self.meter).await?;
        }
        self.meter.add(bytes as u64);
        Ok(())
    }

    /// After the program has ended: measures what the account now stores.
    ///
    /// # Errors
    /// `Aborted` when the connection was killed.
    pub async fn finish(mut self) -> Result<()> {
        let Some((transfer, end)) = self.ending.take() else {
            return Err(Error::internal("a system command was ended twice"));
        };
        transfer.finish(end).await.map_err(end_error)
    }
}

impl Drop for SystemCommand {
    fn drop(&mut self) {
        if let Some((transfer, end)) = self.ending.take() {
            transfer.abort(end, AbortReason::Dropped);
        }
    }
}

struct End {
    origin: Arc<Origin>,
    /// Whose usage may have changed.
    owner: Option<QuotaOwner>,
    lease: Option<Lease>,
    /// Bytes that came from the client.
    received: AtomicU64,
    exited: CancellationToken,
}

#[async_trait]
impl TransferEnd for End {
    async fn commit(self: Box<Self>) -> Result<(), BoxError> {
        self.measure().await;
        Ok(())
    }

    async fn abort(self: Box<Self>, _reason: AbortReason) {
        self.measure().await;
    }
}

impl End {
    /// Replaces the usage by what is really stored: nothing else says what a program did.
    async fn measure(self) {
        let Self { origin, owner, lease, received, exited } = self;
        let Some(owner) = owner else { return };
        let services = &origin.services;
        let log = &services.logger;
        let username = &origin.user.username;
        if tokio::time::timeout(PATIENCE, exited.cancelled()).await.is_err() {
            slog::warn!(log, "a system command of {username} does not end");
        }
        // Without a measurement, what came in is the best that is known: counting nothing
        // would be a way around the quota.
        let count_received = || {
            let received = i64::try_from(received.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            drop(services.quota.adjust(owner.account.clone(), received, 0));
        };
        let Some(scan) = begin_scan(&services.quota, &owner).await else {
            slog::warn!(log, "the usage of {username} could not be measured: another scan runs");
            count_received();
            return;
        };
        // Nothing is old enough to be removed as abandoned: that is for whoever knows
        // when the process began.
        let (progress, never) = (ScanProgress::default(), CancellationToken::new());
        let counted = scan::scan_user(&origin.user, services, i64::MIN, &progress, &never).await;
        let outcome = match counted {
            Ok(usage) => scan.finish(usage).await.map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = outcome {
            slog::warn!(log, "the usage of {username} could not be measured: {error}");
            count_received();
        }
        // What was reserved is counted now.
        drop(lease);
    }
}

async fn begin_scan(quota: &Quota, owner: &QuotaOwner) -> Option<Scan> {
    const STEP: Duration = Duration::from_millis(100);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match quota.begin_scan(owner.account.clone()).await {
            Ok(scan) => return Some(scan),
            // It began before the program had ended, and may have missed something.
            Err(ScanRefused::AlreadyScanning) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(STEP).await;
            }
            Err(_) => return None,
        }
    }
}
