//! Administrators of the server.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filters::{RecoveryCode, TotpConfig};
use super::group::{GroupMapping, normalise_memberships};
use super::network;
use super::password::Password;
use super::role;
use super::rules::Rules;
use super::text::check_email;
use super::unavailable;
use super::user::check_status;
use super::wire::{is_default, null_is_default};
use crate::error::{Error, Result};

/// What an admin may do. The names of older versions stay valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdminPermission {
    /// Everything.
    #[serde(rename = "*")]
    Any,
    AddUsers,
    EditUsers,
    DelUsers,
    ViewUsers,
    ViewConns,
    CloseConns,
    ViewStatus,
    ManageAdmins,
    ManageFolders,
    ManageGroups,
    #[serde(rename = "manage_apikeys")]
    ManageApiKeys,
    QuotaScans,
    ManageSystem,
    ManageDefender,
    ViewDefender,
    RetentionChecks,
    MetadataChecks,
    ViewEvents,
    ManageEventRules,
    ManageRoles,
    ManageIpLists,
    DisableMfa,
}

impl AdminPermission {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::AddUsers => "add_users",
            Self::EditUsers => "edit_users",
            Self::DelUsers => "del_users",
            Self::ViewUsers => "view_users",
            Self::ViewConns => "view_conns",
            Self::CloseConns => "close_conns",
            Self::ViewStatus => "view_status",
            Self::ManageAdmins => "manage_admins",
            Self::ManageFolders => "manage_folders",
            Self::ManageGroups => "manage_groups",
            Self::ManageApiKeys => "manage_apikeys",
            Self::QuotaScans => "quota_scans",
            Self::ManageSystem => "manage_system",
            Self::ManageDefender => "manage_defender",
            Self::ViewDefender => "view_defender",
            Self::RetentionChecks => "retention_checks",
            Self::MetadataChecks => "metadata_checks",
            Self::ViewEvents => "view_events",
            Self::ManageEventRules => "manage_event_rules",
            Self::ManageRoles => "manage_roles",
            Self::ManageIpLists => "manage_ip_lists",
            Self::DisableMfa => "disable_mfa",
        }
    }

    /// Whether it reaches beyond the users of one role, so that no admin who has a
    /// role can hold it.
    pub fn reaches_beyond_roles(self) -> bool {
        matches!(
            self,
            Self::Any
                | Self::ManageAdmins
                | Self::ManageSystem
                | Self::ManageEventRules
                | Self::ManageRoles
                | Self::ViewEvents
        )
    }
}

/// An administrator. Times are Unix milliseconds with 0 for never.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Admin {
    /// Given by the server.
    #[schema(read_only)]
    pub id: i64,
    /// 1 enabled, 0 disabled: cannot log in.
    #[schema(minimum = 0, maximum = 1)]
    pub status: i32,
    /// Unique; the key. Cannot be changed.
    pub username: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Clear text, or a hash in a known format; never returned.
    #[serde(skip_serializing_if = "Password::is_hidden")]
    #[schema(value_type = String, write_only)]
    pub password: Password,
    #[serde(deserialize_with = "null_is_default")]
    pub permissions: Vec<AdminPermission>,
    #[serde(deserialize_with = "null_is_default")]
    pub filters: AdminFilters,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub additional_info: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<AdminGroupMapping>,
    #[schema(read_only)]
    pub created_at: i64,
    #[schema(read_only)]
    pub updated_at: i64,
    /// Written at most every ten minutes.
    #[schema(read_only)]
    pub last_login: i64,
    /// Name of a role: with one, the admin sees and manages only the users that
    /// have the same.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub role: String,
}

/// Restrictions and options of an admin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminFilters {
    /// Networks (CIDR) that may log in; empty for all.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub allow_list: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub allow_api_key_auth: bool,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub totp_config: TotpConfig,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub recovery_codes: Vec<RecoveryCode>,
    /// Until one-time passwords are on, only the own account is served.
    #[serde(skip_serializing_if = "is_default")]
    pub require_two_factor: bool,
    /// Until the admin has changed the password, only the own account is served.
    #[serde(skip_serializing_if = "is_default")]
    pub require_password_change: bool,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "is_default")]
    pub preferences: AdminPreferences,
}

impl AdminFilters {
    /// Switches one-time passwords off.
    pub fn forget_second_factor(&mut self) {
        self.totp_config = TotpConfig::default();
        self.recovery_codes.clear();
    }
}

