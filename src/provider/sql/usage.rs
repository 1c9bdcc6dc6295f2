//! Usage counters in SQL: one row per user and folder, made and deleted with it.

use actors::ids::AccountId;
use actors::ports::{Transferred, TransferredDelta, Usage, UsageDelta};
use diesel::dsl::{case_when, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::connection::{Engine, with_engine};
use super::schema::quota_usage;
use super::search::count;
use super::users::Counters;
use super::{SqlProvider, query_failed};
use crate::error::Result;
use crate::provider::UsageCounters;

/// `owner_kind` of users.
pub const KIND_USER: i32 = 0;

/// `owner_kind` of folders.
pub const KIND_FOLDER: i32 = 1;

fn key(account: &AccountId) -> (i32, &str) {
    match account {
        AccountId::User(name) => (KIND_USER, name),
        AccountId::Folder(name) => (KIND_FOLDER, name),
    }
}

/// The counters of an account that starts.
#[derive(Insertable)]
#[diesel(table_name = quota_usage)]
pub struct NewUsage<'a> {
    owner_kind: i32,
    owner_name: &'a str,
    used_size: i64,
    used_files: i64,
    updated_at: i64,
    uploaded: i64,
    downloaded: i64,
}

/// The counters of an account, as they are stored.
#[derive(Queryable, Identifiable, AsChangeset)]
#[diesel(table_name = quota_usage, primary_key(owner_kind, owner_name))]
pub struct UsageRow {
    owner_kind: i32,
    owner_name: String,
    used_size: i64,
    used_files: i64,
    updated_at: i64,
    uploaded: i64,
    downloaded: i64,
    scan_requested: i64,
}

impl UsageRow {
    /// Whose they are.
    pub fn account(self) -> AccountId {
        account_of(self.owner_kind, self.owner_name)
    }
}

fn account_of(kind: i32, name: String) -> AccountId {
    match kind {
        KIND_FOLDER => AccountId::folder(name),
        _ => AccountId::user(name),
    }
}

/// Nothing used, never updated.
pub fn nothing(owner_kind: i32, owner_name: &str) -> NewUsage<'_> {
    NewUsage {
        owner_kind,
        owner_name,
        used_size: 0,
        used_files: 0,
        updated_at: 0,
        uploaded: 0,
        downloaded: 0,
    }
}

/// The unit in which bytes are summed, and what is left beside it: the sum of the bytes
/// themselves could overflow. It stands in [`sums_of_used_size`] as a number.
const UNIT: u64 = 1 << 20;

/// What [`sums_of_used_size`] gives, nothing over no rows; [`bytes_of`] is their sum.
pub type Sums = (Option<i64>, Option<i64>);

/// The sums of `used_size` in units and of what is left.
pub fn sums_of_used_size<E: Engine>(
    engine: &E,
) -> (SqlLiteral<Nullable<BigInt>>, SqlLiteral<Nullable<BigInt>>) {
    let left = "quota_usage.used_size % 1048576";
    (
        sum_as_integer(engine, &format!("(quota_usage.used_size - {left}) / 1048576")),
        sum_as_integer(engine, left),
    )
}

/// The sum of an expression over integer columns; nothing over no rows.
fn sum_as_integer<E: Engine>(_: &E, expression: &str) -> SqlLiteral<Nullable<BigInt>> {
    sql(&format!("CAST(SUM({expression}) AS {})", E::INTEGER))
}

/// The bytes that two sums stand for.
pub fn bytes_of((units, left): Sums) -> u64 {
    let units = units.map_or(0, count).saturating_mul(UNIT);
    units.saturating_add(left.map_or(0, count))
}

impl UsageCounters for SqlProvider {
    fn usage(&self, account: &AccountId) -> Result<Usage> {
        let found: Option<Counters> = with_engine!(&mut self.connection()?, conn => {
            quota_usage::table
                .find(key(account))
                .select((
                    quota_usage::used_size,
                    quota_usage::used_files,
                    quota_usage::updated_at,
                ))
                .first(conn)
                .optional()
        })
        .map_err(|error| query_failed(&format!("usage of {account}"), error))?;
        let (size, files, updated_at) = found.unwrap_or_default();
        Ok(Usage {
            size: unsigned(size),
            files: unsigned(files),
            updated_unix_ms: unsigned(updated_at),
        })
    }

