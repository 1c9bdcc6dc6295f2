//! The SSH service: its bindings, and one connection from accept to its end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::ids::Protocol;
use actors::meter::{KillReason, KillSwitch};
use actors::registry::Admission;
use actors::{Connection, Registry};
use russh::server::Config as RusshConfig;
use russh::{MethodKind, MethodSet, SshId};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::algorithms::Algorithms;
use super::exec;
use super::half_open::HalfOpen;
use super::handler::Handler;
use super::host_keys::{self, HostCertificate, HostKey};
use super::kill::KillableStream;
use super::sftp;
use crate::auth::{Login, UserCertificates};
use crate::config::{CommonConfig, ServerVersion, SftpdConfig};
use crate::error::{Error, Result};
use crate::hooks::KeyboardHook;
use crate::logging;
use crate::metrics::Metrics;
use crate::model::LoginProtocol;
use crate::protocol::listener;
use crate::protocol::listener::proxy::{ProxyPolicy, Rewound};
use crate::protocol::listener::rate_limits::RateLimits;
use crate::vfs::VfsServices;

/// From accept to authenticated; then the connection is dropped.
const LOGIN_GRACE: Duration = Duration::from_secs(120);

/// Connections of which a PROXY header is awaited at a time; more are closed.
const MAX_AWAITED_HEADERS: usize = 256;

/// Flow-control window of a channel: below 2 MiB uploads suffer, above 16 MiB nothing
/// is gained.
const WINDOW: u32 = 2 * 1024 * 1024;

/// Largest channel packet we accept; larger ones save headers and system calls.
const MAX_CHANNEL_PACKET: u32 = 65_535;

/// Enough for a request; larger reads bypass the buffer.
const READ_BUFFER: usize = 2048;

/// Messages from our tasks that wait for the SSH session. With the engine's output
/// budget this bounds what a client that does not read can make us hold.
pub(super) const EVENT_BUFFER: usize = 8;

/// What every SSH connection needs, built once.
pub struct Context {
    pub registry: Registry,
    pub login: Login,
    pub vfs: VfsServices,
    /// How often clients may connect.
    pub rate_limits: Arc<RateLimits>,
    pub metrics: Arc<Metrics>,
    pub log: slog::Logger,
    pub algorithms: Algorithms,
    /// Where SFTP clients find the root of their account.
    pub folder_prefix: sftp::Prefix,
    /// What may be run besides SFTP.
    pub commands: exec::Enabled,
    /// Whose certificates open accounts.
    pub certificates: Arc<UserCertificates>,
    /// Who leads the dialogue of keyboard-interactive logins; `None` for ourselves.
    pub keyboard_hook: Option<KeyboardHook>,
    /// Those that have not logged in.
    pub half_open: HalfOpen,
    /// The authentication methods a client is offered.
    pub methods: MethodSet,
    pub banner: Option<String>,
    /// Failed attempts after which the connection ends; 0 means no limit.
    pub max_auth_tries: usize,
}

/// Facts for the status page.
#[derive(Debug, Clone)]
pub struct Facts {
    pub bindings: Vec<Binding>,
    pub host_keys: Vec<HostKey>,
    /// As they were configured, in that order.
    pub host_certificates: Vec<HostCertificate>,
    pub algorithms: Algorithms,
    pub authentications: Vec<String>,
    /// The commands that clients may run.
    pub commands: Vec<String>,
}

/// An address the service listens on.
#[derive(Debug, Clone)]
pub struct Binding {
    pub address: SocketAddr,
    pub apply_proxy_config: bool,
    /// Whether headers of the PROXY protocol are read at all.
    pub reads_proxy_header: bool,
}

/// An address to listen on.
#[derive(Debug, Clone)]
pub struct BindRequest {
    /// The configuration section, for error messages.
    pub section: String,
    /// Empty for every interface.
    pub address: String,
    /// 0 lets the system choose.
    pub port: u16,
    pub apply_proxy_config: bool,
}

