//! Accounts at rest: users, groups, folders, admins and what they have stored.
//!
//! The traits here are small, synchronous, one per aggregate; [`Provider`] is
//! their sum, and `sql` implements it. Everybody else uses [`Store`], the async
//! face, which also validates objects and hashes passwords on their way in, so
//! that nothing reaches a provider that was not checked.

pub mod backup;
#[cfg(test)]
mod conformance;
mod sql;
mod store;

use actors::ids::AccountId;
use actors::ports::{Transferred, TransferredDelta, Usage, UsageDelta};
use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Admin, Folder, Group, Password, Role, User};

pub use store::Store;

/// Which part of a sorted list is wanted. The order is that of the natural key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub offset: u32,
    pub limit: u32,
    pub descending: bool,
}

impl Page {
    /// Most objects in one page.
    pub const MAX_LIMIT: u32 = 500;
}

impl Default for Page {
    fn default() -> Self {
        Self { offset: 0, limit: 100, descending: false }
    }
}

/// Which users are wanted: those that meet everything that is set; and their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Part of the name, the e-mail address or the description, whatever the case of
    /// ASCII letters.
    pub text: Option<String>,
    pub state: Option<UserState>,
    /// A group they are in.
    pub group: Option<String>,
    pub role: Option<String>,
    pub sort: UserSort,
}

/// Whether users may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// Also those who have expired.
    Enabled,
    Disabled,
    /// The expiration date has passed.
    Expired,
    /// Enabled, and the expiration date passes within the next seven days.
    Expiring,
    /// Enabled, and nine tenths of the quota, of bytes or of files, are used. The quota is
    /// what counts in sessions: that of the primary group where the user has none.
    NearQuota,
    /// Never logged in.
    NeverLoggedIn,
}

/// What a list of users is sorted by; what is equal, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserSort {
    #[default]
    Username,
    LastLogin,
    CreatedAt,
    ExpirationDate,
    UsedSize,
}

/// Users, stored as given. The usage counters are read with the user but
/// written only through [`UsageCounters`]; so are the definitions of its folders,
/// which are written only for folders that do not exist. Adding and updating fail
/// with `InvalidInput` if a folder, a group or the role is missing.
pub trait Users: Send + Sync {
    fn user(&self, username: &str) -> Result<Option<User>>;
    /// The user with its groups, as of one moment.
    fn account(&self, username: &str) -> Result<Option<Account>>;
    /// Those of one role, or all.
    fn users(&self, page: Page, role: Option<&str>) -> Result<Vec<User>>;
    /// Those that the query finds, in its order, and how many there are on all pages.
    fn find_users(
        &self,
        query: &UserQuery,
        page: Page,
        now_unix_ms: i64,
    ) -> Result<(Vec<User>, u64)>;
    /// What all users come to, or those of one role.
    fn account_totals(&self, role: Option<&str>) -> Result<AccountTotals>;
    /// Fails with `AlreadyExists`.
    fn add_user(&self, user: &User) -> Result<()>;
    /// Replaces the user but for `id`, `created_at` and `last_login`, and the
    /// password if none is given. Fails with `NotFound`.
    fn update_user(&self, user: &User) -> Result<()>;
    /// The same, unless its `updated_at` is another than `seen`: then nothing is done and
    /// false returned.
    fn update_user_as_seen(&self, user: &User, seen: i64) -> Result<bool>;
    /// Fails with `NotFound`.
    fn delete_user(&self, username: &str) -> Result<()>;
    /// Sets `last_login` to `now_unix_ms` if it is older than `older_than_unix_ms`.
    fn touch_user_login(
        &self,
        username: &str,
        now_unix_ms: i64,
        older_than_unix_ms: i64,
    ) -> Result<()>;
    /// Replaces the hash only if it is still `old`; tells whether it was.
    fn swap_user_password(&self, username: &str, old: &str, new: &str) -> Result<bool>;
}

/// What users come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountTotals {
    pub users: u64,
    pub disabled: u64,
    /// Bytes that are counted as used.
    pub used_size: u64,
}

/// The quota that members of a group inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupQuota {
    pub name: String,
    pub quota_size: i64,
    pub quota_files: i64,
}

/// A user and what its settings depend on.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub user: User,
    /// Its groups with their folders, but without their lists of members.
    pub groups: Vec<Group>,
}

/// Groups, stored as given, their folders as those of users.
pub trait Groups: Send + Sync {
    fn group(&self, name: &str) -> Result<Option<Group>>;
    fn groups(&self, page: Page) -> Result<Vec<Group>>;
    /// Of those of these groups that there are, in no order.
    fn group_quotas(&self, names: &[String]) -> Result<Vec<GroupQuota>>;
    /// Fails with `AlreadyExists`.
    fn add_group(&self, group: &Group) -> Result<()>;
    /// Replaces the group but for `id` and `created_at`. Fails with `NotFound`.
    fn update_group(&self, group: &Group) -> Result<()>;
    /// Fails with `NotFound`, and with `Conflict` while users are in it.
    fn delete_group(&self, name: &str) -> Result<()>;
}

/// Folders, stored as given; their counters as those of users.
pub trait Folders: Send + Sync {
    fn folder(&self, name: &str) -> Result<Option<Folder>>;
    fn folders(&self, page: Page) -> Result<Vec<Folder>>;
    /// Which of these exist.
    fn existing_folders(&self, names: &[String]) -> Result<Vec<String>>;
    /// Fails with `AlreadyExists`.
    fn add_folder(&self, folder: &Folder) -> Result<()>;
    /// Replaces the folder but for `id`. Fails with `NotFound`, and with
    /// `InvalidInput` if it gets a place for every user but is mounted somewhere
    /// with a quota of its own.
    fn update_folder(&self, folder: &Folder) -> Result<()>;
    /// Takes it out of all users and groups. Fails with `NotFound`.
    fn delete_folder(&self, name: &str) -> Result<()>;
}

