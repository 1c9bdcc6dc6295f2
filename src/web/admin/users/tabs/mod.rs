//! The tabs of the form of a user. Each knows which fields it has, what they hold for a
//! stored user, and what they change; nothing else of the user is touched by it.

mod limits;
pub mod network;
pub mod permissions;
pub mod profile;
pub mod sign_in;
mod storage;

use serde_json::{Map, Value, json};

use super::rows::Section;
use crate::model::User;
use crate::web::pages::form::{FieldErrors, Form};

/// A part of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Profile,
    SignIn,
    Storage,
    Permissions,
    Limits,
    Network,
    /// What holds after groups have added to it; nothing can be changed here.
    Effective,
}

/// The fields of a tab.
pub struct Fields {
    /// With one value.
    single: &'static [&'static str],
    /// Boxes of which several can be ticked.
    many: &'static [&'static str],
    sections: &'static [Section],
}

/// Where every setting is: field, label, tab. For finding one, and for naming it.
const SETTINGS: [(&str, &str, Tab); 39] = [
    ("status", "Status", Tab::Profile),
    ("email", "E-mail", Tab::Profile),
    ("description", "Description", Tab::Profile),
    ("role", "Role", Tab::Profile),
    ("expiration_date", "Expires", Tab::Profile),
    ("groups", "Groups", Tab::Profile),
    ("additional_info", "Notes", Tab::Profile),
    ("password", "Password", Tab::SignIn),
    ("public_keys", "Public keys", Tab::SignIn),
    ("denied_login_methods", "Denied sign-in methods", Tab::SignIn),
    ("two_factor_protocols", "Second factor required", Tab::SignIn),
    ("second_factor", "Second factor", Tab::SignIn),
    ("home_dir", "Home directory", Tab::Storage),
    ("start_directory", "Start directory", Tab::Storage),
    ("uid", "Owner (UID)", Tab::Storage),
    ("gid", "Group (GID)", Tab::Storage),
    ("disable_fs_checks", "Home directory checks", Tab::Storage),
    ("virtual_folders", "Folders", Tab::Storage),
    ("permissions", "Permissions by directory", Tab::Permissions),
    ("file_patterns", "File patterns", Tab::Permissions),
    ("file_patterns", "Hidden files", Tab::Permissions),
    ("quota_size", "Quota size", Tab::Limits),
    ("quota_files", "Quota files", Tab::Limits),
    ("max_upload_file_size", "Largest upload", Tab::Limits),
    ("max_sessions", "Sessions", Tab::Limits),
    ("upload_bandwidth", "Upload bandwidth", Tab::Limits),
    ("download_bandwidth", "Download bandwidth", Tab::Limits),
    ("upload_data_transfer", "Data uploaded", Tab::Limits),
    ("download_data_transfer", "Data downloaded", Tab::Limits),
    ("total_data_transfer", "Data in total", Tab::Limits),
    ("bandwidth_limits", "Bandwidth by source", Tab::Limits),
    ("data_transfer_limits", "Data transfer by source", Tab::Limits),
    ("allowed_ip", "Allowed addresses", Tab::Network),
    ("denied_ip", "Denied addresses", Tab::Network),
    ("denied_protocols", "Denied protocols", Tab::Network),
    ("access_time", "Access times", Tab::Network),
    ("access_time", "Hours and days", Tab::Network),
    ("effective", "Effective settings", Tab::Effective),
    ("effective", "Inherited from groups", Tab::Effective),
];

impl Tab {
    /// All, in their order.
    pub const ALL: [Tab; 7] = [
        Self::Profile,
        Self::SignIn,
        Self::Storage,
        Self::Permissions,
        Self::Limits,
        Self::Network,
        Self::Effective,
    ];

    /// The tab of this name in the URL; the first if there is none.
    pub fn of(key: &str) -> Self {
        Self::ALL.into_iter().find(|tab| tab.key() == key).unwrap_or(Self::Profile)
    }

