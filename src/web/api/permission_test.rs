//! May a user do something, and which rule says so?

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};

use crate::web::error::ApiError;
use crate::web::operations::permission_test::{PermissionQuery, PermissionTest};
use crate::web::request::auth::{Admin, ViewUsers};
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// Tells whether a user may do something, and which rule decides. The checks are those of
/// real sessions; no hook runs, and nothing on a disk is touched.
#[utoipa::path(
    get,
    path = "/api/v2/users/{username}/permission-test",
    tag = "users",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), PermissionQuery),
    responses(
        (status = 200, description = "The answer, step by step", body = PermissionTest),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
    )
)]
pub async fn test(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
    username: Path<String>,
    query: Query<PermissionQuery>,
) -> Result<HttpResponse, ApiError> {
    let answer = binding.services.permission_test(&admin, &username, &query).await?;
    Ok(HttpResponse::Ok().json(answer))
}
