//! What is running.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::app::Binding;
use crate::web::auth::{Admin, Anything};
use crate::web::response::ApiResponse;

/// Version and build of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VersionInfo {
    pub version: String,
    /// RFC 3339; empty if the build did not record it.
    pub build_date: String,
    /// Empty if the build did not record it.
    pub commit_hash: String,
    /// `+name` for what is built in, `-name` for what is not.
    #[schema(example = json!(["+metrics", "+sqlite", "-s3"]))]
    pub features: Vec<String>,
}

/// Version, build date and features of the server.
#[utoipa::path(
    get,
    path = "/api/v2/version",
    tag = "maintenance",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "What is running", body = VersionInfo),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn get(_admin: Admin<Anything>, binding: Data<Binding>) -> HttpResponse {
    HttpResponse::Ok().json(&binding.services.version)
}
