//! The first administrator, on an empty store.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::login::{AnonymousAct, AnonymousForm, sign_in};
use crate::error::ErrorKind;
use crate::model::{Admin, AdminPermission};
use crate::web::api::tokens::note_refusal;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::pages_of;
use crate::web::request::peer::Peer;
use crate::web::services::Binding;

pub async fn page(request: HttpRequest, binding: Data<Binding>) -> Result<HttpResponse, PageError> {
    if binding.services.store.has_admins().await? {
        return Ok(see_other(&format!("{}/login", admin_root(&request))));
    }
    show(&request, &binding, StatusCode::OK, &Form::default(), &FieldErrors::default(), "")
}

/// What the log says of who types the wrong one.
const WRONG_CODE: &str = "wrong installation code";

fn show(
    request: &HttpRequest,
    binding: &Binding,
    status: StatusCode,
    typed: &Form,
    errors: &FieldErrors,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let pages = pages_of(binding)?;
    let setup = &pages.setup;
    AnonymousForm::new(request)?.show(
        request,
        "admin/setup.html",
        status,
        json!({
            "title": "Set-up",
            "needs_code": !setup.installation_code.is_empty(),
            "code_hint": setup.installation_code_hint,
            "installation_code": typed.trimmed("installation_code"),
            "username": typed.trimmed("username"),
            "errors": errors,
            "told": told,
        }),
    )
}

pub async fn create(
    request: HttpRequest,
    binding: Data<Binding>,
    sent: AnonymousAct,
) -> Result<HttpResponse, PageError> {
    let (form, services) = (sent.form, &binding.services);
    let to_login = || Ok(see_other(&format!("{}/login", admin_root(&request))));
    if services.store.has_admins().await? {
        return to_login();
    }
    let username = form.trimmed("username");
    let mut errors = FieldErrors::default();
    let code = pages_of(&binding)?.setup.installation_code.clone();
    let given = form.trimmed("installation_code");
    if !code.is_empty() && !bool::from(code.expose().as_bytes().ct_eq(given.as_bytes())) {
        note_refusal(services, &Peer::of(&request), username, &WRONG_CODE);
        errors.add("installation_code", "This is not the code.");
    }
    let password = form.get("password");
    if username.is_empty() {
        errors.add("username", "Enter a name.");
    }
    if password.is_empty() {
        errors.add("password", "Enter a password.");
    } else if password != form.get("confirm") {
        errors.add("confirm", "The two passwords differ.");
    }
    // Passwords are in no page, so both are lost.
    let refuse = |mut errors: FieldErrors, told: &str| {
        for field in ["password", "confirm"] {
            if !form.get(field).is_empty() {
                errors.add(field, "Type the password again.");
            }
        }
        show(&request, &binding, StatusCode::UNPROCESSABLE_ENTITY, &form, &errors, told)
    };
    if !errors.is_empty() {
        return refuse(errors, "");
    }
    let admin = Admin {
        username: username.to_owned(),
        password: password.into(),
        status: 1,
        permissions: vec![AdminPermission::Any],
        ..Admin::default()
    };
    match services.store.add_first_admin(admin).await {
        Ok(true) => {}
        // Somebody was quicker.
        Ok(false) => return to_login(),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return refuse(errors, &sentence(error.context()));
        }
        Err(error) => return Err(error.into()),
    }
    // The name may be stored in another form than it was typed.
    let made = services.login.admin(username, password, Peer::of(&request).ip).await;
    match made {
        Ok(admin) => sign_in(&request, &binding, &admin, &admin_root(&request)),
        Err(_) => to_login(),
    }
}
