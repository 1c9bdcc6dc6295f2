//! Many users at once.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::web::api::tasks::started;
use crate::web::error::ApiError;
use crate::web::operations::bulk::BulkUsers;
use crate::web::operations::live::BulkResult;
use crate::web::operations::tasks::Task;
use crate::web::request::auth::{Admin, Anything};
use crate::web::request::body::Body;
use crate::web::request::query::switch;
use crate::web::response::ApiResponse;
use crate::web::services::Binding;

/// How it is done.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// 1 answers at once with a task, which goes on when nobody waits for it.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    background: Option<String>,
}

/// Does one thing to many users. Each is changed on its own: what fails for one leaves the
/// others alone.
#[utoipa::path(
    post,
    path = "/api/v2/bulk/users",
    tag = "bulk",
    security(("BearerAuth" = [])),
    params(BulkQuery),
    request_body = BulkUsers,
    responses(
        (status = 200, description = "What became of each, in the order given",
            body = [BulkResult]),
        (status = 202, description = "The task that does it, which `Location` names",
            body = Task),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission for the action is missing: edit_users, \
            del_users or close_conns, and view_users for a query", body = ApiResponse),
        (status = 429, description = "Too many tasks are running", body = ApiResponse),
    )
)]
pub async fn users(
    admin: Admin<Anything>,
    binding: Data<Binding>,
    query: Query<BulkQuery>,
    body: Body<BulkUsers>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let in_background = switch("background", query.background.as_deref())?;
    let request = body.read().await?;
    if in_background {
        let task = services.start_bulk(&admin, request).await?;
        return started(services, &admin, &task);
    }
    let results = services.bulk_users(&admin, request).await?;
    Ok(HttpResponse::Ok().json(results))
}
