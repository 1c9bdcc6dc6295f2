//! One-time passwords of the own account.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::model::timestamp::now_unix_secs;
use crate::model::{Secret, SecretStatus, TotpConfig};
use crate::web::api::second_factor::{
    described, generate_secret, new_admin_recovery_codes, open_recovery_codes, save_admin_totp,
};
use crate::web::pages::error::PageError;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::request::auth::OwnAccount;

pub async fn page(signed: Signed<OwnAccount>) -> Result<HttpResponse, PageError> {
    show(&signed, StatusCode::OK, json!({})).await
}

/// The state of the second factor, and what `besides` says of a step that is under way.
async fn show(
    signed: &Signed<OwnAccount>,
    status: StatusCode,
    besides: Value,
) -> Result<HttpResponse, PageError> {
    let filters = signed.admin.filters();
    let kinds = signed.services().login.one_time().kinds();
    let left = filters.recovery_codes.iter().filter(|code| !code.used).count();
    let mut content = json!({
        "enabled": filters.totp_config.enabled,
        "is_required": filters.require_two_factor,
        "recovery_left": left,
        "kinds": kinds.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>(),
        "codes": null,
        "secret": null,
        "told": "",
    });
    if let (Value::Object(content), Value::Object(besides)) = (&mut content, besides) {
        content.extend(besides);
    }
    signed.page_with(status, "admin/two_factor.html", "", "Second factor", content).await
}

pub async fn begin(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let (by, kind) = (&act.by, act.form.get("kind"));
    let new = generate_secret(by.services(), kind, by.username())?;
    let besides = json!({ "kind": kind, "secret": new.secret, "qr": new.qr_code });
    show(by, StatusCode::OK, besides).await
}

pub async fn save(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let (kind, secret) = (form.get("kind"), form.get("secret"));
    let services = by.services();
    let one_time = services.login.one_time();
    if !one_time.matches(kind, secret, form.trimmed("code"), now_unix_secs())? {
        let new = described(kind, &one_time.describe(kind, secret, by.username())?)?;
        let besides = json!({
            "kind": kind,
            "secret": secret,
            "qr": new.qr_code,
            "told": "This code is wrong. Wait for the next one, and check your device's clock.",
        });
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, besides).await;
    }
    let wanted = TotpConfig {
        enabled: true,
        config_name: kind.to_owned(),
        secret: Secret {
            status: Some(SecretStatus::Plain),
            payload: secret.to_owned(),
            ..Secret::default()
        },
    };
    let saved = save_admin_totp(services, by.username(), wanted).await?;
    show_codes(by, &open_recovery_codes(&saved.filters.recovery_codes)?).await
}

async fn show_codes(by: &Signed<OwnAccount>, codes: &[String]) -> Result<HttpResponse, PageError> {
    show(by, StatusCode::OK, json!({ "codes": codes })).await
}

pub async fn codes(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    let codes = new_admin_recovery_codes(by.services(), by.username()).await?;
    show_codes(by, &codes).await
}

pub async fn off(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    let (by, services) = (&act.by, act.by.services());
    // Whoever finds the browser open must not be able to do this.
    let login = services.login.admin(by.username(), act.form.get("password"), by.ip()).await;
    if login.is_err() {
        let told = json!({ "told": "This is not your password." });
        return show(by, StatusCode::UNPROCESSABLE_ENTITY, told).await;
    }
    save_admin_totp(services, by.username(), TotpConfig::default()).await?;
    by.leave_notice("ok", "The second factor is off.");
    Ok(see_other(&format!("{}/profile", admin_root(&by.request))))
}
