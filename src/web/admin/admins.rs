//! Administrators: who manages the server, and what each of them may do.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{
    Deletion, ListView, OUTDATED, as_asked, count_found, is_outdated, lines, note_refusal,
    unless_outdated,
};
use crate::model::{self, AdminGroupMapping, AdminGroupMappingOptions, AdminPermission, Password};
use crate::provider::{AdminQuery, AdminState};
use crate::web::api::admins::{add, list_for, remove_if, replace_if};
use crate::web::api::second_factor::forget_admin_second_factor;
use crate::web::error::found;
use crate::web::operations::object_query::AdminListQuery;
use crate::web::operations::versions::{entity_tag, form_version};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::{Everything, ManageAdmins};
use crate::web::url::segment;

/// The fields that a refusal can name.
const FIELDS: [&str; 7] =
    ["username", "email", "permissions", "role", "allow_list", "groups", "status"];

/// What an administrator may be given: heading, and each permission with what it allows.
const PERMISSIONS: [(&str, &[(AdminPermission, &str)]); 4] = [
    (
        "Everything",
        &[(
            AdminPermission::Any,
            "Do all that is listed here, restore dumps, and what comes later",
        )],
    ),
    (
        "Users and what they share",
        &[
            (AdminPermission::ViewUsers, "See users, and test their permissions"),
            (AdminPermission::AddUsers, "Create users"),
            (AdminPermission::EditUsers, "Change users, also their passwords"),
            (AdminPermission::DelUsers, "Delete users"),
            (AdminPermission::DisableMfa, "Switch off the second factor of users"),
            (AdminPermission::ManageGroups, "See, create, change and delete groups"),
            (AdminPermission::ManageFolders, "See, create, change and delete folders"),
            (AdminPermission::QuotaScans, "Count used quota anew, or set it"),
        ],
    ),
    (
        "Looking on",
        &[
            (AdminPermission::ViewConns, "See who is connected, and every transfer"),
            (AdminPermission::CloseConns, "Close connections"),
            (AdminPermission::ViewStatus, "See services, host keys and algorithms"),
            (AdminPermission::ViewEvents, "Read the log"),
        ],
    ),
    (
        "Administration",
        &[
            (AdminPermission::ManageAdmins, "Create, change and delete admins with no more rights"),
            (AdminPermission::ManageRoles, "Create, change and delete roles"),
        ],
    ),
];

/// Those that nothing asks for in this version: they are shown to whoever has them, to be
/// taken away.
const WITHOUT_EFFECT: [AdminPermission; 8] = [
    AdminPermission::ManageApiKeys,
    AdminPermission::ManageSystem,
    AdminPermission::ManageDefender,
    AdminPermission::ViewDefender,
    AdminPermission::RetentionChecks,
    AdminPermission::MetadataChecks,
    AdminPermission::ManageEventRules,
    AdminPermission::ManageIpLists,
];

fn known() -> impl Iterator<Item = AdminPermission> {
    let listed = PERMISSIONS.iter().flat_map(|(_, list)| list.iter().map(|(one, _)| *one));
    listed.chain(WITHOUT_EFFECT)
}

/// What a list can be filtered by.
const FILTERS: [&str; 3] = ["status", "group", "role"];

pub async fn list(
    signed: Signed<ManageAdmins>,
    query: Query<AdminListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let view = ListView::of(&signed.request, &FILTERS, &AdminListQuery::SORTS)?;
    let wanted = query.checked()?;
    let listed = view.read(async |page| list_for(services, wanted.clone(), page).await).await?;
    let of_state = async |state| {
        let query = AdminQuery { state, ..AdminQuery::default() };
        count_found(async |page| list_for(services, query.clone(), page).await).await
    };
    let rows = listed.shown.iter().map(|admin| {
        json!({
            "username": admin.username,
            "email": admin.email,
            "description": admin.description,
            "role": admin.role,
            "is_enabled": admin.is_enabled(),
            "may_everything": admin.may(AdminPermission::Any),
            "permissions": admin.permissions.len(),
            "two_factor": admin.filters.totp_config.enabled,
            "last_login": admin.last_login,
            "is_self": admin.username == signed.username(),
        })
    });
    let content = json!({
        "list": view.frame(&listed, of_state(None).await?),
        "bare": of_state(Some(AdminState::NoSecondFactor)).await?,
        "admins": rows.collect::<Vec<_>>(),
        "links_roles": signed.admin.may(AdminPermission::ManageRoles),
    });
    signed.page("admin/admins.html", "admins", "Admins", content).await
}

