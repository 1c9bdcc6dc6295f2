//! The start page: is everything all right?

use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::web::auth::Anything;
use crate::web::error::ApiError;
use crate::web::pages::error::PageError;
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::Signed;

/// `/` and `/web`: there are no other pages yet.
pub async fn elsewhere(request: HttpRequest) -> HttpResponse {
    see_other(&admin_root(&request))
}

pub async fn page(signed: Signed<Anything>) -> Result<HttpResponse, PageError> {
    let sessions = signed.services().registry.count().await;
    signed
        .page("admin/overview.html", "overview", "Overview", json!({ "sessions": sessions }))
        .await
}

/// What every other path below the pages answers.
pub async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, PageError> {
    Err(ApiError::not_found(format!("there is no page at {}", request.path())).into())
}
