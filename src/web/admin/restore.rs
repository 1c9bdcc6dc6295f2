//! Restoring a backup: what it would change, and then doing it.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::maintenance;
use crate::provider::backup::{
    Change, ChangeKind, LoadMode, LoadOptions, ObjectKind, Preview, preview,
};
use crate::web::admin::tasks::path_of as path_of_task;
use crate::web::error::ApiError;
use crate::web::operations::restore::{RestoreOrder, ScanAfter};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::see_other;
use crate::web::pages::signed::{Act, CSRF_FIELD, Signed};
use crate::web::pages::uploads::Waiting;
use crate::web::request::auth::Everything;

/// Changes on one page.
const PER_PAGE: usize = 50;

/// Objects that may be replaced without the number being typed.
const UNTYPED: usize = 10;

/// How the backup shall be loaded, as the form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    options: LoadOptions,
    scan: i64,
}

impl Choice {
    /// Anything that cannot be is the safer one.
    fn of(form: &Form) -> Self {
        let number = |name: &str| form.trimmed(name).parse().unwrap_or(0);
        let mode = LoadMode::try_from(number("mode")).unwrap_or(LoadMode::AddOnly);
        let options = LoadOptions { mode, keeps_newer: form.get("newer") != "replace" };
        Self { options, scan: number("scan").clamp(0, 2) }
    }

    fn mode(self) -> i64 {
        match self.options.mode {
            LoadMode::AddOrUpdate => 0,
            LoadMode::AddOnly => 1,
            LoadMode::AddOrUpdateAndDisconnect => 2,
        }
    }
}

/// Which changes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    All,
    Add,
    Update,
    Attention,
}

impl Show {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::All, "", "All changes"),
        (Self::Add, "add", "Would be added"),
        (Self::Update, "update", "Would be updated"),
        (Self::Attention, "attention", "Need a look"),
    ];

    fn of(form: &Form) -> Self {
        let asked = Self::ALL.iter().find(|(_, name, _)| *name == form.get("show"));
        asked.map_or(Self::All, |(show, ..)| *show)
    }

    fn has(self, change: &Change) -> bool {
        match self {
            Self::All => true,
            Self::Add => change.change == ChangeKind::Add,
            Self::Update => change.change == ChangeKind::Update,
            Self::Attention => change.newer_here || !change.attention.is_empty(),
        }
    }
}

fn waiting(by: &Signed<Everything>, id: &str) -> Result<Waiting, ApiError> {
    by.pages.uploads.find(by.username(), id).ok_or_else(|| {
        ApiError::not_found("this backup is not kept any more; upload it again to go on")
    })
}

