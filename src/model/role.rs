//! Roles: which administrators look after which users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::Rules;
use super::wire::null_is_default;
use crate::error::Result;

/// A role. An administrator who has one sees and manages only the users that
/// have the same; one without a role sees all. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Role {
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
    /// Names of the users that have it; not in dumps.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Names of the administrators that have it; not in dumps.
    #[schema(read_only)]
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub admins: Vec<String>,
}

impl Role {
    /// Validates the role and brings it to its stored form. Errors name the role
    /// and the field. Fields that only the server sets are left alone.
    pub fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let shown = format!("role {:?}", self.name);
        self.name = rules
            .naming
            .apply(&self.name)
            .map_err(|error| error.wrap("name"))
            .map_err(|error| error.wrap(shown))?;
        Ok(())
    }
}

/// The stored form of an account's reference to a role; empty for none.
pub(super) fn normalise_reference(role: &mut String, rules: &Rules) -> Result<()> {
    if !role.is_empty() {
        *role = rules.naming.apply(role).map_err(|error| error.wrap("role"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rules::NamingRules;
    use super::*;

    #[test]
    fn a_role_needs_a_name_that_follows_the_naming_rules() {
        let lower = Rules { naming: NamingRules::from_bits(2 | 4), ..Rules::default() };
        let role = |json: &str| serde_json::from_str::<Role>(json).unwrap();
        let mut good = role(r#"{"name":" Sales ","users":null,"admins":["x"],"unknown":1}"#);
        good.normalise(&lower).unwrap();
        assert_eq!(good.name, "sales");
        for json in ["{}", r#"{"name":""}"#, r#"{"name":"a/b"}"#, r#"{"name":".."}"#] {
            let error = role(json).normalise(&lower).unwrap_err().to_string();
            assert!(error.starts_with("role \"") && error.contains("name: "), "{json}: {error}");
        }
    }

    #[test]
    fn a_reference_has_the_form_of_the_name_it_refers_to() {
        let lower = Rules { naming: NamingRules::from_bits(2 | 4), ..Rules::default() };
        for (given, stored) in [("", ""), (" Sales", "sales"), ("sales", "sales")] {
            let mut role = given.to_owned();
            normalise_reference(&mut role, &lower).unwrap();
            assert_eq!(role, stored);
        }
        let error = normalise_reference(&mut "a/b".to_owned(), &lower).unwrap_err().to_string();
        assert!(error.starts_with("role: "), "{error}");
    }
}
