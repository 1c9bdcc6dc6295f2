//! The file that holds everything: what `dumpdata` writes and `loaddata` reads.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::admin::Admin;
use super::folder::Folder;
use super::group::Group;
use super::password::Password;
use super::role::Role;
use super::user::User;

/// The format number of version 2.7, which is what is written.
pub const DUMP_VERSION: i64 = 17;

/// All objects, with the hashes of their passwords. Reading is done object by
/// object by `provider::backup`, which accepts older shapes too.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct BackupData {
    #[serde(serialize_with = "with_passwords")]
    pub users: Vec<User>,
    pub folders: Vec<Folder>,
    pub groups: Vec<Group>,
    #[serde(serialize_with = "with_passwords")]
    pub admins: Vec<Admin>,
    /// Without who has them: users and admins say so.
    pub roles: Vec<Role>,
    /// Format number.
    pub version: i64,
}

/// An object whose password is written to dumps.
trait HasPassword: Serialize {
    fn password(&self) -> &Password;
}

impl HasPassword for User {
    fn password(&self) -> &Password {
        &self.password
    }
}

impl HasPassword for Admin {
    fn password(&self) -> &Password {
        &self.password
    }
}

fn with_passwords<S: Serializer, T: HasPassword>(
    objects: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct WithPassword<'a, T> {
        #[serde(flatten)]
        object: &'a T,
        #[serde(skip_serializing_if = "str::is_empty")]
        password: &'a str,
    }
    serializer.collect_seq(
        objects.iter().map(|object| WithPassword { object, password: object.password().as_str() }),
    )
}
