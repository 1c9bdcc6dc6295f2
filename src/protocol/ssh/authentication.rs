//! Who the client is: what the SSH library asks while a connection authenticates.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::{Connection, KillReason, SessionEnd};
use russh::keys::ssh_key::Certificate;
use russh::server::{Auth, PublicKeyOffer, Response, Session as SshSession, VerifiedPublicKey};
use russh::{MethodKind, MethodSet};
use tokio::time::Instant;

use super::half_open::Place;
use super::handler::Error;
use super::server::Context;
use crate::auth::{Dialogue, KeyLogin, LoginContext, LoginFailure, Questions, Step};
use crate::logging;
use crate::metrics;
use crate::model::{LoginMethod, LoginProtocol, User};

/// A refused key is answered no sooner than this after it arrived: longer than looking an
/// account up takes, so that the time does not tell whether there was one, and short
/// enough for agents that offer several keys.
const REFUSED_KEY_DELAY: Duration = Duration::from_millis(20);

fn as_prompts(questions: Questions) -> Auth {
    let prompts: Vec<_> =
        questions.questions.into_iter().map(|(text, echo)| (text.into(), echo)).collect();
    Auth::Partial {
        name: "".into(),
        instructions: questions.instruction.into(),
        prompts: prompts.into(),
    }
}

/// What the client has to use for the second step of `method`.
fn second_method(method: LoginMethod) -> MethodKind {
    match method {
        LoginMethod::PublicKeyAndPassword => MethodKind::Password,
        _ => MethodKind::KeyboardInteractive,
    }
}

fn second_methods(methods: &[LoginMethod]) -> MethodSet {
    let kinds: Vec<MethodKind> = methods.iter().map(|method| second_method(*method)).collect();
    MethodSet::from(&kinds[..])
}

/// The counters of a method.
fn counted(method: LoginMethod) -> metrics::LoginMethod {
    match method {
        LoginMethod::PublicKey => metrics::LoginMethod::PublicKey,
        LoginMethod::Password | LoginMethod::PasswordOverSsh => metrics::LoginMethod::Password,
        LoginMethod::KeyboardInteractive => metrics::LoginMethod::KeyboardInteractive,
        LoginMethod::PublicKeyAndPassword => metrics::LoginMethod::PublicKeyAndPassword,
        LoginMethod::PublicKeyAndKeyboardInteractive => {
            metrics::LoginMethod::PublicKeyAndKeyboardInteractive
        }
        LoginMethod::TlsCertificate => metrics::LoginMethod::TlsCertificate,
        LoginMethod::TlsCertificateAndPassword => metrics::LoginMethod::TlsCertificateAndPassword,
    }
}

/// As much of a name as an account can have: a client can send a quarter of a megabyte.
fn cut(username: &str) -> &str {
    const LONGEST: usize = 255;
    let mut end = username.len().min(LONGEST);
    while !username.is_char_boundary(end) {
        end -= 1;
    }
    username.get(..end).unwrap_or_default()
}

/// How far authentication came, for whoever watches the connection from outside.
#[derive(Debug, Default)]
pub struct LoginProgress {
    step: AtomicU8,
    /// Among those that have not logged in.
    place: Mutex<Option<Place>>,
}

const TRIED: u8 = 1;
const AUTHENTICATED: u8 = 2;

impl LoginProgress {
    fn reached(&self, step: u8) {
        self.step.fetch_max(step, Ordering::AcqRel);
        if step == AUTHENTICATED {
            self.leave();
        }
    }

    /// Until the login the connection has a place among those without one.
    pub fn waits_in(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Gives the place back.
    pub fn leave(&self) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(place);
    }

    pub fn is_authenticated(&self) -> bool {
        self.step.load(Ordering::Acquire) == AUTHENTICATED
    }

    /// Reports a connection that ended without any login attempt.
    pub fn connection_ended(&self, context: &Context, ip: IpAddr, cause: &str) {
        if self.step.load(Ordering::Acquire) == 0 {
            context.metrics.no_auth_tried();
            logging::connection_failed(
                &context.log,
                &logging::ConnectionFailed {
                    client_ip: &ip.to_string(),
                    username: "",
                    login_type: "no_auth_tried",
                    protocol: "SSH",
                    error: &cause,
                },
            );
        }
    }
}

