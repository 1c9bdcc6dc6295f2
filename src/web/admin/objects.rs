//! What the pages of folders, groups, roles and administrators share: lists that are
//! searched and cut into pages, what a call refused at the field it names, and the
//! question before something is deleted.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::error::Result;
use crate::model::AdminPermission;
use crate::provider::Page;
use crate::web::error::ApiError;
use crate::web::operations::versions::{IfMatch, Versioned, require_form_version};
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::{FieldErrors, Form};
use crate::web::pages::signed::Signed;
use crate::web::request::auth::Right;

/// How many rows a page of a list has.
const PER_PAGE: u32 = 50;

/// Which part of a list is shown, as it stands in the URL: the parameters of the list of
/// the REST API, and a number of the page.
pub struct ListView {
    q: String,
    /// What is set of the filters.
    filters: Vec<(&'static str, String)>,
    /// The first one is what the list is sorted by unless something else is asked for.
    sorts: Vec<&'static str>,
    sort: &'static str,
    is_descending: bool,
    page: u32,
}

/// A page of what a list shows.
pub struct Listed<T> {
    pub shown: Vec<T>,
    matching: u64,
    /// Counted from 1.
    page: u32,
}

impl ListView {
    /// Takes the query of `request` apart; a page that cannot be is the first one.
    ///
    /// # Errors
    /// 400 for what is no query.
    pub fn of<T>(
        request: &HttpRequest,
        filters: &[&'static str],
        sorts: &[(&'static str, T)],
    ) -> Result<Self, ApiError> {
        let form = Form::parse(request.query_string().as_bytes())?;
        let sorts: Vec<&'static str> = sorts.iter().map(|(key, _)| *key).collect();
        let asked = sorts.iter().find(|key| **key == form.get("sort"));
        let set = filters.iter().map(|name| (*name, form.get(name).to_owned()));
        Ok(Self {
            q: form.get("q").to_owned(),
            filters: set.filter(|(_, value)| !value.is_empty()).collect(),
            sort: asked.or(sorts.first()).copied().unwrap_or_default(),
            sorts,
            is_descending: form.get("order").eq_ignore_ascii_case("DESC"),
            page: form.trimmed("page").parse().unwrap_or(1).max(1),
        })
    }

    /// The page that is wanted, or the last one if there are not so many.
    pub async fn read<T>(
        &self,
        find: impl AsyncFn(Page) -> Result<(Vec<T>, u64), ApiError>,
    ) -> Result<Listed<T>, ApiError> {
        let page = |number: u32| Page {
            offset: (number - 1).saturating_mul(PER_PAGE),
            limit: PER_PAGE,
            descending: self.is_descending,
        };
        let (shown, matching) = find(page(self.page)).await?;
        let last = u32::try_from(matching.div_ceil(PER_PAGE.into())).unwrap_or(u32::MAX).max(1);
        if self.page <= last {
            return Ok(Listed { shown, matching, page: self.page });
        }
        let (shown, matching) = find(page(last)).await?;
        Ok(Listed { shown, matching, page: last })
    }

    /// For the search field, the headings and the links to other pages; there are `total`
    /// objects in all.
    pub fn frame<T>(&self, listed: &Listed<T>, total: u64) -> Value {
        let first = u64::from(listed.page - 1) * u64::from(PER_PAGE);
        let to = first + listed.shown.len() as u64;
        let at = |page: u32| self.query(self.sort, self.is_descending, page);
        let headings = self.sorts.iter().map(|key| ((*key).to_owned(), self.heading(key)));
        let hidden: Vec<(&str, &str)> = match self.is_default_order() {
            true => Vec::new(),
            false => vec![("sort", self.sort), ("order", order(self.is_descending))],
        };
        json!({
            "q": self.q,
            "filters": self.filters,
            "hidden": hidden,
            "here": at(1),
            "total": total,
            "matching": listed.matching,
            "from": if listed.matching == 0 { 0 } else { first + 1 },
            "to": to,
            "previous": (listed.page > 1).then(|| at(listed.page - 1)),
            "next": (to < listed.matching).then(|| at(listed.page.saturating_add(1))),
            "headings": headings.collect::<serde_json::Map<_, _>>(),
        })
    }

    fn is_default_order(&self) -> bool {
        Some(&self.sort) == self.sorts.first() && !self.is_descending
    }

    /// How the list is sorted by this now, and the query that sorts it: names from the
    /// first, and of everything else what is large or late.
    fn heading(&self, key: &'static str) -> Value {
        let sorted = match (key == self.sort, self.is_descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        let is_name = Some(&key) == self.sorts.first();
        let descending = match sorted {
            "" => !is_name,
            sorted => sorted == "ascending",
        };
        json!({ "sorted": sorted, "query": self.query(key, descending, 1) })
    }

    /// The query that leads there; nothing that has its default.
    fn query(&self, sort: &str, descending: bool, page: u32) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if !self.q.is_empty() {
            pairs.push(("q", self.q.clone()));
        }
        pairs.extend(self.filters.iter().cloned());
        if self.sorts.first().is_none_or(|first| *first != sort) {
            pairs.push(("sort", sort.to_owned()));
        }
        if descending {
            pairs.push(("order", order(descending).to_owned()));
        }
        if page > 1 {
            pairs.push(("page", page.to_string()));
        }
        let query = serde_urlencoded::to_string(pairs).unwrap_or_default();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

fn order(is_descending: bool) -> &'static str {
    if is_descending { "DESC" } else { "ASC" }
}

/// How many a list finds in all.
pub async fn count_found<T>(
    find: impl AsyncFn(Page) -> Result<(Vec<T>, u64), ApiError>,
) -> Result<u64, ApiError> {
    Ok(find(Page { limit: 1, ..Page::default() }).await?.1)
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

/// The field with the state that a form or a question has been made from.
const SEEN: &str = "seen";

/// Whether somebody has changed the object since the form was shown.
pub fn is_outdated<T: Versioned>(form: &Form, stored: &T) -> bool {
    require_form_version(stored, form.get(SEEN)).is_err()
}

/// The same, asked in the very step of the change.
pub fn unless_outdated<T: Versioned>(form: &Form) -> impl Fn(&T) -> Result<()> + Send + 'static {
    let seen = form.get(SEEN).to_owned();
    move |stored: &T| require_form_version(stored, &seen)
}

/// The object must be what the question showed before it was deleted, with all whom that
/// concerns.
pub fn as_asked(form: &Form) -> IfMatch {
    IfMatch::tag(form.get(SEEN))
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
    /// The state of the object that is asked about.
    pub seen: String,
    /// Whether somebody changed it after it was asked about before.
    pub is_again: bool,
}

impl Deletion<'_> {
    /// The question as a page; a refusal, and asking again, has the status 409.
    pub async fn ask<R: Right>(self, signed: &Signed<R>) -> Result<HttpResponse, PageError> {
        let status = match self.refused.is_some() || self.is_again {
            true => StatusCode::CONFLICT,
            false => StatusCode::OK,
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
            "seen": self.seen,
            "is_again": self.is_again,
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
    use actix_web::test::TestRequest;

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

    const SORTS: [(&str, ()); 2] = [("name", ()), ("size", ())];

    fn view(query: &str) -> ListView {
        let request = TestRequest::with_uri(&format!("/x?{query}")).to_http_request();
        ListView::of(&request, &["status"], &SORTS).expect("a query")
    }

    #[actix_web::test]
    async fn a_list_is_cut_into_pages() {
        let find = async |page: Page| {
            let numbers = (0..120u32).skip(page.offset as usize).take(page.limit as usize);
            Ok((numbers.collect::<Vec<_>>(), 120))
        };
        for (page, first, previous, next) in [
            ("", 0, Value::Null, json!("?page=2")),
            ("page=2", 50, json!(""), json!("?page=3")),
            ("page=3", 100, json!("?page=2"), Value::Null),
            ("page=99", 100, json!("?page=2"), Value::Null),
            ("page=4294967295", 100, json!("?page=2"), Value::Null),
            ("page=-1", 0, Value::Null, json!("?page=2")),
        ] {
            let view = view(page);
            let listed = view.read(find).await.expect("listed");
            let frame = view.frame(&listed, 120);
            assert_eq!(listed.shown[0], first, "{page}");
            assert_eq!((&frame["previous"], &frame["next"]), (&previous, &next), "{page}");
        }
        let nothing = async |_: Page| Ok((Vec::<u32>::new(), 0));
        let listed = view("page=7").read(nothing).await.expect("listed");
        assert_eq!((listed.page, listed.matching), (1, 0));
        assert_eq!(count_found(find).await.expect("counted"), 120);
    }

    #[test]
    fn links_keep_what_is_asked_for() {
        let table = [
            ("", "?order=DESC", "?sort=size&order=DESC"),
            ("sort=x&order=odd&status=&other=1", "?order=DESC", "?sort=size&order=DESC"),
            ("q=a%20b", "?q=a+b&order=DESC", "?q=a+b&sort=size&order=DESC"),
            ("status=on&sort=size&order=DESC&page=2", "?status=on", "?status=on&sort=size"),
            ("sort=size&order=ASC", "", "?sort=size&order=DESC"),
            ("order=DESC", "", "?sort=size&order=DESC"),
        ];
        for (query, name, size) in table {
            let view = view(query);
            assert_eq!(view.heading("name")["query"], name, "{query}");
            assert_eq!(view.heading("size")["query"], size, "{query}");
        }
        assert_eq!(view("").heading("name")["sorted"], "ascending");
        assert_eq!(view("").heading("size")["sorted"], "");
        assert_eq!(view("sort=size&order=DESC").heading("size")["sorted"], "descending");
    }
}
