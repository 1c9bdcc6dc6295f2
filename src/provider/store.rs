//! The async face of the data provider, and the only place that knows that a
//! database blocks.

mod roles;
mod scans;
mod second_factor;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::ids::AccountId;
use actors::ports::{BoxError, Transferred, TransferredDelta, Usage, UsageDelta, UsageStore};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::sql::SqlProvider;
use super::{
    Account, AccountTotals, AdminQuery, FolderQuery, GroupQuery, Objects, Page, PasswordOwner,
    PasswordPolicy, Provider, RestoreMode, RestoreRun, Restored, UserQuery,
};
use crate::config::{DataProviderConfig, Driver, UpdateMode};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{
    Admin, Effective, EffectiveLimits, Folder, Group, NamingRules, Password, Rules, User,
    VirtualFolder, effective,
};

/// `last_login` is not written again before this much time has passed.
const LOGIN_UPDATE_INTERVAL_MS: i64 = 10 * 60 * 1000;

/// How long a caller waits for a free connection before it gets an error.
const WAIT_FOR_SLOT: Duration = Duration::from_secs(30);

/// The store of accounts. Cheap to clone.
///
/// Objects are validated and brought to their stored form on the way in, and
/// clear-text passwords are hashed; names are brought to their stored form
/// (`naming_rules`) wherever they are looked up.
#[derive(Clone)]
pub struct Store {
    provider: Arc<dyn Provider>,
    /// One slot per connection: a task that would only wait for a connection
    /// does not occupy a thread.
    slots: Arc<Semaphore>,
    rules: Arc<Rules>,
    passwords: Arc<dyn PasswordPolicy>,
    can_change_users: bool,
}

impl Store {
    /// Opens the configured store and brings its schema up to date, unless
    /// `update_mode` reserves that for `initprovider`. Relative names are below
    /// `config_dir`. Blocks: call it before serving, or on the blocking pool.
    pub fn open(
        config: &DataProviderConfig,
        config_dir: &Path,
        passwords: Arc<dyn PasswordPolicy>,
    ) -> Result<Self> {
        let provider = SqlProvider::open(config, config_dir)?;
        match config.update_mode {
            // Made anew at each start, nobody could have prepared it.
            _ if config.driver == Driver::Memory => {
                provider.migrate()?;
            }
            UpdateMode::Automatic => {
                provider.migrate()?;
            }
            UpdateMode::Manual => provider.require_current_schema()?,
        }
        Ok(Self::over(provider, config, passwords))
    }

    /// Creates or upgrades the schema and nothing else: `initprovider`. Returns
    /// whether there was anything to do. Blocks.
    pub fn initialise(config: &DataProviderConfig, config_dir: &Path) -> Result<bool> {
        SqlProvider::open(config, config_dir)?.migrate()
    }

    /// A store in memory, gone with its last clone: for portable mode and tests.
    pub fn in_memory(
        config: &DataProviderConfig,
        passwords: Arc<dyn PasswordPolicy>,
    ) -> Result<Self> {
        let provider = SqlProvider::in_memory()?;
        provider.migrate()?;
        Ok(Self::over(provider, config, passwords))
    }

    fn over(
        provider: SqlProvider,
        config: &DataProviderConfig,
        passwords: Arc<dyn PasswordPolicy>,
    ) -> Self {
        let base = Path::new(&config.users_base_dir);
        let rules = Rules {
            naming: NamingRules::from_bits(config.naming_rules.into()),
            users_base_dir: base.is_absolute().then(|| base.to_owned()),
        };
        Self {
            slots: Arc::new(Semaphore::new(provider.connections())),
            provider: Arc::new(provider),
            rules: Arc::new(rules),
            passwords,
            can_change_users: config.manage_users != 0,
        }
    }