/// Admins, stored as given; a write fails with `InvalidInput` if there is no such
/// role.
pub trait Admins: Send + Sync {
    fn admin(&self, username: &str) -> Result<Option<Admin>>;
    fn admins(&self, page: Page) -> Result<Vec<Admin>>;
    /// Fails with `AlreadyExists`.
    fn add_admin(&self, admin: &Admin) -> Result<()>;
    /// Adds the admin if there is none at all; tells whether it did.
    fn add_first_admin(&self, admin: &Admin) -> Result<bool>;
    /// Replaces the admin but for `id`, `created_at` and `last_login`, and the
    /// password if none is given. Fails with `NotFound`.
    fn update_admin(&self, admin: &Admin) -> Result<()>;
    /// Fails with `NotFound`.
    fn delete_admin(&self, username: &str) -> Result<()>;
    /// Sets `last_login` to `now_unix_ms` if it is older than `older_than_unix_ms`.
    fn touch_admin_login(
        &self,
        username: &str,
        now_unix_ms: i64,
        older_than_unix_ms: i64,
    ) -> Result<()>;
    /// Replaces the hash only if it is still `old`; tells whether it was.
    fn swap_admin_password(&self, username: &str, old: &str, new: &str) -> Result<bool>;
}

/// Roles, stored as given. Who has them is read from users and admins.
pub trait Roles: Send + Sync {
    fn role(&self, name: &str) -> Result<Option<Role>>;
    fn roles(&self, page: Page) -> Result<Vec<Role>>;
    /// Fails with `AlreadyExists`.
    fn add_role(&self, role: &Role) -> Result<()>;
    /// Replaces the role but for `id` and `created_at`. Fails with `NotFound`.
    fn update_role(&self, role: &Role) -> Result<()>;
    /// Takes the role from its users. Fails with `NotFound`, and with `Conflict` as
    /// long as an admin has it: without a role an admin would see all users.
    fn delete_role(&self, name: &str, now_unix_ms: i64) -> Result<()>;
    /// The names of all users of a role, sorted.
    fn usernames_of_role(&self, role: &str) -> Result<Vec<String>>;
}

/// What users and folders have stored, and users have transferred. Accounts that do
/// not exist use nothing,
/// and what is written for them is dropped.
pub trait UsageCounters: Send + Sync {
    fn usage(&self, account: &AccountId) -> Result<Usage>;
    /// Adds all deltas or none; no counter goes below zero.
    fn add_usage(&self, deltas: &[(AccountId, UsageDelta)], now_unix_ms: i64) -> Result<()>;
    fn set_usage(&self, account: &AccountId, usage: Usage) -> Result<()>;
    fn transferred(&self, account: &AccountId) -> Result<Transferred>;
    /// Adds all deltas or none; no counter goes below zero.
    fn add_transferred(&self, deltas: &[(AccountId, TransferredDelta)]) -> Result<()>;
    /// Notes when a quota scan was asked for.
    fn request_scan(&self, account: &AccountId, now_unix_ms: i64) -> Result<()>;
    /// None is wanted any more.
    fn scan_done(&self, account: &AccountId) -> Result<()>;
    /// The first accounts after `after` with a scan to be done, in their order.
    fn requested_scans(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<AccountId>>;
}

/// Everything at once: for dumps and for loading them.
pub trait Backup: Send + Sync {
    /// All objects as of one moment.
    fn snapshot(&self) -> Result<Objects>;
    /// Stores all objects or, when it fails, none. Counters of accounts that stay are
    /// kept, and when they logged in last.
    fn restore(&self, objects: &Objects, mode: RestoreMode) -> Result<Restored>;
}

/// What becomes of the objects that are there before a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreMode {
    /// They stay as they are.
    AddOnly,
    /// They are replaced if they are among the new ones, otherwise they stay; and so does a
    /// password if there is no new one.
    AddOrUpdate,
    /// They are gone, and whatever the new ones do not have is as well. Administrators stay
    /// if there are no new ones: else whoever comes first could become the next.
    ReplaceAll,
}

/// Objects of all kinds.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub roles: Vec<Role>,
    pub folders: Vec<Folder>,
    pub groups: Vec<Group>,
    pub users: Vec<User>,
    pub admins: Vec<Admin>,
}

/// What became of the objects of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Number of new objects.
    pub added: usize,
    /// Number of objects that were there and left alone.
    pub skipped: usize,
    /// Number of replaced objects.
    pub updated: usize,
    /// The users among the replaced ones.
    pub updated_users: Vec<String>,
    /// The users and folders that are not there any more.
    pub gone: Vec<AccountId>,
}

/// A place for accounts.
pub trait Provider: Users + Groups + Folders + Admins + Roles + UsageCounters + Backup {
    /// Fails with `Unavailable` if the store does not answer.
    fn check_availability(&self) -> Result<()>;
    /// Name of the driver, for the status page.
    fn driver(&self) -> &'static str;
}

/// Whose password it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordOwner {
    User,
    Admin,
}

/// Decides what of a given password is stored. Implemented by `auth`, which
/// knows the hash formats.
#[async_trait]
pub trait PasswordPolicy: Send + Sync {
    /// The hash of a clear-text password that is strong enough, or a given hash
    /// if it can be verified at a bearable cost.
    async fn prepare(&self, owner: PasswordOwner, password: &Password) -> Result<Password>;
}
