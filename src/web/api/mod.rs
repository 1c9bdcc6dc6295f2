//! The resources of `/api/v2`, one file each. A handler does: who may call
//! (its first argument), parse, one call down, reply.

pub mod admins;
pub mod aliases;
pub mod bulk;
pub mod connections;
pub mod dumps;
pub mod folders;
pub mod groups;
pub mod logs;
pub mod permission_test;
pub mod profile;
pub mod quotas;
pub mod roles;
pub mod second_factor;
pub mod status;
pub mod summary;
pub mod tasks;
pub mod tokens;
pub mod users;
pub mod version;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::web::error::ApiError;
use crate::web::routes::BASE;

/// What stays as it is in a path segment: the unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an object, for the `Location` header.
pub fn locate(resource: &str, name: &str) -> String {
    format!("{BASE}/{resource}/{}", segment(name))
}

/// A name as one segment of a path, or as a value of a query.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The object that was looked for, or 404 naming it.
pub fn found<T>(object: Option<T>, kind: &str, name: &str) -> Result<T, ApiError> {
    object.ok_or_else(|| ApiError::not_found(format!("{kind} \"{name}\" does not exist")))
}

#[cfg(test)]
mod tests {
    use super::locate;

    #[test]
    fn names_are_escaped_in_locations() {
        assert_eq!(locate("users", "a.b-c_d~e"), "/api/v2/users/a.b-c_d~e");
        assert_eq!(locate("users", "é @/?#%"), "/api/v2/users/%C3%A9%20%40%2F%3F%23%25");
    }
}
