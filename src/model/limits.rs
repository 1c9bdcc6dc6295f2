//! Which limits of a user hold, that a list of users shows, without merging all its groups.

use super::user::User;
use super::{GroupMapping, GroupUserSettings};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What members of a primary group get who have none of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InheritedLimits {
    /// Bytes; 0 for no limit.
    pub quota_size: i64,
    /// 0 for no limit.
    pub quota_files: i64,
    /// Days from the creation of the user; 0 for no end.
    pub expires_in: i64,
}

impl InheritedLimits {
    pub fn of(settings: &GroupUserSettings) -> Self {
        Self {
            quota_size: settings.quota_size,
            quota_files: settings.quota_files,
            expires_in: settings.expires_in,
        }
    }
}

/// What holds for a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EffectiveLimits {
    /// Bytes; 0 for no limit.
    pub quota_size: i64,
    /// 0 for no limit.
    pub quota_files: i64,
    /// Unix milliseconds; 0 for no end.
    pub expiration_date: i64,
}

impl EffectiveLimits {
    /// Whether the account had ended by `now_unix_ms`.
    pub fn is_expired(&self, now_unix_ms: i64) -> bool {
        has_ended(self.expiration_date, now_unix_ms)
    }
}

/// Whether an expiration date, if there is one, had passed by `now_unix_ms`.
fn has_ended(expiration_date: i64, now_unix_ms: i64) -> bool {
    expiration_date > 0 && expiration_date <= now_unix_ms
}

impl User {
    /// True if the account had ended by `now_unix_ms`.
    pub fn is_expired(&self, now_unix_ms: i64) -> bool {
        has_ended(self.expiration_date, now_unix_ms)
    }

    /// The group from which limits and switches are inherited.
    pub fn primary_group(&self) -> Option<&str> {
        let primary = self.groups.iter().filter(|group| group.kind == GroupMapping::PRIMARY);
        primary.map(|group| group.name.as_str()).min()
    }

    /// The limits with those of the primary group.
    pub fn limits_with(&self, of_group: InheritedLimits) -> EffectiveLimits {
        let own_or = |own: i64, inherited: i64| if own == 0 { inherited } else { own };
        // Accounts of old dumps have no date of creation, and so no end either.
        let end = match of_group.expires_in > 0 && self.created_at > 0 {
            true => self.created_at.saturating_add(of_group.expires_in.saturating_mul(DAY_MS)),
            false => 0,
        };
        EffectiveLimits {
            quota_size: own_or(self.quota_size, of_group.quota_size),
            quota_files: own_or(self.quota_files, of_group.quota_files),
            expiration_date: own_or(self.expiration_date, end),
        }
    }
}
