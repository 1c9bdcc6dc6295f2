//! One task, as its work writes it and as others look at it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::{End, Task, TaskKind, TaskStatus};
use crate::model::timestamp::now_unix_ms;
use crate::web::operations::live::BulkResult;

/// How many failures are kept.
const MOST_FAILURES: usize = 1000;

pub struct Record {
    pub id: String,
    kind: TaskKind,
    pub title: String,
    pub by: String,
    started_at: i64,
    total: AtomicU64,
    processed: Arc<AtomicU64>,
    failed: AtomicU64,
    failures: Mutex<Vec<BulkResult>>,
    /// Asks the work to stop.
    stop: CancellationToken,
    /// When it has ended, and how.
    end: Mutex<Option<(i64, End)>>,
    has_ended: CancellationToken,
}

impl Record {
    pub fn new(kind: TaskKind, title: String, by: &str, stop: CancellationToken) -> Self {
        Self {
            id: uuid::Uuid::new_v4().simple().to_string(),
            kind,
            title,
            by: by.to_owned(),
            started_at: now_unix_ms(),
            total: AtomicU64::new(0),
            processed: Arc::default(),
            failed: AtomicU64::new(0),
            failures: Mutex::default(),
            stop,
            end: Mutex::default(),
            has_ended: CancellationToken::new(),
        }
    }

    pub fn is_running(&self) -> bool {
        self.ended_at().is_none()
    }

    pub fn ended_at(&self) -> Option<i64> {
        locked(&self.end).as_ref().map(|(at, _)| *at)
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    pub fn end(&self, end: End) {
        self.end_at(now_unix_ms(), end);
    }

    pub fn end_at(&self, now: i64, end: End) {
        *locked(&self.end) = Some((now, end));
        self.has_ended.cancel();
    }

    pub async fn ended(&self) {
        self.has_ended.cancelled().await;
    }

    pub fn show(&self) -> Task {
        let (ended_at, status, message) = match &*locked(&self.end) {
            None => (0, TaskStatus::Running, String::new()),
            Some((at, End::Done(message))) => (*at, TaskStatus::Done, message.clone()),
            Some((at, End::Cancelled)) => (*at, TaskStatus::Cancelled, String::new()),
            Some((at, End::Failed(why))) => (*at, TaskStatus::Failed, why.clone()),
        };
        Task {
            id: self.id.clone(),
            kind: self.kind,
            title: self.title.clone(),
            started_by: self.by.clone(),
            started_at: self.started_at,
            ended_at,
            status,
            total: self.total.load(Ordering::Relaxed),
            processed: self.processed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            failures: locked(&self.failures).clone(),
            message,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where work says how far it is, and learns that it shall stop.
pub struct Progress(Arc<Record>);

impl Progress {
    pub fn of(record: Arc<Record>) -> Self {
        Self(record)
    }

    /// How many objects it is about.
    pub fn expect(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// What became of one of them.
    pub fn note(&self, result: BulkResult) {
        if !result.is_ok() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            let mut failures = locked(&self.0.failures);
            if failures.len() < MOST_FAILURES {
                failures.push(result);
            }
        }
        self.0.processed.fetch_add(1, Ordering::Relaxed);
    }

    /// Where those that are through are counted, for work that only counts.
    pub fn counter(&self) -> Arc<AtomicU64> {
        self.0.processed.clone()
    }

    /// Whether it shall stop.
    pub fn is_stopped(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Until it shall stop.
    #[cfg(test)]
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }
}
