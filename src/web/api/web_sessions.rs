//! Where the caller has signed in to the web pages.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::error::ApiError;
use crate::web::pages::Pages;
use crate::web::pages::sessions::SessionInfo;
use crate::web::request::auth::{Admin, OwnAccount};
use crate::web::response::{ApiResponse, ok};
use crate::web::services::Binding;

/// A session of the web pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebSession {
    /// Names the session without giving it away.
    pub id: String,
    pub ip: String,
    pub user_agent: String,
    /// Unix milliseconds, as all times.
    pub began_at: u64,
    pub last_seen_at: u64,
    /// When it ends unless something is done in it, and at the latest some hours later.
    pub ends_at: u64,
}

impl From<SessionInfo> for WebSession {
    fn from(info: SessionInfo) -> Self {
        Self {
            id: info.id,
            ip: info.ip,
            user_agent: info.user_agent,
            began_at: info.since_unix_secs * 1000,
            last_seen_at: info.last_seen_unix_secs * 1000,
            ends_at: info.ends_unix_secs * 1000,
        }
    }
}

fn pages(binding: &Binding) -> Result<&Arc<Pages>, ApiError> {
    let told = || ApiError::not_found("the web pages are switched off here");
    binding.pages.as_ref().ok_or_else(told)
}

/// The caller's sessions of the web pages, the one seen last first.
#[utoipa::path(
    get,
    path = "/api/v2/admin/sessions",
    tag = "profile",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The sessions", body = [WebSession]),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 404, description = "This binding has no web pages", body = ApiResponse),
    )
)]
pub async fn list_sessions(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    let sessions = pages(&binding)?.sessions.of_account(caller.username());
    let sessions: Vec<WebSession> = sessions.into_iter().map(WebSession::from).collect();
    Ok(HttpResponse::Ok().json(sessions))
}

/// Ends one of the caller's sessions of the web pages.
#[utoipa::path(
    delete,
    path = "/api/v2/admin/sessions/{id}",
    tag = "profile",
    security(("BearerAuth" = [])),
    params(("id" = String, Path, description = "The id of the session")),
    responses(
        (status = 200, description = "It has ended", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 404, description = "The caller has no such session", body = ApiResponse),
    )
)]
pub async fn end_session(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    match pages(&binding)?.sessions.end_by_id(caller.username(), &id) {
        true => Ok(ok("Session ended")),
        false => Err(ApiError::not_found(format!("session \"{id}\" does not exist"))),
    }
}
