//! Quota scans that were asked for and are not done yet.

use actors::ids::AccountId;

use super::Store;
use crate::error::Result;
use crate::model::timestamp::now_unix_ms;

/// Accounts that are asked for at once.
const PAGE: u32 = 100;

impl Store {
    /// Notes that a scan is wanted, until [`Store::scan_done`]: a restart does not forget
    /// it, the end of the account does.
    pub async fn request_scan(&self, account: &AccountId) -> Result<()> {
        let account = account.clone();
        self.run(move |provider| provider.request_scan(&account, now_unix_ms())).await
    }

    /// The scan is done or given up.
    pub async fn scan_done(&self, account: &AccountId) -> Result<()> {
        let account = account.clone();
        self.run(move |provider| provider.scan_done(&account)).await
    }

    /// Some of the accounts whose scan is wanted: the next ones after `after`, users
    /// before folders, by name. Empty at the end.
    pub async fn requested_scans(&self, after: Option<AccountId>) -> Result<Vec<AccountId>> {
        self.run(move |provider| provider.requested_scans(after.as_ref(), PAGE)).await
    }
}
