//! Roles: which administrators look after which users.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Path, Query};
use serde_json::{Value, json};

use super::objects::{
    Deletion, ListView, OUTDATED, as_asked, count_found, may_view_users, note_refusal,
    unless_outdated,
};
use crate::error::ErrorKind;
use crate::model::{AdminPermission, Role};
use crate::provider::RoleQuery;
use crate::web::error::found;
use crate::web::operations::object_query::RoleListQuery;
use crate::web::operations::versions::{entity_tag, form_version};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::ManageRoles;
use crate::web::url::segment;

pub async fn list(
    signed: Signed<ManageRoles>,
    query: Query<RoleListQuery>,
) -> Result<HttpResponse, PageError> {
    let store = &signed.services().store;
    let view = ListView::of(&signed.request, &[], &RoleListQuery::SORTS)?;
    let wanted = query.checked()?;
    let listed = view.read(async |page| Ok(store.find_roles(wanted.clone(), page).await?)).await?;
    let all = async |page| Ok(store.find_roles(RoleQuery::default(), page).await?);
    let content = json!({
        "list": view.frame(&listed, count_found(all).await?),
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

/// What the form shows.
struct Shown<'a> {
    role: &'a Role,
    is_new: bool,
    /// The state that it is made from.
    seen: String,
    errors: FieldErrors,
    told: &'a str,
}

impl<'a> Shown<'a> {
    fn new(role: &'a Role) -> Self {
        let errors = FieldErrors::default();
        Self { role, is_new: true, seen: String::new(), errors, told: "" }
    }

    /// `role` with what was typed, if it was, instead of what is stored.
    fn stored(role: &'a Role, stored: &Role) -> Self {
        Self { is_new: false, seen: form_version(stored), ..Self::new(role) }
    }

    async fn page(
        self,
        signed: &Signed<ManageRoles>,
        status: StatusCode,
    ) -> Result<HttpResponse, PageError> {
        let content = json!({
            "is_new": self.is_new,
            "role": facts(self.role),
            "seen": self.seen,
            "links_users": may_view_users(signed),
            "links_admins": signed.admin.may(AdminPermission::ManageAdmins),
            "errors": self.errors,
            "told": self.told,
        });
        let title = if self.is_new { "New role" } else { &self.role.name };
        signed.page_with(status, "admin/role.html", "roles", title, content).await
    }
}

pub async fn new(signed: Signed<ManageRoles>) -> Result<HttpResponse, PageError> {
    Shown::new(&Role::default()).page(&signed, StatusCode::OK).await
}

pub async fn edit(
    signed: Signed<ManageRoles>,
    name: Path<String>,
) -> Result<HttpResponse, PageError> {
    let role = stored(&signed, &name).await?;
    Shown::stored(&role, &role).page(&signed, StatusCode::OK).await
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
            let mut shown = Shown::new(&role);
            note_refusal(error.into(), &["name", "description"], &mut shown.errors)?;
            shown.page(by, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

pub async fn save(act: Act<ManageRoles>, name: Path<String>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let typed = |role: &Role| {
        let description = form.trimmed("description").to_owned();
        Role { description, ..role.clone() }
    };
    let role = stored(by, &name).await?;
    let changed = typed(&role);
    let saved = by.services().store.update_role_if(changed.clone(), unless_outdated(form)).await;
    match saved {
        Ok(role) => {
            by.leave_notice("ok", "Saved.");
            Ok(see_other(&place(by, &role.name)))
        }
        Err(error) if error.kind() == ErrorKind::Outdated => {
            let role = stored(by, &name).await?;
            let changed = typed(&role);
            let shown = Shown { told: OUTDATED, ..Shown::stored(&changed, &role) };
            shown.page(by, StatusCode::CONFLICT).await
        }
        Err(error) => {
            let mut shown = Shown::stored(&changed, &role);
            form.get("seen").clone_into(&mut shown.seen);
            note_refusal(error.into(), &["description"], &mut shown.errors)?;
            shown.page(by, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
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
        seen: entity_tag(role).tag().to_owned(),
        is_again: false,
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
    let asked = as_asked(&act.form);
    let permit = move |stored: &Role| asked.require(stored);
    match by.services().store.delete_role_if(&name, permit).await {
        Ok(()) => {
            by.leave_notice("ok", format!("The role {} is gone.", &*name));
            Ok(see_other(&format!("{}/roles", admin_root(&by.request))))
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let role = stored(by, &name).await?;
            let refused = hindrance(&role).unwrap_or_else(|| sentence(error.context()));
            deletion(&role, Some(refused)).ask(by).await
        }
        Err(error) if error.kind() == ErrorKind::Outdated => {
            let role = stored(by, &name).await?;
            Deletion { is_again: true, ..deletion(&role, hindrance(&role)) }.ask(by).await
        }
        Err(error) => Err(error.into()),
    }
}
