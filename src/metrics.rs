//! The Prometheus metrics of one server.
//!
//! The `sftpgo_…` counters keep the names that existing dashboards ask for, also
//! those of features this server does not have yet: they stay at 0. Our own series,
//! latencies and the load of the actors, have names with a unit and, where it helps,
//! a label. `docs/observability.md` lists all of them.
//!
//! Methods named after what happened are safe to call from any thread and touch
//! atomics only. What is a state rather than an event (sessions, provider, actors)
//! is set by the caller of [`Metrics::render`] just before it.

mod families;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actors::HealthReport;
use prometheus::{
    CounterVec, Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use crate::error::{Error, ErrorKind, Result};
use families::{BackendCounters, Families, LoginCounters, PlainCounter};

/// How somebody logged in; each way has its own three counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    Password,
    PublicKey,
    KeyboardInteractive,
    PublicKeyAndPassword,
    PublicKeyAndKeyboardInteractive,
    TlsCertificate,
    TlsCertificateAndPassword,
    /// An identity provider (OpenID Connect).
    IdentityProvider,
}

impl LoginMethod {
    const ALL: [LoginMethod; 8] = [
        Self::Password,
        Self::PublicKey,
        Self::KeyboardInteractive,
        Self::PublicKeyAndPassword,
        Self::PublicKeyAndKeyboardInteractive,
        Self::TlsCertificate,
        Self::TlsCertificateAndPassword,
        Self::IdentityProvider,
    ];

    /// The prefix of its counters.
    fn prefix(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PublicKey => "public_key",
            Self::KeyboardInteractive => "keyboard_interactive",
            Self::PublicKeyAndPassword => "key_and_password",
            Self::PublicKeyAndKeyboardInteractive => "key_and_keyboard_int",
            Self::TlsCertificate => "tls_cert",
            Self::TlsCertificateAndPassword => "tls_cert_and_pwd",
            Self::IdentityProvider => "idp",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PublicKey => "public key",
            Self::KeyboardInteractive => "keyboard interactive",
            Self::PublicKeyAndPassword => "public key and password",
            Self::PublicKeyAndKeyboardInteractive => "public key and keyboard interactive",
            Self::TlsCertificate => "TLS certificate",
            Self::TlsCertificateAndPassword => "TLS certificate and password",
            Self::IdentityProvider => "identity provider",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|method| *method == self).unwrap_or_default()
    }
}

/// Where the bytes of a transfer live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Local files, also encrypted ones: only the general counters move.
    Local,
    S3,
    Gcs,
    AzureBlob,
    Sftp,
    Http,
}

impl Backend {
    const REMOTE: [Backend; 5] = [Self::S3, Self::Gcs, Self::AzureBlob, Self::Sftp, Self::Http];

    fn prefix(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::AzureBlob => "az",
            Self::Sftp => "sftpfs",
            Self::Http => "httpfs",
        }
    }
}

/// Shown as the answer time of a control thread that did not answer while it was
/// waited for.
const UNANSWERED: Duration = Duration::from_secs(1);

/// All counters, gauges and histograms of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Rendered by ourselves; see [`PlainCounter`].
    plain: Vec<PlainCounter>,

    provider_available: IntGauge,
    active_sessions: IntGauge,

    transfers: BackendCounters,
    remote_transfers: Vec<(Backend, BackendCounters)>,
    upload_seconds: Histogram,
    download_seconds: Histogram,

    ssh_commands: IntCounter,
    ssh_command_errors: IntCounter,

    logins: LoginCounters,
    logins_by_method: Vec<LoginCounters>,
    no_auth: IntCounter,
    login_seconds: Histogram,

    http_requests: IntCounter,
    http_ok: IntCounter,
    http_client_errors: IntCounter,
    http_server_errors: IntCounter,
    http_request_seconds: Histogram,

    sftp_request_seconds: Histogram,

    actor_waiting: IntGaugeVec,
    actor_restarts: IntCounterVec,
    actor_busy_seconds: CounterVec,
    actor_slow_handlers: IntCounterVec,
    control_roundtrip_seconds: Gauge,
    open_transfers: IntGauge,
    hooks_queued: IntGauge,
    hooks_running: IntGauge,
    hook_failures: IntCounter,
    hook_questions_denied: IntCounter,
    events_dropped: IntCounter,
    open_leases: IntGauge,
    unsaved_accounts: IntGauge,
    quota_store_failures: IntCounter,
    log_lines_dropped: IntCounter,
    /// Two scrapes at once must not add the same difference twice.
    totals_update: Mutex<()>,
}

