//! Administrators: who manages the server, and what each of them may do.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{
    Deletion, ListQuery, Listed, OUTDATED, all, is_outdated, lines, note_refusal,
};
use crate::model::{self, AdminGroupMapping, AdminGroupMappingOptions, AdminPermission, Password};
use crate::web::api::admins::{add, remove, replace};
use crate::web::api::second_factor::forget_admin_second_factor;
use crate::web::api::{found, groups, segment};
use crate::web::auth::{Everything, ManageAdmins};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};

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

pub async fn list(
    signed: Signed<ManageAdmins>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let admins = all(async |page| Ok(services.store.admins(page).await?)).await?;
    let bare = admins.iter().filter(|a| a.is_enabled() && !a.filters.totp_config.enabled).count();
    let listed = Listed::of(admins, &query, |admin| {
        format!("{}\n{}\n{}\n{}", admin.username, admin.email, admin.description, admin.role)
    });
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
        "list": listed.frame(&query),
        "bare": bare,
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

async fn show(
    signed: &Signed<ManageAdmins>,
    status: StatusCode,
    admin: &model::Admin,
    is_new: bool,
    errors: &FieldErrors,
    told: &str,
) -> Result<HttpResponse, PageError> {
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
            "updated_at": admin.updated_at,
            "created_at": admin.created_at,
            "last_login": admin.last_login,
        },
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
    let services = signed.services();
    let groups = all(async |page| groups::list_for(services, &signed.admin, page).await).await?;
    Ok(groups.into_iter().map(|group| group.name).collect())
}

/// The same for roles.
async fn role_names(signed: &Signed<ManageAdmins>) -> Result<Vec<String>, PageError> {
    if !signed.admin.may(AdminPermission::ManageRoles) {
        return Ok(Vec::new());
    }
    let store = &signed.services().store;
    let roles = all(async |page| Ok(store.roles(page).await?)).await?;
    Ok(roles.into_iter().map(|role| role.name).collect())
}

pub async fn new(signed: Signed<ManageAdmins>) -> Result<HttpResponse, PageError> {
    let admin = model::Admin { status: 1, ..model::Admin::default() };
    show(&signed, StatusCode::OK, &admin, true, &FieldErrors::default(), "").await
}

async fn stored(signed: &Signed<ManageAdmins>, username: &str) -> Result<model::Admin, PageError> {
    Ok(found(signed.services().store.admin(username).await?, "admin", username)?)
}

pub async fn edit(
    signed: Signed<ManageAdmins>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let admin = stored(&signed, &username).await?;
    show(&signed, StatusCode::OK, &admin, false, &FieldErrors::default(), "").await
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
    show(by, StatusCode::UNPROCESSABLE_ENTITY, &admin, true, &errors, "").await
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
    let stored = stored(by, &username).await?;
    if let Some(told) = locked(by, &stored) {
        return Err(crate::web::error::ApiError::forbidden(told).into());
    }
    let mut errors = FieldErrors::default();
    let changed = typed(form, &stored, &mut errors);
    if is_outdated(form, stored.updated_at) {
        return show(by, StatusCode::CONFLICT, &changed, false, &errors, OUTDATED).await;
    }
    if errors.is_empty() {
        let name = stored.username.clone();
        match replace(by.services(), &by.admin, stored, changed.clone()).await {
            Ok(()) => {
                if !form.get("password").is_empty() {
                    // Who had the old password is out.
                    let own = (name == by.username()).then_some(&by.session);
                    by.pages.sessions.end_others(&name, own);
                }
                by.leave_notice("ok", "Saved.");
                return Ok(see_other(&place(by, &name)));
            }
            Err(error) => refused(error, &mut errors)?,
        }
    }
    show(by, StatusCode::UNPROCESSABLE_ENTITY, &changed, false, &errors, "").await
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
    remove(by.services(), &by.admin, &admin.username).await?;
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
