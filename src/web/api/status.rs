//! Which services run, and how they are set.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::api::second_factor::TotpKind;
use crate::web::app::{Binding, Services};
use crate::web::auth::{Admin, ViewStatus};
use crate::web::health;
use crate::web::response::ApiResponse;

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
}

/// The SSH server: SFTP, SCP and SSH commands.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = SSHServiceStatus)]
pub struct SshServiceStatus {
    pub is_active: bool,
    pub bindings: Vec<SshBinding>,
    pub host_keys: Vec<SshHostKey>,
    /// The commands that clients may run.
    pub ssh_commands: Vec<String>,
    /// The ways to log in.
    pub authentications: Vec<String>,
    pub public_key_algorithms: Vec<String>,
    pub macs: Vec<String>,
    pub kex_algorithms: Vec<String>,
    pub ciphers: Vec<String>,
}

/// One address the SSH server listens on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SSHBinding)]
pub struct SshBinding {
    /// Empty for all addresses.
    pub address: String,
    pub port: u16,
    /// Whether the PROXY protocol settings apply.
    pub apply_proxy_config: bool,
}

/// One host key, by which clients recognise the server.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = SSHHostKey)]
pub struct SshHostKey {
    /// The file of the private key.
    pub path: String,
    /// `SHA256:` and the digest in base64, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The signature algorithms offered with it.
    pub algorithms: Vec<String>,
    /// How long an RSA key is.
    #[serde(skip)]
    pub rsa_bits: Option<u32>,
    /// When its file was last written, if that is known; Unix milliseconds.
    #[serde(skip)]
    pub made_unix_ms: Option<i64>,
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
    pub protocols: Vec<String>,
}

/// State of all services.
#[utoipa::path(
    get,
    path = "/api/v2/status",
    tag = "status",
    security(("BearerAuth" = [])),
    responses(
        (status = 200, description = "The state of every service", body = ServicesStatus),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_status is missing", body = ApiResponse),
    )
)]
pub async fn get(_admin: Admin<ViewStatus>, binding: Data<Binding>) -> HttpResponse {
    HttpResponse::Ok().json(current(&binding.services).await)
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
        rate_limiters: RateLimitersStatus::default(),
    }
}
