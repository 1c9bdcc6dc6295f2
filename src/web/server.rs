//! Starts and stops the HTTP servers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Response};
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web::Data;
use tokio_util::task::AbortOnDropHandle;

use crate::config::{HttpdBinding, HttpdConfig, Secret, TelemetryConfig};
use crate::error::{Error, Result};
use crate::logging;
use crate::protocol::listener::proxy::ProxyPolicy;
use crate::web::app;
use crate::web::edge::Edge;
use crate::web::edge::htpasswd::Door;
use crate::web::listen::stream::Entrance;
use crate::web::listen::tls::{ClientAuthorities, Tls, TlsSettings};
use crate::web::listen::{self, Address};
use crate::web::pages::Pages;
use crate::web::request::token::{Revocations, TokenIssuer};
use crate::web::services::{Binding, HttpListener, Serves, Services};
use crate::web::telemetry::{self, Telemetry};

/// Threads that serve one listener.
const WORKERS: usize = 2;
/// Connections one worker keeps open; more wait in the kernel.
const MAX_CONNECTIONS_PER_WORKER: usize = 4096;
/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often certificates are read again without being asked to.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(8 * 3600);
/// How long open requests may go on after a graceful stop was asked for.
const STOP_TIMEOUT_SECS: u64 = 10;

/// All that the HTTP servers need.
pub struct WebContext {
    pub httpd: HttpdConfig,
    pub telemetry: TelemetryConfig,
    /// Relative file names in the two sections are below it.
    pub config_dir: PathBuf,
    /// For bindings with `proxy_mode`.
    pub proxy: ProxyPolicy,
    pub services: Arc<Services>,
}

/// The running HTTP servers. Dropping it does not stop them.
pub struct WebHandle {
    servers: Vec<ServerHandle>,
    addresses: Vec<SocketAddr>,
    telemetry_address: Option<SocketAddr>,
    sockets: Vec<PathBuf>,
    files: Arc<Files>,
    /// Reads the certificates again now and then.
    _reader: Option<AbortOnDropHandle<()>>,
    /// Whose streams end with the servers.
    pages: Option<Arc<Pages>>,
}

/// What all servers have read from files that may change.
struct Files {
    /// By the place of their settings.
    certificates: Vec<(String, Tls)>,
    doors: Vec<Arc<Door>>,
    log: slog::Logger,
}

impl Files {
    /// Reads every file again. What cannot be used stays as it was, and the log says so.
    fn reload(&self) {
        self.reload_certificates();
        for door in &self.doors {
            if let Err(error) = door.reload() {
                slog::error!(self.log, "{error}; the users in use are kept");
            }
        }
    }

    fn reload_certificates(&self) {
        for (place, tls) in &self.certificates {
            match tls.reload() {
                Ok(true) => slog::info!(self.log, "{place}: new certificates are in use"),
                Ok(false) => slog::debug!(self.log, "{place}: the certificates have not changed"),
                Err(error) => {
                    slog::error!(self.log, "{place}: {error}; the certificates in use are kept");
                }
            }
        }
    }
}

