//! What the virtual file system needs from the configuration and from the server.

use std::path::PathBuf;
use std::sync::Arc;

use actors::{Hooks, Quota};
use slog::Logger;

use super::ledger::Ledger;
use crate::config::{CommonConfig, DataProviderConfig, SetstatMode, TrackQuota, UploadMode};
use crate::metrics::Metrics;
use crate::provider::Store;
use crate::storage::Atomicity;

/// The settings that decide how files are handled, from `common` and `data_provider`.
#[derive(Debug, Clone)]
pub struct VfsOptions {
    /// Where the bytes of an upload are until it ends.
    pub upload_mode: Atomicity,
    pub setstat_mode: SetstatMode,
    /// Bits: 1 links on local storage, 2 links on remote SFTP storage.
    pub symlink_mode: u8,
    /// Bits that new files and directories do not get.
    pub umask: u32,
    /// Where atomic uploads are until they end; `None`: next to their target.
    pub temp_path: Option<PathBuf>,
    pub track_quota: TrackQuota,
}

impl VfsOptions {
    /// Reads the umask of the process where `common.umask` is not set.
    pub fn from_config(common: &CommonConfig, data_provider: &DataProviderConfig) -> Self {
        Self {
            upload_mode: match common.upload_mode {
                UploadMode::Standard => Atomicity::Direct,
                UploadMode::Atomic => Atomicity::Atomic,
                UploadMode::AtomicWithResume => Atomicity::AtomicResumable,
            },
            setstat_mode: common.setstat_mode,
            symlink_mode: common.symlink_mode,
            umask: common.umask.0.unwrap_or_else(process_umask),
            temp_path: (!common.temp_path.is_empty()).then(|| PathBuf::from(&common.temp_path)),
            track_quota: data_provider.track_quota,
        }
    }
}

/// Without changing it, even for a moment: other threads may be creating files.
fn process_umask() -> u32 {
    const USUAL: u32 = 0o022;
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return USUAL };
    status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(USUAL)
}

/// What all sessions of a server share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VfsServices {
    pub(super) options: Arc<VfsOptions>,
    pub(super) quota: Quota,
    pub(super) hooks: Hooks,
    pub(super) metrics: Arc<Metrics>,
    pub(super) logger: Logger,
    pub(super) ledger: Arc<Ledger>,
    /// Where accounts have it noted that they transferred something.
    pub(super) store: Option<Store>,
}

impl VfsServices {
    /// One per server: two would not know of each other's open uploads.
    pub fn new(
        options: VfsOptions,
        quota: Quota,
        hooks: Hooks,
        metrics: Arc<Metrics>,
        logger: Logger,
    ) -> Self {
        Self {
            options: Arc::new(options),
            quota,
            hooks,
            metrics,
            logger,
            ledger: Arc::new(Ledger::default()),
            store: None,
        }
    }

    /// Notes with the accounts of `store` when they first transferred something.
    pub fn noting_first_transfers(self, store: Store) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The settings that are in use.
    pub fn options(&self) -> &VfsOptions {
        &self.options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_umask_is_that_of_the_process() {
        let (mut common, provider) = (CommonConfig::default(), DataProviderConfig::default());
        let inherited = VfsOptions::from_config(&common, &provider).umask;
        assert!(inherited <= 0o777);
        common.umask.0 = Some(0o027);
        assert_eq!(VfsOptions::from_config(&common, &provider).umask, 0o027);
    }
}
