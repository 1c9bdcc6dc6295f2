//! Roles, and users as an administrator who has a role may reach them.

use super::{Store, bounded, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Role, User};
use crate::provider::{Page, Provider};

impl Store {
    /// The role with the names of the accounts that have it.
    pub async fn role(&self, name: &str) -> Result<Option<Role>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.role(&name)).await
    }

    /// Roles sorted by name, each with the names of the accounts that have it.
    pub async fn roles(&self, page: Page) -> Result<Vec<Role>> {
        self.run(move |provider| provider.roles(bounded(page))).await
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
    pub async fn update_role(&self, mut role: Role) -> Result<Role> {
        role.normalise(&self.rules)?;
        role.updated_at = now_unix_ms();
        self.run(move |provider| {
            provider.update_role(&role)?;
            stored(provider.role(&role.name)?, "role", &role.name)
        })
        .await
    }

    /// Deletes the role and takes it from its users. Fails with `NotFound`, and with
    /// `Conflict` as long as an admin has it.
    pub async fn delete_role(&self, name: &str) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        let now = now_unix_ms();
        self.run(move |provider| provider.delete_role(&name, now)).await
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

    /// As [`Store::update_user`], but only a user that has `role` is found.
    pub async fn update_user_of_role(&self, role: &str, user: User) -> Result<User> {
        let name = user.username.clone();
        let updated = self.update_user_within(user, Some(role.to_owned()), None).await?;
        super::stored(updated, "user", &name)
    }

    /// As [`Store::delete_user`], but only a user that has `role` is found.
    pub async fn delete_user_of_role(&self, role: &str, username: &str) -> Result<()> {
        self.delete_user_within(username, Some(role.to_owned())).await
    }
}

/// Fails with `NotFound` unless the user has `role`, if one is given. Asked right
/// before a change: since the caller looked, the user may have got another role.
pub(super) fn require_user_of(
    provider: &dyn Provider,
    username: &str,
    role: Option<&str>,
) -> Result<()> {
    let Some(role) = role else { return Ok(()) };
    match provider.user(username)? {
        Some(user) if user.role == role => Ok(()),
        _ => Err(Error::new(ErrorKind::NotFound, format!("user {username:?}: does not exist"))),
    }
}
