//! One-time passwords and recovery codes: everybody's own, and switching off those of
//! others.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::one_time::{NewSecret, check_secret, recovery_codes};
use crate::error::{Error, ErrorKind, Result};
use crate::model::timestamp::now_unix_secs;
use crate::model::{RecoveryCode, Secret, SecretStatus, TotpConfig, UserTotpConfig, secretbox};
use crate::web::error::ApiError;
use crate::web::operations::status::TotpKind;
use crate::web::qr;
use crate::web::request::auth::{Account, Admin, DisableSecondFactors, Everything, OwnAccount};
use crate::web::request::body::Body;
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};

/// Which kind of codes is wanted.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GenerateRequest {
    config_name: String,
}

/// A fresh secret for an authenticator program. Nothing is stored yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct GeneratedSecret {
    config_name: String,
    issuer: String,
    /// Base32.
    pub secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The same as a picture: PNG in base64.
    pub qr_code: String,
}

/// A code to try.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ValidateRequest {
    config_name: String,
    passcode: String,
    secret: String,
}

fn kinds(binding: &Binding) -> HttpResponse {
    let kinds = binding.services.login.one_time().kinds();
    HttpResponse::Ok().json(kinds.iter().map(TotpKind::of).collect::<Vec<_>>())
}

/// A new secret of the kind `config_name` for an account; nothing is stored.
pub fn generate_secret(
    services: &Services,
    config_name: &str,
    account: &str,
) -> Result<GeneratedSecret, ApiError> {
    let new = services.login.one_time().generate(config_name, account)?;
    Ok(described(config_name, &new)?)
}

/// A secret of the kind `config_name` with its picture.
pub fn described(config_name: &str, new: &NewSecret) -> Result<GeneratedSecret> {
    Ok(GeneratedSecret {
        config_name: config_name.to_owned(),
        issuer: new.issuer.clone(),
        qr_code: STANDARD.encode(qr::png(&new.url)?),
        secret: new.secret.to_string(),
        url: Some(new.url.to_string()),
    })
}

fn validate(binding: &Binding, request: &ValidateRequest) -> Result<HttpResponse, ApiError> {
    let one_time = binding.services.login.one_time();
    let ValidateRequest { config_name, passcode, secret } = request;
    if one_time.matches(config_name, secret, passcode, now_unix_secs())? {
        Ok(ok("Passcode successfully validated"))
    } else {
        Err(ApiError::bad_request("passcode: is wrong"))
    }
}

/// The secret to store: a new one encrypted, or the old one.
fn secret_to_store(given: &Secret, old: &Secret, owner: &str) -> Result<Secret> {
    match given.status {
        Some(SecretStatus::Plain) if !given.payload.is_empty() => {
            check_secret(&given.payload)?;
            secretbox::seal(&given.payload, owner)
        }
        // Whatever else is sent stands for what is stored, as for every secret.
        _ if !old.is_empty() => Ok(old.clone()),
        _ => Err(Error::invalid("secret: is required")),
    }
}

/// Codes in their stored form.
fn sealed(codes: &[String], owner: &str) -> Result<Vec<RecoveryCode>> {
    codes
        .iter()
        .map(|code| Ok(RecoveryCode { secret: secretbox::seal(code, owner)?, used: false }))
        .collect()
}

/// Codes in clear text.
pub fn open_recovery_codes(codes: &[RecoveryCode]) -> Result<Vec<String>> {
    codes.iter().map(|code| Ok(secretbox::open(&code.secret)?.to_string())).collect()
}

fn plain(codes: &[RecoveryCode]) -> Result<HttpResponse, ApiError> {
    let opened = open_recovery_codes(codes)?.into_iter().zip(codes);
    let plain: Vec<RecoveryCode> = opened
        .map(|(payload, code)| {
            let status = Some(SecretStatus::Plain);
            RecoveryCode {
                secret: Secret { status, payload, ..Secret::default() },
                used: code.used,
            }
        })
        .collect();
    Ok(HttpResponse::Ok().json(plain))
}

