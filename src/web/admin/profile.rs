//! The own account: profile, password, sessions, colours.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::model::{Admin, Duty, Password};
use crate::web::api::admins::{PasswordChange, change_own_password};
use crate::web::api::profile::{AdminProfile, save as save_profile};
use crate::web::error::ApiError;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::page::{admin_root, own_path, see_other, theme_cookie};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::OwnAccount;

pub async fn page(signed: Signed<OwnAccount>) -> Result<HttpResponse, PageError> {
    let admin = signed.admin.account().clone();
    show(&signed, StatusCode::OK, &admin, &FieldErrors::default()).await
}

async fn show(
    signed: &Signed<OwnAccount>,
    status: StatusCode,
    admin: &Admin,
    errors: &FieldErrors,
) -> Result<HttpResponse, PageError> {
    let codes = &admin.filters.recovery_codes;
    let content = json!({
        "admin": {
            "username": admin.username,
            "email": admin.email,
            "description": admin.description,
            "last_login": admin.last_login,
        },
        "two_factor": admin.filters.totp_config.enabled,
        "can_two_factor": !signed.services().login.one_time().kinds().is_empty(),
        "recovery_left": codes.iter().filter(|code| !code.used).count(),
        "sessions": signed.pages.sessions.list(&signed.session),
        "duty": admin.duty().map(|duty| match duty {
            Duty::ChangePassword => "password",
            Duty::SetUpSecondFactor => "second factor",
        }),
        "errors": errors,
    });
    signed.page_with(status, "admin/profile.html", "", "Profile", content).await
}

/// Whether what the caller typed was refused, with the field that the refusal names.
fn refusal(error: ApiError, errors: &mut FieldErrors) -> Result<(), PageError> {
    if !error.status().is_client_error() || error.status() == StatusCode::NOT_FOUND {
        return Err(error.into());
    }
    let told = error.told();
    let (field, told) = match told {
        _ if told.contains("email: ") => ("email", "Enter an address such as name@example.com."),
        _ if told.starts_with("current_password") => ("current", "This is not your password."),
        // Without the name that the field has in the API.
        _ => ("password", told.split_once(": ").map_or(told, |(_, told)| told)),
    };
    errors.add(field, sentence(told));
    Ok(())
}

pub async fn save(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let profile = AdminProfile {
        email: form.trimmed("email").to_owned(),
        description: form.trimmed("description").to_owned(),
        ..AdminProfile::of(by.admin.account())
    };
    let saved = save_profile(by.services(), by.username(), profile.clone()).await;
    if let Err(error) = saved {
        let mut errors = FieldErrors::default();
        refusal(error, &mut errors)?;
        let AdminProfile { email, description, .. } = profile;
        let typed = Admin { email, description, ..by.admin.account().clone() };
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, &typed, &errors).await;
    }
    by.leave_notice("ok", "Profile saved.");
    Ok(to_profile(by))
}

pub async fn password(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let mut errors = FieldErrors::default();
    if form.get("password") != form.get("confirm") {
        errors.add("confirm", "The two new passwords differ.");
    } else {
        let change = PasswordChange {
            current_password: Password::from(form.get("current")),
            new_password: Password::from(form.get("password")),
        };
        let changed = change_own_password(by.services(), by.username(), change, by.ip()).await;
        if let Err(error) = changed {
            refusal(error, &mut errors)?;
        }
    }
    if !errors.is_empty() {
        let admin = by.admin.account();
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, admin, &errors).await;
    }
    // Who had the old password is out; who changed it stays.
    by.pages.sessions.end_others(by.username(), Some(&by.session));
    by.leave_notice("ok", "Password changed. Your other sessions have ended.");
    Ok(to_profile(by))
}

fn to_profile(by: &Signed<OwnAccount>) -> HttpResponse {
    see_other(&format!("{}/profile", admin_root(&by.request)))
}

pub async fn end_session(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    if by.pages.sessions.end_by_id(by.username(), act.form.get("id")) {
        by.leave_notice("ok", "The session has ended.");
    } else {
        by.leave_notice("info", "That session had ended already.");
    }
    Ok(to_profile(by))
}

/// How long the session lasts; asking prolongs it.
pub async fn session(signed: Signed<OwnAccount>) -> Result<HttpResponse, PageError> {
    Ok(HttpResponse::Ok().json(json!({ "left_secs": signed.session.left_secs })))
}

/// Remembers light or dark in the browser.
pub async fn theme(act: Act<OwnAccount>, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let mut response = see_other(&own_path(&request, act.form.get("back")));
    let chosen = response.add_cookie(&theme_cookie(&request, act.form.get("theme")));
    chosen.map_err(|error| crate::error::Error::internal(format!("a cookie: {error}")))?;
    Ok(response)
}