/// What an admin has to do before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    ChangePassword,
    SetUpSecondFactor,
}

/// How the web admin looks to this admin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminPreferences {
    /// Bits: 1 groups, 2 filesystem, 4 virtual folders, 8 profile, 16 ACLs, 32 quota, 64 advanced.
    #[serde(skip_serializing_if = "is_default")]
    pub hide_user_page_sections: i32,
    /// Days.
    #[serde(skip_serializing_if = "is_default")]
    pub default_users_expiration: i64,
}

/// A group that users made by this admin join.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminGroupMapping {
    pub name: String,
    #[serde(deserialize_with = "null_is_default")]
    pub options: AdminGroupMappingOptions,
}

impl AdminGroupMapping {
    /// How a new user joins the group; `None` if the option is none of those there are.
    pub fn of_new_user(&self) -> Option<GroupMapping> {
        let kind = match self.options.add_to_users_as {
            0 => GroupMapping::MEMBERSHIP,
            1 => GroupMapping::PRIMARY,
            2 => GroupMapping::SECONDARY,
            _ => return None,
        };
        Some(GroupMapping { name: self.name.clone(), kind })
    }
}

/// How they join it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminGroupMappingOptions {
    /// 0 membership, 1 primary, 2 secondary.
    pub add_to_users_as: i32,
}

impl Admin {
    /// What has to be done first, if anything has.
    pub fn duty(&self) -> Option<Duty> {
        let filters = &self.filters;
        if filters.require_password_change {
            Some(Duty::ChangePassword)
        } else if filters.require_two_factor && !filters.totp_config.enabled {
            Some(Duty::SetUpSecondFactor)
        } else {
            None
        }
    }

