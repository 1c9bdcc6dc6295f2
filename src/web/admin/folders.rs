//! Folders: what is mounted where, and how full it is.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{Deletion, ListQuery, Listed, all, may_view_users, note_refusal};
use crate::model::{AdminPermission, Folder};
use crate::web::api::folders::{get_for, list_for, remove};
use crate::web::api::quotas::folder_scans;
use crate::web::api::segment;
use crate::web::auth::ManageFolders;
use crate::web::pages::error::PageError;
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};

const FIELDS: [&str; 3] = ["name", "mapped_path", "description"];

pub async fn list(
    signed: Signed<ManageFolders>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let folders = all(async |page| list_for(services, &signed.admin, page).await).await?;
    let used: u64 = folders.iter().map(|folder| count(folder.used_quota_size)).sum();
    let unused = folders.iter().filter(|f| f.users.is_empty() && f.groups.is_empty()).count();
    let scanned = scanned(&signed).await;
    let listed = Listed::of(folders, &query, |folder| {
        format!("{}\n{}\n{}", folder.name, folder.mapped_path, folder.description)
    });
    let content = json!({
        "list": listed.frame(&query),
        "used": used,
        "unused": unused,
        "folders": listed.shown.iter().map(|f| facts(f, &scanned)).collect::<Vec<_>>(),
        "can_scan": signed.admin.may(AdminPermission::QuotaScans),
        "links_users": may_view_users(&signed),
        "links_groups": signed.admin.may(AdminPermission::ManageGroups),
    });
    signed.page("admin/folders.html", "folders", "Folders", content).await
}

/// The names of the folders that are being counted.
async fn scanned(signed: &Signed<ManageFolders>) -> HashSet<String> {
    folder_scans(signed.services()).await.into_iter().map(|scan| scan.name).collect()
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn facts(folder: &Folder, scanned: &HashSet<String>) -> Value {
    json!({
        "name": folder.name,
        "mapped_path": folder.mapped_path,
        "description": folder.description,
        "users": folder.users,
        "groups": folder.groups,
        "used_size": count(folder.used_quota_size),
        "used_files": count(folder.used_quota_files),
        "counted_at": folder.last_quota_update,
        "is_scanned": scanned.contains(&folder.name),
    })
}

pub async fn new(signed: Signed<ManageFolders>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, &Folder::default(), true, &FieldErrors::default()).await
}

pub async fn edit(
    signed: Signed<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let folder = get_for(signed.services(), &signed.admin, &name).await?;
    show(&signed, StatusCode::OK, &folder, false, &FieldErrors::default()).await
}

async fn show(
    signed: &Signed<ManageFolders>,
    status: StatusCode,
    folder: &Folder,
    is_new: bool,
    errors: &FieldErrors,
) -> Result<HttpResponse, PageError> {
    let content = json!({
        "is_new": is_new,
        "folder": facts(folder, &scanned(signed).await),
        "can_scan": signed.admin.may(AdminPermission::QuotaScans),
        "links_users": may_view_users(signed),
        "links_groups": signed.admin.may(AdminPermission::ManageGroups),
        "errors": errors,
    });
    let title = if is_new { "New folder" } else { &folder.name };
    signed.page_with(status, "admin/folder.html", "folders", title, content).await
}

/// `folder` with what was typed.
fn typed(form: &Form, folder: Folder) -> Folder {
    Folder {
        mapped_path: form.trimmed("mapped_path").to_owned(),
        description: form.trimmed("description").to_owned(),
        ..folder
    }
}

pub async fn create(act: Act<ManageFolders>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let name = act.form.trimmed("name").to_owned();
    let folder = typed(&act.form, Folder { name, ..Folder::default() });
    match by.services().store.add_folder(folder.clone()).await {
        Ok(folder) => {
            by.leave_notice("ok", format!("The folder {} is there.", folder.name));
            Ok(see_other(&place(by, &folder.name)))
        }
        Err(error) => {
            let mut errors = FieldErrors::default();
            note_refusal(error.into(), &FIELDS, &mut errors)?;
            show(by, StatusCode::UNPROCESSABLE_ENTITY, &folder, true, &errors).await
        }
    }
}

pub async fn save(act: Act<ManageFolders>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let stored = get_for(by.services(), &by.admin, &name).await?;
    let folder = typed(&act.form, stored);
    if let Err(error) = by.services().store.update_folder(folder.clone()).await {
        let mut errors = FieldErrors::default();
        note_refusal(error.into(), &FIELDS[1..], &mut errors)?;
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, &folder, false, &errors).await;
    }
    by.leave_notice("ok", "Saved. Users see the change with their next login.");
    Ok(see_other(&place(by, &folder.name)))
}

fn place(signed: &Signed<ManageFolders>, name: &str) -> String {
    format!("{}/folders/{}", admin_root(&signed.request), segment(name))
}

pub async fn ask_delete(
    signed: Signed<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let folder = get_for(signed.services(), &signed.admin, &name).await?;
    let told = match (folder.users.is_empty(), folder.groups.is_empty()) {
        (true, true) => "No user and no group mounts it. The files stay where they are.",
        _ => "Whoever mounts it finds it gone with the next login. The files stay where they are.",
    };
    Deletion {
        section: "folders",
        kind: "folder",
        name: &folder.name,
        path: format!("/folders/{}", segment(&folder.name)),
        told,
        names: vec![
            ("Users who lose it", &folder.users),
            ("Groups whose members lose it", &folder.groups),
        ],
        refused: None,
    }
    .ask(&signed)
    .await
}

pub async fn delete(
    act: Act<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    remove(by.services(), &name).await?;
    by.leave_notice("ok", format!("The folder {} is gone. Its files are still there.", &*name));
    Ok(see_other(&format!("{}/folders", admin_root(&by.request))))
}
