//! What follows when a user is changed or deleted: its sessions and its usage.

use actors::{AccountId, KillReason};

use crate::error;
use crate::logging;
use crate::model::User;
use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

impl Services {
    /// Deletes a user that `admin` may see and closes its sessions.
    ///
    /// # Errors
    /// 404 if there is no such user, or it is of another role.
    pub async fn delete_user<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
    ) -> Result<(), ApiError> {
        self.delete_user_if(admin, username, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored.
    pub async fn delete_user_if<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
        permit: impl Fn(&User) -> error::Result<()> + Send + 'static,
    ) -> Result<(), ApiError> {
        let users = self.users_of(admin);
        let user = users.get(username).await?;
        users.delete_if(&user.username, permit).await?;
        self.registry.kill_user(&user.username, KillReason::AccountDeleted).await;
        self.quota.forget(AccountId::user(user.username)).await;
        Ok(())
    }

    /// The same as [`Services::follow_change`] for the user as it is stored now.
    pub async fn follow_stored(&self, username: &str, disconnect: bool) {
        match self.store.user(username).await {
            Ok(Some(user)) => self.follow_change(&user, disconnect).await,
            // Deleted meanwhile: whoever did so has ended its sessions.
            Ok(None) => {}
            Err(error) => {
                let log = logging::for_sender(&self.log, "httpd");
                slog::warn!(log, "sessions of user \"{}\" may go on: {}", username, error);
            }
        }
    }

    /// What a changed user means for its sessions: they end if it may not be connected
    /// any more, or if `disconnect` asks for it; else they end when it now says so.
    pub async fn follow_change(&self, user: &User, disconnect: bool) {
        // What its groups say counts too; if that cannot be read now, the account alone.
        let effective = self.store.effective_user(&user.username).await;
        let effective = effective.ok().flatten().map(|effective| effective.user);
        match self.login.standing(effective.as_ref().unwrap_or(user)) {
            Err(reason) => {
                self.registry.kill_user(&user.username, reason).await;
            }
            Ok(_) if disconnect => {
                self.registry.kill_user(&user.username, KillReason::AccountChanged).await;
            }
            Ok(end) => self.registry.set_end(&user.username, end).await,
        }
    }
}