    /// Validates the admin and brings it to its stored form. Errors name the
    /// admin and the field.
    pub fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let shown = format!("admin {:?}", self.username);
        self.normalise_fields(rules).map_err(|error| error.wrap(shown))
    }

    fn normalise_fields(&mut self, rules: &Rules) -> Result<()> {
        self.username =
            rules.naming.apply(&self.username).map_err(|error| error.wrap("username"))?;
        check_status(self.status)?;
        check_email(&self.email).map_err(|error| error.wrap("email"))?;
        let mut seen = Vec::with_capacity(self.permissions.len());
        self.permissions.retain(|permission| {
            let is_new = !seen.contains(permission);
            seen.push(*permission);
            is_new
        });
        if self.permissions.is_empty() {
            return Err(Error::invalid("permissions: at least one is required"));
        }
        role::normalise_reference(&mut self.role, rules)?;
        if !self.role.is_empty()
            && let Some(permission) = self.permissions.iter().find(|p| p.reaches_beyond_roles())
        {
            return Err(Error::invalid(format!(
                "permissions: \"{}\" is not for an admin who has a role",
                permission.as_str()
            )));
        }
        network::normalise(&mut self.filters.allow_list)
            .map_err(|error| error.wrap("filters.allow_list"))?;
        self.normalise_groups(rules).map_err(|error| error.wrap("groups"))?;
        unavailable::refuse(unavailable::ADMIN, self)
    }

    fn normalise_groups(&mut self, rules: &Rules) -> Result<()> {
        let mut memberships = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            memberships.push(group.of_new_user().ok_or_else(|| {
                let other = group.options.add_to_users_as;
                Error::invalid(format!("options.add_to_users_as: {other} is not 0, 1 or 2"))
            })?);
        }
        normalise_memberships(&mut memberships, rules)?;
        self.groups = memberships
            .into_iter()
            .map(|membership| AdminGroupMapping {
                options: AdminGroupMappingOptions {
                    add_to_users_as: match membership.kind {
                        GroupMapping::PRIMARY => 1,
                        GroupMapping::SECONDARY => 2,
                        _ => 0,
                    },
                },
                name: membership.name,
            })
            .collect();
        Ok(())
    }

    pub fn is_enabled(&self) -> bool {
        self.status == 1
    }

    /// True if the admin holds `permission` or `*`. A role takes away what reaches
    /// beyond it, whatever is stored.
    pub fn may(&self, permission: AdminPermission) -> bool {
        if !self.role.is_empty() {
            return !permission.reaches_beyond_roles() && self.permissions.contains(&permission);
        }
        self.permissions.iter().any(|held| *held == permission || *held == AdminPermission::Any)
    }

    /// Whether the address may log in.
    pub fn permits_address(&self, address: IpAddr) -> bool {
        network::permits(&self.filters.allow_list, &[], address)
    }

    /// Takes one-time passwords and recovery codes from `stored`: no update of an
    /// account changes them.
    pub fn keep_second_factor_of(&mut self, stored: &Self) {
        self.filters.totp_config = stored.filters.totp_config.clone();
        self.filters.recovery_codes = stored.filters.recovery_codes.clone();
    }

    /// Blanks the keys of secrets, as the API shows the admin.
    pub fn hide_confidential(&mut self) {
        self.filters.totp_config.secret.hide_key();
        for code in &mut self.filters.recovery_codes {
            code.secret.hide_key();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(json: &str) -> Admin {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn wire_names_of_permissions_are_the_documented_ones() {
        use AdminPermission::*;
        for permission in [
            Any,
            AddUsers,
            EditUsers,
            DelUsers,
            ViewUsers,
            ViewConns,
            CloseConns,
            ViewStatus,
            ManageAdmins,
            ManageFolders,
            ManageGroups,
            ManageApiKeys,
            QuotaScans,
            ManageSystem,
            ManageDefender,
            ViewDefender,
            RetentionChecks,
            MetadataChecks,
            ViewEvents,
            ManageEventRules,
            ManageRoles,
            ManageIpLists,
            DisableMfa,
        ] {
            let json = serde_json::to_string(&permission).unwrap();
            assert_eq!(json, format!("\"{}\"", permission.as_str()));
        }
    }

    #[test]
    fn errors_name_the_admin_and_the_field() {
        for (json, part) in [
            (r#"{"username":"","permissions":["*"]}"#, "admin \"\": username: "),
            (r#"{"username":"a"}"#, "admin \"a\": permissions: "),
            (r#"{"username":"a","status":2,"permissions":["*"]}"#, "status: "),
            (r#"{"username":"a","email":"x","permissions":["*"]}"#, "email: "),
            (
                r#"{"username":"a","permissions":["*"],"filters":{"allow_list":["x"]}}"#,
                "filters.allow_list: ",
            ),
            (r#"{"username":"a","permissions":["view_users"],"role":"a/b"}"#, "role: "),
            (r#"{"username":"a","permissions":["*"],"role":"r"}"#, "permissions: \"*\""),
        ] {
            let error = admin(json).normalise(&Rules::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn a_role_excludes_permissions_that_reach_beyond_it() {
        for name in [
            "*",
            "manage_admins",
            "manage_system",
            "manage_event_rules",
            "manage_roles",
            "view_events",
        ] {
            let json = format!(
                r#"{{"username":"a","permissions":["view_users","{name}"],"role":"sales"}}"#
            );
            let error = admin(&json).normalise(&Rules::default()).unwrap_err().to_string();
            let want = format!("admin \"a\": permissions: \"{name}\" is not for");
            assert!(error.starts_with(&want), "{error}");
            let mut without = admin(&json.replace("sales", ""));
            without.normalise(&Rules::default()).unwrap();
        }
        let mut good =
            admin(r#"{"username":"a","permissions":["edit_users","manage_folders"],"role":"r"}"#);
        good.normalise(&Rules::default()).unwrap();
    }

    #[test]
    fn a_role_limits_also_what_was_stored_before_it() {
        let all = admin(
            r#"{"username":"a","permissions":["*","view_users","manage_admins"],"role":"r"}"#,
        );
        assert!(all.may(AdminPermission::ViewUsers));
        for denied in
            [AdminPermission::Any, AdminPermission::ManageAdmins, AdminPermission::EditUsers]
        {
            assert!(!all.may(denied), "{}", denied.as_str());
        }
    }

    #[test]
    fn the_star_permission_grants_the_others() {
        let mut all = admin(r#"{"username":"a","permissions":["*","*"]}"#);
        all.normalise(&Rules::default()).unwrap();
        assert_eq!(all.permissions, [AdminPermission::Any]);
        assert!(all.may(AdminPermission::CloseConns));
        let one = admin(r#"{"username":"a","permissions":["view_conns"]}"#);
        assert!(one.may(AdminPermission::ViewConns) && !one.may(AdminPermission::CloseConns));
    }
}
