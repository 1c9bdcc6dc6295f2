//! What loading a dump would do: object by object, and field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{LoadMode, LoadOptions, ready};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Admin, Folder, Group, Role, User, VirtualFolder};
use crate::provider::{Objects, RestoreRun, Store};

/// Most characters of a value that are shown.
const MAX_SHOWN: usize = 120;

/// What loading a dump would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preview {
    /// In the order in which they would be made.
    pub changes: Vec<Change>,
    /// Objects that are the same already.
    pub equal: usize,
    /// Objects that are there and would be left alone.
    pub kept: usize,
    /// What the dump holds that would not be loaded, one line each.
    pub warnings: Vec<String>,
    /// Why it would fail as a whole; empty if it would not.
    pub problem: String,
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    pub change: ChangeKind,
    pub kind: ObjectKind,
    pub name: String,
    /// What of it would change; nothing for a new object.
    pub fields: Vec<FieldChange>,
    /// Whether it was changed here after the dump was made.
    pub newer_here: bool,
    /// What deserves a look, one sentence each.
    pub attention: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Add,
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    Role,
    Folder,
    Group,
    User,
    Admin,
}

/// A field with its values, which are cut if they are long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldChange {
    /// As in the dump, with dots: `filters.denied_ip`.
    pub field: String,
    /// Empty for what is secret, and for what was not there.
    pub old: String,
    /// Empty for what is secret, and for what will not be there.
    pub new: String,
}

/// An object of a dump.
trait Object: Serialize {
    const KIND: ObjectKind;

    fn name(&self) -> &str;

    /// Unix milliseconds, 0 if it does not say.
    fn updated_at(&self) -> i64 {
        0
    }

    /// Its hash, which its JSON does not have.
    fn password(&self) -> &str {
        ""
    }

    /// What deserves a look when `stored` becomes this.
    fn attention(&self, _stored: &Self) -> Vec<String> {
        Vec::new()
    }
}

impl Object for Role {
    const KIND: ObjectKind = ObjectKind::Role;

    fn name(&self) -> &str {
        &self.name
    }

    fn updated_at(&self) -> i64 {
        self.updated_at
    }
}

impl Object for Folder {
    const KIND: ObjectKind = ObjectKind::Folder;

    fn name(&self) -> &str {
        &self.name
    }
}

impl Object for Group {
    const KIND: ObjectKind = ObjectKind::Group;

    fn name(&self) -> &str {
        &self.name
    }

    fn updated_at(&self) -> i64 {
        self.updated_at
    }
}

impl Object for User {
    const KIND: ObjectKind = ObjectKind::User;

    fn name(&self) -> &str {
        &self.username
    }

    fn updated_at(&self) -> i64 {
        self.updated_at
    }

    fn password(&self) -> &str {
        self.password.as_str()
    }

    fn attention(&self, stored: &Self) -> Vec<String> {
        let mut attention = Vec::new();
        let below = |limit: i64, used: i64| limit > 0 && used > limit;
        if self.quota_size != stored.quota_size && below(self.quota_size, stored.used_quota_size) {
            attention.push("quota_size: is below what is used".to_owned());
        }
        let files = self.quota_files != stored.quota_files;
        if files && below(self.quota_files, stored.used_quota_files) {
            attention.push("quota_files: is below what is used".to_owned());
        }
        if self.status != stored.status && self.status == 0 {
            attention.push("can log in now and could not any more".to_owned());
        }
        attention
    }
}

impl Object for Admin {
    const KIND: ObjectKind = ObjectKind::Admin;

    fn name(&self) -> &str {
        &self.username
    }

    fn updated_at(&self) -> i64 {
        self.updated_at
    }

    fn password(&self) -> &str {
        self.password.as_str()
    }
}

