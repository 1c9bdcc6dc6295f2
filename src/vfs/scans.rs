//! Which accounts are scanned, and what becomes of what was counted.
//!
//! A scan that was asked for is noted in the data provider until its result is stored,
//! or it has failed: a server that was killed meanwhile takes it up again when it
//! starts. Then it counts from the beginning. What was counted before cannot be trusted:
//! the files may have changed while no server ran, and so may have those that were
//! uploaded or removed in the last second before the kill, which nothing has stored.

use std::sync::Arc;

use actors::{AccountId, Quota, Scan, ScanProgress, ScanRefused, Usage};
use async_trait::async_trait;

use super::finished_scans::{FinishedScan, FinishedScans};
use super::scan::directories_of;
use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::model::{Folder, User};
use crate::provider::Store;

/// How often an account that is changed while it is scanned is scanned anew.
const ROUNDS: usize = 5;

/// Counts the files of an account.
#[async_trait]
pub trait QuotaScanner: Send + Sync {
    /// The home directory and the virtual folders that count to the user's quota.
    async fn scan_user(&self, user: &User, progress: &ScanProgress) -> Result<Usage>;
    /// The folder itself, whoever has it mounted.
    async fn scan_folder(&self, folder: &Folder, progress: &ScanProgress) -> Result<Usage>;
}

/// The scans of this server. Cheap to clone.
#[derive(Clone)]
pub struct Scans {
    store: Store,
    quota: Quota,
    scanner: Arc<dyn QuotaScanner>,
    background: tokio::runtime::Handle,
    log: slog::Logger,
    finished: Arc<FinishedScans>,
}

/// What is counted.
enum Scanned {
    User(Box<User>),
    Folder(Box<Folder>),
}

impl Scanned {
    /// Where its files are; all that a scan depends on.
    fn directories(&self) -> Vec<&str> {
        match self {
            Self::User(user) => directories_of(user).collect(),
            Self::Folder(folder) => vec![&folder.mapped_path],
        }
    }
}

impl Scans {
    /// `background` is where they run.
    pub fn new(
        store: Store,
        quota: Quota,
        scanner: Arc<dyn QuotaScanner>,
        background: tokio::runtime::Handle,
        log: &slog::Logger,
    ) -> Self {
        let (log, finished) = (logging::for_sender(log, "quota"), Arc::default());
        Self { store, quota, scanner, background, log, finished }
    }

    /// What the newest scans have counted.
    pub fn finished(&self) -> Vec<FinishedScan> {
        self.finished.list()
    }

    /// Starts a scan in the background; it is noted when this returns. False while
    /// another one of the account runs.
    pub async fn start(&self, account: AccountId) -> Result<bool> {
        let Some(scan) = self.begin(account.clone()).await? else { return Ok(false) };
        self.store.request_scan(&account).await?;
        let scans = self.clone();
        self.background.spawn(async move { scans.run(scan).await });
        Ok(true)
    }

    /// Notes a scan for [`Scans::work_off`].
    pub async fn request(&self, account: &AccountId) -> Result<()> {
        self.store.request_scan(account).await
    }

    /// Does what is noted, one account after the other in the background. Those that
    /// are being scanned are left alone.
    pub fn work_off(&self) {
        let scans = self.clone();
        self.background.spawn(async move {
            if let Err(error) = scans.work_off_all().await {
                slog::error!(scans.log, "requested scans wait for the next start: {error}");
            }
        });
    }

    async fn work_off_all(&self) -> Result<()> {
        let mut after = None;
        loop {
            let accounts = self.store.requested_scans(after).await?;
            for account in &accounts {
                let Some(scan) = self.begin(account.clone()).await? else { continue };
                slog::info!(self.log, "requested scan of {account} begins");
                if !self.run(scan).await {
                    return Ok(());
                }
            }
            after = accounts.last().cloned();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn begin(&self, account: AccountId) -> Result<Option<Scan>> {
        match self.quota.begin_scan(account).await {
            Ok(scan) => Ok(Some(scan)),
            Err(ScanRefused::AlreadyScanning) => Ok(None),
            Err(refused @ ScanRefused::Gone) => {
                let context = "the quota tracker does not answer";
                Err(Error::with_source(ErrorKind::Unavailable, context, refused))
            }
        }
    }

    /// Counts and stores the result; a failed scan leaves the usage as it was. False when
    /// the server stops.
    async fn run(&self, scan: Scan) -> bool {
        let account = scan.account().clone();
        match self.count(&account, scan.progress()).await {
            Ok(usage) => {
                self.finished.note(account.clone(), Ok((usage.files, usage.size)));
                if let Err(error) = scan.finish(usage).await {
                    // Still noted, should the server end before it is.
                    slog::warn!(self.log, "scan of {account} is not stored yet: {error}");
                    return true;
                }
                let Usage { files, size, .. } = usage;
                slog::info!(self.log, "scan of {account}: {files} files, {size} bytes");
            }
            Err(error) if error.kind() == ErrorKind::Aborted => {
                slog::info!(self.log, "scan of {account} begins anew with the next start");
                return false;
            }
            Err(error) => {
                self.finished.note(account.clone(), Err(error.to_string()));
                slog::error!(self.log, "scan of {account} failed, its usage stays: {error}");
            }
        }
        if let Err(error) = self.store.scan_done(&account).await {
            slog::warn!(self.log, "scan of {account} will be done again: {error}");
        }
        true
    }

    /// Counts where the account has its files in the end: it may be changed meanwhile.
    async fn count(&self, account: &AccountId, progress: &ScanProgress) -> Result<Usage> {
        let mut scanned = self.find(account).await?;
        for _ in 0..ROUNDS {
            let usage = match &scanned {
                Scanned::User(user) => self.scanner.scan_user(user, progress).await?,
                Scanned::Folder(folder) => self.scanner.scan_folder(folder, progress).await?,
            };
            let now = self.find(account).await?;
            if now.directories() == scanned.directories() {
                return Ok(usage);
            }
            slog::info!(self.log, "scan of {account} begins anew: it has other directories now");
            scanned = now;
        }
        Err(Error::new(ErrorKind::Conflict, "its directories changed again and again"))
    }

    async fn find(&self, account: &AccountId) -> Result<Scanned> {
        let found = match account {
            // Limits and home may be those of a group.
            AccountId::User(name) => {
                let effective = self.store.effective_user(name).await?;
                effective.map(|effective| Scanned::User(Box::new(effective.user)))
            }
            AccountId::Folder(name) => {
                self.store.folder(name).await?.map(|folder| Scanned::Folder(Box::new(folder)))
            }
        };
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "the account was deleted"))
    }
}
