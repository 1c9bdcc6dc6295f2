//! One client's view of its files: the only door from a protocol to storage.

use std::net::SocketAddr;
use std::sync::Arc;

use actors::{Connection, Protocol};

use super::effects::Origin;
use super::explain::Check;
use super::mounts::{Mounts, Resolved};
use super::open::open_mounts;
use super::options::VfsServices;
use super::policy::{Operation, Policy};
use crate::error::Result;
use crate::model::User;
use crate::paths::VirtualPath;
use crate::storage::{Metadata, OWNER_UNCHANGED};

/// Whose session it is and where it comes from.
#[derive(Debug, Clone)]
pub struct SessionContext {
    pub user: Arc<User>,
    pub connection: Connection,
    /// The id of the session at the registry, in log lines and events.
    pub session_id: Arc<str>,
    pub protocol: Protocol,
    /// Our side of the connection.
    pub local_addr: SocketAddr,
    /// The client's side.
    pub remote_addr: SocketAddr,
    pub services: VfsServices,
}

/// The files of one logged-in account. Every operation checks what the account
/// may do and tells quota, hooks, log and metrics. Errors have the kind that a
/// client may see; a missing permission is `PermissionDenied`, a killed
/// connection `Aborted`.
#[derive(Debug)]
pub struct Session {
    pub(super) origin: Arc<Origin>,
    pub(super) mounts: Arc<Mounts>,
}

impl Session {
    /// Opens the account's home and finds its virtual folders, and creates what is
    /// missing unless `filters.disable_fs_checks` forbids that. A folder that cannot
    /// be used does not keep the account from the rest.
    pub async fn open(context: SessionContext) -> Result<Self> {
        let policy = Policy::of(context.user.clone())?;
        let mounts = open_mounts(&context, policy.patterns()).await?;
        let SessionContext {
            connection,
            session_id,
            protocol,
            local_addr,
            remote_addr,
            services,
            ..
        } = context;
        let addresses = (local_addr, remote_addr);
        let origin = Origin::new(policy, connection, session_id, protocol, addresses, services);
        Ok(Self { origin: Arc::new(origin), mounts: Arc::new(mounts) })
    }

    /// Whose files they are.
    pub fn user(&self) -> &Arc<User> {
        &self.origin.user
    }

    /// Where relative paths begin (`filters.start_directory`).
    pub fn start_directory(&self) -> VirtualPath {
        VirtualPath::new(&self.origin.user.filters.start_directory)
    }

    /// Of what the path leads to in the end.
    pub async fn stat(&self, path: &VirtualPath) -> Result<Metadata> {
        let place = self.enter(Operation::Stat(path), path)?;
        if self.mounts.is_fixed(path) {
            return Ok(self.mounts.fixed_metadata(path).await);
        }
        place.mount.storage.stat(&place.path).await
    }

    /// Of the name itself, which may be a link.
    pub async fn lstat(&self, path: &VirtualPath) -> Result<Metadata> {
        let place = self.enter(Operation::Stat(path), path)?;
        if self.mounts.is_fixed(path) {
            return Ok(self.mounts.fixed_metadata(path).await);
        }
        place.mount.storage.lstat(&place.path).await
    }

    /// What every operation on a path begins with: still connected, allowed,
    /// and this is where it lies.
    pub(super) fn enter(&self, operation: Operation<'_>, path: &VirtualPath) -> Result<Resolved> {
        self.origin.require_alive()?;
        self.decide(operation)?;
        Ok(self.mounts.resolve(path))
    }

    pub(super) fn decide(&self, operation: Operation<'_>) -> Result<()> {
        let (policy, mounts) = (&self.origin.policy, &self.mounts);
        Check::ALL.into_iter().try_for_each(|check| check.ask(policy, mounts, operation))
    }

    pub(super) fn may(&self, operation: Operation<'_>) -> bool {
        self.decide(operation).is_ok()
    }

    /// The mode of a new file or directory. A client's wish counts only if it
    /// could have changed the mode afterwards.
    pub(super) fn mode_of_new(&self, path: &VirtualPath, usual: u32, wish: Option<u32>) -> u32 {
        let options = self.origin.services.options();
        let may_wish = options.setstat_mode != crate::config::SetstatMode::Ignore
            && self.may(Operation::Chmod(path));
        wish.filter(|_| may_wish).unwrap_or(usual) & 0o777 & !options.umask
    }

    pub(super) fn owner_of_new(&self) -> Option<(u32, u32)> {
        owner_of_new_files(&self.origin.user)
    }
}

/// 0 leaves an owner as it is.
pub(super) fn owner_of_new_files(user: &User) -> Option<(u32, u32)> {
    let id = |id: i64| u32::try_from(id).ok().filter(|id| *id != 0).unwrap_or(OWNER_UNCHANGED);
    let owner = (id(user.uid), id(user.gid));
    (owner != (OWNER_UNCHANGED, OWNER_UNCHANGED)).then_some(owner)
}
