//! Dumps: everything as one JSON document, written and loaded.
//!
//! Loading reads dumps of all generations as far as the model goes. Everything
//! is validated first and stored in one transaction, so a dump is loaded whole
//! or not at all.

mod preview;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::ids::AccountId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{Objects, RestoreMode, RestoreRun, Restored, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::model::text::clean_absolute_path;
use crate::model::{
    Admin, AdminPermission, BackupData, DUMP_VERSION, Folder, Group, NamingRules, Role, User,
    UserFilters, VirtualFolder, name_for_path,
};

pub use preview::{Change, ChangeKind, FieldChange, ObjectKind, Preview, preview};

/// Largest dump that is read from a file, in bytes.
pub const MAX_DUMP_BYTES: u64 = 256 * 1024 * 1024;

/// Most problems that one error message lists.
const MAX_PROBLEMS: usize = 20;

/// What happens to objects that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// 0: they are replaced.
    AddOrUpdate,
    /// 1: they are left alone.
    AddOnly,
    /// 2: they are replaced, and the caller ends the sessions of updated users.
    AddOrUpdateAndDisconnect,
}

impl TryFrom<i64> for LoadMode {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        match number {
            0 => Ok(Self::AddOrUpdate),
            1 => Ok(Self::AddOnly),
            2 => Ok(Self::AddOrUpdateAndDisconnect),
            other => Err(Error::invalid(format!("mode: {other} is not 0, 1 or 2"))),
        }
    }
}

/// How a dump is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    pub mode: LoadMode,
    /// Leaves alone what was changed here after the dump was made, as far as objects say
    /// when they were changed.
    pub keeps_newer: bool,
}

impl From<LoadMode> for LoadOptions {
    fn from(mode: LoadMode) -> Self {
        Self { mode, keeps_newer: false }
    }
}

/// Where a load says how far it is, and learns that it shall not begin to write.
pub trait Watch: Send + Sync {
    /// How many steps there will be.
    fn expect(&self, steps: u64);
    /// Where steps are counted.
    fn steps(&self) -> Arc<AtomicU64>;
    fn is_stopped(&self) -> bool;
}

/// Nobody looks.
pub struct Unwatched;

impl Watch for Unwatched {
    fn expect(&self, _: u64) {}

    fn steps(&self) -> Arc<AtomicU64> {
        Arc::default()
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// What loading a dump did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of new objects.
    pub added: usize,
    /// Number of replaced objects.
    pub updated: usize,
    /// Number of objects that existed and were left alone.
    pub skipped: usize,
    /// The users among the replaced objects.
    pub updated_users: Vec<String>,
    /// The users and folders that are not there any more.
    pub gone: Vec<AccountId>,
    /// What the dump held that was not loaded, one line each.
    pub warnings: Vec<String>,
}

/// Loads a dump file of at most [`MAX_DUMP_BYTES`].
pub async fn load_file(store: &Store, path: &Path, mode: LoadMode) -> Result<LoadReport> {
    let json = read_file(path).await?;
    load(store, &json, mode).await.map_err(|error| error.wrap(shown(path)))
}

/// Loads a dump file of at most [`MAX_DUMP_BYTES`] in place of everything that is there: for
/// a store whose accounts are those of the file. If that fails nothing has changed.
pub async fn replace_with_file(store: &Store, path: &Path) -> Result<LoadReport> {
    let json = read_file(path).await?;
    replace(store, &json).await.map_err(|error| error.wrap(shown(path)))
}

fn shown(path: &Path) -> String {
    format!("dump {}", path.display())
}

/// Reads a dump file of at most [`MAX_DUMP_BYTES`].
pub async fn read_file(path: &Path) -> Result<Vec<u8>> {
    let shown = shown(path);
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read_bounded(&path, MAX_DUMP_BYTES))
        .await
        .map_err(|error| Error::with_source(ErrorKind::Internal, shown.clone(), error))?
        .map_err(|error| error.wrap(&shown))
}

fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|error| Error::from_io("cannot open", error))?;
    let mut content = Vec::new();
    // One byte more than allowed tells a file that is too long, whatever its
    // metadata says (it may be a pipe).
    file.take(max_bytes + 1)
        .read_to_end(&mut content)
        .map_err(|error| Error::from_io("cannot read", error))?;
    if content.len() as u64 > max_bytes {
        return Err(Error::invalid(format!("is larger than {max_bytes} bytes")));
    }
    Ok(content)
}

/// Loads a dump. The caller bounds the size of `json`.
pub async fn load(store: &Store, json: &[u8], mode: LoadMode) -> Result<LoadReport> {
    load_watched(store, json, mode.into(), &Unwatched).await
}

