//! Live sessions and their transfers: what is going on, and ending it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actors::{KillOutcome, SessionReport};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::app::Binding;
use crate::web::auth::{Admin, CloseConnections, ViewConnections};
use crate::web::error::ApiError;
use crate::web::response::{ApiResponse, ok};

/// A session of a logged-in user.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectionStatus {
    pub username: String,
    pub connection_id: String,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_version: String,
    /// `address:port` of the client.
    pub remote_address: String,
    /// Unix milliseconds.
    pub connection_time: u64,
    /// The last command.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Unix milliseconds.
    pub last_activity: u64,
    /// `SFTP`, `SCP`, `SSH`, `FTP`, `DAV` or `HTTP`.
    pub protocol: String,
    pub active_transfers: Vec<TransferStatus>,
}

/// A transfer that is going on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Transfer)]
pub struct TransferStatus {
    /// `upload` or `download`.
    pub operation_type: &'static str,
    /// The path that the client named.
    pub path: String,
    /// Unix milliseconds.
    pub start_time: u64,
    /// Bytes moved so far.
    pub size: u64,
}

impl From<SessionReport> for ConnectionStatus {
    fn from(session: SessionReport) -> Self {
        Self {
            username: session.username.to_string(),
            connection_id: session.session_id.to_string(),
            client_version: session.client_version.to_string(),
            remote_address: session.peer.to_string(),
            connection_time: session.connected_unix_ms,
            command: session.command.to_string(),
            last_activity: session.last_activity_unix_ms,
            protocol: session.protocol.as_str().to_owned(),
            active_transfers: session
                .transfers
                .into_iter()
                .map(|transfer| TransferStatus {
                    operation_type: transfer.direction.as_str(),
                    path: transfer.virtual_path.to_string(),
                    start_time: transfer.started_unix_ms,
                    size: transfer.bytes,
                })
                .collect(),
        }
    }
}

/// The sessions of all users that the caller may see, with their transfers.
#[utoipa::path(
    get,
    path = "/api/v2/connections",
    tag = "connections",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The sessions", body = [ConnectionStatus]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_conns is missing", body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<ViewConnections>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let visible = services.users_of(&admin).names().await?;
    let sessions = services.registry.list().await.into_iter();
    let sessions: Vec<ConnectionStatus> = sessions
        .filter(|session| visible.contains(&session.username))
        .map(ConnectionStatus::from)
        .collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// Closes the connection that a session belongs to, with everything that goes on in it.
#[utoipa::path(
    delete,
    path = "/api/v2/connections/{connection_id}",
    tag = "connections",
    security(("BearerAuth" = [])),
    params(("connection_id" = String, Path, description = "As the list gives it")),
    responses(
        (status = 200, description = "It is being closed", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission close_conns is missing", body = ApiResponse),
        (status = 404, description = "There is no such session any more", body = ApiResponse),
    )
)]
pub async fn delete(
    admin: Admin<CloseConnections>,
    binding: Data<Binding>,
    connection_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let not_found =
        || ApiError::not_found(format!("connection \"{connection_id}\" does not exist"));
    if admin.role().is_some() {
        // Only what the list shows: a connection that nobody has logged in on yet
        // belongs to no role.
        let sessions = services.registry.list().await;
        let session = sessions.iter().find(|session| *session.session_id == **connection_id);
        let username = &session.ok_or_else(not_found)?.username;
        services.users_of(&admin).get(username).await.map_err(|error| {
            if error.status() == StatusCode::NOT_FOUND { not_found() } else { error }
        })?;
    }
    match services.registry.kill(&connection_id, admin.username()).await {
        KillOutcome::Killed => Ok(ok("Connection closed")),
        KillOutcome::NotFound => Err(not_found()),
    }
}
