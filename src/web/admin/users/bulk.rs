//! What is done with many users at once: the question, the act, and the export.

use actix_web::http::StatusCode;
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::list::View;
use super::list_path;
use super::times;
use crate::model::{AdminPermission, User};
use crate::provider::Page;
use crate::web::admin::tasks::{ended_soon, path_of as path_of_task};
use crate::web::error::ApiError;
use crate::web::operations::bulk::{BulkAction, BulkUsers, MAX_BULK_USERS};
use crate::web::operations::export::{ExportQuery, file};
use crate::web::operations::live::BulkResult;
use crate::web::operations::tasks::{Task, TaskStatus};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::page::{own_path, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::text;
use crate::web::request::auth::{Anything, Right, ViewUsers};

/// How many are named before only the count is told.
const NAMED: usize = 10;

/// What can be asked for: its name in forms, the question's verb, and what it was afterwards.
struct Kind {
    action: BulkAction,
    name: &'static str,
    verb: &'static str,
    done: &'static str,
    told: &'static str,
}

const KINDS: [Kind; 7] = [
    Kind {
        action: BulkAction::Enable,
        name: "enable",
        verb: "Enable",
        done: "enabled",
        told: "They can log in again.",
    },
    Kind {
        action: BulkAction::Disable,
        name: "disable",
        verb: "Disable",
        done: "disabled",
        told: "They cannot log in, and their open sessions end at once. Files stay.",
    },
    Kind {
        action: BulkAction::SetExpiration,
        name: "expire",
        verb: "Set the expiry of",
        done: "given a new expiry",
        told: "After it they cannot log in, and open sessions end.",
    },
    Kind {
        action: BulkAction::AddGroup,
        name: "group",
        verb: "Add to a group:",
        done: "added to the group",
        told: "They inherit from the group what they have not set themselves.",
    },
    Kind {
        action: BulkAction::SetRole,
        name: "role",
        verb: "Set the role of",
        done: "given the role",
        told: "Admins with this role see and manage them; without a role only admins who have \
               none do.",
    },
    Kind {
        action: BulkAction::Disconnect,
        name: "kill",
        verb: "Kill the sessions of",
        done: "disconnected",
        told: "Running transfers break off. They can connect again.",
    },
    Kind {
        action: BulkAction::Delete,
        name: "delete",
        verb: "Delete",
        done: "deleted",
        told: "What is set for them is gone for good, and open sessions end. Files stay where \
               they are.",
    },
];

impl Kind {
    fn of(form: &Form) -> Result<&'static Self, ApiError> {
        let name = form.get("action");
        let kind = KINDS.iter().find(|kind| kind.name == name);
        kind.ok_or_else(|| ApiError::bad_request("action: is not known"))
    }
}

/// The users that a form names: those ticked, or all that its filter finds.
enum Chosen {
    Named(Vec<String>),
    All(View),
}

impl Chosen {
    fn of(form: &Form) -> Self {
        if form.has("all") {
            // Only what it filters by matters.
            return Self::All(View::of(form, String::new()));
        }
        let mut names: Vec<String> = form.all("user").map(str::to_owned).collect();
        names.sort();
        names.dedup();
        Self::Named(names)
    }

    /// The names, up to what one request can do.
    async fn names<R: Right>(&self, signed: &Signed<R>) -> Result<Vec<String>, PageError> {
        match self {
            Self::Named(names) => Ok(names.clone()),
            Self::All(view) => {
                signed.admin.require(AdminPermission::ViewUsers)?;
                let one = Page { limit: 1, ..Page::default() };
                let query = view.query();
                let visible = signed.services().users_of(&signed.admin);
                let (_, total) = visible.find(query.checked()?, one).await?;
                if total > MAX_BULK_USERS as u64 {
                    let told = format!("at most {MAX_BULK_USERS} users can be changed at a time");
                    return Err(ApiError::bad_request(told).into());
                }
                let users = signed.services().all_users(&signed.admin, &query).await?;
                Ok(users.into_iter().map(|user| user.username).collect())
            }
        }
    }
}

pub async fn question(
    signed: Signed<Anything>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let form = Form::parse(request.query_string().as_bytes())?;
    ask(&signed, &form, StatusCode::OK, &FieldErrors::default()).await
}

async fn ask(
    signed: &Signed<Anything>,
    form: &Form,
    status: StatusCode,
    errors: &FieldErrors,
) -> Result<HttpResponse, PageError> {
    let kind = Kind::of(form)?;
    signed.admin.require(kind.action.permission())?;
    let chosen = Chosen::of(form);
    let names = chosen.names(signed).await?;
    if names.is_empty() {
        signed.leave_notice("info", "Select at least one user first.");
        return Ok(see_other(&back(&signed.request, form)));
    }
    let title = match &names[..] {
        [name] => format!("{} {}", kind.verb, text::visible(name)),
        names => format!("{} {} users", kind.verb, text::count(names.len() as u64)),
    };
    let (named, is_all) = match &chosen {
        Chosen::Named(names) => (names.as_slice(), false),
        Chosen::All(_) => (&[][..], true),
    };
    let listed: Vec<&String> = names.iter().take(NAMED).collect();
    let content = json!({
        "question": title,
        "action": kind.name,
        "told": kind.told,
        "listed": listed,
        "unlisted": names.len() - listed.len(),
        "open": open_sessions(signed, kind, &names).await?,
        "count": names.len(),
        "must_type": kind.action == BulkAction::Delete && names.len() > NAMED,
        "named": named,
        "is_all": is_all,
        "view": View::of(form, String::new()),
        "groups": super::create::group_names(signed).await?,
        "expiration_date": form.trimmed("expiration_date"),
        "group": form.trimmed("to_group"),
        "group_type": form.trimmed("group_type"),
        "role": form.trimmed("to_role"),
        "reason": form.trimmed("reason"),
        "back": back(&signed.request, form),
        "errors": errors,
    });
    signed.page_with(status, "admin/users_bulk.html", "users", &title, content).await
}

