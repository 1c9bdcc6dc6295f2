//! Who calls, and whether that is enough.
//!
//! A handler states its access rule in its signature: `Admin<CloseConnections>`
//! is an administrator who may close connections, and without one the handler is
//! not run.

use std::future::Future;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use base64::Engine;

use crate::auth::{LoginContext, LoginFailure};
use crate::model::{
    self, AdminGroupMapping, AdminPermission, Duty, GroupMapping, LoginMethod, LoginProtocol,
};
use crate::provider::Store;
use crate::web::error::ApiError;
use crate::web::request::peer::Peer;
use crate::web::request::token::{Audience, Claims};
use crate::web::services::Binding;

/// A right that a handler asks for.
pub trait Right: Send + Sync + 'static {
    /// The permission that gives it; `None` is given to every administrator.
    const PERMISSION: Option<AdminPermission>;
    /// Whether it is given also to who has to do something with the own account first.
    const OWN_ACCOUNT: bool = false;

    /// What an administrator has to do before this right is given.
    fn duty_of(account: &model::Admin) -> Option<Duty> {
        account.duty().filter(|_| !Self::OWN_ACCOUNT)
    }
}

/// Any administrator, for the own account.
pub enum OwnAccount {}

impl Right for OwnAccount {
    const PERMISSION: Option<AdminPermission> = None;
    const OWN_ACCOUNT: bool = true;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $permission:expr;)+) => {
        $($(#[$doc])*
        pub enum $name {}

        impl Right for $name {
            const PERMISSION: Option<AdminPermission> = $permission;
        })+
    };
}

rights! {
    /// Any administrator.
    Anything = None;
    /// Only one who may do everything.
    Everything = Some(AdminPermission::Any);
    ViewStatus = Some(AdminPermission::ViewStatus);
    ViewEvents = Some(AdminPermission::ViewEvents);
    ViewConnections = Some(AdminPermission::ViewConns);
    CloseConnections = Some(AdminPermission::CloseConns);
    ViewUsers = Some(AdminPermission::ViewUsers);
    AddUsers = Some(AdminPermission::AddUsers);
    EditUsers = Some(AdminPermission::EditUsers);
    DeleteUsers = Some(AdminPermission::DelUsers);
    ManageAdmins = Some(AdminPermission::ManageAdmins);
    ManageFolders = Some(AdminPermission::ManageFolders);
    DisableSecondFactors = Some(AdminPermission::DisableMfa);
    ManageGroups = Some(AdminPermission::ManageGroups);
    ManageRoles = Some(AdminPermission::ManageRoles);
    ScanQuotas = Some(AdminPermission::QuotaScans);
}

/// An authenticated administrator who holds the right `R`.
pub struct Admin<R: Right> {
    account: model::Admin,
    /// What the token says; nothing for who has signed in to the web pages.
    claims: Option<Claims>,
    right: PhantomData<R>,
}

impl<R: Right> Clone for Admin<R> {
    fn clone(&self) -> Self {
        let (account, claims) = (self.account.clone(), self.claims.clone());
        Self { account, claims, right: PhantomData }
    }
}

impl<R: Right> Admin<R> {
    pub fn username(&self) -> &str {
        &self.account.username
    }

    /// The role whose users are all that this administrator may see; `None` for
    /// everybody. See `scope`.
    pub(in crate::web) fn role(&self) -> Option<&str> {
        Some(self.account.role.as_str()).filter(|role| !role.is_empty())
    }

    /// The groups that users whom this administrator makes in the pages join.
    pub(in crate::web) fn groups_of_new_users(&self) -> Vec<GroupMapping> {
        self.account.groups.iter().filter_map(AdminGroupMapping::of_new_user).collect()
    }

    /// An administrator who has signed in to the web pages, if that is enough.
    ///
    /// # Errors
    /// 403 naming the permission that is missing.
    pub(in crate::web) fn signed_in(account: model::Admin) -> Result<Self, ApiError> {
        Self::holding(account, None)
    }

    fn holding(account: model::Admin, claims: Option<Claims>) -> Result<Self, ApiError> {
        if let Some(duty) = R::duty_of(&account) {
            return Err(ApiError::forbidden(match duty {
                Duty::ChangePassword => "change your password first",
                Duty::SetUpSecondFactor => "set up a second factor first",
            }));
        }
        match R::PERMISSION {
            Some(permission) if !account.may(permission) => Err(lacks(permission)),
            _ => Ok(Self { account, claims, right: PhantomData }),
        }
    }

    /// The same administrator as of now, for work that lasts.
    ///
    /// # Errors
    /// 403 if the account is gone, disabled or has lost the right.
    pub async fn again(&self, store: &Store) -> Result<Self, ApiError> {
        let account = store.admin(self.username()).await?;
        let account = account.filter(model::Admin::is_enabled);
        let told = || ApiError::forbidden("the account of who asked for this may not log in");
        Self::holding(account.ok_or_else(told)?, self.claims.clone())
    }

    /// The token that was sent; nothing for who has signed in to the web pages.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// The account as it is stored.
    pub fn account(&self) -> &model::Admin {
        &self.account
    }

    /// Refuses who does not hold a permission besides that of the handler.
    ///
    /// # Errors
    /// 403 naming it.
    pub fn require(&self, permission: AdminPermission) -> Result<(), ApiError> {
        if self.may(permission) { Ok(()) } else { Err(lacks(permission)) }
    }