/// Why the caller may not change this administrator.
fn locked(signed: &Signed<ManageAdmins>, admin: &model::Admin) -> Option<String> {
    let missing = admin.permissions.iter().find(|permission| !signed.admin.may(**permission))?;
    Some(format!(
        "{} holds the permission {:?}, which you do not. You can look, but not change.",
        admin.username,
        missing.as_str()
    ))
}

/// What the form shows.
struct Shown<'a> {
    admin: &'a model::Admin,
    is_new: bool,
    /// The state that it is made from.
    seen: String,
    errors: FieldErrors,
    told: &'a str,
}

impl<'a> Shown<'a> {
    fn new(admin: &'a model::Admin, errors: FieldErrors) -> Self {
        Self { admin, is_new: true, seen: String::new(), errors, told: "" }
    }

    /// `admin` with what was typed, if it was, instead of what is stored.
    fn stored(admin: &'a model::Admin, stored: &model::Admin, errors: FieldErrors) -> Self {
        Self { is_new: false, seen: form_version(stored), ..Self::new(admin, errors) }
    }
}

async fn show(
    signed: &Signed<ManageAdmins>,
    status: StatusCode,
    shown: Shown<'_>,
) -> Result<HttpResponse, PageError> {
    let Shown { admin, is_new, seen, errors, told } = shown;
    let held = |permission: AdminPermission| admin.permissions.contains(&permission);
    let option = |permission: AdminPermission, told: &str| {
        json!({
            "name": permission.as_str(),
            "told": told,
            "held": held(permission),
            "may_give": signed.admin.may(permission),
        })
    };
    let mut permissions: Vec<Value> = PERMISSIONS
        .iter()
        .map(|(heading, list)| {
            let options = list.iter().map(|(permission, told)| option(*permission, told));
            json!({ "heading": heading, "options": options.collect::<Vec<_>>() })
        })
        .collect();
    let idle = WITHOUT_EFFECT.into_iter().filter(|permission| held(*permission));
    let idle: Vec<Value> = idle.map(|one| option(one, "Not asked for anywhere yet")).collect();
    if !idle.is_empty() {
        permissions.push(json!({ "heading": "Without effect in this version", "options": idle }));
    }
    let groups = admin
        .groups
        .iter()
        .map(|group| json!({ "name": group.name, "kind": group.options.add_to_users_as }));
    let content = json!({
        "is_new": is_new,
        "admin": {
            "username": admin.username,
            "is_enabled": admin.is_enabled(),
            "email": admin.email,
            "description": admin.description,
            "additional_info": admin.additional_info,
            "role": admin.role,
            "allow_list": admin.filters.allow_list.join("\n"),
            "require_two_factor": admin.filters.require_two_factor,
            "require_password_change": admin.filters.require_password_change,
            "created_at": admin.created_at,
            "last_login": admin.last_login,
        },
        "seen": seen,
        "permissions": permissions,
        "groups": groups.collect::<Vec<_>>(),
        "group_names": group_names(signed).await?,
        "role_names": role_names(signed).await?,
        "two_factor": admin.filters.totp_config.enabled,
        "can_disable_two_factor": signed.admin.may_everything(),
        "is_self": !is_new && admin.username == signed.username(),
        "locked": if is_new { None } else { locked(signed, admin) },
        "errors": errors,
        "told": told,
    });
    let title = if is_new { "New admin" } else { &admin.username };
    signed.page_with(status, "admin/admin.html", "admins", title, content).await
}

