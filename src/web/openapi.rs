//! The OpenAPI document: made from the handlers, framed and served here.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::web::routes::Document;

/// What is said once for the whole document.
pub(super) struct DocumentFrame;

impl Modify for DocumentFrame {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        document.info.title = "SFTPGo REST API".to_owned();
        document.info.version = env!("CARGO_PKG_VERSION").to_owned();
        document.info.description = Some(
            "Manages accounts, folders, quotas and live connections. Ask `/api/v2/token` for \
             an access token with HTTP Basic authentication and send it as a bearer token with \
             every other request. Every failure is answered with an `ApiResponse`."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "BearerAuth",
            SecurityScheme::Http(
                utoipa::openapi::security::HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("JWT")
                    .build(),
            ),
        );
        components.add_security_scheme(
            "BasicAuth",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)),
        );
    }
}

/// Serves the document at `/openapi` and `/openapi/openapi.json`.
pub fn configure(config: &mut ServiceConfig) {
    // Rendered once per worker when the server starts, not with every request.
    let document = serde_json::to_string(&Document::openapi()).unwrap_or_default();
    let document = web::Bytes::from(document);
    for path in ["/openapi", "/openapi/openapi.json"] {
        let document = document.clone();
        config.route(
            path,
            web::get().to(move || {
                let document = document.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(document) }
            }),
        );
    }
}
