//! Groups: settings that many users share.

mod form;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::json;

use super::objects::{
    Deletion, ListQuery, Listed, OUTDATED, all, is_outdated, may_view_users, note_refusal,
};
use crate::model::{AdminPermission, Group};
use crate::web::api::groups::{get_for, list_for, remove};
use crate::web::api::{folders, segment};
use crate::web::auth::ManageGroups;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use form::GroupForm;

pub async fn list(
    signed: Signed<ManageGroups>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let groups = all(async |page| list_for(services, &signed.admin, page).await).await?;
    let unused = groups.iter().filter(|group| group.users.is_empty()).count();
    let listed =
        Listed::of(groups, &query, |group| format!("{}\n{}", group.name, group.description));
    let rows = listed.shown.iter().map(|group| {
        let folders = group.virtual_folders.iter().map(|mount| &mount.folder.name);
        json!({
            "name": group.name,
            "description": group.description,
            "users": group.users,
            "home_dir": group.user_settings.home_dir,
            "quota_size": u64::try_from(group.user_settings.quota_size).unwrap_or(0),
            "folders": folders.collect::<Vec<_>>(),
            "updated_at": group.updated_at,
        })
    });
    let content = json!({
        "list": listed.frame(&query),
        "unused": unused,
        "groups": rows.collect::<Vec<_>>(),
        "links_users": may_view_users(&signed),
    });
    signed.page("admin/groups.html", "groups", "Groups", content).await
}

/// What the form shows beside its fields.
struct Shown<'a> {
    group: &'a Group,
    is_new: bool,
    typed: GroupForm,
    /// The table that gets more rows.
    more: &'a str,
    errors: FieldErrors,
    told: &'a str,
}

impl<'a> Shown<'a> {
    fn stored(group: &'a Group, is_new: bool) -> Self {
        let typed = GroupForm::of(group);
        Self { group, is_new, typed, more: "", errors: FieldErrors::default(), told: "" }
    }

    async fn page(
        self,
        signed: &Signed<ManageGroups>,
        status: StatusCode,
    ) -> Result<HttpResponse, PageError> {
        let group = self.group;
        let content = json!({
            "is_new": self.is_new,
            "group": {
                "name": group.name,
                "description": group.description,
                "users": group.users,
                "admins": group.admins,
                "updated_at": group.updated_at,
            },
            "sections": self.typed.view(self.more),
            "folder_names": folder_names(signed).await?,
            "links_users": may_view_users(signed),
            "error_labels": self.errors.labels(form::label_of),
            "errors": self.errors,
            "told": self.told,
        });
        let title = if self.is_new { "New group" } else { &group.name };
        signed.page_with(status, "admin/group.html", "groups", title, content).await
    }
}

/// The names that can be chosen; none for who may not see folders.
async fn folder_names(signed: &Signed<ManageGroups>) -> Result<Vec<String>, PageError> {
    if !signed.admin.may(AdminPermission::ManageFolders) {
        return Ok(Vec::new());
    }
    let services = signed.services();
    let folders = all(async |page| folders::list_for(services, &signed.admin, page).await).await?;
    Ok(folders.into_iter().map(|folder| folder.name).collect())
}

pub async fn new(signed: Signed<ManageGroups>) -> Result<HttpResponse, PageError> {
    Shown::stored(&Group::default(), true).page(&signed, StatusCode::OK).await
}

pub async fn edit(
    signed: Signed<ManageGroups>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let group = get_for(signed.services(), &signed.admin, &name).await?;
    Shown::stored(&group, false).page(&signed, StatusCode::OK).await
}

pub async fn create(act: Act<ManageGroups>) -> Result<HttpResponse, PageError> {
    let name = act.form.trimmed("name").to_owned();
    store(&act, Group { name, ..Group::default() }, true).await
}

pub async fn save(act: Act<ManageGroups>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let stored = get_for(act.by.services(), &act.by.admin, &name).await?;
    store(&act, stored, false).await
}

/// Stores `group` with what was typed, or shows the form again.
async fn store(
    act: &Act<ManageGroups>,
    mut group: Group,
    is_new: bool,
) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    group.description = form.trimmed("description").to_owned();
    let typed = GroupForm::typed(form);
    let mut errors = FieldErrors::default();
    let changed = typed.apply(&group, &mut errors);
    let mut shown =
        Shown { group: &group, is_new, typed, more: form.get("more"), errors, told: "" };
    if form.has("more") {
        shown.errors = FieldErrors::default();
        return shown.page(by, StatusCode::OK).await;
    }
    if !is_new && is_outdated(form, group.updated_at) {
        shown.told = OUTDATED;
        return shown.page(by, StatusCode::CONFLICT).await;
    }
    if shown.errors.is_empty() {
        let store = &by.services().store;
        let stored = match is_new {
            true => store.add_group(changed).await.map(|group| group.name),
            false => store.update_group(changed).await.map(|group| group.name),
        };
        match stored {
            Ok(name) => {
                by.leave_notice("ok", "Saved. Users see the change with their next login.");
                let root = admin_root(&by.request);
                return Ok(see_other(&format!("{root}/groups/{}", segment(&name))));
            }
            Err(error) => {
                let names: Vec<&str> =
                    ["name"].into_iter().chain(form::fields().map(|field| field.key)).collect();
                note_refusal(error.into(), &names, &mut shown.errors)?;
            }
        }
    }
    shown.page(by, StatusCode::UNPROCESSABLE_ENTITY).await
}

fn deletion<'a>(group: &'a Group, refused: Option<String>) -> Deletion<'a> {
    Deletion {
        section: "groups",
        kind: "group",
        name: &group.name,
        path: format!("/groups/{}", segment(&group.name)),
        told: "No user is in it. Folders that it mounts stay.",
        names: vec![
            ("Users in it", &group.users),
            ("Admins whose new users join it", &group.admins),
        ],
        refused,
    }
}

/// What stands in the way of deleting a group.
fn hindrance(group: &Group) -> Option<String> {
    (!group.users.is_empty())
        .then(|| "Users are in it. Take them out of the group, then delete it.".to_owned())
}

pub async fn ask_delete(
    signed: Signed<ManageGroups>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let group = get_for(signed.services(), &signed.admin, &name).await?;
    deletion(&group, hindrance(&group)).ask(&signed).await
}

pub async fn delete(act: Act<ManageGroups>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let group = get_for(by.services(), &by.admin, &name).await?;
    match remove(by.services(), &by.admin, &name).await {
        Ok(()) => {
            by.leave_notice("ok", format!("The group {} is gone.", group.name));
            Ok(see_other(&format!("{}/groups", admin_root(&by.request))))
        }
        Err(error) if error.status() == StatusCode::CONFLICT => {
            let refused = hindrance(&group).unwrap_or_else(|| sentence(error.told()));
            deletion(&group, Some(refused)).ask(by).await
        }
        Err(error) => Err(error.into()),
    }
}
