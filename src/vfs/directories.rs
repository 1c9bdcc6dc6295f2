//! Making directories.

use std::time::Instant;

use actors::FsAction;

use super::effects::Command;
use super::policy::Operation;
use super::session::Session;
use crate::error::Result;
use crate::logging;
use crate::paths::VirtualPath;

impl Session {
    /// Creates one directory. `mode` is the client's wish; 0777 without one. The
    /// umask applies.
    pub async fn create_dir(&self, path: &VirtualPath, mode: Option<u32>) -> Result<()> {
        let started = Instant::now();
        let place = self.enter(Operation::CreateDir(path), path)?;
        let mode = self.mode_of_new(path, 0o777, mode);
        place.mount.storage.create_dir(&place.path, mode, self.owner_of_new()).await?;
        let command = Command::new(logging::Operation::Mkdir, started, path, &place);
        self.origin.command_done(Command { action: Some(FsAction::Mkdir), ..command }).await;
        Ok(())
    }
}
