//! Accounts at rest: users, folders, admins and what they have stored.
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
use crate::model::{Admin, Folder, Password, User};

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

/// Users, stored as given. The usage counters are read with the user but
/// written only through [`UsageCounters`].
pub trait Users: Send + Sync {
    fn user(&self, username: &str) -> Result<Option<User>>;
    fn users(&self, page: Page) -> Result<Vec<User>>;
    /// Fails with `AlreadyExists`.
    fn add_user(&self, user: &User) -> Result<()>;
    /// Replaces the user but for `id`, `created_at` and `last_login`, and the
    /// password if none is given. Fails with `NotFound`.
    fn update_user(&self, user: &User) -> Result<()>;
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

/// Folders, stored as given; their counters as those of users.
pub trait Folders: Send + Sync {
    fn folder(&self, name: &str) -> Result<Option<Folder>>;
    fn folders(&self, page: Page) -> Result<Vec<Folder>>;
    /// Fails with `AlreadyExists`.
    fn add_folder(&self, folder: &Folder) -> Result<()>;
    /// Replaces the folder but for `id`. Fails with `NotFound`.
    fn update_folder(&self, folder: &Folder) -> Result<()>;
    /// Fails with `NotFound`.
    fn delete_folder(&self, name: &str) -> Result<()>;
}

/// Admins, stored as given.
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

/// What users and folders have stored, and users have transferred. Accounts that do not exist use nothing,
/// and what is written for them is dropped.
pub trait UsageCounters: Send + Sync {
    fn usage(&self, account: &AccountId) -> Result<Usage>;
    /// Adds all deltas or none; no counter goes below zero.
    fn add_usage(&self, deltas: &[(AccountId, UsageDelta)], now_unix_ms: i64) -> Result<()>;
    fn set_usage(&self, account: &AccountId, usage: Usage) -> Result<()>;
    fn transferred(&self, account: &AccountId) -> Result<Transferred>;
    /// Adds all deltas or none; no counter goes below zero.
    fn add_transferred(&self, deltas: &[(AccountId, TransferredDelta)]) -> Result<()>;
}

/// Everything at once: for dumps and for loading them.
pub trait Backup: Send + Sync {
    /// All objects as of one moment.
    fn snapshot(&self) -> Result<Objects>;
    /// Stores all objects or, when it fails, none. Existing ones are replaced
    /// unless `add_only`; their counters stay.
    fn restore(&self, objects: &Objects, add_only: bool) -> Result<Restored>;
}

/// Objects of all kinds.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub folders: Vec<Folder>,
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
}

/// A place for accounts.
pub trait Provider: Users + Folders + Admins + UsageCounters + Backup {
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
