//! A new user: what nearly every one needs, on one page. The rest is in the tabs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::rows::words;
use super::tabs::{self, permissions};
use super::{path_of, times};
use crate::model::{AdminPermission, GroupMapping, Password, Permissions, User};
use crate::web::error::ApiError;
use crate::web::pages::amount;
use crate::web::pages::error::PageError;
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::{AddUsers, Right};

/// The fields that a new user and a template have in common.
const FIELDS: [&str; 12] = [
    "username",
    "description",
    "email",
    "role",
    "home_dir",
    "preset",
    "quota_size",
    "quota_size_unit",
    "quota_files",
    "expiration_date",
    "primary_group",
    "secondary_groups",
];

/// The names of the groups, for who may see them.
pub async fn group_names<R: Right>(signed: &Signed<R>) -> Result<Vec<String>, ApiError> {
    if !signed.admin.may(AdminPermission::ManageGroups) {
        return Ok(Vec::new());
    }
    Ok(signed.services().store.group_names().await?)
}

/// What the fields hold at first, and what they hold.
pub fn view(form: &Form) -> Value {
    let mut view: serde_json::Map<String, Value> =
        FIELDS.iter().map(|name| ((*name).to_owned(), json!(form.get(name)))).collect();
    let default = |view: &mut serde_json::Map<String, Value>, name: &str, value: &str| {
        if !form.has(name) {
            view.insert(name.to_owned(), json!(value));
        }
    };
    default(&mut view, "preset", "full");
    default(&mut view, "quota_size_unit", "GB");
    Value::Object(view)
}

/// What is the same on the page of a new user and on that of a template.
pub async fn common<R: Right>(signed: &Signed<R>) -> Result<Value, PageError> {
    let presets: Vec<(&str, &str)> =
        permissions::PRESETS.iter().map(|(key, label, _)| (*key, *label)).collect();
    let base = signed.services().store.rules().users_base_dir.clone();
    Ok(json!({
        "presets": presets,
        "units": amount::CHOICES,
        "group_names": group_names(signed).await?,
        "may_choose_role": signed.admin.role().is_none(),
        "base_dir": base.map(|base| base.display().to_string()),
    }))
}

/// The user that a form describes, without what is secret.
pub fn read(form: &Form, errors: &mut FieldErrors) -> User {
    let mut user = User {
        status: 1,
        username: form.trimmed("username").to_owned(),
        description: form.trimmed("description").to_owned(),
        email: form.trimmed("email").to_owned(),
        role: form.trimmed("role").to_owned(),
        home_dir: form.trimmed("home_dir").to_owned(),
        ..User::default()
    };
    let unit = Some(form.get("quota_size_unit")).filter(|unit| !unit.is_empty()).unwrap_or("GB");
    user.quota_size = errors.take("quota_size", amount::size(form.get("quota_size"), unit));
    user.quota_files = errors.take("quota_files", amount::whole(form.get("quota_files")));
    user.expiration_date =
        errors.take("expiration_date", times::time(form.trimmed("expiration_date")));
    match permissions::preset(form.get("preset")) {
        Some(list) => user.permissions = Permissions::on_root(list.iter().copied()),
        None => errors.add("preset", "Choose what the user may do."),
    }
    let group = |name: String, kind: i32| GroupMapping { name, kind };
    let primary = form.trimmed("primary_group");
    if !primary.is_empty() {
        user.groups.push(group(primary.to_owned(), GroupMapping::PRIMARY));
    }
    for name in words(form.get("secondary_groups")) {
        user.groups.push(group(name, GroupMapping::SECONDARY));
    }
    user
}

pub async fn page(signed: Signed<AddUsers>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, &Form::default(), &FieldErrors::default()).await
}

async fn show(
    signed: &Signed<AddUsers>,
    status: StatusCode,
    form: &Form,
    errors: &FieldErrors,
) -> Result<HttpResponse, PageError> {
    let content = json!({
        "f": view(form),
        "public_keys": form.get("public_keys"),
        "common": common(signed).await?,
        "errors": errors,
        "error_labels": errors.labels(tabs::label_of_field),
    });
    signed.page_with(status, "admin/user_new.html", "users", "New user", content).await
}

pub async fn save(act: Act<AddUsers>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let mut errors = FieldErrors::default();
    let mut user = read(form, &mut errors);
    user.password = Password::from(form.get("password"));
    let lines = form.get("public_keys").lines().map(str::trim);
    user.public_keys = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if user.username.is_empty() {
        errors.add("username", "Enter a name.");
    }
    if errors.is_empty() {
        match by.services().users_of(&by.admin).add(user).await {
            Ok(user) => {
                by.leave_notice("ok", "User created. Everything else is in the tabs.");
                let may_view = by.admin.may(AdminPermission::ViewUsers);
                let path = path_of(&by.request, &user.username);
                return Ok(see_other(&if may_view { path } else { admin_root(&by.request) }));
            }
            Err(error) if error.status() == StatusCode::CONFLICT => {
                errors.add("username", "This name is taken.");
            }
            Err(error) if error.status().is_client_error() => {
                tabs::place(error.told(), &mut errors);
            }
            Err(error) => return Err(error.into()),
        }
    }
    show(by, StatusCode::UNPROCESSABLE_ENTITY, form, &errors).await
}
