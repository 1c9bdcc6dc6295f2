//! Removing files, links and empty directories.

use std::time::Instant;

use actors::FsAction;

use super::effects::Command;
use super::policy::Operation;
use super::session::Session;
use crate::error::Result;
use crate::logging;
use crate::paths::VirtualPath;

impl Session {
    /// Removes a file or a link; a directory is `IsADirectory`.
    pub async fn remove_file(&self, path: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        let place = self.enter(Operation::RemoveFile(path), path)?;
        self.origin.ask_hook(FsAction::PreDelete, path, &place).await?;
        let turn = self.origin.services.ledger.turns(&[&place]).await;
        let removed = place.mount.storage.remove_file(&place.path).await?;
        if let Some(owner) = &place.mount.quota {
            let delta = self.origin.services.ledger.settle_gone(&owner.account, &removed);
            self.origin.adjust(&place, delta);
        }
        drop(turn);
        let command = Command::new(logging::Operation::Remove, started, path, &place);
        self.origin
            .command_done(Command {
                action: Some(FsAction::Delete),
                file_size: Some(removed.size),
                ..command
            })
            .await;
        Ok(())
    }

    /// Removes an empty directory.
    pub async fn remove_dir(&self, path: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        let place = self.enter(Operation::RemoveDir(path), path)?;
        place.mount.storage.remove_dir(&place.path).await?;
        let command = Command::new(logging::Operation::Rmdir, started, path, &place);
        self.origin.command_done(Command { action: Some(FsAction::Rmdir), ..command }).await;
        Ok(())
    }
}