/// The same with all options, while somebody looks. There are two steps for each object.
///
/// # Errors
/// Also `Aborted` if it was stopped, which it can be until it begins to write.
pub async fn load_watched(
    store: &Store,
    json: &[u8],
    options: LoadOptions,
    watch: &dyn Watch,
) -> Result<LoadReport> {
    let (mut objects, warnings) = ready(store, json).await?;
    let mut kept = 0;
    if options.keeps_newer {
        kept = preview::leave_out_older(store, &mut objects).await?;
    }
    let mut report = restore(store, objects, options.mode.into(), warnings, watch).await?;
    report.skipped += kept;
    Ok(report)
}

/// What the dump has, validated and fit to be stored beside what is there.
async fn ready(store: &Store, json: &[u8]) -> Result<(Objects, Vec<String>)> {
    let (mut objects, warnings) = parse(store, json)?;
    if !objects.users.is_empty() {
        store.require_changeable_users()?;
    }
    let own = objects.folders.iter().map(|folder| folder.name.clone()).collect();
    let known = store
        .existing_folders(mounts(&objects), &own)
        .await
        .map_err(|error| error.wrap("nothing was loaded"))?;
    settle_folders(store, &mut objects, known)?;
    Ok((objects, warnings))
}

impl From<LoadMode> for RestoreMode {
    fn from(mode: LoadMode) -> Self {
        match mode {
            LoadMode::AddOnly => Self::AddOnly,
            LoadMode::AddOrUpdate | LoadMode::AddOrUpdateAndDisconnect => Self::AddOrUpdate,
        }
    }
}

/// Loads a dump in place of everything that is there. Whether users can be changed does not
/// matter: the dump is where they are kept.
async fn replace(store: &Store, json: &[u8]) -> Result<LoadReport> {
    let (mut objects, warnings) = parse(store, json)?;
    settle_folders(store, &mut objects, BTreeSet::new())?;
    restore(store, objects, RestoreMode::ReplaceAll, warnings, &Unwatched).await
}

async fn restore(
    store: &Store,
    mut objects: Objects,
    mode: RestoreMode,
    warnings: Vec<String>,
    watch: &dyn Watch,
) -> Result<LoadReport> {
    let processed = watch.steps();
    let stopped = || Error::new(ErrorKind::Aborted, "stopped before anything was written");
    watch.expect(2 * objects.count() as u64);
    for user in &mut objects.users {
        if watch.is_stopped() {
            return Err(stopped());
        }
        store.prepare_user_password(user).await?;
        processed.fetch_add(1, Ordering::Relaxed);
    }
    for admin in &mut objects.admins {
        store.prepare_admin_password(admin).await?;
    }
    // The others have no passwords.
    processed.store(objects.count() as u64, Ordering::Relaxed);
    if watch.is_stopped() {
        return Err(stopped());
    }
    let run = RestoreRun { is_rehearsal: false, processed };
    let Restored { added, skipped, updated, updated_users, gone } =
        store.restore(objects, mode, run).await?;
    Ok(LoadReport { added, updated, skipped, updated_users, gone, warnings })
}

/// The folders that groups and users mount.
fn mounts(objects: &Objects) -> impl Iterator<Item = &VirtualFolder> {
    let of_groups = objects.groups.iter().map(|group| &group.virtual_folders);
    let of_users = objects.users.iter().map(|user| &user.virtual_folders);
    of_groups.chain(of_users).flatten()
}

/// Decides which folders are made from what users and groups say of them: those that
/// are neither `known` nor in the dump themselves.
fn settle_folders(store: &Store, objects: &mut Objects, known: BTreeSet<String>) -> Result<()> {
    settle_mounts(store, objects, known).map_err(|error| error.wrap("nothing was loaded"))
}

fn settle_mounts(store: &Store, objects: &mut Objects, mut known: BTreeSet<String>) -> Result<()> {
    known.extend(objects.folders.iter().map(|folder| folder.name.clone()));
    for group in &mut objects.groups {
        for mount in &mut group.virtual_folders {
            let exists = known.contains(&mount.folder.name);
            mount
                .settle(exists, store.rules())
                .map_err(|error| error.wrap(format!("group {:?}", group.name)))?;
        }
    }
    for user in &mut objects.users {
        for mount in &mut user.virtual_folders {
            let exists = known.contains(&mount.folder.name);
            mount
                .settle(exists, store.rules())
                .map_err(|error| error.wrap(format!("user {:?}", user.username)))?;
        }
    }
    Ok(())
}

/// All objects with their password hashes, as of one moment.
pub async fn dump(store: &Store) -> Result<BackupData> {
    let objects = store.snapshot().await?;
    Ok(BackupData {
        users: objects.users,
        folders: objects.folders,
        groups: objects.groups,
        admins: objects.admins,
        roles: objects.roles,
        version: DUMP_VERSION,
    })
}

