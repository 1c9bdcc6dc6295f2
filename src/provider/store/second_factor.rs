//! Changes of the second factors of accounts, which no update of an account makes.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Store, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Admin, AdminFilters, User, UserFilters, secretbox};

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

    /// Uses up a recovery code of an admin. False if it is none, or was used before.
    pub async fn redeem_admin_recovery_code(&self, username: &str, code: &str) -> Result<bool> {
        let code = Zeroizing::new(code.to_owned());
        let redeemed = self.change_admin_second_factor(username, move |filters| {
            for stored in filters.recovery_codes.iter_mut().filter(|stored| !stored.used) {
                let clear = secretbox::open(&stored.secret)?;
                if clear.as_bytes().ct_eq(code.as_bytes()).into() {
                    stored.used = true;
                    return Ok(());
                }
            }
            Err(Error::new(ErrorKind::Unauthenticated, "not a recovery code"))
        });
        match redeemed.await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Unauthenticated => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn none(kind: &str, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{kind} {name:?}: does not exist"))
}
