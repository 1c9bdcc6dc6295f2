//! What may be asked for, and why it may be refused.

use std::fmt;

use crate::ids::AccountId;
use crate::ports::Usage;

/// What an account may store; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub size: Option<u64>,
    /// Number of files.
    pub files: Option<u64>,
}

impl Limits {
    pub(super) fn is_none(self) -> bool {
        self.size.is_none() && self.files.is_none()
    }
}

/// What an upload wants to reserve when it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// Bytes that must fit; 0 when the size is not known. An account at its
    /// limit is denied even then.
    pub bytes: u64,
    /// 1 for a new file, 0 for an existing one.
    pub files: u64,
}

/// Why a reservation was not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The size limit is reached.
    Size,
    /// The limit of files is reached.
    Files,
    /// The usage could not be read; the text is for the log.
    Unavailable(String),
}

impl Denied {
    pub(super) fn tracker_gone() -> Self {
        Self::Unavailable("the quota tracker has failed".into())
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("the size quota is exceeded"),
            Self::Files => f.write_str("the quota of files is exceeded"),
            Self::Unavailable(why) => write!(f, "the quota cannot be checked: {why}"),
        }
    }
}

impl std::error::Error for Denied {}

/// Usage could not be read or written; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageUnavailable(pub String);

impl UsageUnavailable {
    pub(super) fn tracker_gone() -> Self {
        Self("the quota tracker has failed".into())
    }
}

impl fmt::Display for UsageUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usage is unavailable: {}", self.0)
    }
}

impl std::error::Error for UsageUnavailable {}

/// Why a scan may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanRefused {
    /// One scan per account at a time.
    AlreadyScanning,
    /// The tracker is dead.
    Gone,
}

impl fmt::Display for ScanRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyScanning => "a quota scan is already running",
            Self::Gone => "the quota tracker has failed",
        })
    }
}

impl std::error::Error for ScanRefused {}

/// How [`Quota::set_usage`] combines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMode {
    /// The given usage replaces the present one.
    Reset,
    /// The given usage is added.
    Add,
}

/// Why usage was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUsageError {
    /// The scan would overwrite it.
    ScanRunning,
    /// It is set, but could not be written yet; it will be tried again.
    Unavailable(UsageUnavailable),
}

impl fmt::Display for SetUsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScanRunning => f.write_str("a quota scan is running"),
            Self::Unavailable(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for SetUsageError {}

/// A running scan, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    pub account: AccountId,
    /// Milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Regular files counted so far.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Directories entered so far.
    pub directories: u64,
}

/// What a finished scan left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOutcome {
    /// The usage that now counts.
    pub usage: Usage,
    /// Something settled while the scan ran: the usage may be too high.
    pub was_disturbed: bool,
}
