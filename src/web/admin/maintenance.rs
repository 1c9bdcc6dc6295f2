//! Maintenance: backups of all accounts, and the way to restoring one.

use std::path::Path;
use std::time::UNIX_EPOCH;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, block};
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::logging;
use crate::provider::backup::{self, LoadMode, preview};
use crate::web::api::dumps::below;
use crate::web::error::ApiError;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::upload::Upload;
use crate::web::request::auth::Everything;
use crate::web::services::Services;

/// The most backups that are listed.
const LISTED: usize = 20;

pub async fn page(signed: Signed<Everything>) -> std::result::Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, "").await
}

/// The page, with what is wrong with a dump.
async fn show(
    signed: &Signed<Everything>,
    status: StatusCode,
    told: &str,
) -> std::result::Result<HttpResponse, PageError> {
    let path = signed.services().backups_path.display().to_string();
    let found = backups(signed.services()).await;
    let content = json!({
        "path": path,
        "unreadable": found.as_ref().err().map(|error| sentence(&error.to_string())),
        "backups": found.unwrap_or_default(),
        "told": told,
    });
    signed.page_with(status, "admin/maintenance.html", "maintenance", "Maintenance", content).await
}

/// A dump on the server.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Backup {
    /// Unix milliseconds; 0 if that is not known.
    pub written_at: u64,
    name: String,
    bytes: u64,
}

/// The newest dumps directly in the backups path, the last one first; none if it is not there yet.
pub async fn backups(services: &Services) -> Result<Vec<Backup>> {
    let dir = services.backups_path.clone();
    let listed = block(move || backups_in(&dir)).await;
    listed.map_err(|_| Error::internal("listing the backups was given up"))?
}

fn backups_in(dir: &Path) -> Result<Vec<Backup>> {
    let failed = |error| Error::from_io(format!("backups path {}", dir.display()), error);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        // What is gone by now is no backup.
        let Ok(metadata) = entry.metadata() else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !metadata.is_file() || !name.ends_with(".json") {
            continue;
        }
        let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written_at = written.and_then(|at| u64::try_from(at.as_millis()).ok()).unwrap_or(0);
        found.push(Backup { written_at, name, bytes: metadata.len() });
    }
    found.sort_by(|one, other| other.cmp(one));
    found.truncate(LISTED);
    Ok(found)
}

/// All accounts as a file for the browser.
pub async fn download(signed: Signed<Everything>) -> std::result::Result<HttpResponse, PageError> {
    let services = signed.services();
    let json = backup::to_json(&backup::dump(&services.store).await?, false)?;
    let log = logging::for_sender(&services.log, "httpd");
    slog::info!(log, "admin \"{}\" read a dump", signed.username());
    let attachment = "attachment; filename=\"sftpgo-backup.json\"";
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CONTENT_DISPOSITION, attachment))
        .body(json))
}

/// Writes all accounts to a file on the server.
pub async fn save(act: Act<Everything>) -> std::result::Result<HttpResponse, PageError> {
    let by = &act.by;
    match by.services().save_backup(by.username()).await {
        Ok(name) => by.leave_notice("ok", format!("Saved as {name}.")),
        Err(error) => by.leave_notice("bad", sentence(&error.to_string())),
    }
    Ok(see_other(&path_of(by)))
}

/// Takes a dump from the browser.
pub async fn upload(upload: Upload<Everything>) -> std::result::Result<HttpResponse, PageError> {
    match upload.file {
        None => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            show(&upload.by, status, "Choose the file of a backup first.").await
        }
        Some(file) => look_at(&upload.by, &file.name, file.content).await,
    }
}

/// Takes a dump that is on the server.
pub async fn choose(act: Act<Everything>) -> std::result::Result<HttpResponse, PageError> {
    let (by, name) = (&act.by, act.form.get("file"));
    let path = below(&by.services().backups_path, name)
        .map_err(|_| ApiError::bad_request("file: must stay below the backups path"))?;
    match backup::read_file(&path).await {
        Ok(json) => look_at(by, name, json.into()).await,
        Err(error) => {
            let told = sentence(&error.to_string());
            show(by, StatusCode::UNPROCESSABLE_ENTITY, &told).await
        }
    }
}

/// Keeps a dump that can be understood, and leads to what it would do.
async fn look_at(
    by: &Signed<Everything>,
    name: &str,
    json: Bytes,
) -> std::result::Result<HttpResponse, PageError> {
    match preview(&by.services().store, &json, LoadMode::AddOrUpdate.into()).await {
        Ok(_) => {
            let id = by.pages.uploads.keep(by.username(), name, json);
            Ok(see_other(&format!("{}/restore/{id}", path_of(by))))
        }
        Err(error) => {
            let error = ApiError::from(error);
            if error.status().is_server_error() {
                return Err(error.into());
            }
            let told = match error.told().strip_prefix("is ") {
                Some(rest) => format!("{name} is {rest}"),
                None => sentence(error.told()),
            };
            show(by, StatusCode::UNPROCESSABLE_ENTITY, &told).await
        }
    }
}

/// Where this page is.
pub fn path_of(signed: &Signed<Everything>) -> String {
    format!("{}/maintenance", admin_root(&signed.request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backups_are_listed_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(backups_in(&dir.path().join("missing")).expect("none"), []);
        for number in 0..LISTED + 2 {
            let path = dir.path().join(format!("{number:02}.json"));
            std::fs::write(&path, "{}").expect("written");
            let at = UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            let file = std::fs::File::options().write(true).open(&path).expect("there");
            file.set_modified(at).expect("set");
        }
        std::fs::write(dir.path().join("notes.txt"), "x").expect("written");
        std::fs::create_dir(dir.path().join("dir.json")).expect("made");
        let found = backups_in(dir.path()).expect("listed");
        assert_eq!(found.len(), LISTED);
        let newest = serde_json::to_value(&found[0]).expect("serialisable");
        assert_eq!(newest, json!({"name": "21.json", "written_at": 21_000, "bytes": 2}));
        assert!(backups_in(&dir.path().join("notes.txt")).is_err(), "that is no directory");
    }
}
