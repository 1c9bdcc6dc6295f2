//! Groups: settings that many users share.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};

use crate::model::Group;
use crate::web::api::{found, locate};
use crate::web::app::Binding;
use crate::web::auth::{Admin, ManageGroups};
use crate::web::body::Body;
use crate::web::error::ApiError;
use crate::web::paging::PagingQuery;
use crate::web::query::Confidential;
use crate::web::response::{ApiResponse, created, ok};

/// All groups.
#[utoipa::path(
    get,
    path = "/api/v2/groups",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(PagingQuery),
    responses(
        (status = 200, description = "The groups in the order of their names", body = [Group]),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
    )
)]
pub async fn list(
    _admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?;
    let services = &binding.services;
    services.store_settled_usage().await;
    let mut groups = services.store.groups(page.into()).await?;
    groups.iter_mut().for_each(Group::hide_confidential);
    Ok(HttpResponse::Ok().json(groups))
}

/// Adds a group.
#[utoipa::path(
    post,
    path = "/api/v2/groups",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(Confidential),
    request_body = Group,
    responses(
        (status = 201, description = "The new group; Location says where it is", body = Group),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 409, description = "The name is taken", body = ApiResponse),
    )
)]
pub async fn create(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    confidential: Query<Confidential>,
    body: Body<Group>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let group = binding.services.store.add_group(body.read().await?).await?;
    Ok(created(locate("groups", &group.name), &shown(group, show_all)))
}

/// One group.
#[utoipa::path(
    get,
    path = "/api/v2/groups/{name}",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the group"), Confidential),
    responses(
        (status = 200, description = "The group", body = Group),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such group", body = ApiResponse),
    )
)]
pub async fn get(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    name: Path<String>,
    confidential: Query<Confidential>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let services = &binding.services;
    services.store_settled_usage().await;
    let group = found(services.store.group(&name).await?, "group", &name)?;
    Ok(HttpResponse::Ok().json(shown(group, show_all)))
}

/// Replaces a group: what is left out gets its default. Its users stay in it, and see the
/// change with their next login.
#[utoipa::path(
    put,
    path = "/api/v2/groups/{name}",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the group")),
    request_body = Group,
    responses(
        (status = 200, description = "The group was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such group", body = ApiResponse),
    )
)]
pub async fn update(
    _admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    name: Path<String>,
    body: Body<Group>,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let stored = found(store.group(&name).await?, "group", &name)?;
    let mut group = body.read().await?;
    group.name = stored.name;
    store.update_group(group).await?;
    Ok(ok("Group updated"))
}

/// Deletes a group that has no users.
#[utoipa::path(
    delete,
    path = "/api/v2/groups/{name}",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the group")),
    responses(
        (status = 200, description = "The group is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such group", body = ApiResponse),
        (status = 409, description = "Users are in the group", body = ApiResponse),
    )
)]
pub async fn delete(
    _admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let group = found(store.group(&name).await?, "group", &name)?;
    store.delete_group(&group.name).await?;
    Ok(ok("Group deleted"))
}

fn shown(mut group: Group, show_all: bool) -> Group {
    if !show_all {
        group.hide_confidential();
    }
    group
}
