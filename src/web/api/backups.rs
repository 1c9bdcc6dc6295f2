//! The dumps that are on the server.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::web::error::ApiError;
use crate::web::operations::backups::Backup;
use crate::web::request::auth::{Admin, Everything};
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// The newest dumps directly in `backups_path`, the last one first, at most 20: what
/// `/dumpdata` writes there and `/loaddata` can read.
#[utoipa::path(
    get,
    path = "/api/v2/backups",
    tag = "dumps",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The dumps", body = [Backup]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "Only who may do everything may read dumps",
            body = ApiResponse),
    )
)]
pub async fn list_backups(
    _admin: Admin<Everything>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(binding.services.backups().await?))
}
