//! The permission tester: may somebody do something, and which rule says so?

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use serde::Deserialize;
use serde_json::{Value, json};

use super::objects::note_refusal;
use crate::vfs::Asked;
use crate::web::operations::permission_test::{PermissionQuery, PermissionTest};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::FieldErrors;
use crate::web::pages::signed::Signed;
use crate::web::request::auth::ViewUsers;

/// The question as the form asks it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TesterQuery {
    user: String,
    operation: String,
    path: String,
    target: String,
    ip: String,
    protocol: String,
}

/// What the steps are called, as far as their names need words.
const STEPS: [(&str, &str); 13] = [
    ("status", "Account"),
    ("expiration", "Expiration"),
    ("access_time", "Hours of access"),
    ("denied_protocols", "Protocol"),
    ("denied_login_methods", "Sign-in method"),
    ("ip_filters", "Address"),
    ("two_factor", "Second factor"),
    ("max_sessions", "Sessions"),
    ("permissions", "Permissions"),
    ("name_filters", "Filters on names"),
    ("mount_points", "Mount points"),
    ("quota", "Quota"),
    ("data_transfer", "Data transfer"),
];

/// What the operations are called: in a list, and in a sentence before the path.
const OPERATIONS: [(Asked, &str, &str); 19] = [
    (Asked::List, "List a directory", "list"),
    (Asked::Stat, "Look at the attributes", "look at the attributes of"),
    (Asked::Download, "Download a file", "download"),
    (Asked::Upload, "Upload a new file", "upload"),
    (Asked::Overwrite, "Overwrite a file", "overwrite"),
    (Asked::CreateDir, "Create a directory", "create the directory"),
    (Asked::DeleteFile, "Delete a file", "delete the file"),
    (Asked::DeleteDir, "Delete a directory", "delete the directory"),
    (Asked::RenameFile, "Rename a file", "rename the file"),
    (Asked::RenameDir, "Rename a directory", "rename the directory"),
    (Asked::RenameSymlink, "Rename a symbolic link", "rename the symbolic link"),
    (Asked::Replace, "Replace a file by renaming", "rename another file to"),
    (Asked::Copy, "Copy a file", "copy"),
    (Asked::Symlink, "Create a symbolic link", "link to"),
    (Asked::Chmod, "Change the mode", "change the mode of"),
    (Asked::Chown, "Change the owner", "change the owner of"),
    (Asked::Chtimes, "Change the times", "change the times of"),
    (Asked::Truncate, "Truncate a file", "truncate"),
    (Asked::Space, "Look at the free space", "look at the free space of"),
];

/// The words for an operation: in a list, and in a sentence.
fn operation_words(asked: &str) -> (&'static str, &'static str) {
    let found = OPERATIONS.iter().find(|(known, ..)| known.as_str() == asked);
    found.map_or(("", ""), |(_, label, act)| (*label, *act))
}

fn words(step: &str) -> &str {
    STEPS.iter().find(|(name, _)| *name == step).map_or(step, |(_, words)| words)
}

pub async fn page(
    signed: Signed<ViewUsers>,
    query: Query<TesterQuery>,
) -> Result<HttpResponse, PageError> {
    let asked = Asked::from_name(&query.operation);
    let mut errors = FieldErrors::default();
    let mut status = StatusCode::OK;
    let mut answer = None;
    if !query.user.is_empty() {
        let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let question = PermissionQuery {
            operation: given(&query.operation),
            path: given(&query.path),
            target: given(&query.target),
            ip: given(&query.ip),
            protocol: given(&query.protocol),
            method: None,
        };
        let services = signed.services();
        match services.permission_test(&signed.admin, query.user.trim(), &question).await {
            Ok(found) => answer = Some(found),
            Err(error) if error.status() == StatusCode::NOT_FOUND => {
                status = error.status();
                errors.add("user", sentence(error.told()));
            }
            Err(error) => {
                status = StatusCode::UNPROCESSABLE_ENTITY;
                note_refusal(
                    error,
                    &["path", "operation", "target", "ip", "protocol"],
                    &mut errors,
                )?;
            }
        }
    }
    let operations: Vec<_> =
        OPERATIONS.iter().map(|(asked, label, _)| (asked.as_str(), label)).collect();
    let asked = asked.unwrap_or(Asked::Download).as_str();
    let content = json!({
        "asked": {
            "user": query.user.trim(),
            "operation": asked,
            "act": operation_words(asked).1,
            "path": if query.path.is_empty() { "/" } else { &query.path },
            "target": query.target,
            "ip": query.ip,
            "protocol": query.protocol,
        },
        "operations": operations,
        "answer": answer.as_ref().map(told),
        "errors": errors,
    });
    signed.page_with(status, "admin/tester.html", "tester", "Permission tester", content).await
}

fn told(answer: &PermissionTest) -> Value {
    let steps = answer.steps.iter().map(|step| {
        json!({
            "stage": step.stage,
            "label": words(&step.step),
            "outcome": step.outcome,
            "detail": step.detail,
        })
    });
    let operations = answer.operations.iter().map(|tested| {
        json!({
            "operation": tested.operation,
            "label": operation_words(tested.operation).0,
            "allowed": tested.allowed,
            "decided_by": words(tested.decided_by),
            "because": tested.because,
        })
    });
    json!({
        "allowed": answer.allowed,
        "decided_by": answer.decided_by.as_deref().map(words),
        "because": answer.because.as_deref().map(sentence),
        "looks_absent": answer.looks_absent,
        "mount": answer.stored_at.mount,
        "file_path": answer.stored_at.file_path,
        "quota_of": answer.stored_at.quota_of,
        "steps": steps.collect::<Vec<_>>(),
        "operations": operations.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_words() {
        let named: Vec<Asked> = OPERATIONS.iter().map(|(asked, ..)| *asked).collect();
        assert_eq!(named, Asked::ALL);
    }
}
