//! The gates of an account, in order, and the credentials behind them.

pub mod keyboard;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use actors::{KillReason, SessionEnd};
use chrono::{DateTime, Utc};
use russh::keys::PublicKey;
use russh::keys::ssh_key::Certificate;
use slog::{Logger, warn};

use super::certificates::{CertificateRefusal, UserCertificates};
use super::delay::LoginDelay;
use super::one_time::OneTimePasswords;
use super::password::Passwords;
use super::standing::{self, Closed};
use crate::error::{Error, Result};
use crate::model::timestamp::now_unix_secs;
use crate::model::{
    Admin, Clock, Effective, LoginMethod, LoginProtocol, Password, User, public_key,
};
use crate::provider::Store;

/// Under which circumstances somebody logs in.
#[derive(Debug, Clone, Copy)]
pub struct LoginContext {
    pub ip: IpAddr,
    pub protocol: LoginProtocol,
    /// How, for the account's denied methods.
    pub method: LoginMethod,
}

/// Why a login failed: for the log, metrics and defender. Clients are told only
/// that authentication failed.
#[derive(Debug)]
pub enum LoginFailure {
    UserNotFound,
    WrongCredentials,
    /// The one-time password is wrong, after a right password.
    WrongCode,
    /// The account has to have a second factor, or to use it, and does not.
    SecondFactorMissing,
    Disabled,
    Expired,
    OutsideAccessTime,
    ProtocolDenied(LoginProtocol),
    MethodDenied(LoginMethod),
    AddressDenied(IpAddr),
    /// A certificate that proves nothing here.
    Certificate(CertificateRefusal),
    /// Somebody changed the account during the login.
    Changed,
    /// The store or the hashing failed; nobody is to blame for the attempt.
    Unavailable(Error),
}

impl LoginFailure {
    /// True if no such account exists, which counts more than a wrong password.
    pub fn is_unknown_user(&self) -> bool {
        matches!(self, Self::UserNotFound)
    }
}

impl fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserNotFound => f.write_str("user does not exist"),
            Self::WrongCredentials => f.write_str("invalid credentials"),
            Self::WrongCode => f.write_str("wrong one-time password"),
            Self::SecondFactorMissing => f.write_str("a second factor is required"),
            Self::Disabled => f.write_str("user is disabled"),
            Self::Expired => f.write_str("user is expired"),
            Self::OutsideAccessTime => f.write_str("login is not allowed at this time"),
            Self::ProtocolDenied(protocol) => {
                write!(f, "protocol {} is not allowed for the user", protocol.as_str())
            }
            Self::MethodDenied(method) => {
                write!(f, "login method {} is not allowed for the user", method.as_str())
            }
            Self::AddressDenied(ip) => write!(f, "login from {ip} is not allowed for the user"),
            Self::Certificate(refusal) => refusal.fmt(f),
            Self::Changed => f.write_str("user was changed meanwhile"),
            Self::Unavailable(error) => write!(f, "login could not be checked: {error}"),
        }
    }
}

impl std::error::Error for LoginFailure {}

impl From<Error> for LoginFailure {
    fn from(error: Error) -> Self {
        Self::Unavailable(error)
    }
}

/// What an account that exists has to pass before its credentials count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Status,
    Expiration,
    AccessTime,
    Protocol,
    Method,
    Address,
    SecondFactor,
}

impl Gate {
    /// In the order in which they are asked.
    pub const ALL: [Self; 7] = [
        Self::Status,
        Self::Expiration,
        Self::AccessTime,
        Self::Protocol,
        Self::Method,
        Self::Address,
        Self::SecondFactor,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Expiration => "expiration",
            Self::AccessTime => "access_time",
            Self::Protocol => "denied_protocols",
            Self::Method => "denied_login_methods",
            Self::Address => "ip_filters",
            Self::SecondFactor => "two_factor",
        }
    }

    /// Asks this gate alone.
    fn check(
        self,
        user: &User,
        context: &LoginContext,
        now: DateTime<Utc>,
        clock: Clock,
    ) -> Result<(), LoginFailure> {
        let LoginContext { ip, protocol, method } = *context;
        let closed = |closed: Closed| closed.applies(user, now, clock).then(|| closed.into());
        let filters = &user.filters;
        let refusal = match self {
            Self::Status => closed(Closed::Disabled),
            Self::Expiration => closed(Closed::Expired),
            Self::AccessTime => closed(Closed::OutsideAccessTime),
            Self::Protocol => {
                filters.denies_protocol(protocol).then_some(LoginFailure::ProtocolDenied(protocol))
            }
            Self::Method => filters
                .denies_method(method, protocol)
                .then_some(LoginFailure::MethodDenied(method)),
            Self::Address => {
                (!filters.permits_address(ip)).then_some(LoginFailure::AddressDenied(ip))
            }
            Self::SecondFactor => filters
                .lacks_second_factor(method, protocol)
                .then_some(LoginFailure::SecondFactorMissing),
        };
        refusal.map_or(Ok(()), Err)
    }
}

