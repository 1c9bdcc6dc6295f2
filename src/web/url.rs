//! Paths of URLs: the fixed ones, and names as parts of them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The prefix of every path of the REST API.
pub const API: &str = "/api/v2";

/// Whether the server works; nothing is asked of who calls it.
pub const HEALTH: &str = "/healthz";

/// What stays as it is in a path segment: the unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of an object, for the `Location` header.
pub fn locate(resource: &str, name: &str) -> String {
    format!("{API}/{resource}/{}", segment(name))
}

/// A name as one segment of a path, or as a value of a query.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
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
