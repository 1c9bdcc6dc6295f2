//! The form of a group: every setting that its users can inherit, as a table of fields.
//! A field names its place in the JSON of the group, so what the form writes is what a
//! client of the REST API would write.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{Cell, Column, Field, Kind, SECTIONS, fields};
use super::values::{Typed, shown, understood};
use crate::model::Group;
use crate::web::pages::form::{FieldErrors, Form};

/// What the form shows, or what was typed into it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupForm {
    values: BTreeMap<&'static str, Typed>,
}

impl GroupForm {
    /// As a stored group fills it in.
    pub fn of(group: &Group) -> Self {
        let stored = serde_json::to_value(group).unwrap_or_default();
        let none = Value::Null;
        let value = |field: &Field| shown(field, stored.pointer(field.place).unwrap_or(&none));
        Self { values: fields().map(|field| (field.key, value(field))).collect() }
    }

    /// As somebody has filled it in.
    pub fn typed(form: &Form) -> Self {
        let value = |field: &Field| match (field.columns(), &field.kind) {
            (Some(columns), _) => Typed::Rows(typed_rows(form, field.key, columns)),
            (None, Kind::Choices(_)) => {
                Typed::Set(form.all(field.key).map(str::to_owned).collect())
            }
            (None, Kind::Lines) => Typed::Text(form.get(field.key).to_owned()),
            (None, _) => Typed::Text(form.trimmed(field.key).to_owned()),
        };
        Self { values: fields().map(|field| (field.key, value(field))).collect() }
    }

    /// What a setting comes to in a few words, empty if that takes more; `None` if it is not
    /// set.
    pub fn short_value(&self, field: &Field) -> Option<String> {
        let is_text = matches!(field.kind, Kind::Lines | Kind::Switch);
        match self.values.get(field.key)? {
            Typed::Text(text) if text.is_empty() => None,
            Typed::Text(_) if is_text => Some(String::new()),
            Typed::Text(text) => Some(text.clone()),
            Typed::Set(set) => (!set.is_empty()).then(String::new),
            Typed::Rows(rows) => (!rows.is_empty()).then(String::new),
        }
    }

    /// `group` with what was typed; what cannot be understood is noted, and left as it was.
    pub fn apply(&self, group: &Group, errors: &mut FieldErrors) -> Group {
        let mut stored = serde_json::to_value(group).unwrap_or_default();
        for field in fields() {
            let Some(typed) = self.values.get(field.key) else { continue };
            let old = stored.pointer(field.place).cloned().unwrap_or_default();
            match understood(field, typed, &old) {
                Ok(value) => put(&mut stored, field.place, value),
                Err(told) => errors.add(field.key, told),
            }
        }
        serde_json::from_value(stored).unwrap_or_else(|error| {
            errors.add("home_dir", format!("This cannot be stored: {error}."));
            group.clone()
        })
    }

    /// For the template. A table has a blank row at its end, that of `more` several.
    pub fn view(&self, more: &str) -> Value {
        let sections = SECTIONS.iter().map(|(heading, told, fields)| {
            let fields: Vec<Value> =
                fields.iter().map(|field| self.field_view(field, more)).collect();
            json!({ "heading": heading, "told": told, "fields": fields })
        });
        sections.collect()
    }

    fn field_view(&self, field: &Field, more: &str) -> Value {
        let mut view = json!({ "key": field.key, "label": field.label, "hint": field.hint });
        let (kind, value) = match (&field.kind, self.values.get(field.key)) {
            (Kind::Choices(options), Some(Typed::Set(chosen))) => {
                let options = options.iter().map(|(value, label)| {
                    json!({ "value": value, "label": label, "chosen": chosen.contains(*value) })
                });
                ("choices", options.collect())
            }
            (_, Some(Typed::Rows(rows))) => {
                let columns = field.columns().unwrap_or_default();
                view["columns"] = columns.iter().map(column_view).collect();
                let blank = if more == field.key { 4 } else { 1 };
                let blank = vec![vec![String::new(); columns.len()]; blank];
                ("rows", rows.iter().chain(&blank).map(|row| json!(row)).collect())
            }
            (kind, Some(Typed::Text(text))) => {
                let name = match kind {
                    Kind::Lines => "lines",
                    Kind::Switch => "switch",
                    Kind::Path => "path",
                    Kind::Measured(unit) => {
                        view["unit"] = json!(unit);
                        "measured"
                    }
                    _ => "text",
                };
                (name, json!(text))
            }
            _ => ("text", json!("")),
        };
        view["kind"] = json!(kind);
        view["value"] = value;
        view
    }
}

fn column_view(column: &Column) -> Value {
    let options = match column.cell {
        Cell::Select(options) => Some(options),
        _ => None,
    };
    json!({ "key": column.key, "label": column.label, "options": options })
}

/// The rows of a table that have anything in them; a choice alone is nothing.
fn typed_rows(form: &Form, key: &str, columns: &[Column]) -> Vec<Vec<String>> {
    let names: Vec<String> = columns.iter().map(|c| format!("{key}.{}", c.key)).collect();
    let mut cells: Vec<_> = names.iter().map(|name| form.all(name)).collect();
    let mut rows = Vec::new();
    loop {
        let row: Vec<Option<&str>> = cells.iter_mut().map(Iterator::next).collect();
        if row.iter().all(Option::is_none) {
            return rows;
        }
        let row: Vec<String> =
            row.iter().map(|cell| cell.unwrap_or_default().trim().to_owned()).collect();
        let has_text = columns
            .iter()
            .zip(&row)
            .any(|(column, text)| !matches!(column.cell, Cell::Select(_)) && !text.is_empty());
        if has_text {
            rows.push(row);
        }
    }
}

