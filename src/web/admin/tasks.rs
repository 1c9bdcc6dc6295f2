//! Tasks: which run and how far they are, and what came of those that have ended.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Path;
use serde_json::{Value, json};

use crate::model::timestamp::now_unix_ms;
use crate::web::error::ApiError;
use crate::web::operations::tasks::{Task, TaskKind, TaskStatus};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::text;
use crate::web::request::auth::{Anything, Right};

/// How long a form waits for its task before it leads to the page of the task.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most failures that the page lists; the REST API has them all.
const LISTED: usize = 200;

/// The task once it has ended, or the way to its page if it takes longer.
///
/// # Errors
/// 404 if it is not there any more.
pub async fn ended_soon<R: Right>(
    signed: &Signed<R>,
    id: &str,
) -> Result<Result<Task, HttpResponse>, ApiError> {
    let tasks = &signed.services().tasks;
    tasks.wait(id, PATIENCE).await;
    let task = tasks.get(&signed.admin, id)?;
    Ok(match task.status {
        TaskStatus::Running => Err(see_other(&path_of(signed, id))),
        _ => Ok(task),
    })
}

/// Where the page of a task is.
pub fn path_of<R: Right>(signed: &Signed<R>, id: &str) -> String {
    format!("{}/tasks/{id}", admin_root(&signed.request))
}

pub async fn list(signed: Signed<Anything>) -> Result<HttpResponse, PageError> {
    let tasks = signed.services().tasks.list(&signed.admin);
    let (running, ended): (Vec<_>, Vec<_>) =
        tasks.iter().partition(|task| task.status == TaskStatus::Running);
    let shown = |tasks: Vec<&Task>| tasks.into_iter().map(view).collect::<Vec<_>>();
    let content = json!({ "running": shown(running), "ended": shown(ended) });
    signed.page("admin/tasks.html", "tasks", "Tasks", content).await
}

pub async fn page(signed: Signed<Anything>, id: Path<String>) -> Result<HttpResponse, PageError> {
    let task = signed.services().tasks.get(&signed.admin, &id)?;
    let mut content = view(&task);
    content["failures"] = json!(task.failures.iter().take(LISTED).collect::<Vec<_>>());
    let hidden = task.failed.saturating_sub(task.failures.len().min(LISTED) as u64);
    content["hidden_failures"] = json!(hidden);
    content["path"] = json!(format!("/api/v2/tasks/{}", task.id));
    signed.page("admin/task.html", "tasks", &task.title, content).await
}

pub async fn cancel(act: Act<Anything>, id: Path<String>) -> Result<HttpResponse, PageError> {
    let by = &act.by;
    match by.services().tasks.cancel(&by.admin, &id) {
        Ok(()) => by.leave_notice("info", "It stops after what it is doing now."),
        Err(error) if error.status().as_u16() == 409 => {
            by.leave_notice("info", "It had ended already.");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(see_other(&path_of(by, &id)))
}

fn view(task: &Task) -> Value {
    let objects = match task.kind {
        TaskKind::BulkUsers | TaskKind::AddUsers => "users",
        TaskKind::Restore => "objects",
    };
    json!({
        "id": task.id,
        "title": task.title,
        "started_by": task.started_by,
        "started_at": task.started_at,
        "ended_at": task.ended_at,
        "status": task.status,
        "total": task.total,
        "processed": task.processed,
        "failed": task.failed,
        "objects": objects,
        "left": left(task, now_unix_ms()),
        "outcome": outcome(task),
    })
}

/// How long it will take, at the pace until now.
fn left(task: &Task, now: i64) -> Option<String> {
    let gone = u64::try_from(now - task.started_at).ok()?;
    if task.status != TaskStatus::Running || task.processed == 0 || gone < 2000 {
        return None;
    }
    let rest = task.total.saturating_sub(task.processed);
    let left = u128::from(gone) * u128::from(rest) / u128::from(task.processed);
    let left = u64::try_from(left).ok()?.div_ceil(1000);
    Some(text::duration(left.max(1)))
}

/// What came of it, in a sentence; nothing while it runs.
fn outcome(task: &Task) -> Option<(&'static str, String)> {
    let count = |number: u64| text::count(number);
    let through = format!("{} of {}", count(task.processed), count(task.total));
    let failed = match task.failed {
        0 => String::new(),
        failed => format!(" {} failed.", count(failed)),
    };
    match task.status {
        TaskStatus::Running => None,
        TaskStatus::Done if !task.message.is_empty() => {
            Some((if task.failed == 0 { "ok" } else { "warn" }, sentence(&task.message)))
        }
        TaskStatus::Done if task.failed == 0 => {
            Some(("ok", format!("All {} are done.", count(task.total))))
        }
        TaskStatus::Done => {
            let done = task.processed.saturating_sub(task.failed);
            Some(("warn", format!("{} of {} are done.{failed}", count(done), count(task.total))))
        }
        TaskStatus::Cancelled => Some((
            "info",
            format!("It was stopped after {through}; these stay as they are now.{failed}"),
        )),
        TaskStatus::Failed => Some((
            "bad",
            format!("It could not go on after {through}. {}", sentence(&task.message)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(status: TaskStatus, processed: u64, failed: u64) -> Task {
        Task {
            id: "t".to_owned(),
            kind: TaskKind::BulkUsers,
            title: "Disable 4000 users".to_owned(),
            started_by: "root".to_owned(),
            started_at: 0,
            ended_at: 0,
            status,
            total: 4000,
            processed,
            failed,
            failures: Vec::new(),
            message: String::new(),
        }
    }

    #[test]
    fn the_time_left_follows_the_pace_until_now() {
        for (processed, now, want) in [
            (0, 60_000, None),
            (1000, 1_999, None),
            (1000, 10_000, Some("30 s")),
            (3999, 40_000, Some("1 s")),
            (1, 10_000, Some("11 h 6 m")),
        ] {
            let left = left(&task(TaskStatus::Running, processed, 0), now);
            assert_eq!(left.as_deref(), want, "{processed} after {now}");
        }
        assert_eq!(left(&task(TaskStatus::Done, 4000, 0), 10_000), None);
    }

    #[test]
    fn an_outcome_says_how_much_is_done() {
        let failed = Task {
            message: "this needs the permission \"edit_users\"".to_owned(),
            ..task(TaskStatus::Failed, 50, 0)
        };
        for (task, want) in [
            (task(TaskStatus::Running, 5, 0), None),
            (task(TaskStatus::Done, 4000, 0), Some("All 4,000 are done.")),
            (task(TaskStatus::Done, 4000, 3), Some("3,997 of 4,000 are done. 3 failed.")),
            (
                task(TaskStatus::Cancelled, 1200, 0),
                Some("It was stopped after 1,200 of 4,000; these stay as they are now."),
            ),
            (
                failed,
                Some(
                    "It could not go on after 50 of 4,000. This needs the permission \
                     \"edit_users\".",
                ),
            ),
        ] {
            let outcome = outcome(&task).map(|(_, told)| told);
            assert_eq!(outcome.as_deref(), want, "{:?}", task.status);
        }
    }
}