/// The dump as JSON text.
pub fn to_json(data: &BackupData, indent: bool) -> Result<Vec<u8>> {
    let written = if indent { serde_json::to_vec_pretty(data) } else { serde_json::to_vec(data) };
    written
        .map_err(|error| Error::with_source(ErrorKind::Internal, "dump: cannot be written", error))
}

/// Writes a dump as [`write_private`] does; its directory is made if it is missing.
pub async fn write_dump(path: PathBuf, json: Vec<u8>) -> Result<()> {
    let shown = shown(&path);
    let write = move || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        write_private(&path, &json)
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(|error| Error::with_source(ErrorKind::Internal, shown.clone(), error))?
        .map_err(|error| Error::from_io(format!("{shown}: cannot be written"), error))
}

/// Writes a file that only its owner can read, as dumps hold password hashes, replacing what
/// is there. Through a temporary file, so that a full disk does not cost the old one.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    let temporary = PathBuf::from(temporary);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The error that matters is the first one.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Reads and validates everything; fails listing all problems.
fn parse(store: &Store, json: &[u8]) -> Result<(Objects, Vec<String>)> {
    let mut dump: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| Error::invalid(format!("is not a JSON object: {error}")))?;
    // Accepted whatever it is: older dumps have none, newer ones other numbers.
    dump.remove("version");

    let mut reader = Reader::default();
    let rules = store.rules();
    let objects = Objects {
        roles: reader.section(
            &mut dump,
            "roles",
            &[],
            |_, _| {},
            |role: &mut Role| {
                clear_negative([&mut role.created_at, &mut role.updated_at]);
                role.normalise(rules).map(|()| role.name.clone())
            },
        )?,
        folders: reader.section(
            &mut dump,
            "folders",
            &[],
            |folder, _| modernise_folder(folder, rules.naming),
            |folder: &mut Folder| folder.normalise(rules).map(|()| folder.name.clone()),
        )?,
        groups: reader.section(
            &mut dump,
            "groups",
            &[],
            modernise_group,
            |group: &mut Group| {
                clear_negative([&mut group.created_at, &mut group.updated_at]);
                group.normalise(rules).map(|()| group.name.clone())
            },
        )?,
        users: reader.section(
            &mut dump,
            "users",
            &["used_quota_file"],
            modernise_user,
            |user: &mut User| {
                clear_negative([&mut user.created_at, &mut user.updated_at, &mut user.last_login]);
                user.normalise(rules).map(|()| user.username.clone())
            },
        )?,
        admins: reader.section(
            &mut dump,
            "admins",
            &[],
            modernise_admin,
            |admin: &mut Admin| {
                clear_negative([
                    &mut admin.created_at,
                    &mut admin.updated_at,
                    &mut admin.last_login,
                ]);
                admin.normalise(rules).map(|()| admin.username.clone())
            },
        )?,
    };
    for (section, content) in &dump {
        match content {
            Value::Null => {}
            Value::Array(list) if list.is_empty() => {}
            Value::Object(object) if object.is_empty() => {}
            Value::Array(list) => reader.warnings.push(format!(
                "{section}: {} objects not loaded, this version does not know them",
                list.len()
            )),
            _ => reader
                .warnings
                .push(format!("{section}: not loaded, this version does not know it")),
        }
    }
    reader.finish().map(|warnings| (objects, warnings))
}

/// Collects what is wrong and what is ignored.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
    warnings: Vec<String>,
    /// Section and field to the number of objects in which it was ignored.
    ignored: BTreeMap<(String, String), usize>,
}