    fn add_usage(&self, deltas: &[(AccountId, UsageDelta)], now_unix_ms: i64) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            for (account, delta) in deltas {
                let size = quota_usage::used_size + delta.bytes;
                let files = quota_usage::used_files + delta.files;
                // In one statement, so that two servers on one database cannot
                // overwrite each other's sum.
                diesel::update(quota_usage::table.find(key(account)))
                    .set((
                        quota_usage::used_size
                            .eq(case_when(size.lt(0), 0.into_sql::<diesel::sql_types::BigInt>()).otherwise(size)),
                        quota_usage::used_files
                            .eq(case_when(files.lt(0), 0.into_sql::<diesel::sql_types::BigInt>()).otherwise(files)),
                        quota_usage::updated_at.eq(now_unix_ms),
                    ))
                    .execute(conn)?;
            }
            Ok(())
        }))
        .map_err(|error| query_failed("usage", error))
    }

    fn set_usage(&self, account: &AccountId, usage: Usage) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => {
            diesel::update(quota_usage::table.find(key(account)))
                .set((
                    quota_usage::used_size.eq(signed(usage.size)),
                    quota_usage::used_files.eq(signed(usage.files)),
                    quota_usage::updated_at.eq(signed(usage.updated_unix_ms)),
                ))
                .execute(conn)
        })
        .map_err(|error| query_failed(&format!("usage of {account}"), error))?;
        Ok(())
    }

    fn transferred(&self, account: &AccountId) -> Result<Transferred> {
        let found: Option<(i64, i64)> = with_engine!(&mut self.connection()?, conn => {
            quota_usage::table
                .find(key(account))
                .select((quota_usage::uploaded, quota_usage::downloaded))
                .first(conn)
                .optional()
        })
        .map_err(|error| query_failed(&format!("data transferred by {account}"), error))?;
        let (uploaded, downloaded) = found.unwrap_or_default();
        Ok(Transferred { uploaded: unsigned(uploaded), downloaded: unsigned(downloaded) })
    }

    fn add_transferred(&self, deltas: &[(AccountId, TransferredDelta)]) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => conn.write(|conn| {
            for (account, delta) in deltas {
                let uploaded = quota_usage::uploaded + delta.uploaded;
                let downloaded = quota_usage::downloaded + delta.downloaded;
                diesel::update(quota_usage::table.find(key(account)))
                    .set((
                        quota_usage::uploaded
                            .eq(case_when(uploaded.lt(0), 0.into_sql::<diesel::sql_types::BigInt>()).otherwise(uploaded)),
                        quota_usage::downloaded
                            .eq(case_when(downloaded.lt(0), 0.into_sql::<diesel::sql_types::BigInt>()).otherwise(downloaded)),
                    ))
                    .execute(conn)?;
            }
            Ok(())
        }))
        .map_err(|error| query_failed("data transferred", error))
    }

    fn request_scan(&self, account: &AccountId, now_unix_ms: i64) -> Result<()> {
        self.note_scan(account, now_unix_ms.max(1))
    }

    fn scan_done(&self, account: &AccountId) -> Result<()> {
        self.note_scan(account, 0)
    }

    fn requested_scans(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<AccountId>> {
        let (kind, name) = after.map_or((KIND_USER, ""), key);
        let is_behind = quota_usage::owner_kind
            .gt(kind)
            .or(quota_usage::owner_kind.eq(kind).and(quota_usage::owner_name.gt(name)));
        let found: Vec<(i32, String)> = with_engine!(&mut self.connection()?, conn => {
            quota_usage::table
                .filter(quota_usage::scan_requested.ne(0).and(is_behind))
                .order((quota_usage::owner_kind, quota_usage::owner_name))
                .limit(i64::from(limit))
                .select((quota_usage::owner_kind, quota_usage::owner_name))
                .load(conn)
        })
        .map_err(|error| query_failed("requested scans", error))?;
        Ok(found.into_iter().map(|(kind, name)| account_of(kind, name)).collect())
    }
}

impl SqlProvider {
    fn note_scan(&self, account: &AccountId, requested_unix_ms: i64) -> Result<()> {
        with_engine!(&mut self.connection()?, conn => {
            diesel::update(quota_usage::table.find(key(account)))
                .set(quota_usage::scan_requested.eq(requested_unix_ms))
                .execute(conn)
        })
        .map_err(|error| query_failed(&format!("scan of {account}"), error))?;
        Ok(())
    }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
