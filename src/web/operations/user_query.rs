//! Which users a list shows, and in which order.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::provider::{UserQuery, UserSort, UserState};
use crate::web::error::ApiError;
use crate::web::request::query::{choice, given, search_text};

/// Filter and order of a list of users; text, so that a wrong one can be named.
#[derive(Debug, Clone, Default, Deserialize, IntoParams, ToSchema)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct UserListQuery {
    /// Part of the name, the e-mail address or the description, whatever the case of
    /// ASCII letters.
    pub q: Option<String>,
    /// `enabled`, `disabled`, `expired`, `expiring` (enabled, within seven days), `quota`
    /// (enabled, nine tenths of it used, also of one that a primary group gives) or `never`
    /// (logged in).
    pub status: Option<String>,
    /// The name of a group that the users are in.
    pub group: Option<String>,
    /// The name of the users' role.
    pub role: Option<String>,
    /// `username` (default), `last_login`, `created_at`, `expiration_date` or
    /// `used_quota_size`.
    pub sort: Option<String>,
}

impl UserListQuery {
    /// The query for the store.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn checked(&self) -> Result<UserQuery, ApiError> {
        let states = [
            ("enabled", UserState::Enabled),
            ("disabled", UserState::Disabled),
            ("expired", UserState::Expired),
            ("expiring", UserState::Expiring),
            ("quota", UserState::NearQuota),
            ("never", UserState::NeverLoggedIn),
        ];
        let sorts = [
            ("username", UserSort::Username),
            ("last_login", UserSort::LastLogin),
            ("created_at", UserSort::CreatedAt),
            ("expiration_date", UserSort::ExpirationDate),
            ("used_quota_size", UserSort::UsedSize),
        ];
        Ok(UserQuery {
            text: search_text(self.q.as_deref())?,
            state: choice("status", self.status.as_deref(), &states)?,
            group: given(self.group.as_deref()),
            role: given(self.role.as_deref()),
            sort: choice("sort", self.sort.as_deref(), &sorts)?.unwrap_or_default(),
        })
    }
}
