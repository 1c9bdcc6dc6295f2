//! Dumps: all accounts as one document, for backups and for moving to another server.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query, block};
use actors::AccountId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::model::{BackupData, Effective};
use crate::provider::Page;
use crate::provider::backup::{self, LoadMode, LoadReport};
use crate::web::app::{Binding, Services};
use crate::web::auth::{Admin, Everything};
use crate::web::body::Body;
use crate::web::error::ApiError;
use crate::web::query::switch;
use crate::web::response::{ApiResponse, ok};

/// The largest dump that may be loaded through a request body; files may be larger.
const MAX_BODY_BYTES: usize = 10 << 20;

/// The kinds of object that may be asked for. Those that this server does not
/// have are never in a dump, and asking for them is no mistake.
const SCOPES: [&str; 11] = [
    "users", "folders", "groups", "admins", "api_keys", "shares", "actions", "rules", "roles",
    "ip_lists", "configs",
];

/// Where a dump goes and what is in it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DumpQuery {
    /// A file below the backups path, overwritten if it exists.
    #[serde(rename = "output-file")]
    output_file: Option<String>,
    /// 1 answers with the dump instead of writing a file.
    #[serde(rename = "output-data")]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    output_data: Option<String>,
    /// 1 for a dump that people read.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    indent: Option<String>,
    /// Kinds of object separated by commas, such as `users,folders`; all if absent.
    scopes: Option<String>,
}

/// Dumps all accounts, with the hashes of their passwords.
#[utoipa::path(
    get,
    path = "/api/v2/dumpdata",
    tag = "dumps",
    security(("BearerAuth" = [])),
    params(DumpQuery),
    responses(
        (status = 200, description = "The dump, or an ApiResponse once it is written to a file",
            body = BackupData),
        (status = 400, description = "A parameter is wrong, or there is no target",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only for who may do everything", body = ApiResponse),
    )
)]
pub async fn dump(
    admin: Admin<Everything>,
    binding: Data<Binding>,
    query: Query<DumpQuery>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let indent = switch("indent", query.indent.as_deref())?;
    let as_answer = switch("output-data", query.output_data.as_deref())?;
    let scopes = scopes(query.scopes.as_deref())?;
    let target = match query.output_file.as_deref() {
        _ if as_answer => None,
        None | Some("") => {
            return Err(ApiError::bad_request("output-file: is required without output-data=1"));
        }
        Some(name) => Some(below(&services.backups_path, name)?),
    };
    let mut data = backup::dump(&services.store).await?;
    if let Some(scopes) = scopes {
        let wants = |scope: &str| scopes.iter().any(|wanted| wanted == scope);
        data.users.retain(|_| wants("users"));
        data.folders.retain(|_| wants("folders"));
        data.groups.retain(|_| wants("groups"));
        data.admins.retain(|_| wants("admins"));
        data.roles.retain(|_| wants("roles"));
    }
    let json = backup::to_json(&data, indent)?;
    let log = logging::for_sender(&services.log, "httpd");
    match target {
        None => {
            slog::info!(log, "admin \"{}\" read a dump", admin.username());
            Ok(HttpResponse::Ok().content_type("application/json").body(json))
        }
        Some(path) => {
            let shown = path.display().to_string();
            block(move || write_privately(&path, &json))
                .await
                .map_err(|_| Error::internal("writing the dump was given up"))??;
            slog::info!(log, "admin \"{}\" wrote a dump to {}", admin.username(), shown);
            Ok(ok("Data saved"))
        }
    }
}

/// How a dump is loaded.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoadQuery {
    /// 0 (default) replaces objects that exist, 1 leaves them alone, 2 replaces them
    /// and closes the sessions of replaced users.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 2, default = 0)]
    mode: Option<String>,
    /// 0 (default) leaves the counters alone, 1 scans all accounts afterwards, 2 only
    /// users with a quota.
    #[serde(rename = "scan-quota")]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 2, default = 0)]
    scan_quota: Option<String>,
}

/// Which file is loaded.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoadFileQuery {
    /// An absolute path on the server, or a file below the backups path.
    #[serde(rename = "input-file")]
    #[param(value_type = String, required = true)]
    input_file: Option<String>,
}

