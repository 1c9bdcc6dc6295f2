//! Quotas: what accounts have stored, corrected by a scan or by hand.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actors::{AccountId, ScanReport, SetMode, SetUsageError, Transferred, Usage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::config::TrackQuota;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{QuotaUsage, TransferQuotaUsage};
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::accounts::UserQuota;
use crate::web::operations::user_query::UserListQuery;
use crate::web::request::auth::{Admin, Right, ScanQuotas, ViewUsers};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::response::{ApiResponse, done, ok};
use crate::web::services::{Binding, Services};

/// A running scan of a user's files.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaScan {
    pub username: String,
    /// Unix milliseconds.
    pub start_time: u64,
    #[serde(flatten)]
    pub progress: ScanProgress,
}

/// How far a running scan is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScanProgress {
    /// Files counted so far.
    pub files: u64,
    /// Their bytes.
    pub size: u64,
    /// Directories entered so far.
    pub directories: u64,
}

impl ScanProgress {
    fn of(report: &ScanReport) -> Self {
        let ScanReport { files, bytes, directories, .. } = *report;
        Self { files, size: bytes, directories }
    }
}

/// A running scan of a folder.
#[derive(Debug, Serialize, ToSchema)]
pub struct FolderQuotaScan {
    pub name: String,
    /// Unix milliseconds.
    pub start_time: u64,
    #[serde(flatten)]
    pub progress: ScanProgress,
}

/// The quotas of users as they count in sessions, with what they use: of those that the
/// caller may see and that the filter finds.
#[utoipa::path(
    get,
    path = "/api/v2/quotas/users",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(PagingQuery, UserListQuery),
    responses(
        (status = 200, description = "The quotas; X-Total-Count has the number on all pages",
            body = [UserQuota]),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
    )
)]
pub async fn list_user_quotas(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
    query: Query<UserListQuery>,
) -> Result<HttpResponse, ApiError> {
    let (page, query) = (paging.page()?, query.checked()?);
    let services = &binding.services;
    services.store_settled_usage().await;
    let (users, total) = services.users_of(&admin).find_with_limits(query, page.into()).await?;
    let quotas: Vec<UserQuota> =
        users.iter().map(|(user, limits)| UserQuota::of(user, *limits)).collect();
    Ok(HttpResponse::Ok().insert_header(("X-Total-Count", total.to_string())).json(quotas))
}

/// The running scans of users that the caller may see.
#[utoipa::path(
    get,
    path = "/api/v2/quotas/users/scans",
    tag = "quotas",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The running scans", body = [QuotaScan]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing", body = ApiResponse),
    )
)]
pub async fn list_user_scans(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(user_scans(&binding.services, &admin).await?))
}

/// The running scans of users that `admin` may see.
pub async fn user_scans<R: Right>(
    services: &Services,
    admin: &Admin<R>,
) -> Result<Vec<QuotaScan>, ApiError> {
    let visible = services.users_of(admin).names().await?;
    let scans = services.quota.scans().await;
    Ok(scans
        .into_iter()
        .filter_map(|report| match &report.account {
            AccountId::User(name) if visible.contains(name) => Some(QuotaScan {
                username: name.to_string(),
                start_time: report.started_unix_ms,
                progress: ScanProgress::of(&report),
            }),
            AccountId::User(_) | AccountId::Folder(_) => None,
        })
        .collect())
}

/// The running scans of folders.
#[utoipa::path(
    get,
    path = "/api/v2/quotas/folders/scans",
    tag = "quotas",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The running scans", body = [FolderQuotaScan]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing", body = ApiResponse),
    )
)]
pub async fn list_folder_scans(_admin: Admin<ScanQuotas>, binding: Data<Binding>) -> HttpResponse {
    HttpResponse::Ok().json(folder_scans(&binding.services).await)
}

/// The running scans of folders.
pub async fn folder_scans(services: &Services) -> Vec<FolderQuotaScan> {
    let scans = services.quota.scans().await;
    scans
        .into_iter()
        .filter_map(|report| match &report.account {
            AccountId::Folder(name) => Some(FolderQuotaScan {
                name: name.to_string(),
                start_time: report.started_unix_ms,
                progress: ScanProgress::of(&report),
            }),
            AccountId::User(_) => None,
        })
        .collect()
}

/// A scan that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct FinishedQuotaScan {
    /// `user` or `folder`.
    pub kind: &'static str,
    /// Of the user or the folder.
    pub name: String,
    /// Unix milliseconds.
    pub ended_at: i64,
    /// Files counted; 0 if the scan failed.
    pub files: u64,
    /// Their bytes; 0 if the scan failed.
    pub size: u64,
    /// Why it failed; empty if it did not.
    pub error: String,
}