/// What loading `json` would do. Nothing is stored, but everything is tried.
///
/// # Errors
/// As for loading it, where the dump is what is wrong with it.
pub async fn preview(store: &Store, json: &[u8], options: LoadOptions) -> Result<Preview> {
    let (mut objects, warnings) = ready(store, json).await?;
    let stored = store.snapshot().await?;
    let mut all = Comparison::default();
    all.compare(&objects.roles, &stored.roles)?;
    all.compare(&objects.folders, &stored.folders)?;
    all.note_mounted(&objects, &stored);
    all.compare(&objects.groups, &stored.groups)?;
    all.compare(&objects.users, &stored.users)?;
    all.compare(&objects.admins, &stored.admins)?;
    let is_kept = |change: &Change| {
        change.change == ChangeKind::Update
            && (options.mode == LoadMode::AddOnly || options.keeps_newer && change.newer_here)
    };
    let (kept, changes): (Vec<_>, Vec<_>) = all.changes.into_iter().partition(is_kept);
    if options.keeps_newer {
        let newer: Vec<_> = kept.iter().filter(|change| change.newer_here).collect();
        leave_out(&mut objects, &newer);
    }
    // Secrets have no business in the files of a database that does not keep them.
    for user in &mut objects.users {
        blank(&mut user.password);
    }
    for admin in &mut objects.admins {
        blank(&mut admin.password);
    }
    let run = RestoreRun { is_rehearsal: true, ..RestoreRun::default() };
    let problem = match store.restore(objects, options.mode.into(), run).await {
        Ok(_) => String::new(),
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        Err(error) => error.to_string(),
    };
    Ok(Preview { changes, equal: all.equal, kept: kept.len(), warnings, problem })
}

fn blank(password: &mut crate::model::Password) {
    if !password.is_empty() {
        *password = "*".into();
    }
}

/// Takes out what was changed here after the dump was made; returns how many.
pub async fn leave_out_older(store: &Store, objects: &mut Objects) -> Result<usize> {
    let stored = store.snapshot().await?;
    let mut all = Comparison::default();
    all.compare(&objects.roles, &stored.roles)?;
    all.compare(&objects.groups, &stored.groups)?;
    all.compare(&objects.users, &stored.users)?;
    all.compare(&objects.admins, &stored.admins)?;
    let newer: Vec<_> = all.changes.iter().filter(|change| change.newer_here).collect();
    leave_out(objects, &newer);
    Ok(newer.len())
}

fn leave_out(objects: &mut Objects, changes: &[&Change]) {
    fn retain<T: Object>(list: &mut Vec<T>, changes: &[&Change]) {
        let of_kind = changes.iter().filter(|change| change.kind == T::KIND);
        let names: BTreeSet<&str> = of_kind.map(|change| change.name.as_str()).collect();
        list.retain(|object| !names.contains(object.name()));
    }
    retain(&mut objects.roles, changes);
    retain(&mut objects.groups, changes);
    retain(&mut objects.users, changes);
    retain(&mut objects.admins, changes);
}

#[derive(Default)]
struct Comparison {
    changes: Vec<Change>,
    equal: usize,
}

impl Comparison {
    /// Compares objects of a dump with those that are stored.
    fn compare<T: Object>(&mut self, dumped: &[T], stored: &[T]) -> Result<()> {
        let stored: BTreeMap<&str, &T> =
            stored.iter().map(|object| (object.name(), object)).collect();
        for object in dumped {
            let Some(stored) = stored.get(object.name()) else {
                self.changes.push(new_object(T::KIND, object.name()));
                continue;
            };
            let fields = differences(object, stored)?;
            if fields.is_empty() {
                self.equal += 1;
                continue;
            }
            let dumped_at = object.updated_at();
            self.changes.push(Change {
                change: ChangeKind::Update,
                kind: T::KIND,
                name: object.name().to_owned(),
                fields,
                newer_here: dumped_at > 0 && stored.updated_at() > dumped_at,
                attention: object.attention(stored),
            });
        }
        Ok(())
    }

