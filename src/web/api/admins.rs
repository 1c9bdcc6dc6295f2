//! Administrators, who cannot give, change or take away more than they hold.

use std::net::IpAddr;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::LoginFailure;
use crate::model::{self, AdminPermission, Password};
use crate::web::api::{found, locate};
use crate::web::app::{Binding, Services};
use crate::web::auth::{Admin, Anything, ManageAdmins};
use crate::web::body::Body;
use crate::web::error::ApiError;
use crate::web::observe::Peer;
use crate::web::paging::PagingQuery;
use crate::web::response::{ApiResponse, created, ok};

/// All administrators.
#[utoipa::path(
    get,
    path = "/api/v2/admins",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(PagingQuery),
    responses(
        (status = 200, description = "The administrators in the order of their names",
            body = [model::Admin]),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_admins is missing",
            body = ApiResponse),
    )
)]
pub async fn list(
    _admin: Admin<ManageAdmins>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?;
    let mut admins = binding.services.store.admins(page.into()).await?;
    admins.iter_mut().for_each(model::Admin::hide_confidential);
    Ok(HttpResponse::Ok().json(admins))
}

/// Adds an administrator, who gets no right that the caller does not hold.
#[utoipa::path(
    post,
    path = "/api/v2/admins",
    tag = "admins",
    security(("BearerAuth" = [])),
    request_body = model::Admin,
    responses(
        (status = 201, description = "The new administrator; Location says where it is",
            body = model::Admin),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "A permission is missing", body = ApiResponse),
        (status = 409, description = "The name is taken", body = ApiResponse),
    )
)]
pub async fn create(
    caller: Admin<ManageAdmins>,
    binding: Data<Binding>,
    body: Body<model::Admin>,
) -> Result<HttpResponse, ApiError> {
    let mut admin = add(&binding.services, &caller, body.read().await?).await?;
    admin.hide_confidential();
    Ok(created(locate("admins", &admin.username), &admin))
}

/// Adds an administrator, who gets no right that the caller does not hold.
///
/// # Errors
/// 400 naming the field that is wrong, 403 naming the permission, 409 if the name is taken.
pub async fn add(
    services: &Services,
    caller: &Admin<ManageAdmins>,
    mut admin: model::Admin,
) -> Result<model::Admin, ApiError> {
    must_cover(caller, &admin.permissions)?;
    admin.keep_second_factor_of(&model::Admin::default());
    Ok(services.store.add_admin(admin).await?)
}

/// One administrator.
#[utoipa::path(
    get,
    path = "/api/v2/admins/{username}",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator")),
    responses(
        (status = 200, description = "The administrator", body = model::Admin),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_admins is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
    )
)]
pub async fn get(
    _admin: Admin<ManageAdmins>,
    binding: Data<Binding>,
    username: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let mut admin = found(store.admin(&username).await?, "admin", &username)?;
    admin.hide_confidential();
    Ok(HttpResponse::Ok().json(admin))
}

/// Replaces an administrator: what is left out gets its default, only an absent
/// password is kept, and the second factor, which everybody changes alone. Nobody can disable oneself.
#[utoipa::path(
    put,
    path = "/api/v2/admins/{username}",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator")),
    request_body = model::Admin,
    responses(
        (status = 200, description = "The administrator was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong, or it would disable the caller",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "A permission is missing", body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
    )
)]
pub async fn update(
    caller: Admin<ManageAdmins>,
    binding: Data<Binding>,
    username: Path<String>,
    body: Body<model::Admin>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let stored = found(services.store.admin(&username).await?, "admin", &username)?;
    replace(services, &caller, stored, body.read().await?).await?;
    Ok(ok("Admin updated"))
}

/// Replaces the administrator `stored` by `admin`, but for the name and the second factor.
///
/// # Errors
/// 400 naming the field that is wrong, 403 naming the permission that the caller lacks.
pub async fn replace(
    services: &Services,
    caller: &Admin<ManageAdmins>,
    stored: model::Admin,
    mut admin: model::Admin,
) -> Result<(), ApiError> {
    must_cover(caller, &stored.permissions)?;
    must_cover(caller, &admin.permissions)?;
    if stored.username == caller.username() && !admin.is_enabled() {
        return Err(ApiError::bad_request("status: you cannot disable yourself"));
    }
    admin.keep_second_factor_of(&stored);
    admin.username = stored.username;
    services.store.update_admin(admin).await?;
    Ok(())
}

