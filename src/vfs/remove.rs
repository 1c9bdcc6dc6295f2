//! Removing files, links and empty directories.

use std::time::Instant;

use actors::FsAction;

use super::effects::{Command, to_its_end};
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
        let removed = match place.account() {
            None => place.mount.storage.remove_file(&place.path).await?,
            Some(_) => {
                let (origin, place) = (self.origin.clone(), place.clone());
                to_its_end(async move { origin.remove(&place).await }).await?
            }
        };
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