/// Sets the value at a place, making the objects on the way.
fn put(object: &mut Value, place: &str, value: Value) {
    let mut at = object;
    for part in place.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[part];
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Map;

    use super::*;
    use crate::model::{GroupUserSettings, Permission};

    fn group() -> Group {
        let settings: GroupUserSettings = serde_json::from_value(json!({
            "home_dir": "/srv/%username%", "quota_size": 10_000_000_000i64, "quota_files": 7,
            "max_sessions": 2, "permissions": {"/": ["list", "download"], "/in": ["*"]},
            "expires_in": 30, "upload_bandwidth": 100, "total_data_transfer": 5,
            "filters": {
                "allowed_ip": ["10.0.0.0/8", "192.0.2.0/24"],
                "denied_login_methods": ["password", "TLSCertificate"],
                "denied_protocols": ["FTP", "HTTP"],
                "file_patterns": [{"path": "/", "allowed_patterns": [],
                    "denied_patterns": ["*.exe", "*.bat"], "deny_policy": 1}],
                "bandwidth_limits": [{"sources": ["10.0.0.0/8"], "upload_bandwidth": 5,
                    "download_bandwidth": 6}],
                "access_time": [{"day_of_week": 0, "from": "08:00", "to": "17:30"}],
                "disable_fs_checks": true, "max_upload_file_size": 4096,
            },
        }))
        .expect("settings");
        let folders = json!([
            {"name": "shared", "virtual_path": "/shared", "quota_size": -1, "quota_files": -1},
            {"name": "own", "virtual_path": "/own", "quota_size": 1000, "quota_files": 0},
        ]);
        Group {
            name: "staff".to_owned(),
            user_settings: settings,
            virtual_folders: serde_json::from_value(folders).expect("folders"),
            ..Group::default()
        }
    }

    /// The fields that a browser sends for what the form shows.
    fn sent(view: &GroupForm) -> Form {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for field in fields() {
            match &view.values[field.key] {
                Typed::Text(text) if matches!(field.kind, Kind::Switch) && text.is_empty() => {}
                Typed::Text(text) => pairs.push((field.key.to_owned(), text.clone())),
                Typed::Set(set) => {
                    let offered = |name: &String| match field.kind {
                        Kind::Choices(options) => options.iter().any(|(value, _)| value == name),
                        _ => false,
                    };
                    let chosen = set.iter().filter(|name| offered(name));
                    pairs.extend(chosen.map(|name| (field.key.to_owned(), name.clone())));
                }
                Typed::Rows(rows) => {
                    for row in rows {
                        for (column, text) in field.columns().expect("columns").iter().zip(row) {
                            pairs.push((format!("{}.{}", field.key, column.key), text.clone()));
                        }
                    }
                }
            }
        }
        Form::parse(serde_urlencoded::to_string(pairs).expect("a form").as_bytes()).expect("a form")
    }

    #[test]
    fn saving_what_is_shown_changes_nothing() {
        for group in [group(), Group { name: "empty".to_owned(), ..Group::default() }] {
            let mut errors = FieldErrors::default();
            let typed = GroupForm::typed(&sent(&GroupForm::of(&group)));
            let saved = typed.apply(&group, &mut errors);
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(saved, group);
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told_at_its_field() {
        for (body, field) in [
            ("quota_size=ten", "quota_size"),
            ("max_sessions=-1", "max_sessions"),
            ("permissions.path=/in&permissions.preset=&permissions.list=lst", "permissions"),
            ("permissions.path=&permissions.preset=*&permissions.list=list", "permissions"),
            (
                "permissions.path=/a&permissions.preset=*&permissions.list=\
                 &permissions.path=/a&permissions.preset=*&permissions.list=",
                "permissions",
            ),
            (
                "virtual_folders.name=f&virtual_folders.path=/f&virtual_folders.counts=folder\
                 &virtual_folders.size=x&virtual_folders.files=",
                "virtual_folders",
            ),
            (
                "bandwidth_limits.sources=10.0.0.0/8&bandwidth_limits.upload_bandwidth=x\
                 &bandwidth_limits.download_bandwidth=1",
                "bandwidth_limits",
            ),
            (
                "access_time.day_of_week=9&access_time.from=08:00&access_time.to=09:00",
                "access_time",
            ),
        ] {
            let typed = GroupForm::typed(&Form::parse(body.as_bytes()).expect("a form"));
            let mut errors = FieldErrors::default();
            typed.apply(&Group::default(), &mut errors);
            let errors = serde_json::to_value(&errors).expect("errors");
            assert!(errors[field].is_string(), "{body}: {errors}");
            assert_eq!(errors.as_object().map(Map::len), Some(1), "{body}: {errors}");
        }
    }

    #[test]
    fn a_preset_replaces_what_is_listed() {
        let body = "permissions.path=/in&permissions.preset=list,+download&permissions.list=*";
        let typed = GroupForm::typed(&Form::parse(body.as_bytes()).expect("a form"));
        let group = typed.apply(&Group::default(), &mut FieldErrors::default());
        let entries: Vec<_> = group.user_settings.permissions.iter().collect();
        assert_eq!(entries, [("/in", &[Permission::List, Permission::Download][..])]);
    }

    #[test]
    fn keys_and_places_are_unique() {
        let keys: BTreeSet<_> = fields().map(|field| field.key).collect();
        let places: BTreeSet<_> = fields().map(|field| field.place).collect();
        assert_eq!((keys.len(), places.len()), (fields().count(), fields().count()));
    }
}
