//! Getting an access token and giving it back.

use std::fmt::Display;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::auth::one_time::CodeOwner;
use crate::auth::{LoginContext, LoginFailure};
use crate::error::Error;
use crate::logging;
use crate::model::timestamp::now_unix_secs;
use crate::model::{LoginMethod, LoginProtocol, Secret};
use crate::web::edge::LoginWay;
use crate::web::error::ApiError;
use crate::web::request::auth::{Account, Admin, Anything, BasicCredentials};
use crate::web::request::peer::Peer;
use crate::web::request::token::Audience;
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};

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
    params(("X-SFTPGO-OTP" = Option<String>, Header,
        description = "The one-time password of administrators who have one")),
    responses(
        (status = 200, description = "The token and when it expires", body = Token),
        (status = 401, description = "Wrong credentials, or not from this address",
            body = ApiResponse),
        (status = 403, description = "Switched off on this binding", body = ApiResponse),
    )
)]
pub async fn issue(
    credentials: BasicCredentials,
    binding: Data<Binding>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    require_offered(&binding, LoginWay::AdminToken)?;
    let services = &binding.services;
    let peer = Peer::of(&request);
    let started = Instant::now();
    let login = async {
        let BasicCredentials { username, password } = &credentials;
        let admin = services.login.admin(username, password, peer.ip).await?;
        let totp = &admin.filters.totp_config;
        if totp.enabled {
            let owner = CodeOwner::Admin(&admin.username);
            redeem(services, owner, &totp.config_name, &totp.secret, &request)?;
        }
        Ok::<_, LoginFailure>(admin)
    };
    let login = login.await;
    let admin = decided(services, &peer, &credentials.username, started, login).await?;
    give(&binding, Audience::Admin, &admin.username, admin.updated_at, &peer)
}

/// Issues an access token for a user, which is good below `/api/v2/user` only.
#[utoipa::path(
    get,
    path = "/api/v2/user/token",
    tag = "token",
    security(("BasicAuth" = [])),
    params(("X-SFTPGO-OTP" = Option<String>, Header,
        description = "The one-time password of users who have one for HTTP")),
    responses(
        (status = 200, description = "The token and when it expires", body = Token),
        (status = 401, description = "Wrong credentials, or not allowed to log in",
            body = ApiResponse),
        (status = 403, description = "Switched off on this binding", body = ApiResponse),
    )
)]
pub async fn issue_to_user(
    credentials: BasicCredentials,
    binding: Data<Binding>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    require_offered(&binding, LoginWay::UserToken)?;
    let services = &binding.services;
    let peer = Peer::of(&request);
    let context =
        LoginContext { ip: peer.ip, protocol: LoginProtocol::Http, method: LoginMethod::Password };
    let started = Instant::now();
    let login = async {
        let BasicCredentials { username, password } = &credentials;
        let user = services.login.password(username, password, context).await?;
        let totp = &user.filters.totp_config;
        if totp.is_for(LoginProtocol::Http) {
            let owner = CodeOwner::User(&user.username);
            redeem(services, owner, &totp.config_name, &totp.secret, &request)?;
        }
        Ok::<_, LoginFailure>(user)
    };
    let login = login.await;
    let user = decided(services, &peer, &credentials.username, started, login).await?;
    give(&binding, Audience::User, &user.username, user.updated_at, &peer)
}

fn require_offered(binding: &Binding, way: LoginWay) -> Result<(), ApiError> {
    if binding.edge.logins.offer(way) {
        return Ok(());
    }
    Err(ApiError::forbidden("this way to log in is switched off here"))
}

/// The header with a one-time password.
const CODE_HEADER: &str = "X-SFTPGO-OTP";

fn redeem(
    services: &Services,
    owner: CodeOwner<'_>,
    kind: &str,
    secret: &Secret,
    request: &HttpRequest,
) -> Result<(), LoginFailure> {
    let code = request.headers().get(CODE_HEADER).and_then(|code| code.to_str().ok());
    let code = code.unwrap_or_default();
    if services.login.one_time().redeem(owner, kind, secret, code, now_unix_secs())? {
        Ok(())
    } else {
        Err(LoginFailure::WrongCode)
    }
}

/// The outcome of a login that began at `started`, when it may be told: the same to
/// everybody, the log knows why.
async fn decided<T>(
    services: &Services,
    peer: &Peer,
    username: &str,
    started: Instant,
    outcome: Result<T, LoginFailure>,
) -> Result<T, ApiError> {
    let delay = services.login.delay();
    match outcome {
        Ok(account) => {
            delay.before_success(started).await;
            Ok(account)
        }
        Err(LoginFailure::Unavailable(error)) => Err(error.into()),
        Err(failure) => {
            note_refusal(services, peer, username, &failure);
            delay.before_failure(started).await;
            Err(ApiError::bad_credentials("invalid credentials"))
        }
    }
}

/// Writes the line of a failed login, which programs that keep attackers out read.
pub fn note_refusal(services: &Services, peer: &Peer, username: &str, failure: &dyn Display) {
    logging::connection_failed(
        &services.log,
        &logging::ConnectionFailed {
            client_ip: &peer.ip.to_string(),
            username,
            login_type: "password",
            protocol: "HTTP",
            error: failure,
        },
    );
}

fn give(
    binding: &Binding,
    audience: Audience,
    username: &str,
    updated_at: i64,
    peer: &Peer,
) -> Result<HttpResponse, ApiError> {
    let issued = binding.tokens.issue(audience, username, updated_at, peer.ip)?;
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
    if let Some(claims) = admin.claims() {
        binding.tokens.revoke(claims);
    }
    ok("Your token has been invalidated")
}

/// Ends the token of a user that is sent with this request.
#[utoipa::path(
    get,
    path = "/api/v2/user/logout",
    tag = "token",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The token is not valid any more", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn logout_user(user: Account, binding: Data<Binding>) -> HttpResponse {
    binding.tokens.revoke(user.claims());
    ok("Your token has been invalidated")
}
