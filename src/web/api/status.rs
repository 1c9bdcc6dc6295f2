//! Which services run, and how they are set.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::web::operations::status::{ServicesStatus, current};
use crate::web::request::auth::{Admin, ViewStatus};
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// State of all services.
#[utoipa::path(
    get,
    path = "/api/v2/status",
    tag = "status",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The state of every service", body = ServicesStatus),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_status is missing", body = ApiResponse),
    )
)]
pub async fn get(_admin: Admin<ViewStatus>, binding: Data<Binding>) -> HttpResponse {
    HttpResponse::Ok().json(current(&binding.services).await)
}
