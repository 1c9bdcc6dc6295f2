//! Loading a dump, with all that follows from it: for the REST API and the pages.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use actix_web::web::Bytes;
use actors::AccountId;

use crate::error::{ErrorKind, Result};
use crate::logging;
use crate::model::Effective;
use crate::provider::Page;
use crate::provider::backup::{self, LoadMode, LoadOptions, LoadReport, Watch};
use crate::web::error::ApiError;
use crate::web::operations::tasks::{End, Progress, TaskKind};
use crate::web::request::auth::{Admin, Everything};
use crate::web::services::Services;

/// The largest dump that may be loaded through a request; files may be larger.
pub const MAX_DUMP_BYTES: usize = 10 << 20;

/// Which accounts are scanned after a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanAfter {
    Nothing,
    Everything,
    UsersWithQuota,
}

impl ScanAfter {
    /// From 0, 1 and 2 of `scan-quota`.
    pub fn numbered(number: i64) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::UsersWithQuota,
        }
    }
}

/// What is to be loaded, and how.
pub struct RestoreOrder {
    pub json: Bytes,
    pub options: LoadOptions,
    pub scan: ScanAfter,
    /// Whether what is there is written to a backup before.
    pub saves_first: bool,
}

impl Watch for Progress {
    fn expect(&self, steps: u64) {
        Self::expect(self, steps);
    }

    fn steps(&self) -> Arc<AtomicU64> {
        self.counter()
    }

    fn is_stopped(&self) -> bool {
        Self::is_stopped(self)
    }
}

impl Services {
    /// Loads a dump whole or not at all, and does what follows from it. Tells what was done.
    pub async fn restore(
        &self,
        by: &str,
        order: &RestoreOrder,
        watch: &dyn Watch,
    ) -> Result<String> {
        let mut told = String::new();
        if order.saves_first {
            let name = self.save_backup(by).await?;
            told = format!(". What was there before is in {name}");
        }
        let RestoreOrder { json, options, scan, .. } = order;
        let report = backup::load_watched(&self.store, json, *options, watch).await?;
        self.follow_load(by, options.mode, *scan, &report).await;
        let LoadReport { added, updated, skipped, .. } = report;
        Ok(format!("Data restored: {added} added, {updated} updated, {skipped} skipped{told}"))
    }

    /// The same as a task; returns its name.
    ///
    /// # Errors
    /// 429 while too many tasks run.
    pub fn start_restore(
        self: &Arc<Self>,
        admin: &Admin<Everything>,
        order: RestoreOrder,
    ) -> std::result::Result<String, ApiError> {
        let (services, by) = (self.clone(), admin.username().to_owned());
        let title = "Restore a dump".to_owned();
        self.tasks.start(TaskKind::Restore, title, admin.username(), |progress| async move {
            match services.restore(&by, &order, &progress).await {
                Ok(told) => End::Done(told),
                Err(error) if error.kind() == ErrorKind::Aborted => End::Cancelled,
                Err(error) => End::Failed(ApiError::from(error).told().to_owned()),
            }
        })
    }

    /// Writes all that is there to a new file of the backups path; returns its name.
    pub async fn save_backup(&self, by: &str) -> Result<String> {
        let json = backup::to_json(&backup::dump(&self.store).await?, false)?;
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S%.3fZ");
        let name = format!("backup_{now}.json");
        let path = self.backups_path.join(&name);
        let shown = path.display().to_string();
        backup::write_dump(path, json).await?;
        let log = logging::for_sender(&self.log, "httpd");
        slog::info!(log, "admin \"{}\" wrote a dump to {}", by, shown);
        Ok(name)
    }

    async fn follow_load(&self, by: &str, mode: LoadMode, scan: ScanAfter, report: &LoadReport) {
        let log = logging::for_sender(&self.log, "httpd");
        slog::info!(
            log,
            "admin \"{}\" loaded a dump: {} added, {} updated, {} skipped",
            by,
            report.added,
            report.updated,
            report.skipped
        );
        for warning in &report.warnings {
            slog::warn!(log, "dump: {}", warning);
        }
        let disconnect = mode == LoadMode::AddOrUpdateAndDisconnect;
        for username in &report.updated_users {
            self.follow_stored(username, disconnect).await;
        }
        // Others may inherit what has changed.
        self.follow_for_connected(|username| {
            !report.updated_users.iter().any(|updated| updated == username)
        })
        .await;
        if scan != ScanAfter::Nothing {
            if let Err(error) = self.request_scans(scan).await {
                slog::error!(log, "scans after loading a dump were given up: {}", error);
            }
            self.scans.work_off();
        }
    }

    /// Notes which accounts are to be scanned.
    async fn request_scans(&self, which: ScanAfter) -> Result<()> {
        let mut page = Page { limit: Page::MAX_LIMIT, ..Page::default() };
        loop {
            let users = self.store.users(page).await?;
            for user in &users {
                // Limits may be those of a group.
                let Some(Effective { user, .. }) =
                    self.store.effective_user(&user.username).await?
                else {
                    continue;
                };
                if which == ScanAfter::Everything || user.has_quota() {
                    self.scans.request(&AccountId::user(user.username.as_str())).await?;
                }
            }
            if users.len() < Page::MAX_LIMIT as usize {
                break;
            }
            page.offset = page.offset.saturating_add(Page::MAX_LIMIT);
        }
        if which == ScanAfter::UsersWithQuota {
            return Ok(());
        }
        page.offset = 0;
        loop {
            let folders = self.store.folders(page).await?;
            for folder in &folders {
                self.scans.request(&AccountId::folder(folder.name.as_str())).await?;
            }
            if folders.len() < Page::MAX_LIMIT as usize {
                return Ok(());
            }
            page.offset = page.offset.saturating_add(Page::MAX_LIMIT);
        }
    }
}
