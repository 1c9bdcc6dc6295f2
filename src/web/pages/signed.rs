//! Who looks at a page. As for the REST API, a handler states its access rule in its
//! signature: `Signed<ViewUsers>` for what is shown, `Act<EditUsers>` for what a form does.
//! Only `Act` has the fields of a form, and it is made only when the form has the token of
//! the session and comes from one of our own pages.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::Pages;
use super::error::PageError;
use super::form::Form;
use super::sessions::{Session, Stage};
use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, Right};
use crate::web::request::peer::Peer;
use crate::web::services::{Binding, Services};

/// The field of every form with the token of the session.
pub const CSRF_FIELD: &str = "_csrf";

/// An administrator who is signed in and holds the right `R`.
pub struct Signed<R: Right> {
    pub admin: Admin<R>,
    pub session: Session,
    pub binding: Data<Binding>,
    pub request: HttpRequest,
    pub pages: Arc<Pages>,
}

impl<R: Right> Signed<R> {
    pub fn services(&self) -> &Services {
        &self.binding.services
    }

    pub fn username(&self) -> &str {
        self.admin.username()
    }

    pub fn ip(&self) -> IpAddr {
        Peer::of(&self.request).ip
    }

    /// Leaves a notice for the page that is shown next.
    pub fn leave_notice(&self, kind: &'static str, text: impl Into<String>) {
        self.pages.sessions.leave_notice(&self.session, kind, text);
    }

    /// Asks again whether who is signed in still is, with the same right. That is no sign
    /// of life, so it does not prolong the session.
    ///
    /// # Errors
    /// As for a request that begins now.
    pub async fn look_again(&mut self) -> Result<(), PageError> {
        *self = Self::seen(self.request.clone(), false).await?;
        Ok(())
    }

    async fn of(request: HttpRequest) -> Result<Self, PageError> {
        // Looking on does not keep a session alive, or it would never end.
        let is_activity = !is_background(&request);
        Self::seen(request, is_activity).await
    }

    async fn seen(request: HttpRequest, is_activity: bool) -> Result<Self, PageError> {
        let binding = Binding::of(&request)?;
        let pages = pages_of(&binding)?;
        let peer = Peer::of(&request);
        let session = cookie_of(&request, SESSION_COOKIE)
            .and_then(|id| pages.sessions.find(&id, Stage::SignedIn, peer.ip, is_activity))
            .ok_or(PageError::SignIn)?;
        let account = binding.services.store.admin(&session.username).await?;
        let account = account
            .filter(|account| account.is_enabled() && account.permits_address(peer.ip))
            .filter(|account| pages.sessions.survives(&session, account.updated_at));
        let Some(account) = account else {
            pages.sessions.end(&session);
            return Err(PageError::SignIn);
        };
        if let Some(duty) = R::duty_of(&account) {
            return Err(PageError::First(duty));
        }
        let admin = Admin::signed_in(account)?;
        Ok(Self { admin, session, binding, request, pages })
    }
}

/// Whether a page asks by itself, without anybody having done something.
pub fn is_background(request: &HttpRequest) -> bool {
    request.headers().contains_key("x-background")
        || request.headers().get(header::ACCEPT).is_some_and(|kind| kind == "text/event-stream")
}

impl<R: Right> FromRequest for Signed<R> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(Self::of(request.clone()))
    }
}

/// What somebody who holds the right `R` has asked for by a form.
pub struct Act<R: Right> {
    pub by: Signed<R>,
    pub form: Form,
}

impl<R: Right> FromRequest for Act<R> {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            require_own_page(&request)?;
            let by = Signed::of(request.clone()).await?;
            let form = Form::read(&request, payload).await?;
            if !by.session.accepts(form.get(CSRF_FIELD)) {
                return Err(PageError::Forged);
            }
            Ok(Self { by, form })
        })
    }
}

/// Refuses a request that a page of somebody else has made, as browsers tell it.
pub fn require_own_page(request: &HttpRequest) -> Result<(), PageError> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match header("sec-fetch-site") {
        None | Some("same-origin" | "none") => {}
        Some(_) => return Err(PageError::Forged),
    }
    // Behind a proxy our own scheme and port need not be those that the browser sees.
    let host = header("host").map(host_name);
    match header("origin").filter(|origin| *origin != "null") {
        Some(origin) => {
            let origin = origin.split_once("://").map_or(origin, |(_, rest)| rest);
            if Some(host_name(origin)) == host { Ok(()) } else { Err(PageError::Forged) }
        }
        None => Ok(()),
    }
}

/// Without the port.
fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// The parts of the pages that a binding shows.
pub fn pages_of(binding: &Binding) -> Result<Arc<Pages>, PageError> {
    let pages = binding.pages.clone();
    pages.ok_or_else(|| ApiError::not_found("the web pages are switched off").into())
}

/// The cookie that names the session.
pub const SESSION_COOKIE: &str = "sftpgo_admin";
/// The cookie that names the session of who still has to type a one-time password.
pub const CODE_COOKIE: &str = "sftpgo_admin_code";
/// The cookie that ties forms to a browser before anybody has signed in.
pub const FORM_COOKIE: &str = "sftpgo_form";

/// The value of a cookie. Over HTTPS its name has the prefix that forbids every other
/// host, and plain HTTP, to set it.
pub fn cookie_of(request: &HttpRequest, name: &str) -> Option<String> {
    let name = full_name(request, name);
    request.cookie(&name).map(|cookie| cookie.value().to_owned())
}

/// A cookie that ends with the browser, as strict as can be.
pub fn cookie(request: &HttpRequest, name: &str, value: &str) -> Cookie<'static> {
    let is_secure = is_secure(request);
    Cookie::build(full_name(request, name), value.to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_secure)
        .finish()
}

/// The same, gone.
pub fn without_cookie(request: &HttpRequest, name: &str) -> Cookie<'static> {
    let mut cookie = cookie(request, name, "");
    cookie.make_removal();
    cookie
}

fn full_name(request: &HttpRequest, name: &str) -> String {
    if is_secure(request) { format!("__Host-{name}") } else { name.to_owned() }
}

/// Whether the browser came by HTTPS.
pub fn is_secure(request: &HttpRequest) -> bool {
    let binding = request.app_data::<Data<Binding>>();
    binding.is_some_and(|binding| binding.edge.is_secure(request.head()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_our_own_pages_may_send_forms() {
        let allowed = |headers: &[(&'static str, &'static str)]| {
            let mut request = TestRequest::post().insert_header(("host", "files.example:8080"));
            for header in headers {
                request = request.insert_header(*header);
            }
            require_own_page(&request.to_http_request()).is_ok()
        };
        assert!(allowed(&[]), "no browser says nothing; the token decides");
        assert!(allowed(&[("sec-fetch-site", "same-origin")]));
        assert!(allowed(&[("sec-fetch-site", "none")]));
        assert!(allowed(&[("origin", "http://files.example:8080")]));
        assert!(allowed(&[("origin", "https://files.example")]), "a proxy in between");
        for site in ["cross-site", "same-site", "anything"] {
            assert!(!allowed(&[("sec-fetch-site", site)]), "{site}");
        }
        for origin in ["https://evil.example", "http://files.example.evil.example:8080"] {
            assert!(!allowed(&[("origin", origin)]), "{origin}");
        }
    }
}
