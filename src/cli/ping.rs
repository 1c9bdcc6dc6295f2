//! `ping`: asks a running instance for its health.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::ConfigFlags;
use crate::config::{self, Config, HttpdBinding, ProxyMode};
use crate::error::{Error, ErrorKind, Result};

/// How long each step may take: connecting, sending, every read.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// More than a health answer ever has.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Options of `ping`.
#[derive(Debug, Clone, Args)]
pub struct PingOptions {
    #[command(flatten)]
    pub config: ConfigFlags,
}

/// Where `/healthz` is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    UnixSocket(PathBuf),
}

/// Succeeds when the instance that this configuration describes is healthy.
///
/// # Errors
/// A wrong configuration, no HTTP listener in it, or no healthy answer.
pub fn run(options: &PingOptions) -> Result<()> {
    let loaded = config::load(options.config.sources())?;
    ask(&target(&loaded.config)?)
}

/// The first listener that answers health checks: HTTP, otherwise telemetry. One that
/// wants a certificate or the header of a load balancer first is left out.
///
/// # Errors
/// No listener is enabled, or its address is no IP address.
pub fn target(config: &Config) -> Result<Target> {
    let is_open = |binding: &&HttpdBinding| {
        let wants_header = config.common.proxy_protocol == ProxyMode::Required;
        binding.client_auth_type == 0 && !(wants_header && binding.proxy_mode == 1)
    };
    let http = config.httpd.bindings.iter().filter(is_open).map(|binding| {
        ("httpd.bindings[].address", &binding.address, binding.port, binding.enable_https)
    });
    let telemetry = &config.telemetry;
    let has_tls = !telemetry.certificate_file.is_empty();
    let telemetry =
        ("telemetry.bind_address", &telemetry.bind_address, telemetry.bind_port, has_tls);
    let (key, address, port, has_tls) = http
        .chain([telemetry])
        .find(|(_, address, port, _)| address.starts_with('/') || *port != 0)
        .ok_or_else(|| {
            Error::invalid("neither httpd nor telemetry has a listener that could be asked")
        })?;
    if address.starts_with('/') {
        return Ok(Target::UnixSocket(PathBuf::from(address)));
    }
    let ip = match address.as_str() {
        "" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        address => address
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| Error::invalid(format!("{key}: {address:?} is not an IP address")))?,
    };
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, port);
    Ok(if has_tls { Target::Tls(address) } else { Target::Tcp(address) })
}

/// Sends `GET /healthz` and expects status 200.
///
/// # Errors
/// `Unavailable` when nobody answers or the answer is another one.
pub fn ask(target: &Target) -> Result<()> {
    let (name, result) = match target {
        Target::Tcp(address) => (address.to_string(), ask_tcp(*address)),
        Target::Tls(address) => (address.to_string(), ask_tls(*address)),
        Target::UnixSocket(path) => (path.display().to_string(), ask_unix_socket(path)),
    };
    let answer = result.map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, format!("health check of {name}"), error)
    })?;
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1));
    match status {
        Some("200") => Ok(()),
        Some(status) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("health check of {name}: HTTP status {}", status.escape_debug()),
        )),
        None => Err(Error::new(
            ErrorKind::Unavailable,
            format!("health check of {name}: the answer is not HTTP"),
        )),
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, STEP_TIMEOUT)?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    Ok(stream)
}

fn ask_tcp(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    exchange(connect(address)?)
}

fn ask_tls(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    let tls = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    exchange(rustls::StreamOwned::new(tls, connect(address)?))
}

/// Takes every certificate: it is for the name that clients use, not for the address that
/// is asked here, and nothing secret is said. Who can answer on that address of this
/// machine could as well answer without TLS.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(unix)]
fn ask_unix_socket(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_read_timeout(Some(STEP_TIMEOUT))?;
    stream.set_write_timeout(Some(STEP_TIMEOUT))?;
    exchange(stream)
}

#[cfg(not(unix))]
fn ask_unix_socket(_path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The beginning of the answer: whatever came before the end, the limit, or a
/// failure that the status line already preceded.
fn exchange(mut stream: impl Read + Write) -> std::io::Result<Vec<u8>> {
    stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    match stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer) {
        Err(error) if !answer.contains(&b'\n') => Err(error),
        _ => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpdBinding;
    use std::net::TcpListener;

    fn binding(address: &str, port: u16) -> HttpdBinding {
        HttpdBinding { address: address.to_owned(), port, ..HttpdBinding::default() }
    }

    #[test]
    fn the_first_enabled_listener_is_asked() {
        let tcp = |text: &str| Target::Tcp(text.parse().expect("address"));
        let cases = [
            (vec![binding("", 80)], 0, Some(tcp("127.0.0.1:80"))),
            (vec![binding("0.0.0.0", 80)], 0, Some(tcp("127.0.0.1:80"))),
            (vec![binding("::", 80)], 0, Some(tcp("[::1]:80"))),
            (vec![binding("[::1]", 80)], 0, Some(tcp("[::1]:80"))),
            (vec![binding("", 0), binding("192.0.2.1", 81)], 9, Some(tcp("192.0.2.1:81"))),
            (vec![binding("/run/x", 0)], 9, Some(Target::UnixSocket("/run/x".into()))),
            (vec![binding("", 0)], 9, Some(tcp("127.0.0.1:9"))),
            (vec![], 0, None),
            (vec![binding("localhost", 80)], 0, None),
        ];
        for (bindings, telemetry_port, expected) in cases {
            let mut config = Config::default();
            config.httpd.bindings = bindings.clone();
            config.telemetry.bind_port = telemetry_port;
            assert_eq!(target(&config).ok(), expected, "{bindings:?}");
        }
    }

    #[test]
    fn a_listener_that_wants_more_than_a_request_is_left_out() {
        let mut config = Config::default();
        let https = HttpdBinding { enable_https: true, ..binding("", 80) };
        config.httpd.bindings = vec![https.clone()];
        let tls = |port| Some(Target::Tls(SocketAddr::from(([127, 0, 0, 1], port))));
        assert_eq!(target(&config).ok(), tls(80));
        let certificate = HttpdBinding { client_auth_type: 1, ..https.clone() };
        let header = HttpdBinding { proxy_mode: 1, ..https };
        config.httpd.bindings = vec![certificate, header, binding("", 81)];
        assert_eq!(target(&config).ok(), tls(80), "the header is optional");
        config.common.proxy_protocol = ProxyMode::Required;
        let plain = Target::Tcp(SocketAddr::from(([127, 0, 0, 1], 81)));
        assert_eq!(target(&config).ok(), Some(plain));
    }

    #[test]
    fn only_status_200_is_healthy() {
        for (answer, is_healthy) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.0 503 Service Unavailable\r\n\r\n", false),
            ("SSH-2.0-x\r\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
            let address = listener.local_addr().expect("address");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("connection");
                let mut request = [0; 1024];
                let read = stream.read(&mut request).expect("request");
                assert!(request[..read].starts_with(b"GET /healthz HTTP/1.0\r\n"));
                stream.write_all(answer.as_bytes()).expect("answer");
            });
            assert_eq!(ask(&Target::Tcp(address)).is_ok(), is_healthy, "{answer:?}");
            server.join().expect("server");
        }
    }

    #[test]
    fn nobody_listening_is_unavailable() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let address = listener.local_addr().expect("address");
        drop(listener);
        let error = ask(&Target::Tcp(address)).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
