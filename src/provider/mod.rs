//! Accounts at rest: users, groups, folders, admins and what they have stored.
//!
//! The traits here are small, synchronous, one per aggregate; [`Provider`] is
//! their sum, and `sql` implements it. Everybody else uses [`Store`], the async
//! face, which also validates objects and hashes passwords on their way in, so
//! that nothing reaches a provider that was not checked.

pub mod backup;
#[cfg(test)]
mod conformance;
mod query;
mod sql;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use actors::ids::{AccountId, Direction};
use actors::ports::{Transferred, TransferredDelta, Usage, UsageDelta};
use async_trait::async_trait;

use crate::error::Result;
use crate::model::{Admin, Folder, Group, InheritedLimits, Password, Role, User};

pub use query::{
    AdminQuery, AdminSort, AdminState, FolderQuery, FolderSort, FolderState, GroupQuery, GroupSort,
    GroupState, RoleQuery, RoleSort, UserQuery, UserSort, UserState,
};
pub use store::Store;

/// Which part of a sorted list is wanted. The order is that of the natural key, unless a
/// query says another.
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

/// Decides, with an error, whether what is stored may be changed; asked in the very step of
/// the change. It only looks, and may be asked again if the store has to begin anew.
pub type Permit<'a, T> = &'a dyn Fn(&T) -> Result<()>;