/// Loads a dump from a file on the server: whole, or not at all.
#[utoipa::path(
    get,
    path = "/api/v2/loaddata",
    tag = "dumps",
    security(("BearerAuth" = [])),
    params(LoadFileQuery, LoadQuery),
    responses(
        (status = 200, description = "The dump was loaded", body = ApiResponse),
        (status = 400, description = "A parameter or an object is wrong; nothing was loaded",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only for who may do everything", body = ApiResponse),
    )
)]
pub async fn load_file(
    admin: Admin<Everything>,
    binding: Data<Binding>,
    file: Query<LoadFileQuery>,
    query: Query<LoadQuery>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let (mode, scan) = query.checked()?;
    let path = match file.input_file.as_deref() {
        None | Some("") => return Err(ApiError::bad_request("input-file: is required")),
        Some(path) if Path::new(path).is_absolute() => PathBuf::from(path),
        Some(name) => below(&services.backups_path, name)
            .map_err(|_| ApiError::bad_request("input-file: must stay below the backups path"))?,
    };
    let report = backup::load_file(&services.store, &path, mode).await.map_err(|error| {
        match error.kind() {
            // The parameter is what is wrong, not the address that was asked.
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory => {
                ApiError::bad_request(format!("input-file: {error}"))
            }
            _ => error.into(),
        }
    })?;
    Ok(loaded(services, admin.username(), mode, scan, &report).await)
}

/// Loads a dump from the body: whole, or not at all.
#[utoipa::path(
    post,
    path = "/api/v2/loaddata",
    tag = "dumps",
    security(("BearerAuth" = [])),
    params(LoadQuery),
    request_body = BackupData,
    responses(
        (status = 200, description = "The dump was loaded", body = ApiResponse),
        (status = 400, description = "A parameter or an object is wrong; nothing was loaded",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only for who may do everything", body = ApiResponse),
        (status = 413, description = "The body is larger than 10 MiB", body = ApiResponse),
    )
)]
pub async fn load_body(
    admin: Admin<Everything>,
    binding: Data<Binding>,
    query: Query<LoadQuery>,
    body: Body<BackupData>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let (mode, scan) = query.checked()?;
    let json = body.read_unparsed(MAX_BODY_BYTES).await?;
    let report = backup::load(&services.store, &json, mode).await?;
    Ok(loaded(services, admin.username(), mode, scan, &report).await)
}

/// Which accounts are scanned after a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScanAfter {
    Nothing,
    Everything,
    UsersWithQuota,
}

impl LoadQuery {
    fn checked(&self) -> Result<(LoadMode, ScanAfter), ApiError> {
        let number = |name: &str, text: Option<&str>| match text {
            None | Some("" | "0") => Ok(0),
            Some("1") => Ok(1),
            Some("2") => Ok(2),
            Some(_) => Err(ApiError::bad_request(format!("{name}: must be 0, 1 or 2"))),
        };
        let mode = LoadMode::try_from(number("mode", self.mode.as_deref())?)?;
        let scan = match number("scan-quota", self.scan_quota.as_deref())? {
            0 => ScanAfter::Nothing,
            1 => ScanAfter::Everything,
            _ => ScanAfter::UsersWithQuota,
        };
        Ok((mode, scan))
    }
}

/// What follows a load.
async fn loaded(
    services: &Arc<Services>,
    by: &str,
    mode: LoadMode,
    scan: ScanAfter,
    report: &LoadReport,
) -> HttpResponse {
    let log = logging::for_sender(&services.log, "httpd");
    slog::info!(
        log,
        "admin \"{}\" loaded a dump: {} added, {} updated, {} skipped",
        by,
        report.added,
        report.updated,
        report.skipped
    );
    for warning in &report.warnings {
        slog::warn!(log, "dump: {}", warning);
    }
    let disconnect = mode == LoadMode::AddOrUpdateAndDisconnect;
    for username in &report.updated_users {
        match services.store.user(username).await {
            Ok(Some(user)) => services.follow_change(&user, disconnect).await,
            // Deleted meanwhile: whoever did so has ended its sessions.
            Ok(None) => {}
            Err(error) => {
                slog::warn!(log, "sessions of user \"{}\" may go on: {}", username, error);
            }
        }
    }
    if scan != ScanAfter::Nothing {
        if let Err(error) = request_scans(services, scan).await {
            slog::error!(log, "scans after loading a dump were given up: {}", error);
        }
        services.scans.work_off();
    }
    ok(format!(
        "Data restored: {} added, {} updated, {} skipped",
        report.added, report.updated, report.skipped
    ))
}

