//! Fields that can be read but whose behaviour is not built yet.
//!
//! A stored limit that nothing enforces would be a trap, so such a field is
//! refused on write unless it is at its default. Whoever builds the behaviour
//! deletes the line here.

use super::admin::Admin;
use super::filesystem::FilesystemProvider;
use super::folder::Folder;
use super::user::User;
use super::wire::is_default;
use crate::error::{Error, Result};

/// A field, and whether an object uses it.
pub struct Refusal<T>(&'static str, fn(&T) -> bool);

/// Fails naming the first field of `table` that `object` uses.
pub fn refuse<T>(table: &[Refusal<T>], object: &T) -> Result<()> {
    match table.iter().find(|Refusal(_, is_used)| is_used(object)) {
        None => Ok(()),
        Some(Refusal(field, _)) => Err(Error::invalid(format!(
            "{field}: is not available in this version yet, leave it at its default"
        ))),
    }
}

/// What users cannot use yet, neither themselves nor through a group.
pub const USER: &[Refusal<User>] = &[
    Refusal("oidc_custom_fields", |user| !user.oidc_custom_fields.is_empty()),
    Refusal("filesystem.provider", |user| user.filesystem.provider != FilesystemProvider::Local),
    Refusal("filesystem.osconfig", |user| !is_default(&user.filesystem.osconfig)),
    Refusal("filters.tls_username", |user| !user.filters.tls_username.is_empty()),
    Refusal("filters.tls_certs", |user| !user.filters.tls_certs.is_empty()),
    Refusal("filters.hooks", |user| !is_default(&user.filters.hooks)),
    Refusal("filters.web_client", |user| !user.filters.web_client.is_empty()),
    Refusal("filters.allow_api_key_auth", |user| user.filters.allow_api_key_auth),
    Refusal("filters.user_type", |user| !user.filters.user_type.is_empty()),
    Refusal("filters.external_auth_cache_time", |user| user.filters.external_auth_cache_time != 0),
    Refusal("filters.ftp_security", |user| user.filters.ftp_security != 0),
    Refusal("filters.is_anonymous", |user| user.filters.is_anonymous),
    Refusal("filters.default_shares_expiration", |user| {
        user.filters.default_shares_expiration != 0
    }),
    Refusal("filters.max_shares_expiration", |user| user.filters.max_shares_expiration != 0),
    Refusal("filters.password_expiration", |user| user.filters.password_expiration != 0),
    Refusal("filters.password_strength", |user| user.filters.password_strength != 0),
    Refusal("filters.require_password_change", |user| user.filters.require_password_change),
    Refusal("filters.additional_emails", |user| !user.filters.additional_emails.is_empty()),
];

/// What folders cannot use yet.
pub const FOLDER: &[Refusal<Folder>] = &[
    Refusal("filesystem.provider", |folder| {
        folder.filesystem.provider != FilesystemProvider::Local
    }),
    Refusal("filesystem.osconfig", |folder| !is_default(&folder.filesystem.osconfig)),
];

/// What admins cannot use yet.
pub const ADMIN: &[Refusal<Admin>] = &[
    Refusal("filters.allow_api_key_auth", |admin| admin.filters.allow_api_key_auth),
    Refusal("filters.preferences", |admin| !is_default(&admin.filters.preferences)),
];