impl Metrics {
    /// Registers every series, at 0.
    ///
    /// # Errors
    /// Only if two series had the same name, which is a bug.
    pub fn new() -> Result<Self> {
        Self::register().map_err(|error| {
            Error::with_source(ErrorKind::Internal, "registering the metrics", error)
        })
    }

    fn register() -> prometheus::Result<Self> {
        let mut make = Families::new()?;
        let provider_available = make.gauge(
            "sftpgo_dataprovider_availability",
            "1 if the data provider answers, 0 if not",
        )?;
        let active_sessions =
            make.gauge("sftpgo_active_connections", "Sessions that are logged in now")?;

        let transfers = BackendCounters::general(&mut make)?;
        let remote_transfers = Backend::REMOTE
            .into_iter()
            .map(|backend| Ok((backend, BackendCounters::of(&mut make, backend.prefix())?)))
            .collect::<prometheus::Result<Vec<_>>>()?;
        for cloud in [Backend::S3, Backend::Gcs, Backend::AzureBlob] {
            make.object_requests(cloud.prefix())?;
        }
        let transfer_seconds = make.histogram_by(
            "sftpgo_transfer_duration_seconds",
            "Time from the opening of a transferred file to its end",
            "direction",
            &[0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0],
        )?;

        let ssh_commands =
            make.counter("sftpgo_ssh_commands_total", "SSH commands that succeeded")?;
        let ssh_command_errors =
            make.counter("sftpgo_ssh_command_errors_total", "SSH commands that failed")?;

        let logins = LoginCounters::all_methods(&mut make)?;
        let logins_by_method = LoginMethod::ALL
            .into_iter()
            .map(|method| LoginCounters::of(&mut make, method.prefix(), method.label()))
            .collect::<prometheus::Result<Vec<_>>>()?;
        let no_auth = make.counter(
            "sftpgo_no_auth_total",
            "Clients that disconnected before they tried to log in",
        )?;
        let login_seconds = make.histogram(
            "sftpgo_login_duration_seconds",
            "Time to decide one login attempt, password hashing and hooks included",
            &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
        )?;

        let http_requests = make.counter("sftpgo_http_req_total", "HTTP requests answered")?;
        let http_ok =
            make.counter("sftpgo_http_req_ok_total", "HTTP requests answered with a 2xx status")?;
        let http_client_errors = make.counter(
            "sftpgo_http_client_errors_total",
            "HTTP requests answered with a 4xx status",
        )?;
        let http_server_errors = make.counter(
            "sftpgo_http_server_errors_total",
            "HTTP requests answered with a 5xx status",
        )?;
        let http_request_seconds = make.histogram(
            "sftpgo_http_request_duration_seconds",
            "Time to answer one HTTP request",
            &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0],
        )?;
        let sftp_request_seconds = make.histogram(
            "sftpgo_sftp_request_duration_seconds",
            "Time to answer one SFTP request other than READ and WRITE",
            &[0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0],
        )?;

