//! The permission tester: gates of the login, checks of the operation, room; in the
//! order in which a session would ask them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actors::{AccountId, Direction, TransferLimits};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::{Gate, LoginContext};
use crate::config::TrackQuota;
use crate::error::{Error, ErrorKind};
use crate::model::{LoginMethod, LoginProtocol, User};
use crate::paths::VirtualPath;
use crate::vfs::{Asked, Explainer, QuotaRule};
use crate::web::error::ApiError;
use crate::web::pages::{amount, text};
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// What is asked.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PermissionQuery {
    /// `list`, `stat`, `download`, `upload` (a new file), `overwrite`, `create_dir`,
    /// `delete_file`, `delete_dir`, `rename_file`, `rename_dir`, `rename_symlink`,
    /// `replace`, `copy`, `create_symlink`, `chmod`, `chown`, `chtimes`, `truncate` or
    /// `space`.
    #[param(required)]
    pub operation: Option<String>,
    /// The path as the client names it, from the root.
    #[param(required)]
    pub path: Option<String>,
    /// The second path, which a rename, a copy and a link need.
    pub target: Option<String>,
    /// The client's address; the filters on addresses are left out without it.
    pub ip: Option<String>,
    /// `SSH` (default), `FTP`, `DAV` or `HTTP`.
    pub protocol: Option<String>,
    /// How the client logs in: `password` (default), `publickey`, …
    pub method: Option<String>,
}

/// Whether the user may, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PermissionTest {
    pub allowed: bool,
    /// The step that denies; absent if it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why; absent if it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Whether the client is told that there is no such file.
    pub looks_absent: bool,
    /// In the order in which they are asked.
    pub steps: Vec<TestStep>,
    /// Where the path is stored.
    pub stored_at: StoredPath,
    /// Every operation on the path, as if the login had succeeded; those that need a second
    /// path only if there is one.
    pub operations: Vec<TestedOperation>,
}

/// One step of the test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TestStep {
    /// `login` or `operation`.
    pub stage: &'static str,
    pub step: String,
    pub outcome: StepOutcome,
    /// The rule it goes by, or why it denies.
    pub detail: String,
}

/// What a step said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    Passed,
    Denied,
    /// An earlier step denied.
    NotReached,
    /// The question does not say enough.
    NotAsked,
}

/// Where a path is stored.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StoredPath {
    /// The place of the virtual folder that holds it; `/` for the home.
    pub mount: String,
    pub file_path: String,
    /// `user "ann"` or `folder "shared"`, whose quota counts it; empty if nobody's does.
    pub quota_of: String,
}

/// One line of the table of operations.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TestedOperation {
    pub operation: &'static str,
    pub allowed: bool,
    /// Empty if it is allowed.
    pub decided_by: &'static str,
    /// Empty if it is allowed.
    pub because: String,
}

/// The question, understood.
struct Question {
    asked: Asked,
    path: VirtualPath,
    target: Option<VirtualPath>,
    ip: Option<IpAddr>,
    login: LoginContext,
}

impl PermissionQuery {
    fn parsed(&self) -> Result<Question, ApiError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let operation = given(&self.operation).unwrap_or_default();
        let asked = Asked::from_name(&operation)
            .ok_or_else(|| ApiError::bad_request("operation: is not one of the known ones"))?;
        let path = |name: &str, text: String| match text.starts_with('/') {
            true => Ok(VirtualPath::new(text)),
            false => Err(ApiError::bad_request(format!("{name}: must begin with a slash"))),
        };
        let ip = match given(&self.ip) {
            None => None,
            Some(ip) => {
                let told = || ApiError::bad_request("ip: must be an address");
                Some(ip.parse().map_err(|_| told())?)
            }
        };
        let target = match given(&self.target) {
            None if asked.has_target() => {
                let told = format!("target: {operation} needs a second path");
                return Err(ApiError::bad_request(told));
            }
            None => None,
            Some(target) => Some(path("target", target)?),
        };
        Ok(Question {
            asked,
            path: path("path", given(&self.path).unwrap_or_default())?,
            target,
            ip,
            login: LoginContext {
                ip: ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                protocol: named("protocol", given(&self.protocol), LoginProtocol::Ssh)?,
                method: named("method", given(&self.method), LoginMethod::Password)?,
            },
        })
    }
}

