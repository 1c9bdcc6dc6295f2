//! Who has access, and who needs a look?

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::timestamp::now_unix_ms;
use crate::model::{AdminPermission, EffectiveLimits, GroupMapping, User};
use crate::provider::Page;
use crate::web::admin::users::{list_path, path_of};
use crate::web::error::ApiError;
use crate::web::operations::accounts::UserQuota;
use crate::web::operations::user_query::UserListQuery;
use crate::web::pages::amount;
use crate::web::pages::error::PageError;
use crate::web::pages::form::Form;
use crate::web::pages::signed::Signed;
use crate::web::request::auth::{Right, ViewUsers};

const DEFAULT_PER: u32 = 50;
const SIZES: [u32; 4] = [25, 50, 100, 200];
const DEFAULT_SORT: &str = "username";

/// Columns besides the name: key, heading, and what the list is sorted by with it.
const COLUMNS: [(&str, &str, Option<&str>); 9] = [
    ("status", "Status", None),
    ("groups", "Groups", None),
    ("storage", "Storage", None),
    ("quota", "Quota", Some("used_quota_size")),
    ("login", "Last login", Some("last_login")),
    ("expires", "Expires", Some("expiration_date")),
    ("role", "Role", None),
    ("email", "E-mail", None),
    ("created", "Created", Some("created_at")),
];
const DEFAULT_COLUMNS: [&str; 6] = ["status", "groups", "storage", "quota", "login", "expires"];

/// Filters that have names: value of `status`, label, and what the first line says of it.
const STATES: [(&str, &str); 6] = [
    ("enabled", "Enabled"),
    ("disabled", "Disabled"),
    ("expired", "Expired"),
    ("expiring", "Expires within 7 days"),
    ("quota", "Above 90% of the quota"),
    ("never", "Never logged in"),
];

/// Which part of which list is shown, as it stands in the URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Where the list is.
    path: String,
    pub q: String,
    pub status: String,
    pub group: String,
    pub role: String,
    /// A key of `/api/v2/users`, with `-` in front for the last first.
    sort: String,
    page: u32,
    per: u32,
    cols: Vec<String>,
}

impl View {
    /// Takes a query apart; what makes no sense has its default.
    pub fn of(form: &Form, path: String) -> Self {
        let number = |name: &str| form.trimmed(name).parse::<u32>().ok();
        let known = |sort: &&str| {
            let key = sort.trim_start_matches('-');
            key == DEFAULT_SORT || COLUMNS.iter().any(|(.., by)| *by == Some(key))
        };
        let chosen: Vec<&str> = form.all("cols").flat_map(|cols| cols.split(',')).collect();
        let has_choice = form.has("cols");
        let is_shown = |key: &str| match has_choice {
            true => chosen.contains(&key),
            false => DEFAULT_COLUMNS.contains(&key),
        };
        let columns = COLUMNS.iter().map(|(key, ..)| *key).filter(|key| is_shown(key));
        Self {
            path,
            q: form.trimmed("q").to_owned(),
            status: form.trimmed("status").to_owned(),
            group: form.trimmed("group").to_owned(),
            role: form.trimmed("role").to_owned(),
            sort: Some(form.trimmed("sort")).filter(known).unwrap_or(DEFAULT_SORT).to_owned(),
            page: number("page").unwrap_or(1).max(1),
            per: number("per").filter(|per| SIZES.contains(per)).unwrap_or(DEFAULT_PER),
            cols: columns.map(str::to_owned).collect(),
        }
    }

    /// The filter as the REST API takes it.
    pub fn query(&self) -> UserListQuery {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        UserListQuery {
            q: some(&self.q),
            status: some(&self.status),
            group: some(&self.group),
            role: some(&self.role),
            sort: Some(self.sort.trim_start_matches('-').to_owned()),
        }
    }

    fn page_wanted(&self) -> Result<Page, ApiError> {
        let offset = (self.page - 1).checked_mul(self.per);
        let offset = offset.filter(|offset| i32::try_from(*offset).is_ok());
        let offset = offset.ok_or_else(|| ApiError::bad_request("page: is out of range"))?;
        Ok(Page { offset, limit: self.per, descending: self.sort.starts_with('-') })
    }

