//! Starts and stops the HTTP servers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;

use crate::config::{HttpdConfig, Secret, TelemetryConfig};
use crate::error::{Error, Result};
use crate::logging;
use crate::web::app::{self, Binding, Services};
use crate::web::htpasswd::Htpasswd;
use crate::web::listen::{self, Address};
use crate::web::pages::Pages;
use crate::web::telemetry::{self, Telemetry};
use crate::web::token::{Revocations, TokenIssuer};

/// Threads that serve one listener.
const WORKERS: usize = 2;
/// Connections one worker keeps open; more wait in the kernel.
const MAX_CONNECTIONS_PER_WORKER: usize = 4096;
/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may go on after a graceful stop was asked for.
const STOP_TIMEOUT_SECS: u64 = 10;

/// All that the HTTP servers need.
pub struct WebContext {
    pub httpd: HttpdConfig,
    pub telemetry: TelemetryConfig,
    /// Relative file names in the two sections are below it.
    pub config_dir: PathBuf,
    pub services: Arc<Services>,
}

/// The running HTTP servers. Dropping it does not stop them.
pub struct WebHandle {
    servers: Vec<ServerHandle>,
    addresses: Vec<SocketAddr>,
    telemetry_address: Option<SocketAddr>,
    sockets: Vec<PathBuf>,
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

    /// Stops listening; with `graceful`, requests that are being answered may finish.
    pub async fn stop(self, graceful: bool) {
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
    ($app:expr, $socket:expr) => {{
        let server = HttpServer::new($app)
            .workers(WORKERS)
            .disable_signals()
            .shutdown_timeout(STOP_TIMEOUT_SECS)
            .max_connections(MAX_CONNECTIONS_PER_WORKER)
            .client_request_timeout(HEADER_TIMEOUT);
        let listening = match $socket {
            Socket::Tcp(listener, _) => server.listen(listener),
            #[cfg(unix)]
            Socket::Unix(listener, _) => server.listen_uds(listener),
        };
        listening.map(HttpServer::run).map_err(|error| Error::from_io("serve the socket", error))
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
    let WebContext { httpd, telemetry, config_dir, services } = context;
    let passphrase = signing_passphrase(&httpd, &config_dir)?;
    let revoked = Arc::new(Revocations::default());
    let pages = Pages::load(&httpd, &config_dir)?.map(Arc::new);
    let mut handle = WebHandle {
        servers: Vec::new(),
        addresses: Vec::new(),
        telemetry_address: None,
        sockets: Vec::new(),
    };
    let mut starting = Vec::new();
    for (index, binding) in httpd.bindings.iter().enumerate() {
        let at = |error: Error| error.wrap(format!("httpd.bindings[{index}]"));
        let Some(address) = Address::from_config(&binding.address, binding.port).map_err(at)?
        else {
            continue;
        };
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
        };
        let log = logging::for_sender(&services.log, "httpd");
        slog::info!(log, "listening on {}", socket.shown());
        handle.addresses.extend(socket.tcp_address());
        handle.sockets.extend(socket.path());
        let state = Data::new(state);
        starting.push(serve!(move || app::app(state.clone()), socket).map_err(at)?);
    }
    let address = Address::from_config(&telemetry.bind_address, telemetry.bind_port)
        .map_err(|error| error.wrap("telemetry"))?;
    if let Some(address) = address {
        let readers = match telemetry.auth_user_file.as_str() {
            "" => None,
            path => {
                let readers = Htpasswd::read(&config_dir.join(path))
                    .map_err(|error| error.wrap("telemetry.auth_user_file"))?;
                Some(Arc::new(readers))
            }
        };
        let socket = Socket::open(&address).map_err(|error| error.wrap("telemetry"))?;
        let log = logging::for_sender(&services.log, "telemetry");
        slog::info!(log, "listening on {}", socket.shown());
        handle.telemetry_address = socket.tcp_address();
        handle.sockets.extend(socket.path());
        let state =
            Data::new(Telemetry { services: services.clone(), readers, local: socket.shown() });
        let server = serve!(move || telemetry::app(state.clone()), socket);
        starting.push(server.map_err(|error| error.wrap("telemetry"))?);
    }
    // Only now: an error above must not leave half of the servers running.
    for server in starting {
        handle.servers.push(server.handle());
        tokio::spawn(server);
    }
    Ok(handle)
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

    /// For logs.
    fn shown(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            #[cfg(unix)]
            Self::Unix(_, path) => path.display().to_string(),
        }
    }
}
