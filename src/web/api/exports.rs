//! Lists as files, for spreadsheets and for scripts.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};

use crate::model::{self, Folder, Group, Role, User};
use crate::web::api::{admins, connections, folders, groups};
use crate::web::error::ApiError;
use crate::web::operations::export::{ExportQuery, all, file};
use crate::web::operations::live::ConnectionStatus;
use crate::web::operations::object_query::{
    AdminListQuery, FolderListQuery, GroupListQuery, RoleListQuery,
};
use crate::web::operations::user_query::UserListQuery;
use crate::web::request::auth::{
    Admin, ManageAdmins, ManageFolders, ManageGroups, ManageRoles, Right, ViewConnections,
    ViewUsers,
};
use crate::web::response::ApiResponse;
use crate::web::services::{Binding, Services};

/// All users that a query finds, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/users",
    tag = "export",
    security(("BearerAuth" = [])),
    params(UserListQuery, ExportQuery),
    responses(
        (status = 200, description = "The users", content(
            (String = "text/csv"), ([User] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_users is missing", body = ApiResponse),
    )
)]
pub async fn users(
    admin: Admin<ViewUsers>,
    binding: Data<Binding>,
    query: Query<UserListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    let users = binding.services.all_users(&admin, &query).await?;
    Ok(file("users", export.format, &users))
}

/// All folders that a query finds, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/folders",
    tag = "export",
    security(("BearerAuth" = [])),
    params(FolderListQuery, ExportQuery),
    responses(
        (status = 200, description = "The folders", content(
            (String = "text/csv"), ([Folder] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing", body = ApiResponse),
    )
)]
pub async fn folders(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    query: Query<FolderListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    folders_for(&binding.services, &admin, &query, &export).await
}

/// The same for pages.
pub async fn folders_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    query: &FolderListQuery,
    export: &ExportQuery,
) -> Result<HttpResponse, ApiError> {
    let query = query.checked()?;
    let find = async |page| folders::list_for(services, admin, query.clone(), page).await;
    Ok(file("folders", export.format, &all(find).await?))
}

/// All groups that a query finds, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/groups",
    tag = "export",
    security(("BearerAuth" = [])),
    params(GroupListQuery, ExportQuery),
    responses(
        (status = 200, description = "The groups", content(
            (String = "text/csv"), ([Group] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_groups is missing", body = ApiResponse),
    )
)]
pub async fn groups(
    admin: Admin<ManageGroups>,
    binding: Data<Binding>,
    query: Query<GroupListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    groups_for(&binding.services, &admin, &query, &export).await
}

/// The same for pages.
pub async fn groups_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    query: &GroupListQuery,
    export: &ExportQuery,
) -> Result<HttpResponse, ApiError> {
    let query = query.checked()?;
    let find = async |page| groups::list_for(services, admin, query.clone(), page).await;
    Ok(file("groups", export.format, &all(find).await?))
}

/// All roles that a query finds, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/roles",
    tag = "export",
    security(("BearerAuth" = [])),
    params(RoleListQuery, ExportQuery),
    responses(
        (status = 200, description = "The roles", content(
            (String = "text/csv"), ([Role] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_roles is missing", body = ApiResponse),
    )
)]
pub async fn roles(
    _admin: Admin<ManageRoles>,
    binding: Data<Binding>,
    query: Query<RoleListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    roles_for(&binding.services, &query, &export).await
}

/// The same for pages.
pub async fn roles_for(
    services: &Services,
    query: &RoleListQuery,
    export: &ExportQuery,
) -> Result<HttpResponse, ApiError> {
    let query = query.checked()?;
    let find = async |page| Ok(services.store.find_roles(query.clone(), page).await?);
    Ok(file("roles", export.format, &all(find).await?))
}

/// All administrators that a query finds, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/admins",
    tag = "export",
    security(("BearerAuth" = [])),
    params(AdminListQuery, ExportQuery),
    responses(
        (status = 200, description = "The administrators", content(
            (String = "text/csv"), ([model::Admin] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_admins is missing", body = ApiResponse),
    )
)]
pub async fn admins(
    _admin: Admin<ManageAdmins>,
    binding: Data<Binding>,
    query: Query<AdminListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    admins_for(&binding.services, &query, &export).await
}

/// The same for pages.
pub async fn admins_for(
    services: &Services,
    query: &AdminListQuery,
    export: &ExportQuery,
) -> Result<HttpResponse, ApiError> {
    let query = query.checked()?;
    let find = async |page| admins::list_for(services, query.clone(), page).await;
    Ok(file("admins", export.format, &all(find).await?))
}

/// All sessions, as a table or as objects.
#[utoipa::path(
    get,
    path = "/api/v2/export/connections",
    tag = "export",
    security(("BearerAuth" = [])),
    params(ExportQuery),
    responses(
        (status = 200, description = "The sessions", content(
            (String = "text/csv"), ([ConnectionStatus] = "application/json")
        )),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_conns is missing", body = ApiResponse),
    )
)]
pub async fn connections(
    admin: Admin<ViewConnections>,
    binding: Data<Binding>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, ApiError> {
    let sessions = connections::list_for(&binding.services, &admin, false).await?;
    Ok(file("connections", export.format, &sessions))
}
