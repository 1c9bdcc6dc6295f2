//! The PROXY protocol, versions 1 and 2: a load balancer says in front of the data who
//! the client is.
//!
//! Whom to believe is the point: an address in such a header feeds limits, filters and
//! the log. So a header counts only from the senders in `proxy_allowed`.

mod header;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use self::header::{Parsed, parse};
use crate::config::{CommonConfig, ProxyMode};
use crate::error::Result;
use crate::model::network;

/// The header has to be complete this long after accepting.
const DEADLINE: Duration = Duration::from_secs(5);

/// From whom a header is read and believed.
#[derive(Debug, Clone)]
pub struct ProxyPolicy {
    mode: ProxyMode,
    allowed: Vec<String>,
    skipped: Vec<String>,
    deadline: Duration,
}

impl ProxyPolicy {
    /// Takes `proxy_protocol`, `proxy_allowed` and `proxy_skipped`.
    pub fn from_config(config: &CommonConfig) -> Result<Self> {
        let list = |key: &str, list: &[String]| {
            let mut list = list.to_vec();
            network::normalise(&mut list).map_err(|error| error.wrap(format!("`common.{key}`")))?;
            Result::Ok(list)
        };
        Ok(Self {
            mode: config.proxy_protocol,
            allowed: list("proxy_allowed", &config.proxy_allowed)?,
            skipped: list("proxy_skipped", &config.proxy_skipped)?,
            deadline: DEADLINE,
        })
    }

    /// Whether headers are looked for at all.
    pub fn is_on(&self) -> bool {
        self.mode != ProxyMode::Off
    }

    /// Whether a header of this sender is looked for.
    pub fn concerns(&self, sender: IpAddr) -> bool {
        self.is_on() && (self.skipped.is_empty() || !network::permits(&self.skipped, &[], sender))
    }

    /// Reads the header, and gives back the stream after it and who the client is.
    ///
    /// # Errors
    /// Why the connection has to be closed.
    pub async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        sender: SocketAddr,
    ) -> std::result::Result<(Rewound<S>, SocketAddr), &'static str> {
        let mut bytes = Vec::new();
        let deadline = tokio::time::sleep(self.deadline);
        tokio::pin!(deadline);
        let found = loop {
            match parse(&bytes) {
                Parsed::Incomplete => {}
                Parsed::Absent => break None,
                Parsed::Header { client, length } => break Some((client, length)),
                Parsed::Broken(why) => return Err(why),
            }
            let read = tokio::select! {
                read = stream.read_buf(&mut bytes) => read,
                () = &mut deadline => {
                    // Whoever waits for the server to speak first sends no header.
                    if bytes.is_empty() && self.mode == ProxyMode::Optional { break None }
                    return Err("no PROXY header in time");
                }
            };
            match read {
                Ok(0) => return Err("closed before its PROXY header"),
                Ok(_) => {}
                Err(_) => return Err("failed before its PROXY header"),
            }
        };
        let is_believed = network::permits(&self.allowed, &[], sender.ip());
        let is_required = self.mode == ProxyMode::Required;
        let (client, length) = match found {
            None if is_required => return Err("no PROXY header"),
            None => (None, 0),
            Some(_) if is_required && !is_believed => {
                return Err("PROXY header of a sender that is not allowed");
            }
            Some((client, length)) => (client.filter(|_| is_believed), length),
        };
        bytes.drain(..length);
        let stream = Rewound { before: bytes, at: 0, inner: stream };
        Ok((stream, client.unwrap_or(sender)))
    }
}

/// A stream of which some bytes were read too far: they come first again.
#[derive(Debug)]
pub struct Rewound<S> {
    before: Vec<u8>,
    at: usize,
    inner: S,
}

impl<S> Rewound<S> {
    /// A stream of which nothing was read.
    pub fn new(inner: S) -> Self {
        Self { before: Vec::new(), at: 0, inner }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.before.get(this.at..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let count = left.len().min(buf.remaining());
        buf.put_slice(left.get(..count).unwrap_or_default());
        this.at += count;
        if this.at >= this.before.len() {
            this.before = Vec::new();
            this.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn policy(mode: ProxyMode, allowed: &[&str], skipped: &[&str]) -> ProxyPolicy {
        let list = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let policy = ProxyPolicy::from_config(&CommonConfig {
            proxy_protocol: mode,
            proxy_allowed: list(allowed),
            proxy_skipped: list(skipped),
            ..CommonConfig::default()
        })
        .unwrap();
        ProxyPolicy { deadline: Duration::from_millis(200), ..policy }
    }

    /// What the server then reads, and who it takes the client for.
    async fn outcome(policy: &ProxyPolicy, sent: &[u8]) -> Result<(String, String), &'static str> {
        let (mut far, near) = tokio::io::duplex(64);
        let sent = sent.to_vec();
        tokio::spawn(async move {
            let _ = far.write_all(&sent).await;
            if !sent.is_empty() {
                let _ = far.shutdown().await;
            }
            std::future::pending::<()>().await;
        });
        let sender = "10.0.0.1:4000".parse().unwrap();
        let (mut stream, client) = policy.read(near, sender).await?;
        let mut left = String::new();
        if client != sender || policy.mode == ProxyMode::Required {
            stream.read_to_string(&mut left).await.unwrap();
        }
        Ok((left, client.to_string()))
    }

    type Result<T, E> = std::result::Result<T, E>;

    #[tokio::test]
    async fn the_mode_says_who_is_believed() {
        use ProxyMode::{Optional, Required};
        let header = b"PROXY TCP4 192.0.2.1 198.51.100.1 12345 22\r\nSSH-2.0-x\r\n";
        let (here, there) = (&["10.0.0.0/8"][..], &["172.16.0.0/12"][..]);
        let client = |result: Result<(String, String), &'static str>| result.map(|(_, who)| who);
        let (own, real) = (Ok("10.0.0.1:4000".to_owned()), Ok("192.0.2.1:12345".to_owned()));
        for allowed in [&[][..], here] {
            let optional = policy(Optional, allowed, &[]);
            assert_eq!(client(outcome(&optional, header).await), real);
            assert_eq!(client(outcome(&optional, b"SSH-2.0-x\r\n").await), own);
            assert_eq!(client(outcome(&optional, b"").await), own, "a client that waits");
            assert!(outcome(&optional, b"PROXY TCP4 ").await.is_err());
            let required = policy(Required, allowed, &[]);
            let read = outcome(&required, header).await.unwrap();
            assert_eq!(read, ("SSH-2.0-x\r\n".to_owned(), "192.0.2.1:12345".to_owned()));
            assert!(outcome(&required, b"SSH-2.0-x\r\n").await.is_err());
            assert!(outcome(&required, b"").await.is_err());
            assert!(outcome(&required, b"PROXY X\r\n").await.is_err());
        }
        assert_eq!(client(outcome(&policy(Optional, there, &[]), header).await), own);
        assert!(outcome(&policy(Required, there, &[]), header).await.is_err());
        let sender = "10.0.0.1".parse().unwrap();
        assert!(policy(Required, here, &[]).concerns(sender));
        assert!(policy(Required, here, there).concerns(sender));
        assert!(!policy(Required, here, here).concerns(sender));
        assert!(!policy(ProxyMode::Off, here, &[]).concerns(sender));
    }
}