    /// What validation needs of the configuration.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Name of the driver, for the status page.
    pub fn driver(&self) -> &'static str {
        self.provider.driver()
    }

    /// Fails with `Unavailable` if the store does not answer.
    pub async fn check_availability(&self) -> Result<()> {
        self.run(|provider| provider.check_availability()).await
    }

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
        self.require_changeable_users()?;
        user.normalise(&self.rules)?;
        self.settle_folders(&mut user.virtual_folders)
            .await
            .map_err(|error| error.wrap(format!("user {:?}", user.username)))?;
        self.prepare_user_password(&mut user).await?;
        let now = now_unix_ms();
        user.created_at = now;
        user.updated_at = now;
        user.last_login = 0;
        user.last_password_change = if user.password.is_empty() { 0 } else { now };
        self.run(move |provider| {
            provider.add_user(&user)?;
            stored(provider.user(&user.username)?, "user", &user.username)
        })
        .await
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
        self.require_changeable_users()?;
        user.normalise(&self.rules)?;
        self.settle_folders(&mut user.virtual_folders)
            .await
            .map_err(|error| error.wrap(format!("user {:?}", user.username)))?;
        self.prepare_user_password(&mut user).await?;
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

    /// Replaces a hash by an equivalent one, unless it has changed meanwhile;
    /// tells whether it did.
    pub async fn swap_user_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let name = self.rules.naming.canonical(username);
        let (old, new) = (old.to_owned(), new.to_owned());
        self.run(move |provider| provider.swap_user_password(&name, &old, &new)).await
    }

    pub async fn group(&self, name: &str) -> Result<Option<Group>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.group(&name)).await
    }

    /// The groups that a query finds, in its order, and how many there are on all pages.
    pub async fn find_groups(&self, query: GroupQuery, page: Page) -> Result<(Vec<Group>, u64)> {
        self.run(move |provider| provider.find_groups(&query, bounded(page))).await
    }

    /// The names of the first groups: as many as a page can have.
    pub async fn group_names(&self) -> Result<Vec<String>> {
        self.run(|provider| provider.group_names(Page::MAX_LIMIT)).await
    }

    /// Adds a group and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_group(&self, mut group: Group) -> Result<Group> {
        self.prepare_group(&mut group).await?;
        group.created_at = group.updated_at;
        self.run(move |provider| {
            provider.add_group(&group)?;
            stored(provider.group(&group.name)?, "group", &group.name)
        })
        .await
    }

    /// Replaces the group of this name and returns it as stored; its users stay in
    /// it. Fails with `InvalidInput` or `NotFound`.
    pub async fn update_group(&self, group: Group) -> Result<Group> {
        self.update_group_if(group, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_group_if(
        &self,
        mut group: Group,
        permit: impl Fn(&Group) -> Result<()> + Send + 'static,
    ) -> Result<Group> {
        self.prepare_group(&mut group).await?;
        self.run(move |provider| {
            provider.change_group(&group.name, &|stored| {
                permit(stored)?;
                let updated_at = later(group.updated_at, stored.updated_at);
                *stored = Group { updated_at, ..group.clone() };
                Ok(())
            })?;
            stored(provider.group(&group.name)?, "group", &group.name)
        })
        .await
    }

    async fn prepare_group(&self, group: &mut Group) -> Result<()> {
        group.normalise(&self.rules)?;
        self.settle_folders(&mut group.virtual_folders)
            .await
            .map_err(|error| error.wrap(format!("group {:?}", group.name)))?;
        group.updated_at = now_unix_ms();
        Ok(())
    }

    /// Fails with `NotFound`, and with `Conflict` while users are in it.
    pub async fn delete_group(&self, name: &str) -> Result<()> {
        self.delete_group_if(name, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_group_if(
        &self,
        name: &str,
        permit: impl Fn(&Group) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.delete_group_if(&name, &permit)).await
    }

    /// Decides which folders are made from what is said of them here.
    async fn settle_folders(&self, mounts: &mut [VirtualFolder]) -> Result<()> {
        let existing = self.existing_folders(mounts.iter(), &BTreeSet::new()).await?;
        for mount in mounts {
            let exists = existing.contains(&mount.folder.name);
            mount.settle(exists, &self.rules)?;
        }
        Ok(())
    }

    /// Which folders exist of those that `mounts` define, leaving out `known` ones.
    pub(super) async fn existing_folders(
        &self,
        mounts: impl Iterator<Item = &VirtualFolder>,
        known: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>> {
        let asked: BTreeSet<&str> = mounts
            .filter(|mount| mount.folder.is_defined())
            .map(|mount| mount.folder.name.as_str())
            .filter(|name| !known.contains(*name))
            .collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
        let existing = self.run(move |provider| provider.existing_folders(&asked)).await?;
        Ok(existing.into_iter().collect())
    }

    pub async fn folder(&self, name: &str) -> Result<Option<Folder>> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.folder(&name)).await
    }

    /// Folders sorted by name.
    pub async fn folders(&self, page: Page) -> Result<Vec<Folder>> {
        self.run(move |provider| provider.folders(bounded(page))).await
    }

    /// The folders that a query finds, in its order, and how many there are on all pages.
    pub async fn find_folders(&self, query: FolderQuery, page: Page) -> Result<(Vec<Folder>, u64)> {
        self.run(move |provider| provider.find_folders(&query, bounded(page))).await
    }

    /// The names of the first folders: as many as a page can have.
    pub async fn folder_names(&self) -> Result<Vec<String>> {
        self.run(|provider| provider.folder_names(Page::MAX_LIMIT)).await
    }

    /// Bytes that are counted in all folders.
    pub async fn size_of_folders(&self) -> Result<u64> {
        self.run(|provider| provider.size_of_folders()).await
    }

    /// Adds a folder and returns it as stored. Fails with `InvalidInput` or
    /// `AlreadyExists`.
    pub async fn add_folder(&self, mut folder: Folder) -> Result<Folder> {
        folder.normalise(&self.rules)?;
        self.run(move |provider| {
            provider.add_folder(&folder)?;
            stored(provider.folder(&folder.name)?, "folder", &folder.name)
        })
        .await
    }

    /// Replaces the folder of this name and returns it as stored. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_folder(&self, folder: Folder) -> Result<Folder> {
        self.update_folder_if(folder, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_folder_if(
        &self,
        mut folder: Folder,
        permit: impl Fn(&Folder) -> Result<()> + Send + 'static,
    ) -> Result<Folder> {
        folder.normalise(&self.rules)?;
        self.run(move |provider| {
            provider.change_folder(&folder.name, &|stored| {
                permit(stored)?;
                folder.clone_into(stored);
                Ok(())
            })?;
            stored(provider.folder(&folder.name)?, "folder", &folder.name)
        })
        .await
    }

    /// Deletes the folder object and takes it out of users and groups; never deletes
    /// files. Fails with `NotFound`.
    pub async fn delete_folder(&self, name: &str) -> Result<()> {
        self.delete_folder_if(name, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_folder_if(
        &self,
        name: &str,
        permit: impl Fn(&Folder) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(name);
        self.run(move |provider| provider.delete_folder_if(&name, &permit)).await
    }

    pub async fn admin(&self, username: &str) -> Result<Option<Admin>> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.admin(&name)).await
    }

    /// The admins that a query finds, in its order, and how many there are on all pages.
    pub async fn find_admins(&self, query: AdminQuery, page: Page) -> Result<(Vec<Admin>, u64)> {
        self.run(move |provider| provider.find_admins(&query, bounded(page))).await
    }

    /// True if there is at least one admin.
    pub async fn has_admins(&self) -> Result<bool> {
        let one = Page { limit: 1, ..Page::default() };
        Ok(!self.find_admins(AdminQuery::default(), one).await?.0.is_empty())
    }

    /// Adds an admin, who needs a password, and returns it as stored. Fails with
    /// `InvalidInput` or `AlreadyExists`.
    pub async fn add_admin(&self, admin: Admin) -> Result<Admin> {
        let admin = self.new_admin(admin).await?;
        self.run(move |provider| {
            provider.add_admin(&admin)?;
            stored(provider.admin(&admin.username)?, "admin", &admin.username)
        })
        .await
    }

    /// Adds the admin only if there is none yet; tells whether it did.
    pub async fn add_first_admin(&self, admin: Admin) -> Result<bool> {
        let admin = self.new_admin(admin).await?;
        self.run(move |provider| provider.add_first_admin(&admin)).await
    }

    async fn new_admin(&self, mut admin: Admin) -> Result<Admin> {
        admin.normalise(&self.rules)?;
        if admin.password.is_empty() {
            return Err(Error::invalid(format!(
                "admin {:?}: password: is required",
                admin.username
            )));
        }
        self.prepare_admin_password(&mut admin).await?;
        let now = now_unix_ms();
        admin.created_at = now;
        admin.updated_at = now;
        admin.last_login = 0;
        Ok(admin)
    }

    /// Replaces the admin of this name and returns it as stored; without a new
    /// password the old one stays, and the second factor in any case. Fails with
    /// `InvalidInput` or `NotFound`.
    pub async fn update_admin(&self, admin: Admin) -> Result<Admin> {
        self.update_admin_if(admin, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn update_admin_if(
        &self,
        mut admin: Admin,
        permit: impl Fn(&Admin) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        admin.normalise(&self.rules)?;
        self.prepare_admin_password(&mut admin).await?;
        self.change_stored_admin(admin.username.clone(), move |stored| {
            permit(stored)?;
            let mut new = admin.clone();
            new.keep_second_factor_of(stored);
            *stored = new;
            Ok(())
        })
        .await
    }

    /// Changes some of what an admin can change of the own account, and nothing else.
    /// Fails with `InvalidInput` or `NotFound`.
    pub async fn change_admin(
        &self,
        username: &str,
        change: impl Fn(&mut Admin) + Send + 'static,
    ) -> Result<Admin> {
        let rules = self.rules.clone();
        self.change_stored_admin(self.rules.naming.canonical(username), move |stored| {
            change(stored);
            stored.normalise(&rules)
        })
        .await
    }

    /// Replaces the password of an admin and nothing else. Fails with `InvalidInput` or
    /// `NotFound`.
    pub async fn set_admin_password(&self, username: &str, password: Password) -> Result<Admin> {
        let username = self.rules.naming.canonical(username);
        let mut new = Admin { username, password, ..Admin::default() };
        self.prepare_admin_password(&mut new).await?;
        self.change_stored_admin(new.username.clone(), move |stored| {
            new.password.clone_into(&mut stored.password);
            Ok(())
        })
        .await
    }

    /// Lets `change` change the admin, gives it a new time, and returns it as stored.
    async fn change_stored_admin(
        &self,
        username: String,
        change: impl Fn(&mut Admin) -> Result<()> + Send + 'static,
    ) -> Result<Admin> {
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.change_admin(&username, &|stored| {
                let updated_at = later(now, stored.updated_at);
                change(stored)?;
                stored.updated_at = updated_at;
                Ok(())
            })?;
            stored(provider.admin(&username)?, "admin", &username)
        })
        .await
    }

    /// Fails with `NotFound`.
    pub async fn delete_admin(&self, username: &str) -> Result<()> {
        self.delete_admin_if(username, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored in that moment; its error is
    /// returned.
    pub async fn delete_admin_if(
        &self,
        username: &str,
        permit: impl Fn(&Admin) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        self.run(move |provider| provider.delete_admin_if(&name, &permit)).await
    }

    /// Notes a login, at most every ten minutes.
    pub async fn admin_logged_in(&self, username: &str) -> Result<()> {
        let name = self.rules.naming.canonical(username);
        let now = now_unix_ms();
        self.run(move |provider| {
            provider.touch_admin_login(&name, now, now - LOGIN_UPDATE_INTERVAL_MS)
        })
        .await
    }

    /// Replaces a hash by an equivalent one, unless it has changed meanwhile;
    /// tells whether it did.
    pub async fn swap_admin_password(&self, username: &str, old: &str, new: &str) -> Result<bool> {
        let name = self.rules.naming.canonical(username);
        let (old, new) = (old.to_owned(), new.to_owned());
        self.run(move |provider| provider.swap_admin_password(&name, &old, &new)).await
    }

    /// What an account has stored; nothing for accounts that do not exist.
    pub async fn usage(&self, account: &AccountId) -> Result<Usage> {
        let account = account.clone();
        self.run(move |provider| provider.usage(&account)).await
    }

    /// All objects as of one moment, with their password hashes.
    pub async fn snapshot(&self) -> Result<Objects> {
        self.run(|provider| provider.snapshot()).await
    }

    /// Stores all objects or, when it fails, none: for `backup`, which has
    /// validated them.
    pub(super) async fn restore(
        &self,
        objects: Objects,
        mode: RestoreMode,
        run: RestoreRun,
    ) -> Result<Restored> {
        self.run(move |provider| provider.run_restore(&objects, mode, &run)).await
    }

    pub(super) async fn prepare_user_password(&self, user: &mut User) -> Result<()> {
        if !user.password.is_empty() {
            user.password = self
                .passwords
                .prepare(PasswordOwner::User, &user.password)
                .await
                .map_err(|error| error.wrap(format!("user {:?}: password", user.username)))?;
        }
        Ok(())
    }

    pub(super) async fn prepare_admin_password(&self, admin: &mut Admin) -> Result<()> {
        if !admin.password.is_empty() {
            admin.password = self
                .passwords
                .prepare(PasswordOwner::Admin, &admin.password)
                .await
                .map_err(|error| error.wrap(format!("admin {:?}: password", admin.username)))?;
        }
        Ok(())
    }

    pub(super) fn require_changeable_users(&self) -> Result<()> {
        if self.can_change_users {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "users cannot be changed: data_provider.manage_users is 0",
        ))
    }

    async fn run<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Provider) -> Result<T> + Send + 'static,
    {
        let acquired = tokio::time::timeout(WAIT_FOR_SLOT, self.slots.clone().acquire_owned());
        let slot = acquired
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "data provider: all connections are busy"))?
            .map_err(|error| {
                Error::with_source(ErrorKind::Unavailable, "data provider: is closed", error)
            })?;
        let provider = self.provider.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work(provider.as_ref())
        });
        done.await.map_err(|error| {
            Error::with_source(ErrorKind::Internal, "data provider: query failed", error)
        })?
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("driver", &self.driver()).finish_non_exhaustive()
    }
}

