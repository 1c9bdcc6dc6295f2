//! The first admin, for servers that nobody sets up by hand.

use crate::error::Result;
use crate::model::{Admin, AdminPermission, Password};
use crate::provider::Store;

/// Makes an admin with all permissions if there is no admin at all; tells
/// whether it did. Without the values of `SFTPGO_DEFAULT_ADMIN_USERNAME` and
/// `SFTPGO_DEFAULT_ADMIN_PASSWORD` it is `admin` with the password `password`.
pub async fn create_default_admin(
    store: &Store,
    username: Option<&str>,
    password: Option<&str>,
) -> Result<bool> {
    if store.has_admins().await? {
        return Ok(false);
    }
    let given = |value: Option<&str>, default: &str| {
        value.filter(|value| !value.is_empty()).unwrap_or(default).to_owned()
    };
    let admin = Admin {
        username: given(username, "admin"),
        password: Password::new(given(password, "password")),
        status: 1,
        permissions: vec![AdminPermission::Any],
        ..Admin::default()
    };
    store.add_first_admin(admin).await.map_err(|error| error.wrap("default admin"))
}
