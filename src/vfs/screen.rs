//! A storage as an account with filters on names sees it.
//!
//! The policy decides about the path that a client names. A link can give a denied file
//! another name, so here the path that it leads to is decided about as well, and then
//! the storage is asked for that one, without following any link: whoever exchanges a
//! directory for a link in between meets an error.

use std::sync::Arc;

use async_trait::async_trait;

use super::patterns::{Named, Patterns};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{
    Capabilities, Entry, EntryStream, FileKind, Metadata, ReadHandle, RenameMode, SetAttributes,
    Space, Storage, WriteHandle, WriteMode,
};

/// Puts the filters before `storage`, which is mounted at `at`; without filters it is
/// the storage itself.
pub(super) fn screen(
    storage: Arc<dyn Storage>,
    at: &VirtualPath,
    patterns: &Arc<Patterns>,
) -> Result<Arc<dyn Storage>> {
    if patterns.is_empty() {
        return Ok(storage);
    }
    let inner = storage.without_following()?.unwrap_or(storage);
    Ok(Arc::new(Screened { inner, at: at.clone(), patterns: patterns.clone() }))
}

#[derive(Debug)]
struct Screened {
    /// Follows no links.
    inner: Arc<dyn Storage>,
    at: VirtualPath,
    patterns: Arc<Patterns>,
}

/// What an operation needs of a name.
#[derive(Debug, Clone, Copy)]
enum Need {
    Visible,
    Allowed(Named),
}

impl Screened {
    fn called(&self, path: &StoragePath) -> VirtualPath {
        if path.is_root() {
            return self.at.clone();
        }
        self.at.join(path.as_bytes())
    }

    fn require(&self, need: Need, path: &StoragePath) -> Result<()> {
        let path = self.called(path);
        match need {
            Need::Visible => self.patterns.require_visible(&path),
            Need::Allowed(named) => self.patterns.require_allowed(&path, named),
        }
    }

    /// The path to do it on. Both names must pass: by which it was asked for, and which
    /// it has.
    async fn pass(&self, need: Need, path: &StoragePath, follow: bool) -> Result<StoragePath> {
        self.require(need, path)?;
        let real = self.inner.real_path(path, follow).await?;
        if real != *path {
            self.require(need, &real)?;
        }
        Ok(real)
    }
}

const VISIBLE: Need = Need::Visible;
const ALLOWED: Need = Need::Allowed(Named::Object);
const ALLOWED_FILE: Need = Need::Allowed(Named::File);
const FOLLOW: bool = true;
const STAY: bool = false;

#[async_trait]
impl Storage for Screened {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata> {
        self.inner.stat(&self.pass(VISIBLE, path, FOLLOW).await?).await
    }

