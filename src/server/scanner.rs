//! Counting for quota scans.

use actors::{ScanProgress, Usage};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
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