/// Counters for the quota tracker.
#[async_trait]
impl UsageStore for Store {
    async fn load(&self, account: &AccountId) -> Result<Usage, BoxError> {
        Ok(self.usage(account).await?)
    }

    async fn add(&self, deltas: Vec<(AccountId, UsageDelta)>) -> Result<(), BoxError> {
        let now = now_unix_ms();
        Ok(self.run(move |provider| provider.add_usage(&deltas, now)).await?)
    }

    async fn set(&self, account: &AccountId, usage: Usage) -> Result<(), BoxError> {
        let account = account.clone();
        Ok(self.run(move |provider| provider.set_usage(&account, usage)).await?)
    }

    async fn load_transferred(&self, account: &AccountId) -> Result<Transferred, BoxError> {
        let account = account.clone();
        Ok(self.run(move |provider| provider.transferred(&account)).await?)
    }

    async fn add_transferred(
        &self,
        deltas: Vec<(AccountId, TransferredDelta)>,
    ) -> Result<(), BoxError> {
        Ok(self.run(move |provider| provider.add_transferred(&deltas)).await?)
    }
}

fn bounded(page: Page) -> Page {
    Page { limit: page.limit.clamp(1, Page::MAX_LIMIT), ..page }
}

/// The time of a change of what was changed at `before`: no two changes have the same, even
/// within one tick of the clock, or when it was set back.
fn later(now_unix_ms: i64, before: i64) -> i64 {
    now_unix_ms.max(before.saturating_add(1))
}

/// The object that was just written; it may have been deleted since.
fn stored<T>(found: Option<T>, kind: &str, name: &str) -> Result<T> {
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("{kind} {name:?}: was deleted meanwhile"))
    })
}

#[cfg(test)]
mod tests;
