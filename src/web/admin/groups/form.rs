//! The form of a group: every setting that its users can inherit, as a table of fields.
//! A field names its place in the JSON of the group, so what the form writes is what a
//! client of the REST API would write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::{Group, Permission};
use crate::web::admin::objects::lines;
use crate::web::pages::amount;
use crate::web::pages::form::{FieldErrors, Form};

/// A value and its label.
type Choice = (&'static str, &'static str);

/// One field.
pub struct Field {
    pub key: &'static str,
    /// Where it is in the group.
    place: &'static str,
    kind: Kind,
    label: &'static str,
    hint: &'static str,
}

enum Kind {
    Path,
    Number,
    /// A number with what it counts.
    Measured(&'static str),
    Bytes,
    /// One entry a line.
    Lines,
    Switch,
    Choices(&'static [Choice]),
    /// A list of objects.
    Rows(&'static [Column]),
    /// Directory to permissions.
    Permissions,
    Folders,
}

struct Column {
    key: &'static str,
    label: &'static str,
    cell: Cell,
}

enum Cell {
    Text,
    Number,
    /// Separated by commas.
    Words,
    Select(&'static [Choice]),
}

const fn column(key: &'static str, label: &'static str, cell: Cell) -> Column {
    Column { key, label, cell }
}

const fn field(
    key: &'static str,
    place: &'static str,
    kind: Kind,
    label: &'static str,
    hint: &'static str,
) -> Field {
    Field { key, place, kind, label, hint }
}

/// Heading, what it is about, fields.
type Section = (&'static str, &'static str, &'static [Field]);

const METHODS: &[Choice] = &[
    ("publickey", "Public key"),
    ("password", "Password"),
    ("password-over-SSH", "Password, by the plain SSH method"),
    ("keyboard-interactive", "Keyboard-interactive"),
    ("publickey+password", "Public key, then password"),
    ("publickey+keyboard-interactive", "Public key, then keyboard-interactive"),
];
const PROTOCOLS: &[Choice] = &[("SSH", "SSH: SFTP, SCP and commands"), ("HTTP", "HTTP: REST API")];
const DAYS: &[Choice] = &[
    ("1", "Monday"),
    ("2", "Tuesday"),
    ("3", "Wednesday"),
    ("4", "Thursday"),
    ("5", "Friday"),
    ("6", "Saturday"),
    ("0", "Sunday"),
];
const PRESETS: &[Choice] = &[
    ("", "As listed"),
    ("*", "Full access"),
    ("list, download", "Read only"),
    ("list, upload, create_dirs", "Drop box"),
];

/// The form.
pub const SECTIONS: &[Section] = &[
    (
        "Storage",
        "Only a primary group gives these, and only to users who have no value of their own.",
        &[
            field(
                "home_dir",
                "/user_settings/home_dir",
                Kind::Path,
                "Home directory",
                "An absolute path on the server. %username% and %role% are replaced.",
            ),
            field(
                "start_directory",
                "/user_settings/filters/start_directory",
                Kind::Path,
                "Start directory",
                "Where sessions begin, such as /in. Empty for /.",
            ),
            field(
                "disable_fs_checks",
                "/user_settings/filters/disable_fs_checks",
                Kind::Switch,
                "Home at login",
                "Do not check or create the home directory at login",
            ),
            field(
                "quota_size",
                "/user_settings/quota_size",
                Kind::Bytes,
                "Quota",
                "Such as 10 GB; a number alone is bytes.",
            ),
            field("quota_files", "/user_settings/quota_files", Kind::Number, "Files quota", ""),
            field(
                "max_upload_file_size",
                "/user_settings/filters/max_upload_file_size",
                Kind::Bytes,
                "Largest file",
                "The most that one upload may have.",
            ),
        ],
    ),
    (
        "Folders",
        "Mounted in the tree of every user, also by secondary groups.",
        &[field("virtual_folders", "/virtual_folders", Kind::Folders, "Folders", "")],
    ),
    (
        "Permissions",
        "By directory. The entry of the deepest directory alone applies; users' own entries win.",
        &[
            field(
                "permissions",
                "/user_settings/permissions",
                Kind::Permissions,
                "Directories",
                "A preset replaces what is listed. Permissions are separated by commas: list, \
                 download, upload, overwrite, delete, delete_files, delete_dirs, rename, \
                 rename_files, rename_dirs, create_dirs, create_symlinks, chmod, chown, \
                 chtimes, copy, or * for all.",
            ),
            field(
                "file_patterns",
                "/user_settings/filters/file_patterns",
                Kind::Rows(&[
                    column("path", "Directory", Cell::Text),
                    column("allowed_patterns", "Only these names", Cell::Words),
                    column("denied_patterns", "Not these names", Cell::Words),
                    column(
                        "deny_policy",
                        "Denied names are",
                        Cell::Select(&[("0", "Visible"), ("1", "Hidden")]),
                    ),
                ]),
                "Filters on names",
                "Shell patterns separated by commas, such as *.exe, *.bat.",
            ),
            field(
                "file_extensions",
                "/user_settings/filters/file_extensions",
                Kind::Rows(&[
                    column("path", "Directory", Cell::Text),
                    column("allowed_extensions", "Only these", Cell::Words),
                    column("denied_extensions", "Not these", Cell::Words),
                ]),
                "Filters on extensions",
                "Such as .zip. Filters on names can do the same.",
            ),
        ],
    ),
    (
        "Limits",
        "Of one session or account. From a primary group, for users without a value of their own.",
        &[
            field("max_sessions", "/user_settings/max_sessions", Kind::Number, "Sessions", ""),
            field(
                "expires_in",
                "/user_settings/expires_in",
                Kind::Measured("days"),
                "Account ends after",
                "Counted from the creation of the user.",
            ),
            field(
                "upload_bandwidth",
                "/user_settings/upload_bandwidth",
                Kind::Measured("KiB/s"),
                "Upload bandwidth",
                "",
            ),
            field(
                "download_bandwidth",
                "/user_settings/download_bandwidth",
                Kind::Measured("KiB/s"),
                "Download bandwidth",
                "",
            ),
            field(
                "upload_data_transfer",
                "/user_settings/upload_data_transfer",
                Kind::Measured("MiB"),
                "Data uploaded",
                "",
            ),
            field(
                "download_data_transfer",
                "/user_settings/download_data_transfer",
                Kind::Measured("MiB"),
                "Data downloaded",
                "",
            ),
            field(
                "total_data_transfer",
                "/user_settings/total_data_transfer",
                Kind::Measured("MiB"),
                "Data in both directions",
                "Replaces the two limits above.",
            ),
            field(
                "bandwidth_limits",
                "/user_settings/filters/bandwidth_limits",
                Kind::Rows(&[
                    column("sources", "From networks", Cell::Words),
                    column("upload_bandwidth", "Upload, KiB/s", Cell::Number),
                    column("download_bandwidth", "Download, KiB/s", Cell::Number),
                ]),
                "Bandwidth by network",
                "",
            ),
            field(
                "data_transfer_limits",
                "/user_settings/filters/data_transfer_limits",
                Kind::Rows(&[
                    column("sources", "From networks", Cell::Words),
                    column("upload_data_transfer", "Uploaded, MiB", Cell::Number),
                    column("download_data_transfer", "Downloaded, MiB", Cell::Number),
                    column("total_data_transfer", "Both, MiB", Cell::Number),
                ]),
                "Data by network",
                "",
            ),
        ],
    ),
    (
        "Sign-in",
        "Added to what users have themselves, also by secondary groups.",
        &[
            field(
                "allowed_ip",
                "/user_settings/filters/allowed_ip",
                Kind::Lines,
                "Allowed networks",
                "One a line, such as 203.0.113.0/24. Empty for all.",
            ),
            field(
                "denied_ip",
                "/user_settings/filters/denied_ip",
                Kind::Lines,
                "Denied networks",
                "Asked before the allowed ones.",
            ),
            field(
                "denied_login_methods",
                "/user_settings/filters/denied_login_methods",
                Kind::Choices(METHODS),
                "Denied methods",
                "",
            ),
            field(
                "denied_protocols",
                "/user_settings/filters/denied_protocols",
                Kind::Choices(PROTOCOLS),
                "Denied protocols",
                "",
            ),
            field(
                "two_factor_protocols",
                "/user_settings/filters/two_factor_protocols",
                Kind::Choices(PROTOCOLS),
                "Second factor required for",
                "",
            ),
            field(
                "access_time",
                "/user_settings/filters/access_time",
                Kind::Rows(&[
                    column("day_of_week", "Day", Cell::Select(DAYS)),
                    column("from", "From", Cell::Text),
                    column("to", "To", Cell::Text),
                ]),
                "Hours of access",
                "Such as 08:00 to 17:30. None means always.",
            ),
        ],
    ),
];

/// All fields, in the order of the form.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    SECTIONS.iter().flat_map(|(_, _, fields)| fields.iter())
}

/// What the form calls a field.
pub fn label_of(key: &str) -> Option<&'static str> {
    fields().find(|field| field.key == key).map(|field| field.label)
}

const PERMISSION_COLUMNS: &[Column] = &[
    column("path", "Directory", Cell::Text),
    column("preset", "Preset", Cell::Select(PRESETS)),
    column("list", "Permissions", Cell::Words),
];
const FOLDER_COLUMNS: &[Column] = &[
    column("name", "Folder", Cell::Text),
    column("path", "Mounted at", Cell::Text),
    column(
        "counts",
        "Counts in",
        Cell::Select(&[("user", "User's quota"), ("folder", "Own quota")]),
    ),
    column("size", "Own quota", Cell::Text),
    column("files", "Own files", Cell::Text),
];

impl Field {
    fn columns(&self) -> Option<&'static [Column]> {
        match self.kind {
            Kind::Rows(columns) => Some(columns),
            Kind::Permissions => Some(PERMISSION_COLUMNS),
            Kind::Folders => Some(FOLDER_COLUMNS),
            _ => None,
        }
    }
}

/// The value of one field as text.
#[derive(Debug, Clone, PartialEq)]
enum Typed {
    Text(String),
    Set(BTreeSet<String>),
    Rows(Vec<Vec<String>>),
}

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

/// A stored value as the form shows it.
fn shown(field: &Field, stored: &Value) -> Typed {
    let number = || stored.as_i64().unwrap_or(0);
    let texts = || stored.as_array().into_iter().flatten().filter_map(Value::as_str);
    match field.kind {
        Kind::Path => Typed::Text(stored.as_str().unwrap_or_default().to_owned()),
        Kind::Number | Kind::Measured(_) => Typed::Text(amount::whole_text(number())),
        Kind::Bytes => Typed::Text(amount::size_text(number())),
        Kind::Lines => Typed::Text(texts().collect::<Vec<_>>().join("\n")),
        Kind::Switch => {
            let is_on = stored.as_bool().unwrap_or(false);
            Typed::Text(if is_on { "on".to_owned() } else { String::new() })
        }
        Kind::Choices(_) => Typed::Set(texts().map(str::to_owned).collect()),
        Kind::Rows(columns) => Typed::Rows(
            stored
                .as_array()
                .into_iter()
                .flatten()
                .map(|row| columns.iter().map(|c| shown_cell(c, &row[c.key])).collect())
                .collect(),
        ),
        Kind::Permissions => Typed::Rows(
            stored
                .as_object()
                .into_iter()
                .flatten()
                .map(|(path, list)| vec![path.clone(), String::new(), words(list)])
                .collect(),
        ),
        Kind::Folders => {
            Typed::Rows(stored.as_array().into_iter().flatten().map(shown_folder).collect())
        }
    }
}

fn shown_cell(column: &Column, stored: &Value) -> String {
    match column.cell {
        Cell::Text => stored.as_str().unwrap_or_default().to_owned(),
        Cell::Number => amount::whole_text(stored.as_i64().unwrap_or(0)),
        Cell::Words => words(stored),
        Cell::Select(_) => stored.as_i64().unwrap_or(0).to_string(),
    }
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(", ")
}

fn shown_folder(mount: &Value) -> Vec<String> {
    let number = |key: &str| mount[key].as_i64().unwrap_or(0);
    let text = |key: &str| mount[key].as_str().unwrap_or_default().to_owned();
    let (size, files) = (number("quota_size"), number("quota_files"));
    let counts = if size < 0 { "user" } else { "folder" };
    vec![
        text("name"),
        text("virtual_path"),
        counts.to_owned(),
        amount::size_text(size),
        amount::whole_text(files.max(0)),
    ]
}

/// What was typed, as it is stored; or a sentence for the field.
fn understood(field: &Field, typed: &Typed, old: &Value) -> Result<Value, String> {
    match (&field.kind, typed) {
        (Kind::Number | Kind::Measured(_), Typed::Text(text)) => Ok(json!(amount::whole(text)?)),
        (Kind::Bytes, Typed::Text(text)) => Ok(json!(amount::size(text, amount::BYTES)?)),
        (Kind::Lines, Typed::Text(text)) => Ok(json!(lines(text))),
        (Kind::Switch, Typed::Text(text)) => Ok(json!(!text.is_empty())),
        (_, Typed::Text(text)) => Ok(json!(text)),
        (Kind::Choices(options), Typed::Set(chosen)) => {
            let offered = |name: &str| options.iter().any(|(value, _)| *value == name);
            // What the form does not offer stays, and so does the order.
            let old: Vec<&str> =
                old.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let kept = old.iter().copied();
            let kept = kept.filter(|name| !offered(name) || chosen.contains(*name));
            let added = chosen.iter().map(String::as_str);
            let added = added.filter(|name| offered(name) && !old.contains(name));
            Ok(kept.chain(added).collect())
        }
        (_, Typed::Set(_)) => Ok(Value::Null),
        (Kind::Permissions, Typed::Rows(rows)) => permissions(rows),
        (Kind::Folders, Typed::Rows(rows)) => rows
            .iter()
            .enumerate()
            .map(|(at, row)| folder(row).map_err(|t| in_row(at, &t)))
            .collect(),
        (_, Typed::Rows(rows)) => {
            let columns = field.columns().unwrap_or_default();
            let row = |(at, row): (usize, &Vec<String>)| {
                let mut object = Map::new();
                for (column, text) in columns.iter().zip(row) {
                    let value = cell(column, text).map_err(|told| in_row(at, &told))?;
                    object.insert(column.key.to_owned(), value);
                }
                Ok(Value::Object(object))
            };
            rows.iter().enumerate().map(row).collect()
        }
    }
}

fn in_row(at: usize, told: &str) -> String {
    format!("Row {}: {told}", at + 1)
}

fn cell(column: &Column, text: &str) -> Result<Value, String> {
    match column.cell {
        Cell::Text => Ok(json!(text)),
        Cell::Number => Ok(json!(amount::whole(text)?)),
        Cell::Words => Ok(split(text).collect()),
        Cell::Select(options) => {
            let known = options.iter().any(|(value, _)| *value == text);
            let number = text.parse::<i64>().ok().filter(|_| known);
            number.map(|number| json!(number)).ok_or_else(|| "Choose one.".to_owned())
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty())
}

fn permissions(rows: &[Vec<String>]) -> Result<Value, String> {
    let mut entries = Map::new();
    for (at, row) in rows.iter().enumerate() {
        let [path, preset, list] = &row[..] else { continue };
        let preset = PRESETS.iter().find(|(value, _)| !value.is_empty() && value == preset);
        let list = preset.map_or(list.as_str(), |(value, _)| value);
        if let Some(unknown) = split(list).find(|name| Permission::from_name(name).is_none()) {
            return Err(in_row(at, &format!("{unknown:?} is no permission.")));
        }
        if path.is_empty() {
            return Err(in_row(at, "Enter a directory, such as /in."));
        }
        if entries.insert(path.clone(), split(list).collect()).is_some() {
            return Err(in_row(at, "This directory is there already."));
        }
    }
    Ok(Value::Object(entries))
}

fn folder(row: &[String]) -> Result<Value, String> {
    let [name, path, counts, size, files] = row else { return Ok(Value::Null) };
    let (size, files) = match counts.as_str() {
        "folder" => (amount::size(size, amount::BYTES)?, amount::whole(files)?),
        _ => (-1, -1),
    };
    Ok(json!({ "name": name, "virtual_path": path, "quota_size": size, "quota_files": files }))
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
    use super::*;
    use crate::model::GroupUserSettings;

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