    pub fn key(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::SignIn => "sign-in",
            Self::Storage => "storage",
            Self::Permissions => "permissions",
            Self::Limits => "limits",
            Self::Network => "network",
            Self::Effective => "effective",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Profile => "Profile",
            Self::SignIn => "Sign-in",
            Self::Storage => "Storage",
            Self::Permissions => "Permissions",
            Self::Limits => "Limits",
            Self::Network => "Network",
            Self::Effective => "Effective",
        }
    }

    fn names(self) -> &'static Fields {
        match self {
            Self::Profile => &profile::FIELDS,
            Self::SignIn => &sign_in::FIELDS,
            Self::Storage => &storage::FIELDS,
            Self::Permissions => &permissions::FIELDS,
            Self::Limits => &limits::FIELDS,
            Self::Network => &network::FIELDS,
            Self::Effective => &Fields { single: &[], many: &[], sections: &[] },
        }
    }

    /// What the fields hold for a stored user.
    pub fn fields(self, user: &User) -> Form {
        self.tidy(&Form::of_fields(match self {
            Self::Profile => profile::fields(user),
            Self::SignIn => sign_in::fields(user),
            Self::Storage => storage::fields(user),
            Self::Permissions => permissions::fields(user),
            Self::Limits => limits::fields(user),
            Self::Network => network::fields(user),
            Self::Effective => Vec::new(),
        }))
    }

    /// The fields of this tab alone, in their order, without rows that are not filled in.
    pub fn tidy(self, form: &Form) -> Form {
        let names = self.names();
        let mut fields = Vec::new();
        for name in names.single {
            fields.push(((*name).to_owned(), form.get(name).replace("\r\n", "\n")));
        }
        for name in names.many {
            fields.extend(form.all(name).map(|value| ((*name).to_owned(), value.to_owned())));
        }
        for section in names.sections {
            fields.extend(section.fields(&section.rows(form)));
        }
        Form::of_fields(fields)
    }

    /// Puts what a form says into `user`, which is as it is stored.
    pub fn apply(self, form: &Form, user: &mut User, errors: &mut FieldErrors) {
        match self {
            Self::Profile => profile::apply(form, user, errors),
            Self::SignIn => sign_in::apply(form, user),
            Self::Storage => storage::apply(form, user, errors),
            Self::Permissions => permissions::apply(form, user, errors),
            Self::Limits => limits::apply(form, user, errors),
            Self::Network => network::apply(form, user, errors),
            Self::Effective => {}
        }
    }

    /// The fields as templates take them; every one is there, and no password.
    pub fn view(self, form: &Form) -> Value {
        let names = self.names();
        let mut view = Map::new();
        for name in names.single.iter().filter(|name| **name != "password") {
            view.insert((*name).to_owned(), json!(form.get(name)));
        }
        for name in names.many {
            view.insert((*name).to_owned(), json!(form.all(name).collect::<Vec<_>>()));
        }
        for section in names.sections {
            view.insert(section.name.to_owned(), section.view(form));
        }
        Value::Object(view)
    }
}

/// The setting that a field belongs to.
pub fn setting_of(field: &str) -> &str {
    let setting = field.split('.').next().unwrap_or(field);
    setting.strip_suffix("_unit").unwrap_or(setting)
}

/// What people call a setting.
pub fn label_of(setting: &str) -> &str {
    known_label(setting).unwrap_or(setting)
}

/// What people call the setting that a field belongs to, if it is one.
pub fn label_of_field(field: &str) -> Option<&'static str> {
    known_label(setting_of(field))
}

fn known_label(setting: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(field, ..)| *field == setting).map(|(_, label, _)| *label)
}

/// The settings that `text` names: label, tab, field. It is the whole label or the name in the
/// REST API, else the beginning of words in them. What two labels stand for comes once.
pub fn find(text: &str) -> Vec<(&'static str, Tab, &'static str)> {
    let text = plain(text);
    let fits = |fits: fn(&str, &str) -> bool| {
        let mut found: Vec<(&str, Tab, &str)> = Vec::new();
        for (field, label, tab) in SETTINGS {
            let is_new = found.iter().all(|(_, _, known)| *known != field);
            if is_new && [label, field].iter().any(|name| fits(&plain(name), &text)) {
                found.push((label, tab, field));
            }
        }
        found
    };
    let exact = fits(|name, text| name == text);
    if exact.is_empty() { fits(has_words) } else { exact }
}

/// As it is compared: `filters.allowed_ip` is `allowed ip`.
fn plain(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.trim_start_matches("filters.").replace(['_', '-', '('], " ")
}

