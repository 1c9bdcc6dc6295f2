//! What goes on right now, for whoever may see it, and ending it. The REST calls and
//! the pages that show or stop sessions both come here.

use actors::{KillOutcome, KillReason, SessionReport, ThroughputReport, TransferReport};
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::error::ApiError;
use crate::web::operations::reason::Reason;
use crate::web::operations::scope::VisibleNames;
use crate::web::request::auth::{Admin, Right};
use crate::web::services::Services;

/// All sessions of one moment and how fast they move bytes.
#[derive(Debug, Clone, Serialize)]
pub struct LiveSnapshot {
    /// Unix milliseconds.
    pub at: u64,
    /// Bytes per second of everybody, mean of the last ten seconds; that includes
    /// transfers that have ended in this time.
    pub upload_rate: u64,
    /// The same for downloads.
    pub download_rate: u64,
    /// Oldest connection first, each transfer with its `recent_rates`.
    pub sessions: Vec<ConnectionStatus>,
}

/// A session of a logged-in user.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConnectionStatus {
    pub username: String,
    pub connection_id: String,
    /// What the client calls itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_version: String,
    /// `address:port` of the client.
    pub remote_address: String,
    /// Unix milliseconds.
    pub connection_time: u64,
    /// The last command.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Unix milliseconds.
    pub last_activity: u64,
    /// `SFTP`, `SCP`, `SSH`, `FTP`, `DAV` or `HTTP`.
    pub protocol: String,
    pub active_transfers: Vec<TransferStatus>,
}

/// A transfer that is going on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Transfer)]
pub struct TransferStatus {
    /// `upload` or `download`.
    pub operation_type: &'static str,
    /// The path that the client named.
    pub path: String,
    /// Unix milliseconds.
    pub start_time: u64,
    /// Bytes moved so far.
    pub size: u64,
    /// Distinguishes the transfers of one connection.
    pub number: u64,
    /// Bytes per second, mean of the last ten seconds.
    pub rate: u64,
    /// Bytes of the whole file, if known; a resumed transfer moves fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_size: Option<u64>,
    /// Seconds until the end at the current rate, if that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secs_left: Option<u64>,
    /// Unix milliseconds.
    pub last_activity: u64,
    /// Bytes per second in each of the last seconds, at most 60, oldest first. Only if
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_rates: Option<Vec<u64>>,
}

impl From<TransferReport> for TransferStatus {
    fn from(transfer: TransferReport) -> Self {
        Self {
            operation_type: transfer.direction.as_str(),
            start_time: transfer.started_unix_ms,
            size: transfer.bytes,
            number: transfer.number,
            rate: transfer.rate,
            total_size: transfer.expected_bytes,
            secs_left: transfer.secs_left(),
            last_activity: transfer.last_activity_unix_ms,
            recent_rates: Some(transfer.recent_rates),
            path: transfer.virtual_path,
        }
    }
}

impl From<SessionReport> for ConnectionStatus {
    fn from(session: SessionReport) -> Self {
        Self {
            username: session.username.to_string(),
            connection_id: session.session_id.to_string(),
            client_version: session.client_version.to_string(),
            remote_address: session.peer.to_string(),
            connection_time: session.connected_unix_ms,
            command: session.command.to_string(),
            last_activity: session.last_activity_unix_ms,
            protocol: session.protocol.as_str().to_owned(),
            active_transfers: session.transfers.into_iter().map(TransferStatus::from).collect(),
        }
    }
}

/// Throughput of the whole server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Throughput {
    /// Bytes per second, mean of the last ten seconds.
    pub upload_rate: u64,
    /// Bytes per second, mean of the last ten seconds.
    pub download_rate: u64,
    /// Bytes since the server started.
    pub uploaded: u64,
    /// Bytes since the server started.
    pub downloaded: u64,
    /// One point per second, oldest first.
    pub last_minute: Vec<FlowRate>,
    /// One point per five seconds, oldest first.
    pub last_hour: Vec<ThroughputPoint>,
}

/// Bytes per second.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct FlowRate {
    pub upload: u64,
    pub download: u64,
}

/// Bytes per second, and until when.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ThroughputPoint {
    /// When the point ends; Unix milliseconds.
    pub until: u64,
    pub upload: u64,
    pub download: u64,
}

impl From<ThroughputReport> for Throughput {
    fn from(report: ThroughputReport) -> Self {
        Self {
            upload_rate: report.current.upload,
            download_rate: report.current.download,
            uploaded: report.total.upload,
            downloaded: report.total.download,
            last_minute: report
                .last_minute
                .into_iter()
                .map(|rate| FlowRate { upload: rate.upload, download: rate.download })
                .collect(),
            last_hour: report
                .last_hour
                .into_iter()
                .map(|point| ThroughputPoint {
                    until: point.until_unix_ms,
                    upload: point.rate.upload,
                    download: point.rate.download,
                })
                .collect(),
        }
    }
}

