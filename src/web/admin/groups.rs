//! Groups: settings that many users share.

mod fields;
mod form;
mod gives;
mod values;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::json;

use super::objects::{
    Deletion, ListView, OUTDATED, as_asked, count_found, is_outdated, may_view_users, note_refusal,
    unless_outdated,
};
use crate::error::ErrorKind;
use crate::model::{AdminPermission, Group};
use crate::provider::{GroupQuery, GroupState};
use crate::web::api::groups::{as_seen, get_for, list_for, remove_if};
use crate::web::operations::object_query::GroupListQuery;
use crate::web::operations::versions::{entity_tag, form_version};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::ManageGroups;
use crate::web::url::segment;
use form::GroupForm;

/// What a list can be filtered by.
const FILTERS: [&str; 3] = ["status", "user", "folder"];

pub async fn list(
    signed: Signed<ManageGroups>,
    query: Query<GroupListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let view = ListView::of(&signed.request, &FILTERS, &GroupListQuery::SORTS)?;
    let find = async |query: GroupQuery, page| list_for(services, &signed.admin, query, page).await;
    let wanted = query.checked()?;
    let listed = view.read(async |page| find(wanted.clone(), page).await).await?;
    let of_state = async |state| {
        count_found(async |page| find(GroupQuery { state, ..GroupQuery::default() }, page).await)
            .await
    };
    let rows = listed.shown.iter().map(|group| {
        let folders = group.virtual_folders.iter().map(|mount| &mount.folder.name);
        json!({
            "name": group.name,
            "description": group.description,
            "users": group.users,
            "gives": gives::gives(group),
            "folders": folders.collect::<Vec<_>>(),
            "updated_at": group.updated_at,
        })
    });
    let content = json!({
        "list": view.frame(&listed, of_state(None).await?),
        "unused": of_state(Some(GroupState::WithoutUsers)).await?,
        "groups": rows.collect::<Vec<_>>(),
        "links_users": may_view_users(&signed),
    });
    signed.page("admin/groups.html", "groups", "Groups", content).await
}

/// What the form shows beside its fields.
struct Shown<'a> {
    /// As it is stored.
    group: &'a Group,
    description: String,
    is_new: bool,
    typed: GroupForm,
    /// The table that gets more rows.
    more: &'a str,
    errors: FieldErrors,
    told: &'a str,
}

impl<'a> Shown<'a> {
    fn stored(group: &'a Group, is_new: bool) -> Self {
        let (typed, description) = (GroupForm::of(group), group.description.clone());
        let errors = FieldErrors::default();
        Self { group, description, is_new, typed, more: "", errors, told: "" }
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
                "description": self.description,
                "users": group.users,
                "admins": group.admins,
            },
            "seen": form_version(group),
            "sections": self.typed.view(self.more),
            "folder_names": folder_names(signed).await?,
            "links_users": may_view_users(signed),
            "error_labels": self.errors.labels(fields::label_of),
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
    Ok(signed.services().store.folder_names().await?)
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

/// Stores `group`, which is as it is stored, with what was typed, or shows the form again.
async fn store(
    act: &Act<ManageGroups>,
    group: Group,
    is_new: bool,
) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let description = form.trimmed("description").to_owned();
    let typed = GroupForm::typed(form);
    let mut errors = FieldErrors::default();
    let described = Group { description: description.clone(), ..group.clone() };
    let changed = typed.apply(&described, &mut errors);
    let more = form.get("more");
    let told = "";
    let mut shown = Shown { group: &group, description, is_new, typed, more, errors, told };
    if form.has("more") {
        shown.errors = FieldErrors::default();
        return shown.page(by, StatusCode::OK).await;
    }
    if !is_new && is_outdated(form, &group) {
        shown.told = OUTDATED;
        return shown.page(by, StatusCode::CONFLICT).await;
    }
    if shown.errors.is_empty() {
        let services = by.services();
        let stored = match is_new {
            true => services.store.add_group(changed).await,
            false => services.replace_group_if(changed, unless_outdated(form)).await,
        };
        match stored {
            Ok(group) => {
                by.leave_notice("ok", "Saved. Users see the change with their next login.");
                let root = admin_root(&by.request);
                return Ok(see_other(&format!("{root}/groups/{}", segment(&group.name))));
            }
            Err(error) if error.kind() == ErrorKind::Outdated => {
                let group = get_for(by.services(), &by.admin, &group.name).await?;
                let shown = Shown { group: &group, told: OUTDATED, ..shown };
                return shown.page(by, StatusCode::CONFLICT).await;
            }
            Err(error) => {
                let names: Vec<&str> =
                    ["name"].into_iter().chain(fields::fields().map(|field| field.key)).collect();
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
        seen: entity_tag(group).tag().to_owned(),
        is_again: false,
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
    let permit = as_seen(by.services(), &by.admin, as_asked(&act.form)).await?;
    match remove_if(by.services(), &by.admin, &name, permit).await {
        Ok(()) => {
            by.leave_notice("ok", format!("The group {} is gone.", &*name));
            Ok(see_other(&format!("{}/groups", admin_root(&by.request))))
        }
        Err(error) if error.status() == StatusCode::CONFLICT => {
            let group = get_for(by.services(), &by.admin, &name).await?;
            let refused = hindrance(&group).unwrap_or_else(|| sentence(error.told()));
            deletion(&group, Some(refused)).ask(by).await
        }
        Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {
            let group = get_for(by.services(), &by.admin, &name).await?;
            Deletion { is_again: true, ..deletion(&group, hindrance(&group)) }.ask(by).await
        }
        Err(error) => Err(error.into()),
    }
}
