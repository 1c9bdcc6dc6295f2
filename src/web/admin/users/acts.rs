//! What is done with one user besides changing its settings.

use actix_web::HttpResponse;
use actix_web::web::Path;
use serde_json::json;

use super::path_of;
use crate::web::api::second_factor::disable_second_factor_of_user;
use crate::web::operations::bulk::{BulkAction, BulkUsers};
use crate::web::pages::error::PageError;
use crate::web::pages::page::{own_path, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::text;
use crate::web::request::auth::{DisableSecondFactors, EditUsers};

/// Lets a user log in, or not any more.
pub async fn status(
    act: Act<EditUsers>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let (action, done) = match form.get("status") {
        "1" => (BulkAction::Enable, "enabled"),
        _ => (BulkAction::Disable, "disabled"),
    };
    let request = BulkUsers::of(action, vec![username.clone()]);
    let results = by.services().bulk_users(&by.admin, request).await?;
    if let Some(failed) = results.iter().find(|result| result.status != 200) {
        by.leave_notice("bad", crate::web::pages::error::sentence(&failed.error));
    } else {
        by.leave_notice("ok", format!("{} was {done}.", text::visible(&username)));
    }
    let back = Some(form.get("back")).filter(|back| !back.is_empty());
    Ok(see_other(&own_path(&by.request, back.unwrap_or(&path_of(&by.request, &username)))))
}

pub async fn two_factor_question(
    signed: Signed<DisableSecondFactors>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let user = signed.services().users_of(&signed.admin).get(&username).await?;
    let content =
        json!({ "username": user.username, "path": path_of(&signed.request, &user.username) });
    signed.page("admin/user_two_factor.html", "users", "Disable the second factor", content).await
}

pub async fn two_factor_off(
    act: Act<DisableSecondFactors>,
    username: Path<String>,
) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    disable_second_factor_of_user(by.services(), &by.admin, &username).await?;
    by.leave_notice("ok", "The second factor is off.");
    Ok(see_other(&format!("{}?tab=sign-in", path_of(&by.request, &username))))
}
