//! Quota scans for the REST API and after loading a dump.

use actors::{AccountId, Quota, ScanProgress, Usage};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::logging;
use crate::model::{Folder, User};
use crate::vfs::VfsServices;
use crate::vfs::scan;
use crate::web::QuotaScanner;

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

    /// Counts in a task of its own and stores the result. A scan that already runs is
    /// left to finish.
    pub async fn scan_in_background(&self, quota: &Quota, user: User, log: &slog::Logger) {
        let log = logging::for_sender(log, "common");
        let account = AccountId::user(user.username.as_str());
        let Ok(running) = quota.begin_scan(account).await else {
            slog::info!(log, "quota scan of user {} is already running", user.username);
            return;
        };
        let scanner = self.clone();
        tokio::spawn(async move {
            let outcome = match scanner.scan_user(&user, running.progress()).await {
                Ok(usage) => running.finish(usage).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = outcome {
                slog::error!(log, "quota scan of user {}: {error}", user.username);
            }
        });
    }
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
