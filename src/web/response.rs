//! The envelope of every answer that is not an object: `ApiResponse`.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::web::operations::versions::{Versioned, entity_tag};

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

/// 200 with a page of a list, and in `X-Total-Count` how many there are on all pages.
pub fn listed<T: Serialize>(objects: &[T], total: u64) -> HttpResponse {
    HttpResponse::Ok().insert_header(("X-Total-Count", total.to_string())).json(objects)
}

/// 200 with an object, `shown` as the client may see it, and its entity tag.
pub fn tagged<T: Versioned>(shown: &T) -> HttpResponse {
    HttpResponse::Ok().insert_header(header::ETag(entity_tag(shown))).json(shown)
}

/// 201 with the created object and where it is found from now on.
pub fn created<T: Serialize>(location: String, object: &T) -> HttpResponse {
    HttpResponse::Created().insert_header(("Location", location)).json(object)
}
