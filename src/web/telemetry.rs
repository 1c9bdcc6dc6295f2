//! The telemetry server: metrics and health, apart from the API.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse};

use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::web::edge::htpasswd::Door;
use crate::web::edge::observe::Seen;
use crate::web::edge::security::Security;
use crate::web::error::ApiError;
use crate::web::services::Services;
use crate::web::{fallback, health, url};

/// What the telemetry server's handlers share.
pub struct Telemetry {
    pub services: Arc<Services>,
    /// Who may read the metrics; `None` is everybody.
    pub readers: Option<Arc<Door>>,
    /// The address listened on, for logs.
    pub local: String,
}

/// The application of the telemetry server.
pub fn app(
    telemetry: Data<Telemetry>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(telemetry)
        .wrap(from_fn(protect))
        .wrap(from_fn(observe))
        .service(
            web::resource(url::HEALTH)
                .route(web::get().to(healthz))
                .route(web::head().to(healthz))
                .default_service(web::to(fallback::only_get)),
        )
        .service(
            web::resource("/metrics")
                .route(web::get().to(metrics))
                .default_service(web::to(fallback::only_get)),
        )
        .default_service(web::to(fallback::not_found))
}

/// Middleware of the telemetry server, whose lines have no request id.
async fn observe<B: MessageBody>(
    telemetry: Data<Telemetry>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let seen = Seen::of(&request);
    let response = next.call(request).await?;
    seen.record(&telemetry.services, "telemetry", &telemetry.local, "", &response);
    Ok(response)
}

/// Middleware of the telemetry server, which has no settings of this kind.
async fn protect<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let mut response = next.call(request).await?;
    Security::default().protect(false, response.headers_mut());
    Ok(response)
}

/// `/healthz` of the telemetry server.
async fn healthz(telemetry: Data<Telemetry>) -> HttpResponse {
    health::healthz(&telemetry.services, "telemetry").await
}

/// All metrics in Prometheus' text format.
async fn metrics(
    telemetry: Data<Telemetry>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if let Some(readers) = &telemetry.readers {
        readers.admit(&request).await?;
    }
    let services = &telemetry.services;
    update_gauges(services).await;
    let text = services.metrics.render()?;
    Ok(HttpResponse::Ok().content_type(Metrics::CONTENT_TYPE).body(text))
}

/// Brings the metrics that are states, not events, up to date.
async fn update_gauges(services: &Services) {
    let metrics = &services.metrics;
    metrics.set_provider_available(health::store_answers(services).await.is_ok());
    let health = services.supervisor.health().await;
    // A registry that cannot answer would keep us waiting; the last count stands.
    if health.control_roundtrip.is_some() {
        metrics.set_active_sessions(services.registry.list().await.len());
    }
    metrics.set_health(&health);
    let dropped_lines = services.log_control.as_ref().map_or(0, LogControl::dropped_lines);
    metrics.set_dropped_log_lines(dropped_lines);
}