impl BindRequest {
    /// The enabled bindings of the configuration: those with a port.
    pub fn from_config(config: &SftpdConfig) -> Vec<Self> {
        config
            .bindings
            .iter()
            .enumerate()
            .filter(|(_, binding)| binding.port != 0)
            .map(|(at, binding)| Self {
                section: format!("sftpd.bindings[{at}]"),
                address: binding.address.clone(),
                port: binding.port,
                apply_proxy_config: binding.apply_proxy_config,
            })
            .collect()
    }
}

/// The running service.
pub struct Service {
    facts: Facts,
    certificates: Arc<UserCertificates>,
    stop: CancellationToken,
    accepting: TaskTracker,
}

/// What [`start`] is given.
pub struct Parts {
    pub registry: Registry,
    pub login: Login,
    pub keyboard_hook: Option<KeyboardHook>,
    pub vfs: VfsServices,
    pub rate_limits: Arc<RateLimits>,
    pub metrics: Arc<Metrics>,
    pub log: slog::Logger,
}

impl Service {
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Reads again what can change without a restart: the revoked certificates.
    pub fn reload(&self) -> Result<()> {
        self.certificates.reload()
    }

    /// Stops accepting; connections go on.
    pub async fn stop_accepting(&self) {
        self.stop.cancel();
        self.accepting.wait().await;
    }
}

/// Loads or makes the host keys, binds and starts accepting. Must run on the Tokio
/// runtime. Any error stops the start.
pub fn start(
    binds: &[BindRequest],
    config: &SftpdConfig,
    common: &CommonConfig,
    config_dir: &Path,
    version: &str,
    parts: Parts,
) -> Result<Service> {
    let algorithms = Algorithms::from_config(config)?;
    let host_keys = host_keys::load(config_dir, &config.host_keys)?;
    let (host_keys, unused): (Vec<_>, Vec<_>) =
        host_keys.into_iter().partition(|key| !algorithms.offered_with(key).is_empty());
    if host_keys.is_empty() {
        return Err(Error::invalid(format!(
            "`sftpd.host_key_algorithms`: there is no host key for any of {}",
            algorithms.host_keys.join(", ")
        )));
    }
    for key in unused {
        let path = key.path.display();
        let told = format_args!("host key {path} is not offered, see `host_key_algorithms`");
        note(&parts.log, slog::Level::Info, told);
    }
    let host_certificates = host_keys::load_certificates(config_dir, &config.host_certificates)?;
    let certificates = Arc::new(UserCertificates::load(
        config_dir,
        &config.trusted_user_ca_keys,
        &config.revoked_user_certs_file,
    )?);
    let folder_prefix = sftp::Prefix::from_config(&config.folder_prefix);
    let commands = commands(config, &folder_prefix, &parts.log);
    let methods = methods(config);
    let banner = login_banner(config, config_dir, &parts.log);
    let tries = match config.max_auth_tries {
        0 => 6,
        n => usize::try_from(n).unwrap_or(0),
    };
    let russh = Arc::new(RusshConfig {
        server_id: SshId::Standard(ident(config, common, version).into()),
        methods: methods.clone(),
        // Only failed passwords wait, in `handler.rs`: a wait for every refused key
        // would punish agents that hold several.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: host_keys.iter().map(|host| host.key.clone()).collect(),
        // The library presents those of a host key it has, and ignores the others.
        certificates: host_certificates.iter().map(|one| one.certificate.clone()).collect(),
        window_size: WINDOW,
        maximum_packet_size: MAX_CHANNEL_PACKET,
        channel_buffer_size: 1,
        event_buffer_size: EVENT_BUFFER,
        preferred: algorithms.preferred(&host_keys)?,
        // The library counts the `none` request every client starts with.
        max_auth_attempts: if tries == 0 { 0 } else { tries + 1 },
        // The registry watches idle time, and counts transfers as activity.
        inactivity_timeout: None,
        ..RusshConfig::default()
    });
    let context = Arc::new(Context {
        registry: parts.registry,
        login: parts.login,
        vfs: parts.vfs,
        rate_limits: parts.rate_limits,
        metrics: parts.metrics,
        log: parts.log,
        algorithms: algorithms.clone(),
        commands,
        folder_prefix,
        certificates: certificates.clone(),
        keyboard_hook: parts.keyboard_hook,
        half_open: HalfOpen::default(),
        methods,
        banner,
        max_auth_tries: tries,
    });

    let proxy = ProxyPolicy::from_config(common)?;
    let stop = CancellationToken::new();
    let accepting = TaskTracker::new();
    let mut bindings = Vec::new();
    for bind in binds {
        let section = &bind.section;
        let listener = listener::bind(section, &bind.address, bind.port)?;
        let address = listener
            .local_addr()
            .map_err(|error| Error::from_io(format!("`{section}`: local address"), error))?;
        bindings.push(Binding {
            address,
            apply_proxy_config: bind.apply_proxy_config,
            reads_proxy_header: bind.apply_proxy_config && proxy.is_on(),
        });
        note(&context.log, slog::Level::Info, format_args!("listening on {address}"));
        let door = Door {
            context: context.clone(),
            russh: russh.clone(),
            proxy: bind.apply_proxy_config.then(|| proxy.clone()),
            awaited_headers: Arc::new(Semaphore::new(MAX_AWAITED_HEADERS)),
        };
        let log = logging::for_sender(&context.log, "sftpd");
        accepting.spawn(listener::accept_loop(listener, stop.clone(), log, move |stream, peer| {
            door.clone().open(stream, peer)
        }));
    }
    accepting.close();
    let facts = Facts {
        bindings,
        host_keys,
        host_certificates,
        algorithms,
        authentications: config_methods(config),
        commands: context.commands.names().to_vec(),
    };
    Ok(Service { facts, certificates, stop, accepting })
}

