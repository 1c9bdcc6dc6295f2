//! One server with an administrator, and a client that talks to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, RwLock};

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::Data;
use actors::{Actors, BoxError, Event, HookRunner, Ports, Supervisor, SupervisorConfig};
use actors::{ScanProgress, Usage, Verdict};
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::{Login, Passwords};
use crate::config::{DataProviderConfig, HttpdConfig, RateLimiterConfig, TrackQuota};
use crate::error::{Error, Result};
use crate::logging::{self, Captured, Logging};
use crate::metrics::Metrics;
use crate::model::timestamp::now_unix_ms;
use crate::model::{self, Folder, User};
use crate::protocol::listener::rate_limits::RateLimits;
use crate::provider::Store;
use crate::vfs::scans::{QuotaScanner, Scans};
use crate::web::app;
use crate::web::edge::Edge;
use crate::web::edge::htpasswd::Door;
use crate::web::facts::ServiceFacts;
use crate::web::listen::validity::CertificateState;
use crate::web::operations::disks::Disks;
use crate::web::operations::tasks::Tasks;
use crate::web::pages::Pages;
use crate::web::request::token::{Revocations, TokenIssuer};
use crate::web::services::{Binding, Services};
use crate::web::{
    SshBinding, SshHostCertificate, SshHostKey, SshServiceStatus, VersionInfo, WeakAlgorithm,
    Weakness,
};

/// Where the client of the stories is, unless it says otherwise.
pub const HERE: &str = "192.0.2.1:4000";

/// The first administrator, who may do everything.
pub const ROOT: &str = "root";
pub const ROOT_PASSWORD: &str = "root's own password";

/// A running server.
pub struct Server {
    pub actors: Actors,
    pub services: Arc<Services>,
    pub binding: Data<Binding>,
    pub scanner: Arc<GatedScanner>,
    log: Captured,
    logging: Logging,
    /// Where the store's file is, if it has one, and the backups.
    pub dir: tempfile::TempDir,
}

