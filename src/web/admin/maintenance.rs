//! Maintenance: backups of all accounts, and the way to restoring one.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use serde_json::json;

use crate::logging;
use crate::provider::backup::{self, LoadMode, preview};
use crate::web::api::dumps::below;
use crate::web::error::ApiError;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::upload::Upload;
use crate::web::request::auth::Everything;

pub async fn page(signed: Signed<Everything>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, "").await
}

/// The page, with what is wrong with a dump.
async fn show(
    signed: &Signed<Everything>,
    status: StatusCode,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let path = signed.services().backups_path.display().to_string();
    let found = signed.services().backups().await;
    let content = json!({
        "path": path,
        "unreadable": found.as_ref().err().map(|error| sentence(&error.to_string())),
        "backups": found.unwrap_or_default(),
        "told": told,
    });
    signed.page_with(status, "admin/maintenance.html", "maintenance", "Maintenance", content).await
}

/// All accounts as a file for the browser.
pub async fn download(signed: Signed<Everything>) -> Result<HttpResponse, PageError> {
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
pub async fn save(act: Act<Everything>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    match by.services().save_backup(by.username()).await {
        Ok(name) => by.leave_notice("ok", format!("Saved as {name}.")),
        Err(error) => by.leave_notice("bad", sentence(&error.to_string())),
    }
    Ok(see_other(&path_of(by)))
}

/// Takes a dump from the browser.
pub async fn upload(upload: Upload<Everything>) -> Result<HttpResponse, PageError> {
    match upload.file {
        None => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            show(&upload.by, status, "Choose the file of a backup first.").await
        }
        Some(file) => look_at(&upload.by, &file.name, file.content).await,
    }
}

/// Takes a dump that is on the server.
pub async fn choose(act: Act<Everything>) -> Result<HttpResponse, PageError> {
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
) -> Result<HttpResponse, PageError> {
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