/// What a key has opened.
#[derive(Debug)]
pub enum KeyLogin {
    /// The account. It has no hash.
    Whole(Arc<User>),
    /// Nothing yet: one of these has to be completed.
    FirstStep(Vec<LoginMethod>),
}

/// A user whose gates are open for a key.
struct Candidate {
    user: User,
    /// What could not be inherited from groups.
    left_out: Vec<String>,
    /// What has to follow the key; nothing if it is enough.
    steps: Vec<LoginMethod>,
}

/// Checks logins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Login {
    store: Store,
    passwords: Passwords,
    one_time: OneTimePasswords,
    clock: Clock,
    delay: LoginDelay,
    log: Logger,
}

impl Login {
    pub fn new(store: Store, passwords: Passwords, log: Logger) -> Self {
        Self {
            store,
            passwords,
            one_time: OneTimePasswords::default(),
            clock: Clock::default(),
            delay: LoginDelay::default(),
            log,
        }
    }

    /// With the kinds of one-time passwords that are configured.
    pub fn with_one_time(self, one_time: OneTimePasswords) -> Self {
        Self { one_time, ..self }
    }

    pub fn one_time(&self) -> &OneTimePasswords {
        &self.one_time
    }

    /// The same with another clock for hours of access.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// With answers that wait. The checks here do not: an answer may depend on more.
    pub fn with_delay(self, delay: LoginDelay) -> Self {
        Self { delay, ..self }
    }

    pub fn delay(&self) -> &LoginDelay {
        &self.delay
    }

    /// Until when an account may be connected, `None` for no end; or why it may not be
    /// even now.
    pub fn standing(&self, user: &User) -> Result<Option<SessionEnd>, KillReason> {
        let now = Utc::now();
        standing::check(user, now, self.clock)?;
        Ok(standing::end(user, now, self.clock))
    }

    /// What each gate would say to an account, in their order; the first that refuses
    /// decides.
    pub fn gates(&self, user: &User, context: &LoginContext) -> Vec<(Gate, Option<LoginFailure>)> {
        let now = Utc::now();
        let ask = |gate: Gate| (gate, gate.check(user, context, now, self.clock).err());
        Gate::ALL.into_iter().map(ask).collect()
    }

    /// A user with a password. Takes the time of a verification whatever the
    /// outcome, unless the password is known to be right. The user returned has
    /// no hash.
    pub async fn password(
        &self,
        username: &str,
        password: &str,
        context: LoginContext,
    ) -> Result<Arc<User>, LoginFailure> {
        let (user, left_out) = self.account(username).await?;
        let none = Password::default();
        let stored = user.as_ref().map_or(&none, |user| &user.password);
        // Before the gates are asked, so that a closed gate takes no less time.
        let is_right = self.passwords.verify(stored, password).await?;
        let user = pass_gates(user, &context, self.clock)?;
        if !is_right {
            return Err(LoginFailure::WrongCredentials);
        }
        self.improve_user_hash(&user, password).await;
        Ok(self.admit(user, left_out).await)
    }

    /// Whether a key that a client offers, without having signed with it yet,
    /// would be accepted.
    pub async fn public_key_offered(
        &self,
        username: &str,
        key: &PublicKey,
        context: LoginContext,
    ) -> Result<(), LoginFailure> {
        self.user_with_key(username, key, &context).await.map(drop)
    }

    /// A user with a key; the caller has verified the signature.
    pub async fn public_key(
        &self,
        username: &str,
        key: &PublicKey,
        context: LoginContext,
    ) -> Result<KeyLogin, LoginFailure> {
        let candidate = self.user_with_key(username, key, &context).await?;
        Ok(self.key_was_right(candidate).await)
    }

    /// A user with a certificate; the caller has verified that the client holds its key.
    pub async fn certificate(
        &self,
        username: &str,
        certificate: &Certificate,
        trusted: &UserCertificates,
        context: LoginContext,
    ) -> Result<KeyLogin, LoginFailure> {
        let candidate = self.user_for_key(username, &context).await?;
        // The account's own name: the one asked for may be another spelling of it.
        trusted
            .check(certificate, &candidate.user.username, context.ip, now_unix_secs())
            .map_err(LoginFailure::Certificate)?;
        Ok(self.key_was_right(candidate).await)
    }

    /// Whether an account that has just passed is still as it was, with its groups
    /// and folders: to be asked once its session is registered, from when on whoever
    /// changes the account ends it.
    pub async fn confirm(&self, user: &User) -> Result<(), LoginFailure> {
        let now = self.store.effective_user(&user.username).await?;
        let now = now.ok_or(LoginFailure::UserNotFound)?.user;
        if now.without_traces_of_use() == user.clone().without_traces_of_use() {
            Ok(())
        } else {
            Err(LoginFailure::Changed)
        }
    }

