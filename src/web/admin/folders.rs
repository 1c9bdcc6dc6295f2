//! Folders: what is mounted where, and how full it is.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{
    Deletion, ListView, OUTDATED, as_asked, count_found, may_view_users, note_refusal,
    unless_outdated,
};
use crate::error::ErrorKind;
use crate::model::{AdminPermission, Folder};
use crate::provider::{FolderQuery, FolderState};
use crate::web::api::folders::{as_seen, get_for, list_for, remove_if};
use crate::web::api::quotas::folder_scans;
use crate::web::operations::object_query::FolderListQuery;
use crate::web::operations::versions::{entity_tag, form_version};
use crate::web::pages::error::PageError;
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::ManageFolders;
use crate::web::url::segment;

const FIELDS: [&str; 3] = ["name", "mapped_path", "description"];

/// What a list can be filtered by.
const FILTERS: [&str; 3] = ["status", "user", "group"];

pub async fn list(
    signed: Signed<ManageFolders>,
    query: Query<FolderListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let view = ListView::of(&signed.request, &FILTERS, &FolderListQuery::SORTS)?;
    let find =
        async |query: FolderQuery, page| list_for(services, &signed.admin, query, page).await;
    let wanted = query.checked()?;
    let listed = view.read(async |page| find(wanted.clone(), page).await).await?;
    let of_state = async |state| {
        count_found(async |page| find(FolderQuery { state, ..FolderQuery::default() }, page).await)
            .await
    };
    let scanned = scanned(&signed).await;
    let content = json!({
        "list": view.frame(&listed, of_state(None).await?),
        "used": services.store.size_of_folders().await?,
        "unused": of_state(Some(FolderState::Unmounted)).await?,
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

/// What the form shows.
struct Shown<'a> {
    folder: &'a Folder,
    is_new: bool,
    /// The state that it is made from.
    seen: String,
    errors: FieldErrors,
    told: &'a str,
}

impl<'a> Shown<'a> {
    fn new(folder: &'a Folder) -> Self {
        let errors = FieldErrors::default();
        Self { folder, is_new: true, seen: String::new(), errors, told: "" }
    }

    /// `folder` with what was typed, if it was, instead of what is stored.
    fn stored(folder: &'a Folder, stored: &Folder) -> Self {
        Self { is_new: false, seen: form_version(stored), ..Self::new(folder) }
    }

    async fn page(
        self,
        signed: &Signed<ManageFolders>,
        status: StatusCode,
    ) -> Result<HttpResponse, PageError> {
        let content = json!({
            "is_new": self.is_new,
            "folder": facts(self.folder, &scanned(signed).await),
            "seen": self.seen,
            "can_scan": signed.admin.may(AdminPermission::QuotaScans),
            "links_users": may_view_users(signed),
            "links_groups": signed.admin.may(AdminPermission::ManageGroups),
            "errors": self.errors,
            "told": self.told,
        });
        let title = if self.is_new { "New folder" } else { &self.folder.name };
        signed.page_with(status, "admin/folder.html", "folders", title, content).await
    }
}

pub async fn new(signed: Signed<ManageFolders>) -> Result<HttpResponse, PageError> {
    Shown::new(&Folder::default()).page(&signed, StatusCode::OK).await
}

pub async fn edit(
    signed: Signed<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let folder = get_for(signed.services(), &signed.admin, &name).await?;
    Shown::stored(&folder, &folder).page(&signed, StatusCode::OK).await
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
            let mut shown = Shown::new(&folder);
            note_refusal(error.into(), &FIELDS, &mut shown.errors)?;
            shown.page(by, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

pub async fn save(act: Act<ManageFolders>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let services = by.services();
    let stored = get_for(services, &by.admin, &name).await?;
    let folder = typed(form, stored.clone());
    let saved = services.store.update_folder_if(folder.clone(), unless_outdated(form)).await;
    match saved {
        Ok(folder) => {
            by.leave_notice("ok", "Saved. Users see the change with their next login.");
            Ok(see_other(&place(by, &folder.name)))
        }
        Err(error) if error.kind() == ErrorKind::Outdated => {
            let stored = get_for(services, &by.admin, &name).await?;
            let folder = typed(form, stored.clone());
            let shown = Shown { told: OUTDATED, ..Shown::stored(&folder, &stored) };
            shown.page(by, StatusCode::CONFLICT).await
        }
        Err(error) => {
            let mut shown = Shown::stored(&folder, &stored);
            form.get("seen").clone_into(&mut shown.seen);
            note_refusal(error.into(), &FIELDS[1..], &mut shown.errors)?;
            shown.page(by, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

fn place(signed: &Signed<ManageFolders>, name: &str) -> String {
    format!("{}/folders/{}", admin_root(&signed.request), segment(name))
}

fn deletion(folder: &Folder) -> Deletion<'_> {
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
        seen: entity_tag(folder).tag().to_owned(),
        is_again: false,
    }
}

pub async fn ask_delete(
    signed: Signed<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let folder = get_for(signed.services(), &signed.admin, &name).await?;
    deletion(&folder).ask(&signed).await
}

pub async fn delete(
    act: Act<ManageFolders>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let permit = as_seen(by.services(), &by.admin, as_asked(&act.form)).await?;
    match remove_if(by.services(), &name, permit).await {
        Ok(()) => {
            let told = format!("The folder {} is gone. Its files are still there.", &*name);
            by.leave_notice("ok", told);
            Ok(see_other(&format!("{}/folders", admin_root(&by.request))))
        }
        Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {
            let folder = get_for(by.services(), &by.admin, &name).await?;
            Deletion { is_again: true, ..deletion(&folder) }.ask(by).await
        }
        Err(error) => Err(error.into()),
    }
}
