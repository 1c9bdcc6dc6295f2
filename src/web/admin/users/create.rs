//! A new user: what nearly every one needs, on one page. The rest is in the tabs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::tabs::{self, permissions, profile};
use super::{path_of, times};
use crate::model::{AdminPermission, Password, Permissions, User};
use crate::web::error::ApiError;
use crate::web::pages::amount;
use crate::web::pages::error::PageError;
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::{AddUsers, Right};

/// The fields that a new user and a template have in common.
const FIELDS: [&str; 10] = [
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
];

pub const NAME_TAKEN: &str = "This name is taken.";
/// Who has neither cannot sign in. The REST API takes such users, as programs may add the
/// one or the other later.
pub const NO_CREDENTIALS: &str = "Has neither a password nor a public key.";

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
    view.insert("groups".to_owned(), profile::GROUPS.view(form));
    Value::Object(view)
}

/// The form that nobody has filled in yet: the users whom an administrator makes join the
/// groups that its account names.
pub fn at_first<R: Right>(signed: &Signed<R>) -> Form {
    let joins = signed.admin.groups_of_new_users();
    Form::of_fields(profile::group_fields(&joins))
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
    user.groups = profile::groups(form);
    user
}

pub async fn page(signed: Signed<AddUsers>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, &at_first(&signed), &FieldErrors::default()).await
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
        "more": form.get("more"),
        "errors": errors,
        "error_labels": errors.labels(tabs::label_of_field),
    });
    signed.page_with(status, "admin/user_new.html", "users", "New user", content).await
}

/// Notes all that keeps `user` from being created, as far as it shows before it is tried.
async fn check(
    signed: &Signed<AddUsers>,
    user: &User,
    errors: &mut FieldErrors,
) -> Result<(), PageError> {
    let store = &signed.services().store;
    if user.username.is_empty() {
        errors.add("username", "Enter a name.");
    } else if store.user(&user.username).await?.is_some() {
        errors.add("username", NAME_TAKEN);
    }
    if user.password.is_empty() && user.public_keys.is_empty() {
        errors.add("password", NO_CREDENTIALS);
    }
    if let Err(error) = user.clone().normalise(store.rules()) {
        tabs::place(error.context(), errors);
    }
    Ok(())
}

/// No page has a password in it, so one that was typed is lost with the next page.
fn ask_again(form: &Form, errors: &mut FieldErrors) {
    if !form.get("password").is_empty() {
        errors.add("password", "Type the password again.");
    }
}

pub async fn save(act: Act<AddUsers>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let mut errors = FieldErrors::default();
    if form.has("more") {
        ask_again(form, &mut errors);
        return show(by, StatusCode::OK, form, &errors).await;
    }
    let mut user = read(form, &mut errors);
    user.password = Password::from(form.get("password"));
    let lines = form.get("public_keys").lines().map(str::trim);
    user.public_keys = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
    check(by, &user, &mut errors).await?;
    if errors.is_empty() {
        match by.services().users_of(&by.admin).add(user).await {
            Ok(user) => {
                by.leave_notice("ok", "User created. Everything else is in the tabs.");
                let may_view = by.admin.may(AdminPermission::ViewUsers);
                let path = path_of(&by.request, &user.username);
                return Ok(see_other(&if may_view { path } else { admin_root(&by.request) }));
            }
            // Somebody else was faster.
            Err(error) if error.status() == StatusCode::CONFLICT => {
                errors.add("username", NAME_TAKEN);
            }
            Err(error) if error.status().is_client_error() => {
                tabs::place(error.told(), &mut errors);
            }
            Err(error) => return Err(error.into()),
        }
    }
    ask_again(form, &mut errors);
    show(by, StatusCode::UNPROCESSABLE_ENTITY, form, &errors).await
}
