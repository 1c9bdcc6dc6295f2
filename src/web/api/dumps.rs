//! Dumps: all accounts as one document, for backups and for moving to another server.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::ErrorKind;
use crate::logging;
use crate::model::BackupData;
use crate::provider::backup::{self, LoadMode, LoadOptions, Preview, Unwatched, preview};
use crate::web::api::tasks::started;
use crate::web::error::ApiError;
use crate::web::operations::restore::{MAX_DUMP_BYTES, RestoreOrder, ScanAfter};
use crate::web::operations::tasks::Task;
use crate::web::request::auth::{Admin, Everything};
use crate::web::request::body::Body;
use crate::web::request::query::switch;
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};

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
            backup::write_dump(path, json).await?;
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
    /// 1 leaves alone what was changed here after the dump was made.
    #[serde(rename = "keep-newer")]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    keep_newer: Option<String>,
    /// 1 answers what would be changed, and changes nothing.
    #[serde(rename = "dry-run")]
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    dry_run: Option<String>,
    /// 1 answers at once with a task, which goes on when nobody waits for it.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    background: Option<String>,
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
        (status = 200, description = "The dump was loaded, or what that would change",
            body = Loaded),
        (status = 202, description = "The task that loads it, which `Location` names",
            body = Task),
        (status = 400, description = "A parameter or an object is wrong; nothing was loaded",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only for who may do everything", body = ApiResponse),
        (status = 429, description = "Too many tasks are running", body = ApiResponse),
    )
)]
pub async fn load_file(
    admin: Admin<Everything>,
    binding: Data<Binding>,
    file: Query<LoadFileQuery>,
    query: Query<LoadQuery>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let wanted = query.checked()?;
    let path = match file.input_file.as_deref() {
        None | Some("") => return Err(ApiError::bad_request("input-file: is required")),
        Some(path) if Path::new(path).is_absolute() => PathBuf::from(path),
        Some(name) => below(&services.backups_path, name)
            .map_err(|_| ApiError::bad_request("input-file: must stay below the backups path"))?,
    };
    let json = backup::read_file(&path).await.map_err(|error| match error.kind() {
        // The parameter is what is wrong, not the address that was asked.
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory => {
            ApiError::bad_request(format!("input-file: {error}"))
        }
        _ => error.into(),
    })?;
    let named = |error: ApiError| match error.status() {
        StatusCode::BAD_REQUEST => {
            ApiError::bad_request(format!("dump {}: {}", path.display(), error.told()))
        }
        _ => error,
    };
    wanted.follow(&binding.services, &admin, json.into()).await.map_err(named)
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
        (status = 200, description = "The dump was loaded, or what that would change",
            body = Loaded),
        (status = 202, description = "The task that loads it, which `Location` names",
            body = Task),
        (status = 400, description = "A parameter or an object is wrong; nothing was loaded",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only for who may do everything", body = ApiResponse),
        (status = 413, description = "The body is larger than 10 MiB", body = ApiResponse),
        (status = 429, description = "Too many tasks are running", body = ApiResponse),
    )
)]
pub async fn load_body(
    admin: Admin<Everything>,
    binding: Data<Binding>,
    query: Query<LoadQuery>,
    body: Body<BackupData>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.checked()?;
    let json = body.read_unparsed(MAX_DUMP_BYTES).await?;
    wanted.follow(&binding.services, &admin, json).await
}

/// What is answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Loaded {
    Done(ApiResponse),
    /// For a dry run.
    Preview(Preview),
}

/// What is wanted of a dump.
struct Wanted {
    options: LoadOptions,
    scan: ScanAfter,
    how: How,
}

enum How {
    Now,
    DryRun,
    InBackground,
}

impl LoadQuery {
    fn checked(&self) -> Result<Wanted, ApiError> {
        let number = |name: &str, text: Option<&str>| match text {
            None | Some("" | "0") => Ok(0),
            Some("1") => Ok(1),
            Some("2") => Ok(2),
            Some(_) => Err(ApiError::bad_request(format!("{name}: must be 0, 1 or 2"))),
        };
        let mode = LoadMode::try_from(number("mode", self.mode.as_deref())?)?;
        let keeps_newer = switch("keep-newer", self.keep_newer.as_deref())?;
        let dry_run = switch("dry-run", self.dry_run.as_deref())?;
        let how = match (dry_run, switch("background", self.background.as_deref())?) {
            (false, false) => How::Now,
            (true, false) => How::DryRun,
            (false, true) => How::InBackground,
            (true, true) => {
                return Err(ApiError::bad_request("background: a dry run has to be waited for"));
            }
        };
        let scan = ScanAfter::numbered(number("scan-quota", self.scan_quota.as_deref())?);
        Ok(Wanted { options: LoadOptions { mode, keeps_newer }, scan, how })
    }
}

impl Wanted {
    async fn follow(
        self,
        services: &Arc<Services>,
        admin: &Admin<Everything>,
        json: Bytes,
    ) -> Result<HttpResponse, ApiError> {
        let order =
            RestoreOrder { json, options: self.options, scan: self.scan, saves_first: false };
        match self.how {
            How::Now => {
                let told = services.restore(admin.username(), &order, &Unwatched).await?;
                Ok(HttpResponse::Ok().json(Loaded::Done(ApiResponse::done(told))))
            }
            How::DryRun => {
                let preview = preview(&services.store, &order.json, order.options).await?;
                Ok(HttpResponse::Ok().json(Loaded::Preview(preview)))
            }
            How::InBackground => {
                let task = services.start_restore(admin, order)?;
                started(services, admin, &task)
            }
        }
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
pub fn below(base: &Path, name: &str) -> Result<PathBuf, ApiError> {
    let path = Path::new(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !stays || name.ends_with('/') || name.contains('\0') {
        return Err(ApiError::bad_request("output-file: must stay below the backups path"));
    }
    Ok(base.join(path))
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
}