/// The names that can be chosen; none for who may not see groups.
async fn group_names(signed: &Signed<ManageAdmins>) -> Result<Vec<String>, PageError> {
    if !signed.admin.may(AdminPermission::ManageGroups) {
        return Ok(Vec::new());
    }
    Ok(signed.services().store.group_names().await?)
}

/// The same for roles.
async fn role_names(signed: &Signed<ManageAdmins>) -> Result<Vec<String>, PageError> {
    if !signed.admin.may(AdminPermission::ManageRoles) {
        return Ok(Vec::new());
    }
    Ok(signed.services().store.role_names().await?)
}

pub async fn new(signed: Signed<ManageAdmins>) -> Result<HttpResponse, PageError> {
    let admin = model::Admin { status: 1, ..model::Admin::default() };
    show(&signed, StatusCode::OK, Shown::new(&admin, FieldErrors::default())).await
}

async fn stored(signed: &Signed<ManageAdmins>, username: &str) -> Result<model::Admin, PageError> {
    Ok(found(signed.services().store.admin(username).await?, "admin", username)?)
}

pub async fn edit(
    signed: Signed<ManageAdmins>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = stored(&signed, &username).await?;
    show(&signed, StatusCode::OK, Shown::stored(&admin, &admin, FieldErrors::default())).await
}

/// `admin` with what was typed. Without a new password the stored one is kept.
fn typed(form: &Form, admin: &model::Admin, errors: &mut FieldErrors) -> model::Admin {
    let mut changed = admin.clone();
    changed.status = i32::from(form.has("enabled"));
    changed.email = form.trimmed("email").to_owned();
    changed.description = form.trimmed("description").to_owned();
    changed.additional_info = form.trimmed("additional_info").to_owned();
    changed.role = form.trimmed("role").to_owned();
    changed.filters.allow_list = lines(form.get("allow_list"));
    changed.filters.require_two_factor = form.has("require_two_factor");
    changed.filters.require_password_change = form.has("require_password_change");
    changed.permissions = known()
        .filter(|permission| form.all("permissions").any(|name| name == permission.as_str()))
        .collect();
    if changed.permissions.is_empty() {
        errors.add("permissions", "Choose at least one permission.");
    }
    let kinds = form.all("groups.kind").map(|kind| kind.parse().unwrap_or(0));
    changed.groups = form
        .all("groups.name")
        .map(str::trim)
        .zip(kinds)
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, add_to_users_as)| AdminGroupMapping {
            name: name.to_owned(),
            options: AdminGroupMappingOptions { add_to_users_as },
        })
        .collect();
    changed.password = Password::default();
    let password = form.get("password");
    if password != form.get("confirm") {
        errors.add("confirm", "The two passwords differ.");
    } else if !password.is_empty() {
        changed.password = password.into();
        if changed.password.is_hashed() {
            errors.add("password", "This looks like a hash, not like a password.");
        }
    }
    changed
}

pub async fn create(act: Act<ManageAdmins>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let mut errors = FieldErrors::default();
    let username = form.trimmed("username").to_owned();
    let admin = model::Admin { username, ..model::Admin::default() };
    let admin = typed(form, &admin, &mut errors);
    if form.get("password").is_empty() {
        errors.add("password", "Enter a password.");
    }
    if errors.is_empty() {
        match add(by.services(), &by.admin, admin.clone()).await {
            Ok(admin) => {
                by.leave_notice("ok", format!("{} can sign in now.", admin.username));
                return Ok(see_other(&place(by, &admin.username)));
            }
            Err(error) => refused(error, &mut errors)?,
        }
    }
    show(by, StatusCode::UNPROCESSABLE_ENTITY, Shown::new(&admin, errors)).await
}

fn refused(error: crate::web::error::ApiError, errors: &mut FieldErrors) -> Result<(), PageError> {
    if error.status() == StatusCode::FORBIDDEN {
        errors.add("permissions", sentence(error.told()));
        return Ok(());
    }
    note_refusal(error, &FIELDS, errors)
}

