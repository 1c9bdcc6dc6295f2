//! Filling in a page: what every page has around its own content.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;

use super::error::PageError;
use super::signed::{Signed, is_background};
use crate::model::AdminPermission;
use crate::web::request::auth::Right;
use crate::web::services::Binding;

/// The cookie with the choice of light or dark.
const THEME_COOKIE: &str = "sftpgo_theme";

/// Where the pages of administrators are, below the root of all pages.
pub const ROOT: &str = "/web/admin";

/// One entry of the navigation.
#[derive(Debug, Serialize)]
struct Entry {
    key: &'static str,
    label: &'static str,
    path: &'static str,
    icon: &'static str,
    count: Option<u64>,
}

/// Where everything is: heading, then key, label, path below the pages of administrators,
/// icon, and the permission without which it is absent.
type Section = (&'static str, &'static [Place]);
type Place = (&'static str, &'static str, &'static str, &'static str, Option<AdminPermission>);

const NAVIGATION: [Section; 3] = [
    (
        "",
        &[
            ("overview", "Overview", "", "overview", None),
            (
                "connections",
                "Connections",
                "/connections",
                "connections",
                Some(AdminPermission::ViewConns),
            ),
            ("events", "Events", "/events", "events", Some(AdminPermission::ViewEvents)),
        ],
    ),
    (
        "Access",
        &[
            ("users", "Users", "/users", "users", Some(AdminPermission::ViewUsers)),
            ("groups", "Groups", "/groups", "groups", Some(AdminPermission::ManageGroups)),
            ("folders", "Folders", "/folders", "folders", Some(AdminPermission::ManageFolders)),
            ("roles", "Roles", "/roles", "roles", Some(AdminPermission::ManageRoles)),
            ("tester", "Permission tester", "/tester", "tester", Some(AdminPermission::ViewUsers)),
            ("admins", "Admins", "/admins", "admins", Some(AdminPermission::ManageAdmins)),
        ],
    ),
    (
        "Server",
        &[
            ("status", "Status", "/status", "status", Some(AdminPermission::ViewStatus)),
            ("scans", "Quota scans", "/scans", "scans", Some(AdminPermission::QuotaScans)),
            ("tasks", "Tasks", "/tasks", "tasks", None),
            (
                "maintenance",
                "Maintenance",
                "/maintenance",
                "maintenance",
                Some(AdminPermission::Any),
            ),
        ],
    ),
];

impl<R: Right> Signed<R> {
    /// A page of the navigation entry `section`, with its own values in `content`.
    ///
    /// # Errors
    /// When the template does not fit the values, which is a mistake of ours.
    pub async fn page(
        &self,
        template: &str,
        section: &str,
        title: &str,
        content: Value,
    ) -> Result<HttpResponse, PageError> {
        self.page_with(StatusCode::OK, template, section, title, content).await
    }

    /// As [`Signed::page`], with another status.
    pub async fn page_with(
        &self,
        status: StatusCode,
        template: &str,
        section: &str,
        title: &str,
        content: Value,
    ) -> Result<HttpResponse, PageError> {
        let mut frame = Frame::of(&self.request, title)?;
        frame.section = section.to_owned();
        frame.csrf = self.session.csrf.clone();
        frame.session_left_secs = Some(self.session.left_secs);
        frame.navigation = self.navigation().await;
        frame.admin = Some(Person {
            username: self.username().to_owned(),
            initials: initials(self.username()),
            rights: self.rights(),
        });
        // A page that loads itself anew must not take what the next one shall show.
        if !is_background(&self.request) {
            frame.notice = self.pages.sessions.take_notice(&self.session);
        }
        let html = self.pages.templates.render(template, Whole { page: frame, content })?;
        Ok(html_response(status, html))
    }

    async fn navigation(&self) -> Vec<(&'static str, Vec<Entry>)> {
        let sessions = self.visible_sessions().await;
        let tasks = u64::try_from(self.services().tasks.running(&self.admin)).ok();
        let count = |key: &str| match key {
            "connections" => sessions,
            "tasks" => tasks.filter(|running| *running > 0),
            _ => None,
        };
        let mut navigation = Vec::new();
        for (heading, places) in NAVIGATION {
            let visible = places.iter().filter(|(.., permission)| {
                permission.is_none_or(|permission| self.admin.may(permission))
            });
            let entries: Vec<Entry> = visible
                .map(|&(key, label, path, icon, _)| Entry {
                    key,
                    label,
                    path,
                    icon,
                    count: count(key),
                })
                .collect();
            if !entries.is_empty() {
                navigation.push((heading, entries));
            }
        }
        navigation
    }

    /// How many sessions there are of those that this administrator may see.
    async fn visible_sessions(&self) -> Option<u64> {
        if !self.admin.may(AdminPermission::ViewConns) {
            return None;
        }
        let visible = self.services().users_of(&self.admin).names().await.ok()?;
        let snapshot = self.pages.live.snapshot(self.services()).await;
        u64::try_from(snapshot.seen_by(&visible).count()).ok()
    }

