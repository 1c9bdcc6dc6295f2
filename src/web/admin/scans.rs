//! Quota scans: which are running and how far they are, and what the newest counted.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::config::TrackQuota;
use crate::model::AdminPermission;
use crate::web::api::quotas::{finished_scans, folder_scans, scan_folder, scan_user, user_scans};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::ScanQuotas;

pub async fn page(signed: Signed<ScanQuotas>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, "", "", "").await
}

/// The page, with what was typed and refused.
async fn show(
    signed: &Signed<ScanQuotas>,
    status: StatusCode,
    kind: &str,
    name: &str,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let users = user_scans(services, &signed.admin).await?;
    let users =
        users.iter().map(|scan| running("user", &scan.username, scan.start_time, &scan.progress));
    let folders = folder_scans(services).await;
    let folders =
        folders.iter().map(|scan| running("folder", &scan.name, scan.start_time, &scan.progress));
    let finished = finished_scans(services, &signed.admin).await?;
    let finished = finished.iter().map(|scan| {
        json!({
            "kind": scan.kind,
            "name": scan.name,
            "ended_at": scan.ended_at,
            "files": scan.files,
            "bytes": scan.size,
            "failed": Some(sentence(&scan.error)).filter(|_| !scan.error.is_empty()),
        })
    });
    let content = json!({
        "running": users.chain(folders).collect::<Vec<_>>(),
        "finished": finished.collect::<Vec<_>>(),
        "is_tracked": services.track_quota != TrackQuota::Off,
        "kind": kind,
        "name": name,
        "told": told,
        "links_users": signed.admin.may(AdminPermission::ViewUsers),
        "links_folders": signed.admin.may(AdminPermission::ManageFolders),
    });
    signed.page_with(status, "admin/scans.html", "scans", "Quota scans", content).await
}

fn running(
    kind: &str,
    name: &str,
    started_unix_ms: u64,
    progress: &crate::web::api::quotas::ScanProgress,
) -> Value {
    json!({
        "kind": kind,
        "name": name,
        "started_at": started_unix_ms,
        "files": progress.files,
        "bytes": progress.size,
        "directories": progress.directories,
    })
}

pub async fn start(act: Act<ScanQuotas>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let (kind, name) = (form.get("kind"), form.trimmed("name"));
    let services = by.services();
    let started = match kind {
        "folder" => scan_folder(services, name).await,
        _ => scan_user(services, &by.admin, name).await,
    };
    match started {
        Ok(()) => {
            by.leave_notice("ok", format!("The scan of {kind} {name} runs."));
            Ok(see_other(&format!("{}/scans", admin_root(&by.request))))
        }
        Err(error) if error.status().is_client_error() => {
            show(by, error.status(), kind, name, &sentence(error.told())).await
        }
        Err(error) => Err(error.into()),
    }
}
