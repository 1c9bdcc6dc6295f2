//! Administrators, who cannot give, change or take away more than they hold.

use std::net::IpAddr;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::LoginFailure;
use crate::error::{self, Error, ErrorKind};
use crate::model::{self, AdminPermission, Password};
use crate::provider::{AdminQuery, Page};
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::object_query::AdminListQuery;
use crate::web::operations::versions::{IfMatch, IfMatchHeader};
use crate::web::request::auth::{Admin, ManageAdmins, OwnAccount};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::request::peer::Peer;
use crate::web::response::{ApiResponse, created, listed, ok, tagged};
use crate::web::services::{Binding, Services};
use crate::web::url::locate;

/// All administrators.
#[utoipa::path(
    get,
    path = "/api/v2/admins",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(PagingQuery, AdminListQuery),
    responses(
        (status = 200, description = "A page of the administrators", body = [model::Admin],
            headers(("X-Total-Count" = u64, description = "How many there are on all pages"))),
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
    query: Query<AdminListQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?.into();
    let (admins, total) = list_for(&binding.services, query.checked()?, page).await?;
    Ok(listed(&admins, total))
}

/// A page of the administrators that a query finds, and how many there are on all pages.
pub async fn list_for(
    services: &Services,
    query: AdminQuery,
    page: Page,
) -> Result<(Vec<model::Admin>, u64), ApiError> {
    let (mut admins, total) = services.store.find_admins(query, page).await?;
    admins.iter_mut().for_each(model::Admin::hide_confidential);
    Ok((admins, total))
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
    must_cover(caller.account(), &admin.permissions)?;
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
        (status = 200, description = "The administrator", body = model::Admin,
            headers(("ETag" = String, description = "Its state, for If-Match"))),
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
    Ok(tagged(&admin))
}

/// Replaces an administrator: what is left out gets its default, only an absent
/// password is kept, and the second factor, which everybody changes alone. Nobody can disable oneself.
#[utoipa::path(
    put,
    path = "/api/v2/admins/{username}",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator"), IfMatchHeader),
    request_body = model::Admin,
    responses(
        (status = 200, description = "The administrator was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong, or it would disable the caller",
            body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "A permission is missing", body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn update(
    caller: Admin<ManageAdmins>,
    binding: Data<Binding>,
    username: Path<String>,
    if_match: IfMatch,
    body: Body<model::Admin>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let stored = found(services.store.admin(&username).await?, "admin", &username)?;
    let admin = model::Admin { username: stored.username, ..body.read().await? };
    replace_if(services, &caller, admin, move |stored| if_match.require(stored)).await?;
    Ok(ok("Admin updated"))
}

/// Replaces the administrator of this name but for the second factor, if `permit` agrees.
///
/// # Errors
/// 400 naming the field that is wrong, 403 naming the permission that the caller lacks.
pub async fn replace_if(
    services: &Services,
    caller: &Admin<ManageAdmins>,
    admin: model::Admin,
    permit: impl Fn(&model::Admin) -> error::Result<()> + Send + 'static,
) -> Result<(), ApiError> {
    let held = caller.account().clone();
    must_cover(&held, &admin.permissions)?;
    if admin.username == held.username && !admin.is_enabled() {
        return Err(ApiError::bad_request("status: you cannot disable yourself"));
    }
    let permit = move |stored: &model::Admin| {
        must_cover(&held, &stored.permissions)?;
        permit(stored)
    };
    services.store.update_admin_if(admin, permit).await?;
    Ok(())
}

/// Deletes an administrator; nobody can delete oneself.
#[utoipa::path(
    delete,
    path = "/api/v2/admins/{username}",
    tag = "admins",
    security(("BearerAuth" = [])),
    params(("username" = String, Path, description = "The name of the administrator"), IfMatchHeader),
    responses(
        (status = 200, description = "The administrator is gone", body = ApiResponse),
        (status = 400, description = "It is the caller", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "A permission is missing", body = ApiResponse),
        (status = 404, description = "There is no such administrator", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn delete(
    caller: Admin<ManageAdmins>,
    binding: Data<Binding>,
    username: Path<String>,
    if_match: IfMatch,
) -> Result<HttpResponse, ApiError> {
    let permit = move |stored: &model::Admin| if_match.require(stored);
    remove_if(&binding.services, &caller, &username, permit).await?;
    Ok(ok("Admin deleted"))
}

/// Deletes an administrator other than the caller, if `permit` agrees.
///
/// # Errors
/// 400 for the caller, 403 naming the permission that the caller lacks, 404 if there is none.
pub async fn remove_if(
    services: &Services,
    caller: &Admin<ManageAdmins>,
    username: &str,
    permit: impl Fn(&model::Admin) -> error::Result<()> + Send + 'static,
) -> Result<(), ApiError> {
    let stored = found(services.store.admin(username).await?, "admin", username)?;
    if stored.username == caller.username() {
        return Err(ApiError::bad_request("you cannot delete yourself"));
    }
    let held = caller.account().clone();
    let permit = move |stored: &model::Admin| {
        must_cover(&held, &stored.permissions)?;
        permit(stored)
    };
    Ok(services.store.delete_admin_if(&stored.username, permit).await?)
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
    services.store.set_admin_password(&admin.username, change.new_password).await?;
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
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    request: HttpRequest,
    body: Body<PasswordChange>,
) -> Result<HttpResponse, ApiError> {
    let ip = Peer::of(&request).ip;
    change_own_password(&binding.services, caller.username(), body.read().await?, ip).await?;
    Ok(ok("Password updated"))
}

/// Refuses unless the caller holds every one of `permissions`.
fn must_cover(caller: &model::Admin, permissions: &[AdminPermission]) -> error::Result<()> {
    match permissions.iter().find(|permission| !caller.may(**permission)) {
        None => Ok(()),
        Some(missing) => Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "the permission \"{}\" is not yours to give, change or take away",
                missing.as_str()
            ),
        )),
    }
}