        let actor_waiting = make.gauge_by(
            "sftpgo_actor_mailbox_messages",
            "Messages that wait for an actor",
            "actor",
        )?;
        let actor_restarts = make.counter_by(
            "sftpgo_actor_restarts_total",
            "Restarts of an actor after a panic",
            "actor",
        )?;
        let actor_busy_seconds = make.counter_seconds_by(
            "sftpgo_actor_busy_seconds_total",
            "Time an actor spent handling messages",
            "actor",
        )?;
        let actor_slow_handlers = make.counter_by(
            "sftpgo_actor_slow_handlers_total",
            "Messages that held the control thread for more than a millisecond",
            "actor",
        )?;
        let control_roundtrip_seconds = make.gauge_seconds(
            "sftpgo_control_roundtrip_seconds",
            "How long the control thread took to answer; at least 1 if it did not",
        )?;
        let open_transfers = make
            .gauge("sftpgo_open_transfers", "Files that are being transferred or finished now")?;
        let hooks_queued =
            make.gauge("sftpgo_hook_queue_events", "Hook events that wait to be run")?;
        let hooks_running = make.gauge("sftpgo_hooks_running", "Hooks that run now")?;
        let hook_failures = make.counter("sftpgo_hook_failures_total", "Hooks that failed")?;
        let hook_questions_denied = make.counter(
            "sftpgo_hook_questions_denied_total",
            "Operations denied because the queue of the hook to ask was full",
        )?;
        let open_leases =
            make.gauge("sftpgo_quota_open_leases", "Open leases of accounts with a quota")?;
        let unsaved_accounts =
            make.gauge("sftpgo_quota_unsaved_accounts", "Accounts whose usage is not yet written")?;
        let quota_store_failures = make.counter(
            "sftpgo_quota_store_failures_total",
            "Failed attempts to read or write the usage of accounts",
        )?;
        let events_dropped = make.counter(
            "sftpgo_hook_events_dropped_total",
            "Hook events dropped because their queue stayed full",
        )?;
        let log_lines_dropped = make.counter(
            "sftpgo_log_lines_dropped_total",
            "App log lines dropped because the log queue was full",
        )?;
        make.process_series()?;
        let (registry, plain) = make.finish();

