//! Roles: which administrators look after which users.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};

use crate::model::Role;
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::object_query::RoleListQuery;
use crate::web::operations::versions::{IfMatch, IfMatchHeader};
use crate::web::request::auth::{Admin, ManageRoles};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::response::{ApiResponse, created, listed, ok, tagged};
use crate::web::services::Binding;
use crate::web::url::locate;

/// All roles.
#[utoipa::path(
    get,
    path = "/api/v2/roles",
    tag = "roles",
    security(("BearerAuth" = [])),
    params(PagingQuery, RoleListQuery),
    responses(
        (status = 200, description = "A page of the roles", body = [Role],
            headers(("X-Total-Count" = u64, description = "How many there are on all pages"))),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
    )
)]
pub async fn list(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
    query: Query<RoleListQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?;
    let (roles, total) = binding.services.store.find_roles(query.checked()?, page.into()).await?;
    Ok(listed(&roles, total))
}

/// Adds a role, which nobody has yet.
#[utoipa::path(
    post,
    path = "/api/v2/roles",
    tag = "roles",
    security(("BearerAuth" = [])),
    request_body = Role,
    responses(
        (status = 201, description = "The new role; Location says where it is", body = Role),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
        (status = 409, description = "The name is taken", body = ApiResponse),
    )
)]
pub async fn create(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    body: Body<Role>,
) -> Result<HttpResponse, ApiError> {
    let role = binding.services.store.add_role(body.read().await?).await?;
    Ok(created(locate("roles", &role.name), &role))
}

/// One role with the names of the users and administrators that have it.
#[utoipa::path(
    get,
    path = "/api/v2/roles/{name}",
    tag = "roles",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the role")),
    responses(
        (status = 200, description = "The role", body = Role,
            headers(("ETag" = String, description = "Its state, for If-Match"))),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
        (status = 404, description = "There is no such role", body = ApiResponse),
    )
)]
pub async fn get(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let role = found(binding.services.store.role(&name).await?, "role", &name)?;
    Ok(tagged(&role))
}

/// Replaces a role: what is left out gets its default. Who has it stays.
#[utoipa::path(
    put,
    path = "/api/v2/roles/{name}",
    tag = "roles",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the role"), IfMatchHeader),
    request_body = Role,
    responses(
        (status = 200, description = "The role was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
        (status = 404, description = "There is no such role", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn update(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
    body: Body<Role>,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let stored = found(store.role(&name).await?, "role", &name)?;
    let mut role = body.read().await?;
    role.name = stored.name;
    store.update_role_if(role, move |stored| if_match.require(stored)).await?;
    Ok(ok("Role updated"))
}

/// Deletes a role and takes it from its users. As long as an administrator has it,
/// it stays: without it that administrator would see everybody's users.
#[utoipa::path(
    delete,
    path = "/api/v2/roles/{name}",
    tag = "roles",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the role"), IfMatchHeader),
    responses(
        (status = 200, description = "The role is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
        (status = 404, description = "There is no such role", body = ApiResponse),
        (status = 409, description = "An administrator has it", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn delete(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let role = found(store.role(&name).await?, "role", &name)?;
    store.delete_role_if(&role.name, move |stored| if_match.require(stored)).await?;
    Ok(ok("Role deleted"))
}
