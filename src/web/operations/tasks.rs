//! Long work that goes on when nobody looks: who has asked for it, how far it is and what
//! came of it.
//!
//! A task lives in this process. When the server stops, it stops between two objects, and
//! the log says how far it was; what it has changed until then stays.

mod record;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use serde::Serialize;
use slog::Logger;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::logging;
use crate::model::timestamp::now_unix_ms;
use crate::web::error::ApiError;
use crate::web::operations::live::BulkResult;
use crate::web::request::auth::{Admin, Right};

pub use record::Progress;
use record::Record;

/// How many run at a time; who wants more is asked to wait.
const MOST_RUNNING: usize = 4;
/// How many that have ended are remembered, and for how long.
const MOST_ENDED: usize = 100;
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    BulkUsers,
    AddUsers,
    Restore,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Running,
    /// It came to its end, whatever became of each object.
    Done,
    /// Somebody has stopped it, or the server has.
    Cancelled,
    /// It could not go on; `message` says why.
    Failed,
}

/// A task of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Task {
    pub id: String,
    pub kind: TaskKind,
    /// What is done, in words.
    pub title: String,
    /// The administrator who has asked for it.
    pub started_by: String,
    /// Unix milliseconds.
    pub started_at: i64,
    /// Unix milliseconds; 0 while it runs.
    pub ended_at: i64,
    pub status: TaskStatus,
    /// How many objects it is about; 0 while that is not known.
    pub total: u64,
    /// How many of them are through, those that failed among them.
    pub processed: u64,
    pub failed: u64,
    /// What became of those that failed; the first 1000.
    pub failures: Vec<BulkResult>,
    /// What came of it, or why it failed; empty while it runs.
    pub message: String,
}

/// How work ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Done(String),
    /// Only once [`Progress::is_stopped`] says so.
    Cancelled,
    Failed(String),
}

/// All tasks of this server. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    background: tokio::runtime::Handle,
    stop: CancellationToken,
    log: Logger,
    /// Newest first.
    records: Arc<Mutex<VecDeque<Arc<Record>>>>,
}

impl Tasks {
    /// They run in `background` until `stop`.
    pub fn new(background: tokio::runtime::Handle, stop: CancellationToken, log: &Logger) -> Self {
        Self { background, stop, log: logging::for_sender(log, "task"), records: Arc::default() }
    }

    /// Starts what `work` makes and returns its name.
    ///
    /// # Errors
    /// 429 while too many run.
    pub fn start<F>(
        &self,
        kind: TaskKind,
        title: String,
        by: &str,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<String, ApiError>
    where
        F: Future<Output = End> + Send + 'static,
    {
        let record = Arc::new(Record::new(kind, title, by, self.stop.child_token()));
        {
            let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            forget_old(&mut records, now_unix_ms());
            if records.iter().filter(|record| record.is_running()).count() >= MOST_RUNNING {
                let told = format!("{MOST_RUNNING} tasks are running, wait until one has ended");
                return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, told));
            }
            records.push_front(record.clone());
        }
        slog::info!(self.log, "task {} of admin \"{}\" begins: {}", record.id, by, record.title);
        let work = self.background.spawn(work(Progress::of(record.clone())));
        let (id, log) = (record.id.clone(), self.log.clone());
        self.background.spawn(async move {
            let end = work.await.unwrap_or_else(|error| {
                slog::error!(log, "task {} broke off: {}", record.id, error);
                End::Failed("a mistake of the server; its log says more".to_owned())
            });
            record.end(end);
            let Task { id, status, processed, total, failed, message, .. } = record.show();
            slog::info!(
                log,
                "task {id} has ended, {status:?}: {processed} of {total}, {failed} failed. {message}"
            );
        });
        Ok(id)
    }

    /// Waits until the task has ended, at most for `patience`.
    pub async fn wait(&self, id: &str, patience: Duration) {
        if let Some(record) = self.record(id) {
            // Whether it has ended shows when it is looked at.
            let _ = tokio::time::timeout(patience, record.ended()).await;
        }
    }

    /// Those that `admin` may see, newest first: the own ones, and all for who may do
    /// everything.
    pub fn list<R: Right>(&self, admin: &Admin<R>) -> Vec<Task> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut records, now_unix_ms());
        records.iter().filter(|record| may_see(admin, record)).map(|record| record.show()).collect()
    }

    /// How many of them run.
    pub fn running<R: Right>(&self, admin: &Admin<R>) -> usize {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().filter(|record| record.is_running() && may_see(admin, record)).count()
    }

    /// One of them.
    ///
    /// # Errors
    /// 404 if there is none of this name, or it is not for `admin`.
    pub fn get<R: Right>(&self, admin: &Admin<R>, id: &str) -> Result<Task, ApiError> {
        Ok(self.visible(admin, id)?.show())
    }

    /// Asks a task to stop.
    ///
    /// # Errors
    /// As [`Tasks::get`]; 409 if it has ended.
    pub fn cancel<R: Right>(&self, admin: &Admin<R>, id: &str) -> Result<(), ApiError> {
        let record = self.visible(admin, id)?;
        if !record.is_running() {
            let told = format!("task \"{id}\" has ended");
            return Err(ApiError::new(StatusCode::CONFLICT, told));
        }
        slog::info!(self.log, "admin \"{}\" stops task {}", admin.username(), id);
        record.stop();
        Ok(())
    }

    fn visible<R: Right>(&self, admin: &Admin<R>, id: &str) -> Result<Arc<Record>, ApiError> {
        let record = self.record(id).filter(|record| may_see(admin, record));
        record.ok_or_else(|| ApiError::not_found(format!("task \"{id}\" does not exist")))
    }

    fn record(&self, id: &str) -> Option<Arc<Record>> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut records, now_unix_ms());
        records.iter().find(|record| record.id == id).cloned()
    }
}

