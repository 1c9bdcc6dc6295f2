//! A user: an account that stores files.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access_time::{self, Clock};
use super::by_source::MAX_MB;
use super::filesystem::FilesystemConfig;
use super::filters::UserFilters;
use super::group::{GroupMapping, normalise_memberships};
use super::password::Password;
use super::permissions::Permissions;
use super::public_key;
use super::role;
use super::rules::Rules;
use super::text::{check_email, clean_absolute_path};
use super::unavailable;
use super::virtual_folder::{VirtualFolder, normalise_mounts};
use super::wire::{is_default, null_is_default};
use crate::error::{Error, Result};
use crate::paths::VirtualPath;

/// A user with everything the API and dumps know of it. Times are Unix
/// milliseconds with 0 for never, limits have 0 for none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct User {
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
    /// After it the user cannot log in.
    pub expiration_date: i64,
    /// Clear text, or a hash in a known format; never returned.
    #[serde(skip_serializing_if = "Password::is_hidden")]
    #[schema(value_type = String, write_only)]
    pub password: Password,
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub has_password: bool,
    /// Lines as in OpenSSH's `authorized_keys`, without options.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// Absolute path; empty for `<users_base_dir>/<username>`.
    #[serde(deserialize_with = "null_is_default")]
    pub home_dir: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub virtual_folders: Vec<VirtualFolder>,
    /// Owner of new files if the server runs as root, 0 to leave it.
    #[schema(minimum = 0, maximum = 2147483647i64)]
    pub uid: i64,
    /// Group of new files if the server runs as root, 0 to leave it.
    #[schema(minimum = 0, maximum = 2147483647i64)]
    pub gid: i64,
    /// Concurrent sessions.
    pub max_sessions: i64,
    /// Bytes.
    pub quota_size: i64,
    /// Number of files.
    pub quota_files: i64,
    /// Directory to permissions; must contain `/`.
    #[serde(deserialize_with = "null_is_default")]
    #[schema(value_type = BTreeMap<String, Vec<super::permissions::Permission>>)]
    pub permissions: Permissions,
    /// Bytes.
    #[schema(read_only)]
    pub used_quota_size: i64,
    #[schema(read_only)]
    #[serde(alias = "used_quota_file")]
    pub used_quota_files: i64,
    #[schema(read_only)]
    pub last_quota_update: i64,
    /// KB/s per upload.
    pub upload_bandwidth: i64,
    /// KB/s per download.
    pub download_bandwidth: i64,
    /// MB (1024 * 1024 bytes).
    #[serde(skip_serializing_if = "is_default")]
    pub upload_data_transfer: i64,
    /// MB.
    #[serde(skip_serializing_if = "is_default")]
    pub download_data_transfer: i64,
    /// MB; replaces the two separate limits.
    #[serde(skip_serializing_if = "is_default")]
    pub total_data_transfer: i64,
    /// Bytes since the last reset.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub used_upload_data_transfer: i64,
    /// Bytes since the last reset.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub used_download_data_transfer: i64,
    #[schema(read_only)]
    pub created_at: i64,
    #[schema(read_only)]
    pub updated_at: i64,
    /// Written at most every ten minutes.
    #[schema(read_only)]
    pub last_login: i64,
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub first_download: i64,
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub first_upload: i64,
    #[schema(read_only)]
    #[serde(skip_serializing_if = "is_default")]
    pub last_password_change: i64,
    #[serde(deserialize_with = "null_is_default")]
    pub filters: UserFilters,
    #[serde(deserialize_with = "null_is_default")]
    pub filesystem: FilesystemConfig,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub additional_info: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupMapping>,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub oidc_custom_fields: BTreeMap<String, serde_json::Value>,
    /// Name of a role: administrators who have one see only users that have the same.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub role: String,
}

/// Largest user and group id.
const MAX_ID: i64 = 2_147_483_647;

