//! How a failure is told to an HTTP client.
//!
//! One exhaustive `match` maps the product's error kinds to statuses, so a new
//! kind does not compile until this edge has decided. Everything a client sees
//! is an [`ApiResponse`]; what only our log may see stays in the source error.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use crate::error::{Error, ErrorKind};
use crate::web::response::ApiResponse;

/// The object that was looked for, or 404 naming it.
pub fn found<T>(object: Option<T>, kind: &str, name: &str) -> Result<T, ApiError> {
    object.ok_or_else(|| ApiError::not_found(format!("{kind} \"{name}\" does not exist")))
}

/// A request that fails: the status, what the client is told, and for our log the cause.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    told: String,
    hint: Hint,
    cause: Option<Error>,
}

impl ApiError {
    /// A refusal in our own words; `told` goes to the client.
    pub fn new(status: StatusCode, told: impl Into<String>) -> Self {
        Self { status, told: told.into(), hint: Hint::None, cause: None }
    }

    /// 400: the request itself is wrong; `told` names the field or parameter.
    pub fn bad_request(told: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, told)
    }

    /// 401 for a missing, wrong or dead bearer token (RFC 6750, section 3).
    pub fn bad_token(told: impl Into<String>) -> Self {
        Self { hint: Hint::BearerToken, ..Self::new(StatusCode::UNAUTHORIZED, told) }
    }

    /// 401 for missing or wrong Basic credentials (RFC 7617, section 2).
    pub fn bad_credentials(told: impl Into<String>) -> Self {
        Self { hint: Hint::BasicCredentials, ..Self::new(StatusCode::UNAUTHORIZED, told) }
    }

    /// 403: who asks is known and may not.
    pub fn forbidden(told: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, told)
    }

    /// 404 naming what was looked for.
    pub fn not_found(told: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, told)
    }

    /// 429: the client may come again after so many seconds.
    pub fn too_many_requests(retry_after_secs: u64) -> Self {
        let seconds = if retry_after_secs == 1 { "second" } else { "seconds" };
        let told = format!("too many requests, try again in {retry_after_secs} {seconds}");
        Self::new(StatusCode::TOO_MANY_REQUESTS, told)
    }

    /// 405; `allowed` are the methods that the path has (RFC 9110, section 15.5.6).
    pub fn method_not_allowed(allowed: String) -> Self {
        let told = format!("this path knows only {allowed}");
        Self { hint: Hint::Methods(allowed), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, told) }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What the client is told.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// The failure below, for the log of a 5xx answer.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_ref()
    }
}

/// What would be right instead; some statuses ask for a header that says so.
#[derive(Debug)]
enum Hint {
    None,
    BearerToken,
    BasicCredentials,
    /// The methods of the path, separated by commas.
    Methods(String),
}

impl Hint {
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::None => None,
            Self::BearerToken => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::BasicCredentials => Some((
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"SFTPGo\", charset=\"UTF-8\""),
            )),
            Self::Methods(methods) => {
                HeaderValue::from_str(methods).ok().map(|methods| (header::ALLOW, methods))
            }
        }
    }
}

/// The status each kind of failure has on this edge.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::NotEmpty => {
            StatusCode::CONFLICT
        }
        ErrorKind::Outdated => StatusCode::PRECONDITION_FAILED,
        ErrorKind::PermissionDenied | ErrorKind::DownloadQuotaExceeded => StatusCode::FORBIDDEN,
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidPath
        | ErrorKind::InvalidInput
        | ErrorKind::Unsupported => StatusCode::BAD_REQUEST,
        ErrorKind::QuotaExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Timeout | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Aborted | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Error> for ApiError {
    /// What the caller got wrong is told with its context, because that names the
    /// field or the object; what went wrong with us is told by its kind only.
    fn from(error: Error) -> Self {
        let status = status_of(error.kind());
        let told = if status.is_client_error() && error.kind() != ErrorKind::Unauthenticated {
            error.context().to_owned()
        } else {
            error.kind().as_str().to_owned()
        };
        Self { status, told, hint: Hint::None, cause: Some(error) }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{cause}"),
            None => f.write_str(&self.told),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status).json(ApiResponse {
            message: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            error: self.told.clone(),
        });
        if let Some((name, value)) = self.hint.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_become_the_documented_statuses() {
        let table = [
            (ErrorKind::NotFound, 404),
            (ErrorKind::AlreadyExists, 409),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Outdated, 412),
            (ErrorKind::PermissionDenied, 403),
            (ErrorKind::InvalidInput, 400),
            (ErrorKind::Unsupported, 400),
            (ErrorKind::Unauthenticated, 401),
            (ErrorKind::RateLimited, 429),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Timeout, 503),
            (ErrorKind::Internal, 500),
        ];
        for (kind, status) in table {
            assert_eq!(ApiError::from(Error::new(kind, "x")).status().as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn our_own_failures_are_told_without_their_context() {
        let inner = std::io::Error::other("disk at /srv/secret failed");
        let error = ApiError::from(Error::with_source(
            ErrorKind::Internal,
            "open database /srv/secret/db",
            inner,
        ));
        assert_eq!(error.told, "internal error");
        assert!(error.to_string().contains("/srv/secret/db"), "the log still names it");
    }

    #[test]
    fn the_callers_mistakes_are_told_with_the_field() {
        let error = ApiError::from(Error::invalid("home_dir: must be an absolute path"));
        assert_eq!(error.told, "home_dir: must be an absolute path");
    }
}
