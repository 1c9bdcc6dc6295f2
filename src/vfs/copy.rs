//! Copying a file or a tree without the client's help.

use std::time::Instant;

use actors::FsAction;

use super::effects::Command;
use super::policy::Operation;
use super::relocate::Purpose;
use super::session::Session;
use crate::error::{Error, Result};
use crate::logging;
use crate::paths::VirtualPath;

impl Session {
    /// Copies a file, replacing an existing one, or a directory with all that is in
    /// it, also from and into virtual folders; links and special files in it are left
    /// out. Modes and times are kept as far as the storage can.
    ///
    /// # Errors
    /// `InvalidInput` for something copied into or onto itself; `PermissionDenied`
    /// also when the target exists and may not be overwritten, or something in the
    /// tree may not be copied; `QuotaExceeded` when there is no room. After an error
    /// nothing new is at the target.
    pub async fn copy(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        self.origin.require_alive()?;
        self.decide(Operation::Copy(from, to))?;
        let work = self.examine(from, to, Purpose::Copy).await?;
        if work.is_same {
            return Err(Error::invalid(format!("{from} and {to} are the same file")));
        }
        let (source, target) = (work.source.clone(), work.target.clone());
        let copied = self.relocate(work).await?;
        let command = Command::new(logging::Operation::Copy, started, from, &source);
        self.origin
            .command_done(Command {
                action: Some(FsAction::Copy),
                target: Some((to, &target)),
                file_size: Some(copied),
                ..command
            })
            .await;
        Ok(())
    }
}
