//! A directory as the client sees it: what the disk has, with the mount points in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::mounts::Mounts;
use super::patterns::HiddenNames;
use crate::error::{ErrorKind, Result};
use crate::paths::VirtualPath;
use crate::storage::{Entry, EntryStream};

impl Mounts {
    /// Opens `dir` for listing, in bounded memory, without the mount points that are
    /// `hidden`; the storage itself leaves out its own hidden names.
    pub(super) async fn list(
        self: &Arc<Self>,
        dir: &VirtualPath,
        hidden: Option<HiddenNames<'_>>,
    ) -> Result<Box<dyn EntryStream>> {
        let place = self.resolve(dir);
        let listed = place.mount.storage.list(&place.path).await;
        let names = self.names_in(dir);
        if names.is_empty() {
            return listed;
        }
        let on_disk = match listed {
            Ok(entries) => Some(entries),
            // It only leads to a mount point.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let mut first = names.clone();
        if let Some(hidden) = hidden {
            first.retain(|name| !hidden.has(name));
        }
        Ok(Box::new(Merged { mounts: self.clone(), dir: dir.clone(), first, names, on_disk }))
    }
}

/// The mount points come first; what the disk has under their names is hidden.
struct Merged {
    mounts: Arc<Mounts>,
    dir: VirtualPath,
    /// Not told yet.
    first: BTreeSet<Vec<u8>>,
    names: BTreeSet<Vec<u8>>,
    on_disk: Option<Box<dyn EntryStream>>,
}

#[async_trait]
impl EntryStream for Merged {
    async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>> {
        let mut batch = Vec::new();
        while batch.len() < max.max(1)
            && let Some(name) = self.first.pop_first()
        {
            let metadata = self.mounts.fixed_metadata(&self.dir.join(&name)).await;
            batch.push(Entry { name, metadata });
        }
        let Some(on_disk) = self.on_disk.as_mut().filter(|_| batch.is_empty()) else {
            return Ok(batch);
        };
        loop {
            let mut batch = on_disk.next_batch(max).await?;
            if batch.is_empty() {
                return Ok(batch);
            }
            batch.retain(|entry| !self.names.contains(&entry.name));
            // An empty batch would be the end.
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}