        Ok(Self {
            registry,
            plain,
            provider_available,
            active_sessions,
            transfers,
            remote_transfers,
            upload_seconds: transfer_seconds.with_label_values(&["upload"]),
            download_seconds: transfer_seconds.with_label_values(&["download"]),
            ssh_commands,
            ssh_command_errors,
            logins,
            logins_by_method,
            no_auth,
            login_seconds,
            http_requests,
            http_ok,
            http_client_errors,
            http_server_errors,
            http_request_seconds,
            sftp_request_seconds,
            actor_waiting,
            actor_restarts,
            actor_busy_seconds,
            totals_update: Mutex::new(()),
            actor_slow_handlers,
            control_roundtrip_seconds,
            open_transfers,
            hooks_queued,
            hooks_running,
            hook_failures,
            hook_questions_denied,
            events_dropped,
            open_leases,
            unsaved_accounts,
            quota_store_failures,
            log_lines_dropped,
        })
    }

    /// An upload ended; `bytes` also when it failed midway.
    pub fn upload_finished(&self, backend: Backend, is_ok: bool, bytes: u64, elapsed: Duration) {
        for counters in self.transfer_counters(backend) {
            counters.uploads.count(is_ok, bytes);
        }
        self.upload_seconds.observe(elapsed.as_secs_f64());
    }

    /// A download ended; `bytes` also when it failed midway.
    pub fn download_finished(&self, backend: Backend, is_ok: bool, bytes: u64, elapsed: Duration) {
        for counters in self.transfer_counters(backend) {
            counters.downloads.count(is_ok, bytes);
        }
        self.download_seconds.observe(elapsed.as_secs_f64());
    }

    /// The general counters and those of the backend if it has some.
    fn transfer_counters(&self, backend: Backend) -> impl Iterator<Item = &BackendCounters> {
        let of_backend = self
            .remote_transfers
            .iter()
            .filter(move |(name, _)| *name == backend)
            .map(|(_, counters)| counters);
        std::iter::once(&self.transfers).chain(of_backend)
    }

    /// An SSH command (md5sum, scp, …) ended.
    pub fn ssh_command_finished(&self, is_ok: bool) {
        if is_ok {
            self.ssh_commands.inc();
        } else {
            self.ssh_command_errors.inc();
        }
    }

    /// One attempt to log in was decided; a login of several steps counts once, under
    /// its combined method.
    pub fn login_attempt(&self, method: LoginMethod, is_ok: bool, elapsed: Duration) {
        self.logins.count(is_ok);
        if let Some(counters) = self.logins_by_method.get(method.index()) {
            counters.count(is_ok);
        }
        self.login_seconds.observe(elapsed.as_secs_f64());
    }

    /// A client left before it tried to log in.
    pub fn no_auth_tried(&self) {
        self.no_auth.inc();
    }

    /// An HTTP request was answered with this status.
    pub fn http_request(&self, status: u16, elapsed: Duration) {
        self.http_requests.inc();
        match status {
            200..=299 => self.http_ok.inc(),
            400..=499 => self.http_client_errors.inc(),
            500..=599 => self.http_server_errors.inc(),
            _ => {}
        }
        self.http_request_seconds.observe(elapsed.as_secs_f64());
    }

    /// An SFTP request other than READ and WRITE was answered. Those two are left out:
    /// they would drown the others, and their cost would show on large files.
    pub fn sftp_request(&self, elapsed: Duration) {
        self.sftp_request_seconds.observe(elapsed.as_secs_f64());
    }

    /// Whether the data provider answered when it was last asked.
    pub fn set_provider_available(&self, is_available: bool) {
        self.provider_available.set(is_available.into());
    }

    /// How many sessions are logged in.
    pub fn set_active_sessions(&self, count: usize) {
        self.active_sessions.set(gauge_value(count));
    }

    /// What the supervisor reports about the actors.
    pub fn set_health(&self, health: &HealthReport) {
        let _one_at_a_time = self.totals_update.lock().unwrap_or_else(PoisonError::into_inner);
        for actor in &health.actors {
            let label = [actor.name];
            self.actor_waiting.with_label_values(&label).set(gauge_value(actor.mailbox_depth));
            raise_to(&self.actor_restarts.with_label_values(&label), actor.restarts);
            raise_to(&self.actor_slow_handlers.with_label_values(&label), actor.slow_handlers);
            let busy = self.actor_busy_seconds.with_label_values(&label);
            let busy_secs = Duration::from_micros(actor.busy_us).as_secs_f64();
            busy.inc_by((busy_secs - busy.get()).max(0.0));
        }
        let roundtrip = health.control_roundtrip.unwrap_or(UNANSWERED);
        self.control_roundtrip_seconds.set(roundtrip.as_secs_f64());
        self.open_transfers.set(gauge_value(health.transfers));
        self.hooks_queued.set(gauge_value(health.hooks.queued));
        self.hooks_running.set(gauge_value(health.hooks.running));
        raise_to(&self.hook_failures, health.hooks.failures);
        raise_to(&self.hook_questions_denied, health.hooks.denied_when_full);
        raise_to(&self.events_dropped, health.hooks.dropped_events);
        self.open_leases.set(gauge_value(health.quota.open_leases));
        self.unsaved_accounts.set(gauge_value(health.quota.unsaved_accounts));
        raise_to(&self.quota_store_failures, health.quota.store_failures);
    }

    /// How many app log lines were dropped since the process started.
    pub fn set_dropped_log_lines(&self, count: u64) {
        let _one_at_a_time = self.totals_update.lock().unwrap_or_else(PoisonError::into_inner);
        raise_to(&self.log_lines_dropped, count);
    }

    /// Everything in Prometheus' text format ([`Metrics::CONTENT_TYPE`]).
    ///
    /// # Errors
    /// When the process's own figures cannot be read or encoded.
    pub fn render(&self) -> Result<String> {
        let mut text =
            TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| {
                Error::with_source(ErrorKind::Internal, "encoding the metrics", error)
            })?;
        for counter in &self.plain {
            counter.render(&mut text);
        }
        Ok(text)
    }

    /// The content type of [`Metrics::render`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Totals are reported, not differences, and a counter never goes back.
fn raise_to(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests;
