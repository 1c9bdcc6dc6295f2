//! What hooks are told: typed events, rendered to environment variables or JSON
//! by whoever runs the hook.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ids::Protocol;

/// Something a hook may be told about or asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happens to a file or a directory.
    Fs(FsEvent),
}

impl Event {
    pub fn action(&self) -> FsAction {
        match self {
            Self::Fs(event) => event.action,
        }
    }
}

impl From<FsEvent> for Event {
    fn from(event: FsEvent) -> Self {
        Self::Fs(event)
    }
}

/// What is done to a file. The `Pre` actions are asked ([`crate::Hooks::decide`])
/// before the operation; the others are told ([`crate::Hooks::notify`]) after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FsAction {
    PreDownload,
    Download,
    /// The first download of an account, told in addition to `Download`.
    FirstDownload,
    PreUpload,
    Upload,
    /// The first upload of an account, told in addition to `Upload`.
    FirstUpload,
    PreDelete,
    Delete,
    Rename,
    Copy,
    Mkdir,
    Rmdir,
    SshCmd,
}

impl FsAction {
    pub const ALL: [Self; 13] = [
        Self::PreDownload,
        Self::Download,
        Self::FirstDownload,
        Self::PreUpload,
        Self::Upload,
        Self::FirstUpload,
        Self::PreDelete,
        Self::Delete,
        Self::Rename,
        Self::Copy,
        Self::Mkdir,
        Self::Rmdir,
        Self::SshCmd,
    ];

    /// The name in the configuration (`actions.execute_on`) and in hooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreDownload => "pre-download",
            Self::Download => "download",
            Self::FirstDownload => "first-download",
            Self::PreUpload => "pre-upload",
            Self::Upload => "upload",
            Self::FirstUpload => "first-upload",
            Self::PreDelete => "pre-delete",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::Copy => "copy",
            Self::Mkdir => "mkdir",
            Self::Rmdir => "rmdir",
            Self::SshCmd => "ssh_cmd",
        }
    }

    /// The action with this configuration name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Whether it is asked before the operation instead of told after it.
    pub fn is_asked(self) -> bool {
        matches!(self, Self::PreDownload | Self::PreUpload | Self::PreDelete)
    }
}

impl fmt::Display for FsAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the operation ended; the number is the wire value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FsStatus {
    #[default]
    Ok = 1,
    Error = 2,
    QuotaExceeded = 3,
}

impl FsStatus {
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Something happened, or is about to happen, to a file or a directory.
///
/// Paths are bytes: file names need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsEvent {
    pub action: FsAction,
    pub username: Arc<str>,
    /// The full path in the storage.
    pub path: Vec<u8>,
    /// The storage path of the target of a rename, a copy, some SSH commands.
    pub target_path: Option<Vec<u8>>,
    /// The path that the client sees.
    pub virtual_path: Vec<u8>,
    pub virtual_target_path: Option<Vec<u8>>,
    /// The command of an `ssh_cmd` event, as received.
    pub ssh_cmd: Option<String>,
    /// Bytes; for uploads, downloads, deletes and copies.
    pub file_size: Option<u64>,
    /// How long the operation took, in milliseconds.
    pub elapsed_ms: Option<u64>,
    /// 0 local, 1 S3, 2 GCS, 3 Azure, 4 encrypted local, 5 SFTP, 6 HTTP.
    pub fs_provider: u8,
    /// Bucket or container; `None` for storages without one.
    pub bucket: Option<String>,
    /// Endpoint of the remote storage, if configured.
    pub endpoint: Option<String>,
    pub status: FsStatus,
    pub protocol: Protocol,
    /// The client; `None` when the server itself acts.
    pub ip: Option<IpAddr>,
    pub session_id: Arc<str>,
    pub role: Option<String>,
    /// The open flags of a `pre-upload`, as received.
    pub open_flags: Option<u32>,
    /// Nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    pub metadata: BTreeMap<String, String>,
    /// Whether the file lies on a local disk.
    pub is_local_file: bool,
}

impl FsEvent {
    /// An event that happens now and succeeded; the caller fills in what else it knows.
    pub fn new(action: FsAction, protocol: Protocol, username: impl Into<Arc<str>>) -> Self {
        let timestamp_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_nanos()).ok())
            .unwrap_or(0);
        Self {
            action,
            username: username.into(),
            path: Vec::new(),
            target_path: None,
            virtual_path: Vec::new(),
            virtual_target_path: None,
            ssh_cmd: None,
            file_size: None,
            elapsed_ms: None,
            fs_provider: 0,
            bucket: None,
            endpoint: None,
            status: FsStatus::Ok,
            protocol,
            ip: None,
            session_id: Arc::from(""),
            role: None,
            open_flags: None,
            timestamp_ns,
            metadata: BTreeMap::new(),
            is_local_file: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name() {
        for action in FsAction::ALL {
            assert_eq!(FsAction::parse(action.as_str()), Some(action));
        }
        assert_eq!(FsAction::parse("UPLOAD"), None);
    }

    #[test]
    fn only_the_pre_actions_are_asked() {
        for action in FsAction::ALL {
            assert_eq!(action.is_asked(), action.as_str().starts_with("pre-"), "{action}");
        }
    }
}