/// The value with this wire name, or the default for none.
fn named<T: DeserializeOwned>(
    parameter: &str,
    name: Option<String>,
    default: T,
) -> Result<T, ApiError> {
    let Some(name) = name else { return Ok(default) };
    serde_json::from_value(serde_json::Value::String(name))
        .map_err(|_| ApiError::bad_request(format!("{parameter}: is not one of the known ones")))
}

/// Collects steps; after a denial the others are not reached.
#[derive(Default)]
struct Trace {
    steps: Vec<TestStep>,
    denied: Option<(String, String)>,
}

impl Trace {
    fn step(&mut self, stage: &'static str, step: &str, rule: String, denied: Option<String>) {
        let (outcome, detail) = match (&self.denied, denied) {
            (Some(_), _) => (StepOutcome::NotReached, rule),
            (None, None) => (StepOutcome::Passed, rule),
            (None, Some(because)) => {
                self.denied = Some((step.to_owned(), because.clone()));
                let rule = if rule.is_empty() { rule } else { format!(" ({rule})") };
                (StepOutcome::Denied, format!("{because}{rule}"))
            }
        };
        self.steps.push(TestStep { stage, step: step.to_owned(), outcome, detail });
    }

    fn not_asked(&mut self, stage: &'static str, step: &str, why: &str) {
        let outcome = match self.denied {
            Some(_) => StepOutcome::NotReached,
            None => StepOutcome::NotAsked,
        };
        self.steps.push(TestStep { stage, step: step.to_owned(), outcome, detail: why.to_owned() });
    }
}