/// What can be set differently for a story.
pub struct Options {
    pub track_quota: TrackQuota,
    pub has_api: bool,
    pub has_openapi: bool,
    pub token_validation: u32,
    pub store_in_file: bool,
    /// The section; its first binding is the one that serves.
    pub httpd: HttpdConfig,
    pub rate_limiters: Vec<RateLimiterConfig>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            track_quota: TrackQuota::WithLimits,
            has_api: true,
            has_openapi: true,
            token_validation: 0,
            store_in_file: false,
            httpd: HttpdConfig::default(),
            rate_limiters: Vec::new(),
        }
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let (logging, log) = logging::capture(slog::Level::Debug);
        let mut config = DataProviderConfig::default();
        // The cheapest there is: the stories are not about hashing.
        config.password_hashing.bcrypt_options.cost = 4;
        let passwords = Passwords::new(&config).expect("a hasher");
        let policy = Arc::new(passwords.clone());
        let dir = tempfile::tempdir().expect("a directory");
        let store = match options.store_in_file {
            false => Store::in_memory(&config, policy),
            true => Store::open(&config, dir.path(), policy),
        };
        let store = store.expect("a store");
        let root = model::Admin {
            username: ROOT.to_owned(),
            password: ROOT_PASSWORD.into(),
            status: 1,
            permissions: vec![model::AdminPermission::Any],
            ..model::Admin::default()
        };
        store.add_admin(root).await.expect("the first admin");
        let ports = Ports { usage: Arc::new(store.clone()), hooks: Arc::new(NoHooks) };
        let actors = Supervisor::start(SupervisorConfig::default(), ports);
        let scanner = Arc::new(GatedScanner {
            gate: Semaphore::new(0),
            result: Mutex::new(Ok(Usage::default())),
            homes: Mutex::default(),
        });
        let scans = Scans::new(
            store.clone(),
            actors.quota.clone(),
            scanner.clone(),
            tokio::runtime::Handle::current(),
            logging.logger(),
        );
        let services = Arc::new(Services {
            login: Login::new(store.clone(), passwords, logging.logger().clone()),
            store,
            registry: actors.registry.clone(),
            throughput: actors.throughput.clone(),
            quota: actors.quota.clone(),
            supervisor: actors.supervisor.clone(),
            metrics: Arc::new(Metrics::new().expect("metrics")),
            log: logging.logger().clone(),
            log_control: Some(logging.control()),
            track_quota: options.track_quota,
            backups_path: dir.path().join("backups"),
            rate_limits: Arc::new(RateLimits::from_config(&options.rate_limiters).expect("valid")),
            facts: Arc::new(FixedFacts),
            scans,
            tasks: Tasks::new(
                tokio::runtime::Handle::current(),
                CancellationToken::new(),
                logging.logger(),
            ),
            disks: Disks::new(vec![("data_provider.backups_path", dir.path().join("backups"))]),
            http: RwLock::default(),
            version: VersionInfo {
                version: "1.2.3".to_owned(),
                build_date: "2026-01-02T03:04:05Z".to_owned(),
                commit_hash: "abcdef".to_owned(),
                features: vec!["+sqlite".to_owned(), "-s3".to_owned()],
            },
            started: std::time::Instant::now(),
        });
        let binding = binding(&services, &options);
        Self { actors, services, binding, scanner, log, logging, dir }
    }

    /// Another binding of the same server, with a key of its own.
    pub fn second_binding(&self) -> Data<Binding> {
        binding(&self.services, &Options::default())
    }

    /// Calls as [`ROOT`].
    pub async fn root(&self) -> Client {
        self.login(ROOT, ROOT_PASSWORD).await
    }

    pub async fn login(&self, username: &str, password: &str) -> Client {
        let answer = self.anonymous().basic("/api/v2/token", username, password).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let token = answer.json["access_token"].as_str().expect("a token").to_owned();
        Client { token: Some(token), ..self.anonymous() }
    }

    /// A client without a token.
    pub fn anonymous(&self) -> Client {
        Client { binding: self.binding.clone(), peer: HERE.to_owned(), token: None }
    }

    /// An administrator with these permissions, made and logged in.
    pub async fn admin_with(&self, username: &str, permissions: &[&str]) -> Client {
        let body = json!({
            "username": username, "password": "pass phrase", "status": 1, "permissions": permissions
        });
        let answer = self.root().await.post("/api/v2/admins", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        self.login(username, "pass phrase").await
    }

    /// The lines of the log so far.
    pub fn log_lines(&self) -> Vec<Value> {
        self.logging.control().flush();
        let parsed = |line: &String| serde_json::from_str(line).expect("a JSON line");
        self.log.lines().iter().map(parsed).collect()
    }

    /// The last line of this sender, as it was written.
    pub fn last_log_line(&self, sender: &str) -> String {
        self.logging.control().flush();
        let start = format!("\"sender\":\"{sender}\"");
        let lines = self.log.lines();
        let line = lines.iter().rfind(|line| line.contains(&start));
        line.unwrap_or_else(|| panic!("no line of {sender} in:\n{lines:#?}")).clone()
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Client {
    pub binding: Data<Binding>,
    pub peer: String,
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// Null if the body is no JSON.
    pub json: Value,
}

impl Answer {
    /// The `error` of an `ApiResponse`.
    pub fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or_else(|| panic!("no error in {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Fails unless it is a well-formed refusal with this status; gives its reason.
    #[track_caller]
    pub fn refused(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        let keys: Vec<&String> = self.json.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["message", "error"], "{}", self.text);
        assert!(!self.error().is_empty(), "{}", self.text);
        self.error()
    }

    /// Fails unless it is an `ApiResponse` without an error; gives its message.
    #[track_caller]
    pub fn done(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.error(), "", "{}", self.text);
        self.json["message"].as_str().expect("a message")
    }

    /// Fails unless it is an object or a list with this status; gives it.
    #[track_caller]
    pub fn object(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.json.is_object() || self.json.is_array(), "{}", self.text);
        &self.json
    }
}

impl Client {
    /// The same client at another address.
    pub fn at(&self, peer: &str) -> Self {
        Self { peer: peer.to_owned(), ..self.clone() }
    }

    /// The same client talking to another binding.
    pub fn through(&self, binding: Data<Binding>) -> Self {
        Self { binding, ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "").await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &body.to_string()).await
    }

    /// A GET with Basic credentials.
    pub async fn basic(&self, path: &str, username: &str, password: &str) -> Answer {
        use base64::Engine;
        let pair = format!("{username}:{password}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        let request =
            TestRequest::get().insert_header(("Authorization", format!("Basic {encoded}")));
        self.run(request.uri(path)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        let mut request = TestRequest::default().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.insert_header(("Authorization", format!("Bearer {token}")));
        }
        self.run(request.set_payload(body.to_owned())).await
    }

    /// The same if the object's entity tag is one of `tags`.
    pub async fn send_if(&self, method: Method, path: &str, tags: &str, body: &Value) -> Answer {
        let token = self.token.as_deref().unwrap_or_default();
        let request = TestRequest::default()
            .method(method)
            .uri(path)
            .insert_header(("Authorization", format!("Bearer {token}")))
            .insert_header(("If-Match", tags))
            .set_payload(body.to_string());
        self.run(request).await
    }

    pub async fn run(&self, request: TestRequest) -> Answer {
        let app = init_service(app::app(self.binding.clone())).await;
        let peer: SocketAddr = self.peer.parse().expect("an address");
        let response =
            actix_web::test::call_service(&app, request.peer_addr(peer).to_request()).await;
        answer(response).await
    }
}

/// Reads a response to its end.
pub async fn answer<B>(response: actix_web::dev::ServiceResponse<B>) -> Answer
where
    B: actix_web::body::MessageBody,
{
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = to_bytes(response.into_body()).await.ok().expect("a body");
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, text, json }
}