    async fn lstat(&self, path: &StoragePath) -> Result<Metadata> {
        self.inner.lstat(&self.pass(VISIBLE, path, STAY).await?).await
    }

    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        let real = self.pass(VISIBLE, dir, FOLLOW).await?;
        let entries = self.inner.list(&real).await?;
        let dirs = [self.called(dir), self.called(&real)];
        if dirs.iter().all(|dir| self.patterns.hidden_in(dir).is_none()) {
            return Ok(entries);
        }
        Ok(Box::new(ScreenedEntries { entries, dirs, patterns: self.patterns.clone() }))
    }

    async fn open_read(&self, path: &StoragePath) -> Result<Arc<dyn ReadHandle>> {
        self.inner.open_read(&self.pass(ALLOWED_FILE, path, FOLLOW).await?).await
    }

    async fn open_write(&self, path: &StoragePath, how: WriteMode) -> Result<Arc<dyn WriteHandle>> {
        // An exclusive creation must not see through a link: the link exists.
        let follow = !(how.replace_link || how.create && how.exclusive);
        self.inner.open_write(&self.pass(ALLOWED_FILE, path, follow).await?, how).await
    }

    async fn create_dir(
        &self,
        path: &StoragePath,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        self.inner.create_dir(&self.pass(ALLOWED, path, STAY).await?, mode, owner).await
    }

    async fn remove_file(&self, path: &StoragePath) -> Result<Metadata> {
        self.inner.remove_file(&self.pass(ALLOWED_FILE, path, STAY).await?).await
    }

    async fn remove_dir(&self, path: &StoragePath) -> Result<()> {
        self.inner.remove_dir(&self.pass(ALLOWED, path, STAY).await?).await
    }

    async fn rename(
        &self,
        from: &StoragePath,
        to: &StoragePath,
        mut how: RenameMode,
    ) -> Result<Option<Metadata>> {
        let real_from = self.pass(ALLOWED_FILE, from, STAY).await?;
        let real_to = self.pass(ALLOWED_FILE, to, STAY).await?;
        for (from, to) in [(from, to), (&real_from, &real_to)] {
            let same = self.patterns.require_same_inside(&self.called(from), &self.called(to));
            if let Err(error) = same {
                if self.inner.lstat(&real_from).await?.kind == FileKind::Directory {
                    return Err(error);
                }
                // Nor if it is one by the time it is renamed.
                how.kinds.directories = false;
            }
        }
        self.inner.rename(&real_from, &real_to, how).await
    }

    async fn set_attributes(
        &self,
        path: &StoragePath,
        attributes: SetAttributes,
    ) -> Result<Metadata> {
        let need = if attributes.size.is_some() { ALLOWED_FILE } else { ALLOWED };
        self.inner.set_attributes(&self.pass(need, path, FOLLOW).await?, attributes).await
    }

    async fn symlink(&self, target: &[u8], link: &StoragePath) -> Result<()> {
        self.inner.symlink(target, &self.pass(ALLOWED, link, STAY).await?).await
    }

    async fn read_link(&self, path: &StoragePath) -> Result<Vec<u8>> {
        self.inner.read_link(&self.pass(VISIBLE, path, STAY).await?).await
    }

    #[cfg(unix)]
    async fn open_for_program(&self, path: &StoragePath) -> Result<std::os::fd::OwnedFd> {
        self.inner.open_for_program(&self.pass(ALLOWED, path, FOLLOW).await?).await
    }

    async fn space(&self, path: &StoragePath) -> Result<Space> {
        self.inner.space(&self.pass(VISIBLE, path, FOLLOW).await?).await
    }

    async fn real_path(&self, path: &StoragePath, follow_last: bool) -> Result<StoragePath> {
        self.pass(VISIBLE, path, follow_last).await
    }

    fn without_following(&self) -> Result<Option<Arc<dyn Storage>>> {
        Err(Error::new(ErrorKind::Internal, "a storage behind filters follows no links itself"))
    }

    fn is_temporary(&self, name: &[u8]) -> bool {
        self.inner.is_temporary(name)
    }

    async fn remove_abandoned(&self, path: &StoragePath, before_unix_secs: i64) -> Result<bool> {
        self.inner.remove_abandoned(path, before_unix_secs).await
    }

    fn display_path(&self, path: &StoragePath) -> String {
        self.inner.display_path(path)
    }
}

/// A listing without the names that the filters hide.
struct ScreenedEntries {
    entries: Box<dyn EntryStream>,
    /// As it was asked for, and as it is.
    dirs: [VirtualPath; 2],
    patterns: Arc<Patterns>,
}

#[async_trait]
impl EntryStream for ScreenedEntries {
    async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>> {
        loop {
            let mut batch = self.entries.next_batch(max).await?;
            // Empty is the end, so a batch of hidden names is not handed out.
            if batch.is_empty() {
                return Ok(batch);
            }
            for dir in &self.dirs {
                if let Some(hidden) = self.patterns.hidden_in(dir) {
                    batch.retain(|entry| !hidden.has(&entry.name));
                }
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UserFilters;
    use crate::storage::conformance;
    use crate::storage::local::LocalStorage;

    #[tokio::test]
    async fn a_storage_behind_filters_keeps_every_promise() {
        let dir = tempfile::tempdir().unwrap();
        let filters = r#"{"file_patterns": [
            {"path": "/", "denied_patterns": ["never"], "deny_policy": 1}
        ], "file_extensions": [
            {"path": "/", "denied_extensions": [".never"]}
        ]}"#;
        let filters: UserFilters = serde_json::from_str(filters).unwrap();
        let patterns = Arc::new(Patterns::compile(&filters).unwrap());
        let local: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path(), None).unwrap());
        let storage = screen(local, &VirtualPath::root(), &patterns).unwrap();
        conformance::run(storage).await;
    }

    #[test]
    fn without_filters_there_is_no_screen() {
        let dir = tempfile::tempdir().unwrap();
        let local: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path(), None).unwrap());
        let same = screen(local.clone(), &VirtualPath::root(), &Arc::default()).unwrap();
        assert!(Arc::ptr_eq(&local, &same));
    }
}
