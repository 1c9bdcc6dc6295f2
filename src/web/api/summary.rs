//! What many objects come to.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::web::error::ApiError;
use crate::web::operations::accounts::UsersSummary;
use crate::web::request::auth::{Admin, ViewUsers};
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// How many users there are, what they store, and who of them needs a look: of those that
/// the caller may see.
#[utoipa::path(
    get,
    path = "/api/v2/summary/users",
    tag = "users",
    operation_id = "summary_users",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "What the users come to", body = UsersSummary),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
    )
)]
pub async fn users(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    services.store_settled_usage().await;
    Ok(HttpResponse::Ok().json(services.users_summary(&admin).await?))
}
