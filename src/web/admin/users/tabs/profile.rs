//! Who it is, until when, and in which groups.

use super::Fields;
use crate::model::{GroupMapping, User};
use crate::web::admin::users::rows::{Filling, Section};
use crate::web::admin::users::times;
use crate::web::pages::form::{FieldErrors, Form};

/// The groups of a user.
pub const GROUPS: Section =
    Section { name: "groups", texts: &["name"], choices: &["type"], many: &[] };

pub const FIELDS: Fields = Fields {
    single: &["status", "email", "description", "role", "expiration_date", "additional_info"],
    many: &[],
    sections: &[GROUPS],
};

pub fn fields(user: &User) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = [
        ("status", user.status.to_string()),
        ("email", user.email.clone()),
        ("description", user.description.clone()),
        ("role", user.role.clone()),
        ("expiration_date", times::time_text(user.expiration_date)),
        ("additional_info", user.additional_info.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    fields.extend(group_fields(&user.groups));
    fields
}

/// The fields of [`GROUPS`] for these memberships.
pub fn group_fields(groups: &[GroupMapping]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rows = Filling::of(&GROUPS, &mut fields);
    for group in groups {
        rows.row(&[("name", group.name.clone()), ("type", group.kind.to_string())]);
    }
    fields
}

pub fn apply(form: &Form, user: &mut User, errors: &mut FieldErrors) {
    user.status = i32::from(form.get("status") == "1");
    user.email = form.trimmed("email").to_owned();
    user.description = form.trimmed("description").to_owned();
    user.role = form.trimmed("role").to_owned();
    // What is shown is rounded; it is changed only if somebody changed it.
    let typed = form.trimmed("expiration_date");
    if typed != times::time_text(user.expiration_date) {
        user.expiration_date = errors.take("expiration_date", times::time(typed));
    }
    user.additional_info = form.get("additional_info").replace("\r\n", "\n");
    user.groups = groups(form);
}

/// The groups that a form names.
pub fn groups(form: &Form) -> Vec<GroupMapping> {
    let rows = GROUPS.rows(form);
    let group = |name: &str, kind: &str| GroupMapping {
        name: name.to_owned(),
        kind: kind.parse().unwrap_or(GroupMapping::SECONDARY),
    };
    rows.iter().map(|row| group(row.get("name"), row.get("type"))).collect()
}
