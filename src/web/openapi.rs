//! The OpenAPI document: made from the handlers, framed and served here.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Deprecated, KnownFormat, ObjectBuilder, PathItem, RefOr, Schema, SchemaFormat, Type,
};
use utoipa::{Modify, OpenApi};

use crate::web::edge::Edge;
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
             every other request. Every failure is answered with an `ApiResponse`. Where requests are \
             limited, one too many gets status 429 and `Retry-After`."
                .to_owned(),
        );
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let tag = operation.tags.as_ref().and_then(|tags| tags.first());
                let tag = tag.cloned().unwrap_or_default();
                // Clients of older servers find these, writers of new ones should not.
                operation.deprecated = (tag == "aliases").then_some(Deprecated::True);
                // Handlers are called alike in every file; generated clients need one name each.
                let name = operation.operation_id.take().unwrap_or_default();
                operation.operation_id = Some(format!("{tag}_{name}"));
            }
        }
        let components = document.components.get_or_insert_default();
        for account in ["User", "Admin"] {
            let schema = components.schemas.get_mut(account);
            if let Some(RefOr::T(Schema::Object(account))) = schema {
                account.properties.insert("password".to_owned(), password());
            }
        }
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

/// The password of an account. Serialisation leaves it out, and the derived
/// schema with it, but clients may send one.
fn password() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .description(Some("Clear text, or a hash in a known format; absent keeps the stored one."))
        .write_only(true)
        .into()
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// Serves the document at `/openapi` and `/openapi/openapi.json`, below the web root.
pub fn configure(config: &mut ServiceConfig, edge: &Edge) {
    // Rendered once per worker when the server starts, not with every request.
    let document = serde_json::to_string(&Document::openapi()).unwrap_or_default();
    let document = web::Bytes::from(document);
    for path in ["/openapi", "/openapi/openapi.json"] {
        let document = document.clone();
        config.route(
            &edge.link(path),
            web::get().to(move || {
                let document = document.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(document) }
            }),
        );
    }
}
