//! Opening the sockets of the HTTP servers.

pub mod stream;
pub mod tls;
pub mod validity;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Error, Result};

/// Connections the kernel may hold before we accept them.
const BACKLOG: i32 = 1024;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Every address of the machine, IPv6 and IPv4.
    Any(u16),
    Ip(SocketAddr),
    /// A Unix socket.
    Path(PathBuf),
}

impl Address {
    /// Reads `address` and `port` as the configuration has them: an absolute path is
    /// a Unix socket (the port is not looked at), an empty address is every address,
    /// and port 0 means that nothing listens.
    pub fn from_config(address: &str, port: u16) -> Result<Option<Self>> {
        if Path::new(address).is_absolute() {
            return Ok(Some(Self::Path(address.into())));
        }
        if port == 0 {
            return Ok(None);
        }
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        match bare {
            "" => Ok(Some(Self::Any(port))),
            "localhost" => Ok(Some(Self::Ip((Ipv4Addr::LOCALHOST, port).into()))),
            text => {
                let ip: IpAddr = text.parse().map_err(|_| {
                    Error::invalid(format!(
                        "address \"{address}\" is neither an IP address nor an absolute path"
                    ))
                })?;
                Ok(Some(Self::Ip((ip, port).into())))
            }
        }
    }
}

/// Listens on a TCP address.
pub fn tcp(address: SocketAddr) -> Result<TcpListener> {
    open(address, false).map_err(|error| Error::from_io(format!("listen on {address}"), error))
}

/// Listens on every address: one IPv6 socket that also takes IPv4, or an IPv4
/// socket where the system has no IPv6.
pub fn tcp_any(port: u16) -> Result<TcpListener> {
    open((Ipv6Addr::UNSPECIFIED, port).into(), true)
        .or_else(|error| match error.kind() {
            // Someone else has the port: trying the other family would hide that.
            std::io::ErrorKind::AddrInUse | std::io::ErrorKind::PermissionDenied => Err(error),
            _ => open((Ipv4Addr::UNSPECIFIED, port).into(), false),
        })
        .map_err(|error| Error::from_io(format!("listen on port {port}"), error))
}

fn open(address: SocketAddr, dual_stack: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    // On Windows this option would let others take the port away.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listens on a Unix socket. A socket left behind by a process that is gone is
/// replaced; one that answers, or a file of another kind, is left alone.
#[cfg(unix)]
pub fn unix(path: &Path) -> Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    let context = || format!("listen on {}", path.display());
    if let Ok(existing) = std::fs::symlink_metadata(path) {
        if !existing.file_type().is_socket() {
            return Err(Error::invalid(format!("{}: is not a socket", context())));
        }
        if UnixStream::connect(path).is_ok() {
            let in_use = std::io::Error::from(std::io::ErrorKind::AddrInUse);
            return Err(Error::from_io(context(), in_use));
        }
        std::fs::remove_file(path).map_err(|error| Error::from_io(context(), error))?;
    }
    let listener = UnixListener::bind(path).map_err(|error| Error::from_io(context(), error))?;
    listener.set_nonblocking(true).map_err(|error| Error::from_io(context(), error))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_documented() {
        let read = |address, port| Address::from_config(address, port).expect("valid");
        assert_eq!(read("", 0), None);
        assert_eq!(read("127.0.0.1", 0), None);
        assert_eq!(read("", 8080), Some(Address::Any(8080)));
        let loopback = Address::Ip("127.0.0.1:8080".parse().expect("address"));
        assert_eq!(read("127.0.0.1", 8080), Some(loopback.clone()));
        assert_eq!(read("localhost", 8080), Some(loopback));
        assert_eq!(read("[::1]", 80), Some(Address::Ip("[::1]:80".parse().expect("address"))));
        assert_eq!(read("/run/api.sock", 0), Some(Address::Path("/run/api.sock".into())));
        assert!(Address::from_config("example", 8080).is_err());
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let first = tcp("127.0.0.1:0".parse().expect("address")).expect("listen");
        let address = first.local_addr().expect("address");
        assert!(tcp(address).expect_err("taken").to_string().contains(&address.to_string()));
    }

    #[cfg(unix)]
    #[test]
    fn only_a_dead_socket_is_replaced() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("api.sock");
        let first = unix(&path).expect("fresh");
        assert!(unix(&path).is_err(), "somebody answers there");
        drop(first);
        unix(&path).expect("left behind");

        let file = dir.path().join("file");
        std::fs::write(&file, "precious").expect("write");
        assert!(unix(&file).is_err());
        assert!(file.exists());
    }
}