pub async fn save(
    act: Act<ManageAdmins>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let before = stored(by, &username).await?;
    if let Some(told) = locked(by, &before) {
        return Err(crate::web::error::ApiError::forbidden(told).into());
    }
    let mut errors = FieldErrors::default();
    let changed = typed(form, &before, &mut errors);
    if is_outdated(form, &before) {
        let shown = Shown::stored(&changed, &before, errors);
        return show(by, StatusCode::CONFLICT, Shown { told: OUTDATED, ..shown }).await;
    }
    if errors.is_empty() {
        let name = before.username.clone();
        let permit = unless_outdated(form);
        match replace_if(by.services(), &by.admin, changed.clone(), permit).await {
            Ok(()) => {
                if !form.get("password").is_empty() {
                    // Who had the old password is out.
                    let own = (name == by.username()).then_some(&by.session);
                    by.pages.sessions.end_others(&name, own);
                }
                by.leave_notice("ok", "Saved.");
                return Ok(see_other(&place(by, &name)));
            }
            Err(error) if error.status() == StatusCode::PRECONDITION_FAILED => {
                let now = stored(by, &username).await?;
                let changed = typed(form, &now, &mut errors);
                let shown = Shown::stored(&changed, &now, errors);
                return show(by, StatusCode::CONFLICT, Shown { told: OUTDATED, ..shown }).await;
            }
            Err(error) => refused(error, &mut errors)?,
        }
    }
    let shown = Shown::stored(&changed, &before, errors);
    show(by, StatusCode::UNPROCESSABLE_ENTITY, shown).await
}

fn place(signed: &Signed<ManageAdmins>, username: &str) -> String {
    format!("{}/admins/{}", admin_root(&signed.request), segment(username))
}

fn deletion<'a>(signed: &Signed<ManageAdmins>, admin: &'a model::Admin) -> Deletion<'a> {
    let refused = match admin.username == signed.username() {
        true => Some("This is your own account. Somebody else has to delete it.".to_owned()),
        false => locked(signed, admin),
    };
    Deletion {
        section: "admins",
        kind: "admin",
        name: &admin.username,
        path: format!("/admins/{}", segment(&admin.username)),
        told: "The sessions end, and nobody can sign in by this name. What the admin has made \
               stays.",
        names: Vec::new(),
        refused,
        seen: entity_tag(admin).tag().to_owned(),
        is_again: false,
    }
}

pub async fn ask_delete(
    signed: Signed<ManageAdmins>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = stored(&signed, &username).await?;
    deletion(&signed, &admin).ask(&signed).await
}

pub async fn delete(
    act: Act<ManageAdmins>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let admin = stored(by, &username).await?;
    let asked = deletion(by, &admin);
    if asked.refused.is_some() {
        return asked.ask(by).await;
    }
    let seen = as_asked(&act.form);
    let permit = move |stored: &model::Admin| seen.require(stored);
    let removed = remove_if(by.services(), &by.admin, &admin.username, permit).await;
    if let Err(error) = removed {
        if error.status() != StatusCode::PRECONDITION_FAILED {
            return Err(error.into());
        }
        let admin = stored(by, &username).await?;
        return Deletion { is_again: true, ..deletion(by, &admin) }.ask(by).await;
    }
    by.pages.sessions.end_others(&admin.username, None);
    by.leave_notice("ok", format!("{} is no admin any more.", admin.username));
    Ok(see_other(&format!("{}/admins", admin_root(&by.request))))
}

pub async fn ask_second_factor(
    signed: Signed<Everything>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = signed.services().store.admin(&username).await?;
    let admin = found(admin, "admin", &username)?;
    let content = json!({ "username": admin.username });
    signed.page("admin/admin_second_factor.html", "admins", "Second factor", content).await
}

pub async fn forget_second_factor(
    act: Act<Everything>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    forget_admin_second_factor(by.services(), &username).await?;
    by.leave_notice("ok", format!("The second factor of {} is off.", &*username));
    let root = admin_root(&by.request);
    Ok(see_other(&format!("{root}/admins/{}", segment(&username))))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_permission_has_one_place_in_the_form() {
        let names: Vec<_> = known().collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert_eq!(names.len(), 23);
    }
}
