//! Which storage a virtual path lies in: the only place that turns a
//! [`VirtualPath`] into a [`StoragePath`] and back.
//!
//! Today the home is the only mount. A virtual folder becomes a second entry,
//! and [`Mounts::resolve`] then picks the deepest one above the path.

use std::sync::Arc;

use actors::{AccountId, Limits};

use crate::config::TrackQuota;
use crate::metrics::Backend;
use crate::model::User;
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::Storage;

/// A storage at a place in the virtual tree.
#[derive(Debug)]
pub(super) struct Mount {
    pub(super) at: VirtualPath,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) backend: Backend,
    /// Whose quota counts what is stored here; `None` when nobody's does.
    pub(super) quota: Option<QuotaOwner>,
}

/// Who pays for what is stored.
#[derive(Debug, Clone)]
pub(super) struct QuotaOwner {
    pub(super) account: AccountId,
    pub(super) limits: Limits,
}

impl QuotaOwner {
    /// The user as the owner of its home, by `data_provider.track_quota`.
    pub(super) fn of_home(user: &User, track: TrackQuota) -> Option<Self> {
        let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
        let limits = Limits { size: limit(user.quota_size), files: limit(user.quota_files) };
        let is_tracked = match track {
            TrackQuota::Off => false,
            TrackQuota::Always => true,
            TrackQuota::WithLimits => limits != Limits::default(),
        };
        is_tracked.then(|| Self { account: AccountId::user(user.username.as_str()), limits })
    }
}

/// A virtual path and where it is stored.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) mount: Arc<Mount>,
    pub(super) path: StoragePath,
}

impl Resolved {
    /// The path that a log line or a hook shows.
    pub(super) fn display(&self) -> String {
        self.mount.storage.display_path(&self.path)
    }

    pub(super) fn is_in_same_mount(&self, other: &Resolved) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount)
    }
}

/// All mounts of an account.
#[derive(Debug)]
pub(super) struct Mounts {
    home: Arc<Mount>,
}

impl Mounts {
    pub(super) fn new(home: Mount) -> Self {
        Self { home: Arc::new(home) }
    }

    pub(super) fn resolve(&self, path: &VirtualPath) -> Resolved {
        // Everything is below the home's mount point, the root.
        let below = path.strip_prefix(&self.home.at).unwrap_or_default();
        Resolved { mount: self.home.clone(), path: StoragePath::new(below) }
    }
}
