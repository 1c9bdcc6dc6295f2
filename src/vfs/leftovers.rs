//! What uploads of a killed server left in `common.temp_path`.

use std::path::PathBuf;

use crate::error::Result;
use crate::paths::StoragePath;
use crate::storage::Storage;
use crate::storage::local::LocalStorage;

/// Removes the temporary files of uploads whose server is gone, last modified before
/// `started_unix_secs`; how many there were. Files of a server that lives are locked,
/// and whatever has another kind of name is somebody else's.
pub async fn remove_leftovers(temp_path: PathBuf, started_unix_secs: i64) -> Result<usize> {
    const BATCH: usize = 1000;
    let storage = LocalStorage::open_offloaded(temp_path, None, None).await?;
    let mut entries = storage.list(&StoragePath::root()).await?;
    let mut removed = 0;
    loop {
        let batch = entries.next_batch(BATCH).await?;
        if batch.is_empty() {
            return Ok(removed);
        }
        for entry in batch.into_iter().filter(|entry| storage.is_temporary(&entry.name)) {
            let path = StoragePath::root().join(&entry.name);
            // One that cannot be removed, or is gone, is no reason to keep the others.
            if storage.remove_abandoned(&path, started_unix_secs).await.unwrap_or(false) {
                removed += 1;
            }
        }
    }
}
