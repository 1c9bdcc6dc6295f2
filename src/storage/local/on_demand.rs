//! A directory of this machine that is opened when it is first used.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{CAPABILITIES, LocalStorage, atomic, shown};
use crate::error::Result;
use crate::paths::StoragePath;
use crate::storage::{
    Capabilities, EntryStream, Metadata, ReadHandle, RenameMode, SetAttributes, Space, Storage,
    WriteHandle, WriteMode,
};

/// For directories of which a session may have many and use few: it costs no
/// descriptor before it is used, and one that cannot be opened now may be there
/// later. Until then every operation has the error of opening it.
#[derive(Debug)]
pub struct OnDemand {
    root: PathBuf,
    temp_path: Option<PathBuf>,
    follows_links: bool,
    opened: OnceCell<LocalStorage>,
}

impl OnDemand {
    /// As [`LocalStorage::open`], later.
    pub fn new(root: PathBuf, temp_path: Option<PathBuf>) -> Self {
        Self { root, temp_path, follows_links: true, opened: OnceCell::new() }
    }

    async fn open(&self) -> Result<&LocalStorage> {
        let open = async || {
            let (root, temp_path) = (self.root.clone(), self.temp_path.clone());
            let storage = LocalStorage::open_offloaded(root, temp_path, None).await?;
            if self.follows_links { Ok(storage) } else { storage.not_following() }
        };
        self.opened.get_or_try_init(open).await
    }
}

#[async_trait]
impl Storage for OnDemand {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn stat(&self, path: &StoragePath) -> Result<Metadata> {
        self.open().await?.stat(path).await
    }

    async fn lstat(&self, path: &StoragePath) -> Result<Metadata> {
        self.open().await?.lstat(path).await
    }

    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        self.open().await?.list(dir).await
    }

    async fn open_read(&self, path: &StoragePath) -> Result<Arc<dyn ReadHandle>> {
        self.open().await?.open_read(path).await
    }

    async fn open_write(&self, path: &StoragePath, how: WriteMode) -> Result<Arc<dyn WriteHandle>> {
        self.open().await?.open_write(path, how).await
    }

    async fn create_dir(
        &self,
        path: &StoragePath,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        self.open().await?.create_dir(path, mode, owner).await
    }

    async fn remove_file(&self, path: &StoragePath) -> Result<Metadata> {
        self.open().await?.remove_file(path).await
    }

    async fn remove_dir(&self, path: &StoragePath) -> Result<()> {
        self.open().await?.remove_dir(path).await
    }

    async fn rename(
        &self,
        from: &StoragePath,
        to: &StoragePath,
        how: RenameMode,
    ) -> Result<Option<Metadata>> {
        self.open().await?.rename(from, to, how).await
    }

    async fn rename_into(
        &self,
        from: &StoragePath,
        target: &dyn Storage,
        to: &StoragePath,
        how: RenameMode,
    ) -> Result<Option<Option<Metadata>>> {
        self.open().await?.rename_into(from, target, to, how).await
    }

    async fn as_local(&self) -> Result<Option<LocalStorage>> {
        self.open().await?.as_local().await
    }

    async fn set_attributes(
        &self,
        path: &StoragePath,
        attributes: SetAttributes,
    ) -> Result<Metadata> {
        self.open().await?.set_attributes(path, attributes).await
    }

    async fn symlink(&self, target: &[u8], link: &StoragePath) -> Result<()> {
        self.open().await?.symlink(target, link).await
    }

    async fn read_link(&self, path: &StoragePath) -> Result<Vec<u8>> {
        self.open().await?.read_link(path).await
    }

    async fn space(&self, path: &StoragePath) -> Result<Space> {
        self.open().await?.space(path).await
    }

    async fn real_path(&self, path: &StoragePath, follow_last: bool) -> Result<StoragePath> {
        self.open().await?.real_path(path, follow_last).await
    }

    fn without_following(&self) -> Result<Option<Arc<dyn Storage>>> {
        let (root, temp_path) = (self.root.clone(), self.temp_path.clone());
        let same = Self { root, temp_path, follows_links: false, opened: OnceCell::new() };
        Ok(Some(Arc::new(same)))
    }

    fn is_temporary(&self, name: &[u8]) -> bool {
        atomic::is_temporary_name(name)
    }

    async fn remove_abandoned(&self, path: &StoragePath, before_unix_secs: i64) -> Result<bool> {
        self.open().await?.remove_abandoned(path, before_unix_secs).await
    }

    fn display_path(&self, path: &StoragePath) -> String {
        shown(&self.root, path)
    }
}
