//! Groups.

use super::{Store, bounded, later, stored};
use crate::error::Result;
use crate::model::Group;
use crate::model::timestamp::now_unix_ms;
use crate::provider::{GroupQuery, Page};

impl Store {
    pub async fn group(&self, name: &str) -> Result<Option<Group>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.group(&name)).await
    }

    /// The groups that a query finds, in its order, and how many there are on all pages.
    pub async fn find_groups(&self, query: GroupQuery, page: Page) -> Result<(Vec<Group>, u64)> {
        self.run(move |provider| provider.find_groups(&query, bounded(page))).await
    }

    /// The names of the first groups: as many as a page can have.
    pub async fn group_names(&self) -> Result<Vec<String>> {
        self.run(|provider| provider.group_names(Page::MAX_LIMIT)).await
    }

    /// Adds a group and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_group(&self, mut group: Group) -> Result<Group> {
        self.prepare_group(&mut group).await?;
        group.created_at = group.updated_at;
        self.run(move |provider| {
            provider.add_group(&group)?;
            stored(provider.group(&group.name)?, "group", &group.name)
        })
        .await
    }

    /// Replaces the group of this name and returns it as stored; its users stay in
    /// it. Fails with `InvalidInput` or `NotFound`.
    pub async fn update_group(&self, group: Group) -> Result<Group> {
        self.update_group_if(group, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_group_if(
        &self,
        mut group: Group,
        permit: impl Fn(&Group) -> Result<()> + Send + 'static,
    ) -> Result<Group> {
        self.prepare_group(&mut group).await?;
        self.run(move |provider| {
            provider.change_group(&group.name, &|stored| {
                permit(stored)?;
                let updated_at = later(group.updated_at, stored.updated_at);
                *stored = Group { updated_at, ..group.clone() };
                Ok(())
            })?;
            stored(provider.group(&group.name)?, "group", &group.name)
        })
        .await
    }

    async fn prepare_group(&self, group: &mut Group) -> Result<()> {
        group.normalise(&self.rules)?;
        self.settle_folders(&mut group.virtual_folders)
            .await
            .map_err(|error| error.wrap(format!("group {:?}", group.name)))?;
        group.updated_at = now_unix_ms();
        Ok(())
    }

    /// Fails with `NotFound`, and with `Conflict` while users are in it.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        self.delete_group_if(name, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_group_if(
        &self,
        name: &str,
        permit: impl Fn(&Group) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.delete_group_if(&name, &permit)).await
    }
}
