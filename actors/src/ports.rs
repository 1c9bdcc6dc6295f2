//! What actors need from above: narrow traits that upper layers implement, so
//! that nothing here knows a database or a program.

use std::sync::Arc;

use async_trait::async_trait;

use crate::events::{Event, FsAction};
use crate::ids::AccountId;
use crate::transfer::AbortReason;

/// The error of a port. Its text reaches the caller and the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What an account stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub size: u64,
    /// Number of files.
    pub files: u64,
    /// When it last changed, in milliseconds since the Unix epoch; 0 for never.
    pub updated_unix_ms: u64,
}

/// A change of an account's usage; negative when files shrink or go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageDelta {
    pub bytes: i64,
    pub files: i64,
}

impl UsageDelta {
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Saturates instead of wrapping.
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            files: self.files.saturating_add(other.files),
        }
    }
}

impl Usage {
    /// Adds a change; never below zero.
    pub fn plus(self, delta: UsageDelta) -> Self {
        Self {
            size: self.size.saturating_add_signed(delta.bytes),
            files: self.files.saturating_add_signed(delta.files),
            ..self
        }
    }
}

/// What an account has transferred since its counters were last reset, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    pub uploaded: u64,
    pub downloaded: u64,
}

/// A change of [`Transferred`]; negative when an administrator resets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferredDelta {
    pub uploaded: i64,
    pub downloaded: i64,
}

impl TransferredDelta {
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl Transferred {
    /// The change from `before` to this.
    pub fn since(self, before: Self) -> TransferredDelta {
        // Two's complement: the difference is right whichever is larger.
        TransferredDelta {
            uploaded: self.uploaded.wrapping_sub(before.uploaded) as i64,
            downloaded: self.downloaded.wrapping_sub(before.downloaded) as i64,
        }
    }

    /// Adds a change; never below zero.
    pub fn plus(self, delta: TransferredDelta) -> Self {
        Self {
            uploaded: self.uploaded.saturating_add_signed(delta.uploaded),
            downloaded: self.downloaded.saturating_add_signed(delta.downloaded),
        }
    }
}

/// Where usage is kept between starts. Implemented by the data provider; its
/// futures run on the worker pool.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// The stored usage. An account that does not exist has none: zero, not an error.
    async fn load(&self, account: &AccountId) -> Result<Usage, BoxError>;

    /// Adds all deltas, or none when it fails (they are then sent again, merged
    /// with newer ones). A sum below zero is stored as zero. An account that no
    /// longer exists is skipped; an error would make its delta return forever.
    async fn add(&self, deltas: Vec<(AccountId, UsageDelta)>) -> Result<(), BoxError>;

    /// Replaces the stored usage.
    async fn set(&self, account: &AccountId, usage: Usage) -> Result<(), BoxError>;

    /// As [`UsageStore::load`] for what the account has transferred.
    async fn load_transferred(&self, account: &AccountId) -> Result<Transferred, BoxError>;

    /// As [`UsageStore::add`] for what accounts have transferred.
    async fn add_transferred(
        &self,
        deltas: Vec<(AccountId, TransferredDelta)>,
    ) -> Result<(), BoxError>;
}

/// The answer of a hook that is asked before an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
}

/// Runs hooks: programs and HTTP calls. Implemented in the product's `hooks`;
/// it sets its own time limits and logs its own failures.
#[async_trait]
pub trait HookRunner: Send + Sync {
    /// Whether a hook is configured for this action. Callers skip building the
    /// event when it is not. Must be cheap.
    fn wants(&self, action: FsAction) -> bool {
        let _ = action;
        true
    }

    /// Which hook the event goes to: its command or URL. Events with the same
    /// target share one running count. Must be cheap and must not block.
    fn target(&self, event: &Event) -> Arc<str> {
        let _ = event;
        Arc::from("default")
    }

    /// Tells that something happened.
    async fn notify(&self, event: &Event) -> Result<(), BoxError>;

    /// Asks whether something may happen. An error denies.
    async fn decide(&self, event: &Event) -> Result<Verdict, BoxError>;
}

/// The end of one transfer, run exactly once, on the worker pool: either
/// `commit` or `abort`. Implemented by the VFS.
#[async_trait]
pub trait TransferEnd: Send {
    /// Makes the file real: flush, rename, settle the quota, queue the hook, log.
    /// A commit that fails must have undone what it did; `abort` does not follow.
    async fn commit(self: Box<Self>) -> Result<(), BoxError>;

    /// Leaves nothing behind.
    async fn abort(self: Box<Self>, reason: AbortReason);
}
