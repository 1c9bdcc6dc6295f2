//! The newest lines of this process's log.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use slog::Level;
use utoipa::{IntoParams, ToSchema};

use crate::logging::{TailFilter, TailLine, TailPage};
use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, ViewEvents};
use crate::web::request::paging::PagingQuery;
use crate::web::request::query::switch;
use crate::web::response::ApiResponse;
use crate::web::services::{Binding, Services};

/// Which lines are wanted; text, so that a wrong one can be named in the refusal.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TailQuery {
    /// Only lines after the one with this id, the oldest of them first; absent for the
    /// newest lines.
    #[param(value_type = Option<u64>)]
    pub after: Option<String>,
    /// `debug`, `info`, `warn` or `error`: as severe as this or more.
    pub level: Option<String>,
    /// The part of the server that speaks.
    pub sender: Option<String>,
    pub username: Option<String>,
    /// Text in any value, whatever the case.
    pub q: Option<String>,
    /// 1 for failed logins and failed transfers only.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    pub failures: Option<String>,
    /// 1 leaves out the lines of HTTP requests that were answered. Those for style sheets,
    /// scripts and icons of the pages are in the log file only.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    pub hide_requests: Option<String>,
    /// The most lines to return, 1 to 500; 100 if absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<String>,
}

impl TailQuery {
    /// The filter.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn filter(&self) -> Result<TailFilter, ApiError> {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let level = match self.level.as_deref() {
            None | Some("") => None,
            Some("debug") => Some(Level::Debug),
            Some("info") => Some(Level::Info),
            Some("warn") => Some(Level::Warning),
            Some("error") => Some(Level::Error),
            Some(_) => {
                let told = "level: must be debug, info, warn or error";
                return Err(ApiError::bad_request(told));
            }
        };
        Ok(TailFilter {
            level,
            sender: some(&self.sender),
            username: some(&self.username),
            text: some(&self.q),
            only_failures: switch("failures", self.failures.as_deref())?,
            without_requests: switch("hide_requests", self.hide_requests.as_deref())?,
        })
    }
}

/// Lines of the log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogTail {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// To be sent as `after` with the next request.
    pub last_id: u64,
    /// Whether lines after `after` are not kept any more.
    pub has_gap: bool,
}

/// A line of the log with its id. The other members depend on the kind of line.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogLine {
    /// Rises from line to line.
    pub id: u64,
    /// When it was logged, Unix milliseconds; `time` is on the clock that the log file is
    /// written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_at: Option<i64>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub members: Map<String, Value>,
}

impl From<TailLine> for LogLine {
    fn from(TailLine { id, logged_at, members }: TailLine) -> Self {
        Self { id, logged_at, members }
    }
}

impl From<TailPage> for LogTail {
    fn from(page: TailPage) -> Self {
        Self {
            lines: page.lines.into_iter().map(LogLine::from).collect(),
            last_id: page.last_id,
            has_gap: page.has_gap,
        }
    }
}

impl Services {
    /// The part of the log that is asked for. Nobody who sees only the users of a role
    /// can hold the right `view_events`.
    ///
    /// # Errors
    /// 400 naming the parameter that is wrong.
    pub fn log_tail(
        &self,
        _admin: &Admin<ViewEvents>,
        query: &TailQuery,
    ) -> Result<LogTail, ApiError> {
        let filter = query.filter()?;
        let limit = PagingQuery { limit: query.limit.clone(), ..PagingQuery::default() };
        let limit = limit.page()?.limit as usize;
        let after = match query.after.as_deref() {
            None | Some("") => None,
            Some(id) => Some(
                id.parse().map_err(|_| ApiError::bad_request("after: must be the id of a line"))?,
            ),
        };
        let Some(tail) = self.log_control.as_ref().map(|control| control.tail()) else {
            return Ok(LogTail { lines: Vec::new(), last_id: 0, has_gap: false });
        };
        Ok(match after {
            Some(after) => tail.after(after, &filter, limit).into(),
            None => tail.newest_lines(&filter, limit).into(),
        })
    }
}

/// The newest lines of this process's log, at most 2,000 of them, or what was written
/// after a line. Nothing below the log's level is there.
#[utoipa::path(
    get,
    path = "/api/v2/logs/tail",
    tag = "logs",
    security(("BearerAuth" = [])),
    params(TailQuery),
    responses(
        (status = 200, description = "The lines", body = LogTail),
        (status = 400, description = "A parameter is wrong", body = ApiResponse),
        (status = 401, description = "No valid token", body = ApiResponse),
        (status = 403, description = "The permission view_events is missing", body = ApiResponse),
    )
)]
pub async fn tail(
    admin: Admin<ViewEvents>,
    binding: Data<Binding>,
    query: Query<TailQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(binding.services.log_tail(&admin, &query)?))
}
