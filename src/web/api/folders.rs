//! Folders: directories that users can have mounted.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use actors::AccountId;

use crate::model::Folder;
use crate::provider;
use crate::web::api::{found, locate};
use crate::web::app::{Binding, Services};
use crate::web::auth::{Admin, ManageFolders, Right};
use crate::web::body::Body;
use crate::web::error::ApiError;
use crate::web::paging::PagingQuery;
use crate::web::query::Confidential;
use crate::web::response::{ApiResponse, created, ok};

/// All folders.
#[utoipa::path(
    get,
    path = "/api/v2/folders",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(PagingQuery),
    responses(
        (status = 200, description = "The folders in the order of their names", body = [Folder]),
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
) -> Result<HttpResponse, ApiError> {
    let page = paging.page()?.into();
    Ok(HttpResponse::Ok().json(list_for(&binding.services, &admin, page).await?))
}

/// A page of the folders as `admin` may see them.
pub async fn list_for<R: Right>(
    services: &Services,
    admin: &Admin<R>,
    page: provider::Page,
) -> Result<Vec<Folder>, ApiError> {
    services.store_settled_usage().await;
    let mut folders = services.store.folders(page).await?;
    let visible = services.users_of(admin).names().await?;
    for folder in &mut folders {
        folder.hide_confidential();
        visible.retain(&mut folder.users);
    }
    Ok(folders)
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
        (status = 200, description = "The folder", body = Folder),
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
    Ok(HttpResponse::Ok().json(shown(folder, show_all)))
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
    params(("name" = String, Path, description = "The name of the folder")),
    request_body = Folder,
    responses(
        (status = 200, description = "The folder was changed", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
    )
)]
pub async fn update(
    _admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    name: Path<String>,
    body: Body<Folder>,
) -> Result<HttpResponse, ApiError> {
    let store = &binding.services.store;
    let stored = found(store.folder(&name).await?, "folder", &name)?;
    let mut folder = body.read().await?;
    folder.name = stored.name;
    store.update_folder(folder).await?;
    Ok(ok("Folder updated"))
}

/// Deletes a folder and takes it out of the accounts that mount it. Files are left alone.
#[utoipa::path(
    delete,
    path = "/api/v2/folders/{name}",
    tag = "folders",
    security(("BearerAuth" = [])),
    params(("name" = String, Path, description = "The name of the folder")),
    responses(
        (status = 200, description = "The folder is gone", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission manage_folders is missing",
            body = ApiResponse),
        (status = 404, description = "There is no such folder", body = ApiResponse),
    )
)]
pub async fn delete(
    _admin: Admin<ManageFolders>,
    binding: Data<Binding>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    remove(&binding.services, &name).await?;
    Ok(ok("Folder deleted"))
}

/// Deletes a folder, takes it out of the accounts that mount it, and forgets its usage.
///
/// # Errors
/// 404 if there is none.
pub async fn remove(services: &Services, name: &str) -> Result<(), ApiError> {
    let folder = found(services.store.folder(name).await?, "folder", name)?;
    services.store.delete_folder(&folder.name).await?;
    services.quota.forget(AccountId::folder(folder.name)).await;
    Ok(())
}

fn shown(mut folder: Folder, show_all: bool) -> Folder {
    if !show_all {
        folder.hide_confidential();
    }
    folder
}
