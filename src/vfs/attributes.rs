//! Changing mode, owner, times and size: of a path, or of an open file.

use std::time::Instant;

use actors::Want;

use super::download::Download;
use super::effects::{Command, Origin};
use super::mounts::Resolved;
use super::policy::Operation;
use super::session::Session;
use super::upload::Upload;
use crate::config::SetstatMode;
use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::paths::VirtualPath;
use crate::storage::{Metadata, SetAttributes};

impl Session {
    /// Changes what `wanted` holds. Everything is checked before anything is
    /// changed. `common.setstat_mode` may make all but the size a success
    /// without effect.
    pub async fn set_attributes(&self, path: &VirtualPath, wanted: SetAttributes) -> Result<()> {
        let started = Instant::now();
        self.origin.require_alive()?;
        if wanted.size.is_some() {
            self.decide(Operation::Truncate(path))?;
        }
        decide_but_size(&self.origin, path, &wanted)?;
        if wanted.mode.is_some() || wanted.owner.is_some() {
            self.mounts.protect(Operation::Chmod(path))?;
        }
        let place = self.mounts.resolve(path);
        let wanted = effective(&self.origin, &place, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        match wanted.size {
            None => {
                place.mount.storage.set_attributes(&place.path, wanted).await?;
            }
            Some(size) => {
                if let Err(too_large) = self.origin.limits.check_file_size(size) {
                    // Larger than it may be made, but it is made smaller.
                    let found = place.mount.storage.stat(&place.path).await?;
                    if size > found.size {
                        return Err(too_large);
                    }
                }
                self.set_with_size(&place, wanted, size).await?;
            }
        }
        changed(&self.origin, started, path, &place, &wanted).await;
        Ok(())
    }

    /// Reserves the growth, changes, and counts the difference.
    async fn set_with_size(
        &self,
        place: &Resolved,
        wanted: SetAttributes,
        size: u64,
    ) -> Result<()> {
        let storage = &place.mount.storage;
        let Some(owner) = &place.mount.quota else {
            return storage.set_attributes(&place.path, wanted).await.map(drop);
        };
        let _turn = self.origin.services.ledger.turns(&[place]).await;
        let found = storage.stat(&place.path).await?;
        let lease = match size.checked_sub(found.size) {
            None | Some(0) => None,
            Some(growth) => {
                Some(self.origin.reserve(owner, Want { bytes: growth, files: 0 }).await?)
            }
        };
        let before = storage.set_attributes(&place.path, wanted).await?;
        let delta = self.origin.services.ledger.settle(
            &owner.account,
            before.id,
            Some(before.size),
            Some(size),
        );
        match lease {
            Some(lease) => drop(lease.settle(delta.bytes, delta.files)),
            None => self.origin.adjust(place, delta),
        }
        Ok(())
    }
}

impl Upload {
    /// Changes attributes of the file that is written. Setting the size needs
    /// no more rights than the upload had.
    pub async fn set_attributes(&self, wanted: SetAttributes) -> Result<()> {
        let started = Instant::now();
        let running = self.running();
        running.require_sound()?;
        decide_but_size(&running.origin, &running.virtual_path, &wanted)?;
        let wanted = effective(&running.origin, &running.place, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        if let Some(size) = wanted.size {
            self.pay_up_to(size).await.map_err(|error| running.fail(error))?;
        }
        let changing = self.handle().set_attributes(wanted).await;
        if let (Some(size), true) = (wanted.size, changing.is_ok()) {
            self.resized(size);
        }
        finish_open(
            &running.origin,
            started,
            &running.virtual_path,
            &running.place,
            wanted,
            changing,
        )
        .await
    }
}

impl Download {
    /// Changes attributes of the file that is read, but never its size.
    pub async fn set_attributes(&self, wanted: SetAttributes) -> Result<()> {
        let started = Instant::now();
        let running = self.running();
        running.require_sound()?;
        if wanted.size.is_some() {
            let context = format!("{} is open for reading", running.virtual_path);
            return Err(Error::new(ErrorKind::PermissionDenied, context));
        }
        decide_but_size(&running.origin, &running.virtual_path, &wanted)?;
        let wanted = effective(&running.origin, &running.place, wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let changing = self.handle().set_attributes(wanted).await;
        finish_open(
            &running.origin,
            started,
            &running.virtual_path,
            &running.place,
            wanted,
            changing,
        )
        .await
    }
}

async fn finish_open(
    origin: &Origin,
    started: Instant,
    path: &VirtualPath,
    place: &Resolved,
    wanted: SetAttributes,
    changing: Result<Metadata>,
) -> Result<()> {
    changing?;
    changed(origin, started, path, place, &wanted).await;
    Ok(())
}

fn decide_but_size(origin: &Origin, path: &VirtualPath, wanted: &SetAttributes) -> Result<()> {
    let needed = [
        wanted.mode.map(|_| Operation::Chmod(path)),
        wanted.owner.map(|_| Operation::Chown(path)),
        wanted.times.map(|_| Operation::Chtimes(path)),
    ];
    needed.into_iter().flatten().try_for_each(|operation| origin.policy.decide(operation))
}

/// What is left to do after `common.setstat_mode`. Never the bits by which a program
/// runs as its owner: the server may own the files, and may be root.
fn effective(origin: &Origin, place: &Resolved, wanted: SetAttributes) -> SetAttributes {
    let wanted = SetAttributes { mode: wanted.mode.map(|mode| mode & 0o777), ..wanted };
    let ignores = match origin.services.options().setstat_mode {
        SetstatMode::Execute => false,
        SetstatMode::Ignore => true,
        SetstatMode::IgnoreUnsupported => !place.mount.storage.capabilities().attributes,
    };
    if ignores { SetAttributes { size: wanted.size, ..SetAttributes::default() } } else { wanted }
}

/// One log line for each kind of change.
async fn changed(
    origin: &Origin,
    started: Instant,
    path: &VirtualPath,
    place: &Resolved,
    done: &SetAttributes,
) {
    use logging::Operation as Line;
    let lines = [
        done.size.map(|size| Line::Truncate { size }),
        done.owner.map(|(uid, gid)| Line::Chown { uid, gid }),
        done.mode.map(|mode| Line::Chmod { mode }),
        done.times.map(|(accessed, modified)| Line::Chtimes {
            access_unix_secs: Some(accessed.secs),
            modification_unix_secs: Some(modified.secs),
        }),
    ];
    for line in lines.into_iter().flatten() {
        origin.command_done(Command::new(line, started, path, place)).await;
    }
}
