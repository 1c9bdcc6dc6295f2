//! Signing in and out.

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use aws_lc_rs::hmac;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::auth::LoginFailure;
use crate::auth::one_time::CodeOwner;
use crate::model::Admin;
use crate::model::timestamp::now_unix_secs;
use crate::web::api::tokens::note_refusal;
use crate::web::edge::LoginWay;
use crate::web::error::ApiError;
use crate::web::pages::Pages;
use crate::web::pages::error::PageError;
use crate::web::pages::form::Form;
use crate::web::pages::page::{admin_root, own_path, render_alone, see_other};
use crate::web::pages::sessions::{NewSession, Session, Stage, random_text};
use crate::web::pages::signed::{
    Act, CODE_COOKIE, CSRF_FIELD, FORM_COOKIE, SESSION_COOKIE, cookie, cookie_of, pages_of,
    require_own_page, without_cookie,
};
use crate::web::request::auth::OwnAccount;
use crate::web::request::peer::Peer;
use crate::web::services::Binding;
use crate::web::url::segment;

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub struct NextQuery {
    #[serde(default)]
    next: String,
}

/// Nothing finer: who tries names must not learn which exist.
const REFUSED: &str = "The name or the password is wrong, or you may not sign in from here.";

pub async fn page(
    request: HttpRequest,
    binding: Data<Binding>,
    query: Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    if !binding.services.store.has_admins().await? {
        return Ok(see_other(&format!("{}/setup", admin_root(&request))));
    }
    require_form(&binding)?;
    let next = own_path(&request, &query.next);
    AnonymousForm::new(&request)?.show(
        &request,
        "admin/login.html",
        StatusCode::OK,
        json!({ "title": "Sign in", "next": next, "username": "", "told": "" }),
    )
}

pub async fn password(
    request: HttpRequest,
    binding: Data<Binding>,
    sent: AnonymousAct,
) -> Result<HttpResponse, PageError> {
    require_form(&binding)?;
    let form = sent.form;
    let peer = Peer::of(&request);
    let (username, next) = (form.get("username"), own_path(&request, form.get("next")));
    let started = Instant::now();
    let login = binding.services.login.admin(username, form.get("password"), peer.ip).await;
    let admin = match login {
        Ok(admin) => admin,
        Err(LoginFailure::Unavailable(error)) => return Err(error.into()),
        Err(failure) => {
            note_refusal(&binding.services, &peer, username, &failure);
            binding.services.login.delay().before_failure(started).await;
            return AnonymousForm::new(&request)?.show(
                &request,
                "admin/login.html",
                StatusCode::UNAUTHORIZED,
                json!({
                    "title": "Sign in", "next": next, "username": username, "told": REFUSED
                }),
            );
        }
    };
    if !admin.filters.totp_config.enabled {
        binding.services.login.delay().before_success(started).await;
        return sign_in(&request, &binding, &admin, &next);
    }
    let half = begin(&request, &binding, &admin, Stage::Code)?;
    let location = format!("{}/login/code?next={}", admin_root(&request), segment(&next));
    let mut response = see_other(&location);
    set(&mut response, &cookie(&request, CODE_COOKIE, &half))?;
    Ok(response)
}

pub async fn code_page(
    request: HttpRequest,
    binding: Data<Binding>,
    query: Query<NextQuery>,
) -> Result<HttpResponse, PageError> {
    let pages = pages_of(&binding)?;
    let session = half_session(&request, &pages)?;
    show_code(&request, &session, &own_path(&request, &query.next), StatusCode::OK, "")
}

/// Refuses where the binding has this way to sign in switched off.
fn require_form(binding: &Binding) -> Result<(), PageError> {
    match binding.edge.logins.offer(LoginWay::AdminForm) {
        true => Ok(()),
        false => Err(ApiError::forbidden("signing in by name is switched off here").into()),
    }
}

fn show_code(
    request: &HttpRequest,
    session: &Session,
    next: &str,
    status: StatusCode,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let content = json!({
        "title": "Second factor",
        "csrf": session.csrf,
        "username": session.username,
        "next": next,
        "told": told,
    });
    render_alone(request, "admin/code.html", status, content)
}

fn half_session(request: &HttpRequest, pages: &Pages) -> Result<Session, PageError> {
    cookie_of(request, CODE_COOKIE)
        .and_then(|id| pages.sessions.find(&id, Stage::Code, Peer::of(request).ip, true))
        .ok_or(PageError::SignIn)
}

