//! One thing done to many users.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::model::{AdminPermission, GroupMapping, Password, User};
use crate::web::error::ApiError;
use crate::web::operations::live::BulkResult;
use crate::web::operations::reason::Reason;
use crate::web::operations::scope::being_changed;
use crate::web::operations::tasks::{End, Progress, TaskKind};
use crate::web::operations::user_query::UserListQuery;
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// Most users of one request.
pub const MAX_BULK_USERS: usize = 10_000;

/// What is to be done with which users: those named, or those that a query finds.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct BulkUsers {
    pub action: BulkAction,
    #[serde(default)]
    pub usernames: Option<Vec<String>>,
    #[serde(default)]
    pub query: Option<UserListQuery>,
    /// For `set_expiration`: Unix milliseconds, 0 for never.
    #[serde(default)]
    pub expiration_date: Option<i64>,
    /// For `add_group` and `remove_group`.
    #[serde(default)]
    pub group: Option<String>,
    /// For `add_group`: 1 primary, 2 secondary (default), 3 membership.
    #[serde(default)]
    pub group_type: Option<i32>,
    /// For `set_role`: its name, empty for none.
    #[serde(default)]
    pub role: Option<String>,
    /// For `disconnect`: why, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What can be done with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    Enable,
    Disable,
    Delete,
    Disconnect,
    SetExpiration,
    AddGroup,
    RemoveGroup,
    /// Not for administrators who have a role themselves.
    SetRole,
}

impl BulkAction {
    /// What an administrator needs for it.
    pub fn permission(self) -> AdminPermission {
        match self {
            Self::Delete => AdminPermission::DelUsers,
            Self::Disconnect => AdminPermission::CloseConns,
            Self::Enable
            | Self::Disable
            | Self::SetExpiration
            | Self::AddGroup
            | Self::RemoveGroup
            | Self::SetRole => AdminPermission::EditUsers,
        }
    }
}

/// What is changed in each user.
enum Change {
    Status(i32),
    Expiration(i64),
    AddGroup(GroupMapping),
    RemoveGroup(String),
    Role(String),
}

impl Change {
    fn apply(&self, user: &mut User) {
        match self {
            Self::Status(status) => user.status = *status,
            Self::Expiration(date) => user.expiration_date = *date,
            Self::AddGroup(group) => {
                user.groups.retain(|other| other.name != group.name);
                user.groups.push(group.clone());
            }
            Self::RemoveGroup(name) => user.groups.retain(|group| group.name != *name),
            Self::Role(name) => user.role.clone_from(name),
        }
    }
}

impl BulkUsers {
    /// An action that needs nothing else, for the users of these names.
    pub fn of(action: BulkAction, usernames: Vec<String>) -> Self {
        Self {
            action,
            usernames: Some(usernames),
            query: None,
            expiration_date: None,
            group: None,
            group_type: None,
            role: None,
            reason: None,
        }
    }

    fn change(&self) -> Result<Option<Change>, ApiError> {
        let group = || {
            let group = self.group.clone().filter(|group| !group.is_empty());
            group.ok_or_else(|| ApiError::bad_request("group: is required for this action"))
        };
        Ok(match self.action {
            BulkAction::Enable => Some(Change::Status(1)),
            BulkAction::Disable => Some(Change::Status(0)),
            BulkAction::SetExpiration => {
                let told = || ApiError::bad_request("expiration_date: is required");
                Some(Change::Expiration(self.expiration_date.ok_or_else(told)?))
            }
            BulkAction::AddGroup => {
                let kind = self.group_type.unwrap_or(GroupMapping::SECONDARY);
                Some(Change::AddGroup(GroupMapping { name: group()?, kind }))
            }
            BulkAction::RemoveGroup => Some(Change::RemoveGroup(group()?)),
            BulkAction::SetRole => {
                let told = || ApiError::bad_request("role: is required, empty for none");
                Some(Change::Role(self.role.clone().ok_or_else(told)?))
            }
            BulkAction::Delete | BulkAction::Disconnect => None,
        })
    }
}

/// What was asked for and makes sense: these users, one after the other.
pub struct BulkJob {
    action: BulkAction,
    change: Option<Change>,
    reason: Reason,
    usernames: Vec<String>,
}

impl BulkJob {
    /// What is done, in words.
    pub fn title(&self) -> String {
        let users = users_in_words(self.usernames.len());
        match (&self.change, self.action) {
            (Some(Change::AddGroup(group)), _) => {
                format!("Add {users} to the group {}", group.name)
            }
            (Some(Change::RemoveGroup(name)), _) => format!("Remove {users} from the group {name}"),
            (Some(Change::Role(name)), _) if name.is_empty() => format!("Take the role of {users}"),
            (Some(Change::Role(name)), _) => format!("Give {users} the role {name}"),
            (Some(Change::Expiration(_)), _) => format!("Set the expiry of {users}"),
            (_, BulkAction::Enable) => format!("Enable {users}"),
            (_, BulkAction::Disable) => format!("Disable {users}"),
            (_, BulkAction::Delete) => format!("Delete {users}"),
            (_, _) => format!("Kill the sessions of {users}"),
        }
    }
}

fn users_in_words(count: usize) -> String {
    match count {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    }
}