/// The results of the newest scans, the last one first: at most 50, of folders and of users
/// that the caller may see. They are forgotten when the server stops.
#[utoipa::path(
    get,
    path = "/api/v2/quotas/scans/finished",
    tag = "quotas",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The results", body = [FinishedQuotaScan]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing", body = ApiResponse),
    )
)]
pub async fn list_finished_scans(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(finished_scans(&binding.services, &admin).await?))
}

/// The results of the newest scans that `admin` may see.
pub async fn finished_scans<R: Right>(
    services: &Services,
    admin: &Admin<R>,
) -> Result<Vec<FinishedQuotaScan>, ApiError> {
    let visible = services.users_of(admin).names().await?;
    let finished = services.scans.finished().into_iter();
    Ok(finished
        .filter_map(|scan| {
            let (kind, name) = match &scan.account {
                AccountId::User(name) if visible.contains(name) => ("user", name),
                AccountId::User(_) => return None,
                AccountId::Folder(name) => ("folder", name),
            };
            let (files, size) = *scan.outcome.as_ref().unwrap_or(&(0, 0));
            let (name, ended_at) = (name.to_string(), scan.ended_at);
            let error = scan.outcome.err().unwrap_or_default();
            Some(FinishedQuotaScan { kind, name, ended_at, files, size, error })
        })
        .collect())
}

/// Starts counting a user's files: its home directory and the folders that count to its quota.
/// A scan that a restart of the server interrupts begins anew when it is back.
#[utoipa::path(
    post,
    path = "/api/v2/quotas/users/{username}/scan",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user")),
    responses(
        (status = 202, description = "The scan runs", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked",
            body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 409, description = "A scan of this user is running", body = ApiResponse),
    )
)]
pub async fn start_user_scan(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    username: Path<String>,
) -> Result<HttpResponse, ApiError> {
    scan_user(&binding.services, &admin, &username).await?;
    Ok(done(StatusCode::ACCEPTED, "Scan started"))
}

/// Starts a scan of a user that `admin` may see.
///
/// # Errors
/// 403 if usage is not tracked, 404 if there is no such user, 409 if a scan of it runs.
pub async fn scan_user<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    username: &str,
) -> Result<(), ApiError> {
    must_track(services)?;
    let user = services.users_of(admin).get(username).await?;
    start(services, AccountId::user(user.username.as_str())).await
}

/// Starts counting the files of a folder. A scan that a restart of the server interrupts begins
/// anew when it is back.
#[utoipa::path(
    post,
    path = "/api/v2/quotas/folders/{name}/scan",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder")),
    responses(
        (status = 202, description = "The scan runs", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 409, description = "A scan of this folder is running", body = ApiResponse),
    )
)]
pub async fn start_folder_scan(
    _admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    scan_folder(&binding.services, &name).await?;
    Ok(done(StatusCode::ACCEPTED, "Scan started"))
}

/// Starts a scan of a folder.
///
/// # Errors
/// 403 if usage is not tracked, 404 if there is no such folder, 409 if a scan of it runs.
pub async fn scan_folder(services: &Services, name: &str) -> Result<(), ApiError> {
    must_track(services)?;
    let folder = found(services.store.folder(name).await?, "folder", name)?;
    start(services, AccountId::folder(folder.name.as_str())).await
}

async fn start(services: &Services, account: AccountId) -> Result<(), ApiError> {
    match services.scans.start(account).await? {
        true => Ok(()),
        false => Err(scan_running()),
    }
}

/// How given usage is applied.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModeQuery {
    /// `reset` (default) sets the usage, `add` adds to it.
    #[param(value_type = Option<UsageMode>, inline)]
    mode: Option<String>,
}

impl ModeQuery {
    fn checked(&self) -> Result<SetMode, ApiError> {
        match self.mode.as_deref() {
            None | Some("" | "reset") => Ok(SetMode::Reset),
            Some("add") => Ok(SetMode::Add),
            Some(_) => Err(ApiError::bad_request("mode: must be reset or add")),
        }
    }
}

fn amount(field: &str, value: i64) -> Result<u64, ApiError> {
    u64::try_from(value)
        .map_err(|_| ApiError::bad_request(format!("{field}: must not be negative")))
}

/// The values of `mode`, for the document.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "the schema of a parameter")]
pub enum UsageMode {
    Reset,
    Add,
}

