//! Tasks: long work that goes on when nobody waits for it.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};

use crate::web::error::ApiError;
use crate::web::operations::tasks::Task;
use crate::web::request::auth::{Admin, Anything, Right};
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};
use crate::web::url::locate;

/// The tasks that run, and those that have ended within the last day.
#[utoipa::path(
    get,
    path = "/api/v2/tasks",
    tag = "tasks",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "Newest first: the own ones, and all for who may do \
            everything", body = [Task]),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<Anything>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(binding.services.tasks.list(&admin)))
}

/// How far a task is, and what came of it.
#[utoipa::path(
    get,
    path = "/api/v2/tasks/{id}",
    tag = "tasks",
    security(("BearerAuth" = [])),
    params(("id" = String, Path, description = "The name of the task")),
    responses(
        (status = 200, description = "The task", body = Task),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 404, description = "There is no such task, or it is of somebody else",
            body = ApiResponse),
    )
)]
pub async fn get(
    admin: Admin<Anything>,
    binding: Data<Binding>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(binding.services.tasks.get(&admin, &id)?))
}

/// Asks a task to stop. What it has done until then stays.
#[utoipa::path(
    post,
    path = "/api/v2/tasks/{id}/cancel",
    tag = "tasks",
    security(("BearerAuth" = [])),
    params(("id" = String, Path, description = "The name of the task")),
    responses(
        (status = 200, description = "It stops after what it is doing now", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 404, description = "There is no such task, or it is of somebody else",
            body = ApiResponse),
        (status = 409, description = "It has ended", body = ApiResponse),
    )
)]
pub async fn cancel(
    admin: Admin<Anything>,
    binding: Data<Binding>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    binding.services.tasks.cancel(&admin, &id)?;
    Ok(ok("The task stops"))
}

/// 202 with the task that was started.
pub fn started<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let task = services.tasks.get(admin, id)?;
    let location = (header::LOCATION, locate("tasks", id));
    Ok(HttpResponse::Accepted().insert_header(location).json(task))
}
