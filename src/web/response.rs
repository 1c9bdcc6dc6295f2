//! The envelope of every answer that is not an object: `ApiResponse`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened, in words; the status code says the same to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiResponse {
    /// What was done, or the name of the status.
    #[serde(default)]
    pub message: String,
    /// Why it was not done; empty on success.
    #[serde(default)]
    pub error: String,
}

impl ApiResponse {
    /// An answer to a request that did what was asked.
    pub fn done(message: impl Into<String>) -> Self {
        Self { message: message.into(), error: String::new() }
    }
}

/// `status` with an [`ApiResponse`] that says `message`.
pub fn done(status: StatusCode, message: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).json(ApiResponse::done(message))
}

/// 200 with an [`ApiResponse`] that says `message`.
pub fn ok(message: impl Into<String>) -> HttpResponse {
    done(StatusCode::OK, message)
}

/// 201 with the created object and where it is found from now on.
pub fn created<T: Serialize>(location: String, object: &T) -> HttpResponse {
    HttpResponse::Created().insert_header(("Location", location)).json(object)
}
