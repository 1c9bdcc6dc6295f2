//! Requests of clients that come too often are refused before anything is done for them.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::model::LoginProtocol;
use crate::protocol::listener::rate_limits::OverLimit;
use crate::web::edge::{Edge, is_below};
use crate::web::error::ApiError;
use crate::web::pages::error::{PageError, page_of};
use crate::web::pages::{assets, page};
use crate::web::request::peer::Peer;
use crate::web::services::Binding;
use crate::web::url;

/// Middleware of the API's server.
pub async fn httpd<B: MessageBody>(
    binding: Data<Binding>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if is_counted(&binding.edge, binding.door.is_some(), request.path()) {
        let client = Peer::of(request.request()).ip;
        let limits = &binding.services.rate_limits;
        if let Err(over) = limits.admit(LoginProtocol::Http, client).await {
            let refusal = refusal(&binding.edge, request.request(), over);
            return Ok(request.into_response(refusal).map_into_right_body());
        }
    }
    next.call(request).await.map(ServiceResponse::map_into_left_body)
}

/// What a page is made of comes with it, but for who would guess passwords there: those of
/// `httpd.auth_user_file`. A probe must not fail because of somebody else's requests.
fn is_counted(edge: &Edge, has_door: bool, path: &str) -> bool {
    path != url::HEALTH && (has_door || !is_below(path, &edge.link(assets::BASE)))
}

/// 429 (RFC 6585, section 4), as a page to who asks for one.
fn refusal(edge: &Edge, request: &HttpRequest, over: OverLimit) -> HttpResponse {
    let secs = over.retry_after_secs();
    let error = ApiError::too_many_requests(secs);
    let root = edge.link(page::ROOT);
    let is_page = request.path() == root || is_below(request.path(), &root);
    let mut response = match is_page {
        true => page_of(request, &PageError::Api(error)),
        false => error.error_response(),
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HttpdBinding, HttpdConfig};

    #[test]
    fn everything_counts_but_the_health_check_and_what_pages_are_made_of() {
        let table = [
            ("", "/api/v2/token", true),
            ("", "/web/admin/login", true),
            ("", "/", true),
            ("", "/healthz", false),
            ("", "/healthz/", true),
            ("", "/static/abc/app.css", false),
            ("", "/static", true),
            ("", "/statics/x", true),
            ("/files", "/files/static/abc/app.css", false),
            ("/files", "/static/abc/app.css", true),
            ("/files", "/healthz", false),
        ];
        for (root, path, counted) in table {
            let httpd = HttpdConfig { web_root: root.to_owned(), ..HttpdConfig::default() };
            let edge = Edge::from_config(&httpd, &HttpdBinding::default()).expect("valid");
            assert_eq!(is_counted(&edge, false, path), counted, "{root:?} {path}");
            assert_eq!(is_counted(&edge, true, path), path != url::HEALTH, "{root:?} {path}");
        }
    }
}
