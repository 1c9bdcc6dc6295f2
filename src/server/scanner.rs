//! Counting for quota scans, and where nothing is stored.

use actors::{AccountId, Quota, Scan, ScanProgress, Usage};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Folder, User};
use crate::vfs::VfsServices;
use crate::vfs::scan;
use crate::vfs::scans::QuotaScanner;

/// Counts files through `vfs`.
#[derive(Clone)]
pub struct Scanner {
    vfs: VfsServices,
    /// What uploads of an earlier process left behind is older than this.
    started_unix_secs: i64,
    /// Ends every scan when the server stops.
    stop: CancellationToken,
}

impl Scanner {
    pub fn new(vfs: VfsServices, started_unix_secs: i64, stop: CancellationToken) -> Self {
        Self { vfs, started_unix_secs, stop }
    }

    /// Counts what the limits of an account need, and stores the result: for a store that
    /// knows nothing yet, before anybody uses the account.
    pub async fn measure(&self, quota: &Quota, user: &User) -> Result<()> {
        if user.has_quota() {
            let running = begin(quota, AccountId::user(user.username.as_str())).await?;
            let usage = self.scan_user(user, running.progress()).await?;
            finish(running, usage).await?;
        }
        for mount in &user.virtual_folders {
            if mount.quota_size > 0 || mount.quota_files > 0 {
                let running = begin(quota, AccountId::folder(mount.folder.name.as_str())).await?;
                let usage = self.scan_folder(&mount.folder, running.progress()).await?;
                finish(running, usage).await?;
            }
        }
        Ok(())
    }
}

async fn begin(quota: &Quota, account: AccountId) -> Result<Scan> {
    let name = account.name().to_owned();
    quota.begin_scan(account).await.map_err(|refused| {
        Error::internal(format!("quota scan of {name:?} cannot begin: {refused:?}"))
    })
}

async fn finish(running: Scan, usage: Usage) -> Result<()> {
    let name = running.account().name().to_owned();
    let finished = running.finish(usage).await;
    finished.map(drop).map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, format!("quota scan of {name:?}"), error)
    })
}

#[async_trait]
impl QuotaScanner for Scanner {
    async fn scan_user(&self, user: &User, progress: &ScanProgress) -> Result<Usage> {
        scan::scan_user(user, &self.vfs, self.started_unix_secs, progress, &self.stop).await
    }

    async fn scan_folder(&self, folder: &Folder, progress: &ScanProgress) -> Result<Usage> {
        scan::scan_folder(folder, &self.vfs, self.started_unix_secs, progress, &self.stop).await
    }
}