/// What became of one object of a bulk request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BulkResult {
    /// The name or id that was given.
    pub name: String,
    /// The HTTP status that a request for this object alone would have had.
    pub status: u16,
    /// Why it was not done; empty if it was.
    pub error: String,
}

impl BulkResult {
    pub fn is_ok(&self) -> bool {
        self.error.is_empty()
    }

    pub fn of<T>(name: String, outcome: Result<T, ApiError>) -> Self {
        match outcome {
            Ok(_) => Self { name, status: 200, error: String::new() },
            Err(error) => {
                Self { status: error.status().as_u16(), error: error.told().to_owned(), name }
            }
        }
    }
}

impl LiveSnapshot {
    /// The sessions of the users that are visible.
    pub fn seen_by<'a>(
        &'a self,
        visible: &'a VisibleNames,
    ) -> impl Iterator<Item = &'a ConnectionStatus> {
        self.sessions.iter().filter(|session| visible.contains(&session.username))
    }
}

impl Services {
    /// The sessions of the users that are visible, oldest connection first.
    pub async fn sessions(&self, visible: &VisibleNames) -> Vec<ConnectionStatus> {
        let sessions = self.registry.list().await.into_iter();
        let seen = sessions.filter(|session| visible.contains(&session.username));
        seen.map(ConnectionStatus::from).collect()
    }

    /// Everything a live view shows, of everybody. It changes with each of
    /// `throughput.samples()`.
    pub async fn live_snapshot_of_all(&self) -> LiveSnapshot {
        let sessions = self.registry.list().await.into_iter().map(ConnectionStatus::from).collect();
        let current = self.throughput.current();
        let at = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0);
        LiveSnapshot { at, upload_rate: current.upload, download_rate: current.download, sessions }
    }

    /// The throughput of the whole server.
    ///
    /// # Errors
    /// 403 for an administrator with a role: it is the traffic of all users.
    pub fn throughput_seen_by<R: Right>(&self, admin: &Admin<R>) -> Result<Throughput, ApiError> {
        admin.require_no_role()?;
        Ok(self.throughput.report().into())
    }

    /// Closes the connection of a session.
    ///
    /// # Errors
    /// 404 if there is no such session any more, or its user is of another role.
    pub async fn close_connection<R: Right>(
        &self,
        admin: &Admin<R>,
        id: &str,
        reason: &Reason,
    ) -> Result<(), ApiError> {
        let results = self.close_connections(admin, vec![id.to_owned()], reason).await?;
        match results.into_iter().all(|result| result.status == 200) {
            true => Ok(()),
            false => Err(no_such_connection(id)),
        }
    }

    /// Closes the connections of several sessions, and tells what became of each.
    pub async fn close_connections<R: Right>(
        &self,
        admin: &Admin<R>,
        ids: Vec<String>,
        reason: &Reason,
    ) -> Result<Vec<BulkResult>, ApiError> {
        let reason = kill_reason(admin, reason);
        let visible = self.users_of(admin).names().await?;
        // Only what the list shows: a connection that nobody has logged in on yet
        // belongs to no role.
        let listed = match visible.are_all() {
            true => None,
            false => Some(self.sessions(&visible).await),
        };
        let mut results = Vec::with_capacity(ids.len());
        for id in ids {
            let may = listed
                .as_ref()
                .is_none_or(|sessions| sessions.iter().any(|seen| seen.connection_id == id));
            let outcome = match may {
                true => self.registry.kill(&id, reason.clone()).await,
                false => KillOutcome::NotFound,
            };
            let outcome = match outcome {
                KillOutcome::Killed => Ok(()),
                KillOutcome::NotFound => Err(no_such_connection(&id)),
            };
            results.push(BulkResult::of(id, outcome));
        }
        Ok(results)
    }

    /// Closes all connections of a user; how many.
    ///
    /// # Errors
    /// 404 if there is no such user, or it is of another role.
    pub async fn close_connections_of_user<R: Right>(
        &self,
        admin: &Admin<R>,
        username: &str,
        reason: &Reason,
    ) -> Result<usize, ApiError> {
        let user = self.users_of(admin).get(username).await?;
        Ok(self.registry.kill_user(&user.username, kill_reason(admin, reason)).await)
    }
}

fn kill_reason<R: Right>(admin: &Admin<R>, reason: &Reason) -> KillReason {
    KillReason::Admin { by: admin.username().to_owned(), because: reason.text() }
}

fn no_such_connection(id: &str) -> ApiError {
    ApiError::not_found(format!("connection \"{id}\" does not exist"))
}

/// Bytes per second that these sessions upload and download.
pub fn rates_of(sessions: &[&ConnectionStatus]) -> (u64, u64) {
    let transfers = sessions.iter().flat_map(|session| &session.active_transfers);
    transfers.fold((0, 0), |(upload, download), transfer| match transfer.operation_type {
        "upload" => (upload.saturating_add(transfer.rate), download),
        _ => (upload, download.saturating_add(transfer.rate)),
    })
}
