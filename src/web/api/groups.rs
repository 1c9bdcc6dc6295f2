//! Groups: settings that many users share.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};

use crate::error;
use crate::model::Group;
use crate::provider::{GroupQuery, Page};
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::object_query::GroupListQuery;
use crate::web::operations::scope::VisibleNames;
use crate::web::operations::versions::{IfMatch, IfMatchHeader};
use crate::web::request::auth::{Admin, ManageGroups, Right};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::request::query::Confidential;
use crate::web::response::{ApiResponse, created, listed, ok, tagged};
use crate::web::services::{Binding, Services};
use crate::web::url::locate;

/// All groups.
#[utoipa::path(
    get,
    path = "/api/v2/groups",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(PagingQuery, GroupListQuery),
    responses(
        (status = 200, description = "A page of the groups", body = [Group],
            headers(("X-Total-Count" = u64, description = "How many there are on all pages"))),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
    query: Query<GroupListQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?.into();
    let query = query.checked()?;
    let (groups, total) = list_for(&binding.services, &admin, query, page).await?;
    Ok(listed(&groups, total))
}

/// A page of the groups that a query finds, as `admin` may see them, and how many there
/// are on all pages.
pub async fn list_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    query: GroupQuery,
    page: Page,
) -> Result<(Vec<Group>, u64), ApiError> {
    services.store_settled_usage().await;
    let query = GroupQuery { role: admin.role().map(str::to_owned), ..query };
    let (mut groups, total) = services.store.find_groups(query, page).await?;
    let visible = services.users_of(admin).names().await?;
    for group in &mut groups {
        group.hide_confidential();
        hide_others(group, &visible);
    }
    Ok((groups, total))
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
        (status = 200, description = "The group", body = Group,
            headers(("ETag" = String, description = "Its state, for If-Match"))),
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
    let group = get_for(&binding.services, &admin, &name).await?;
    Ok(tagged(&shown(group, show_all)))
}

/// One group as `admin` may see it.
///
/// # Errors
/// 404 if there is none.
pub async fn get_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    name: &str,
) -> Result<Group, ApiError> {
    services.store_settled_usage().await;
    let mut group = found(services.store.group(name).await?, "group", name)?;
    hide_others(&mut group, &services.users_of(admin).names().await?);
    Ok(group)
}

/// Replaces a group: what is left out gets its default. Its users stay in it, and see the
/// change with their next login; sessions end if the group now says so.
#[utoipa::path(
    put,
    path = "/api/v2/groups/{name}",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the group"), IfMatchHeader),
    request_body = Group,
    responses(
        (status = 200, description = "The group was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such group", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn update(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
    body: Body<Group>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let stored = found(services.store.group(&name).await?, "group", &name)?;
    let mut group = body.read().await?;
    group.name = stored.name;
    let permit = as_seen(services, &admin, if_match).await?;
    services.replace_group_if(group, permit).await?;
    Ok(ok("Group updated"))
}

/// What `admin` sees of a group must be what `if_match` says.
pub async fn as_seen<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    if_match: IfMatch,
) -> Result<impl Fn(&Group) -> error::Result<()> + Send + 'static, ApiError> {
    let visible = services.users_of(admin).names().await?;
    Ok(move |stored: &Group| {
        let mut seen = stored.clone();
        hide_others(&mut seen, &visible);
        if_match.require(&seen)
    })
}

/// Deletes a group that has no users.
#[utoipa::path(
    delete,
    path = "/api/v2/groups/{name}",
    tag = "groups",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the group"), IfMatchHeader),
    responses(
        (status = 200, description = "The group is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such group", body = ApiResponse),
        (status = 409, description = "Users are in the group", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn delete(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
) -> Result<HttpResponse, ApiError> {
    let permit = as_seen(&binding.services, &admin, if_match).await?;
    remove_if(&binding.services, &admin, &name, permit).await?;
    Ok(ok("Group deleted"))
}

/// Deletes a group that has no users, if `permit` agrees.
///
/// # Errors
/// 404 if there is none, 409 if users are in it.
pub async fn remove_if<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    name: &str,
    permit: impl Fn(&Group) -> error::Result<()> + Send + 'static,
) -> Result<(), ApiError> {
    let group = found(services.store.group(name).await?, "group", name)?;
    let deleted = services.store.delete_group_if(&group.name, permit).await;
    let told = format!("group {:?}: users are in it", group.name);
    deleted.map_err(|error| services.users_of(admin).told(error, &told))
}

/// Takes out the users that the caller may not see; then administrators are not the
/// caller's business either.
fn hide_others(group: &mut Group, visible: &VisibleNames) {
    visible.retain(&mut group.users);
    if !visible.are_all() {
        group.admins.clear();
    }
}

fn shown(mut group: Group, show_all: bool) -> Group {
    if !show_all {
        group.hide_confidential();
    }
    group
}
