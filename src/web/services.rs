//! What the handlers share: of the whole process, and of one binding.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use actix_web::HttpRequest;
use actix_web::web::Data;
use actors::{Quota, Registry, Supervisor, Throughput};
use slog::Logger;

use crate::auth::Login;
use crate::config::TrackQuota;
use crate::logging::{self, LogControl};
use crate::metrics::Metrics;
use crate::protocol::listener::rate_limits::RateLimits;
use crate::provider::Store;
use crate::vfs::scans::Scans;
use crate::web::edge::Edge;
use crate::web::edge::htpasswd::Door;
use crate::web::error::ApiError;
use crate::web::facts::{ServiceFacts, VersionInfo};
use crate::web::listen::tls::Certificate;
use crate::web::operations::disks::Disks;
use crate::web::operations::tasks::Tasks;
use crate::web::pages::Pages;
use crate::web::request::token::TokenIssuer;

/// What every handler may use, shared by all bindings.
pub struct Services {
    pub store: Store,
    pub login: Login,
    pub registry: Registry,
    pub throughput: Throughput,
    pub quota: Quota,
    pub supervisor: Supervisor,
    pub metrics: Arc<Metrics>,
    pub log: Logger,
    /// For the number of dropped log lines; `None` where no log can drop any.
    pub log_control: Option<LogControl>,
    /// Whether used quota is tracked at all.
    pub track_quota: TrackQuota,
    /// Where dumps are written and looked for; absolute.
    pub backups_path: PathBuf,
    /// How often clients may ask.
    pub rate_limits: Arc<RateLimits>,
    /// What `/status` says of the other servers.
    pub facts: Arc<dyn ServiceFacts>,
    pub scans: Scans,
    /// Work that goes on when the request for it has ended.
    pub tasks: Tasks,
    /// The file systems on which things are kept.
    pub disks: Disks,
    /// Where HTTP is spoken; written when the servers start.
    pub http: RwLock<Vec<HttpListener>>,
    pub version: VersionInfo,
    /// When the server began.
    pub started: std::time::Instant,
}

impl Services {
    /// Stores the usage that has settled, so that a read that follows shows it. When
    /// that fails the read shows what was stored before; the tracker tries again.
    pub async fn store_settled_usage(&self) {
        if let Err(error) = self.quota.flush().await {
            let log = logging::for_sender(&self.log, "httpd");
            slog::warn!(log, "used quota could not be stored: {}", error);
        }
    }
}

/// Where HTTP is spoken.
pub struct HttpListener {
    /// An address, or the path of a socket.
    pub address: String,
    /// 0 for a socket.
    pub port: u16,
    pub certificate: Option<Arc<Certificate>>,
    pub serves: Serves,
}

/// What can be had there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    Web { has_api: bool, has_pages: bool },
    Telemetry,
}

/// What the handlers of one binding share.
pub struct Binding {
    pub services: Arc<Services>,
    pub tokens: TokenIssuer,
    /// The address listened on, for logs.
    pub local: String,
    pub has_api: bool,
    pub has_openapi: bool,
    /// The web pages for administrators, if this binding has them.
    pub pages: Option<Arc<Pages>>,
    /// Who may see the pages at all, before they sign in; `None` is everybody.
    pub door: Option<Arc<Door>>,
    /// What is decided about a request before a handler sees it.
    pub edge: Edge,
}

impl Binding {
    /// The binding that `request` came through.
    ///
    /// # Errors
    /// Never in an application made by [`app`](crate::web::app::app); asked so that nothing can panic.
    pub fn of(request: &HttpRequest) -> Result<Data<Self>, ApiError> {
        request
            .app_data::<Data<Self>>()
            .cloned()
            .ok_or_else(|| crate::error::Error::internal("a request without its binding").into())
    }
}