/// The authentication of one connection.
pub struct Authentication {
    context: Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    progress: Arc<LoginProgress>,
    failures: usize,
    first_step: Option<FirstStep>,
    /// The keyboard-interactive login that is going on.
    dialogue: Option<Conversation>,
    user: Option<Arc<User>>,
    method: Option<LoginMethod>,
}

struct Conversation {
    method: LoginMethod,
    dialogue: Dialogue,
}

/// A key was right, and something has to follow.
struct FirstStep {
    /// As the client spelled it: another name has to begin anew.
    username: String,
    /// `publickey+…`
    methods: Vec<LoginMethod>,
}

impl Authentication {
    pub fn new(
        context: Arc<Context>,
        connection: Connection,
        peer: SocketAddr,
    ) -> (Self, Arc<LoginProgress>) {
        let progress = Arc::new(LoginProgress::default());
        let authentication = Self {
            context,
            connection,
            peer,
            progress: progress.clone(),
            failures: 0,
            first_step: None,
            dialogue: None,
            user: None,
            method: None,
        };
        (authentication, progress)
    }

    /// The account, once the client has proved who it is.
    pub fn user(&self) -> Option<Arc<User>> {
        self.user.clone()
    }

    fn login_context(&self, method: LoginMethod) -> LoginContext {
        LoginContext { ip: self.peer.ip(), protocol: LoginProtocol::Ssh, method }
    }

    /// Lists what the server offers to everybody, whatever the account allows: a list
    /// that depended on the name would tell which names exist. Only who has passed the
    /// first of two steps is told the second.
    fn reject(&self) -> Auth {
        // Without the methods the library would take the failed one off the list.
        let methods = match &self.first_step {
            Some(step) => second_methods(&step.methods),
            None => self.context.methods.clone(),
        };
        Auth::Reject { proceed_with_methods: Some(methods), partial_success: false }
    }

    /// The method an attempt counts as: the second step for who has passed the first one
    /// under this name, and else `alone`.
    fn method_for(&mut self, username: &str, alone: LoginMethod) -> LoginMethod {
        // Whatever else the client tries ends a dialogue.
        self.dialogue = None;
        if self.first_step.as_ref().is_some_and(|step| step.username != username) {
            self.first_step = None;
        }
        let combined = match alone {
            LoginMethod::Password => LoginMethod::PublicKeyAndPassword,
            _ => LoginMethod::PublicKeyAndKeyboardInteractive,
        };
        match &self.first_step {
            Some(step) if step.methods.contains(&combined) => combined,
            _ => alone,
        }
    }

    fn check_tries(&self) -> Result<(), Error> {
        let max = self.context.max_auth_tries;
        if max > 0 && self.failures >= max { Err(Error::TooManyTries) } else { Ok(()) }
    }

    /// Books the outcome of one attempt that began at `started`.
    async fn decide(
        &mut self,
        username: &str,
        method: LoginMethod,
        started: Instant,
        outcome: Result<Arc<User>, String>,
    ) -> Auth {
        self.progress.reached(TRIED);
        let outcome = match outcome {
            Ok(user) => self
                .context
                .registry
                .logged_in(
                    self.connection.id(),
                    actors::registry::Login {
                        username: user.username.as_str().into(),
                        max_sessions: u32::try_from(user.max_sessions).unwrap_or(u32::MAX),
                        client_version: String::new(),
                        end: self.context.login.standing(&user).unwrap_or_else(|reason| {
                            // Closed since it passed: at the next look.
                            Some(SessionEnd { at_unix_ms: 0, reason })
                        }),
                    },
                )
                .await
                .map(|()| user)
                .map_err(|refused| refused.to_string()),
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Ok(user) => self.still_the_same(user).await,
            refused => refused,
        };
        self.context.metrics.login_attempt(counted(method), outcome.is_ok(), started.elapsed());
        match outcome {
            Ok(user) => {
                self.context.login.delay().before_success(started).await;
                self.user = Some(user);
                self.method = Some(method);
                self.progress.reached(AUTHENTICATED);
                Auth::Accept
            }
            Err(error) => {
                self.failures += 1;
                self.log_failure(username, method, &error);
                self.reject()
            }
        }
    }

