//! Live sessions and their transfers: what is going on, and ending it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::web::error::ApiError;
use crate::web::operations::live::{BulkResult, ConnectionStatus, Throughput};
use crate::web::operations::reason::Reason;
use crate::web::request::auth::{Admin, CloseConnections, Right, ViewConnections, ViewStatus};
use crate::web::request::body::Body;
use crate::web::request::query::switch;
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};

/// What a list may show besides.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 1 shows the last minute of each transfer.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    recent_rates: Option<String>,
}

/// The sessions of all users that the caller may see, with their transfers.
#[utoipa::path(
    get,
    path = "/api/v2/connections",
    tag = "connections",
    security(("BearerAuth" = [])),
    params(ListQuery),
    responses(
        (status = 200, description = "The sessions", body = [ConnectionStatus]),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_conns is missing", body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<ViewConnections>,
    binding: Data<Binding>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, ApiError> {
    let with_rates = switch("recent_rates", query.recent_rates.as_deref())?;
    Ok(HttpResponse::Ok().json(list_for(&binding.services, &admin, with_rates).await?))
}

/// The sessions that `admin` may see, oldest connection first.
pub async fn list_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    with_rates: bool,
) -> Result<Vec<ConnectionStatus>, ApiError> {
    let visible = services.users_of(admin).names().await?;
    let mut sessions = services.sessions(&visible).await;
    if !with_rates {
        let transfers = sessions.iter_mut().flat_map(|session| &mut session.active_transfers);
        transfers.for_each(|transfer| transfer.recent_rates = None);
    }
    Ok(sessions)
}

/// Why a connection is closed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReasonQuery {
    /// At most 200 characters, for the log.
    reason: Option<String>,
}

/// Closes the connection that a session belongs to, with everything that goes on in it.
#[utoipa::path(
    delete,
    path = "/api/v2/connections/{connection_id}",
    tag = "connections",
    security(("BearerAuth" = [])),
    params(("connection_id" = String, Path, description = "As the list gives it"), ReasonQuery),
    responses(
        (status = 200, description = "It is being closed", body = ApiResponse),
        (status = 400, description = "The reason is too long or has control characters",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission close_conns is missing", body = ApiResponse),
        (status = 404, description = "There is no such session any more", body = ApiResponse),
    )
)]
pub async fn delete(
    admin: Admin<CloseConnections>,
    binding: Data<Binding>,
    connection_id: Path<String>,
    query: Query<ReasonQuery>,
) -> Result<HttpResponse, ApiError> {
    let reason = Reason::checked(query.reason.as_deref())?;
    binding.services.close_connection(&admin, &connection_id, &reason).await?;
    Ok(ok("Connection closed"))
}

/// What is to be done with several connections.
#[derive(Debug, Deserialize, ToSchema)]
pub struct BulkConnections {
    action: ConnectionAction,
    /// As the list gives them.
    connection_ids: Vec<String>,
    /// At most 200 characters, for the log.
    #[serde(default)]
    reason: Option<String>,
}

/// What can be done with a connection.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionAction {
    Close,
}

/// Closes several connections, with one reason.
#[utoipa::path(
    post,
    path = "/api/v2/bulk/connections",
    tag = "connections",
    security(("BearerAuth" = [])),
    request_body = BulkConnections,
    responses(
        (status = 200, description = "What became of each, in the order given",
            body = [BulkResult]),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission close_conns is missing", body = ApiResponse),
    )
)]
pub async fn bulk(
    admin: Admin<CloseConnections>,
    binding: Data<Binding>,
    body: Body<BulkConnections>,
) -> Result<HttpResponse, ApiError> {
    let BulkConnections { action: ConnectionAction::Close, connection_ids, reason } =
        body.read().await?;
    let reason = Reason::checked(reason.as_deref())?;
    let results = binding.services.close_connections(&admin, connection_ids, &reason).await?;
    Ok(HttpResponse::Ok().json(results))
}

/// How many connections were closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClosedConnections {
    closed: usize,
}

/// Closes all connections of a user.
#[utoipa::path(
    delete,
    path = "/api/v2/users/{username}/connections",
    tag = "connections",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user"), ReasonQuery),
    responses(
        (status = 200, description = "They are being closed", body = ClosedConnections),
        (status = 400, description = "The reason is too long or has control characters",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission close_conns is missing", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
    )
)]
pub async fn delete_of_user(
    admin: Admin<CloseConnections>,
    binding: Data<Binding>,
    username: Path<String>,
    query: Query<ReasonQuery>,
) -> Result<HttpResponse, ApiError> {
    let reason = Reason::checked(query.reason.as_deref())?;
    let services = &binding.services;
    let closed = services.close_connections_of_user(&admin, &username, &reason).await?;
    Ok(HttpResponse::Ok().json(ClosedConnections { closed }))
}

/// How fast bytes flow in the whole server, now and in the last hour.
#[utoipa::path(
    get,
    path = "/api/v2/throughput",
    tag = "connections",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The throughput", body = Throughput),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_status is missing, or the caller has \
            a role", body = ApiResponse),
    )
)]
pub async fn throughput(
    admin: Admin<ViewStatus>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(binding.services.throughput_seen_by(&admin)?))
}
