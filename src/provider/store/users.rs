//! Users, with what they inherit.

use std::collections::{BTreeMap, BTreeSet};

use actors::ids::Direction;

use super::{LOGIN_UPDATE_INTERVAL_MS, Store, bounded, later, roles, stored};
use crate::error::Result;
use crate::model::timestamp::now_unix_ms;
use crate::model::{Effective, EffectiveLimits, User, effective};
use crate::provider::{Account, AccountTotals, Page, UserQuery};

impl Store {
    /// The user as it is stored.
    pub async fn user(&self, username: &str) -> Result<Option<User>> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.user(&name)).await
    }

    /// The user and its groups, as of one moment.
    pub async fn account(&self, username: &str) -> Result<Option<Account>> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.account(&name)).await
    }

    /// The user with what it inherits from its groups: what sessions, limits and
    /// scans go by.
    pub async fn effective_user(&self, username: &str) -> Result<Option<Effective>> {
        let account = self.account(username).await?;
        Ok(account.map(|account| effective(account.user, &account.groups)))
    }

    /// Users sorted by name, as they are stored.
    pub async fn users(&self, page: Page) -> Result<Vec<User>> {
        self.run(move |provider| provider.users(bounded(page), None)).await
    }

    /// The users that a query finds, in its order, and how many there are on all pages.
    pub async fn find_users(&self, query: UserQuery, page: Page) -> Result<(Vec<User>, u64)> {
        self.run(move |provider| provider.find_users(&query, bounded(page), now_unix_ms())).await
    }

    /// What all users come to, or those of one role.
    pub async fn account_totals(&self, role: Option<&str>) -> Result<AccountTotals> {
        let role = role.map(str::to_owned);
        self.run(move |provider| provider.account_totals(role.as_deref())).await
    }

    /// The limits that hold for these users, in their order: those of the primary group
    /// where a user has none.
    pub async fn limits_of(&self, users: &[User]) -> Result<Vec<EffectiveLimits>> {
        let primary: Vec<Option<&str>> = users.iter().map(User::primary_group).collect();
        let names: BTreeSet<&str> = primary.iter().copied().flatten().collect();
        let mut of_groups = BTreeMap::new();
        if !names.is_empty() {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            let found = self.run(move |provider| provider.group_limits(&names)).await?;
            of_groups = found.into_iter().collect();
        }
        let of_group = |name: &Option<&str>| {
            name.and_then(|name| of_groups.get(name)).copied().unwrap_or_default()
        };
        Ok(users
            .iter()
            .zip(&primary)
            .map(|(user, name)| user.limits_with(of_group(name)))
            .collect())
    }

    /// Adds a user and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_user(&self, mut user: User) -> Result<User> {
        self.prepare_user(&mut user).await?;
        let now = now_unix_ms();
        user.created_at = now;
        user.updated_at = now;
        user.last_login = 0;
        user.first_upload = 0;
        user.first_download = 0;
        user.last_password_change = if user.password.is_empty() { 0 } else { now };
        self.run(move |provider| {
            provider.add_user(&user)?;
            stored(provider.user(&user.username)?, "user", &user.username)
        })
        .await
    }

    /// Brings a user to the form in which it is stored.
    async fn prepare_user(&self, user: &mut User) -> Result<()> {
        self.require_changeable_users()?;
        user.normalise(&self.rules)?;
        self.settle_folders(&mut user.virtual_folders)
            .await
            .map_err(|error| error.wrap(format!("user {:?}", user.username)))?;
        self.prepare_user_password(user).await
    }

    /// Replaces the user of this name and returns it as stored; without a new
    /// password the old one stays, and the second factor in any case. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_user(&self, user: User) -> Result<User> {
        self.update_user_if(user, None, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned. A user that does not have `role`, if one is given, is not found.
    pub async fn update_user_if(
        &self,
        mut user: User,
        role: Option<&str>,
        permit: impl Fn(&User) -> Result<()> + Send + 'static,
    ) -> Result<User> {
        self.prepare_user(&mut user).await?;
        let now = now_unix_ms();
        user.last_password_change = now;
        let role = role.map(str::to_owned);
        self.run(move |provider| {
            provider.change_user(&user.username, &|stored| {
                roles::require_user_of(stored, role.as_deref())?;
                permit(stored)?;
                let mut new = user.clone();
                new.keep_second_factor_of(stored);
                new.updated_at = later(now, stored.updated_at);
                *stored = new;
                Ok(())
            })?;
            stored(provider.user(&user.username)?, "user", &user.username)
        })
        .await
    }

    /// Deletes the account, never its files. Fails with `NotFound`.
    pub async fn delete_user(&self, username: &str) -> Result<()> {
        self.delete_user_if(username, None, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned. A user that does not have `role`, if one is given, is not found.
    pub async fn delete_user_if(
        &self,
        username: &str,
        role: Option<&str>,
        permit: impl Fn(&User) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.require_changeable_users()?;
        let name = self.rules.naming.canonical(username);
        let role = role.map(str::to_owned);
        self.run(move |provider| {
            provider.delete_user_if(&name, &|stored| {
                roles::require_user_of(stored, role.as_deref())?;
                permit(stored)
            })
        })
        .await
    }

    /// Notes a login, at most every ten minutes.
    pub async fn user_logged_in(&self, username: &str) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.touch_user_login(&name, now, now - LOGIN_UPDATE_INTERVAL_MS)
        })
        .await
    }

    /// Notes an upload or a download, if it is the first one.
    pub async fn user_transferred(&self, username: &str, direction: Direction) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        let now = now_unix_ms();
        self.run(move |provider| provider.note_first_transfer(&name, direction, now)).await
    }

    /// Replaces a hash by an equivalent one, unless it has changed meanwhile;
    /// tells whether it did.
    pub async fn swap_user_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let name = self.rules.naming.canonical(username);
        let (old, new) = (old.to_owned(), new.to_owned());
        self.run(move |provider| provider.swap_user_password(&name, &old, &new)).await
    }
}
