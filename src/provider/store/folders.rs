//! Folders, and what mounts of them may name.

use std::collections::BTreeSet;

use super::{Store, bounded, stored};
use crate::error::Result;
use crate::model::{Folder, VirtualFolder};
use crate::provider::{FolderQuery, Page};

impl Store {
    /// Decides which folders are made from what is said of them here.
    pub(super) async fn settle_folders(&self, mounts: &mut [VirtualFolder]) -> Result<()> {
        let existing = self.existing_folders(mounts.iter(), &BTreeSet::new()).await?;
        for mount in mounts {
            let exists = existing.contains(&mount.folder.name);
            mount.settle(exists, &self.rules)?;
        }
        Ok(())
    }

    /// Which folders exist of those that `mounts` define, leaving out `known` ones.
    pub(in crate::provider) async fn existing_folders(
        &self,
        mounts: impl Iterator<Item = &VirtualFolder>,
        known: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        let asked: BTreeSet<&str> = mounts
            .filter(|mount| mount.folder.is_defined())
            .map(|mount| mount.folder.name.as_str())
            .filter(|name| !known.contains(*name))
            .collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
        let existing = self.run(move |provider| provider.existing_folders(&asked)).await?;
        Ok(existing.into_iter().collect())
    }

    pub async fn folder(&self, name: &str) -> Result<Option<Folder>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.folder(&name)).await
    }

    /// Folders sorted by name.
    pub async fn folders(&self, page: Page) -> Result<Vec<Folder>> {
        self.run(move |provider| provider.folders(bounded(page))).await
    }

    /// The folders that a query finds, in its order, and how many there are on all pages.
    pub async fn find_folders(&self, query: FolderQuery, page: Page) -> Result<(Vec<Folder>, u64)> {
        self.run(move |provider| provider.find_folders(&query, bounded(page))).await
    }

    /// The names of the first folders: as many as a page can have.
    pub async fn folder_names(&self) -> Result<Vec<String>> {
        self.run(|provider| provider.folder_names(Page::MAX_LIMIT)).await
    }

    /// Bytes that are counted in all folders.
    pub async fn size_of_folders(&self) -> Result<u64> {
        self.run(|provider| provider.size_of_folders()).await
    }

    /// Adds a folder and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_folder(&self, mut folder: Folder) -> Result<Folder> {
        folder.normalise(&self.rules)?;
        self.run(move |provider| {
            provider.add_folder(&folder)?;
            stored(provider.folder(&folder.name)?, "folder", &folder.name)
        })
        .await
    }

    /// Replaces the folder of this name and returns it as stored. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_folder(&self, folder: Folder) -> Result<Folder> {
        self.update_folder_if(folder, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_folder_if(
        &self,
        mut folder: Folder,
        permit: impl Fn(&Folder) -> Result<()> + Send + 'static,
    ) -> Result<Folder> {
        folder.normalise(&self.rules)?;
        self.run(move |provider| {
            provider.change_folder(&folder.name, &|stored| {
                permit(stored)?;
                folder.clone_into(stored);
                Ok(())
            })?;
            stored(provider.folder(&folder.name)?, "folder", &folder.name)
        })
        .await
    }

    /// Deletes the folder object and takes it out of users and groups; never deletes
    /// files. Fails with `NotFound`.
    pub async fn delete_folder(&self, name: &str) -> Result<()> {
        self.delete_folder_if(name, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_folder_if(
        &self,
        name: &str,
        permit: impl Fn(&Folder) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.delete_folder_if(&name, &permit)).await
    }
}