/// What may be run besides SFTP: nothing with a prefix, which commands know nothing of.
fn commands(config: &SftpdConfig, prefix: &sftp::Prefix, log: &slog::Logger) -> exec::Enabled {
    if prefix.is_none() {
        return exec::Enabled::from_config(&config.enabled_ssh_commands);
    }
    let told = format_args!("ssh commands are switched off by `folder_prefix`");
    note(log, slog::Level::Info, told);
    exec::Enabled::from_config(&[])
}

/// `SSH-2.0-` and what follows it.
fn ident(config: &SftpdConfig, common: &CommonConfig, version: &str) -> String {
    if !config.banner.is_empty() {
        format!("SSH-2.0-{}", config.banner)
    } else if common.server_version == ServerVersion::Short {
        "SSH-2.0-SFTPGo".to_owned()
    } else {
        format!("SSH-2.0-SFTPGo_{version}")
    }
}

fn config_methods(config: &SftpdConfig) -> Vec<String> {
    let mut methods = vec!["publickey".to_owned()];
    if config.password_authentication {
        methods.push("password".to_owned());
    }
    if config.keyboard_interactive_authentication {
        methods.push("keyboard-interactive".to_owned());
    }
    methods
}

fn methods(config: &SftpdConfig) -> MethodSet {
    let mut methods = vec![MethodKind::PublicKey];
    if config.password_authentication {
        methods.push(MethodKind::Password);
    }
    if config.keyboard_interactive_authentication {
        methods.push(MethodKind::KeyboardInteractive);
    }
    MethodSet::from(&methods[..])
}

fn login_banner(config: &SftpdConfig, config_dir: &Path, log: &slog::Logger) -> Option<String> {
    if config.login_banner_file.is_empty() {
        return None;
    }
    let path = config_dir.join(&config.login_banner_file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let path = path.display();
            note(
                log,
                slog::Level::Warning,
                format_args!("cannot read the login banner {path}: {error}"),
            );
            None
        }
    }
}

fn note(log: &slog::Logger, level: slog::Level, message: std::fmt::Arguments<'_>) {
    logging::app(log, level, "sftpd", None, message);
}

