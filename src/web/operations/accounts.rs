//! What the accounts come to, and how much of their quotas is used. The REST calls and
//! the pages that show it both come here.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{EffectiveLimits, User};
use crate::provider::{Page, UserQuery, UserSort, UserState};
use crate::web::error::ApiError;
use crate::web::operations::scope::VisibleUsers;
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// How many users of a kind are named.
const NAMED: u32 = 5;

/// What the users that an administrator may see come to.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct UsersSummary {
    pub users: u64,
    pub disabled: u64,
    /// Bytes that are counted as used.
    pub used_size: u64,
    /// How many enabled users have used nine tenths of their quota.
    pub near_quota: u64,
    /// How many enabled users expire within seven days.
    pub expiring: u64,
    /// The first of those who have nearly used up their quota, the fullest first.
    pub nearly_full: Vec<UserQuota>,
    /// The first of those who expire, the next first.
    pub expiring_next: Vec<UserExpiry>,
    /// Who uses most bytes.
    pub largest: Vec<UserQuota>,
}

/// The quota of a user as it counts in sessions, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserQuota {
    pub username: String,
    /// Bytes; 0 for no limit. That of the primary group where the user has none.
    pub quota_size: i64,
    /// 0 for no limit. That of the primary group where the user has none.
    pub quota_files: i64,
    pub used_quota_size: i64,
    pub used_quota_files: i64,
}

/// When a user expires: by its own date, or by the one that the primary group gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserExpiry {
    pub username: String,
    /// Unix milliseconds.
    pub expiration_date: i64,
}

/// How full something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fullness {
    pub percent: u64,
    /// Whether it is the number of files that counts, not their size.
    pub is_by_files: bool,
}

impl UserQuota {
    /// With the limits that hold.
    pub fn of(user: &User, limits: EffectiveLimits) -> Self {
        Self {
            username: user.username.clone(),
            quota_size: limits.quota_size,
            quota_files: limits.quota_files,
            used_quota_size: user.used_quota_size,
            used_quota_files: user.used_quota_files,
        }
    }

    /// Of size and files the fuller; `None` without a limit.
    pub fn fullness(&self) -> Option<Fullness> {
        let percent = |used: i64, limit: i64| {
            let limit = u128::try_from(limit).ok().filter(|limit| *limit > 0)?;
            let percent = u128::try_from(used).unwrap_or(0) * 100 / limit;
            Some(u64::try_from(percent).unwrap_or(u64::MAX))
        };
        let by_size = percent(self.used_quota_size, self.quota_size);
        let by_files = percent(self.used_quota_files, self.quota_files);
        let is_by_files = by_files > by_size;
        by_size.max(by_files).map(|percent| Fullness { percent, is_by_files })
    }
}

impl VisibleUsers<'_> {
    /// Those of them that a query finds with the limits that hold, and how many there are
    /// on all pages.
    pub async fn find_with_limits(
        &self,
        query: UserQuery,
        page: Page,
    ) -> Result<(Vec<(User, EffectiveLimits)>, u64), ApiError> {
        let (users, total) = self.find(query, page).await?;
        let limits = self.limits_of(&users).await?;
        Ok((users.into_iter().zip(limits).collect(), total))
    }
}

impl Services {
    /// What the users that `admin` may see come to.
    ///
    /// # Errors
    /// When the data provider does not answer.
    pub async fn users_summary<R: Right>(
        &self,
        admin: &Admin<R>,
    ) -> Result<UsersSummary, ApiError> {
        let visible = self.users_of(admin);
        let totals = visible.totals().await?;
        let first = |state, sort, descending| {
            let query = UserQuery { state, sort, ..UserQuery::default() };
            visible.find_with_limits(query, Page { offset: 0, limit: NAMED, descending })
        };
        let (full, near_quota) =
            first(Some(UserState::NearQuota), UserSort::Fullness, true).await?;
        let (soon, expiring) =
            first(Some(UserState::Expiring), UserSort::ExpirationDate, false).await?;
        let (largest, _) = first(None, UserSort::UsedSize, true).await?;
        let quotas = |users: Vec<(User, EffectiveLimits)>| {
            users.into_iter().map(|(user, limits)| UserQuota::of(&user, limits))
        };
        let expiry = |(user, limits): (User, EffectiveLimits)| UserExpiry {
            username: user.username,
            expiration_date: limits.expiration_date,
        };
        Ok(UsersSummary {
            users: totals.users,
            disabled: totals.disabled,
            used_size: totals.used_size,
            near_quota,
            expiring,
            nearly_full: quotas(full).collect(),
            expiring_next: soon.into_iter().map(expiry).collect(),
            largest: quotas(largest).filter(|quota| quota.used_quota_size > 0).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_of_size_and_files_counts() {
        for (used, limits, full) in [
            ((0, 0), (0, 0), None),
            ((5, 5), (-1, 0), None),
            ((80, 1), (100, 10), Some((80, false))),
            ((80, 9), (100, 10), Some((90, true))),
            ((-5, 0), (100, 0), Some((0, false))),
            ((i64::MAX, 0), (1, 0), Some((u64::MAX, false))),
            ((i64::MAX, 0), (i64::MAX, 0), Some((100, false))),
        ] {
            let quota = UserQuota {
                username: String::new(),
                quota_size: limits.0,
                quota_files: limits.1,
                used_quota_size: used.0,
                used_quota_files: used.1,
            };
            let found = quota.fullness().map(|full| (full.percent, full.is_by_files));
            assert_eq!(found, full, "{quota:?}");
        }
    }
}
