//! Roles, and users as an administrator who has a role may reach them.

use super::{Store, bounded, later, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Role, User};
use crate::provider::{Page, RoleQuery};

impl Store {
    /// The role with the names of the accounts that have it.
    pub async fn role(&self, name: &str) -> Result<Option<Role>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.role(&name)).await
    }

    /// The roles that a query finds, in its order, each with the names of the accounts
    /// that have it, and how many there are on all pages.
    pub async fn find_roles(&self, query: RoleQuery, page: Page) -> Result<(Vec<Role>, u64)> {
        self.run(move |provider| provider.find_roles(&query, bounded(page))).await
    }

    /// The names of the first roles: as many as a page can have.
    pub async fn role_names(&self) -> Result<Vec<String>> {
        self.run(|provider| provider.role_names(Page::MAX_LIMIT)).await
    }

    /// Adds a role and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_role(&self, mut role: Role) -> Result<Role> {
        role.normalise(&self.rules)?;
        let now = now_unix_ms();
        role.created_at = now;
        role.updated_at = now;
        self.run(move |provider| {
            provider.add_role(&role)?;
            stored(provider.role(&role.name)?, "role", &role.name)
        })
        .await
    }

    /// Replaces the role of this name and returns it as stored. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_role(&self, role: Role) -> Result<Role> {
        self.update_role_if(role, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_role_if(
        &self,
        mut role: Role,
        permit: impl Fn(&Role) -> Result<()> + Send + 'static,
    ) -> Result<Role> {
        role.normalise(&self.rules)?;
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.change_role(&role.name, &|stored| {
                permit(stored)?;
                let updated_at = later(now, stored.updated_at);
                *stored = Role { updated_at, ..role.clone() };
                Ok(())
            })?;
            stored(provider.role(&role.name)?, "role", &role.name)
        })
        .await
    }

    /// Deletes the role and takes it from its users. Fails with `NotFound`, and with
    /// `Conflict` as long as an admin has it.
    pub async fn delete_role(&self, name: &str) -> Result<()> {
        self.delete_role_if(name, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_role_if(
        &self,
        name: &str,
        permit: impl Fn(&Role) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        let now = now_unix_ms();
        self.run(move |provider| provider.delete_role_if(&name, now, &permit)).await
    }

    /// The names of all users of a role.
    pub async fn usernames_of_role(&self, role: &str) -> Result<Vec<String>> {
        let role = role.to_owned();
        self.run(move |provider| provider.usernames_of_role(&role)).await
    }

    /// The users of a role sorted by name.
    pub async fn users_of_role(&self, role: &str, page: Page) -> Result<Vec<User>> {
        let role = role.to_owned();
        self.run(move |provider| provider.users(bounded(page), Some(&role))).await
    }
}

/// Fails with `NotFound` unless the stored user has `role`, if one is given: since the
/// caller looked, the user may have got another role.
pub(super) fn require_user_of(user: &User, role: Option<&str>) -> Result<()> {
    if role.is_none_or(|role| user.role == role) {
        return Ok(());
    }
    let told = format!("user {:?}: does not exist", user.username);
    Err(Error::new(ErrorKind::NotFound, told))
}