fn may_see<R: Right>(admin: &Admin<R>, record: &Record) -> bool {
    record.by == admin.username() || admin.may_everything()
}

fn forget_old(records: &mut VecDeque<Arc<Record>>, now: i64) {
    let oldest = now - i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
    let mut ended = 0;
    records.retain(|record| {
        let Some(ended_at) = record.ended_at() else { return true };
        ended += 1;
        ended <= MOST_ENDED && ended_at >= oldest
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ended_at: Option<i64>) -> Arc<Record> {
        let stop = CancellationToken::new();
        let record = Record::new(TaskKind::BulkUsers, String::new(), "root", stop);
        if let Some(ended_at) = ended_at {
            record.end_at(ended_at, End::Done(String::new()));
        }
        Arc::new(record)
    }

    #[test]
    fn what_runs_is_never_forgotten_and_of_the_rest_what_is_old_or_too_much() {
        let now = 1_000_000_000_000;
        let day = 24 * 60 * 60 * 1000;
        let mut records: VecDeque<_> =
            [Some(now), None, Some(now - day), Some(now - day - 1), None]
                .into_iter()
                .map(record)
                .collect();
        forget_old(&mut records, now);
        let left: Vec<_> = records.iter().map(|record| record.ended_at()).collect();
        assert_eq!(left, [Some(now), None, Some(now - day), None]);

        let mut many: VecDeque<_> = (0..MOST_ENDED + 5).map(|_| record(Some(now))).collect();
        many.push_back(record(None));
        forget_old(&mut many, now);
        assert_eq!(many.len(), MOST_ENDED + 1);
        assert!(many.back().is_some_and(|record| record.is_running()));
    }

    #[test]
    fn failures_are_counted_beyond_those_that_are_kept() {
        let record = record(None);
        let progress = Progress::of(record.clone());
        progress.expect(1200);
        for number in 0..1100 {
            let error = ApiError::not_found("is gone");
            progress.note(BulkResult::of::<()>(number.to_string(), Err(error)));
        }
        progress.note(BulkResult::of("fine".to_owned(), Ok(())));
        let task = record.show();
        assert_eq!((task.total, task.processed, task.failed), (1200, 1101, 1100));
        assert_eq!((task.failures.len(), task.failures[0].status), (1000, 404));
    }

    #[tokio::test]
    async fn a_task_that_breaks_off_has_failed_and_a_stopped_one_is_cancelled() {
        let (logging, _log) = logging::capture(slog::Level::Debug);
        let stop = CancellationToken::new();
        let tasks = Tasks::new(tokio::runtime::Handle::current(), stop.clone(), logging.logger());
        let begin = |work: fn(Progress) -> futures_util::future::BoxFuture<'static, End>| {
            tasks.start(TaskKind::BulkUsers, "x".to_owned(), "root", work).expect("started")
        };
        let broken = begin(|_| Box::pin(async { panic!("as if it were a mistake") }));
        let waiting = begin(|progress| {
            Box::pin(async move {
                progress.stopped().await;
                End::Cancelled
            })
        });
        let shown = |id: &str| tasks.record(id).expect("remembered").show();
        let patience = Duration::from_secs(20);
        tasks.wait(&broken, patience).await;
        assert_eq!(shown(&broken).status, TaskStatus::Failed);
        assert_eq!(shown(&waiting).status, TaskStatus::Running);
        stop.cancel();
        tasks.wait(&waiting, patience).await;
        assert_eq!(shown(&waiting).status, TaskStatus::Cancelled);
        assert!(shown(&waiting).ended_at > 0);
    }

    #[tokio::test]
    async fn only_so_many_run_at_a_time() {
        let (logging, _log) = logging::capture(slog::Level::Debug);
        let stop = CancellationToken::new();
        let tasks = Tasks::new(tokio::runtime::Handle::current(), stop.clone(), logging.logger());
        let begin = || {
            tasks.start(TaskKind::BulkUsers, "x".to_owned(), "root", async |progress: Progress| {
                progress.stopped().await;
                End::Cancelled
            })
        };
        let ids: Vec<String> = (0..MOST_RUNNING).map(|_| begin().expect("started")).collect();
        let refused = begin().expect_err("one too many");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        stop.cancel();
        tasks.wait(&ids[0], Duration::from_secs(20)).await;
        begin().expect("there is room again");
    }
}
