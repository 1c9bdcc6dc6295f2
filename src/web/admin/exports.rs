//! The lists of folders, groups, roles, admins and connections as files.

use actix_web::HttpResponse;
use actix_web::web::Query;

use super::connections::Wanted;
use crate::web::api::{connections, exports};
use crate::web::operations::export::{ExportQuery, file};
use crate::web::operations::live::ConnectionStatus;
use crate::web::operations::object_query::{
    AdminListQuery, FolderListQuery, GroupListQuery, RoleListQuery,
};
use crate::web::pages::error::PageError;
use crate::web::pages::signed::Signed;
use crate::web::request::auth::{
    ManageAdmins, ManageFolders, ManageGroups, ManageRoles, ViewConnections,
};

pub async fn folders(
    by: Signed<ManageFolders>,
    query: Query<FolderListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    Ok(exports::folders_for(by.services(), &by.admin, &query, &export).await?)
}

pub async fn groups(
    by: Signed<ManageGroups>,
    query: Query<GroupListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    Ok(exports::groups_for(by.services(), &by.admin, &query, &export).await?)
}

pub async fn roles(
    by: Signed<ManageRoles>,
    query: Query<RoleListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    Ok(exports::roles_for(by.services(), &query, &export).await?)
}

pub async fn admins(
    by: Signed<ManageAdmins>,
    query: Query<AdminListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    Ok(exports::admins_for(by.services(), &query, &export).await?)
}

/// The sessions that the filter of the page finds, in its order.
pub async fn sessions(
    by: Signed<ViewConnections>,
    wanted: Query<Wanted>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    let sessions = connections::list_for(by.services(), &by.admin, false).await?;
    let sessions: Vec<&ConnectionStatus> = sessions.iter().collect();
    let chosen: Vec<ConnectionStatus> = wanted.chosen(&sessions).into_iter().cloned().collect();
    Ok(file("connections", export.format, &chosen))
}