/// Changes what is stored, in one step that nobody else comes between, or leaves it with an
/// error. It may be called again, on what is stored then, if the store has to begin anew.
pub type Change<'a, T> = &'a dyn Fn(&mut T) -> Result<()>;

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
    /// Changes the user but for its name, `id`, `created_at`, `last_login` and the times of
    /// its first transfers, and the password if that is left empty. Fails with `NotFound`.
    fn change_user(&self, username: &str, change: Change<'_, User>) -> Result<()>;
    /// Replaces the user in the same way.
    fn update_user(&self, user: &User) -> Result<()> {
        self.change_user(&user.username, &|stored| {
            user.clone_into(stored);
            Ok(())
        })
    }
    /// Fails with `NotFound`.
    fn delete_user_if(&self, username: &str, permit: Permit<'_, User>) -> Result<()>;
    /// The same without a condition.
    fn delete_user(&self, username: &str) -> Result<()> {
        self.delete_user_if(username, &|_| Ok(()))
    }
    /// Sets `last_login` to `now_unix_ms` if it is older than `older_than_unix_ms`.
    fn touch_user_login(
        &self,
        username: &str,
        now_unix_ms: i64,
        older_than_unix_ms: i64,
    ) -> Result<()>;
    /// Sets `first_upload` or `first_download` to `now_unix_ms` unless it is set.
    fn note_first_transfer(
        &self,
        username: &str,
        direction: Direction,
        now_unix_ms: i64,
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
    /// Those that the query finds, in its order, and how many there are on all pages.
    fn find_groups(&self, query: &GroupQuery, page: Page) -> Result<(Vec<Group>, u64)>;
    /// All of them, sorted by name.
    fn groups(&self, page: Page) -> Result<Vec<Group>> {
        Ok(self.find_groups(&GroupQuery::default(), page)?.0)
    }
    /// The first names.
    fn group_names(&self, limit: u32) -> Result<Vec<String>>;
    /// Names and limits of those of these groups that there are, in no order.
    fn group_limits(&self, names: &[String]) -> Result<Vec<(String, InheritedLimits)>>;
    /// Fails with `AlreadyExists`.
    fn add_group(&self, group: &Group) -> Result<()>;
    /// Changes the group but for its name, `id`, `created_at` and who is in it. Fails
    /// with `NotFound`.
    fn change_group(&self, name: &str, change: Change<'_, Group>) -> Result<()>;
    /// Replaces the group in the same way.
    fn update_group(&self, group: &Group) -> Result<()> {
        self.change_group(&group.name, &|stored| {
            group.clone_into(stored);
            Ok(())
        })
    }
    /// Fails with `NotFound`, and with `Conflict` while users are in it.
    fn delete_group_if(&self, name: &str, permit: Permit<'_, Group>) -> Result<()>;
    /// The same without a condition.
    fn delete_group(&self, name: &str) -> Result<()> {
        self.delete_group_if(name, &|_| Ok(()))
    }
}

/// Folders, stored as given; their counters as those of users.
pub trait Folders: Send + Sync {
    fn folder(&self, name: &str) -> Result<Option<Folder>>;
    /// Those that the query finds, in its order, and how many there are on all pages.
    fn find_folders(&self, query: &FolderQuery, page: Page) -> Result<(Vec<Folder>, u64)>;
    /// All of them, sorted by name.
    fn folders(&self, page: Page) -> Result<Vec<Folder>> {
        Ok(self.find_folders(&FolderQuery::default(), page)?.0)
    }
    /// The first names.
    fn folder_names(&self, limit: u32) -> Result<Vec<String>>;
    /// Bytes that are counted in all folders.
    fn size_of_folders(&self) -> Result<u64>;
    /// Which of these exist.
    fn existing_folders(&self, names: &[String]) -> Result<Vec<String>>;
    /// Fails with `AlreadyExists`.
    fn add_folder(&self, folder: &Folder) -> Result<()>;
    /// Changes the folder but for its name, `id` and who mounts it. Fails with
    /// `NotFound`, and with `InvalidInput` if it gets a place for every user but is
    /// mounted somewhere with a quota of its own.
    fn change_folder(&self, name: &str, change: Change<'_, Folder>) -> Result<()>;
    /// Replaces the folder in the same way.
    fn update_folder(&self, folder: &Folder) -> Result<()> {
        self.change_folder(&folder.name, &|stored| {
            folder.clone_into(stored);
            Ok(())
        })
    }
    /// Takes it out of all users and groups. Fails with `NotFound`.
    fn delete_folder_if(&self, name: &str, permit: Permit<'_, Folder>) -> Result<()>;
    /// The same without a condition.
    fn delete_folder(&self, name: &str) -> Result<()> {
        self.delete_folder_if(name, &|_| Ok(()))
    }
}

/// Admins, stored as given; a write fails with `InvalidInput` if there is no such
/// role.
pub trait Admins: Send + Sync {
    fn admin(&self, username: &str) -> Result<Option<Admin>>;
    /// Those that the query finds, in its order, and how many there are on all pages.
    fn find_admins(&self, query: &AdminQuery, page: Page) -> Result<(Vec<Admin>, u64)>;
    /// All of them, sorted by name.
    fn admins(&self, page: Page) -> Result<Vec<Admin>> {
        Ok(self.find_admins(&AdminQuery::default(), page)?.0)
    }
    /// Fails with `AlreadyExists`.
    fn add_admin(&self, admin: &Admin) -> Result<()>;
    /// Adds the admin if there is none at all; tells whether it did.
    fn add_first_admin(&self, admin: &Admin) -> Result<bool>;
    /// Changes the admin but for its name, `id`, `created_at` and `last_login`, and the
    /// password if that is left empty. Fails with `NotFound`.
    fn change_admin(&self, username: &str, change: Change<'_, Admin>) -> Result<()>;
    /// Replaces the admin in the same way.
    fn update_admin(&self, admin: &Admin) -> Result<()> {
        self.change_admin(&admin.username, &|stored| {
            admin.clone_into(stored);
            Ok(())
        })
    }
    /// Fails with `NotFound`.
    fn delete_admin_if(&self, username: &str, permit: Permit<'_, Admin>) -> Result<()>;
    /// The same without a condition.
    fn delete_admin(&self, username: &str) -> Result<()> {
        self.delete_admin_if(username, &|_| Ok(()))
    }
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
    /// Those that the query finds, in its order, and how many there are on all pages.
    fn find_roles(&self, query: &RoleQuery, page: Page) -> Result<(Vec<Role>, u64)>;
    /// All of them, sorted by name.
    fn roles(&self, page: Page) -> Result<Vec<Role>> {
        Ok(self.find_roles(&RoleQuery::default(), page)?.0)
    }
    /// The first names.
    fn role_names(&self, limit: u32) -> Result<Vec<String>>;
    /// Fails with `AlreadyExists`.
    fn add_role(&self, role: &Role) -> Result<()>;
    /// Changes the role but for its name, `id`, `created_at` and who has it. Fails with
    /// `NotFound`.
    fn change_role(&self, name: &str, change: Change<'_, Role>) -> Result<()>;
    /// Replaces the role in the same way.
    fn update_role(&self, role: &Role) -> Result<()> {
        self.change_role(&role.name, &|stored| {
            role.clone_into(stored);
            Ok(())
        })
    }
    /// Takes the role from its users. Fails with `NotFound`, and with `Conflict` as
    /// long as an admin has it: without a role an admin would see all users.
    fn delete_role_if(&self, name: &str, now_unix_ms: i64, permit: Permit<'_, Role>) -> Result<()>;
    /// The same without a condition.
    fn delete_role(&self, name: &str, now_unix_ms: i64) -> Result<()> {
        self.delete_role_if(name, now_unix_ms, &|_| Ok(()))
    }
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
    fn restore(&self, objects: &Objects, mode: RestoreMode) -> Result<Restored> {
        self.run_restore(objects, mode, &RestoreRun::default())
    }
    /// The same in a way of its own.
    fn run_restore(
        &self,
        objects: &Objects,
        mode: RestoreMode,
        run: &RestoreRun,
    ) -> Result<Restored>;
}

/// How a restore is done.
#[derive(Debug, Clone, Default)]
pub struct RestoreRun {
    /// Everything is tried, and nothing is stored.
    pub is_rehearsal: bool,
    /// Counts the objects that are through.
    pub processed: Arc<AtomicU64>,
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

impl Objects {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.roles.len()
            + self.folders.len()
            + self.groups.len()
            + self.users.len()
            + self.admins.len()
    }
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
