//! `/healthz`: whether this process can serve, which it cannot without its accounts.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::logging;
use crate::web::services::{Binding, Services};

/// A store that takes longer is as good as down to whoever asks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the data provider answers.
pub async fn store_answers(services: &Services) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, services.store.check_availability()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
    }
}

/// 200 `ok`, or 503 when the data provider does not answer. The cause is only
/// logged, by `sender`: anybody may ask.
pub async fn healthz(services: &Services, sender: &'static str) -> HttpResponse {
    match store_answers(services).await {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok"),
        Err(cause) => {
            let log = logging::for_sender(&services.log, sender);
            slog::warn!(log, "health check: the data provider is down: {}", cause);
            HttpResponse::ServiceUnavailable()
                .content_type("text/plain; charset=utf-8")
                .body("the data provider does not answer")
        }
    }
}

/// `/healthz` of the API's server.
pub async fn httpd(binding: Data<Binding>) -> HttpResponse {
    healthz(&binding.services, "httpd").await
}