fn require_enabled(enabled: bool) -> Result<()> {
    if enabled { Ok(()) } else { Err(Error::invalid("two-factor authentication is not enabled")) }
}

/// The kinds of one-time passwords to choose from.
#[utoipa::path(
    get,
    path = "/api/v2/admin/totp/configs",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The configured kinds", body = [TotpKind]),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_kinds(_caller: Admin<OwnAccount>, binding: Data<Binding>) -> HttpResponse {
    kinds(&binding)
}

/// Makes a secret for the caller, to be confirmed and saved.
#[utoipa::path(
    post,
    path = "/api/v2/admin/totp/generate",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = GenerateRequest,
    responses(
        (status = 200, description = "The secret", body = GeneratedSecret),
        (status = 400, description = "There is no such kind", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_generate(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    body: Body<GenerateRequest>,
) -> Result<HttpResponse, ApiError> {
    let request = body.read().await?;
    let new = generate_secret(&binding.services, &request.config_name, caller.username())?;
    Ok(HttpResponse::Ok().json(new))
}

/// Tries a code with a secret that is not saved yet.
#[utoipa::path(
    post,
    path = "/api/v2/admin/totp/validate",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = ValidateRequest,
    responses(
        (status = 200, description = "The code is right", body = ApiResponse),
        (status = 400, description = "The code is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_validate(
    _caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    body: Body<ValidateRequest>,
) -> Result<HttpResponse, ApiError> {
    validate(&binding, &body.read().await?)
}

/// Switches the one-time passwords of an administrator on, with recovery codes the first
/// time, or off.
pub async fn save_admin_totp(
    services: &Services,
    username: &str,
    wanted: TotpConfig,
) -> Result<crate::model::Admin, ApiError> {
    let owner = username.to_owned();
    if wanted.enabled {
        services.login.one_time().require_kind(&wanted.config_name)?;
    }
    let saved = services
        .store
        .change_admin_second_factor(username, move |filters| {
            if !wanted.enabled {
                if filters.require_two_factor {
                    let told = "enabled: your account needs a second factor";
                    return Err(Error::new(ErrorKind::InvalidInput, told));
                }
                filters.forget_second_factor();
                return Ok(());
            }
            let secret = secret_to_store(&wanted.secret, &filters.totp_config.secret, &owner)?;
            let config_name = wanted.config_name.clone();
            filters.totp_config = TotpConfig { enabled: true, config_name, secret };
            if filters.recovery_codes.is_empty() {
                filters.recovery_codes = sealed(&recovery_codes()?, &owner)?;
            }
            Ok(())
        })
        .await?;
    Ok(saved)
}

/// Switches the caller's one-time passwords on or off. The first time makes recovery
/// codes; switching off forgets everything.
#[utoipa::path(
    post,
    path = "/api/v2/admin/totp/save",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = TotpConfig,
    responses(
        (status = 200, description = "It is stored", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_save(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    body: Body<TotpConfig>,
) -> Result<HttpResponse, ApiError> {
    save_admin_totp(&binding.services, caller.username(), body.read().await?).await?;
    Ok(ok("TOTP configuration saved"))
}

/// The caller's recovery codes.
#[utoipa::path(
    get,
    path = "/api/v2/admin/2fa/recoverycodes",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The codes in clear text", body = [RecoveryCode]),
        (status = 400, description = "One-time passwords are off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_recovery_codes(caller: Admin<OwnAccount>) -> Result<HttpResponse, ApiError> {
    let filters = caller.filters();
    require_enabled(filters.totp_config.enabled)?;
    plain(&filters.recovery_codes)
}

/// Replaces the recovery codes of an administrator; returns them in clear text.
pub async fn new_admin_recovery_codes(
    services: &Services,
    username: &str,
) -> Result<Vec<String>, ApiError> {
    let codes = recovery_codes()?;
    let stored = sealed(&codes, username)?;
    services
        .store
        .change_admin_second_factor(username, move |filters| {
            require_enabled(filters.totp_config.enabled)?;
            filters.recovery_codes.clone_from(&stored);
            Ok(())
        })
        .await?;
    Ok(codes)
}

/// Replaces the caller's recovery codes.
#[utoipa::path(
    post,
    path = "/api/v2/admin/2fa/recoverycodes",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The new codes in clear text", body = [String]),
        (status = 400, description = "One-time passwords are off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn admin_new_recovery_codes(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    let codes = new_admin_recovery_codes(&binding.services, caller.username()).await?;
    Ok(HttpResponse::Ok().json(codes))
}

/// Switches the second factor of an administrator off.
#[utoipa::path(
    put,
    path = "/api/v2/admins/{username}/2fa/disable",
    tag = "second factor",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator")),
    responses(
        (status = 200, description = "It is off", body = ApiResponse),
        (status = 400, description = "It was off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission * is missing", body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
    )
)]
pub async fn disable_for_admin(
    _caller: Admin<Everything>,
    binding: Data<Binding>,
    username: Path<String>,
) -> Result<HttpResponse, ApiError> {
    forget_admin_second_factor(&binding.services, &username).await?;
    Ok(ok("2FA disabled"))
}

/// Switches the second factor of an administrator off; for who may do everything.
///
/// # Errors
/// 400 if it was off, 404 if there is no such administrator.
pub async fn forget_admin_second_factor(
    services: &Services,
    username: &str,
) -> Result<(), ApiError> {
    let forget = |filters: &mut crate::model::AdminFilters| {
        require_enabled(filters.totp_config.enabled)?;
        filters.forget_second_factor();
        Ok(())
    };
    services.store.change_admin_second_factor(username, forget).await?;
    Ok(())
}

/// Switches the second factor of a user off.
#[utoipa::path(
    put,
    path = "/api/v2/users/{username}/2fa/disable",
    tag = "second factor",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the user")),
    responses(
        (status = 200, description = "It is off", body = ApiResponse),
        (status = 400, description = "It was off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission disable_mfa is missing", body = ApiResponse),
        (status = 404, description = "There is no such user", body = ApiResponse),
    )
)]
pub async fn disable_for_user(
    caller: Admin<DisableSecondFactors>,
    binding: Data<Binding>,
    username: Path<String>,
) -> Result<HttpResponse, ApiError> {
    disable_second_factor_of_user(&binding.services, &caller, &username).await?;
    Ok(ok("2FA disabled"))
}

/// Switches the one-time passwords of a user off.
///
/// # Errors
/// 404 if there is no such user, or it is of another role; 400 if they are off.
pub async fn disable_second_factor_of_user(
    services: &Services,
    caller: &Admin<DisableSecondFactors>,
    username: &str,
) -> Result<(), ApiError> {
    let user = services.users_of(caller).get(username).await?;
    services
        .store
        .change_user_second_factor(&user.username, |filters| {
            require_enabled(filters.totp_config.enabled)?;
            filters.forget_second_factor();
            Ok(())
        })
        .await?;
    Ok(())
}

/// The kinds of one-time passwords to choose from.
#[utoipa::path(
    get,
    path = "/api/v2/user/totp/configs",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The configured kinds", body = [TotpKind]),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_kinds(_caller: Account, binding: Data<Binding>) -> HttpResponse {
    kinds(&binding)
}

/// Makes a secret for the user, to be confirmed and saved.
#[utoipa::path(
    post,
    path = "/api/v2/user/totp/generate",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = GenerateRequest,
    responses(
        (status = 200, description = "The secret; there is no url", body = GeneratedSecret),
        (status = 400, description = "There is no such kind", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_generate(
    caller: Account,
    binding: Data<Binding>,
    body: Body<GenerateRequest>,
) -> Result<HttpResponse, ApiError> {
    let request = body.read().await?;
    let new = generate_secret(&binding.services, &request.config_name, caller.username())?;
    Ok(HttpResponse::Ok().json(GeneratedSecret { url: None, ..new }))
}

/// Tries a code with a secret that is not saved yet.
#[utoipa::path(
    post,
    path = "/api/v2/user/totp/validate",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = ValidateRequest,
    responses(
        (status = 200, description = "The code is right", body = ApiResponse),
        (status = 400, description = "The code is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_validate(
    _caller: Account,
    binding: Data<Binding>,
    body: Body<ValidateRequest>,
) -> Result<HttpResponse, ApiError> {
    validate(&binding, &body.read().await?)
}

/// Switches the user's one-time passwords on or off. The first time makes recovery
/// codes; switching off forgets everything.
#[utoipa::path(
    post,
    path = "/api/v2/user/totp/save",
    tag = "second factor",
    security(("BearerAuth" = [])),
    request_body = UserTotpConfig,
    responses(
        (status = 200, description = "It is stored", body = ApiResponse),
        (status = 400, description = "A field is wrong, or a protocol requires a second factor",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_save(
    caller: Account,
    binding: Data<Binding>,
    body: Body<UserTotpConfig>,
) -> Result<HttpResponse, ApiError> {
    let wanted = body.read().await?;
    let services = &binding.services;
    let owner = caller.username().to_owned();
    if wanted.enabled {
        services.login.one_time().require_kind(&wanted.config_name)?;
    }
    // With what its groups require.
    let required = &caller.filters().two_factor_protocols;
    let protocols = if wanted.enabled { &wanted.protocols[..] } else { &[] };
    if let Some(missing) = required.iter().find(|one| !protocols.contains(one)) {
        return Err(ApiError::bad_request(format!(
            "protocols: {missing} requires a second factor for this account"
        )));
    }
    services
        .store
        .change_user_second_factor(caller.username(), move |filters| {
            if !wanted.enabled {
                filters.forget_second_factor();
                return Ok(());
            }
            if wanted.protocols.is_empty() {
                return Err(Error::invalid("protocols: at least one is required"));
            }
            let secret = secret_to_store(&wanted.secret, &filters.totp_config.secret, &owner)?;
            filters.totp_config = UserTotpConfig {
                enabled: true,
                config_name: wanted.config_name.clone(),
                secret,
                protocols: wanted.protocols.clone(),
            };
            if filters.recovery_codes.is_empty() {
                filters.recovery_codes = sealed(&recovery_codes()?, &owner)?;
            }
            filters.normalise()
        })
        .await?;
    Ok(ok("TOTP configuration saved"))
}

/// The user's recovery codes.
#[utoipa::path(
    get,
    path = "/api/v2/user/2fa/recoverycodes",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The codes in clear text", body = [RecoveryCode]),
        (status = 400, description = "One-time passwords are off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_recovery_codes(caller: Account) -> Result<HttpResponse, ApiError> {
    let filters = caller.filters();
    require_enabled(filters.totp_config.enabled)?;
    plain(&filters.recovery_codes)
}

/// Replaces the user's recovery codes.
#[utoipa::path(
    post,
    path = "/api/v2/user/2fa/recoverycodes",
    tag = "second factor",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The new codes in clear text", body = [String]),
        (status = 400, description = "One-time passwords are off", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn user_new_recovery_codes(
    caller: Account,
    binding: Data<Binding>,
) -> Result<HttpResponse, ApiError> {
    let codes = recovery_codes()?;
    let stored = sealed(&codes, caller.username())?;
    binding
        .services
        .store
        .change_user_second_factor(caller.username(), move |filters| {
            require_enabled(filters.totp_config.enabled)?;
            filters.recovery_codes.clone_from(&stored);
            Ok(())
        })
        .await?;
    Ok(HttpResponse::Ok().json(codes))
}