/// What every connection through one binding needs.
#[derive(Clone)]
struct Door {
    context: Arc<Context>,
    russh: Arc<RusshConfig>,
    /// None if the binding has nothing to do with the PROXY protocol.
    proxy: Option<ProxyPolicy>,
    awaited_headers: Arc<Semaphore>,
}

impl Door {
    /// Asks for admission, then lets the connection run by itself. One whose header has
    /// to be awaited runs by itself before: it must not keep others from being accepted.
    async fn open(self, stream: TcpStream, peer: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        let Some(proxy) = self.proxy.clone().filter(|proxy| proxy.concerns(peer.ip())) else {
            return self.admit(Rewound::new(stream), peer, local).await;
        };
        let Ok(slot) = self.awaited_headers.clone().try_acquire_owned() else {
            return self.refuse(peer, "too many connections without their PROXY header");
        };
        tokio::spawn(async move {
            let read = proxy.read(stream, peer).await;
            drop(slot);
            match read {
                Ok((stream, client)) => self.admit(stream, client, local).await,
                Err(why) => self.refuse(peer, why),
            }
        });
    }

    async fn admit(self, stream: Rewound<TcpStream>, peer: SocketAddr, local: SocketAddr) {
        let kill = KillSwitch::new();
        let admission = Admission { peer, local, protocol: Protocol::Ssh, kill: kill.clone() };
        match self.context.registry.admit(admission).await {
            Ok(connection) => {
                tokio::spawn(self.serve(stream, connection, kill, peer, local));
            }
            Err(refused) => self.refuse(peer, &refused.to_string()),
        }
    }

    /// Serves the connection, unless its client connects too often; it may have to wait for
    /// its turn.
    async fn serve(
        self,
        stream: Rewound<TcpStream>,
        connection: Connection,
        kill: KillSwitch,
        peer: SocketAddr,
        local: SocketAddr,
    ) {
        let limits = &self.context.rate_limits;
        if let Err(over) = limits.admit(LoginProtocol::Ssh, peer.ip()).await {
            let cause = over.to_string();
            self.refuse(peer, &cause);
            return connection.closed(cause).await;
        }
        let Self { context, russh, .. } = self;
        serve_connection(context, russh, stream, connection, kill, peer, local).await;
    }

    fn refuse(&self, peer: SocketAddr, why: &str) {
        note(
            &self.context.log,
            slog::Level::Info,
            format_args!("connection from {} refused: {why}", peer.ip()),
        );
    }
}

async fn serve_connection(
    context: Arc<Context>,
    config: Arc<RusshConfig>,
    stream: Rewound<TcpStream>,
    connection: Connection,
    kill: KillSwitch,
    peer: SocketAddr,
    local: SocketAddr,
) {
    let (handler, login) = Handler::new(context.clone(), connection.clone(), peer, local);
    login.waits_in(context.half_open.enter(kill.clone()));
    // Requests are small, and the library reads each in two exact pieces.
    let stream = BufReader::with_capacity(READ_BUFFER, stream);
    let stream = KillableStream::new(stream, kill.clone());
    let run = async {
        match russh::server::run_stream(config, stream, handler).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        }
    };
    tokio::pin!(run);
    let ended = tokio::select! {
        ended = &mut run => ended,
        () = tokio::time::sleep(LOGIN_GRACE) => {
            if !login.is_authenticated() {
                kill.fire(KillReason::LoginTimeout);
            }
            run.await
        }
    };
    // A later reader of the log wants to know who or what ended it.
    let cause = match (kill.reason(), ended) {
        (Some(reason), _) => reason.to_string(),
        (None, Ok(())) => "closed by the client".to_owned(),
        (None, Err(error)) => error.to_string(),
    };
    let level = if kill.is_fired() { slog::Level::Info } else { slog::Level::Debug };
    let id = connection.id().as_str();
    logging::app(&context.log, level, "sftpd", Some(id), format_args!("connection ended: {cause}"));
    login.leave();
    login.connection_ended(&context, peer.ip(), &cause);
    connection.closed(cause).await;
}
