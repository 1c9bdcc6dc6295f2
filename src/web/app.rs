//! One binding's application: what its handlers share, and how requests reach them.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{App, HttpRequest};
use actors::{AccountId, KillReason, Quota, Registry, Supervisor, Throughput};
use slog::Logger;

use crate::auth::Login;
use crate::config::TrackQuota;
use crate::error;
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::model::User;
use crate::protocol::listener::rate_limits::RateLimits;
use crate::provider::Store;
use crate::vfs::scans::Scans;
use crate::web::api::status::SshServiceStatus;
use crate::web::api::version::VersionInfo;
use crate::web::auth::{Admin, Right};
use crate::web::disks::Disks;
use crate::web::edge::Edge;
use crate::web::error::ApiError;
use crate::web::htpasswd::{self, Door};
use crate::web::pages::Pages;
use crate::web::tasks::Tasks;
use crate::web::tls::Certificate;
use crate::web::token::TokenIssuer;
use crate::web::{admin, cors, health, observe, openapi, rate_limit, routes, security};

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
            slog::warn!(self.log, "used quota could not be stored: {}", error);
        }
    }

    /// Deletes a user that `admin` may see and closes its sessions.
    ///
    /// # Errors
    /// 404 if there is no such user, or it is of another role.
    pub async fn delete_user<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
    ) -> Result<(), ApiError> {
        self.delete_user_if(admin, username, |_| Ok(())).await
    }

    /// The same, if `permit` agrees to what is stored.
    pub async fn delete_user_if<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
        permit: impl Fn(&User) -> error::Result<()> + Send + 'static,
    ) -> Result<(), ApiError> {
        let users = self.users_of(admin);
        let user = users.get(username).await?;
        users.delete_if(&user.username, permit).await?;
        self.registry.kill_user(&user.username, KillReason::AccountDeleted).await;
        self.quota.forget(AccountId::user(user.username)).await;
        Ok(())
    }

    /// What a changed user means for its sessions: they end if it may not be connected
    /// any more, or if `disconnect` asks for it; else they end when it now says so.
    pub async fn follow_change(&self, user: &User, disconnect: bool) {
        // What its groups say counts too; if that cannot be read now, the account alone.
        let effective = self.store.effective_user(&user.username).await;
        let effective = effective.ok().flatten().map(|effective| effective.user);
        match self.login.standing(effective.as_ref().unwrap_or(user)) {
            Err(reason) => {
                self.registry.kill_user(&user.username, reason).await;
            }
            Ok(_) if disconnect => {
                self.registry.kill_user(&user.username, KillReason::AccountChanged).await;
            }
            Ok(end) => self.registry.set_end(&user.username, end).await,
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

/// What the other servers say of themselves for `/status`.
pub trait ServiceFacts: Send + Sync {
    fn ssh(&self) -> SshServiceStatus;
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
    /// Never in an application made by [`app`]; asked so that nothing can panic.
    pub fn of(request: &HttpRequest) -> Result<Data<Self>, ApiError> {
        request
            .app_data::<Data<Self>>()
            .cloned()
            .ok_or_else(|| crate::error::Error::internal("a request without its binding").into())
    }
}

/// The application of one binding.
pub fn app(
    binding: Data<Binding>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let configured = binding.clone();
    App::new()
        .app_data(binding)
        .app_data(QueryConfig::default().error_handler(|error, _| wrong_request(&error)))
        .app_data(PathConfig::default().error_handler(|error, _| wrong_request(&error)))
        .wrap(from_fn(htpasswd::httpd))
        // Before any password is looked at; behind what answers other origins, so that they
        // can read the refusal and asking for permission costs nothing.
        .wrap(from_fn(rate_limit::httpd))
        .wrap(from_fn(cors::httpd))
        .wrap(from_fn(security::httpd))
        .wrap(from_fn(observe::httpd))
        .configure(move |config| configure(config, &configured))
        .default_service(web::to(routes::not_found))
}

/// What cannot even be taken apart is refused in the same form as everything else.
fn wrong_request(error: &dyn std::error::Error) -> actix_web::Error {
    ApiError::bad_request(error.to_string()).into()
}

fn configure(config: &mut ServiceConfig, binding: &Binding) {
    config.service(
        web::resource(health::PATH)
            .route(web::get().to(health::httpd))
            .route(web::head().to(health::httpd))
            .default_service(web::to(routes::only_get)),
    );
    if binding.has_api {
        routes::configure(config);
    }
    if binding.has_api && binding.has_openapi {
        openapi::configure(config, &binding.edge);
    }
    if binding.pages.is_some() {
        admin::configure(config, &binding.edge);
    }
}