    /// Refuses administrators with a role: for what tells of the users of all roles.
    ///
    /// # Errors
    /// 403.
    pub fn require_no_role(&self) -> Result<(), ApiError> {
        match self.role() {
            None => Ok(()),
            Some(_) => Err(ApiError::forbidden("this is not for administrators with a role")),
        }
    }

    /// The restrictions and options of this administrator.
    pub fn filters(&self) -> &model::AdminFilters {
        &self.account.filters
    }

    /// Whether this administrator holds `permission`.
    pub fn may(&self, permission: AdminPermission) -> bool {
        self.account.may(permission)
    }

    /// Whether this administrator may do everything.
    pub fn may_everything(&self) -> bool {
        self.account.may(AdminPermission::Any)
    }
}

impl<R: Right> FromRequest for Admin<R> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sent = Sent::of(request, Audience::Admin);
        Box::pin(async move {
            let Sent { binding, claims, ip } = sent?;
            let account = binding.services.store.admin(&claims.sub).await?;
            let account =
                account.ok_or_else(|| ApiError::bad_token("the account of this token is gone"))?;
            if !account.is_enabled() || !account.permits_address(ip) {
                return Err(ApiError::bad_token("the account of this token may not log in"));
            }
            if !binding.tokens.account_unchanged(&claims, account.updated_at) {
                return Err(ApiError::bad_token("the account of this token was changed"));
            }
            Self::holding(account, Some(claims))
        })
    }
}

fn lacks(permission: AdminPermission) -> ApiError {
    ApiError::forbidden(format!("this needs the permission \"{}\"", permission.as_str()))
}

/// An authenticated user: the resources below `/user`.
pub struct Account {
    account: model::User,
    claims: Claims,
}

impl Account {
    pub fn username(&self) -> &str {
        &self.account.username
    }

    /// The token that was sent.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The restrictions and options of this user.
    pub fn filters(&self) -> &model::UserFilters {
        &self.account.filters
    }
}

impl FromRequest for Account {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sent = Sent::of(request, Audience::User);
        Box::pin(async move {
            let Sent { binding, claims, ip } = sent?;
            let context =
                LoginContext { ip, protocol: LoginProtocol::Http, method: LoginMethod::Password };
            let account = match binding.services.login.permitted(&claims.sub, context).await {
                Ok(account) => account,
                Err(LoginFailure::Unavailable(error)) => return Err(error.into()),
                Err(_) => {
                    return Err(ApiError::bad_token("the account of this token may not log in"));
                }
            };
            if !binding.tokens.account_unchanged(&claims, account.updated_at) {
                return Err(ApiError::bad_token("the account of this token was changed"));
            }
            Ok(Self { account, claims })
        })
    }
}

/// A genuine token, and where it came from. What its account may is not looked at yet.
struct Sent {
    binding: Data<Binding>,
    claims: Claims,
    ip: IpAddr,
}

impl Sent {
    /// # Errors
    /// 401 if there is no token, or it is not valid for `audience` from there.
    fn of(request: &HttpRequest, audience: Audience) -> Result<Self, ApiError> {
        let binding = Binding::of(request)?;
        let token = bearer_token(request)
            .ok_or_else(|| ApiError::bad_token("an access token is needed"))?;
        let ip = Peer::of(request).ip;
        let claims = binding
            .tokens
            .verify(&token, audience, ip)
            .map_err(|error| ApiError::bad_token(error.context()))?;
        Ok(Self { binding, claims, ip })
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer_token(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim().to_owned())
}

/// The name and password of an `Authorization: Basic` header (RFC 7617).
pub struct BasicCredentials {
    pub username: String,
    pub password: String,
}

impl BasicCredentials {
    /// `None` if there is no such header or it cannot be decoded.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self { username: username.to_owned(), password: password.to_owned() })
    }
}

impl FromRequest for BasicCredentials {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(
            Self::of(request)
                .ok_or_else(|| ApiError::bad_credentials("a user name and a password are needed")),
        )
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn basic(value: &str) -> Option<(String, String)> {
        let request = TestRequest::default().insert_header(("Authorization", value));
        BasicCredentials::of(&request.to_http_request())
            .map(|basic| (basic.username, basic.password))
    }

    #[test]
    fn basic_credentials_are_decoded() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(basic("Basic dXNlcjpwYXNz"), pair("user", "pass"));
        assert_eq!(basic("basic dXNlcjpwYTpzcw=="), pair("user", "pa:ss"));
        assert_eq!(basic("Basic dXNlcjo="), pair("user", ""));
    }

    #[test]
    fn what_is_no_basic_header_gives_no_credentials() {
        for value in ["", "Basic", "Basic ", "Basic %%%", "Basic dXNlcg==", "Bearer dXNlcjpwYXNz"] {
            assert_eq!(basic(value), None, "{value}");
        }
    }

    #[test]
    fn bearer_tokens_are_found_whatever_the_case_of_the_scheme() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("Basic a.b.c", None),
            ("Bearer", None),
        ] {
            let request = TestRequest::default().insert_header(("Authorization", value));
            assert_eq!(bearer_token(&request.to_http_request()).as_deref(), token, "{value}");
        }
    }
}