/// Notes which accounts are to be scanned.
async fn request_scans(services: &Services, which: ScanAfter) -> Result<()> {
    let mut page = Page { limit: Page::MAX_LIMIT, ..Page::default() };
    loop {
        let users = services.store.users(page).await?;
        for user in &users {
            // Limits may be those of a group.
            let Some(Effective { user, .. }) =
                services.store.effective_user(&user.username).await?
            else {
                continue;
            };
            if which == ScanAfter::Everything || user.has_quota() {
                services.scans.request(&AccountId::user(user.username.as_str())).await?;
            }
        }
        if users.len() < Page::MAX_LIMIT as usize {
            break;
        }
        page.offset = page.offset.saturating_add(Page::MAX_LIMIT);
    }
    if which == ScanAfter::UsersWithQuota {
        return Ok(());
    }
    page.offset = 0;
    loop {
        let folders = services.store.folders(page).await?;
        for folder in &folders {
            services.scans.request(&AccountId::folder(folder.name.as_str())).await?;
        }
        if folders.len() < Page::MAX_LIMIT as usize {
            return Ok(());
        }
        page.offset = page.offset.saturating_add(Page::MAX_LIMIT);
    }
}

fn scopes(text: Option<&str>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wanted: Vec<String> = text.split(',').map(|scope| scope.trim().to_owned()).collect();
    match wanted.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        None => Ok(Some(wanted)),
        Some(unknown) => {
            Err(ApiError::bad_request(format!("scopes: there is no scope \"{unknown}\"")))
        }
    }
}

/// `name` below `base`; a name that could leave it is refused.
fn below(base: &Path, name: &str) -> Result<PathBuf, ApiError> {
    let path = Path::new(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !stays || name.ends_with('/') || name.contains('\0') {
        return Err(ApiError::bad_request("output-file: must stay below the backups path"));
    }
    Ok(base.join(path))
}

/// Writes a file that only we may read, whole or not at all. Its directory is made
/// if it is missing.
fn write_privately(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write;

    let context = || format!("write dump {}", path.display());
    let failed = |error| Error::from_io(context(), error);
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
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
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_stay_below_their_directory() {
        let base = Path::new("/var/backups");
        for (name, path) in [
            ("a.json", Some("/var/backups/a.json")),
            ("daily/a.json", Some("/var/backups/daily/a.json")),
            ("..a", Some("/var/backups/..a")),
            ("../a.json", None),
            ("daily/../../a", None),
            ("/etc/passwd", None),
            ("./a", None),
            ("daily/", None),
            ("a\0b", None),
        ] {
            assert_eq!(below(base, name).ok().as_deref(), path.map(Path::new), "{name:?}");
        }
    }

    #[test]
    fn scopes_are_a_list_of_known_names() {
        assert_eq!(scopes(None).ok(), Some(None));
        assert_eq!(scopes(Some("")).ok(), Some(None));
        let two = vec!["users".to_owned(), "roles".to_owned()];
        assert_eq!(scopes(Some("users, roles")).ok(), Some(Some(two)));
        assert!(scopes(Some("users,everything")).is_err());
        assert!(scopes(Some("users,")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_written_dump_is_private_and_replaces_the_old_one() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("daily").join("dump.json");
        write_privately(&path, b"old and long").expect("written");
        write_privately(&path, b"new").expect("written");
        assert_eq!(std::fs::read(&path).expect("readable"), b"new");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let entries = std::fs::read_dir(path.parent().expect("a parent")).expect("listed");
        assert_eq!(entries.count(), 1, "nothing temporary is left");
    }
}
