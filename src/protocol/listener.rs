//! Listening sockets and the accept loop every protocol shares.

pub mod proxy;
pub mod rate_limits;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, ErrorKind, Result};

/// Connections the kernel completes before we accept them. It caps this at
/// `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A dead peer (no answer at all) is noticed after about two and a half minutes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(75);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 5;

/// Binds one address. An empty `address` means every interface, IPv6 and IPv4 on one
/// socket where the system has IPv6. Port 0 asks the system for one.
pub fn bind(section: &str, address: &str, port: u16) -> Result<TcpListener> {
    let candidates: Vec<SocketAddr> = if address.is_empty() {
        vec![
            SocketAddr::new(IpAddr::from([0u16; 8]), port),
            SocketAddr::new(IpAddr::from([0u8; 4]), port),
        ]
    } else {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        (bare, port)
            .to_socket_addrs()
            .map_err(|error| {
                Error::from_io(format!("`{section}.address`: cannot resolve \"{address}\""), error)
            })?
            .collect()
    };
    let mut last = None;
    for candidate in candidates {
        match listen(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                let next_might_work = error.raw_os_error().is_some_and(|code| {
                    // No IPv6 here: fall back to IPv4.
                    code == rustix::io::Errno::AFNOSUPPORT.raw_os_error()
                        || code == rustix::io::Errno::ADDRNOTAVAIL.raw_os_error()
                });
                last = Some(Error::from_io(
                    format!("`{section}`: cannot listen on {candidate}"),
                    error,
                ));
                if !next_might_work {
                    break;
                }
            }
        }
    }
    Err(last.unwrap_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("`{section}.address`: \"{address}\" has no address"),
        )
    }))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restart must not wait for the old connections' TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until `stop` is cancelled. Each connection has its socket options set and
/// is given to `serve`, which decides and spawns; while it decides, nothing more is
/// accepted from this listener.
pub async fn accept_loop<F>(
    listener: TcpListener,
    stop: CancellationToken,
    log: slog::Logger,
    mut serve: impl FnMut(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()>,
{
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                if let Err(error) = set_options(&stream) {
                    // The client is gone already; nobody to serve.
                    slog::debug!(log, "cannot set socket options"; "peer" => %peer, "error" => %error);
                    continue;
                }
                serve(stream, peer).await;
            }
            Err(error) => {
                // Out of file descriptors or memory: the waiting connection stays in the
                // backlog, so trying again at once would spin.
                slog::warn!(log, "cannot accept a connection: {error}");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                }
            }
        }
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_section_and_address() {
        let first = bind("sftpd.bindings[0]", "127.0.0.1", 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let error = bind("sftpd.bindings[1]", "127.0.0.1", port).unwrap_err().to_string();
        assert!(error.contains("sftpd.bindings[1]"), "{error}");
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    }

    #[tokio::test]
    async fn brackets_around_an_ipv6_address_are_allowed() {
        if let Ok(listener) = bind("x", "[::1]", 0) {
            assert!(listener.local_addr().unwrap().is_ipv6());
        }
    }
}