    /// The same for an attempt with something that can be guessed.
    async fn decide_guess(
        &mut self,
        username: &str,
        method: LoginMethod,
        started: Instant,
        outcome: Result<Arc<User>, String>,
    ) -> Auth {
        let auth = self.decide(username, method, started, outcome).await;
        if auth != Auth::Accept {
            self.context.login.delay().before_failure(started).await;
        }
        auth
    }

    /// Refuses what a client tries although it is not offered.
    async fn refuse_method(&mut self, username: &str, alone: LoginMethod) -> Auth {
        let method = self.method_for(username, alone);
        let outcome = Err("the method is switched off on this server".to_owned());
        self.decide_guess(username, method, Instant::now(), outcome).await
    }

    fn log_failure(&self, username: &str, method: LoginMethod, error: &str) {
        logging::connection_failed(
            &self.context.log,
            &logging::ConnectionFailed {
                client_ip: &self.peer.ip().to_string(),
                username: cut(username),
                login_type: method.as_str(),
                protocol: "SSH",
                error: &error,
            },
        );
    }

    /// Whoever changed the account while its password was verified has ended only the
    /// sessions that were registered then.
    async fn still_the_same(&self, user: Arc<User>) -> Result<Arc<User>, String> {
        match self.context.login.confirm(&user).await {
            Ok(()) => Ok(user),
            Err(failure) => {
                self.connection.kill_switch().fire(KillReason::AccountChanged);
                Err(failure.to_string())
            }
        }
    }

    async fn check_password(
        &mut self,
        username: &str,
        password: &str,
        method: LoginMethod,
    ) -> Auth {
        let started = Instant::now();
        let context = self.login_context(method);
        let outcome = self.context.login.password(username, password, context).await;
        let outcome = outcome.map_err(|failure| failure.to_string());
        self.decide_guess(username, method, started, outcome).await
    }

    pub fn none(&mut self, user: &str) -> Auth {
        self.method_for(user, LoginMethod::Password);
        self.reject()
    }

