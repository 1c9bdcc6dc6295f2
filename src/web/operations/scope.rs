//! Which users an administrator may see: those of the own role, and everybody for
//! who has none. Handlers reach users through [`VisibleUsers`] and nothing else;
//! a user of another role is to them what a user is that does not exist.

use std::collections::HashSet;

use actix_web::http::StatusCode;

use crate::error::{self, Error, ErrorKind};
use crate::model::{EffectiveLimits, User};
use crate::provider::{AccountTotals, Page, Store, UserQuery};
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::versions::{form_version, require_form_version};
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// The users that one administrator may see, and what can be done with them.
pub struct VisibleUsers<'a> {
    store: &'a Store,
    role: Option<&'a str>,
}

impl Services {
    /// The users that `admin` may see.
    pub fn users_of<'a, R: Right>(&'a self, admin: &'a Admin<R>) -> VisibleUsers<'a> {
        VisibleUsers { store: &self.store, role: admin.role() }
    }
}

impl VisibleUsers<'_> {
    /// Those of them that a query finds, and how many there are on all pages.
    pub async fn find(&self, query: UserQuery, page: Page) -> Result<(Vec<User>, u64), ApiError> {
        let query = match self.role {
            None => query,
            Some(own) if query.role.as_deref().is_none_or(|role| role == own) => {
                UserQuery { role: Some(own.to_owned()), ..query }
            }
            Some(_) => return Ok((Vec::new(), 0)),
        };
        let (users, total) = self.store.find_users(query, page).await?;
        Ok((users.into_iter().map(|user| self.shown(user)).collect(), total))
    }

    /// What they come to.
    pub async fn totals(&self) -> Result<AccountTotals, ApiError> {
        Ok(self.store.account_totals(self.role).await?)
    }

    /// The limits that hold for some of them, in their order.
    pub async fn limits_of(&self, users: &[User]) -> Result<Vec<EffectiveLimits>, ApiError> {
        Ok(self.store.limits_of(users).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// 404 if there is no such user, or it has another role.
    pub async fn get(&self, username: &str) -> Result<User, ApiError> {
        let user = self.store.user(username).await?;
        let visible = user.filter(|user| self.role.is_none_or(|role| user.role == role));
        Ok(self.shown(found(visible, "user", username)?))
    }

    /// One of them with what it inherits from its groups.
    ///
    /// # Errors
    /// As [`VisibleUsers::get`].
    pub async fn effective(&self, username: &str) -> Result<User, ApiError> {
        let seen = self.get(username).await?;
        let effective = self.store.effective_user(&seen.username).await?;
        Ok(self.shown(found(effective, "user", username)?.user))
    }

    /// Adds a user, which gets the role of the administrator.
    pub async fn add(&self, mut user: User) -> Result<User, ApiError> {
        self.claim(&mut user)?;
        Ok(self.shown(self.store.add_user(user).await?))
    }

    /// Replaces the user of this name, which keeps the role of the administrator, if
    /// `permit` agrees to what is stored.
    ///
    /// # Errors
    /// 404 if there is no such user, or it has another role by now.
    pub async fn replace_if(
        &self,
        mut user: User,
        permit: impl Fn(&User) -> error::Result<()> + Send + 'static,
    ) -> Result<User, ApiError> {
        self.claim(&mut user)?;
        let role = self.role.map(str::to_owned);
        let permit = move |stored: &User| permit(&shown_to(role.as_deref(), stored.clone()));
        let stored = self.store.update_user_if(user, self.role, permit).await?;
        Ok(self.shown(stored))
    }

    /// Replaces the user of this name unless it is another than `seen`, apart from what
    /// changes by itself: then nothing is done.
    pub async fn replace_as_seen(&self, user: User, seen: &User) -> Result<Option<User>, ApiError> {
        let seen = form_version(seen);
        let replaced = self.replace_if(user, move |stored| require_form_version(stored, &seen));
        match replaced.await {
            Ok(user) => Ok(Some(user)),
            Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the user of this name, if `permit` agrees to what is stored.
    ///
    /// # Errors
    /// 404 if there is no such user, or it has another role by now.
    pub async fn delete_if(
        &self,
        username: &str,
        permit: impl Fn(&User) -> error::Result<()> + Send + 'static,
    ) -> Result<(), ApiError> {
        let role = self.role.map(str::to_owned);
        let permit = move |stored: &User| permit(&shown_to(role.as_deref(), stored.clone()));
        Ok(self.store.delete_user_if(username, self.role, permit).await?)
    }

    /// Their names, for lists of other things in which users are named.
    pub async fn names(&self) -> Result<VisibleNames, ApiError> {
        Ok(VisibleNames(match self.role {
            None => None,
            Some(role) => Some(self.store.usernames_of_role(role).await?.into_iter().collect()),
        }))
    }

    /// Of an error that may name users of other roles, only what happened: `told`.
    pub fn told(&self, error: Error, told: &str) -> ApiError {
        match (self.role, error.kind()) {
            (Some(_), ErrorKind::Conflict) => ApiError::from(Error::new(ErrorKind::Conflict, told)),
            _ => error.into(),
        }
    }

    /// Puts the user under the role of the administrator; one without a role may
    /// choose any.
    fn claim(&self, user: &mut User) -> Result<(), ApiError> {
        let Some(role) = self.role else { return Ok(()) };
        if !user.role.is_empty() && user.role != role {
            return Err(ApiError::forbidden("role: you can give no other role than your own"));
        }
        role.clone_into(&mut user.role);
        Ok(())
    }

    fn shown(&self, user: User) -> User {
        shown_to(self.role, user)
    }
}

/// The user without what it tells an administrator with a role of others: who else mounts
/// its folders.
fn shown_to(role: Option<&str>, mut user: User) -> User {
    if role.is_some() {
        for folder in &mut user.virtual_folders {
            folder.folder.users.clear();
        }
    }
    user
}

/// 409 for who has tried [`VisibleUsers::replace_as_seen`] often enough.
pub fn being_changed(username: &str) -> ApiError {
    let told = format!("user {username:?}: is being changed by somebody else");
    Error::new(ErrorKind::Conflict, told).into()
}

/// The names of the users that an administrator may see.
pub struct VisibleNames(Option<HashSet<String>>);

impl VisibleNames {
    pub fn contains(&self, username: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(username))
    }

    /// Whether nobody is hidden.
    pub fn are_all(&self) -> bool {
        self.0.is_none()
    }

    /// Takes the other names out of `usernames`.
    pub fn retain(&self, usernames: &mut Vec<String>) {
        usernames.retain(|username| self.contains(username));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn no_handler_reaches_users_past_their_scope() {
        let handlers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/api");
        let mut seen = 0;
        for entry in std::fs::read_dir(handlers).expect("listed") {
            let path = entry.expect("an entry").path();
            let code = std::fs::read_to_string(&path).expect("readable");
            // Dumps are only for who may do everything, which excludes roles.
            if path.ends_with("dumps.rs") {
                assert!(!code.contains("Admin<") || code.contains("Admin<Everything>"));
                continue;
            }
            let code: String = code.split_whitespace().collect();
            for call in [
                "user",
                "users",
                "find_users",
                "account",
                "effective_user",
                "add_user",
                "update_user",
                "update_user_if",
                "delete_user",
                "delete_user_if",
                "account_totals",
                "quotas_of",
                "snapshot",
            ] {
                let call = format!("store.{call}(");
                assert!(!code.contains(&call), "{}: {call}", path.display());
            }
            seen += 1;
        }
        assert!(seen >= 8);
    }
}
