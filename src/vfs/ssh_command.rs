//! What the commands of SSH need besides the operations that all protocols share.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::effects::Origin;
use super::policy::Operation;
use super::session::Session;
use crate::error::Result;
use crate::paths::VirtualPath;
use crate::storage::ReadHandle;

/// A file whose bytes stay here: a digest of it is no download, so neither hooks nor
/// limits of downloads apply, but the same permission does.
#[derive(Debug)]
pub struct Contents {
    origin: Arc<Origin>,
    handle: Arc<dyn ReadHandle>,
}

impl Session {
    /// Opens `path` to be read and not sent.
    pub async fn contents(&self, path: &VirtualPath) -> Result<Contents> {
        let place = self.enter(Operation::Download(path), path)?;
        let handle = place.mount.storage.open_read(&place.path).await?;
        Ok(Contents { origin: self.origin.clone(), handle })
    }

    /// The log line and the hook of an SSH command that succeeded. `command` is what the
    /// client sent, `path` and `target` what it was about.
    pub async fn ssh_command_done(
        &self,
        command: &str,
        started: Instant,
        path: Option<&VirtualPath>,
        target: Option<&VirtualPath>,
    ) {
        let (path_place, target_place) =
            (path.map(|path| self.mounts.resolve(path)), target.map(|to| self.mounts.resolve(to)));
        let path = path.zip(path_place.as_ref());
        let target = target.zip(target_place.as_ref());
        self.origin.ssh_command_done(command, started, path, target).await;
    }
}

impl Contents {
    /// Fails once the connection is killed. Reading is activity, as nothing else moves while
    /// a digest is made.
    fn require_alive(&self) -> Result<()> {
        self.origin.require_alive()?;
        self.origin.connection.touch();
        Ok(())
    }

    /// Reads at `offset` if that needs no waiting; less than all of `buf` means that the
    /// file ends there.
    pub fn try_read_at(&self, offset: u64, buf: &mut [u8]) -> Option<Result<usize>> {
        if let Err(error) = self.require_alive() {
            return Some(Err(error));
        }
        self.handle.try_read_at(offset, buf)
    }

    /// Up to `len` bytes from `offset`; fewer only at the end, empty past it.
    pub async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.require_alive()?;
        self.handle.read_at(offset, len).await
    }
}