    pub async fn password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        self.check_tries()?;
        if !self.context.methods.contains(&MethodKind::Password) {
            return Ok(self.refuse_method(user, LoginMethod::Password).await);
        }
        let method = self.method_for(user, LoginMethod::Password);
        Ok(self.check_password(user, password, method).await)
    }

    pub async fn public_key_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        self.dialogue = None;
        let started = Instant::now();
        let method = LoginMethod::PublicKey;
        if !self.context.algorithms.accepts_public_key(offer.algorithm) {
            let refusal = format!("signature algorithm {} is not accepted", offer.algorithm);
            return Ok(self.refuse_key(user, started, refusal).await);
        }
        // The library does not say whether the key was offered as such or inside a
        // certificate; it will once the client has signed.
        if !self.context.certificates.is_empty() {
            return Ok(Auth::Accept);
        }
        let context = self.login_context(method);
        match self.context.login.public_key_offered(user, offer.public_key, context).await {
            Ok(()) => Ok(Auth::Accept),
            Err(failure) => Ok(self.refuse_key(user, started, failure.to_string()).await),
        }
    }

    pub async fn public_key(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        let started = Instant::now();
        let context = self.login_context(LoginMethod::PublicKey);
        let outcome = self.context.login.public_key(user, key.public_key, context).await;
        Ok(self.key_decided(user, started, outcome).await)
    }

    pub async fn certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        let started = Instant::now();
        let signed_with = certificate.signature().algorithm();
        if !self.context.algorithms.accepts_public_key(&signed_with) {
            let refusal = format!("certificate is signed with {signed_with}, not accepted");
            return Ok(self.refuse_key(user, started, refusal).await);
        }
        let context = self.login_context(LoginMethod::PublicKey);
        let trusted = &self.context.certificates;
        let outcome = self.context.login.certificate(user, certificate, trusted, context).await;
        Ok(self.key_decided(user, started, outcome).await)
    }

    async fn key_decided(
        &mut self,
        username: &str,
        started: Instant,
        outcome: Result<KeyLogin, LoginFailure>,
    ) -> Auth {
        match outcome {
            Ok(KeyLogin::Whole(user)) => {
                self.decide(username, LoginMethod::PublicKey, started, Ok(user)).await
            }
            Ok(KeyLogin::FirstStep(methods)) => self.first_step_done(username, methods),
            Err(failure) => self.refuse_key(username, started, failure.to_string()).await,
        }
    }

    fn first_step_done(&mut self, username: &str, mut methods: Vec<LoginMethod>) -> Auth {
        self.progress.reached(TRIED);
        methods.retain(|method| self.context.methods.contains(&second_method(*method)));
        if methods.is_empty() {
            self.failures += 1;
            self.log_failure(
                username,
                LoginMethod::PublicKey,
                "the second login step is switched off on this server",
            );
            return self.reject();
        }
        let next = second_methods(&methods);
        self.first_step = Some(FirstStep { username: username.to_owned(), methods });
        Auth::Reject { proceed_with_methods: Some(next), partial_success: true }
    }

    async fn refuse_key(&mut self, username: &str, started: Instant, refusal: String) -> Auth {
        let auth = self.decide(username, LoginMethod::PublicKey, started, Err(refusal)).await;
        tokio::time::sleep_until(started + REFUSED_KEY_DELAY).await;
        auth
    }

    pub async fn keyboard_interactive(
        &mut self,
        user: &str,
        response: Option<Response<'_>>,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        if !self.context.methods.contains(&MethodKind::KeyboardInteractive) {
            return Ok(self.refuse_method(user, LoginMethod::KeyboardInteractive).await);
        }
        let started = Instant::now();
        let (outcome, method) = match response {
            None => {
                let method = self.method_for(user, LoginMethod::KeyboardInteractive);
                (self.begin_dialogue(user, method).await, method)
            }
            Some(answers) => {
                // The library answers only whom it has asked, under the same name.
                let Some(conversation) = self.dialogue.take() else { return Ok(self.reject()) };
                let method = conversation.method;
                (self.go_on(conversation, answers).await, method)
            }
        };
        let outcome = match outcome {
            Ok(Step::Ask(questions)) => return Ok(as_prompts(questions)),
            Ok(Step::Done(user)) => Ok(user),
            Err(failure) => Err(failure.to_string()),
        };
        Ok(self.decide_guess(user, method, started, outcome).await)
    }

    async fn begin_dialogue(
        &mut self,
        username: &str,
        method: LoginMethod,
    ) -> Result<Step, LoginFailure> {
        let context = self.login_context(method);
        let hook = self.context.keyboard_hook.as_ref();
        let (dialogue, step) =
            self.context.login.keyboard_interactive(hook, username, context).await?;
        self.dialogue = Some(Conversation { method, dialogue });
        Ok(step)
    }

    async fn go_on(
        &mut self,
        mut conversation: Conversation,
        answers: Response<'_>,
    ) -> Result<Step, LoginFailure> {
        let texts: Result<Vec<String>, _> =
            answers.map(|answer| String::from_utf8(answer.to_vec())).collect();
        let texts = texts.map_err(|_| LoginFailure::WrongCredentials)?;
        let step = conversation.dialogue.answer(texts).await?;
        if matches!(step, Step::Ask(_)) {
            self.dialogue = Some(conversation);
        }
        Ok(step)
    }

    /// Writes the login down; the library has told the client.
    pub fn succeeded(&self, session: &mut SshSession) {
        let client = String::from_utf8_lossy(session.remote_sshid()).trim().to_owned();
        self.connection.set_client_version(&client);
        let (Some(user), Some(method)) = (&self.user, self.method) else { return };
        logging::login(
            &self.context.log,
            &logging::Login {
                ip: &self.peer.ip().to_string(),
                username: &user.username,
                method: method.as_str(),
                protocol: "SSH",
                connection_id: self.connection.id().as_str(),
                client: &client,
                encrypted: true,
                info: "",
            },
        );
    }
}