    /// The places of the navigation that are for this administrator: label and path.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let places = NAVIGATION.iter().flat_map(|(_, places)| places.iter());
        places
            .filter(|(.., permission)| permission.is_none_or(|one| self.admin.may(one)))
            .map(|&(_, label, path, ..)| (label, path))
    }

    fn rights(&self) -> String {
        match (self.admin.may_everything(), self.admin.role()) {
            (true, _) => "Full access".to_owned(),
            (false, Some(role)) => format!("Role {role}"),
            (false, None) => "Some rights".to_owned(),
        }
    }
}

/// All that a template is given.
#[derive(Serialize)]
struct Whole {
    page: Frame,
    #[serde(flatten)]
    content: Value,
}

/// What surrounds the content of a page.
#[derive(Debug, Serialize)]
struct Frame {
    title: String,
    section: String,
    /// What links to pages of administrators begin with.
    root: String,
    /// What links to assets begin with.
    assets: String,
    theme: &'static str,
    /// The page itself, to come back to.
    path: String,
    host: String,
    uptime_secs: u64,
    version: String,
    csrf: String,
    session_left_secs: Option<u64>,
    navigation: Vec<(&'static str, Vec<Entry>)>,
    admin: Option<Person>,
    notice: Option<super::sessions::Notice>,
}

#[derive(Debug, Serialize)]
struct Person {
    username: String,
    initials: String,
    rights: String,
}

impl Frame {
    fn of(request: &HttpRequest, title: &str) -> Result<Self, PageError> {
        let binding = Binding::of(request)?;
        let pages = super::signed::pages_of(&binding)?;
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        Ok(Self {
            title: title.to_owned(),
            section: String::new(),
            root: admin_root(request),
            assets: binding.edge.link(&pages.assets.base()),
            theme: theme(request),
            path: request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned(),
            host: host.unwrap_or_default().to_owned(),
            uptime_secs: binding.services.started.elapsed().as_secs(),
            version: binding.services.version.version.clone(),
            csrf: String::new(),
            session_left_secs: None,
            navigation: Vec::new(),
            admin: None,
            notice: None,
        })
    }
}

/// A page for whoever is not signed in; `csrf` is in its context.
///
/// # Errors
/// As [`Signed::page`].
pub fn render_alone(
    request: &HttpRequest,
    template: &str,
    status: StatusCode,
    content: Value,
) -> Result<HttpResponse, PageError> {
    let binding = Binding::of(request)?;
    let pages = super::signed::pages_of(&binding)?;
    let title = content["title"].as_str().unwrap_or("SFTPGo").to_owned();
    let frame = Frame::of(request, &title)?;
    let html = pages.templates.render(template, Whole { page: frame, content })?;
    Ok(html_response(status, html))
}

fn html_response(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html)
}

/// Where the pages of administrators begin.
pub fn admin_root(request: &HttpRequest) -> String {
    match request.app_data::<Data<Binding>>() {
        Some(binding) => binding.edge.link(ROOT),
        None => ROOT.to_owned(),
    }
}

/// 303: what a form has done is looked at on another page.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// A path of our own pages that a form may lead back to; anything else is the start page.
pub fn own_path(request: &HttpRequest, wanted: &str) -> String {
    let root = admin_root(request);
    let is_ours = wanted == root
        || wanted.strip_prefix(&root).is_some_and(|rest| rest.starts_with(['/', '?']));
    let is_plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_inside = !wanted.split(['/', '?']).any(|part| part == "..");
    if is_ours && is_plain && is_inside { wanted.to_owned() } else { root }
}

fn theme(request: &HttpRequest) -> &'static str {
    match request.cookie(THEME_COOKIE).as_ref().map(|cookie| cookie.value()) {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "auto",
    }
}

/// The cookie that remembers `theme`; anything but `light` and `dark` follows the system.
pub fn theme_cookie(request: &HttpRequest, theme: &str) -> actix_web::cookie::Cookie<'static> {
    let chosen = match theme {
        "light" => "light",
        "dark" => "dark",
        _ => "auto",
    };
    actix_web::cookie::Cookie::build(THEME_COOKIE, chosen)
        .path("/")
        .http_only(true)
        .same_site(actix_web::cookie::SameSite::Strict)
        .secure(super::signed::is_secure(request))
        .max_age(actix_web::cookie::time::Duration::days(365))
        .finish()
}

/// The first letters of a name, for a picture of its bearer.
fn initials(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let letters = words.take(2).filter_map(|word| word.chars().next());
    letters.flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn forms_lead_back_to_our_own_pages_only() {
        let request = TestRequest::default().to_http_request();
        for ours in ["/web/admin", "/web/admin/users?q=a%20b&page=2", "/web/admin?x=1"] {
            assert_eq!(own_path(&request, ours), ours);
        }
        for other in [
            "",
            "//evil.example",
            "https://evil.example/web/admin",
            "/web/administrators",
            "/web/admin/../../api",
            "/web/admin/a\r\nSet-Cookie: x",
            "/web/admin\\evil",
            "/api/v2",
        ] {
            assert_eq!(own_path(&request, other), "/web/admin", "{other:?}");
        }
    }

    #[test]
    fn people_have_initials() {
        for (name, letters) in
            [("ruth.hale", "RH"), ("root", "R"), ("a b c", "AB"), ("éva", "É"), ("--", "")]
        {
            assert_eq!(initials(name), letters);
        }
    }
}
