//! Administrators.

use super::{LOGIN_UPDATE_INTERVAL_MS, Store, bounded, later, stored};
use crate::error::{Error, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Admin, Password};
use crate::provider::{AdminQuery, Page};

impl Store {
    pub async fn admin(&self, username: &str) -> Result<Option<Admin>> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.admin(&name)).await
    }

    /// The admins that a query finds, in its order, and how many there are on all pages.
    pub async fn find_admins(&self, query: AdminQuery, page: Page) -> Result<(Vec<Admin>, u64)> {
        self.run(move |provider| provider.find_admins(&query, bounded(page))).await
    }

    /// True if there is at least one admin.
    pub async fn has_admins(&self) -> Result<bool> {
        let one = Page { limit: 1, ..Page::default() };
        Ok(!self.find_admins(AdminQuery::default(), one).await?.0.is_empty())
    }

    /// Adds an admin, who needs a password, and returns it as stored. Fails with
    /// `InvalidInput` or `AlreadyExists`.
    pub async fn add_admin(&self, admin: Admin) -> Result<Admin> {
        let admin = self.new_admin(admin).await?;
        self.run(move |provider| {
            provider.add_admin(&admin)?;
            stored(provider.admin(&admin.username)?, "admin", &admin.username)
        })
        .await
    }

    /// Adds the admin only if there is none yet; tells whether it did.
    pub async fn add_first_admin(&self, admin: Admin) -> Result<bool> {
        let admin = self.new_admin(admin).await?;
        self.run(move |provider| provider.add_first_admin(&admin)).await
    }

    async fn new_admin(&self, mut admin: Admin) -> Result<Admin> {
        admin.normalise(&self.rules)?;
        if admin.password.is_empty() {
            return Err(Error::invalid(format!(
                "admin {:?}: password: is required",
                admin.username
            )));
        }
        self.prepare_admin_password(&mut admin).await?;
        let now = now_unix_ms();
        admin.created_at = now;
        admin.updated_at = now;
        admin.last_login = 0;
        Ok(admin)
    }

    /// Replaces the admin of this name and returns it as stored; without a new
    /// password the old one stays, and the second factor in any case. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_admin(&self, admin: Admin) -> Result<Admin> {
        self.update_admin_if(admin, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_admin_if(
        &self,
        mut admin: Admin,
        permit: impl Fn(&Admin) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        admin.normalise(&self.rules)?;
        self.prepare_admin_password(&mut admin).await?;
        self.change_stored_admin(admin.username.clone(), move |stored| {
            permit(stored)?;
            let mut new = admin.clone();
            new.keep_second_factor_of(stored);
            *stored = new;
            Ok(())
        })
        .await
    }

    /// Changes some of what an admin can change of the own account, and nothing else.
    /// Fails with `InvalidInput` or `NotFound`.
    pub async fn change_admin(
        &self,
        username: &str,
        change: impl Fn(&mut Admin) + Send + 'static,
    ) -> Result<Admin> {
        let rules = self.rules.clone();
        self.change_stored_admin(self.rules.naming.canonical(username), move |stored| {
            change(stored);
            stored.normalise(&rules)
        })
        .await
    }

    /// Replaces the password of an admin, who need not change it any more, and nothing else.
    /// Fails with `InvalidInput` or `NotFound`.
    pub async fn set_admin_password(&self, username: &str, password: Password) -> Result<Admin> {
        let username = self.rules.naming.canonical(username);
        let mut new = Admin { username, password, ..Admin::default() };
        self.prepare_admin_password(&mut new).await?;
        self.change_stored_admin(new.username.clone(), move |stored| {
            new.password.clone_into(&mut stored.password);
            stored.filters.require_password_change = false;
            Ok(())
        })
        .await
    }

    /// Lets `change` change the admin, gives it a new time, and returns it as stored.
    pub(super) async fn change_stored_admin(
        &self,
        username: String,
        change: impl Fn(&mut Admin) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.change_admin(&username, &|stored| {
                let updated_at = later(now, stored.updated_at);
                change(stored)?;
                stored.updated_at = updated_at;
                Ok(())
            })?;
            stored(provider.admin(&username)?, "admin", &username)
        })
        .await
    }

    /// Fails with `NotFound`.
    pub async fn delete_admin(&self, username: &str) -> Result<()> {
        self.delete_admin_if(username, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_admin_if(
        &self,
        username: &str,
        permit: impl Fn(&Admin) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.delete_admin_if(&name, &permit)).await
    }

    /// Notes a login, at most every ten minutes.
    pub async fn admin_logged_in(&self, username: &str) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.touch_admin_login(&name, now, now - LOGIN_UPDATE_INTERVAL_MS)
        })
        .await
    }

    /// Replaces a hash by an equivalent one, unless it has changed meanwhile;
    /// tells whether it did.
    pub async fn swap_admin_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let name = self.rules.naming.canonical(username);
        let (old, new) = (old.to_owned(), new.to_owned());
        self.run(move |provider| provider.swap_admin_password(&name, &old, &new)).await
    }
}
