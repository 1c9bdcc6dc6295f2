//! Two people who change the same part of a user: what each has changed, and what is left
//! to decide.

use serde::Serialize;

use super::tabs::{label_of, setting_of};
use crate::web::pages::form::Form;

/// A setting that somebody else has changed since the form was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clash {
    pub field: String,
    pub label: String,
    pub before: String,
    /// What somebody else has stored.
    pub stored: String,
    /// What was typed; absent where nothing was, and so the stored one stands.
    pub yours: Option<String>,
}

/// What the form shows next: what somebody else has stored where only they changed it, and
/// what was typed everywhere else. And the settings that they changed.
pub fn merge(before: &Form, stored: &Form, typed: &Form) -> (Form, Vec<Clash>) {
    let mut settings: Vec<String> = Vec::new();
    for (name, _) in before.fields().chain(stored.fields()).chain(typed.fields()) {
        let setting = setting_of(name);
        if !settings.iter().any(|known| known == setting) {
            settings.push(setting.to_owned());
        }
    }
    let (mut merged, mut clashes) = (Vec::new(), Vec::new());
    for setting in settings {
        let of = |form: &Form| -> Vec<(String, String)> {
            let fields = form.fields().filter(|(name, _)| setting_of(name) == setting);
            fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let (was, theirs, yours) = (of(before), of(stored), of(typed));
        let is_secret = setting == "password";
        let they_changed = theirs != was && !is_secret;
        let you_changed = yours != was;
        if they_changed && theirs != yours {
            clashes.push(Clash {
                label: label_of(&setting).to_owned(),
                before: told(&setting, &was),
                stored: told(&setting, &theirs),
                yours: you_changed.then(|| told(&setting, &yours)),
                field: setting,
            });
        }
        merged.extend(if they_changed && !you_changed { theirs } else { yours });
    }
    (Form::of_fields(merged), clashes)
}

/// The values of a setting in one line.
fn told(setting: &str, fields: &[(String, String)]) -> String {
    let values = fields.iter().map(|(_, value)| value.trim().replace('\n', " "));
    let told = values.filter(|value| !value.is_empty()).collect::<Vec<_>>().join(" ");
    match setting {
        _ if told.is_empty() => "nothing".to_owned(),
        "expiration_date" => format!("{} UTC", told.replace('T', " ")),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes()).expect("a form")
    }

    #[test]
    fn only_what_both_changed_is_left_to_decide() {
        let before = form("email=a&description=b&role=c&groups.0.name=g");
        let stored = form("email=a2&description=b&role=c2&groups.0.name=g&groups.1.name=h");
        let typed = form("email=a&description=b3&role=c3&groups.0.name=i");
        let (merged, clashes) = merge(&before, &stored, &typed);
        assert_eq!(merged.encoded(), "email=a2&description=b3&role=c3&groups.0.name=i");
        let told: Vec<_> = clashes
            .iter()
            .map(|clash| (clash.field.as_str(), clash.stored.as_str(), clash.yours.as_deref()))
            .collect();
        assert_eq!(
            told,
            [("email", "a2", None), ("role", "c2", Some("c3")), ("groups", "g h", Some("i"))]
        );
    }

    #[test]
    fn an_end_is_told_with_its_zone() {
        let [before, stored, typed] = ["", "2030-01-02T03:04", "2031-01-02T03:04"]
            .map(|end| form(&format!("expiration_date={end}")));
        let (_, clashes) = merge(&before, &stored, &typed);
        let Clash { label, before, stored, .. } = &clashes[0];
        assert_eq!((label.as_str(), before.as_str()), ("Expires", "nothing"));
        assert_eq!(stored, "2030-01-02 03:04 UTC");
    }

    #[test]
    fn a_password_is_never_told() {
        let (_, clashes) = merge(&form("password="), &form("password="), &form("password=secret"));
        assert!(clashes.is_empty());
    }
}