fn binding(services: &Arc<Services>, options: &Options) -> Data<Binding> {
    let revoked = Arc::<Revocations>::default();
    let pages = Pages::load(&options.httpd, services.backups_path.as_path()).expect("pages");
    let dir = services.backups_path.as_path();
    let door = Door::from_config("httpd.auth_user_file", dir, &options.httpd.auth_user_file);
    Data::new(Binding {
        services: services.clone(),
        tokens: TokenIssuer::new("", 1200, options.token_validation, revoked).expect("a key"),
        local: "127.0.0.1:8080".to_owned(),
        has_api: options.has_api,
        has_openapi: options.has_openapi,
        pages: pages.map(Arc::new),
        door: door.expect("a file of users"),
        edge: Edge::from_config(&options.httpd, &options.httpd.bindings[0]).expect("valid"),
    })
}

/// No hook is configured.
struct NoHooks;

#[async_trait]
impl HookRunner for NoHooks {
    async fn notify(&self, _: &Event) -> Result<(), BoxError> {
        Ok(())
    }

    async fn decide(&self, _: &Event) -> Result<Verdict, BoxError> {
        Ok(Verdict::Allow)
    }
}

/// What the SSH server would say.
struct FixedFacts;

impl ServiceFacts for FixedFacts {
    fn ssh(&self) -> SshServiceStatus {
        SshServiceStatus {
            is_active: true,
            bindings: vec![SshBinding {
                address: "127.0.0.1".to_owned(),
                port: 2022,
                apply_proxy_config: true,
                reads_proxy_header: false,
            }],
            host_keys: vec![
                SshHostKey {
                    path: "id_ed25519".to_owned(),
                    fingerprint: "SHA256:abc".to_owned(),
                    algorithms: vec!["ssh-ed25519".to_owned()],
                    ..SshHostKey::default()
                },
                SshHostKey {
                    path: "id_rsa".to_owned(),
                    fingerprint: "SHA256:def".to_owned(),
                    algorithms: vec!["rsa-sha2-512".to_owned()],
                    rsa_bits: Some(2_048),
                    modified_at: Some(1_000),
                    weakness: Some(Weakness { grade: "weak", reason: "it is short" }),
                },
            ],
            host_certificates: vec![SshHostCertificate {
                path: "id_ed25519-cert.pub".to_owned(),
                key_id: "host".to_owned(),
                principals: vec!["files.example.com".to_owned()],
                fingerprint: "SHA256:abc".to_owned(),
                valid_from: 0,
                valid_until: Some(now_unix_ms() + 60_000),
                state: CertificateState::ExpiresVerySoon,
            }],
            macs: vec!["hmac-sha1".to_owned()],
            ciphers: vec!["aes128-ctr".to_owned()],
            weak_algorithms: vec![WeakAlgorithm {
                purpose: "mac",
                name: "hmac-sha1".to_owned(),
                weakness: Weakness { grade: "broken", reason: "it relies on SHA-1" },
            }],
            ssh_commands: vec!["md5sum".to_owned()],
            ..SshServiceStatus::default()
        }
    }
}

/// A scanner that waits until the story lets it go on.
pub struct GatedScanner {
    gate: Semaphore,
    result: Mutex<Result<Usage>>,
    homes: Mutex<Vec<String>>,
}

impl GatedScanner {
    /// Lets one scan end with what was counted.
    pub fn count(&self, files: u64, size: u64) {
        let usage = Usage { size, files, ..Usage::default() };
        *self.result.lock().expect("lock") = Ok(usage);
        self.gate.add_permits(1);
    }

    /// Lets one scan fail.
    pub fn fail(&self) {
        *self.result.lock().expect("lock") = Err(Error::internal("the disk is gone"));
        self.gate.add_permits(1);
    }

    /// Where users were looked for, one for each scan.
    pub fn homes(&self) -> Vec<String> {
        self.homes.lock().expect("lock").clone()
    }

    async fn scan(&self) -> Result<Usage> {
        self.gate.acquire().await.expect("open").forget();
        std::mem::replace(&mut *self.result.lock().expect("lock"), Ok(Usage::default()))
    }
}

#[async_trait]
impl QuotaScanner for GatedScanner {
    async fn scan_user(&self, user: &User, progress: &ScanProgress) -> Result<Usage> {
        progress.counted(3, 4000);
        self.homes.lock().expect("lock").push(user.home_dir.clone());
        self.scan().await
    }

    async fn scan_folder(&self, _: &Folder, progress: &ScanProgress) -> Result<Usage> {
        progress.counted(3, 4000);
        self.scan().await
    }
}

/// Waits until `condition` holds; a story that waits in vain fails.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("did not happen: {what}");
}
