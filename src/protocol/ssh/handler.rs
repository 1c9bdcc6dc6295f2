//! What the SSH library asks us during one connection: authentication, channels,
//! channel data.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use actors::ids::Protocol;
use actors::{Connection, KillReason, SessionEnd, SessionHandle};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use russh::keys::ssh_key;
use russh::server::{
    Auth, ChannelOpenHandle, Handle, Msg, PublicKeyOffer, Response, Session as SshSession,
    VerifiedPublicKey,
};
use russh::{Channel as SshChannel, ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use tokio::time::Instant;

use super::exec;
use super::server::{Context, EVENT_BUFFER};
use super::sftp;
use super::sftp::engine::{Gone, Inline, Outlet, TrySend};
use crate::auth::LoginContext;
use crate::logging;
use crate::metrics;
use crate::model::{LoginMethod, LoginProtocol, User};
use crate::vfs::{Session, SessionContext};

/// Channels a client may have open at a time, as OpenSSH's `MaxSessions`.
const MAX_CHANNELS: usize = 10;

/// A failed password is answered no sooner than this after it arrived.
const FAILED_PASSWORD_DELAY: Duration = Duration::from_secs(1);

/// Why a connection ended by our own decision, or the library's error.
#[derive(Debug)]
pub enum Error {
    Library(russh::Error),
    TooManyTries,
    Channel(sftp::ChannelError),
    Command(exec::OutputNotRead),
}

impl From<russh::Error> for Error {
    fn from(error: russh::Error) -> Self {
        Self::Library(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::TooManyTries => f.write_str("too many authentication failures"),
            Self::Channel(error) => error.fmt(f),
            Self::Command(exec::OutputNotRead) => {
                f.write_str("client does not read what its command says")
            }
        }
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
pub struct LoginProgress(AtomicU8);

const TRIED: u8 = 1;
const AUTHENTICATED: u8 = 2;

impl LoginProgress {
    fn reached(&self, step: u8) {
        self.0.fetch_max(step, Ordering::AcqRel);
    }

    pub fn is_authenticated(&self) -> bool {
        self.0.load(Ordering::Acquire) == AUTHENTICATED
    }

    /// Reports a connection that ended without any login attempt.
    pub fn connection_ended(&self, context: &Context, ip: IpAddr, cause: &str) {
        if self.0.load(Ordering::Acquire) == 0 {
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

enum Channel {
    /// Open, nothing requested on it yet. Writing through this half stays within the
    /// client's window, so one channel that nobody reads does not hold up the others.
    Idle(ChannelWriteHalf<Msg>),
    Sftp(sftp::Channel),
    Command(exec::Channel),
}

impl Channel {
    fn has_ended(&self) -> bool {
        match self {
            Self::Idle(_) => false,
            Self::Sftp(sftp) => sftp.has_ended(),
            Self::Command(command) => command.has_ended(),
        }
    }
}

/// One connection's handler; lives in the SSH session's task.
pub struct Handler {
    context: Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    local: SocketAddr,
    progress: Arc<LoginProgress>,
    failures: usize,
    user: Option<Arc<User>>,
    method: Option<LoginMethod>,
    channels: HashMap<ChannelId, Channel>,
}

impl Handler {
    pub fn new(
        context: Arc<Context>,
        connection: Connection,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> (Self, Arc<LoginProgress>) {
        let progress = Arc::new(LoginProgress::default());
        let handler = Self {
            context,
            connection,
            peer,
            local,
            progress: progress.clone(),
            failures: 0,
            user: None,
            method: None,
            channels: HashMap::new(),
        };
        (handler, progress)
    }

    fn login_context(&self, method: LoginMethod) -> LoginContext {
        LoginContext { ip: self.peer.ip(), protocol: LoginProtocol::Ssh, method }
    }

    fn reject(&self) -> Auth {
        // Without the methods the library would take the failed one off the list.
        Auth::Reject {
            proceed_with_methods: Some(self.context.methods.clone()),
            partial_success: false,
        }
    }

    fn note(&self, message: std::fmt::Arguments<'_>) {
        let id = Some(self.connection.id().as_str());
        logging::app(&self.context.log, slog::Level::Info, "sftpd", id, message);
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
        let counted = match method {
            LoginMethod::PublicKey => metrics::LoginMethod::PublicKey,
            LoginMethod::KeyboardInteractive => metrics::LoginMethod::KeyboardInteractive,
            _ => metrics::LoginMethod::Password,
        };
        self.context.metrics.login_attempt(counted, outcome.is_ok(), started.elapsed());
        match outcome {
            Ok(user) => {
                self.user = Some(user);
                self.method = Some(method);
                self.progress.reached(AUTHENTICATED);
                Auth::Accept
            }
            Err(error) => {
                self.failures += 1;
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
                self.reject()
            }
        }
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
        let auth = self.decide(username, method, started, outcome).await;
        if auth != Auth::Accept {
            tokio::time::sleep_until(started + FAILED_PASSWORD_DELAY).await;
        }
        auth
    }

    /// A new session of the account on this connection, with its place in the registry
    /// and its log.
    async fn open_session(
        &self,
        protocol: Protocol,
    ) -> Result<(Session, SessionHandle, slog::Logger), String> {
        let user = self.user.clone().ok_or("not authenticated")?;
        let entry =
            self.connection.open_session(protocol).await.map_err(|refused| refused.to_string())?;
        let session_id = entry.shared_id();
        let log = self.context.log.new(slog::o!("connection_id" => session_id.to_string()));
        let session = Session::open(SessionContext {
            user,
            connection: self.connection.clone(),
            session_id,
            protocol,
            local_addr: self.local,
            remote_addr: self.peer,
            services: self.context.vfs.clone(),
        })
        .await
        .map_err(|error| error.to_string())?;
        Ok((session, entry, log))
    }

    async fn start_sftp(&self, id: ChannelId, handle: Handle) -> Result<sftp::Channel, String> {
        let (session, entry, log) = self.open_session(Protocol::Sftp).await?;
        let outlet = Arc::new(HandleOutlet { handle, id });
        let kill = self.connection.kill_switch().clone();
        let metrics = self.context.metrics.clone();
        Ok(sftp::Channel::start(session, entry, outlet, kill, metrics, log))
    }

    /// Starts the command on an idle channel, if it is enabled.
    async fn start_command(
        &mut self,
        id: ChannelId,
        line: &[u8],
        handle: Handle,
    ) -> Result<(), String> {
        /// RFC 4254, section 5.2.
        const SSH_EXTENDED_DATA_STDERR: u32 = 1;
        let command = self.context.commands.find(line)?;
        if !matches!(self.channels.get(&id), Some(Channel::Idle(_))) {
            return Err("something runs on the channel already".to_owned());
        }
        let (session, entry, log) = self.open_session(command.protocol()).await?;
        let Some(Channel::Idle(writer)) = self.channels.remove(&id) else {
            return Err("the channel is not open".to_owned());
        };
        let outlets = exec::Outlets {
            stdout: Box::new(writer.make_writer()),
            stderr: Box::new(writer.make_writer_ext(Some(SSH_EXTENDED_DATA_STDERR))),
            end: Box::new(HandleOutlet { handle, id }),
        };
        let running = exec::Channel::start(exec::Start {
            command,
            session,
            entry,
            connection: self.connection.clone(),
            outlets,
            metrics: self.context.metrics.clone(),
            log,
        });
        self.channels.insert(id, Channel::Command(running));
        Ok(())
    }
}

impl russh::server::Handler for Handler {
    type Error = Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Error> {
        Ok(self.reject())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        self.check_tries()?;
        if !self.context.methods.contains(&russh::MethodKind::Password) {
            return Ok(self.reject());
        }
        Ok(self.check_password(user, password, LoginMethod::Password).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        let started = Instant::now();
        let method = LoginMethod::PublicKey;
        if !self.context.algorithms.accepts_public_key(offer.algorithm) {
            let refusal = format!("signature algorithm {} is not accepted", offer.algorithm);
            return Ok(self.decide(user, method, started, Err(refusal)).await);
        }
        let context = self.login_context(method);
        match self.context.login.public_key_offered(user, offer.public_key, context).await {
            Ok(()) => Ok(Auth::Accept),
            Err(failure) => Ok(self.decide(user, method, started, Err(failure.to_string())).await),
        }
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        let started = Instant::now();
        let method = LoginMethod::PublicKey;
        let context = self.login_context(method);
        let outcome = self.context.login.public_key(user, key.public_key, context).await;
        let outcome = outcome.map_err(|failure| failure.to_string());
        Ok(self.decide(user, method, started, outcome).await)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        _certificate: &ssh_key::Certificate,
    ) -> Result<Auth, Error> {
        // No certificate authority can be configured yet, so none is trusted.
        self.check_tries()?;
        let refusal = Err("no certificate authority is trusted".to_owned());
        Ok(self.decide(user, LoginMethod::PublicKey, Instant::now(), refusal).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Error> {
        self.check_tries()?;
        if !self.context.methods.contains(&russh::MethodKind::KeyboardInteractive) {
            return Ok(self.reject());
        }
        match response {
            None => Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            }),
            Some(mut answers) => {
                let password = answers.next().unwrap_or_default();
                let password = String::from_utf8_lossy(&password).into_owned();
                Ok(self.check_password(user, &password, LoginMethod::KeyboardInteractive).await)
            }
        }
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Error> {
        Ok(self.context.banner.clone())
    }

    async fn auth_succeeded(&mut self, session: &mut SshSession) -> Result<(), Error> {
        let client = String::from_utf8_lossy(session.remote_sshid()).trim().to_owned();
        self.connection.set_client_version(&client);
        let (Some(user), Some(method)) = (&self.user, self.method) else { return Ok(()) };
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
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: SshChannel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut SshSession,
    ) -> Result<(), Error> {
        // The library does not tell when the client confirms a close of ours.
        self.channels.retain(|_, channel| !channel.has_ended());
        if self.channels.len() >= MAX_CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // The reading half is dropped: data is taken in `data` below, and a consumer
        // that nobody reads must not hold up the session's loop.
        let (_, writer) = channel.split();
        self.channels.insert(id, Channel::Idle(writer));
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut SshSession,
    ) -> Result<(), Error> {
        let idle = matches!(self.channels.get(&channel), Some(Channel::Idle(_)));
        if name != "sftp" || !idle {
            session.channel_failure(channel)?;
            return Ok(());
        }
        match self.start_sftp(channel, session.handle()).await {
            Ok(sftp) => {
                self.channels.insert(channel, Channel::Sftp(sftp));
                session.channel_success(channel)?;
            }
            Err(reason) => {
                self.note(format_args!("sftp session refused: {reason}"));
                self.channels.remove(&channel);
                session.channel_failure(channel)?;
                session.close(channel)?;
            }
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut SshSession,
    ) -> Result<(), Error> {
        match self.start_command(channel, data, session.handle()).await {
            // What the command sends is behind this: the library takes it when we are done.
            Ok(()) => session.channel_success(channel)?,
            Err(reason) => {
                let line = exec::shown(data);
                self.note(format_args!("ssh command \"{line}\" refused: {reason}"));
                session.channel_failure(channel)?;
            }
        }
        Ok(())
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut SshSession,
    ) -> Result<(), Error> {
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _col_width: u32,
        _row_height: u32,
        _pix_width: u32,
        _pix_height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut SshSession,
    ) -> Result<(), Error> {
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _auth_protocol: &str,
        _auth_cookie: &str,
        _screen: u32,
        session: &mut SshSession,
    ) -> Result<(), Error> {
        // Without an answer the client would wait for ever.
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut SshSession,
    ) -> Result<(), Error> {
        session.channel_failure(channel)?;
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        session: &mut SshSession,
    ) -> Result<(), Error> {
        self.connection.touch();
        let is_alone = self.channels.len() == 1;
        let channel = match self.channels.get_mut(&id) {
            Some(Channel::Sftp(channel)) => channel,
            Some(Channel::Command(command)) => {
                return command.receive(data, is_alone).await.map_err(Error::Command);
            }
            Some(Channel::Idle(_)) | None => return Ok(()),
        };
        let mut out = SessionOut { session, id, failed: None };
        let received = channel.receive(data, is_alone, &mut out).await;
        if let Some(error) = out.failed {
            return Err(error.into());
        }
        match received {
            Ok(()) => Ok(()),
            // A client that floods us has not earned a tidy channel close.
            Err(error @ sftp::ChannelError::RepliesNotRead) => Err(Error::Channel(error)),
            Err(error) => {
                self.note(format_args!("channel closed: {error}"));
                self.channels.remove(&id);
                session.exit_status_request(id, 255)?;
                session.eof(id)?;
                session.close(id)?;
                Ok(())
            }
        }
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut SshSession) -> Result<(), Error> {
        match self.channels.get_mut(&id) {
            Some(Channel::Sftp(channel)) => channel.end_of_input(),
            Some(Channel::Command(command)) => command.end_of_input(),
            Some(Channel::Idle(_)) | None => {}
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        id: ChannelId,
        _session: &mut SshSession,
    ) -> Result<(), Error> {
        self.channels.remove(&id);
        Ok(())
    }
}

/// The way out while the library is calling us.
struct SessionOut<'a> {
    session: &'a mut SshSession,
    id: ChannelId,
    failed: Option<russh::Error>,
}

impl Inline for SessionOut<'_> {
    fn send(&mut self, reply: Bytes) {
        if let Err(error) = self.session.data(self.id, reply) {
            self.failed = Some(error);
        }
    }

    fn is_blocked(&self) -> bool {
        self.failed.is_some() || self.session.has_pending_data(self.id)
    }
}

/// The way out for the engine's tasks.
struct HandleOutlet {
    handle: Handle,
    id: ChannelId,
}

#[async_trait]
impl Outlet for HandleOutlet {
    fn try_send(&self, reply: Bytes) -> Result<(), TrySend> {
        // Taken at once if the session's queue has room; a future that has to wait is
        // dropped, which leaves nothing behind.
        match self.handle.data(self.id, reply.clone()).now_or_never() {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(TrySend::Gone),
            None => Err(TrySend::Full(reply)),
        }
    }

    async fn send(&self, reply: Bytes) -> Result<(), Gone> {
        self.handle.data(self.id, reply).await.map_err(|_| Gone)
    }

    async fn flush(&self) -> Result<(), Gone> {
        // The session's queue is in order and has this many places: once as many empty
        // messages have found a place, everything before them has been taken. Empty
        // data makes no packet.
        for _ in 0..EVENT_BUFFER {
            self.send(Bytes::new()).await?;
        }
        Ok(())
    }

    async fn close(&self) {
        self.finish(0).await;
    }
}

#[async_trait]
impl exec::End for HandleOutlet {
    async fn end(self: Box<Self>, status: u32) {
        self.finish(status).await;
    }
}

impl HandleOutlet {
    /// Exit status, EOF and close.
    async fn finish(&self, status: u32) {
        let _ = self.handle.exit_status_request(self.id, status).await;
        let _ = self.handle.eof(self.id).await;
        let _ = self.handle.close(self.id).await;
    }
}