pub async fn code(
    request: HttpRequest,
    binding: Data<Binding>,
    payload: actix_web::web::Payload,
) -> Result<HttpResponse, PageError> {
    require_own_page(&request)?;
    let pages = pages_of(&binding)?;
    let session = half_session(&request, &pages)?;
    let form = Form::read(&request, payload.into_inner()).await?;
    if !session.accepts(form.get(CSRF_FIELD)) {
        return Err(PageError::Forged);
    }
    let (started, delay) = (Instant::now(), binding.services.login.delay());
    let peer = Peer::of(&request);
    let next = own_path(&request, form.get("next"));
    // What has changed since the password was typed counts.
    let admin = binding.services.store.admin(&session.username).await?;
    let admin = admin
        .filter(|admin| admin.is_enabled() && admin.permits_address(peer.ip))
        .ok_or(PageError::SignIn)?;
    let code = form.trimmed("code");
    let totp = &admin.filters.totp_config;
    let owner = CodeOwner::Admin(&admin.username);
    let one_time = binding.services.login.one_time();
    let is_right = !totp.enabled
        || one_time.redeem(owner, &totp.config_name, &totp.secret, code, now_unix_secs())?
        || binding.services.store.redeem_admin_recovery_code(&admin.username, code).await?;
    if !is_right {
        note_refusal(&binding.services, &peer, &admin.username, &LoginFailure::WrongCode);
        // Counted before the wait, in which others may be tried.
        let may_try_again = pages.sessions.code_was_wrong(&session);
        delay.before_failure(started).await;
        if !may_try_again {
            return Err(PageError::SignIn);
        }
        let told = "This code is wrong, or it was used already. The next one may be due.";
        return show_code(&request, &session, &next, StatusCode::UNAUTHORIZED, told);
    }
    pages.sessions.end(&session);
    delay.before_success(started).await;
    let mut response = sign_in(&request, &binding, &admin, &next)?;
    set(&mut response, &without_cookie(&request, CODE_COOKIE))?;
    Ok(response)
}

pub async fn logout(act: Act<OwnAccount>) -> Result<HttpResponse, PageError> {
    act.by.pages.sessions.end(&act.by.session);
    let mut response = see_other(&format!("{}/login", admin_root(&act.by.request)));
    set(&mut response, &without_cookie(&act.by.request, SESSION_COOKIE))?;
    Ok(response)
}

/// Begins a session under a new name, whatever the browser had before.
pub fn sign_in(
    request: &HttpRequest,
    binding: &Binding,
    admin: &Admin,
    next: &str,
) -> Result<HttpResponse, PageError> {
    if let Some(old) = cookie_of(request, SESSION_COOKIE) {
        let pages = pages_of(binding)?;
        let old = pages.sessions.find(&old, Stage::SignedIn, Peer::of(request).ip, false);
        old.inspect(|old| pages.sessions.end(old));
    }
    let session = begin(request, binding, admin, Stage::SignedIn)?;
    let mut response = see_other(next);
    set(&mut response, &cookie(request, SESSION_COOKIE, &session))?;
    Ok(response)
}

fn begin(
    request: &HttpRequest,
    binding: &Binding,
    admin: &Admin,
    stage: Stage,
) -> Result<String, PageError> {
    let user_agent = request.headers().get("user-agent").and_then(|name| name.to_str().ok());
    let new = NewSession {
        stage,
        username: &admin.username,
        account_updated_at: admin.updated_at,
        ip: Peer::of(request).ip,
        user_agent: user_agent.unwrap_or_default(),
    };
    Ok(pages_of(binding)?.sessions.begin(&new)?)
}

fn set(response: &mut HttpResponse, cookie: &Cookie<'_>) -> Result<(), PageError> {
    response.add_cookie(cookie).map_err(|error| {
        crate::error::Error::internal(format!("a cookie cannot be set: {error}")).into()
    })
}

/// A form for who has not signed in: its token is tied to a cookie of the browser.
pub struct AnonymousForm {
    id: String,
    token: String,
}

impl AnonymousForm {
    pub fn new(request: &HttpRequest) -> Result<Self, PageError> {
        let pages = pages_of(&*Binding::of(request)?)?;
        let id = match cookie_of(request, FORM_COOKIE).filter(|id| id.len() == 43) {
            Some(id) => id,
            None => random_text()?,
        };
        let token = form_token(&pages, &id);
        Ok(Self { id, token })
    }

    /// The page with the form.
    pub fn show(
        &self,
        request: &HttpRequest,
        template: &str,
        status: StatusCode,
        mut content: Value,
    ) -> Result<HttpResponse, PageError> {
        content["csrf"] = self.token.as_str().into();
        let mut response = render_alone(request, template, status, content)?;
        set(&mut response, &cookie(request, FORM_COOKIE, &self.id))?;
        Ok(response)
    }
}

fn form_token(pages: &Pages, id: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &pages.form_key);
    data_encoding::BASE64URL_NOPAD.encode(hmac::sign(&key, id.as_bytes()).as_ref())
}

/// What somebody who has not signed in has sent by one of our forms.
pub struct AnonymousAct {
    pub form: Form,
}

impl FromRequest for AnonymousAct {
    type Error = PageError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            require_own_page(&request)?;
            let pages = pages_of(&*Binding::of(&request)?)?;
            let form = Form::read(&request, payload).await?;
            let id = cookie_of(&request, FORM_COOKIE).ok_or(PageError::Forged)?;
            let key = hmac::Key::new(hmac::HMAC_SHA256, &pages.form_key);
            let token = data_encoding::BASE64URL_NOPAD.decode(form.get(CSRF_FIELD).as_bytes());
            let token = token.map_err(|_| PageError::Forged)?;
            hmac::verify(&key, id.as_bytes(), &token).map_err(|_| PageError::Forged)?;
            Ok(Self { form })
        })
    }
}
