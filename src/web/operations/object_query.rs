//! Which folders, groups, roles and administrators a list shows, and in which order; text,
//! so that a wrong one can be named.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::provider::{
    AdminQuery, AdminSort, AdminState, FolderQuery, FolderSort, FolderState, GroupQuery, GroupSort,
    GroupState, RoleQuery, RoleSort,
};
use crate::web::error::ApiError;
use crate::web::request::query::{choice, given, search_text};

/// Filter and order of a list of folders.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct FolderListQuery {
    /// Part of the name, the path on the server or the description, whatever the case of
    /// ASCII letters.
    pub q: Option<String>,
    /// `mounted` or `unmounted`, by users or groups.
    pub status: Option<String>,
    /// The name of a user who mounts it, other than by a group.
    pub user: Option<String>,
    /// The name of a group that mounts it.
    pub group: Option<String>,
    /// `name` (default), `used_quota_size` or `last_quota_update`.
    pub sort: Option<String>,
}

impl FolderListQuery {
    /// What lists can be sorted by.
    pub const SORTS: [(&'static str, FolderSort); 3] = [
        ("name", FolderSort::Name),
        ("used_quota_size", FolderSort::UsedSize),
        ("last_quota_update", FolderSort::LastQuotaUpdate),
    ];

    /// The query for the store.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn checked(&self) -> Result<FolderQuery, ApiError> {
        let states = [("mounted", FolderState::Mounted), ("unmounted", FolderState::Unmounted)];
        Ok(FolderQuery {
            text: search_text(self.q.as_deref())?,
            state: choice("status", self.status.as_deref(), &states)?,
            user: given(self.user.as_deref()),
            group: given(self.group.as_deref()),
            role: None,
            sort: choice("sort", self.sort.as_deref(), &Self::SORTS)?.unwrap_or_default(),
        })
    }
}

/// Filter and order of a list of groups.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct GroupListQuery {
    /// Part of the name or the description, whatever the case of ASCII letters.
    pub q: Option<String>,
    /// `with_users` or `without_users`.
    pub status: Option<String>,
    /// The name of a user who is in it.
    pub user: Option<String>,
    /// The name of a folder that it mounts.
    pub folder: Option<String>,
    /// `name` (default), `created_at` or `updated_at`.
    pub sort: Option<String>,
}

impl GroupListQuery {
    /// What lists can be sorted by.
    pub const SORTS: [(&'static str, GroupSort); 3] = [
        ("name", GroupSort::Name),
        ("created_at", GroupSort::CreatedAt),
        ("updated_at", GroupSort::UpdatedAt),
    ];

    /// The query for the store.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn checked(&self) -> Result<GroupQuery, ApiError> {
        let states =
            [("with_users", GroupState::WithUsers), ("without_users", GroupState::WithoutUsers)];
        Ok(GroupQuery {
            text: search_text(self.q.as_deref())?,
            state: choice("status", self.status.as_deref(), &states)?,
            user: given(self.user.as_deref()),
            folder: given(self.folder.as_deref()),
            role: None,
            sort: choice("sort", self.sort.as_deref(), &Self::SORTS)?.unwrap_or_default(),
        })
    }
}

/// Filter and order of a list of roles.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct RoleListQuery {
    /// Part of the name or the description, whatever the case of ASCII letters.
    pub q: Option<String>,
    /// `name` (default), `created_at` or `updated_at`.
    pub sort: Option<String>,
}

impl RoleListQuery {
    /// What lists can be sorted by.
    pub const SORTS: [(&'static str, RoleSort); 3] = [
        ("name", RoleSort::Name),
        ("created_at", RoleSort::CreatedAt),
        ("updated_at", RoleSort::UpdatedAt),
    ];

    /// The query for the store.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn checked(&self) -> Result<RoleQuery, ApiError> {
        Ok(RoleQuery {
            text: search_text(self.q.as_deref())?,
            sort: choice("sort", self.sort.as_deref(), &Self::SORTS)?.unwrap_or_default(),
        })
    }
}

/// Filter and order of a list of administrators.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AdminListQuery {
    /// Part of the name, the e-mail address, the description or the role, whatever the
    /// case of ASCII letters.
    pub q: Option<String>,
    /// `enabled`, `disabled`, `no_second_factor` (enabled, one-time passwords are off) or
    /// `never` (logged in).
    pub status: Option<String>,
    /// The name of a group that their new users join.
    pub group: Option<String>,
    /// The name of their role.
    pub role: Option<String>,
    /// `username` (default), `last_login`, `created_at` or `updated_at`.
    pub sort: Option<String>,
}

impl AdminListQuery {
    /// What lists can be sorted by.
    pub const SORTS: [(&'static str, AdminSort); 4] = [
        ("username", AdminSort::Username),
        ("last_login", AdminSort::LastLogin),
        ("created_at", AdminSort::CreatedAt),
        ("updated_at", AdminSort::UpdatedAt),
    ];

    /// The query for the store.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn checked(&self) -> Result<AdminQuery, ApiError> {
        let states = [
            ("enabled", AdminState::Enabled),
            ("disabled", AdminState::Disabled),
            ("no_second_factor", AdminState::NoSecondFactor),
            ("never", AdminState::NeverLoggedIn),
        ];
        Ok(AdminQuery {
            text: search_text(self.q.as_deref())?,
            state: choice("status", self.status.as_deref(), &states)?,
            group: given(self.group.as_deref()),
            role: given(self.role.as_deref()),
            sort: choice("sort", self.sort.as_deref(), &Self::SORTS)?.unwrap_or_default(),
        })
    }
}
