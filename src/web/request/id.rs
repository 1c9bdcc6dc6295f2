//! The id of a request.

use actix_web::{HttpMessage, HttpRequest};

/// By which the lines of a request are found in the log; its answer has it in `X-Request-Id`.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    /// Of a request that came through [`httpd`](crate::web::edge::observe::httpd).
    pub fn of(request: &HttpRequest) -> Option<String> {
        request.extensions().get::<Self>().map(|id| id.0.clone())
    }
}
