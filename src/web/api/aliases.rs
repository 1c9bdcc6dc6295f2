//! Older names of calls that live elsewhere now, for scripts written against them.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::model::QuotaUsage;
use crate::web::api::admins::{self, PasswordChange};
use crate::web::api::quotas::{self, FolderQuotaScan, ModeQuery, QuotaScan};
use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, OwnAccount, ScanQuotas};
use crate::web::request::body::Body;
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// The part of a user that the older calls look at.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UserUsage {
    username: String,
    #[serde(default)]
    used_quota_size: i64,
    #[serde(default)]
    used_quota_files: i64,
}

/// The part of a folder that the older calls look at.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FolderUsage {
    name: String,
    #[serde(default)]
    used_quota_size: i64,
    #[serde(default)]
    used_quota_files: i64,
}

/// Older name of `PUT /admin/changepwd`.
#[utoipa::path(
    put,
    path = "/api/v2/changepwd/admin",
    tag = "aliases",
    security(("BearerAuth" = [])),
    request_body = PasswordChange,
    responses(
        (status = 200, description = "The password was changed", body = ApiResponse),
        (status = 400, description = "The current password is wrong, or the new one not allowed", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn change_password(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    request: HttpRequest,
    body: Body<PasswordChange>,
) -> Result<HttpResponse, ApiError> {
    admins::change_password(caller, binding, request, body).await
}

/// Older name of `GET /quotas/users/scans`.
#[utoipa::path(
    get,
    path = "/api/v2/quota-scans",
    tag = "aliases",
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
    quotas::list_user_scans(admin, binding).await
}

/// Older name of `POST /quotas/users/{username}/scan`.
#[utoipa::path(
    post,
    path = "/api/v2/quota-scans",
    tag = "aliases",
    security(("BearerAuth" = [])),
    request_body = UserUsage,
    responses(
        (status = 202, description = "The scan runs", body = ApiResponse),
        (status = 400, description = "The body is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 409, description = "A scan is running already", body = ApiResponse),
    )
)]
pub async fn start_user_scan(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    body: Body<UserUsage>,
) -> Result<HttpResponse, ApiError> {
    let username = Path::from(body.read().await?.username);
    quotas::start_user_scan(admin, binding, username).await
}

/// Older name of `PUT /quotas/users/{username}/usage`.
#[utoipa::path(
    put,
    path = "/api/v2/quota-update",
    tag = "aliases",
    security(("BearerAuth" = [])),
    params(ModeQuery),
    request_body = UserUsage,
    responses(
        (status = 200, description = "The usage was changed", body = ApiResponse),
        (status = 400, description = "The body is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
        (status = 409, description = "A scan is running", body = ApiResponse),
    )
)]
pub async fn set_user_usage(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    mode: Query<ModeQuery>,
    body: Body<UserUsage>,
) -> Result<HttpResponse, ApiError> {
    let body = body.read().await?;
    let usage = QuotaUsage {
        used_quota_size: body.used_quota_size,
        used_quota_files: body.used_quota_files,
    };
    quotas::change_user_usage(&admin, &binding.services, &body.username, usage, &mode).await
}

/// Older name of `GET /quotas/folders/scans`.
#[utoipa::path(
    get,
    path = "/api/v2/folder-quota-scans",
    tag = "aliases",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The running scans", body = [FolderQuotaScan]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing", body = ApiResponse),
    )
)]
pub async fn list_folder_scans(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(quotas::list_folder_scans(admin, binding).await)
}

/// Older name of `POST /quotas/folders/{name}/scan`.
#[utoipa::path(
    post,
    path = "/api/v2/folder-quota-scans",
    tag = "aliases",
    security(("BearerAuth" = [])),
    request_body = FolderUsage,
    responses(
        (status = 202, description = "The scan runs", body = ApiResponse),
        (status = 400, description = "The body is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked", body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 409, description = "A scan is running already", body = ApiResponse),
    )
)]
pub async fn start_folder_scan(
    admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    body: Body<FolderUsage>,
) -> Result<HttpResponse, ApiError> {
    let name = Path::from(body.read().await?.name);
    quotas::start_folder_scan(admin, binding, name).await
}

/// Older name of `PUT /quotas/folders/{name}/usage`.
#[utoipa::path(
    put,
    path = "/api/v2/folder-quota-update",
    tag = "aliases",
    security(("BearerAuth" = [])),
    params(ModeQuery),
    request_body = FolderUsage,
    responses(
        (status = 200, description = "The usage was changed", body = ApiResponse),
        (status = 400, description = "The body is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission quota_scans is missing, or usage is not tracked", body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 409, description = "A scan is running", body = ApiResponse),
    )
)]
pub async fn set_folder_usage(
    _admin: Admin<ScanQuotas>,
    binding: Data<Binding>,
    mode: Query<ModeQuery>,
    body: Body<FolderUsage>,
) -> Result<HttpResponse, ApiError> {
    let body = body.read().await?;
    let usage = QuotaUsage {
        used_quota_size: body.used_quota_size,
        used_quota_files: body.used_quota_files,
    };
    quotas::change_folder_usage(&binding.services, &body.name, usage, &mode).await
}