impl Reader {
    /// Takes one list of objects out of the dump.
    fn section<T: DeserializeOwned + PartialSchema>(
        &mut self,
        dump: &mut Map<String, Value>,
        name: &str,
        also_known: &[&str],
        modernise: impl Fn(&mut Map<String, Value>, &mut Self),
        normalise: impl Fn(&mut T) -> Result<String>,
    ) -> Result<Vec<T>> {
        let list = match dump.remove(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Error::invalid(format!("{name}: is not a list"))),
        };
        let known = field_names::<T>();
        let mut names = BTreeSet::new();
        let mut objects = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let Value::Object(mut fields) = value else {
                self.problems.push(format!("{name}[{index}]: is not an object"));
                continue;
            };
            modernise(&mut fields, self);
            self.note_unknown(name, &fields, &known, also_known);
            let shown = shown_name(&fields);
            let read = serde_path_to_error::deserialize::<_, T>(Value::Object(fields))
                .map_err(|error| match error.path().to_string().as_str() {
                    "." => format!("{name}[{index}]{shown}: {}", error.inner()),
                    field => format!("{name}[{index}]{shown}: {field}: {}", error.inner()),
                })
                .and_then(|mut object| match normalise(&mut object) {
                    Ok(key) if names.insert(key.clone()) => Ok(object),
                    Ok(key) => Err(format!("{name}[{index}]: {key:?} is given twice")),
                    Err(error) => Err(format!("{name}[{index}]: {error}")),
                });
            match read {
                Ok(object) => objects.push(object),
                Err(problem) => self.problems.push(problem),
            }
        }
        Ok(objects)
    }

    fn note_unknown(
        &mut self,
        section: &str,
        fields: &Map<String, Value>,
        known: &BTreeSet<String>,
        also_known: &[&str],
    ) {
        for field in fields.keys() {
            if !known.contains(field) && !also_known.contains(&field.as_str()) {
                self.note_ignored(section, field);
            }
        }
    }

    fn note_ignored(&mut self, section: &str, field: &str) {
        // Bounded: a hostile dump could name each field differently.
        let key = (section.to_owned(), field.chars().take(64).collect::<String>());
        if self.ignored.len() < 100 || self.ignored.contains_key(&key) {
            *self.ignored.entry(key).or_default() += 1;
        }
    }

    fn finish(mut self) -> Result<Vec<String>> {
        if !self.problems.is_empty() {
            let hidden = self.problems.len().saturating_sub(MAX_PROBLEMS);
            self.problems.truncate(MAX_PROBLEMS);
            let mut text = self.problems.join("; ");
            if hidden > 0 {
                text.push_str(&format!("; and {hidden} more"));
            }
            return Err(Error::invalid(format!("nothing was loaded: {text}")));
        }
        let ignored = self.ignored.iter().map(|((section, field), count)| {
            format!("{section}: unknown field {field:?} ignored in {count} object(s)")
        });
        self.warnings.extend(ignored);
        Ok(self.warnings)
    }
}

/// For messages about objects that cannot be read at all.
fn shown_name(fields: &Map<String, Value>) -> String {
    ["username", "name"]
        .iter()
        .find_map(|key| fields.get(*key).and_then(Value::as_str))
        .map(|name| format!(" {name:?}"))
        .unwrap_or_default()
}

/// The wire names of an object's fields, from its schema.
fn field_names<T: PartialSchema>() -> BTreeSet<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        _ => BTreeSet::new(),
    }
}

fn clear_negative<const N: usize>(times: [&mut i64; N]) {
    for time in times {
        *time = (*time).max(0);
    }
}

/// Folders had only a path once, and are called after it since.
fn modernise_folder(folder: &mut Map<String, Value>, naming: NamingRules) {
    let is_named = folder.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let path = folder.get("mapped_path").and_then(Value::as_str);
    if !is_named && let Some(Ok(path)) = path.map(clean_absolute_path) {
        folder.insert("name".to_owned(), Value::String(name_for_path(&path, naming)));
    }
}

/// Groups of one version had client certificates, which belong to one user each.
fn modernise_group(group: &mut Map<String, Value>, reader: &mut Reader) {
    let filters = group.get_mut("user_settings").and_then(|settings| settings.get_mut("filters"));
    if let Some(Value::Object(filters)) = filters
        && let Some(Value::Array(list)) = filters.remove("tls_certs")
        && !list.is_empty()
    {
        reader.note_ignored("groups.user_settings.filters", "tls_certs");
    }
}

/// Brings users of older generations to the present shape.
fn modernise_user(user: &mut Map<String, Value>, reader: &mut Reader) {
    // The oldest dumps have one list of permissions, for everything.
    if let Some(list @ Value::Array(_)) = user.get("permissions") {
        let everywhere = Map::from_iter([("/".to_owned(), list.clone())]);
        user.insert("permissions".to_owned(), Value::Object(everywhere));
    }
    if let Some(Value::Object(filters)) = user.get("filters") {
        reader.note_unknown(
            "users.filters",
            filters,
            &field_names::<UserFilters>(),
            &["2fa_protocols"],
        );
    }
}

/// Brings admins of other versions to the present shape: a permission that does
/// not exist here is dropped, never widened.
fn modernise_admin(admin: &mut Map<String, Value>, reader: &mut Reader) {
    if let Some(Value::Array(permissions)) = admin.get_mut("permissions") {
        permissions.retain(|permission| {
            let is_known = serde_json::from_value::<AdminPermission>(permission.clone()).is_ok();
            if !is_known {
                reader.note_ignored("admins.permissions", permission.as_str().unwrap_or("?"));
            }
            is_known
        });
    }
}

#[cfg(test)]
mod tests;