    /// The query that leads here again; nothing that has its default.
    pub fn href(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        let texts = [
            ("q", &self.q),
            ("status", &self.status),
            ("group", &self.group),
            ("role", &self.role),
        ];
        for (name, text) in texts {
            if !text.is_empty() {
                pairs.push((name, text.clone()));
            }
        }
        if self.sort != DEFAULT_SORT {
            pairs.push(("sort", self.sort.clone()));
        }
        if self.page > 1 {
            pairs.push(("page", self.page.to_string()));
        }
        if self.per != DEFAULT_PER {
            pairs.push(("per", self.per.to_string()));
        }
        if self.cols != DEFAULT_COLUMNS {
            pairs.push(("cols", self.cols.join(",")));
        }
        let query = serde_urlencoded::to_string(&pairs).unwrap_or_default();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// Everybody, with the same columns.
    fn unfiltered(&self) -> Self {
        Self { cols: self.cols.clone(), ..Self::of(&Form::default(), self.path.clone()) }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut other = self.clone();
        other.page = 1;
        change(&mut other);
        other.href()
    }

    /// Heading, and for what can be sorted the link that does and the way it is sorted now.
    fn headings(&self) -> Vec<Value> {
        let name = ("name", "Username", Some(DEFAULT_SORT));
        let shown = COLUMNS.into_iter().filter(|(key, ..)| self.cols.iter().any(|c| c == key));
        std::iter::once(name)
            .chain(shown)
            .map(|(key, label, by)| {
                let sorted = match by {
                    Some(by) if self.sort == by => "ascending",
                    Some(by) if self.sort.strip_prefix('-') == Some(by) => "descending",
                    _ => "",
                };
                // What is large or late is looked for first.
                let first = |by: &str| match by {
                    DEFAULT_SORT => by.to_owned(),
                    _ => format!("-{by}"),
                };
                let next = by.map(|by| match sorted {
                    "ascending" => format!("-{by}"),
                    "descending" => by.to_owned(),
                    _ => first(by),
                });
                let href = next.map(|sort| self.with(|view| view.sort = sort));
                json!({ "key": key, "label": label, "href": href, "sorted": sorted })
            })
            .collect()
    }
}

pub async fn page(
    signed: Signed<ViewUsers>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let view = View::of(&Form::parse(request.query_string().as_bytes())?, list_path(&request));
    let services = signed.services();
    services.store_settled_usage().await;
    let visible = services.users_of(&signed.admin);
    let (users, total) =
        visible.find_with_limits(view.query().checked()?, view.page_wanted()?).await?;
    let rows: Vec<Value> = users
        .iter()
        .map(|(user, limits)| row(user, *limits, path_of(&signed.request, &user.username)))
        .collect();
    let per = u64::from(view.per);
    let first = u64::from(view.page - 1) * per;
    let may = |permission| signed.admin.may(permission);
    let content = json!({
        "view": view,
        "here": view.href(),
        "clear": view.unfiltered().href(),
        "first_line": first_line(&signed, &view).await?,
        "total": total,
        "rows": rows,
        "headings": view.headings(),
        "columns": COLUMNS.iter().map(|(key, label, _)| json!({
            "key": key,
            "label": label,
            "shown": view.cols.iter().any(|col| col == key),
            "by_default": DEFAULT_COLUMNS.contains(key),
        })).collect::<Vec<_>>(),
        "has_choice": view.cols != DEFAULT_COLUMNS,
        "states": STATES,
        "sizes": SIZES,
        "first": first + 1,
        "last": first + rows_shown(users.len()),
        "previous": (view.page > 1).then(|| view.with(|other| other.page = view.page - 1)),
        "next": (first + per < total).then(|| view.with(|other| other.page = view.page + 1)),
        "may_add": may(AdminPermission::AddUsers),
        "may_edit": may(AdminPermission::EditUsers),
        "may_delete": may(AdminPermission::DelUsers),
        "may_choose_role": signed.admin.role().is_none(),
        "may_kill": may(AdminPermission::CloseConns),
        "may_see_sessions": may(AdminPermission::ViewConns),
    });
    signed.page("admin/users.html", "users", "Users", content).await
}

fn rows_shown(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How many users there are, and how many of them need a look, with links to them.
async fn first_line<R: Right>(signed: &Signed<R>, view: &View) -> Result<Value, PageError> {
    let visible = signed.services().users_of(&signed.admin);
    let one = Page { limit: 1, ..Page::default() };
    let mut counts = Vec::new();
    for status in ["", "expiring", "quota", "never"] {
        let query = UserListQuery { status: Some(status.to_owned()), ..UserListQuery::default() };
        let (_, count) = visible.find(query.checked()?, one).await?;
        let href = view.unfiltered().with(|other| status.clone_into(&mut other.status));
        counts.push(json!({ "status": status, "count": count, "href": href }));
    }
    Ok(Value::Array(counts))
}

/// What the list says of a user.
fn row(user: &User, limits: EffectiveLimits, path: String) -> Value {
    let now = now_unix_ms();
    let week = now.saturating_add(7 * 24 * 60 * 60 * 1000);
    let expires = limits.expiration_date;
    json!({
        "username": user.username,
        "path": path,
        "about": if user.description.is_empty() { &user.email } else { &user.description },
        "email": user.email,
        "role": user.role,
        "state": state(user, limits),
        "groups": groups(user),
        "quota": quota(user, limits),
        "last_login": user.last_login,
        "created_at": user.created_at,
        "expires": expires,
        "expires_by_group": user.primary_group().filter(|_| expires != user.expiration_date),
        "expires_kind": match expires {
            0 => "never",
            at if at <= now => "past",
            at if at <= week => "soon",
            _ => "later",
        },
    })
}

/// The groups of a user; of those that give nothing it is said.
fn groups(user: &User) -> String {
    let told = |group: &GroupMapping| match group.kind {
        GroupMapping::MEMBERSHIP => format!("{} (member only)", group.name),
        _ => group.name.clone(),
    };
    user.groups.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// Whether a user can log in: kind of dot, and words.
pub fn state(user: &User, limits: EffectiveLimits) -> Value {
    let (kind, words) = match (user.is_enabled(), limits.is_expired(now_unix_ms())) {
        (false, _) => ("off", "Disabled"),
        (true, true) => ("warn", "Expired"),
        (true, false) => ("", "Enabled"),
    };
    json!({ "kind": kind, "words": words })
}

/// How much of the quota that holds is used; the fuller of size and files.
pub fn quota(user: &User, limits: EffectiveLimits) -> Value {
    let used = UserQuota::of(user, limits);
    let at_least_0 = |value: i64| u64::try_from(value).unwrap_or(0);
    let limit = |value: i64| Some(at_least_0(value)).filter(|limit| *limit > 0);
    let fullness = used.fullness();
    let is_by_files = fullness.is_some_and(|fullness| fullness.is_by_files);
    let is_inherited = match is_by_files {
        true => used.quota_files != user.quota_files,
        false => used.quota_size != user.quota_size,
    };
    let percent = fullness.map(|fullness| fullness.percent);
    let (size_text, limit_text) = amount::used_and_limit(used.used_quota_size, used.quota_size);
    json!({
        "size": at_least_0(used.used_quota_size),
        "files": at_least_0(used.used_quota_files),
        "size_limit": limit(used.quota_size),
        "size_text": size_text,
        "size_limit_text": limit_text,
        "files_limit": limit(used.quota_files),
        "is_by_files": is_by_files,
        "of_group": user.primary_group().filter(|_| is_inherited),
        "percent": percent,
        "shown": percent.unwrap_or(0).min(100),
        "kind": match percent {
            Some(95..) => "bad",
            Some(80..) => "warn",
            _ => "",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/web/admin/users";

    fn view(query: &str) -> View {
        View::of(&Form::parse(query.as_bytes()).expect("a query"), PATH.to_owned())
    }

    #[test]
    fn a_view_is_a_link() {
        for (query, href) in [
            ("", ""),
            ("q=&status=&page=1&per=50&sort=username", ""),
            ("q=a%20b&page=2", "q=a+b&page=2"),
            ("status=never&sort=-last_login&per=25", "status=never&sort=-last_login&per=25"),
            ("sort=password&per=7&page=0", ""),
            ("cols=quota&cols=status", "cols=status%2Cquota"),
            ("cols=status,evil", "cols=status"),
            ("cols=", "cols="),
        ] {
            let want = if href.is_empty() { PATH.to_owned() } else { format!("{PATH}?{href}") };
            assert_eq!(view(query).href(), want, "{query}");
        }
    }

    #[test]
    fn a_page_that_cannot_be_is_refused() {
        assert!(view("page=4294967295&per=200").page_wanted().is_err());
        let page = view("page=3&per=25&sort=-last_login").page_wanted().expect("a page");
        assert_eq!(page, Page { offset: 50, limit: 25, descending: true });
    }

    #[test]
    fn all_groups_are_listed_and_those_that_give_nothing_marked() {
        let group = |name: &str, kind| GroupMapping { name: name.to_owned(), kind };
        let user = User {
            groups: vec![
                group("staff", GroupMapping::PRIMARY),
                group("audit", GroupMapping::MEMBERSHIP),
                group("design", GroupMapping::SECONDARY),
            ],
            ..User::default()
        };
        assert_eq!(groups(&user), "staff, audit (member only), design");
    }

    #[test]
    fn the_quota_that_is_fuller_is_told() {
        let shown = |size: i64, files: i64| {
            let user = User {
                groups: vec![GroupMapping { name: "g".to_owned(), kind: GroupMapping::PRIMARY }],
                quota_files: 10,
                used_quota_size: size,
                used_quota_files: files,
                ..User::default()
            };
            quota(&user, EffectiveLimits { quota_size: 1_000, quota_files: 10, expiration_date: 0 })
        };
        for (size, files, percent, kind) in
            [(0, 0, 0, ""), (800, 1, 80, "warn"), (10, 10, 100, "bad"), (5_000, 0, 500, "bad")]
        {
            let quota = shown(size, files);
            assert_eq!((quota["percent"].as_u64(), &quota["kind"]), (Some(percent), &json!(kind)));
        }
        // The size is the group's, the number of files the own.
        assert_eq!(shown(800, 1)["of_group"], json!("g"));
        assert_eq!(shown(10, 10)["of_group"], Value::Null);
        let unlimited = User::default();
        let quota = quota(&unlimited, EffectiveLimits::default());
        assert_eq!(quota["percent"], Value::Null);
    }
}
