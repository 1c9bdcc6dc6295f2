//! Accounts in memory: those of a dump, which is read at the start and on SIGHUP.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use actors::AccountId;
use actors::meter::KillReason;

use super::Core;
use crate::config::{Config, ConfigDir};
use crate::error::Result;
use crate::logging;
use crate::provider::backup::{self, LoadReport};

/// The dump that the configuration names for a store in memory.
pub fn dump_file(config: &Config, config_dir: &ConfigDir) -> Option<PathBuf> {
    config.data_provider.memory_dump().map(|dump| config_dir.resolve(dump))
}

/// Loads the dump in place of whatever is there.
pub async fn load(core: &Core, dump: &Path) -> Result<LoadReport> {
    let report = backup::replace_with_file(&core.store, dump)
        .await
        .map_err(|error| error.wrap("`data_provider.name`"))?;
    let log = logging::for_sender(&core.log, "service");
    slog::info!(log, "loaded {}: {} objects", dump.display(), report.added);
    for warning in &report.warnings {
        slog::warn!(log, "{warning}");
    }
    Ok(report)
}

/// Loads it again while clients are connected. Who is not in it any more, or may not be
/// connected, is disconnected; all others see what has changed with their next login, as
/// after every change of an account.
pub async fn reload(core: &Core, dump: &Path) -> Result<()> {
    let report = load(core, dump).await?;
    for account in report.gone {
        if let AccountId::User(name) = &account {
            core.actors.registry.kill_user(name, KillReason::AccountDeleted).await;
        }
        core.actors.quota.forget(account).await;
    }
    let sessions = core.actors.registry.list().await;
    let connected: BTreeSet<_> = sessions.into_iter().map(|session| session.username).collect();
    for username in connected {
        follow(core, &username).await;
    }
    Ok(())
}

/// Ends the sessions of a user, or sets when they end, as the account now says.
async fn follow(core: &Core, username: &str) {
    let registry = &core.actors.registry;
    match core.store.effective_user(username).await {
        Ok(Some(account)) => match core.login.standing(&account.user) {
            Ok(end) => registry.set_end(username, end).await,
            Err(reason) => {
                registry.kill_user(username, reason).await;
            }
        },
        Ok(None) => {
            registry.kill_user(username, KillReason::AccountDeleted).await;
        }
        Err(error) => {
            let log = logging::for_sender(&core.log, "service");
            slog::warn!(log, "sessions of user \"{username}\" may go on: {error}");
        }
    }
}