impl User {
    /// Validates the user and brings it to its stored form. Errors name the user
    /// and the field. Fields that only the server sets are left alone: the store
    /// fills them.
    pub fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let shown = format!("user {:?}", self.username);
        self.normalise_fields(rules).map_err(|error| error.wrap(shown))
    }

    /// Without the name in front of errors.
    pub(super) fn normalise_fields(&mut self, rules: &Rules) -> Result<()> {
        self.username =
            rules.naming.apply(&self.username).map_err(|error| error.wrap("username"))?;
        check_status(self.status)?;
        check_email(&self.email).map_err(|error| error.wrap("email"))?;
        self.normalise_home_dir(rules).map_err(|error| error.wrap("home_dir"))?;
        public_key::normalise(&mut self.public_keys).map_err(|error| error.wrap("public_keys"))?;
        for (name, value, max) in [
            ("expiration_date", self.expiration_date, i64::MAX),
            ("uid", self.uid, MAX_ID),
            ("gid", self.gid, MAX_ID),
            ("max_sessions", self.max_sessions, i64::from(u32::MAX)),
            ("quota_size", self.quota_size, i64::MAX),
            ("quota_files", self.quota_files, i64::MAX),
            ("upload_bandwidth", self.upload_bandwidth, MAX_KIB_PER_SEC),
            ("download_bandwidth", self.download_bandwidth, MAX_KIB_PER_SEC),
            ("upload_data_transfer", self.upload_data_transfer, MAX_MB),
            ("download_data_transfer", self.download_data_transfer, MAX_MB),
            ("total_data_transfer", self.total_data_transfer, MAX_MB),
        ] {
            if value < 0 || value > max {
                return Err(Error::invalid(format!("{name}: {value} is not between 0 and {max}")));
            }
        }
        self.permissions.normalise().map_err(|error| error.wrap("permissions"))?;
        self.filters.normalise().map_err(|error| error.wrap("filters"))?;
        self.filesystem.normalise().map_err(|error| error.wrap("filesystem"))?;
        normalise_mounts(&mut self.virtual_folders, rules)
            .map_err(|error| error.wrap("virtual_folders"))?;
        normalise_memberships(&mut self.groups, rules).map_err(|error| error.wrap("groups"))?;
        role::normalise_reference(&mut self.role, rules)?;
        unavailable::refuse(unavailable::USER, self)
    }

    fn normalise_home_dir(&mut self, rules: &Rules) -> Result<()> {
        if self.home_dir.is_empty() {
            let base = rules.users_base_dir.as_deref().filter(|base| base.is_absolute());
            let Some(base) = base.and_then(Path::to_str) else {
                return Err(Error::invalid(
                    "is required, as data_provider.users_base_dir is not set",
                ));
            };
            self.home_dir = format!("{}/{}", base.trim_end_matches('/'), self.username);
        }
        self.home_dir = clean_absolute_path(&self.home_dir)?;
        Ok(())
    }

    /// Whether logins over SSH can ask for a one-time password.
    pub fn has_totp_for_ssh(&self) -> bool {
        self.filters.totp_config.is_for(super::filters::LoginProtocol::Ssh)
    }

    pub fn is_enabled(&self) -> bool {
        self.status == 1
    }

    /// Whether `filters.access_time` lets the account be connected now.
    pub fn is_access_time(&self, now: DateTime<Utc>, clock: Clock) -> bool {
        access_time::is_open(&self.filters.access_time, now, clock)
    }

    /// When that ends; `None` if not within a week.
    pub fn access_time_ends(&self, now: DateTime<Utc>, clock: Clock) -> Option<DateTime<Utc>> {
        access_time::closes(&self.filters.access_time, now, clock)
    }

    /// Largest file in bytes that the account may upload.
    pub fn upload_size_limit(&self) -> Option<u64> {
        positive(self.filters.max_upload_file_size)
    }

    /// Limit of stored bytes.
    pub fn size_limit(&self) -> Option<u64> {
        positive(self.quota_size)
    }

    /// Limit of stored files.
    pub fn files_limit(&self) -> Option<u64> {
        positive(self.quota_files)
    }

    /// True if a size or a files quota is set.
    pub fn has_quota(&self) -> bool {
        self.quota_size > 0 || self.quota_files > 0
    }

    /// Concurrent sessions; 0 for no limit.
    pub fn session_limit(&self) -> u32 {
        u32::try_from(self.max_sessions).unwrap_or(0)
    }

    /// Limit of one upload in bytes per second.
    pub fn upload_bytes_per_sec(&self) -> Option<u64> {
        positive(self.upload_bandwidth).map(|kib| kib.saturating_mul(1024))
    }

    /// Limit of one download in bytes per second.
    pub fn download_bytes_per_sec(&self) -> Option<u64> {
        positive(self.download_bandwidth).map(|kib| kib.saturating_mul(1024))
    }

    /// Owner that new files get if the server runs as root.
    pub fn owner(&self) -> Option<u32> {
        positive(self.uid).and_then(|id| u32::try_from(id).ok())
    }

    /// Group that new files get if the server runs as root.
    pub fn owner_group(&self) -> Option<u32> {
        positive(self.gid).and_then(|id| u32::try_from(id).ok())
    }

    /// Where sessions start and relative paths begin.
    pub fn start_directory(&self) -> VirtualPath {
        VirtualPath::new(&self.filters.start_directory)
    }

    /// Takes one-time passwords and recovery codes from `stored`: no update of an
    /// account changes them.
    pub fn keep_second_factor_of(&mut self, stored: &Self) {
        self.filters.totp_config = stored.filters.totp_config.clone();
        self.filters.recovery_codes = stored.filters.recovery_codes.clone();
    }

    /// The user as its administrators have made it: without what the server notes
    /// while it is used, and without the password.
    pub fn without_traces_of_use(mut self) -> Self {
        self.password = Password::default();
        self.forget_use();
        self
    }

    /// Takes out what the server notes while the account is used: quotas, transferred data
    /// and times.
    pub fn forget_use(&mut self) {
        self.used_quota_size = 0;
        self.used_quota_files = 0;
        self.last_quota_update = 0;
        self.used_upload_data_transfer = 0;
        self.used_download_data_transfer = 0;
        self.last_login = 0;
        self.first_download = 0;
        self.first_upload = 0;
        for mount in &mut self.virtual_folders {
            mount.folder.forget_use();
        }
    }

    /// Blanks the keys of secrets, as the API shows the user. The password is
    /// never serialised anyway.
    pub fn hide_confidential(&mut self) {
        self.filesystem.hide_confidential();
        self.filters.totp_config.secret.hide_key();
        for code in &mut self.filters.recovery_codes {
            code.secret.hide_key();
        }
        for folder in &mut self.virtual_folders {
            folder.folder.hide_confidential();
        }
    }
}