/// Sets or changes a user's used quota.
#[utoipa::path(
    put,
    path = "/api/v2/quotas/users/{username}/usage",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), ModeQuery),
    request_body = QuotaUsage,
    responses(
        (status = 200, description = "The usage was changed", body = ApiResponse),
        (status = 400, description = "The body or the mode is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked",
            body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 409, description = "A scan of this user is running", body = ApiResponse),
    )
)]
pub async fn set_user_usage(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    username: Path<String>,
    mode: Query<ModeQuery>,
    body: Body<QuotaUsage>,
) -> Result<HttpResponse, ApiError> {
    change_user_usage(&admin, &binding.services, &username, body.read().await?, &mode).await
}

/// Sets or changes a folder's used quota.
#[utoipa::path(
    put,
    path = "/api/v2/quotas/folders/{name}/usage",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder"), ModeQuery),
    request_body = QuotaUsage,
    responses(
        (status = 200, description = "The usage was changed", body = ApiResponse),
        (status = 400, description = "The body or the mode is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 409, description = "A scan of this folder is running", body = ApiResponse),
    )
)]
pub async fn set_folder_usage(
    _admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    name: Path<String>,
    mode: Query<ModeQuery>,
    body: Body<QuotaUsage>,
) -> Result<HttpResponse, ApiError> {
    change_folder_usage(&binding.services, &name, body.read().await?, &mode).await
}

/// Sets or changes what a user has transferred.
#[utoipa::path(
    put,
    path = "/api/v2/quotas/users/{username}/transfer-usage",
    tag = "quotas",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), ModeQuery),
    request_body = TransferQuotaUsage,
    responses(
        (status = 200, description = "The usage was changed", body = ApiResponse),
        (status = 400, description = "The body or the mode is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked",
            body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
    )
)]
pub async fn set_transfer_usage(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    username: Path<String>,
    mode: Query<ModeQuery>,
    body: Body<TransferQuotaUsage>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let given = body.read().await?;
    must_track(services)?;
    let user = services.users_of(&admin).get(&username).await?;
    let given = Transferred {
        uploaded: amount("used_upload_data_transfer", given.used_upload_data_transfer)?,
        downloaded: amount("used_download_data_transfer", given.used_download_data_transfer)?,
    };
    let account = AccountId::user(user.username.as_str());
    match services.quota.set_transferred(account, given, mode.checked()?).await {
        Ok(()) => Ok(ok("Quota updated")),
        Err(refused) => Err(unavailable(refused)),
    }
}

/// Changes the usage of the user called `username`.
pub async fn change_user_usage(
    admin: &Admin<ScanQuotas>,
    services: &Services,
    username: &str,
    given: QuotaUsage,
    mode: &ModeQuery,
) -> Result<HttpResponse, ApiError> {
    must_track(services)?;
    let user = services.users_of(admin).get(username).await?;
    change(services, AccountId::user(user.username.as_str()), given, mode).await
}

/// Changes the usage of the folder called `name`.
pub async fn change_folder_usage(
    services: &Services,
    name: &str,
    given: QuotaUsage,
    mode: &ModeQuery,
) -> Result<HttpResponse, ApiError> {
    must_track(services)?;
    let folder = found(services.store.folder(name).await?, "folder", name)?;
    change(services, AccountId::folder(folder.name.as_str()), given, mode).await
}

async fn change(
    services: &Services,
    account: AccountId,
    given: QuotaUsage,
    mode: &ModeQuery,
) -> Result<HttpResponse, ApiError> {
    let mode = mode.checked()?;
    let usage = Usage {
        size: amount("used_quota_size", given.used_quota_size)?,
        files: amount("used_quota_files", given.used_quota_files)?,
        updated_unix_ms: 0,
    };
    match services.quota.set_usage(account, usage, mode).await {
        Ok(()) => Ok(ok("Quota updated")),
        Err(SetUsageError::ScanRunning) => Err(scan_running()),
        Err(refused @ SetUsageError::Unavailable(_)) => Err(unavailable(refused)),
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    Error::with_source(ErrorKind::Unavailable, "the quota tracker does not answer", error).into()
}

fn scan_running() -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "a scan is running")
}

/// Counters that nothing keeps up to date would only mislead.
fn must_track(services: &Services) -> Result<(), ApiError> {
    match services.track_quota {
        TrackQuota::Off => {
            Err(ApiError::forbidden("used quota is not tracked: data_provider.track_quota is 0"))
        }
        TrackQuota::Always | TrackQuota::WithLimits => Ok(()),
    }
}
