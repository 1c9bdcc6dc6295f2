//! Changes of the second factors of accounts, which no update of an account makes.

use super::{Store, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Admin, AdminFilters, User, UserFilters};

impl Store {
    /// Changes the one-time passwords and recovery codes of a user; whatever else
    /// `change` does to the filters is stored too. Fails with `NotFound`.
    pub async fn change_user_second_factor(
        &self,
        username: &str,
        change: impl FnOnce(&mut UserFilters) -> Result<()> + Send + 'static,
    ) -> Result<User> {
        self.require_changeable_users()?;
        let name = self.rules().naming.canonical(username);
        self.run(move |provider| {
            let mut user = provider.user(&name)?.ok_or_else(|| none("user", &name))?;
            change(&mut user.filters)?;
            user.updated_at = now_unix_ms();
            provider.update_user(&user)?;
            stored(provider.user(&name)?, "user", &name)
        })
        .await
    }

    /// The same for an admin.
    pub async fn change_admin_second_factor(
        &self,
        username: &str,
        change: impl FnOnce(&mut AdminFilters) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        let name = self.rules().naming.canonical(username);
        self.run(move |provider| {
            let mut admin = provider.admin(&name)?.ok_or_else(|| none("admin", &name))?;
            change(&mut admin.filters)?;
            admin.updated_at = now_unix_ms();
            provider.update_admin(&admin)?;
            stored(provider.admin(&name)?, "admin", &name)
        })
        .await
    }
}

fn none(kind: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{kind} {name:?}: does not exist"))
}
