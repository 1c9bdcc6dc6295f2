//! What administrators may change of their own account.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model;
use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, OwnAccount};
use crate::web::request::body::Body;
use crate::web::response::{ApiResponse, ok};
use crate::web::services::{Binding, Services};

/// The part of an administrator that is theirs to change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AdminProfile {
    pub email: String,
    pub description: String,
    pub allow_api_key_auth: bool,
}

impl AdminProfile {
    pub fn of(admin: &model::Admin) -> Self {
        Self {
            email: admin.email.clone(),
            description: admin.description.clone(),
            allow_api_key_auth: admin.filters.allow_api_key_auth,
        }
    }
}

/// Replaces the profile of the administrator of this name.
pub async fn save(
    services: &Services,
    username: &str,
    profile: AdminProfile,
) -> Result<model::Admin, ApiError> {
    let change = move |admin: &mut model::Admin| {
        profile.email.clone_into(&mut admin.email);
        profile.description.clone_into(&mut admin.description);
        admin.filters.allow_api_key_auth = profile.allow_api_key_auth;
    };
    Ok(services.store.change_admin(username, change).await?)
}

/// The caller's profile.
#[utoipa::path(
    get,
    path = "/api/v2/admin/profile",
    tag = "profile",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The profile", body = AdminProfile),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn get(caller: Admin<OwnAccount>) -> HttpResponse {
    HttpResponse::Ok().json(AdminProfile::of(caller.account()))
}

/// Replaces the caller's profile.
#[utoipa::path(
    put,
    path = "/api/v2/admin/profile",
    tag = "profile",
    security(("BearerAuth" = [])),
    request_body = AdminProfile,
    responses(
        (status = 200, description = "It is stored", body = ApiResponse),
        (status = 400, description = "A field is wrong; the error names it", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
    )
)]
pub async fn update(
    caller: Admin<OwnAccount>,
    binding: Data<Binding>,
    body: Body<AdminProfile>,
) -> Result<HttpResponse, ApiError> {
    save(&binding.services, caller.username(), body.read().await?).await?;
    Ok(ok("Profile updated"))
}
