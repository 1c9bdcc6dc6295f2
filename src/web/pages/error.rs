//! What a page says when it cannot be shown.

use std::fmt;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde_json::json;

use super::page;
use crate::error::Error;
use crate::model::Duty;
use crate::web::error::ApiError;
use crate::web::request::id::RequestId;
use crate::web::url::segment;

/// Why there is no page.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in, or not any more.
    SignIn,
    /// Who is signed in has to do something with the own account first.
    First(Duty),
    /// The form is not from one of our pages, or from one that is too old.
    Forged,
    /// Whatever the call below says.
    Api(ApiError),
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn => f.write_str("nobody is signed in"),
            Self::First(duty) => write!(f, "something has to be done first: {duty:?}"),
            Self::Forged => f.write_str("the form has no valid token"),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// The bare status; [`shown`] makes a page of it.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

impl PageError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::First(_) | Self::Forged => StatusCode::FORBIDDEN,
            Self::Api(error) => error.status(),
        }
    }

    /// What went wrong on our side, for the log.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            Self::Api(error) if error.status().is_server_error() => error.cause(),
            _ => None,
        }
    }

    /// The headline and what to do about it.
    fn told(&self) -> (String, String) {
        let (title, told) = match self {
            Self::SignIn => ("Sign in", "Your session has ended. Sign in to go on."),
            Self::First(Duty::ChangePassword) => {
                ("Change your password", "An administrator asks for that before anything else.")
            }
            Self::First(Duty::SetUpSecondFactor) => {
                ("Set up a second factor", "An administrator asks for that before anything else.")
            }
            Self::Forged => (
                "The form was too old",
                "Nothing was changed. Load the page again and repeat what you did; a session \
                 that has ended meanwhile is the usual reason.",
            ),
            Self::Api(error) => {
                let title = match error.status() {
                    StatusCode::NOT_FOUND => "There is nothing here",
                    StatusCode::FORBIDDEN => "You may not do this",
                    StatusCode::TOO_MANY_REQUESTS => "Too many requests",
                    status if status.is_server_error() => "The server could not do this",
                    _ => "This was not done",
                };
                let told = if error.status() == StatusCode::SERVICE_UNAVAILABLE {
                    "The data provider did not answer. Nothing was changed.".to_owned()
                } else {
                    sentence(error.told())
                };
                return (title.to_owned(), told);
            }
        };
        (title.to_owned(), told.to_owned())
    }
}

/// With a capital letter and a full stop.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    let mut sentence: String = first.into_iter().flatten().chain(characters).collect();
    if !sentence.ends_with(['.', '?', '!']) && !sentence.is_empty() {
        sentence.push('.');
    }
    sentence
}

/// Middleware that turns every [`PageError`] into a page, or into a way to sign in.
pub async fn shown<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    let response = next.call(request).await?;
    let page = response
        .response()
        .error()
        .and_then(|error| error.as_error::<PageError>().map(|e| page_of(response.request(), e)));
    Ok(match page {
        None => response.map_into_left_body(),
        Some(page) => {
            // The error stays with the answer, for the log.
            let (request, old) = response.into_parts();
            let cause = old.error().and_then(|error| error.as_error::<PageError>());
            let cause = cause.and_then(PageError::cause).map(ToString::to_string);
            if let (Some(cause), Ok(binding)) = (cause, crate::web::services::Binding::of(&request))
            {
                let log = crate::logging::for_sender(&binding.services.log, "httpd");
                slog::error!(log, "{} {} failed: {}", request.method(), request.path(), cause;
                    "request_id" => RequestId::of(&request).unwrap_or_default());
            }
            ServiceResponse::new(request, page).map_into_right_body()
        }
    })
}

/// The page that tells of `error`, or a way to sign in.
pub fn page_of(request: &HttpRequest, error: &PageError) -> HttpResponse {
    let is_page = request.headers().get(header::ACCEPT).is_none_or(|accepted| {
        accepted.to_str().is_ok_and(|kinds| kinds.contains("text/html") || kinds.contains("*/*"))
    });
    let is_fetched = request.headers().contains_key("x-fetched");
    let root = page::admin_root(request);
    if let (PageError::First(duty), true, false) = (error, is_page, is_fetched) {
        return page::see_other(&match duty {
            Duty::ChangePassword => format!("{root}/profile#new-password"),
            Duty::SetUpSecondFactor => format!("{root}/two-factor"),
        });
    }
    if matches!(error, PageError::SignIn) && is_page && !is_fetched {
        let next = request.uri().path_and_query().map_or("", |wanted| wanted.as_str());
        let is_start = next == root || request.method() != actix_web::http::Method::GET;
        let query = if is_start { String::new() } else { format!("?next={}", segment(next)) };
        return page::see_other(&format!("{root}/login{query}"));
    }
    let (title, told) = error.told();
    let status = error.status_code();
    // What is not there will not be there a moment later.
    let context = json!({
        "title": title,
        "told": told,
        "again": status != StatusCode::NOT_FOUND,
        "reference": RequestId::of(request).filter(|_| status.is_server_error()),
    });
    page::render_alone(request, "error.html", status, context)
        .unwrap_or_else(|_| HttpResponse::new(status))
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn errors_are_told_in_sentences() {
        assert_eq!(sentence("user \"x\" does not exist"), "User \"x\" does not exist.");
        assert_eq!(sentence("Already one."), "Already one.");
        assert_eq!(sentence(""), "");
    }
}
