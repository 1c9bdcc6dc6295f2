//! Which services run, and how they are set.

use std::sync::PoisonError;
use std::time::Instant;

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::TotpSettings;
use crate::model::timestamp::now_unix_ms;
use crate::protocol::listener::rate_limits::RateLimits;
use crate::web::facts::SshServiceStatus;
use crate::web::health;
use crate::web::listen::tls::Certificate;
use crate::web::listen::validity::CertificateState;
use crate::web::operations::disks::DiskStatus;
use crate::web::services::{HttpListener, Serves, Services};

/// The state of every service.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServicesStatus {
    pub ssh: SshServiceStatus,
    pub ftp: InactiveService,
    pub webdav: InactiveService,
    pub data_provider: DataProviderStatus,
    pub defender: Activity,
    pub mfa: MfaStatus,
    pub allow_list: Activity,
    pub rate_limiters: RateLimitersStatus,
    /// REST API and web pages.
    pub http: HttpServiceStatus,
    pub telemetry: HttpServiceStatus,
    /// The file systems on which the server keeps things.
    pub disks: Vec<DiskStatus>,
    pub process: ProcessStatus,
}

/// Servers that speak HTTP.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = HTTPServiceStatus)]
pub struct HttpServiceStatus {
    pub is_active: bool,
    pub bindings: Vec<HttpBinding>,
}

/// One address where HTTP is spoken.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HTTPBinding)]
pub struct HttpBinding {
    /// An address, or the path of a Unix socket.
    pub address: String,
    /// 0 for a Unix socket.
    pub port: u16,
    pub enable_https: bool,
    pub enable_rest_api: bool,
    pub enable_web_admin: bool,
    /// With HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<HttpCertificate>,
}

/// The certificate that is presented.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = HTTPCertificate)]
pub struct HttpCertificate {
    pub path: String,
    /// Unix milliseconds; absent if it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<i64>,
    /// Unix milliseconds; absent if it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
    pub state: CertificateState,
}

impl HttpCertificate {
    fn of(certificate: &Certificate) -> Self {
        let validity = certificate.validity();
        Self {
            path: certificate.file().display().to_string(),
            valid_from: validity.map(|validity| validity.from),
            valid_until: validity.and_then(|validity| validity.until),
            state: validity
                .map_or(CertificateState::Unknown, |validity| validity.state(now_unix_ms())),
        }
    }
}

/// The process of the server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProcessStatus {
    pub uptime_secs: u64,
    /// Where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// How many it may have; absent if any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_limit: Option<u64>,
}

impl ProcessStatus {
    fn now(started: Instant) -> Self {
        let open = std::fs::read_dir("/proc/self/fd").ok();
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            uptime_secs: started.elapsed().as_secs(),
            open_files: open.and_then(|open| u64::try_from(open.count()).ok()),
            open_files_limit: limit.and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        }
    }
}

/// A service that is not running.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct InactiveService {
    pub is_active: bool,
    /// Always empty.
    pub bindings: Vec<String>,
}

/// Whether something is switched on.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Activity {
    pub is_active: bool,
}

/// One-time passwords.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MFAStatus)]
pub struct MfaStatus {
    pub is_active: bool,
    pub totp_configs: Vec<TotpKind>,
}

/// One configured kind of codes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TOTPConfig)]
pub struct TotpKind {
    pub name: String,
    pub issuer: String,
    /// `sha1`, `sha256` or `sha512`.
    pub algo: String,
}

impl TotpKind {
    pub fn of(settings: &TotpSettings) -> Self {
        Self {
            name: settings.name.clone(),
            issuer: settings.issuer.clone(),
            algo: settings.algo.as_str().to_owned(),
        }
    }
}

/// The store of accounts.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DataProviderStatus {
    pub is_active: bool,
    pub driver: String,
    /// Why it is not active; empty if it is.
    pub error: String,
}

/// The rate limiters.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct RateLimitersStatus {
    pub is_active: bool,
    /// What is limited: of `SSH`, `FTP`, `DAV` and `HTTP`.
    pub protocols: Vec<String>,
}

impl RateLimitersStatus {
    fn of(limits: &RateLimits) -> Self {
        let protocols: Vec<_> =
            limits.protocols().map(|protocol| protocol.as_str().to_owned()).collect();
        Self { is_active: !protocols.is_empty(), protocols }
    }
}

/// The state of every service now.
pub async fn current(services: &Services) -> ServicesStatus {
    let kinds = services.login.one_time().kinds();
    let provider = health::store_answers(services).await;
    ServicesStatus {
        ssh: services.facts.ssh(),
        ftp: InactiveService::default(),
        webdav: InactiveService::default(),
        data_provider: DataProviderStatus {
            is_active: provider.is_ok(),
            driver: services.store.driver().to_owned(),
            error: provider.err().unwrap_or_default(),
        },
        defender: Activity::default(),
        mfa: MfaStatus {
            is_active: !kinds.is_empty(),
            totp_configs: kinds.iter().map(TotpKind::of).collect(),
        },
        allow_list: Activity::default(),
        rate_limiters: RateLimitersStatus::of(&services.rate_limits),
        http: services.http_status(false),
        telemetry: services.http_status(true),
        disks: services.disks.look().await,
        process: ProcessStatus::now(services.started),
    }
}

impl Services {
    /// Where telemetry is to be had, or everything else.
    pub fn http_status(&self, of_telemetry: bool) -> HttpServiceStatus {
        let listeners = self.http.read().unwrap_or_else(PoisonError::into_inner);
        let binding = |listener: &HttpListener| {
            let (has_api, has_pages) = match listener.serves {
                Serves::Web { has_api, has_pages } => (has_api, has_pages),
                Serves::Telemetry => (false, false),
            };
            HttpBinding {
                address: listener.address.clone(),
                port: listener.port,
                enable_https: listener.certificate.is_some(),
                enable_rest_api: has_api,
                enable_web_admin: has_pages,
                certificate: listener.certificate.as_deref().map(HttpCertificate::of),
            }
        };
        let wanted =
            listeners.iter().filter(|one| (one.serves == Serves::Telemetry) == of_telemetry);
        let bindings: Vec<HttpBinding> = wanted.map(binding).collect();
        HttpServiceStatus { is_active: !bindings.is_empty(), bindings }
    }
}
