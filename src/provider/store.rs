//! The async face of the data provider, and the only place that knows that a
//! database blocks.

mod admins;
mod folders;
mod groups;
mod roles;
mod scans;
mod second_factor;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::ids::AccountId;
use actors::ports::{BoxError, Transferred, TransferredDelta, Usage, UsageDelta, UsageStore};
use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::sql::SqlProvider;
use super::{
    Objects, Page, PasswordOwner, PasswordPolicy, Provider, RestoreMode, RestoreRun, Restored,
};
use crate::config::{DataProviderConfig, Driver, UpdateMode};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_ms;
use crate::model::{Admin, NamingRules, Rules, User};

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
