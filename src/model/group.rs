//! Groups: settings that many users share.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filesystem::FilesystemConfig;
use super::filters::UserFilters;
use super::permissions::{Permission, Permissions};
use super::rules::Rules;
use super::user::User;
use super::virtual_folder::{VirtualFolder, normalise_mounts};
use super::wire::{is_default, null_is_default};
use crate::error::{Error, Result};

/// Membership of a user in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GroupMapping {
    pub name: String,
    /// 1 primary (at most one), 2 secondary, 3 membership only.
    #[serde(rename = "type")]
    #[schema(minimum = 1, maximum = 3)]
    pub kind: i32,
}

impl GroupMapping {
    /// Inherits everything.
    pub const PRIMARY: i32 = 1;
    /// Inherits what adds up: folders, directories, filters.
    pub const SECONDARY: i32 = 2;
    /// Inherits nothing.
    pub const MEMBERSHIP: i32 = 3;
}

/// Most groups of one user.
const MAX_MEMBERSHIPS: usize = 1000;

/// Validates the groups of one user and sorts them by name.
pub(super) fn normalise_memberships(groups: &mut [GroupMapping], rules: &Rules) -> Result<()> {
    if groups.len() > MAX_MEMBERSHIPS {
        return Err(Error::invalid(format!("more than {MAX_MEMBERSHIPS} groups")));
    }
    for (index, group) in groups.iter_mut().enumerate() {
        group.name = rules
            .naming
            .apply(&group.name)
            .map_err(|error| error.wrap(format!("[{index}]: name")))?;
        if !(GroupMapping::PRIMARY..=GroupMapping::MEMBERSHIP).contains(&group.kind) {
            return Err(Error::invalid(format!(
                "{:?}: type: {} is not 1, 2 or 3",
                group.name, group.kind
            )));
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    for (group, next) in groups.iter().zip(groups.iter().skip(1)) {
        if group.name == next.name {
            return Err(Error::invalid(format!("{:?} is given twice", group.name)));
        }
    }
    let mut primaries = groups.iter().filter(|group| group.kind == GroupMapping::PRIMARY);
    if let (Some(one), Some(two)) = (primaries.next(), primaries.next()) {
        return Err(Error::invalid(format!(
            "{:?} and {:?} are both primary (type 1), only one can be",
            one.name, two.name
        )));
    }
    Ok(())
}

/// A group. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Group {
    /// Given by the server.
    #[schema(read_only)]
    pub id: i64,
    /// Unique; the key. Cannot be changed.
    pub name: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[schema(read_only)]
    pub created_at: i64,
    #[schema(read_only)]
    pub updated_at: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub user_settings: GroupUserSettings,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub virtual_folders: Vec<VirtualFolder>,
    /// Names of its users.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Names of the admins whose new users join it.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<String>,
}

/// What users inherit. Everything means what it means in a user; 0 and empty mean
/// that nothing is inherited.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GroupUserSettings {
    /// Absolute path, may contain `%username%` and `%role%`.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub home_dir: String,
    #[serde(skip_serializing_if = "is_default")]
    pub max_sessions: i64,
    /// Bytes.
    #[serde(skip_serializing_if = "is_default")]
    pub quota_size: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub quota_files: i64,
    /// Directory to permissions.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Permissions::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, Vec<Permission>>)]
    pub permissions: Permissions,
    /// KB/s per upload.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_bandwidth: i64,
    /// KB/s per download.
    #[serde(skip_serializing_if = "is_default")]
    pub download_bandwidth: i64,
    /// MB.
    #[serde(skip_serializing_if = "is_default")]
    pub upload_data_transfer: i64,
    /// MB.
    #[serde(skip_serializing_if = "is_default")]
    pub download_data_transfer: i64,
    /// MB; replaces the two separate limits.
    #[serde(skip_serializing_if = "is_default")]
    pub total_data_transfer: i64,
    /// Days from the creation of the user to its end.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(minimum = 0)]
    pub expires_in: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub filters: UserFilters,
    #[serde(deserialize_with = "null_is_default")]
    pub filesystem: FilesystemConfig,
}

