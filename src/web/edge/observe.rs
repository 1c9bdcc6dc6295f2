//! What is seen of every request: a log line, counters and an id.

use std::time::Instant;

use actix_web::HttpMessage;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;

use crate::error::Error;
use crate::logging;
use crate::web::error::ApiError;
use crate::web::request::id::RequestId;
use crate::web::request::peer::Peer;
use crate::web::services::{Binding, Services};

/// In the extensions of a request that nobody wants to see among the newest lines: one of
/// the many files that a page consists of.
pub struct Unwatched;

/// Middleware of the API's server.
pub async fn httpd<B: MessageBody>(
    binding: Data<Binding>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    // Ours, never the client's: it must not be able to write into our log.
    let id = uuid::Uuid::now_v7().simple().to_string();
    let seen = Seen::of(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.call(request).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    seen.record(&binding.services, "httpd", &binding.local, &id, &response);
    Ok(response)
}

/// What is noted when a request arrives.
pub struct Seen {
    started: Instant,
    user_agent: String,
    proto: String,
}

impl Seen {
    pub fn of(request: &ServiceRequest) -> Self {
        let user_agent = request
            .headers()
            .get("User-Agent")
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default();
        Self { started: Instant::now(), user_agent, proto: format!("{:?}", request.version()) }
    }

    /// Counts and logs the answer.
    pub fn record<B: MessageBody>(
        &self,
        services: &Services,
        sender: &'static str,
        local: &str,
        request_id: &str,
        response: &ServiceResponse<B>,
    ) {
        let request = response.request();
        let status = response.status();
        let elapsed = self.started.elapsed();
        services.metrics.http_request(status.as_u16(), elapsed);
        if let Some(cause) = response.response().error().and_then(server_cause) {
            let log = logging::for_sender(&services.log, sender);
            slog::error!(log, "{} {} failed: {}", request.method(), request.path(), cause;
                "request_id" => request_id);
        }
        logging::http(
            &services.log,
            &logging::HttpRequest {
                sender,
                local_addr: local,
                method: request.method().as_str(),
                proto: &self.proto,
                remote_addr: &Peer::of(request).shown,
                request_id,
                uri: &request.uri().to_string(),
                user_agent: &self.user_agent,
                resp_status: status.as_u16(),
                resp_size: match response.response().body().size() {
                    BodySize::Sized(bytes) => bytes,
                    BodySize::None | BodySize::Stream => 0,
                },
                elapsed_ms: elapsed.as_millis().try_into().unwrap_or(u64::MAX),
                is_watched: !request.extensions().contains::<Unwatched>(),
            },
        );
    }
}

/// The failure below a 5xx answer; what clients got wrong is in the answer itself.
fn server_cause(error: &actix_web::Error) -> Option<&Error> {
    error
        .as_error::<ApiError>()
        .filter(|error| error.status().is_server_error())
        .and_then(ApiError::cause)
}