    /// Folders that are made because something mounts them.
    fn note_mounted(&mut self, objects: &Objects, stored: &Objects) {
        let dumped = objects.folders.iter().chain(&stored.folders);
        let mut known: BTreeSet<&str> = dumped.map(|folder| folder.name.as_str()).collect();
        for VirtualFolder { folder, .. } in super::mounts(objects) {
            if folder.is_defined() && known.insert(&folder.name) {
                self.changes.push(new_object(ObjectKind::Folder, &folder.name));
            }
        }
    }
}

fn new_object(kind: ObjectKind, name: &str) -> Change {
    Change {
        change: ChangeKind::Add,
        kind,
        name: name.to_owned(),
        fields: Vec::new(),
        newer_here: false,
        attention: Vec::new(),
    }
}

/// What would be another value, leaf by leaf.
fn differences<T: Object>(new: &T, stored: &T) -> Result<Vec<FieldChange>> {
    let (mut new_leaves, mut old_leaves) = (leaves(new)?, leaves(stored)?);
    let fields: BTreeSet<String> = new_leaves.keys().chain(old_leaves.keys()).cloned().collect();
    let mut changed = Vec::new();
    for field in fields {
        let (new, old) = (new_leaves.remove(&field), old_leaves.remove(&field));
        if new == old {
            continue;
        }
        let is_secret = is_secret(&field);
        let shown = |value: Option<Value>| value.filter(|_| !is_secret).map(shown);
        changed.push(FieldChange {
            old: shown(old).unwrap_or_default(),
            new: shown(new).unwrap_or_default(),
            field,
        });
    }
    // No password in the dump leaves the stored one alone.
    if !new.password().is_empty() && new.password() != stored.password() {
        let (old, new) = (String::new(), String::new());
        changed.push(FieldChange { field: "password".to_owned(), old, new });
    }
    Ok(changed)
}

/// Whether the values of a field must not be shown.
fn is_secret(field: &str) -> bool {
    const PARTS: [&str; 7] =
        ["totp", "recovery", "secret", "passphrase", "private_key", "credential", "account_key"];
    PARTS.iter().any(|part| field.contains(part)) || field.ends_with("password")
}

fn shown(value: Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = match &value {
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    };
    match text.char_indices().nth(MAX_SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// All values that somebody has set, by their paths.
fn leaves(object: &impl Serialize) -> Result<BTreeMap<String, Value>> {
    let value = serde_json::to_value(object)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "cannot be compared", error))?;
    let mut leaves = BTreeMap::new();
    collect(String::new(), value, &mut leaves);
    Ok(leaves)
}

/// What changes by itself, and who refers to an object: users and admins say so themselves.
const NOT_COMPARED: [&str; 14] = [
    "id",
    "password",
    "has_password",
    "created_at",
    "updated_at",
    "last_login",
    "last_quota_update",
    "used_quota_size",
    "used_quota_files",
    "used_upload_data_transfer",
    "used_download_data_transfer",
    "first_upload",
    "first_download",
    "last_password_change",
];

fn collect(path: String, value: Value, leaves: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_top = path.is_empty();
                if is_top && (NOT_COMPARED.contains(&&*name) || is_referrers(&name)) {
                    continue;
                }
                let path = if is_top { name.clone() } else { format!("{path}.{name}") };
                let value = if name == "virtual_folders" { mounts(value) } else { value };
                collect(path, value, leaves);
            }
        }
        // Absent, null and empty are the same.
        Value::Null => {}
        Value::Array(list) if list.is_empty() => {}
        Value::String(text) if text.is_empty() => {}
        value => {
            leaves.insert(path, value);
        }
    }
}

fn is_referrers(name: &str) -> bool {
    matches!(name, "users" | "admins")
}

/// Mounts without what is the folder's own.
fn mounts(value: Value) -> Value {
    let Value::Array(list) = value else { return value };
    let own = |mount: Value| match mount {
        Value::Object(mut fields) => {
            fields.retain(|name, _| {
                matches!(name.as_str(), "name" | "virtual_path" | "quota_size" | "quota_files")
            });
            Value::Object(fields)
        }
        other => other,
    };
    Value::Array(list.into_iter().map(own).collect())
}
