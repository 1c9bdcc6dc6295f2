//! Roles: which administrators look after which users.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{
    Deletion, ListQuery, Listed, OUTDATED, all, is_outdated, may_view_users, note_refusal,
};
use crate::model::{AdminPermission, Role};
use crate::web::api::{found, segment};
use crate::web::auth::ManageRoles;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};

pub async fn list(
    signed: Signed<ManageRoles>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let roles = all(async |page| Ok(services.store.roles(page).await?)).await?;
    let listed = Listed::of(roles, &query, |role| format!("{}\n{}", role.name, role.description));
    let content = json!({
        "list": listed.frame(&query),
        "roles": listed.shown.iter().map(facts).collect::<Vec<_>>(),
        "links_users": may_view_users(&signed),
        "links_admins": signed.admin.may(AdminPermission::ManageAdmins),
    });
    signed.page("admin/roles.html", "roles", "Roles", content).await
}

fn facts(role: &Role) -> Value {
    json!({
        "name": role.name,
        "description": role.description,
        "users": role.users,
        "admins": role.admins,
        "updated_at": role.updated_at,
    })
}

async fn show(
    signed: &Signed<ManageRoles>,
    status: StatusCode,
    role: &Role,
    is_new: bool,
    errors: &FieldErrors,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let content = json!({
        "is_new": is_new,
        "role": facts(role),
        "links_users": may_view_users(signed),
        "links_admins": signed.admin.may(AdminPermission::ManageAdmins),
        "errors": errors,
        "told": told,
    });
    let title = if is_new { "New role" } else { &role.name };
    signed.page_with(status, "admin/role.html", "roles", title, content).await
}

pub async fn new(signed: Signed<ManageRoles>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, &Role::default(), true, &FieldErrors::default(), "").await
}

pub async fn edit(
    signed: Signed<ManageRoles>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let role = stored(&signed, &name).await?;
    show(&signed, StatusCode::OK, &role, false, &FieldErrors::default(), "").await
}

async fn stored(signed: &Signed<ManageRoles>, name: &str) -> Result<Role, PageError> {
    Ok(found(signed.services().store.role(name).await?, "role", name)?)
}

pub async fn create(act: Act<ManageRoles>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let role = Role {
        name: act.form.trimmed("name").to_owned(),
        description: act.form.trimmed("description").to_owned(),
        ..Role::default()
    };
    match by.services().store.add_role(role.clone()).await {
        Ok(role) => {
            by.leave_notice("ok", format!("The role {} is there. Nobody has it yet.", role.name));
            Ok(see_other(&place(by, &role.name)))
        }
        Err(error) => {
            let mut errors = FieldErrors::default();
            note_refusal(error.into(), &["name", "description"], &mut errors)?;
            show(by, StatusCode::UNPROCESSABLE_ENTITY, &role, true, &errors, "").await
        }
    }
}

pub async fn save(act: Act<ManageRoles>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let mut role = stored(by, &name).await?;
    role.description = act.form.trimmed("description").to_owned();
    let mut errors = FieldErrors::default();
    if is_outdated(&act.form, role.updated_at) {
        return show(by, StatusCode::CONFLICT, &role, false, &errors, OUTDATED).await;
    }
    if let Err(error) = by.services().store.update_role(role.clone()).await {
        note_refusal(error.into(), &["description"], &mut errors)?;
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, &role, false, &errors, "").await;
    }
    by.leave_notice("ok", "Saved.");
    Ok(see_other(&place(by, &role.name)))
}

fn place(signed: &Signed<ManageRoles>, name: &str) -> String {
    format!("{}/roles/{}", admin_root(&signed.request), segment(name))
}

fn deletion<'a>(role: &'a Role, refused: Option<String>) -> Deletion<'a> {
    Deletion {
        section: "roles",
        kind: "role",
        name: &role.name,
        path: format!("/roles/{}", segment(&role.name)),
        told: match role.users.is_empty() {
            true => "No user and no admin has it.",
            false => "Its users have no role then; only admins without a role see them.",
        },
        names: vec![("Admins who have it", &role.admins), ("Users who have it", &role.users)],
        refused,
    }
}

/// What stands in the way of deleting a role.
fn hindrance(role: &Role) -> Option<String> {
    (!role.admins.is_empty()).then(|| {
        "Admins have it. Without it they would see everybody's users; give them another role \
         first, or none."
            .to_owned()
    })
}

pub async fn ask_delete(
    signed: Signed<ManageRoles>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let role = stored(&signed, &name).await?;
    deletion(&role, hindrance(&role)).ask(&signed).await
}

pub async fn delete(act: Act<ManageRoles>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let role = stored(by, &name).await?;
    match by.services().store.delete_role(&role.name).await {
        Ok(()) => {
            by.leave_notice("ok", format!("The role {} is gone.", role.name));
            Ok(see_other(&format!("{}/roles", admin_root(&by.request))))
        }
        Err(error) => {
            let error = crate::web::error::ApiError::from(error);
            if error.status() != StatusCode::CONFLICT {
                return Err(error.into());
            }
            let refused = hindrance(&role).unwrap_or_else(|| sentence(error.told()));
            deletion(&role, Some(refused)).ask(by).await
        }
    }
}
