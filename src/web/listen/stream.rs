//! From an accepted socket to a stream that carries HTTP: the header of a load balancer
//! first, then TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::protocol::listener::proxy::{ProxyPolicy, Rewound};

/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What HTTP is spoken through.
pub enum Stream {
    Tcp(Rewound<TcpStream>),
    Tls(Box<TlsStream<Rewound<TcpStream>>>),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A stream with what HTTP wants to know of it.
pub type Opened = (Stream, Protocol, Option<SocketAddr>);

/// How sockets of one listener become streams.
pub struct Entrance {
    /// `None` expects no header of a load balancer.
    pub proxy: Option<ProxyPolicy>,
    /// `None` speaks HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub log: slog::Logger,
}

impl Entrance {
    /// # Errors
    /// Why the connection has to be closed.
    pub async fn open_tcp(self: Arc<Self>, socket: TcpStream) -> io::Result<Opened> {
        let sender = socket.peer_addr()?;
        let sender = SocketAddr::new(sender.ip().to_canonical(), sender.port());
        let opened = self.open(socket, sender).await;
        if let Err(error) = &opened {
            slog::debug!(self.log, "connection from {sender} closed: {error}");
        }
        opened
    }

    async fn open(&self, socket: TcpStream, sender: SocketAddr) -> io::Result<Opened> {
        socket.set_nodelay(true)?;
        let (stream, client) = match &self.proxy {
            Some(proxy) if proxy.concerns(sender.ip()) => {
                proxy.read(socket, sender).await.map_err(io::Error::other)?
            }
            _ => (Rewound::new(socket), sender),
        };
        let stream = match &self.tls {
            None => Stream::Tcp(stream),
            Some(config) => {
                let handshake = TlsAcceptor::from(config.clone()).accept(stream);
                let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
                Stream::Tls(Box::new(stream))
            }
        };
        Ok((stream, Protocol::Http1, Some(client)))
    }

    /// # Errors
    /// None; it has the form of its sister.
    #[cfg(unix)]
    pub async fn open_unix(self: Arc<Self>, socket: UnixStream) -> io::Result<Opened> {
        Ok((Stream::Unix(socket), Protocol::Http1, None))
    }
}

macro_rules! inner {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($inner) => $call,
            Stream::Tls($inner) => $call,
            #[cfg(unix)]
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
