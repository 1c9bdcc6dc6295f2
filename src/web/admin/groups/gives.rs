//! What a group gives, in a few words.

use super::fields::{Kind, fields};
use super::form::GroupForm;
use crate::model::Group;
use crate::web::pages::form::FieldErrors;

/// One phrase for each setting, with its value where that is short; folders apart.
pub fn gives(group: &Group) -> Vec<String> {
    let form = GroupForm::of(group);
    let settings = fields().filter(|field| !matches!(field.kind, Kind::Folders));
    let mut phrases: Vec<String> = settings
        .filter_map(|field| {
            let (value, label) = (form.short_value(field)?, field.label);
            Some(match field.kind {
                Kind::Permissions => "Permissions by directory".to_owned(),
                Kind::Switch => field.hint.to_owned(),
                Kind::Measured(unit) => format!("{label} {value} {unit}"),
                _ if value.is_empty() => label.to_owned(),
                _ => format!("{label} {value}"),
            })
        })
        .collect();
    if has_more_than_the_form(group) {
        phrases.push("Settings that this form does not have".to_owned());
    }
    for phrase in phrases.iter_mut().skip(1) {
        let mut letters = phrase.chars();
        *phrase = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    }
    phrases
}

/// Whether anything is left when the form is emptied.
fn has_more_than_the_form(group: &Group) -> bool {
    let emptied = GroupForm::of(&Group::default()).apply(group, &mut FieldErrors::default());
    emptied.user_settings != Group::default().user_settings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(settings: Value) -> String {
        let settings = serde_json::from_value(settings).expect("settings");
        gives(&Group { user_settings: settings, ..Group::default() }).join(", ")
    }

    #[test]
    fn what_a_group_gives_is_told_by_its_settings() {
        for (settings, want) in [
            (json!({}), ""),
            (json!({"home_dir": "/srv/%username%"}), "Home directory /srv/%username%"),
            (
                json!({
                    "quota_size": 50_000_000_000_i64, "max_sessions": 3, "expires_in": 30,
                    "permissions": {"/": ["list"]}, "upload_bandwidth": 100,
                    "filters": {"denied_protocols": ["HTTP"], "disable_fs_checks": true},
                }),
                "Do not check or create the home directory at login, quota 50 GB, permissions by \
                 directory, sessions 3, account ends after 30 days, upload bandwidth 100 \
                 KiB/s, denied protocols",
            ),
            (json!({"filters": {"user_type": "OSUser"}}), "Settings that this form does not have"),
        ] {
            assert_eq!(told(settings), want);
        }
    }
}
