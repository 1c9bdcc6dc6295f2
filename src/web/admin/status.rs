//! What runs here, and is it sound?

use actix_web::HttpResponse;
use serde_json::json;

use crate::web::api::status::current;
use crate::web::auth::ViewStatus;
use crate::web::pages::error::PageError;
use crate::web::pages::signed::Signed;

pub async fn page(signed: Signed<ViewStatus>) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let status = current(services).await;
    let sessions = services.registry.count().await;
    let content = json!({
        "status": status,
        "version": services.version,
        "uptime_secs": services.started.elapsed().as_secs(),
        "sessions": sessions,
        "open_files": open_files(),
    });
    signed.page("admin/status.html", "status", "Status", content).await
}

/// The open files of this process and the most it may have, where the system tells.
fn open_files() -> Option<(usize, u64)> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    let most = line["Max open files".len()..].split_whitespace().next()?;
    // "unlimited" has no number, and then there is nothing to compare with.
    Some((open, most.parse().ok()?))
}
