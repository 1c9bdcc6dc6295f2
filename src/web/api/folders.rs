//! Folders: directories that users can have mounted.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use actors::AccountId;

use crate::error;
use crate::model::Folder;
use crate::provider::{FolderQuery, Page};
use crate::web::error::ApiError;
use crate::web::error::found;
use crate::web::operations::object_query::FolderListQuery;
use crate::web::operations::versions::{IfMatch, IfMatchHeader};
use crate::web::request::auth::{Admin, ManageFolders, Right};
use crate::web::request::body::Body;
use crate::web::request::paging::PagingQuery;
use crate::web::request::query::Confidential;
use crate::web::response::{ApiResponse, created, listed, ok, tagged};
use crate::web::services::{Binding, Services};
use crate::web::url::locate;

/// All folders.
#[utoipa::path(
    get,
    path = "/api/v2/folders",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(PagingQuery, FolderListQuery),
    responses(
        (status = 200, description = "A page of the folders", body = [Folder],
            headers(("X-Total-Count" = u64, description = "How many there are on all pages"))),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
    )
)]
pub async fn list(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    paging: Query<PagingQuery>,
    query: Query<FolderListQuery>,
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?.into();
    let query = query.checked()?;
    let (folders, total) = list_for(&binding.services, &admin, query, page).await?;
    Ok(listed(&folders, total))
}

/// A page of the folders that a query finds, as `admin` may see them, and how many there
/// are on all pages.
pub async fn list_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    query: FolderQuery,
    page: Page,
) -> Result<(Vec<Folder>, u64), ApiError> {
    services.store_settled_usage().await;
    let query = FolderQuery { role: admin.role().map(str::to_owned), ..query };
    let (mut folders, total) = services.store.find_folders(query, page).await?;
    let visible = services.users_of(admin).names().await?;
    for folder in &mut folders {
        folder.hide_confidential();
        visible.retain(&mut folder.users);
    }
    Ok((folders, total))
}

/// Adds a folder. Its counters stay 0 until a scan.
#[utoipa::path(
    post,
    path = "/api/v2/folders",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(Confidential),
    request_body = Folder,
    responses(
        (status = 201, description = "The new folder; Location says where it is", body = Folder),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 409, description = "The name is taken", body = ApiResponse),
    )
)]
pub async fn create(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    confidential: Query<Confidential>,
    body: Body<Folder>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let folder = binding.services.store.add_folder(body.read().await?).await?;
    Ok(created(locate("folders", &folder.name), &shown(folder, show_all)))
}

/// One folder.
#[utoipa::path(
    get,
    path = "/api/v2/folders/{name}",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder"), Confidential),
    responses(
        (status = 200, description = "The folder", body = Folder,
            headers(("ETag" = String, description = "Its state, for If-Match"))),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
    )
)]
pub async fn get(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    name: Path<String>,
    confidential: Query<Confidential>,
) -> Result<HttpResponse, ApiError> {
    let show_all = confidential.is_asked_by(&admin)?;
    let folder = get_for(&binding.services, &admin, &name).await?;
    Ok(tagged(&shown(folder, show_all)))
}

/// One folder as `admin` may see it.
///
/// # Errors
/// 404 if there is none.
pub async fn get_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    name: &str,
) -> Result<Folder, ApiError> {
    services.store_settled_usage().await;
    let mut folder = found(services.store.folder(name).await?, "folder", name)?;
    services.users_of(admin).names().await?.retain(&mut folder.users);
    Ok(folder)
}

/// Replaces a folder: what is left out gets its default. It stays where it is mounted, and
/// users see the change with their next login.
#[utoipa::path(
    put,
    path = "/api/v2/folders/{name}",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder"), IfMatchHeader),
    request_body = Folder,
    responses(
        (status = 200, description = "The folder was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn update(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
    body: Body<Folder>,
) -> Result<HttpResponse, ApiError> {
    let services = &binding.services;
    let stored = found(services.store.folder(&name).await?, "folder", &name)?;
    let mut folder = body.read().await?;
    folder.name = stored.name;
    let permit = as_seen(services, &admin, if_match).await?;
    services.store.update_folder_if(folder, permit).await?;
    Ok(ok("Folder updated"))
}

/// What `admin` sees of a folder must be what `if_match` says.
pub async fn as_seen<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    if_match: IfMatch,
) -> Result<impl Fn(&Folder) -> error::Result<()> + Send + 'static, ApiError> {
    let visible = services.users_of(admin).names().await?;
    Ok(move |stored: &Folder| {
        let mut seen = stored.clone();
        visible.retain(&mut seen.users);
        if_match.require(&seen)
    })
}

/// Deletes a folder and takes it out of the accounts that mount it. Files are left alone.
#[utoipa::path(
    delete,
    path = "/api/v2/folders/{name}",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder"), IfMatchHeader),
    responses(
        (status = 200, description = "The folder is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
        (status = 412, description = "It is not what If-Match says", body = ApiResponse),
    )
)]
pub async fn delete(
    admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    name: Path<String>,
    if_match: IfMatch,
) -> Result<HttpResponse, ApiError> {
    let permit = as_seen(&binding.services, &admin, if_match).await?;
    remove_if(&binding.services, &name, permit).await?;
    Ok(ok("Folder deleted"))
}

/// Deletes a folder if `permit` agrees, takes it out of the accounts that mount it, and
/// forgets its usage.
///
/// # Errors
/// 404 if there is none.
pub async fn remove_if(
    services: &Services,
    name: &str,
    permit: impl Fn(&Folder) -> error::Result<()> + Send + 'static,
) -> Result<(), ApiError> {
    let folder = found(services.store.folder(name).await?, "folder", name)?;
    services.store.delete_folder_if(&folder.name, permit).await?;
    services.quota.forget(AccountId::folder(folder.name)).await;
    Ok(())
}

fn shown(mut folder: Folder, show_all: bool) -> Folder {
    if !show_all {
        folder.hide_confidential();
    }
    folder
}
