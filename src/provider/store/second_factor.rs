//! Changes of the second factors of accounts, which no update of an account makes.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Store, later, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Admin, AdminFilters, User, UserFilters, secretbox};

impl Store {
    /// Changes the one-time passwords and recovery codes of a user, in one step that no
    /// other change comes between; whatever else `change` does to the filters is stored
    /// too. Fails with `NotFound`.
    pub async fn change_user_second_factor(
        &self,
        username: &str,
        change: impl Fn(&mut UserFilters) -> Result<()> + Send + 'static,
    ) -> Result<User> {
        self.require_changeable_users()?;
        let name = self.rules().naming.canonical(username);
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.change_user(&name, &|user| {
                change(&mut user.filters)?;
                user.updated_at = later(now, user.updated_at);
                Ok(())
            })?;
            stored(provider.user(&name)?, "user", &name)
        })
        .await
    }

    /// The same for an admin.
    pub async fn change_admin_second_factor(
        &self,
        username: &str,
        change: impl Fn(&mut AdminFilters) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        let name = self.rules().naming.canonical(username);
        self.change_stored_admin(name, move |admin| change(&mut admin.filters)).await
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