/// Longest life of an account in days, a thousand years.
const MAX_EXPIRES_IN_DAYS: i64 = 366_000;

impl Group {
    /// Validates the group and brings it to its stored form. Errors name the group
    /// and the field.
    pub fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let shown = format!("group {:?}", self.name);
        self.normalise_fields(rules).map_err(|error| error.wrap(shown))
    }

    fn normalise_fields(&mut self, rules: &Rules) -> Result<()> {
        self.name = rules.naming.apply(&self.name).map_err(|error| error.wrap("name"))?;
        self.user_settings.normalise(rules).map_err(|error| error.wrap("user_settings"))?;
        normalise_mounts(&mut self.virtual_folders, rules)
            .map_err(|error| error.wrap("virtual_folders"))
    }

    /// Blanks the keys of secrets, as the API shows the group.
    pub fn hide_confidential(&mut self) {
        self.user_settings.filesystem.hide_confidential();
        for folder in &mut self.virtual_folders {
            folder.folder.hide_confidential();
        }
    }
}

impl GroupUserSettings {
    /// By the rules for users, applied to a user who has nothing else: what a user
    /// cannot have, a group cannot give.
    fn normalise(&mut self, rules: &Rules) -> Result<()> {
        if !(0..=MAX_EXPIRES_IN_DAYS).contains(&self.expires_in) {
            return Err(Error::invalid(format!(
                "expires_in: {} is not between 0 and {MAX_EXPIRES_IN_DAYS} (days)",
                self.expires_in
            )));
        }
        let has_home = !self.home_dir.is_empty();
        let has_root = self.permissions.iter().any(|(directory, _)| directory == "/");
        let mut user = User {
            username: "member".to_owned(),
            home_dir: if has_home { self.home_dir.clone() } else { "/".to_owned() },
            max_sessions: self.max_sessions,
            quota_size: self.quota_size,
            quota_files: self.quota_files,
            permissions: self.permissions.clone(),
            upload_bandwidth: self.upload_bandwidth,
            download_bandwidth: self.download_bandwidth,
            upload_data_transfer: self.upload_data_transfer,
            download_data_transfer: self.download_data_transfer,
            total_data_transfer: self.total_data_transfer,
            filters: UserFilters {
                // Of one user each, and no part of the settings of groups.
                tls_certs: Vec::new(),
                totp_config: Default::default(),
                recovery_codes: Vec::new(),
                require_password_change: false,
                additional_emails: Vec::new(),
                ..self.filters.clone()
            },
            filesystem: self.filesystem.clone(),
            ..User::default()
        };
        if !has_root {
            user.permissions.set("/", [Permission::Any]);
        }
        user.normalise_fields(rules)?;
        self.home_dir = if has_home { user.home_dir } else { String::new() };
        self.max_sessions = user.max_sessions;
        self.quota_size = user.quota_size;
        self.quota_files = user.quota_files;
        self.permissions = user
            .permissions
            .iter()
            .filter(|(directory, _)| has_root || *directory != "/")
            .map(|(directory, list)| (directory.to_owned(), list.to_vec()))
            .collect();
        self.upload_bandwidth = user.upload_bandwidth;
        self.download_bandwidth = user.download_bandwidth;
        self.upload_data_transfer = user.upload_data_transfer;
        self.download_data_transfer = user.download_data_transfer;
        self.total_data_transfer = user.total_data_transfer;
        self.filters = user.filters;
        self.filesystem = user.filesystem;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn group(json: Value) -> Group {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_group_needs_only_a_name_and_gives_nothing_then() {
        let mut empty = group(json!({"name": " staff ", "user_settings": null, "users": null,
            "virtual_folders": null, "description": null, "admins": null, "unknown": 1}));
        empty.normalise(&Rules::default()).unwrap();
        assert_eq!(empty, Group { name: "staff".to_owned(), ..Group::default() });
    }

    #[test]
    fn settings_are_brought_to_the_form_they_have_in_users() {
        let mut got = group(json!({
            "name": "staff",
            "user_settings": {
                "home_dir": "/srv//%role%/%username%/", "permissions": {"/in/": ["list", "list"]},
                "expires_in": 30, "filters": {"allowed_ip": ["10.0.0.1"], "tls_username": "None",
                    "start_directory": "/%username%/", "require_password_change": true,
                    "additional_emails": ["a@b"]},
            },
            "virtual_folders": [{"name": "data", "virtual_path": "/%username%/"}],
        }));
        got.normalise(&Rules::default()).unwrap();
        let want = json!({
            "home_dir": "/srv/%role%/%username%", "permissions": {"/in": ["list"]},
            "expires_in": 30, "filesystem": {"provider": 0},
            "filters": {"allowed_ip": ["10.0.0.1/32"], "start_directory": "/%username%"},
        });
        assert_eq!(serde_json::to_value(&got.user_settings).unwrap(), want);
        assert_eq!(got.virtual_folders[0].virtual_path, "/%username%");
        let once = got.clone();
        got.normalise(&Rules::default()).unwrap();
        assert_eq!(once, got);
    }

    #[test]
    fn errors_name_the_group_and_the_field() {
        let table = [
            (json!({}), "group \"\": name: "),
            (json!({"name": "a/b"}), "name: "),
            (
                json!({"name": "g", "user_settings": {"home_dir": "srv"}}),
                "group \"g\": user_settings: home_dir: ",
            ),
            (
                json!({"name": "g", "user_settings": {"quota_size": -1}}),
                "user_settings: quota_size",
            ),
            (json!({"name": "g", "user_settings": {"expires_in": -1}}), "expires_in: "),
            (json!({"name": "g", "user_settings": {"expires_in": i64::MAX}}), "expires_in: "),
            (json!({"name": "g", "user_settings": {"permissions": {"a": ["*"]}}}), "permissions: "),
            (json!({"name": "g", "user_settings": {"permissions": {"/": []}}}), "permissions: "),
            (
                json!({"name": "g", "user_settings": {"filters": {"denied_ip": ["x"]}}}),
                "user_settings: filters: denied_ip: ",
            ),
            // What a user cannot use yet, groups cannot give.
            (
                json!({"name": "g", "user_settings": {"filters": {"is_anonymous": true}}}),
                "user_settings: filters.is_anonymous: ",
            ),
            (
                json!({"name": "g", "virtual_folders": [{"name": "f", "virtual_path": "f"}]}),
                "virtual_folders: [0]: virtual_path: ",
            ),
        ];
        for (json, part) in table {
            let error = group(json.clone()).normalise(&Rules::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn a_user_has_one_primary_group_and_each_group_once() {
        let table = [
            (json!([]), None),
            (
                json!([{"name": "a", "type": 1}, {"name": "b", "type": 2}, {"name": "c", "type": 3}]),
                None,
            ),
            (
                json!([{"name": "b", "type": 1}, {"name": "a", "type": 1}]),
                Some("\"a\" and \"b\" are both primary"),
            ),
            (
                json!([{"name": "a", "type": 1}, {"name": " a", "type": 2}]),
                Some("\"a\" is given twice"),
            ),
            (json!([{"name": "a"}]), Some("\"a\": type: 0")),
            (json!([{"name": "a", "type": 4}]), Some("\"a\": type: 4")),
            (json!([{"type": 1}]), Some("[0]: name: ")),
        ];
        for (json, part) in table {
            let mut groups: Vec<GroupMapping> = serde_json::from_value(json.clone()).unwrap();
            match (normalise_memberships(&mut groups, &Rules::default()), part) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) => {
                    assert!(error.to_string().contains(part), "{json}: {error}");
                }
                (result, part) => panic!("{json}: {result:?}, expected {part:?}"),
            }
        }
    }
}
