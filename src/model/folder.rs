//! Folders that can be mounted into accounts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filesystem::{FilesystemConfig, FilesystemProvider};
use super::placeholders::{Placeholders, has_placeholders};
use super::rules::Rules;
use super::text::clean_absolute_path;
use super::unavailable;
use super::wire::null_is_default;
use crate::error::Result;

/// A named directory or bucket with its own usage counters.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Folder {
    /// Given by the server.
    #[schema(read_only)]
    pub id: i64,
    /// Unique; the key.
    pub name: String,
    /// Absolute path on the server.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub mapped_path: String,
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Bytes.
    #[schema(read_only)]
    pub used_quota_size: i64,
    #[schema(read_only)]
    pub used_quota_files: i64,
    /// Unix milliseconds.
    #[schema(read_only)]
    pub last_quota_update: i64,
    /// Names of the users that mount it.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Names of the groups that mount it.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub filesystem: FilesystemConfig,
}

impl Folder {
    /// Validates the folder and brings it to its stored form. Errors name the
    /// folder and the field.
    pub fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let shown = format!("folder {:?}", self.name);
        self.normalise_fields(rules).map_err(|error| error.wrap(shown))
    }

    fn normalise_fields(&mut self, rules: &Rules) -> Result<()> {
        self.name = rules.naming.apply(&self.name).map_err(|error| error.wrap("name"))?;
        self.filesystem.normalise().map_err(|error| error.wrap("filesystem"))?;
        unavailable::refuse(unavailable::FOLDER, self)?;
        self.mapped_path =
            clean_absolute_path(&self.mapped_path).map_err(|error| error.wrap("mapped_path"))?;
        Ok(())
    }

    /// True if it says where the files are, and does not only name a folder.
    pub fn is_defined(&self) -> bool {
        !self.mapped_path.is_empty() || self.filesystem.provider != FilesystemProvider::Local
    }

    /// True if where its files are depends on who asks.
    pub fn is_per_user(&self) -> bool {
        has_placeholders(&self.mapped_path)
            || self.filesystem.templates().into_iter().any(has_placeholders)
    }

    /// Puts the user's names in. Fails, naming the placeholder, if there is nothing
    /// to put in.
    pub(super) fn expand(&mut self, placeholders: &Placeholders<'_>) -> Result<()> {
        if has_placeholders(&self.mapped_path) {
            let path = placeholders.expand(&self.mapped_path)?;
            self.mapped_path = clean_absolute_path(&path)?;
        }
        self.filesystem.expand(placeholders)
    }

    /// Takes out what the server notes while the folder is used.
    pub fn forget_use(&mut self) {
        self.used_quota_size = 0;
        self.used_quota_files = 0;
        self.last_quota_update = 0;
    }

    /// Blanks the keys of secrets, as the API shows the folder.
    pub fn hide_confidential(&mut self) {
        self.filesystem.hide_confidential();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_needs_a_name_and_an_absolute_local_path() {
        let folder = |json: &str| serde_json::from_str::<Folder>(json).unwrap();
        let mut good = folder(r#"{"name":" data ","mapped_path":"/srv//data/","users":null}"#);
        good.normalise(&Rules::default()).unwrap();
        assert_eq!((good.name.as_str(), good.mapped_path.as_str()), ("data", "/srv/data"));

        for (json, part) in [
            (r#"{"mapped_path":"/srv"}"#, "folder \"\": name: "),
            (r#"{"name":"data"}"#, "folder \"data\": mapped_path: "),
            (r#"{"name":"data","mapped_path":"srv"}"#, "mapped_path: "),
            (r#"{"name":"data","filesystem":{"provider":1}}"#, "filesystem.provider: "),
        ] {
            let error = folder(json).normalise(&Rules::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