impl Services {
    /// Checks what is asked for, and finds the users.
    ///
    /// # Errors
    /// 400 for a request that makes no sense; 403 without the permission for the action.
    pub async fn checked_bulk<R: Right>(
        &self,
        admin: &Admin<R>,
        request: BulkUsers,
    ) -> Result<BulkJob, ApiError> {
        admin.require(request.action.permission())?;
        if request.action == BulkAction::SetRole && admin.role().is_some() {
            return Err(ApiError::forbidden("role: administrators with a role cannot change it"));
        }
        let change = request.change()?;
        if let Some(Change::Role(name)) = &change
            && !name.is_empty()
            && self.store.role(name).await?.is_none()
        {
            return Err(ApiError::bad_request(format!("role: there is no role {name:?}")));
        }
        let reason = Reason::checked(request.reason.as_deref())?;
        let action = request.action;
        let usernames = match (request.usernames, request.query) {
            (Some(usernames), None) => usernames,
            (None, Some(query)) => {
                admin.require(AdminPermission::ViewUsers)?;
                let users = self.all_users(admin, &query).await?;
                users.into_iter().map(|user| user.username).collect()
            }
            _ => return Err(ApiError::bad_request("usernames: give these or a query")),
        };
        if usernames.len() > MAX_BULK_USERS {
            let told = format!("usernames: at most {MAX_BULK_USERS} at a time");
            return Err(ApiError::bad_request(told));
        }
        Ok(BulkJob { action, change, reason, usernames })
    }

    /// Does it to each user on its own and tells what became of each.
    ///
    /// # Errors
    /// As [`Services::checked_bulk`].
    pub async fn bulk_users<R: Right>(
        &self,
        admin: &Admin<R>,
        request: BulkUsers,
    ) -> Result<Vec<BulkResult>, ApiError> {
        let job = self.checked_bulk(admin, request).await?;
        let mut results = Vec::with_capacity(job.usernames.len());
        for username in &job.usernames {
            let outcome = self.bulk_user(admin, &job, username).await;
            results.push(BulkResult::of(username.clone(), outcome));
        }
        Ok(results)
    }

    /// The same as a task, which goes on when the request that asked for it has ended.
    /// Returns the name of the task.
    ///
    /// # Errors
    /// As [`Services::checked_bulk`]; 429 while too many tasks run.
    pub async fn start_bulk<R: Right>(
        self: &Arc<Self>,
        admin: &Admin<R>,
        request: BulkUsers,
    ) -> Result<String, ApiError> {
        let job = self.checked_bulk(admin, request).await?;
        let (services, admin) = (self.clone(), admin.clone());
        let by = admin.username().to_owned();
        self.tasks.start(TaskKind::BulkUsers, job.title(), &by, |progress| async move {
            services.work_off_bulk(admin, &job, &progress).await
        })
    }

    /// Adds users as a task, which tells those that could not be added by their names.
    /// Returns the name of the task.
    ///
    /// # Errors
    /// 429 while too many tasks run.
    pub fn start_adding<R: Right>(
        self: &Arc<Self>,
        admin: &Admin<R>,
        users: Vec<User>,
    ) -> Result<String, ApiError> {
        let (services, admin) = (self.clone(), admin.clone());
        let by = admin.username().to_owned();
        let title = format!("Add {}", users_in_words(users.len()));
        self.tasks.start(TaskKind::AddUsers, title, &by, |progress| async move {
            progress.expect(users.len() as u64);
            for user in users {
                if progress.is_stopped() {
                    return End::Cancelled;
                }
                let username = user.username.clone();
                let outcome = services.users_of(&admin).add(user).await;
                progress.note(BulkResult::of(username, outcome));
            }
            End::Done(String::new())
        })
    }

    async fn work_off_bulk<R: Right>(
        &self,
        mut admin: Admin<R>,
        job: &BulkJob,
        progress: &Progress,
    ) -> End {
        /// Users between two looks at whether who has asked for it still may.
        const LOOK_EVERY: usize = 50;
        progress.expect(job.usernames.len() as u64);
        for (number, username) in job.usernames.iter().enumerate() {
            if progress.is_stopped() {
                return End::Cancelled;
            }
            if number > 0 && number.is_multiple_of(LOOK_EVERY) {
                let again = admin.again(&self.store).await;
                match again.and_then(|now| now.require(job.action.permission()).map(|()| now)) {
                    Ok(now) => admin = now,
                    Err(error) => return End::Failed(error.told().to_owned()),
                }
            }
            let outcome = self.bulk_user(&admin, job, username).await;
            progress.note(BulkResult::of(username.clone(), outcome));
        }
        End::Done(String::new())
    }

    async fn bulk_user<R: Right>(
        &self,
        admin: &Admin<R>,
        job: &BulkJob,
        username: &str,
    ) -> Result<(), ApiError> {
        match (&job.change, job.action) {
            (Some(change), _) => self.change_user(admin, username, change).await,
            (None, BulkAction::Delete) => self.delete_user(admin, username).await,
            (None, _) => {
                self.close_connections_of_user(admin, username, &job.reason).await.map(drop)
            }
        }
    }

    async fn change_user<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
        change: &Change,
    ) -> Result<(), ApiError> {
        const TRIES: usize = 3;
        let users = self.users_of(admin);
        for _ in 0..TRIES {
            let seen = users.get(username).await?;
            let mut user = seen.clone();
            change.apply(&mut user);
            // None given: the stored one stays.
            user.password = Password::default();
            // Whatever somebody else changes meanwhile must not be undone.
            if let Some(user) = users.replace_as_seen(user, &seen).await? {
                self.follow_change(&user, false).await;
                return Ok(());
            }
        }
        Err(being_changed(username))
    }
}
