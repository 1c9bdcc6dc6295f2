//! What the SSH library asks us during one connection: channels and their data here,
//! authentication in `authentication`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use actors::ids::Protocol;
use actors::{Connection, SessionHandle};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use russh::keys::ssh_key;
use russh::server::{
    Auth, ChannelOpenHandle, Handle, Msg, PublicKeyOffer, Response, Session as SshSession,
    VerifiedPublicKey,
};
use russh::{Channel as SshChannel, ChannelId, ChannelOpenFailure, ChannelWriteHalf};

use super::authentication::{Authentication, LoginProgress};
use super::exec;
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

    /// A new session of the account on this connection, with its place in the registry
    /// and its log.
    async fn open_session(
        &self,
        protocol: Protocol,
    ) -> Result<(Session, SessionHandle, slog::Logger), String> {
        let user = self.authentication.user().ok_or("not authenticated")?;
        let entry =
            self.connection.open_session(protocol).await.map_err(|refused| refused.to_string())?;
        let session_id = entry.shared_id();
        let log = logging::for_sender(&self.context.log, protocol.as_str());
        let log = logging::for_connection(&log, &session_id);
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
        let prefix = self.context.folder_prefix.clone();
        Ok(sftp::Channel::start(session, prefix, entry, outlet, kill, metrics, log))
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
