//! `%username%` and `%role%` in settings that many users share.

use crate::error::{Error, Result};

const USERNAME: &str = "%username%";
const ROLE: &str = "%role%";

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Placeholders<'a> {
    pub username: &'a str,
    /// Empty if the user has none.
    pub role: &'a str,
}

impl Placeholders<'_> {
    /// `template` with the names in their places. Fails where there is no role to
    /// put in: `/srv/%role%` must not become `/srv`, which holds all roles.
    pub fn expand(&self, template: &str) -> Result<String> {
        let mut expanded = String::with_capacity(template.len());
        let mut rest = template;
        // In one pass: what is put in is not looked at again.
        while let Some((before, from)) = rest.find('%').map(|at| rest.split_at(at)) {
            expanded.push_str(before);
            if let Some(after) = from.strip_prefix(USERNAME) {
                expanded.push_str(self.username);
                rest = after;
            } else if let Some(after) = from.strip_prefix(ROLE) {
                if self.role.is_empty() {
                    return Err(Error::invalid(format!(
                        "{template:?} needs a role, and the user has none"
                    )));
                }
                expanded.push_str(self.role);
                rest = after;
            } else {
                expanded.push('%');
                rest = from.strip_prefix('%').unwrap_or_default();
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// True if `text` means something else for every user.
pub fn has_placeholders(text: &str) -> bool {
    text.contains(USERNAME) || text.contains(ROLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_once() {
        let table: &[(&str, &str, Option<&str>)] = &[
            ("/srv/%username%", "staff", Some("/srv/bob")),
            ("/%role%/%username%-%username%", "staff", Some("/staff/bob-bob")),
            ("100%", "staff", Some("100%")),
            ("%%username%%", "staff", Some("%bob%")),
            ("%username", "staff", Some("%username")),
            ("%USERNAME%", "staff", Some("%USERNAME%")),
            ("", "staff", Some("")),
            ("/srv/%username%", "", Some("/srv/bob")),
            ("/srv/%role%", "", None),
            ("%role%", "%username%", Some("%username%")),
        ];
        for (template, role, want) in table {
            let got = Placeholders { username: "bob", role }.expand(template).ok();
            assert_eq!(got.as_deref(), *want, "{template} with the role {role:?}");
        }
    }

    #[test]
    fn templates_are_recognised() {
        for (text, want) in
            [("/srv/%username%", true), ("%role%/", true), ("/srv/100%", false), ("", false)]
        {
            assert_eq!(has_placeholders(text), want, "{text}");
        }
    }
}