/// Deletes an administrator; nobody can delete oneself.
#[utoipa::path(
    delete,
    path = "/api/v2/admins/{username}",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator")),
    responses(
        (status = 200, description = "The administrator is gone", body = ApiResponse),
        (status = 400, description = "It is the caller", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "A permission is missing", body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
    )
)]
pub async fn delete(
    caller: Admin<ManageAdmins>,
    binding: Data<Binding>,
    username: Path<String>,
) -> Result<HttpResponse, ApiError> {
    remove(&binding.services, &caller, &username).await?;
    Ok(ok("Admin deleted"))
}

/// Deletes an administrator other than the caller.
///
/// # Errors
/// 400 for the caller, 403 naming the permission that the caller lacks, 404 if there is none.
pub async fn remove(
    services: &Services,
    caller: &Admin<ManageAdmins>,
    username: &str,
) -> Result<(), ApiError> {
    let stored = found(services.store.admin(username).await?, "admin", username)?;
    if stored.username == caller.username() {
        return Err(ApiError::bad_request("you cannot delete yourself"));
    }
    must_cover(caller, &stored.permissions)?;
    Ok(services.store.delete_admin(&stored.username).await?)
}

/// A change of one's own password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PwdChange)]
pub struct PasswordChange {
    #[schema(value_type = String)]
    pub current_password: Password,
    #[schema(value_type = String)]
    pub new_password: Password,
}

/// Changes the password of an administrator who knows the current one.
///
/// # Errors
/// 400 naming the field that is wrong.
pub async fn change_own_password(
    services: &Services,
    username: &str,
    change: PasswordChange,
    ip: IpAddr,
) -> Result<(), ApiError> {
    if change.new_password.is_empty() {
        return Err(ApiError::bad_request("new_password: must not be empty"));
    }
    if change.new_password == change.current_password {
        return Err(ApiError::bad_request("new_password: is the current one"));
    }
    if change.new_password.is_hashed() {
        // It would be stored as it is, and nobody knows what it is the hash of.
        return Err(ApiError::bad_request("new_password: looks like a hash, not like a password"));
    }
    let login = services.login.admin(username, change.current_password.as_str(), ip);
    let admin = match login.await {
        Ok(admin) => admin,
        Err(LoginFailure::Unavailable(error)) => return Err(error.into()),
        Err(_) => return Err(ApiError::bad_request("current_password: is wrong")),
    };
    let changed = model::Admin { password: change.new_password, ..(*admin).clone() };
    services.store.update_admin(changed).await?;
    Ok(())
}

/// Changes the caller's own password.
#[utoipa::path(
    put,
    path = "/api/v2/admin/changepwd",
    tag = "admins",
    security(("BearerAuth" = [])),
    request_body = PasswordChange,
    responses(
        (status = 200, description = "The password was changed", body = ApiResponse),
        (status = 400, description = "The current password is wrong, or the new one not allowed",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn change_password(
    caller: Admin<Anything>,
    binding: Data<Binding>,
    request: HttpRequest,
    body: Body<PasswordChange>,
) -> Result<HttpResponse, ApiError> {
    let ip = Peer::of(&request).ip;
    change_own_password(&binding.services, caller.username(), body.read().await?, ip).await?;
    Ok(ok("Password updated"))
}

/// Refuses unless the caller holds every one of `permissions`.
fn must_cover(
    caller: &Admin<ManageAdmins>,
    permissions: &[AdminPermission],
) -> Result<(), ApiError> {
    match permissions.iter().find(|permission| !caller.may(**permission)) {
        None => Ok(()),
        Some(missing) => Err(ApiError::forbidden(format!(
            "the permission \"{}\" is not yours to give, change or take away",
            missing.as_str()
        ))),
    }
}
