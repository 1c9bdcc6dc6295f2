//! One binding's application: how requests reach its handlers.

use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PathConfig, QueryConfig, ServiceConfig};

use crate::web::edge::{cors, htpasswd, observe, rate_limit, security};
use crate::web::error::ApiError;
use crate::web::services::Binding;
use crate::web::{admin, fallback, health, openapi, routes, url};

/// The application of one binding.
pub fn app(
    binding: Data<Binding>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let configured = binding.clone();
    App::new()
        .app_data(binding)
        .app_data(QueryConfig::default().error_handler(|error, _| wrong_request(&error)))
        .app_data(PathConfig::default().error_handler(|error, _| wrong_request(&error)))
        .wrap(from_fn(htpasswd::httpd))
        // Before any password is looked at; behind what answers other origins, so that they
        // can read the refusal and asking for permission costs nothing.
        .wrap(from_fn(rate_limit::httpd))
        .wrap(from_fn(cors::httpd))
        .wrap(from_fn(security::httpd))
        .wrap(from_fn(observe::httpd))
        .configure(move |config| configure(config, &configured))
        .default_service(web::to(fallback::not_found))
}

/// What cannot even be taken apart is refused in the same form as everything else.
fn wrong_request(error: &dyn std::error::Error) -> actix_web::Error {
    ApiError::bad_request(error.to_string()).into()
}

fn configure(config: &mut ServiceConfig, binding: &Binding) {
    config.service(
        web::resource(url::HEALTH)
            .route(web::get().to(health::httpd))
            .route(web::head().to(health::httpd))
            .default_service(web::to(fallback::only_get)),
    );
    if binding.has_api {
        routes::configure(config);
    }
    if binding.has_api && binding.has_openapi {
        openapi::configure(config, &binding.edge);
    }
    if binding.pages.is_some() {
        admin::configure(config, &binding.edge);
    }
}