/// What killing would end, in words; nothing if that is not asked or may not be seen.
async fn open_sessions(
    signed: &Signed<Anything>,
    kind: &Kind,
    names: &[String],
) -> Result<Option<String>, PageError> {
    if kind.action != BulkAction::Disconnect || !signed.admin.may(AdminPermission::ViewConns) {
        return Ok(None);
    }
    let services = signed.services();
    let visible = services.users_of(&signed.admin).names().await?;
    let sessions = services.sessions(&visible).await;
    let meant: Vec<_> = sessions.iter().filter(|one| names.contains(&one.username)).collect();
    let transfers = meant.iter().map(|one| one.active_transfers.len()).sum::<usize>();
    Ok(Some(match meant.len() {
        0 => "No session is open now.".to_owned(),
        count => format!(
            "{} with {}.",
            text::plural(count as u64, "session is open", "sessions are open"),
            text::plural(transfers as u64, "transfer", "transfers")
        ),
    }))
}

/// Where the form came from, else the list.
fn back(request: &HttpRequest, form: &Form) -> String {
    match form.get("back") {
        "" => list_path(request),
        back => own_path(request, back),
    }
}

pub async fn act(act: Act<Anything>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let kind = Kind::of(form)?;
    by.admin.require(kind.action.permission())?;
    let names = Chosen::of(form).names(by).await?;
    let mut errors = FieldErrors::default();
    let must_type = kind.action == BulkAction::Delete && names.len() > NAMED;
    if must_type && form.trimmed("typed") != names.len().to_string() {
        errors.add("typed", format!("Type {} to go on.", names.len()));
    }
    let mut request = BulkUsers {
        role: Some(form.trimmed("to_role").to_owned()),
        reason: Some(form.get("reason").to_owned()),
        ..BulkUsers::of(kind.action, names.clone())
    };
    match kind.action {
        BulkAction::SetExpiration => {
            let parsed = times::time(form.trimmed("expiration_date"));
            request.expiration_date = Some(errors.take("expiration_date", parsed));
        }
        BulkAction::AddGroup => {
            request.group = Some(form.trimmed("to_group").to_owned());
            request.group_type = form.trimmed("group_type").parse().ok();
            if form.trimmed("to_group").is_empty() {
                errors.add("to_group", "Enter the name of a group.");
            }
        }
        _ => {}
    }
    if !errors.is_empty() {
        return ask(by, form, StatusCode::UNPROCESSABLE_ENTITY, &errors).await;
    }
    let task = match by.binding.services.start_bulk(&by.admin, request).await {
        Ok(task) => task,
        Err(error) if error.status().is_client_error() => {
            let told = error.told();
            let (field, told) = match told.split_once(": ") {
                Some(("reason", rest)) => ("reason", rest),
                Some(("role", rest)) => ("to_role", rest),
                _ => ("form", told),
            };
            errors.add(field, sentence(told));
            return ask(by, form, StatusCode::UNPROCESSABLE_ENTITY, &errors).await;
        }
        Err(error) => return Err(error.into()),
    };
    match ended_soon(by, &task).await? {
        Ok(Task { status: TaskStatus::Done, failures, .. }) => {
            let (level, told) = outcome(kind, &names, &failures);
            by.leave_notice(level, told);
            Ok(see_other(&back(&by.request, form)))
        }
        Ok(task) => Ok(see_other(&path_of_task(by, &task.id))),
        Err(way_there) => Ok(way_there),
    }
}

/// What became of them, in words: how many, and why not the others.
fn outcome(kind: &Kind, names: &[String], failed: &[BulkResult]) -> (&'static str, String) {
    let done = names.len() - failed.len();
    let users = |count: usize| match count {
        1 => "1 user".to_owned(),
        count => format!("{} users", text::count(count as u64)),
    };
    if failed.is_empty() {
        let was = if done == 1 { "was" } else { "were" };
        let who = match names {
            [one] => text::visible(one),
            _ => users(done),
        };
        return ("ok", format!("{who} {was} {}.", kind.done));
    }
    let mut told = format!("{} of {} {}.", done, users(names.len()), kind.done);
    for result in failed.iter().take(3) {
        told.push_str(&format!(" {}: {}", text::visible(&result.name), sentence(&result.error)));
    }
    if failed.len() > 3 {
        told.push_str(&format!(" And {} more.", failed.len() - 3));
    }
    ("warn", told)
}

/// The users that are ticked, or all that the filter finds, as a file.
pub async fn export(
    signed: Signed<ViewUsers>,
    request: HttpRequest,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    let form = Form::parse(request.query_string().as_bytes())?;
    let mut users =
        signed.services().all_users(&signed.admin, &View::of(&form, String::new()).query()).await?;
    if let (Chosen::Named(names), true) = (Chosen::of(&form), form.has("user")) {
        users.retain(|user: &User| names.binary_search(&user.username).is_ok());
    }
    Ok(file("users", export.format, &users))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_names_what_was_not_done_and_why() {
        let kind = &KINDS[1];
        let failed = |name: &str| BulkResult {
            name: name.to_owned(),
            status: 404,
            error: "is gone".to_owned(),
        };
        for (names, failures, want) in [
            (vec!["a"], vec![], "a was disabled."),
            (vec!["a", "b"], vec![], "2 users were disabled."),
            (vec!["a", "b"], vec![failed("b")], "1 of 2 users disabled. b: Is gone."),
        ] {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(outcome(kind, &names, &failures).1, want);
        }
    }
}