/// Whether `text` begins at the beginning of a word of `name`.
fn has_words(name: &str, text: &str) -> bool {
    let mut rest = name;
    loop {
        if rest.starts_with(text) {
            return true;
        }
        match rest.split_once(' ') {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
}

/// The labels of all settings.
pub fn labels() -> Vec<&'static str> {
    SETTINGS.iter().map(|(_, label, _)| *label).collect()
}

/// Says which field of the form an error of the model is about.
pub fn place(told: &str, errors: &mut FieldErrors) {
    let told = match told.strip_prefix("user \"").and_then(|rest| rest.split_once("\": ")) {
        Some((_, rest)) => rest,
        None => told,
    };
    let told = told.strip_prefix("filters: ").unwrap_or(told);
    let (field, rest) = told.split_once(": ").unwrap_or(("form", told));
    let is_known = field == "username" || SETTINGS.iter().any(|(known, ..)| *known == field);
    let (field, told) = if is_known { (field, rest) } else { ("form", told) };
    errors.add(field, crate::web::pages::error::sentence(told));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_model_are_told_at_their_fields() {
        for (told, field) in [
            ("user \"bob\": home_dir: is not absolute", "home_dir"),
            ("user \"bob\": filters: allowed_ip: \"x\" is no address", "allowed_ip"),
            ("user \"bob\": public_keys: key 1: is empty", "public_keys"),
            ("user \"b\": virtual_folders: [0]: name: is empty", "virtual_folders"),
            ("something else", "form"),
            ("oidc_custom_fields: no", "form"),
        ] {
            let mut errors = FieldErrors::default();
            place(told, &mut errors);
            let json = json!(errors);
            assert!(json.get(field).is_some(), "{told}: {json}");
        }
    }

    #[test]
    fn a_form_that_is_sent_back_unchanged_changes_nothing() {
        let user: User = serde_json::from_value(json!({
            "username": "bob", "status": 1, "home_dir": "/srv/bob", "email": "a@b.example",
            "description": "line", "additional_info": "x\ny", "uid": 7, "gid": 8,
            "expiration_date": 1_893_456_000_123_i64, "max_sessions": 3, "role": "r",
            "quota_size": 10_737_418_240_i64, "quota_files": 5, "upload_bandwidth": 1,
            "download_data_transfer": 9,
            "permissions": {"/": ["*"], "/a": [], "/b": ["delete", "list"], "/c": ["rename_files"]},
            "groups": [{"name": "g", "type": 1}, {"name": "h", "type": 3}],
            "virtual_folders": [
                {"name": "f", "virtual_path": "/f", "quota_size": -1, "quota_files": -1},
                {"name": "g", "virtual_path": "/g", "quota_size": 5, "quota_files": 0},
            ],
            "filters": {
                "allowed_ip": ["10.0.0.0/8", "::1/128"], "denied_ip": ["10.1.0.0/16"],
                "denied_login_methods": ["password", "TLSCertificate"],
                "denied_protocols": ["DAV", "HTTP"], "two_factor_protocols": ["FTP", "SSH"],
                "start_directory": "/in", "disable_fs_checks": true,
                "max_upload_file_size": 1_500,
                "file_patterns": [{"path": "/p", "allowed_patterns": [],
                    "denied_patterns": ["*.exe", "*, *"], "deny_policy": 1}],
                "bandwidth_limits": [{"sources": ["10.0.0.0/8"], "upload_bandwidth": 1,
                    "download_bandwidth": 2}],
                "data_transfer_limits": [{"sources": ["10.0.0.0/8"], "total_data_transfer": 3}],
                "access_time": [{"day_of_week": 1, "from": "08:00", "to": "17:59"}],
            },
        }))
        .expect("a user");
        for tab in Tab::ALL {
            let mut changed = user.clone();
            let mut errors = FieldErrors::default();
            tab.apply(&tab.fields(&user), &mut changed, &mut errors);
            assert!(errors.is_empty(), "{tab:?}: {errors:?}");
            assert_eq!(changed, user, "{tab:?}");
        }
    }

    #[test]
    fn an_empty_form_touches_only_its_own_tab() {
        let user: User = serde_json::from_value(json!({
            "username": "bob", "status": 1, "home_dir": "/srv/bob", "email": "a@b.example",
            "quota_size": 5, "filters": {"allowed_ip": ["10.0.0.0/8"]},
        }))
        .expect("a user");
        let mut changed = user.clone();
        Tab::Network.apply(&Form::default(), &mut changed, &mut FieldErrors::default());
        assert!(changed.filters.allowed_ip.is_empty());
        changed.filters = user.filters.clone();
        assert_eq!(changed, user);
    }

    #[test]
    fn settings_are_found_by_the_words_of_their_names() {
        for (text, fields) in [
            ("quota", &["quota_size", "quota_files"][..]),
            ("ip", &["allowed_ip", "denied_ip"]),
            ("allowed_ip", &["allowed_ip"]),
            ("filters.denied_ip", &["denied_ip"]),
            ("home_dir", &["home_dir"]),
            ("Home directory", &["home_dir"]),
            (" home ", &["home_dir", "disable_fs_checks"]),
            ("file_patterns", &["file_patterns"]),
            ("hidden", &["file_patterns"]),
            ("uid", &["uid"]),
            ("mail", &["email"]),
            ("groups", &["groups"]),
            ("iption", &[]),
        ] {
            let found: Vec<_> = find(text).into_iter().map(|(_, _, field)| field).collect();
            assert_eq!(found, fields, "{text}");
        }
        assert_eq!(label_of(setting_of("quota_size_unit")), "Quota size");
        assert_eq!(label_of(setting_of("permissions.3.dir")), "Permissions by directory");
    }
}
