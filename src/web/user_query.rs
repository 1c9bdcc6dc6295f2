//! Which users a list shows, and in which order.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::provider::{UserQuery, UserSort, UserState};
use crate::web::error::ApiError;

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
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let state = match self.status.as_deref() {
            None | Some("") => None,
            Some("enabled") => Some(UserState::Enabled),
            Some("disabled") => Some(UserState::Disabled),
            Some("expired") => Some(UserState::Expired),
            Some("expiring") => Some(UserState::Expiring),
            Some("quota") => Some(UserState::NearQuota),
            Some("never") => Some(UserState::NeverLoggedIn),
            Some(_) => {
                let told = "status: must be enabled, disabled, expired, expiring, quota or never";
                return Err(ApiError::bad_request(told));
            }
        };
        let sort = match self.sort.as_deref() {
            None | Some("" | "username") => UserSort::Username,
            Some("last_login") => UserSort::LastLogin,
            Some("created_at") => UserSort::CreatedAt,
            Some("expiration_date") => UserSort::ExpirationDate,
            Some("used_quota_size") => UserSort::UsedSize,
            Some(_) => return Err(ApiError::bad_request("sort: is not one of the known keys")),
        };
        Ok(UserQuery {
            text: some(&self.q),
            state,
            group: some(&self.group),
            role: some(&self.role),
            sort,
        })
    }
}