impl WebHandle {
    /// Where the API listens, in the order of the bindings, without Unix sockets.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether anything is served on a Unix socket.
    pub fn has_sockets(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Where telemetry listens, if it does and not on a Unix socket.
    pub fn telemetry_addr(&self) -> Option<SocketAddr> {
        self.telemetry_address
    }

    /// Reads certificates, keys, revocation lists and `auth_user_file`s again, without
    /// touching connections.
    pub async fn reload(&self) {
        let files = self.files.clone();
        // A failure would be a panic, which is logged where it happens.
        let _ = tokio::task::spawn_blocking(move || files.reload()).await;
    }

    /// Stops listening; with `graceful`, requests that are being answered may finish.
    pub async fn stop(self, graceful: bool) {
        // Streams have no end of their own that could be waited for.
        if let Some(pages) = &self.pages {
            pages.live.stop.cancel();
        }
        futures_util::future::join_all(self.servers.iter().map(|server| server.stop(graceful)))
            .await;
        for path in &self.sockets {
            // Gone already, or not ours to remove any more: nothing depends on it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Ties an application to its socket, with the limits that all servers share. A
/// macro only because the bounds of a function need types that actix-web keeps to itself.
macro_rules! serve {
    ($app:expr, $socket:expr, $entrance:expr) => {{
        let entrance = Arc::new($entrance);
        let builder = Server::build()
            .workers(WORKERS)
            .disable_signals()
            .shutdown_timeout(STOP_TIMEOUT_SECS)
            .max_concurrent_connections(MAX_CONNECTIONS_PER_WORKER);
        let stop = builder.graceful_shutdown_signal();
        let http = move || {
            let stop = stop.clone();
            let app = $app.into_factory().map_err(|error| Response::from(error));
            HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEADER_TIMEOUT)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .graceful_shutdown_signal(move || {
                    let stop = stop.clone();
                    async move { stop.notified().await }
                })
                .finish(map_config(app, |()| AppConfig::default()))
        };
        let listening = match $socket {
            Socket::Tcp(listener, _) => builder.listen("tcp", listener, move || {
                let entrance = entrance.clone();
                fn_service(move |socket| entrance.clone().open_tcp(socket))
                    .map_err(DispatchError::Io)
                    .and_then(http())
            }),
            #[cfg(unix)]
            Socket::Unix(listener, _) => builder.listen_uds("unix", listener, move || {
                let entrance = entrance.clone();
                fn_service(move |socket| entrance.clone().open_unix(socket))
                    .map_err(DispatchError::Io)
                    .and_then(http())
            }),
        };
        listening
            .map(|builder| builder.run())
            .map_err(|error| Error::from_io("serve the socket", error))
    }};
}

/// Starts one server per binding and the telemetry server. Call it inside the
/// actix system; the servers run on their own threads and are told to stop through
/// the handle.
///
/// # Errors
/// When an address cannot be listened on, or a file that the configuration names
/// cannot be used.
pub fn start(context: WebContext) -> Result<WebHandle> {
    let WebContext { httpd, telemetry, config_dir, proxy, services } = context;
    let passphrase = signing_passphrase(&httpd, &config_dir)?;
    let revoked = Arc::new(Revocations::default());
    let pages = Pages::load(&httpd, &config_dir)?.map(Arc::new);
    let door = Door::from_config("httpd.auth_user_file", &config_dir, &httpd.auth_user_file)?;
    let mut doors: Vec<_> = door.iter().cloned().collect();
    let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
    let mut telemetry_address = None;
    let mut certificates = Vec::new();
    let mut listeners = Vec::new();
    let mut starting = Vec::new();
    let log = logging::for_sender(&services.log, "httpd");
    for (index, binding) in httpd.bindings.iter().enumerate() {
        let place = format!("httpd.bindings[{index}]");
        let at = |error: Error| error.wrap(place.clone());
        let Some(address) = Address::from_config(&binding.address, binding.port).map_err(at)?
        else {
            continue;
        };
        let edge = Edge::from_config(&httpd, binding).map_err(at)?;
        if let Some(warning) = edge.proxies.warning() {
            slog::warn!(log, "{place}: {warning}");
        }
        let tls = binding_tls(&httpd, binding, &address, &config_dir).map_err(at)?;
        let socket = Socket::open(&address).map_err(at)?;
        let tokens = TokenIssuer::new(
            passphrase.expose(),
            u64::from(httpd.jwt_lifetime) * 60,
            httpd.token_validation.into(),
            revoked.clone(),
        )?;
        let state = Binding {
            services: services.clone(),
            tokens,
            local: socket.shown(),
            has_api: binding.enable_rest_api,
            has_openapi: binding.render_openapi,
            pages: pages.clone().filter(|_| binding.enable_web_admin),
            door: door.clone(),
            edge,
        };
        let serves = Serves::Web { has_api: state.has_api, has_pages: state.pages.is_some() };
        listeners.push(socket.listener(tls.as_ref(), serves));
        let scheme = if tls.is_some() { "https" } else { "http" };
        slog::info!(log, "listening on {} ({scheme})", socket.shown());
        addresses.extend(socket.tcp_address());
        sockets.extend(socket.path());
        let entrance = Entrance {
            proxy: (binding.proxy_mode == 1).then(|| proxy.clone()),
            tls: tls.as_ref().map(Tls::config),
            log: log.clone(),
        };
        let state = Data::new(state);
        starting.push(serve!(app::app(state.clone()), socket, entrance).map_err(at)?);
        certificates.extend(tls.map(|tls| (place.clone(), tls)));
    }
    let at = |error: Error| error.wrap("telemetry");
    let address = Address::from_config(&telemetry.bind_address, telemetry.bind_port).map_err(at)?;
    if let Some(address) = address {
        let key = "telemetry.auth_user_file";
        let readers = Door::from_config(key, &config_dir, &telemetry.auth_user_file)?;
        doors.extend(readers.clone());
        let tls = telemetry_tls(&telemetry, &address, &config_dir).map_err(at)?;
        let socket = Socket::open(&address).map_err(at)?;
        let log = logging::for_sender(&services.log, "telemetry");
        listeners.push(socket.listener(tls.as_ref(), Serves::Telemetry));
        let scheme = if tls.is_some() { "https" } else { "http" };
        slog::info!(log, "listening on {} ({scheme})", socket.shown());
        telemetry_address = socket.tcp_address();
        sockets.extend(socket.path());
        let entrance = Entrance { proxy: None, tls: tls.as_ref().map(Tls::config), log };
        let state =
            Data::new(Telemetry { services: services.clone(), readers, local: socket.shown() });
        starting.push(serve!(telemetry::app(state.clone()), socket, entrance).map_err(at)?);
        certificates.extend(tls.map(|tls| ("telemetry".to_owned(), tls)));
    }
    *services.http.write().unwrap_or_else(PoisonError::into_inner) = listeners;
    // Only now: an error above must not leave half of the servers running.
    let mut servers = Vec::new();
    for server in starting {
        servers.push(server.handle());
        tokio::spawn(server);
    }
    let files = Arc::new(Files { certificates, doors, log });
    let reader = (!files.certificates.is_empty())
        .then(|| AbortOnDropHandle::new(tokio::spawn(read_certificates_again(files.clone()))));
    Ok(WebHandle { servers, addresses, telemetry_address, sockets, files, _reader: reader, pages })
}

/// For whoever replaces certificates without telling anybody.
async fn read_certificates_again(files: Arc<Files>) {
    loop {
        tokio::time::sleep(CERTIFICATE_INTERVAL).await;
        let files = files.clone();
        let _ = tokio::task::spawn_blocking(move || files.reload_certificates()).await;
    }
}

/// The TLS of a binding; `None` if it speaks HTTP.
fn binding_tls(
    httpd: &HttpdConfig,
    binding: &HttpdBinding,
    address: &Address,
    config_dir: &Path,
) -> Result<Option<Tls>> {
    if !binding.enable_https {
        return match binding.client_auth_type {
            0 => Ok(None),
            _ => Err(Error::invalid("client_auth_type: needs `enable_https`")),
        };
    }
    // A pair belongs together: a binding with one of its own takes nothing of the section.
    let (certificate, key) = match binding.certificate_file.as_str() {
        "" if binding.certificate_key_file.is_empty() => {
            (&httpd.certificate_file, &httpd.certificate_key_file)
        }
        _ => (&binding.certificate_file, &binding.certificate_key_file),
    };
    let resolve = |files: &[String]| files.iter().map(|file| config_dir.join(file)).collect();
    let clients = (binding.client_auth_type == 1).then(|| ClientAuthorities {
        certificates: resolve(&httpd.ca_certificates),
        revocation_lists: resolve(&httpd.ca_revocation_lists),
    });
    tls(certificate, key, address, config_dir, |certificate, key| TlsSettings {
        certificate,
        key,
        min_version: binding.min_tls_version,
        cipher_suites: &binding.tls_cipher_suites,
        clients,
    })
    .map(Some)
}

/// The TLS of the telemetry server, which a certificate switches on.
fn telemetry_tls(
    telemetry: &TelemetryConfig,
    address: &Address,
    config_dir: &Path,
) -> Result<Option<Tls>> {
    let (certificate, key) = (&telemetry.certificate_file, &telemetry.certificate_key_file);
    if certificate.is_empty() && key.is_empty() {
        return Ok(None);
    }
    tls(certificate, key, address, config_dir, |certificate, key| TlsSettings {
        certificate,
        key,
        min_version: telemetry.min_tls_version,
        cipher_suites: &telemetry.tls_cipher_suites,
        clients: None,
    })
    .map(Some)
}

fn tls<'a>(
    certificate: &str,
    key: &str,
    address: &Address,
    config_dir: &Path,
    settings: impl FnOnce(PathBuf, PathBuf) -> TlsSettings<'a>,
) -> Result<Tls> {
    if matches!(address, Address::Path(_)) {
        return Err(Error::invalid("HTTPS is not spoken on a Unix socket"));
    }
    if certificate.is_empty() || key.is_empty() {
        return Err(Error::invalid(
            "HTTPS needs both `certificate_file` and `certificate_key_file`",
        ));
    }
    Tls::new(settings(config_dir.join(certificate), config_dir.join(key)))
}

/// The secret behind the signing keys, from the file if one is named; empty for random keys.
fn signing_passphrase(httpd: &HttpdConfig, config_dir: &Path) -> Result<Secret> {
    if httpd.signing_passphrase_file.is_empty() {
        return Ok(httpd.signing_passphrase.clone());
    }
    let path = config_dir.join(&httpd.signing_passphrase_file);
    let context = || format!("httpd.signing_passphrase_file: {}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| Error::from_io(context(), error))?;
    let passphrase = text.trim_end_matches(['\r', '\n']);
    if passphrase.is_empty() {
        return Err(Error::invalid(format!("{}: is empty", context())));
    }
    Ok(Secret::new(passphrase))
}

/// An open listener.
enum Socket {
    Tcp(std::net::TcpListener, SocketAddr),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

impl Socket {
    fn open(address: &Address) -> Result<Self> {
        let listener = match address {
            Address::Any(port) => listen::tcp_any(*port)?,
            Address::Ip(address) => listen::tcp(*address)?,
            #[cfg(unix)]
            Address::Path(path) => return Ok(Self::Unix(listen::unix(path)?, path.clone())),
            #[cfg(not(unix))]
            Address::Path(path) => {
                return Err(Error::invalid(format!(
                    "address {}: this system has no Unix sockets",
                    path.display()
                )));
            }
        };
        let address = listener
            .local_addr()
            .map_err(|error| Error::from_io("ask for the address listened on", error))?;
        Ok(Self::Tcp(listener, address))
    }

    fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            #[cfg(unix)]
            Self::Unix(..) => None,
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(..) => None,
            #[cfg(unix)]
            Self::Unix(_, path) => Some(path.clone()),
        }
    }

    /// For the status.
    fn listener(&self, tls: Option<&Tls>, serves: Serves) -> HttpListener {
        let (address, port) = match self.tcp_address() {
            Some(address) => (address.ip().to_string(), address.port()),
            None => (self.shown(), 0),
        };
        HttpListener { address, port, certificate: tls.map(Tls::certificate), serves }
    }

    /// For logs.
    fn shown(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            #[cfg(unix)]
            Self::Unix(_, path) => path.display().to_string(),
        }
    }
}
