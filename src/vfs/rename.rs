//! Renaming.

use std::time::Instant;

use actors::FsAction;

use super::effects::{Command, to_its_end};
use super::mounts::Resolved;
use super::policy::{Operation, Renamed};
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::paths::VirtualPath;
use crate::storage::{FileKind, Kinds, RenameMode};

impl Session {
    /// Renames, replacing an existing file. Onto a directory is `IsADirectory`. From
    /// one mount to another this may be a copy, see [`super::relocate`].
    ///
    /// # Errors
    /// `PermissionDenied` also when the target exists and may not be overwritten.
    pub async fn rename(&self, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        self.origin.require_alive()?;
        // What it is matters only where the answers differ; and who may rename
        // nothing here does not learn what exists.
        let rename = |what| self.decide(Operation::Rename(what, from, to));
        let kinds = Kinds {
            files: rename(Renamed::File).is_ok(),
            links: rename(Renamed::Symlink).is_ok(),
            directories: rename(Renamed::Directory).is_ok(),
        };
        if !kinds.files && !kinds.links && !kinds.directories {
            return rename(Renamed::File);
        }
        let (source, target) = (self.mounts.resolve(from), self.mounts.resolve(to));
        let storage = &source.mount.storage;
        if kinds != Kinds::ALL {
            // For the reason alone: by the time it is renamed, it may be another thing.
            rename(match storage.lstat(&source.path).await?.kind {
                FileKind::Directory => Renamed::Directory,
                FileKind::Symlink => Renamed::Symlink,
                FileKind::File | FileKind::Other => Renamed::File,
            })?;
        }
        if source.is_in_same_mount(&target) {
            self.rename_within(to, &source, &target, kinds).await?;
        } else {
            self.rename_across(from, to, kinds).await?;
        }
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

    async fn rename_within(
        &self,
        to: &VirtualPath,
        source: &Resolved,
        target: &Resolved,
        kinds: Kinds,
    ) -> Result<()> {
        let may_replace = self.may(Operation::ReplaceByRename(to));
        let origin = self.origin.clone();
        let (source, target) = (source.clone(), target.clone());
        let renamed = to_its_end(async move {
            let turn = origin.services.ledger.turns(&[&target]).await;
            let storage = &source.mount.storage;
            let how = RenameMode { replace: may_replace, kinds };
            let replaced = storage.rename(&source.path, &target.path, how).await?;
            if let Some(replaced) = replaced {
                origin.settle_gone(&target, &replaced);
            }
            drop(turn);
            Ok(())
        });
        renamed.await.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists if !may_replace => Error::new(
                ErrorKind::PermissionDenied,
                format!("permission overwrite is missing for {to}"),
            ),
            _ => error,
        })
    }
}
