//! What is running.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::web::facts::VersionInfo;
use crate::web::request::auth::{Admin, Anything};
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// Version, build date and features of the server.
#[utoipa::path(
    get,
    path = "/api/v2/version",
    tag = "version",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "What is running", body = VersionInfo),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn get(_admin: Admin<Anything>, binding: Data<Binding>) -> HttpResponse {
    HttpResponse::Ok().json(&binding.services.version)
}
