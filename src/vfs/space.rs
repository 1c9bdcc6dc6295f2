//! How much room there is, as the account may see it.

use actors::{Limits, Usage};

use super::policy::Operation;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::Space;

impl Session {
    /// The quota of who pays for what is stored there, where it has limits, otherwise
    /// the file system's room.
    pub async fn space(&self, path: &VirtualPath) -> Result<Space> {
        let place = self.enter(Operation::Space(path), path)?;
        let mut found = place.mount.storage.space(&place.path).await;
        if found.is_err() && self.mounts.is_fixed(path) {
            // A directory that no disk has.
            found = place.mount.storage.space(&StoragePath::root()).await;
        }
        match &place.mount.quota {
            Some(owner) if owner.limits != Limits::default() => {
                let space = match found {
                    Ok(space) => space,
                    Err(error) if error.kind() == ErrorKind::Unsupported => UNKNOWN,
                    Err(error) => return Err(error),
                };
                let usage = self.origin.services.quota.usage(owner.account.clone()).await.map_err(
                    |error| Error::with_source(ErrorKind::Unavailable, "read the quota", error),
                )?;
                Ok(within_limits(space, owner.limits, usage))
            }
            _ => found,
        }
    }
}

/// For a storage that cannot tell: as much as a client can be told.
const UNKNOWN: Space = Space {
    block_size: 4096,
    fragment_size: 4096,
    blocks: u32::MAX as u64,
    blocks_free: u32::MAX as u64,
    blocks_available: u32::MAX as u64,
    files: u32::MAX as u64,
    files_free: u32::MAX as u64,
    files_available: u32::MAX as u64,
    filesystem_id: 0,
    read_only: false,
    name_max: 255,
};

fn within_limits(mut space: Space, limits: Limits, usage: Usage) -> Space {
    let block = space.fragment_size.max(1);
    if let Some(size) = limits.size {
        space.blocks = size.div_ceil(block);
        space.blocks_free = size.saturating_sub(usage.size) / block;
        space.blocks_available = space.blocks_free;
    }
    if let Some(files) = limits.files {
        space.files = files;
        space.files_free = files.saturating_sub(usage.files);
        space.files_available = space.files_free;
    }
    space
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_replaces_what_the_disk_has() {
        let usage = Usage { size: 10_000, files: 3, updated_unix_ms: 0 };
        let limits = |size, files| Limits { size, files };
        let disk = Space { blocks: 77, blocks_free: 7, blocks_available: 6, ..UNKNOWN };
        // (limits, blocks, free blocks, files, free files)
        let any = u64::from(u32::MAX);
        let table = [
            (limits(None, None), 77, 7, any, any),
            (limits(Some(40_960), None), 10, 7, any, any),
            (limits(Some(40_961), None), 11, 7, any, any),
            (limits(Some(5_000), None), 2, 0, any, any),
            (limits(None, Some(5)), 77, 7, 5, 2),
            (limits(Some(40_960), Some(2)), 10, 7, 2, 0),
        ];
        for (limits, blocks, free, files, files_free) in table {
            let got = within_limits(disk, limits, usage);
            assert_eq!(
                (got.blocks, got.blocks_free, got.files, got.files_free),
                (blocks, free, files, files_free),
                "{limits:?}"
            );
        }
    }
}