/// Largest bandwidth, so that bytes per second cannot overflow.
pub(super) const MAX_KIB_PER_SEC: i64 = i64::MAX / 1024;

fn positive(value: i64) -> Option<u64> {
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// For users and admins alike.
pub(super) fn check_status(status: i32) -> Result<()> {
    if matches!(status, 0 | 1) {
        Ok(())
    } else {
        Err(Error::invalid(format!("status: {status} is neither 0 nor 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(json: serde_json::Value) -> User {
        serde_json::from_value(json).unwrap()
    }

    /// A valid user with some members replaced.
    fn with(changes: serde_json::Value) -> User {
        let mut json = serde_json::json!({
            "username": "bob", "status": 1, "home_dir": "/srv/bob", "permissions": {"/": ["*"]},
        });
        for (key, value) in changes.as_object().unwrap() {
            json[key] = value.clone();
        }
        user(json)
    }

    #[test]
    fn a_minimal_user_is_valid_and_unknown_members_are_ignored() {
        let mut user = with(serde_json::json!({
            "no_such_member": {"x": 1}, "filters": null, "filesystem": null, "public_keys": null,
            "virtual_folders": null, "groups": null, "email": null,
        }));
        user.normalise(&Rules::default()).unwrap();
        assert_eq!(user.home_dir, "/srv/bob");
        assert!(user.is_enabled());
    }

    #[test]
    fn the_home_directory_comes_from_the_base_if_none_is_given() {
        let rules = Rules { users_base_dir: Some("/srv/users/".into()), ..Rules::default() };
        let mut user = with(serde_json::json!({"home_dir": "", "username": " bob "}));
        user.normalise(&rules).unwrap();
        assert_eq!(user.home_dir, "/srv/users/bob");

        let relative = Rules { users_base_dir: Some("users".into()), ..Rules::default() };
        for rules in [Rules::default(), relative] {
            let mut user = with(serde_json::json!({"home_dir": ""}));
            let error = user.normalise(&rules).unwrap_err().to_string();
            assert!(error.starts_with("user \"bob\": home_dir: is required"), "{error}");
        }
    }

    #[test]
    fn a_username_cannot_lead_the_home_directory_elsewhere() {
        let rules = Rules { users_base_dir: Some("/srv/users".into()), ..Rules::default() };
        for name in ["..", ".", "../etc", "a/b"] {
            let mut user = with(serde_json::json!({"home_dir": "", "username": name}));
            assert!(user.normalise(&rules).is_err(), "{name}");
        }
    }

    #[test]
    fn errors_name_the_user_and_the_field() {
        use serde_json::json;
        let table = [
            (json!({"username": ""}), "user \"\": username: "),
            (json!({"username": "a\nb"}), "user \"a\\nb\": username: "),
            (json!({"status": 2}), "user \"bob\": status: "),
            (json!({"email": "x"}), "email: "),
            (json!({"home_dir": "srv"}), "home_dir: "),
            (json!({"public_keys": ["ssh-rsa x"]}), "public_keys: key 1: "),
            (json!({"expiration_date": -1}), "expiration_date: "),
            (json!({"uid": -1}), "uid: "),
            (json!({"uid": 2147483648i64}), "uid: "),
            (json!({"gid": 2147483648i64}), "gid: "),
            (json!({"max_sessions": -1}), "max_sessions: "),
            (json!({"quota_size": -1}), "quota_size: "),
            (json!({"quota_files": -1}), "quota_files: "),
            (json!({"upload_bandwidth": i64::MAX}), "upload_bandwidth: "),
            (json!({"download_bandwidth": -5}), "download_bandwidth: "),
            (json!({"upload_data_transfer": -1}), "upload_data_transfer: "),
            (json!({"total_data_transfer": i64::MAX}), "total_data_transfer: "),
            (json!({"filters": {"max_upload_file_size": -1}}), "filters: max_upload_file_size: "),
            (json!({"permissions": {}}), "permissions: "),
            (json!({"role": "a/b"}), "role: "),
            (json!({"filters": {"denied_ip": ["x"]}}), "filters: denied_ip: "),
            (
                json!({"virtual_folders": [{"name": "f", "virtual_path": "f"}]}),
                "virtual_folders: [0]: virtual_path: ",
            ),
            (json!({"groups": [{"name": "g", "type": 9}]}), "groups: \"g\": type: "),
            (json!({"filesystem": {"osconfig": {"read_buffer_size": 20}}}), "filesystem: osconfig"),
        ];
        for (changes, part) in table {
            let error = with(changes.clone()).normalise(&Rules::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{changes}: {error}");
        }
    }

    #[test]
    fn what_is_not_built_yet_is_refused_by_name() {
        use serde_json::json;
        let table = [
            (
                json!({"filesystem": {"provider": 1, "s3config": {"bucket": "b"}}}),
                "filesystem.provider",
            ),
            (json!({"filesystem": {"osconfig": {"read_buffer_size": 1}}}), "filesystem.osconfig"),
            (json!({"filters": {"web_client": ["write-disabled"]}}), "filters.web_client"),
            (json!({"filters": {"is_anonymous": true}}), "filters.is_anonymous"),
        ];
        for (changes, field) in table {
            let error = with(changes.clone()).normalise(&Rules::default()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("user \"bob\": {field}: "))
                    && error.contains("not available"),
                "{changes}: {error}"
            );
        }
        // The same fields at their defaults are fine.
        let mut user = with(json!({
            "virtual_folders": [], "role": "", "total_data_transfer": 0,
            "filesystem": {"provider": 0, "osconfig": {}, "s3config": {}},
            "filters": {"tls_username": "None", "hooks": {}, "web_client": [], "totp_config": {}},
        }));
        user.normalise(&Rules::default()).unwrap();
    }

    #[test]
    fn the_password_is_neither_serialised_nor_shown() {
        let user = with(serde_json::json!({"password": "tr0ub4dor"}));
        assert!(!serde_json::to_string(&user).unwrap().contains("tr0ub4dor"));
        assert!(!format!("{user:?}").contains("tr0ub4dor"));
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        let mut once = with(serde_json::json!({
            "username": " bob", "home_dir": "/srv//bob/", "permissions": {"/": ["*"], "/a/": []},
            "filters": {"allowed_ip": ["10.0.0.1"], "start_directory": "/x/"},
        }));
        once.normalise(&Rules::default()).unwrap();
        let mut twice = once.clone();
        twice.normalise(&Rules::default()).unwrap();
        assert_eq!(once, twice);
    }

    #[test]
    fn an_account_expires_at_its_date() {
        let user = with(serde_json::json!({"expiration_date": 1000}));
        assert!(!user.is_expired(999));
        assert!(user.is_expired(1000));
        assert!(!with(serde_json::json!({})).is_expired(i64::MAX));
    }
}