pub async fn page(
    signed: Signed<Everything>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, PageError> {
    let form = Form::parse(request.query_string().as_bytes())?;
    show(&signed, &id, &form, StatusCode::OK, &FieldErrors::default()).await
}

async fn show(
    signed: &Signed<Everything>,
    id: &str,
    form: &Form,
    status: StatusCode,
    errors: &FieldErrors,
) -> Result<HttpResponse, PageError> {
    let waiting = waiting(signed, id)?;
    let choice = Choice::of(form);
    let told = preview(&signed.services().store, &waiting.json, choice.options).await?;
    let shown = Show::of(form);
    let path = format!("{}/restore/{id}", maintenance::path_of(signed));
    let newer = if choice.options.keeps_newer { "keep" } else { "replace" };
    let query = format!("mode={}&newer={newer}&scan={}", choice.mode(), choice.scan);
    let filters: Vec<Value> = Show::ALL
        .iter()
        .map(|(show, name, label)| {
            json!({
                "label": label,
                "count": told.changes.iter().filter(|change| show.has(change)).count(),
                "link": format!("{path}?{query}&show={name}"),
                "is_current": *show == shown,
            })
        })
        .collect();
    let changes: Vec<&Change> = told.changes.iter().filter(|change| shown.has(change)).collect();
    let pages = changes.len().div_ceil(PER_PAGE).max(1);
    let number = form.trimmed("page").parse().unwrap_or(1).clamp(1, pages);
    let first = (number - 1) * PER_PAGE;
    let rows = changes.iter().skip(first).take(PER_PAGE);
    let sessions = sessions(signed, choice.options.mode).await;
    let rows: Vec<Value> = rows.map(|change| row(change, &sessions)).collect();
    let show_name = Show::ALL.iter().find(|(show, ..)| *show == shown).map_or("", |(_, n, _)| *n);
    let link = |page: usize| format!("{path}?{query}&show={show_name}&page={page}");
    let content = json!({
        "path": path,
        "file_name": waiting.file_name,
        "mode": choice.mode(),
        "newer": newer,
        "scan": choice.scan,
        "saves_first": !form.has(CSRF_FIELD) || form.has("saves_first"),
        "filters": filters,
        "rows": rows,
        "from": if rows.is_empty() { 0 } else { first + 1 },
        "to": first + rows.len(),
        "matching": changes.len(),
        "previous": (number > 1).then(|| link(number - 1)),
        "next": (number < pages).then(|| link(number + 1)),
        "count": told.changes.len(),
        "equal": told.equal,
        "kept": told.kept,
        "warnings": told.warnings,
        "problem": sentence_or_nothing(&told.problem),
        "must_type": to_type(&told),
        "errors": errors,
    });
    let title = "Restore: what would happen";
    signed.page_with(status, "admin/restore.html", "maintenance", title, content).await
}

fn sentence_or_nothing(text: &str) -> String {
    if text.is_empty() { String::new() } else { sentence(text) }
}

/// The number that has to be typed, if many objects are replaced.
fn to_type(told: &Preview) -> Option<usize> {
    let updated = |change: &&Change| change.change == ChangeKind::Update;
    let updates = told.changes.iter().filter(updated).count();
    (updates > UNTYPED).then_some(updates)
}

/// How many sessions users have that would be cut.
async fn sessions(signed: &Signed<Everything>, mode: LoadMode) -> HashMap<String, usize> {
    let mut sessions = HashMap::new();
    if mode == LoadMode::AddOrUpdateAndDisconnect {
        for session in signed.services().registry.list().await {
            *sessions.entry(session.username.to_string()).or_default() += 1;
        }
    }
    sessions
}

fn row(change: &Change, sessions: &HashMap<String, usize>) -> Value {
    let mut attention: Vec<String> = change.attention.iter().map(|text| sentence(text)).collect();
    if change.newer_here {
        attention.push("Was changed here after this backup.".to_owned());
    }
    let is_update = change.change == ChangeKind::Update;
    let cut = sessions.get(&change.name).filter(|_| is_update && change.kind == ObjectKind::User);
    match cut {
        None => {}
        Some(1) => attention.push("1 session would be cut.".to_owned()),
        Some(count) => attention.push(format!("{count} sessions would be cut.")),
    }
    json!({
        "is_update": is_update,
        "kind": change.kind,
        "name": change.name,
        "fields": change.fields,
        "attention": attention,
    })
}

pub async fn apply(act: Act<Everything>, id: Path<String>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let waiting = waiting(by, &id)?;
    let choice = Choice::of(form);
    let told = preview(&by.services().store, &waiting.json, choice.options).await?;
    let mut errors = FieldErrors::default();
    if let Some(count) = to_type(&told)
        && form.trimmed("typed") != count.to_string()
    {
        errors.add("typed", format!("Type {count} to go on."));
    }
    if !errors.is_empty() || !told.problem.is_empty() {
        return show(by, &id, form, StatusCode::UNPROCESSABLE_ENTITY, &errors).await;
    }
    let order = RestoreOrder {
        json: waiting.json,
        options: choice.options,
        scan: ScanAfter::numbered(choice.scan),
        saves_first: form.has("saves_first"),
    };
    let task = by.binding.services.start_restore(&by.admin, order)?;
    Ok(see_other(&path_of_task(by, &task)))
}

/// Forgets the backup that was uploaded.
pub async fn discard(act: Act<Everything>, id: Path<String>) -> Result<HttpResponse, PageError> {
    act.by.pages.uploads.forget(&waiting(&act.by, &id)?.id);
    act.by.leave_notice("info", "The backup was not restored. Nothing has changed.");
    Ok(see_other(&maintenance::path_of(&act.by)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_chosen_is_the_safer_choice() {
        let choice = |text: &str| Choice::of(&Form::parse(text.as_bytes()).expect("a form"));
        let table = [
            ("", (0, true, 0)),
            ("mode=2&newer=replace&scan=1", (2, false, 1)),
            ("mode=7&newer=x&scan=9", (1, true, 2)),
            ("mode=x&scan=-1", (0, true, 0)),
        ];
        for (text, (mode, keeps_newer, scan)) in table {
            let got = choice(text);
            assert_eq!((got.mode(), got.options.keeps_newer, got.scan), (mode, keeps_newer, scan));
        }
    }
}
