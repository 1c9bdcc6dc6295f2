//! What the SSH library asks us during one connection: channels and their data here,
//! authentication in `authentication`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use actors::Connection;
use actors::ids::Protocol;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use russh::keys::ssh_key;
use russh::server::{
    Auth, ChannelOpenHandle, Handle, Msg, PublicKeyOffer, Response, Session as SshSession,
    VerifiedPublicKey,
};
use russh::{Channel as SshChannel, ChannelId, ChannelOpenFailure};

use super::authentication::{Authentication, LoginProgress};
use super::server::{Context, EVENT_BUFFER};
use super::sftp;
use super::sftp::engine::{Gone, Inline, Outlet, TrySend};
use crate::logging;
use crate::vfs::{Session, SessionContext};

/// Channels a client may have open at a time, as OpenSSH's `MaxSessions`.
const MAX_CHANNELS: usize = 10;

/// Why a connection ended by our own decision, or the library's error.
#[derive(Debug)]
pub enum Error {
    Library(russh::Error),
    TooManyTries,
    Channel(sftp::ChannelError),
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
        }
    }
}

enum Channel {
    /// Open, nothing requested on it yet.
    Idle,
    Sftp(sftp::Channel),
}

/// One connection's handler; lives in the SSH session's task.
pub struct Handler {
    context: Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    local: SocketAddr,
    authentication: Authentication,
    channels: HashMap<ChannelId, Channel>,
}

impl Handler {
    pub fn new(
        context: Arc<Context>,
        connection: Connection,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> (Self, Arc<LoginProgress>) {
        let (authentication, progress) =
            Authentication::new(context.clone(), connection.clone(), peer);
        let handler =
            Self { context, connection, peer, local, authentication, channels: HashMap::new() };
        (handler, progress)
    }

    fn note(&self, message: std::fmt::Arguments<'_>) {
        let id = Some(self.connection.id().as_str());
        logging::app(&self.context.log, slog::Level::Info, "sftpd", id, message);
    }

    async fn start_sftp(&self, id: ChannelId, handle: Handle) -> Result<sftp::Channel, String> {
        let user = self.authentication.user().ok_or("not authenticated")?;
        let entry = self
            .connection
            .open_session(Protocol::Sftp)
            .await
            .map_err(|refused| refused.to_string())?;
        let session_id = entry.shared_id();
        let log = self.context.log.new(slog::o!("connection_id" => session_id.to_string()));
        let session = Session::open(SessionContext {
            user,
            connection: self.connection.clone(),
            session_id,
            protocol: Protocol::Sftp,
            local_addr: self.local,
            remote_addr: self.peer,
            services: self.context.vfs.clone(),
        })
        .await
        .map_err(|error| error.to_string())?;
        let outlet = Arc::new(HandleOutlet { handle, id });
        let kill = self.connection.kill_switch().clone();
        let metrics = self.context.metrics.clone();
        Ok(sftp::Channel::start(session, entry, outlet, kill, metrics, log))
    }
}

impl russh::server::Handler for Handler {
    type Error = Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Error> {
        Ok(self.authentication.none(user))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Error> {
        self.authentication.password(user, password).await
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Error> {
        self.authentication.public_key_offered(user, offer).await
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Error> {
        self.authentication.public_key(user, key).await
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &ssh_key::Certificate,
    ) -> Result<Auth, Error> {
        self.authentication.certificate(user, certificate).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Error> {
        self.authentication.keyboard_interactive(user, response).await
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Error> {
        Ok(self.context.banner.clone())
    }

    async fn auth_succeeded(&mut self, session: &mut SshSession) -> Result<(), Error> {
        self.authentication.succeeded(session);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: SshChannel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut SshSession,
    ) -> Result<(), Error> {
        // The library does not tell when the client confirms a close of ours.
        self.channels.retain(|_, channel| match channel {
            Channel::Idle => true,
            Channel::Sftp(sftp) => !sftp.has_ended(),
        });
        if self.channels.len() >= MAX_CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.channels.insert(channel.id(), Channel::Idle);
        // The channel object is dropped: data is taken in `data` below, and a consumer
        // that nobody reads must not hold up the session's loop.
        drop(channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut SshSession,
    ) -> Result<(), Error> {
        let idle = matches!(self.channels.get(&channel), Some(Channel::Idle));
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
        let command: Vec<u8> = data.iter().copied().take_while(|b| *b != b' ').take(64).collect();
        let command = String::from_utf8_lossy(&command).into_owned();
        self.note(format_args!("ssh command {command:?} refused: not enabled"));
        session.channel_failure(channel)?;
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
        let Some(Channel::Sftp(channel)) = self.channels.get_mut(&id) else { return Ok(()) };
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
        if let Some(Channel::Sftp(channel)) = self.channels.get_mut(&id) {
            channel.end_of_input();
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
        let _ = self.handle.exit_status_request(self.id, 0).await;
        let _ = self.handle.eof(self.id).await;
        let _ = self.handle.close(self.id).await;
    }
}