    /// The user if it could log in under these circumstances, without its hash: for
    /// whoever has proved before who it is.
    pub async fn permitted(
        &self,
        username: &str,
        context: LoginContext,
    ) -> Result<User, LoginFailure> {
        let (user, _) = self.account(username).await?;
        let mut user = pass_gates(user, &context, self.clock)?;
        user.password = Password::default();
        Ok(user)
    }

    /// The account with what it inherits from its groups, by which all gates and the
    /// session go, and what of that had to be left out.
    async fn account(&self, username: &str) -> Result<(Option<User>, Vec<String>), LoginFailure> {
        Ok(match self.store.effective_user(username).await? {
            Some(Effective { user, left_out }) => (Some(user), left_out),
            None => (None, Vec::new()),
        })
    }

    /// An admin with a password, in the same time whatever the outcome. The
    /// admin returned has no hash.
    pub async fn admin(
        &self,
        username: &str,
        password: &str,
        ip: IpAddr,
    ) -> Result<Arc<Admin>, LoginFailure> {
        let admin = self.store.admin(username).await?;
        let none = Password::default();
        let stored = admin.as_ref().map_or(&none, |admin| &admin.password);
        let is_right = self.passwords.verify(stored, password).await?;
        let mut admin = admin.ok_or(LoginFailure::UserNotFound)?;
        if !admin.is_enabled() {
            return Err(LoginFailure::Disabled);
        }
        if !admin.permits_address(ip) {
            return Err(LoginFailure::AddressDenied(ip));
        }
        if !is_right {
            return Err(LoginFailure::WrongCredentials);
        }
        self.improve_admin_hash(&admin, password).await;
        if let Err(error) = self.store.admin_logged_in(&admin.username).await {
            warn!(self.log, "last login of an admin cannot be stored";
                "username" => &admin.username, "error" => %error);
        }
        admin.password = Password::default();
        Ok(Arc::new(admin))
    }

    async fn user_with_key(
        &self,
        username: &str,
        key: &PublicKey,
        context: &LoginContext,
    ) -> Result<Candidate, LoginFailure> {
        let candidate = self.user_for_key(username, context).await?;
        if public_key::contains(&candidate.user.public_keys, key.key_data()) {
            Ok(candidate)
        } else {
            Err(LoginFailure::WrongCredentials)
        }
    }

    /// A user who may try a key.
    async fn user_for_key(
        &self,
        username: &str,
        context: &LoginContext,
    ) -> Result<Candidate, LoginFailure> {
        let (user, left_out) = self.account(username).await?;
        let steps = user.as_ref().map_or_else(Vec::new, |user| user.filters.two_step_methods());
        let method = steps.first().copied().unwrap_or(context.method);
        let user = pass_gates(user, &LoginContext { method, ..*context }, self.clock)?;
        Ok(Candidate { user, left_out, steps })
    }

    async fn key_was_right(&self, candidate: Candidate) -> KeyLogin {
        if candidate.steps.is_empty() {
            KeyLogin::Whole(self.admit(candidate.user, candidate.left_out).await)
        } else {
            KeyLogin::FirstStep(candidate.steps)
        }
    }

    async fn admit(&self, mut user: User, left_out: Vec<String>) -> Arc<User> {
        for reason in left_out {
            warn!(self.log, "user inherits less than its groups have";
                "username" => &user.username, "error" => reason);
        }
        if let Err(error) = self.store.user_logged_in(&user.username).await {
            warn!(self.log, "last login of a user cannot be stored";
                "username" => &user.username, "error" => %error);
        }
        user.password = Password::default();
        Arc::new(user)
    }

    async fn improve_user_hash(&self, user: &User, clear: &str) {
        let improved = async {
            if let Some(better) = self.passwords.better_hash(&user.password, clear).await? {
                let old = user.password.as_str();
                self.store.swap_user_password(&user.username, old, better.as_str()).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = improved.await {
            warn!(self.log, "password of a user cannot be hashed again";
                "username" => &user.username, "error" => %error);
        }
    }

    async fn improve_admin_hash(&self, admin: &Admin, clear: &str) {
        let improved = async {
            if let Some(better) = self.passwords.better_hash(&admin.password, clear).await? {
                let old = admin.password.as_str();
                self.store.swap_admin_password(&admin.username, old, better.as_str()).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = improved.await {
            warn!(self.log, "password of an admin cannot be hashed again";
                "username" => &admin.username, "error" => %error);
        }
    }
}

/// Everything about the account but its credentials: existence, status,
/// expiration, hours of access, protocol, method, address, second factor, in
/// this order.
fn pass_gates(
    user: Option<User>,
    context: &LoginContext,
    clock: Clock,
) -> Result<User, LoginFailure> {
    let user = user.ok_or(LoginFailure::UserNotFound)?;
    let now = Utc::now();
    Gate::ALL.into_iter().try_for_each(|gate| gate.check(&user, context, now, clock))?;
    Ok(user)
}

#[cfg(test)]
mod tests;
