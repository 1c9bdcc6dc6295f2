//! What the pages of folders, groups, roles and administrators share: lists that are
//! searched and cut into pages, what a call refused at the field it names, and the
//! question before something is deleted.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::AdminPermission;
use crate::provider::Page;
use crate::web::auth::Right;
use crate::web::error::ApiError;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::signed::Signed;

/// How many rows a page of a list has.
const PER_PAGE: usize = 50;

/// What a list is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    q: String,
    page: String,
}

/// A page of those that match.
pub struct Listed<T> {
    pub shown: Vec<T>,
    /// How many there are, and how many match.
    pub total: usize,
    matching: usize,
    page: usize,
}

impl<T> Listed<T> {
    /// Cuts `all` down to those in whose `text` the query is found.
    pub fn of(all: Vec<T>, query: &ListQuery, text: impl Fn(&T) -> String) -> Self {
        let total = all.len();
        let wanted = query.q.trim().to_lowercase();
        let mut matching = all;
        matching.retain(|one| text(one).to_lowercase().contains(&wanted));
        let count = matching.len();
        let last = count.div_ceil(PER_PAGE).max(1);
        let page = query.page.parse().unwrap_or(1).clamp(1, last);
        let shown = matching.into_iter().skip((page - 1) * PER_PAGE).take(PER_PAGE).collect();
        Self { shown, total, matching: count, page }
    }

    /// For the search field and the links to other pages.
    pub fn frame(&self, query: &ListQuery) -> Value {
        let first = (self.page - 1) * PER_PAGE;
        json!({
            "q": query.q,
            "total": self.total,
            "matching": self.matching,
            "from": if self.matching == 0 { 0 } else { first + 1 },
            "to": first + self.shown.len(),
            "previous": (self.page > 1).then(|| self.page - 1),
            "next": (first + self.shown.len() < self.matching).then(|| self.page + 1),
        })
    }
}

/// All objects of a kind, read page by page.
pub async fn all<T>(
    read: impl AsyncFn(Page) -> Result<Vec<T>, ApiError>,
) -> Result<Vec<T>, ApiError> {
    let mut objects = Vec::new();
    loop {
        let offset = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        let page = Page { offset, limit: Page::MAX_LIMIT, descending: false };
        let read = read(page).await?;
        let is_last = read.len() < Page::MAX_LIMIT as usize;
        objects.extend(read);
        if is_last {
            return Ok(objects);
        }
    }
}

/// Notes what a call has refused at the field of the form that it names, or else at the
/// first of `fields`.
///
/// # Errors
/// What the form cannot help: a failure of ours, or an object that is gone.
pub fn note_refusal(
    error: ApiError,
    fields: &[&str],
    errors: &mut FieldErrors,
) -> Result<(), PageError> {
    if !error.status().is_client_error() || error.status() == StatusCode::NOT_FOUND {
        return Err(error.into());
    }
    let (field, told) = refused_field(error.told(), fields);
    errors.add(field, sentence(told));
    Ok(())
}

/// The field that a refusal names, and what it says of it.
fn refused_field<'a>(told: &'a str, fields: &[&'a str]) -> (&'a str, &'a str) {
    let mut rest = told;
    while let Some((part, after)) = rest.split_once(": ") {
        let name = part.rsplit('.').next().unwrap_or(part);
        let name = name.split(['[', ' ']).next().unwrap_or(name);
        if let Some(field) = fields.iter().find(|field| **field == name) {
            return (field, after);
        }
        rest = after;
    }
    (fields.first().copied().unwrap_or_default(), told)
}

/// Whether somebody has changed the object since the form was shown.
pub fn is_outdated(form: &Form, updated_at: i64) -> bool {
    form.trimmed("updated_at").parse() != Ok(updated_at)
}

/// What a form says that is outdated.
pub const OUTDATED: &str = "Somebody has changed this since you opened it. Nothing was saved, \
    what you typed is kept. Save again to overwrite the other change.";

/// The lines of a field, without empty ones.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A question before something is deleted, or what stands in the way.
pub struct Deletion<'a> {
    /// The entry of the navigation.
    pub section: &'static str,
    /// `folder`, `group`, …
    pub kind: &'static str,
    pub name: &'a str,
    /// The page of the object, below the pages of administrators.
    pub path: String,
    /// What will happen.
    pub told: &'a str,
    /// Who is concerned, under a heading.
    pub names: Vec<(&'static str, &'a [String])>,
    /// Why it cannot be done.
    pub refused: Option<String>,
}

impl Deletion<'_> {
    /// The question as a page; a refusal has the status 409.
    pub async fn ask<R: Right>(self, signed: &Signed<R>) -> Result<HttpResponse, PageError> {
        let status = match self.refused {
            Some(_) => StatusCode::CONFLICT,
            None => StatusCode::OK,
        };
        let names: Vec<Value> = self
            .names
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(heading, names)| json!({ "heading": heading, "names": names }))
            .collect();
        let content = json!({
            "kind": self.kind,
            "name": self.name,
            "path": self.path,
            "told": self.told,
            "names": names,
            "refused": self.refused,
        });
        let title = format!("Delete {}", self.name);
        signed.page_with(status, "admin/delete.html", self.section, &title, content).await
    }
}

/// Whether names of users may be links.
pub fn may_view_users<R: Right>(signed: &Signed<R>) -> bool {
    signed.admin.may(AdminPermission::ViewUsers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_at_the_field_it_names() {
        let fields = ["name", "mapped_path", "allow_list", "virtual_folders"];
        for (told, field, rest) in [
            (r#"folder "x": mapped_path: is not absolute"#, "mapped_path", "is not absolute"),
            (r#"admin "x": filters.allow_list: "y" is wrong"#, "allow_list", r#""y" is wrong"#),
            ("virtual_folders: [0]: name: is empty", "virtual_folders", "[0]: name: is empty"),
            ("virtual_folders[2]: x", "virtual_folders", "x"),
            (r#"folder "x" already exists"#, "name", r#"folder "x" already exists"#),
            ("other: z", "name", "other: z"),
        ] {
            assert_eq!(refused_field(told, &fields), (field, rest), "{told}");
        }
    }

    #[test]
    fn lists_are_searched_and_cut_into_pages() {
        let all: Vec<String> = (0..120).map(|number| format!("Name{number}")).collect();
        let list = |q: &str, page: &str| {
            let query = ListQuery { q: q.to_owned(), page: page.to_owned() };
            let listed = Listed::of(all.clone(), &query, Clone::clone);
            (listed.matching, listed.shown.first().cloned(), listed.frame(&query)["next"].clone())
        };
        assert_eq!(list("", ""), (120, Some("Name0".to_owned()), json!(2)));
        assert_eq!(list("", "3"), (120, Some("Name100".to_owned()), Value::Null));
        assert_eq!(list("", "99"), (120, Some("Name100".to_owned()), Value::Null));
        assert_eq!(list("name11", "-1"), (11, Some("Name11".to_owned()), Value::Null));
        assert_eq!(list("nobody", "x"), (0, None, Value::Null));
    }
}