impl Services {
    /// Answers for a user that `admin` may see.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong; 404 for a user that is not there or not
    /// to be seen.
    pub async fn permission_test<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
        query: &PermissionQuery,
    ) -> Result<PermissionTest, ApiError> {
        self.store_settled_usage().await;
        let user = Arc::new(self.users_of(admin).effective(username).await?);
        let Question { asked, path, target, ip, login } = query.parsed()?;
        let explainer = Explainer::of(user.clone(), self.track_quota)?;
        let target = target.as_ref().filter(|_| asked.has_target());

        let mut trace = Trace::default();
        for (gate, refusal) in self.login.gates(&user, &login) {
            if gate == Gate::Address && ip.is_none() {
                trace.not_asked("login", gate.as_str(), "no address was given");
                continue;
            }
            let denied = refusal.map(|refusal| refusal.to_string());
            trace.step("login", gate.as_str(), String::new(), denied);
        }
        let (rule, denied) = self.sessions_left(&user).await;
        trace.step("login", "max_sessions", rule, denied);
        let mut looks_absent = false;
        for finding in explainer.findings(asked, &path, target) {
            let reached = trace.denied.is_none();
            looks_absent |=
                reached && finding.denied.as_ref().is_some_and(|denied| denied.looks_absent);
            let denied = finding.denied.map(|denied| denied.because);
            trace.step("operation", finding.check.as_str(), finding.rule, denied);
        }
        let stored_at = explainer.stored_at(&path);
        if asked.stores() {
            let place = match (asked, target) {
                (Asked::Copy, Some(target)) => explainer.stored_at(target),
                _ => stored_at.clone(),
            };
            let is_new = asked != Asked::Overwrite;
            let (rule, denied) = self.room_left(&user, place.quota.as_ref(), is_new).await?;
            trace.step("operation", "quota", rule, denied);
        }
        if let Some(direction) = asked.direction() {
            let (rule, denied) = self.transfer_left(&user, login.ip, direction).await?;
            trace.step("operation", "data_transfer", rule, denied);
        }
        let complete = Asked::ALL.iter().filter(|asked| target.is_some() || !asked.has_target());
        let operations = complete.map(|asked| {
            let denied = explainer.denied(*asked, &path, target);
            let (decided_by, because) = denied
                .map_or(("", String::new()), |(check, denied)| (check.as_str(), denied.because));
            let allowed = decided_by.is_empty();
            TestedOperation { operation: asked.as_str(), allowed, decided_by, because }
        });
        let (decided_by, because) = trace.denied.unzip();
        Ok(PermissionTest {
            allowed: decided_by.is_none(),
            decided_by,
            because,
            looks_absent,
            steps: trace.steps,
            operations: operations.collect(),
            stored_at: StoredPath {
                quota_of: stored_at.quota.as_ref().map_or_else(String::new, owner),
                mount: stored_at.mount,
                file_path: stored_at.file_path,
            },
        })
    }

    /// How many sessions the account has of those it may have.
    async fn sessions_left(&self, user: &User) -> (String, Option<String>) {
        let most = usize::try_from(user.max_sessions).unwrap_or(0);
        if most == 0 {
            return ("no limit".to_owned(), None);
        }
        let open = self.registry.user_sessions(&user.username).await;
        let denied = (open >= most).then(|| "too many open sessions".to_owned());
        (format!("{open} of {most} are open"), denied)
    }

    /// Whether another byte may be transferred.
    async fn transfer_left(
        &self,
        user: &User,
        ip: IpAddr,
        direction: Direction,
    ) -> Result<(String, Option<String>), ApiError> {
        let limits = user.transfer_limits_from(ip);
        if limits == TransferLimits::default() || self.track_quota == TrackQuota::Off {
            return Ok(("no limit".to_owned(), None));
        }
        let account = AccountId::user(user.username.as_str());
        let allowance = self.quota.allowance(account, limits).await.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "check the data transfer limit", error)
        })?;
        let denied = allowance
            .is_used_up(direction)
            .then(|| "the limit on transferred data is reached".to_owned());
        let moved = |bytes: i64| text::bytes(u64::try_from(bytes).unwrap_or(0));
        let rule = format!(
            "{} uploaded and {} downloaded",
            moved(user.used_upload_data_transfer),
            moved(user.used_download_data_transfer)
        );
        Ok((rule, denied))
    }

    /// Whether another byte, and another file, may be stored by what is counted now.
    async fn room_left(
        &self,
        user: &User,
        quota: Option<&QuotaRule>,
        is_new_file: bool,
    ) -> Result<(String, Option<String>), ApiError> {
        let Some(quota) = quota else { return Ok(("nobody counts".to_owned(), None)) };
        let (size, files) = if quota.is_folder {
            let folder = self.store.folder(&quota.owner).await?;
            folder.map_or((0, 0), |folder| (folder.used_quota_size, folder.used_quota_files))
        } else {
            (user.used_quota_size, user.used_quota_files)
        };
        let is_full = |used: i64, most: Option<u64>| {
            most.is_some_and(|most| u64::try_from(used).unwrap_or(0) >= most)
        };
        let at_least_0 = |used: i64| u64::try_from(used).unwrap_or(0);
        let sizes = match quota.max_bytes {
            None => format!("{} without a limit", text::bytes(at_least_0(size))),
            Some(most) => {
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                let (used, most) = amount::used_and_limit(size, most);
                format!("{used} of {most}")
            }
        };
        let counts = match quota.max_files {
            None => format!("{} files without a limit", text::count(at_least_0(files))),
            Some(most) => {
                format!("{} of {} files", text::count(at_least_0(files)), text::count(most))
            }
        };
        let rule = format!("{} stores {sizes} and {counts}", owner(quota));
        let denied =
            is_full(size, quota.max_bytes) || (is_new_file && is_full(files, quota.max_files));
        Ok((rule, denied.then(|| "the quota is used up".to_owned())))
    }
}

fn owner(quota: &QuotaRule) -> String {
    let kind = if quota.is_folder { "folder" } else { "user" };
    format!("{kind} \"{}\"", quota.owner)
}
