//! Names of things: protocols, connections, sessions, quota accounts.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

/// What a session speaks. An SSH connection carries SFTP, SCP and SSH sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Ssh,
    Sftp,
    Scp,
    Ftp,
    Dav,
    Http,
}

impl Protocol {
    /// The name in logs, session ids and the REST API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "SSH",
            Self::Sftp => "SFTP",
            Self::Scp => "SCP",
            Self::Ftp => "FTP",
            Self::Dav => "DAV",
            Self::Http => "HTTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One accepted connection: 16 lower-case hexadecimal digits, random, unique
/// among the connections of this process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(Arc<str>);

impl ConnectionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ConnectionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Deals connection ids. They name, they do not authorise: nothing trusts
/// whoever knows one, so a hash keyed by the operating system's randomness is
/// random enough.
#[derive(Debug, Default)]
pub(crate) struct ConnectionIds {
    key: RandomState,
    dealt: u64,
}

impl ConnectionIds {
    pub(crate) fn next(&mut self) -> ConnectionId {
        self.dealt = self.dealt.wrapping_add(1);
        ConnectionId(format!("{:016x}", self.key.hash_one(self.dealt)).into())
    }
}

/// The id of the `n`th session of a connection, as `SFTP_00c0ffee00c0ffee_1`.
pub(crate) fn session_id(protocol: Protocol, connection: &ConnectionId, n: u32) -> Arc<str> {
    format!("{protocol}_{connection}_{n}").into()
}

/// Who owns a quota: an account, or a shared folder with a limit of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountId {
    User(Arc<str>),
    Folder(Arc<str>),
}

impl AccountId {
    pub fn user(name: impl Into<Arc<str>>) -> Self {
        Self::User(name.into())
    }

    pub fn folder(name: impl Into<Arc<str>>) -> Self {
        Self::Folder(name.into())
    }

    /// The name of the account or folder.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Folder(name) => name,
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name:?}"),
            Self::Folder(name) => write!(f, "folder {name:?}"),
        }
    }
}

/// Which way the bytes of a transfer flow, seen by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Upload,
    Download,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn connection_ids_are_lower_case_hex_and_differ() {
        let mut ids = ConnectionIds::default();
        let dealt: HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(dealt.len(), 10_000);
        for id in dealt {
            assert_eq!(id.as_str().len(), 16);
            assert!(id.as_str().bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        }
    }

    #[test]
    fn session_id_names_protocol_connection_and_number() {
        let id = ConnectionIds::default().next();
        assert_eq!(&*session_id(Protocol::Sftp, &id, 3), format!("SFTP_{id}_3"));
    }
}
