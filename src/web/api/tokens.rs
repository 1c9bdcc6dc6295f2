//! Getting an access token and giving it back.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::LoginFailure;
use crate::error::Error;
use crate::logging;
use crate::web::app::Binding;
use crate::web::auth::{Admin, Anything, BasicCredentials};
use crate::web::error::ApiError;
use crate::web::observe::Peer;
use crate::web::response::{ApiResponse, ok};
use crate::web::token::Audience;

/// An access token, to be sent as `Authorization: Bearer`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    pub access_token: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Issues an access token for an administrator.
#[utoipa::path(
    get,
    path = "/api/v2/token",
    tag = "token",
    security(("BasicAuth" = [])),
    responses(
        (status = 200, description = "The token and when it expires", body = Token),
        (status = 401, description = "Wrong credentials, or not from this address",
            body = ApiResponse),
    )
)]
pub async fn issue(
    credentials: BasicCredentials,
    binding: Data<Binding>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let peer = Peer::of(&request);
    let login = services.login.admin(&credentials.username, &credentials.password, peer.ip).await;
    let admin = match login {
        Ok(admin) => admin,
        Err(LoginFailure::Unavailable(error)) => return Err(error.into()),
        Err(failure) => {
            logging::connection_failed(
                &services.log,
                &logging::ConnectionFailed {
                    client_ip: &peer.ip.to_string(),
                    username: &credentials.username,
                    login_type: "password",
                    protocol: "HTTP",
                    error: &failure,
                },
            );
            return Err(ApiError::bad_credentials("invalid credentials"));
        }
    };
    let issued =
        binding.tokens.issue(Audience::Admin, &admin.username, admin.updated_at, peer.ip)?;
    let expires_at = i64::try_from(issued.expires_at_unix_secs)
        .ok()
        .and_then(|secs| DateTime::from_timestamp(secs, 0))
        .ok_or_else(|| Error::internal("an access token expires beyond the calendar"))?;
    Ok(HttpResponse::Ok().json(Token {
        access_token: issued.token,
        expires_at: expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
    }))
}

/// Ends the token that is sent with this request.
#[utoipa::path(
    get,
    path = "/api/v2/logout",
    tag = "token",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The token is not valid any more", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn logout(admin: Admin<Anything>, binding: Data<Binding>) -> HttpResponse {
    binding.tokens.revoke(admin.claims());
    ok("Your token has been invalidated")
}
