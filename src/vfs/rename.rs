//! Renaming.

use std::time::Instant;

use actors::FsAction;

use super::effects::Command;
use super::policy::{Operation, Renamed};
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::paths::VirtualPath;
use crate::storage::FileKind;

impl Session {
    /// Renames, replacing an existing file. Onto a directory is `IsADirectory`.
    ///
    /// # Errors
    /// `PermissionDenied` also when the target exists and may not be overwritten.
    pub async fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        self.origin.require_alive()?;
        // What it is matters only where the answers differ; and who may rename
        // nothing here does not learn what exists.
        let rename = |what| self.decide(Operation::Rename(what, from, to));
        let answers = [Renamed::File, Renamed::Symlink, Renamed::Directory].map(rename);
        if answers.iter().all(Result::is_err) {
            return rename(Renamed::File);
        }
        let (source, target) = (self.mounts.resolve(from), self.mounts.resolve(to));
        if !source.is_in_same_mount(&target) {
            let context = format!("rename {from} to {to}: they are in different storages");
            return Err(Error::new(ErrorKind::Unsupported, context));
        }
        let storage = &source.mount.storage;
        if answers.iter().any(Result::is_err) {
            rename(match storage.lstat(&source.path).await?.kind {
                FileKind::Directory => Renamed::Directory,
                FileKind::Symlink => Renamed::Symlink,
                FileKind::File | FileKind::Other => Renamed::File,
            })?;
        }
        let may_replace = self.may(Operation::ReplaceByRename(to));
        let turns = self.origin.services.ledger.turns(&[&target]).await;
        let renamed = storage.rename(&source.path, &target.path, may_replace).await;
        let replaced = renamed.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists if !may_replace => Error::new(
                ErrorKind::PermissionDenied,
                format!("permission overwrite is missing for {to}"),
            ),
            _ => error,
        })?;
        if let (Some(owner), Some(replaced)) = (&target.mount.quota, replaced) {
            let delta = self.origin.services.ledger.settle_gone(&owner.account, &replaced);
            self.origin.adjust(&target, delta);
        }
        drop(turns);
        let command = Command::new(logging::Operation::Rename, started, from, &source);
        self.origin
            .command_done(Command {
                action: Some(FsAction::Rename),
                target: Some((to, &target)),
                ..command
            })
            .await;
        Ok(())
    }
}
