//! Events: what just happened, as the log of this process tells it.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::event_words;
use crate::auth::LoginFailure;
use crate::model::AdminPermission;
use crate::model::timestamp::now_unix_ms;
use crate::web::api::logs::{LogLine, TailQuery};
use crate::web::pages::error::PageError;
use crate::web::pages::live::{Cells, Line, Show, View};
use crate::web::pages::page::admin_root;
use crate::web::pages::signed::Signed;
use crate::web::pages::text;
use crate::web::request::auth::ViewEvents;
use crate::web::services::Services;
use crate::web::url::segment;

/// Lines on the page; as many are looked through per message.
const LINES: usize = 200;
/// The longest text of a cell, in characters: lines can hold whole requests.
const LONGEST: usize = 600;

/// Who speaks most, to be chosen from; others can be typed.
const SENDERS: [(&str, &str); 9] = [
    ("login", "Sign-ins"),
    ("connection_failed", "Failed sign-ins"),
    ("Upload", "Uploads"),
    ("Download", "Downloads"),
    ("Rename", "Renamed files"),
    ("Remove", "Removed files"),
    ("SSHCommand", "SSH commands"),
    ("httpd", "Web and REST"),
    ("service", "The server itself"),
];

/// Which lines are asked for. What admins do in these pages themselves would drown the rest,
/// so requests are left out unless they are asked for: by `hide_requests=0`, or by who
/// answers them.
pub fn wanted(asked: TailQuery) -> TailQuery {
    let hides = asked.hide_requests.as_deref().filter(|hides| !hides.is_empty());
    let of_requests = matches!(asked.sender.as_deref(), Some("httpd" | "telemetry"));
    let default = if of_requests { "0" } else { "1" };
    TailQuery { hide_requests: Some(hides.unwrap_or(default).to_owned()), ..asked }
}

/// Where the name in a line leads.
#[derive(Default)]
pub struct Links {
    root: String,
    to_users: bool,
    /// Those named by the lines who are administrators, for who may manage them.
    admins: BTreeSet<String>,
}

impl Links {
    /// For these lines.
    async fn of(by: &Signed<ViewEvents>, lines: &[LogLine]) -> Result<Self, PageError> {
        let mut links = Self {
            root: admin_root(&by.request),
            to_users: by.admin.may(AdminPermission::ViewUsers),
            admins: BTreeSet::new(),
        };
        if by.admin.may(AdminPermission::ManageAdmins) {
            let named: BTreeSet<&str> = lines
                .iter()
                .filter(|line| is_of_the_web(&line.members))
                .map(|line| text_of(&line.members, "username"))
                .collect();
            for name in named {
                if by.services().store.admin(name).await?.is_some() {
                    links.admins.insert(name.to_owned());
                }
            }
        }
        Ok(links)
    }

    /// To the account, if the line is about one that can be seen; else to all that the log
    /// has of the name.
    fn of_name(&self, members: &Map<String, Value>) -> String {
        let (root, name) = (&self.root, text_of(members, "username"));
        let protocol = text_of(members, "protocol");
        let is_unknown = text_of(members, "error") == LoginFailure::UserNotFound.to_string();
        if is_of_the_web(members) && self.admins.contains(name) {
            format!("{root}/admins/{}", segment(name))
        } else if self.to_users && !["", WEB].contains(&protocol) && !is_unknown {
            format!("{root}/users/{}", segment(name))
        } else {
            format!("{root}/events?username={}", segment(name))
        }
    }
}

/// The protocol of administrators.
const WEB: &str = "HTTP";

fn is_of_the_web(members: &Map<String, Value>) -> bool {
    text_of(members, "protocol") == WEB
}

/// What the line tells, in the words of the page.
pub fn cells(line: &LogLine, links: &Links) -> Cells {
    let members = &line.members;
    let root = &links.root;
    let level = match text_of(members, "level") {
        "error" => "bad",
        "warn" => "warn",
        _ => "",
    };
    let (id, id_link) = match (text_of(members, "connection_id"), text_of(members, "request_id")) {
        ("", request) => (request, format!("{root}/events?hide_requests=0&q={}", segment(request))),
        (session, _) => (session, format!("{root}/events?q={}", segment(session))),
    };
    let (told, rest) = event_words::told(members);
    let (time, at, full) = match line.logged_at {
        Some(at) => (text::clock(at, now_unix_ms()), text::machine(at), text::absolute(at)),
        None => (shown(text_of(members, "time")), String::new(), String::new()),
    };
    Cells::from([
        ("time", time),
        ("at", at),
        ("full", full),
        ("level", shown(text_of(members, "level"))),
        ("tone", level.to_owned()),
        ("sender", shown(text_of(members, "sender"))),
        ("user", shown(text_of(members, "username"))),
        ("user_link", links.of_name(members)),
        ("id", shown(id)),
        ("id_link", id_link),
        ("told", shown(&told)),
        ("details", rest.iter().map(|part| shown(part)).collect::<Vec<_>>().join("\n")),
    ])
}

fn text_of<'a>(members: &'a Map<String, Value>, key: &str) -> &'a str {
    members.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What clients wrote may hide nothing, and not fill the page.
fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    text::visible(&cut)
}

pub async fn page(
    signed: Signed<ViewEvents>,
    query: Query<TailQuery>,
) -> Result<HttpResponse, PageError> {
    let asked = TailQuery { after: None, limit: Some(LINES.to_string()), ..query.into_inner() };
    let asked = wanted(asked);
    let tail = signed.services().log_tail(&signed.admin, &asked)?;
    let links = Links::of(&signed, &tail.lines).await?;
    let root = admin_root(&signed.request);
    let lines: Vec<Value> = tail
        .lines
        .iter()
        .rev()
        .map(|line| json!({ "key": line.id.to_string(), "cells": cells(line, &links) }))
        .collect();
    let filter: BTreeMap<&str, &str> = [
        ("q", &asked.q),
        ("level", &asked.level),
        ("sender", &asked.sender),
        ("username", &asked.username),
        ("failures", &asked.failures),
        ("hide_requests", &asked.hide_requests),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.as_deref().unwrap_or_default()))
    .collect();
    let hides_requests = filter["hide_requests"] == "1";
    let is_default = |(name, value): (&&str, &&str)| match *name {
        "hide_requests" => hides_requests,
        _ => value.is_empty(),
    };
    let query = serde_urlencoded::to_string(&filter).unwrap_or_default();
    let content = json!({
        "wanted": filter,
        "hides_requests": hides_requests,
        "is_filtered": !filter.iter().all(is_default),
        "has_log": signed.services().log_control.is_some(),
        "stream": format!("{root}/live/events?{query}&after={}", tail.last_id),
        "lines": lines,
        "nothing": {"tone": "", "level": "", "time": "", "at": "", "full": "", "sender": "", "user": "",
            "user_link": "", "id": "", "id_link": "", "told": "", "details": ""},
        "senders": SENDERS,
    });
    signed.page("admin/events.html", "events", "Events", content).await
}

/// The lines that follow.
pub struct Following {
    asked: TailQuery,
    /// The line up to which everything was looked at.
    last_id: u64,
}

impl Following {
    /// Goes on after the line that `returned` or the query names, or now.
    pub fn new(asked: TailQuery, returned: Option<u64>, newest: u64) -> Self {
        let after = asked.after.as_deref().and_then(|id| id.parse().ok());
        let last_id = returned.or(after).unwrap_or(newest);
        Self { asked: wanted(asked), last_id }
    }
}

impl Show for Following {
    type Right = ViewEvents;

    fn ticks(&self, services: &Services) -> Option<watch::Receiver<u64>> {
        services.log_control.as_ref().map(|control| control.tail().newest())
    }

    async fn view(&mut self, by: &Signed<ViewEvents>) -> Result<View, PageError> {
        let asked = TailQuery {
            after: Some(self.last_id.to_string()),
            limit: Some(LINES.to_string()),
            ..self.asked.clone()
        };
        let tail = by.services().log_tail(&by.admin, &asked)?;
        self.last_id = tail.last_id;
        let links = Links::of(by, &tail.lines).await?;
        let lines = tail.lines.iter();
        let lines = lines.map(|line| Line { key: line.id.to_string(), cells: cells(line, &links) });
        Ok(View { lines: lines.collect(), ..View::default() })
    }

    fn moment(&self) -> u64 {
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(members: Value) -> LogLine {
        let members = members.as_object().expect("an object").clone();
        LogLine { id: 1, logged_at: Some(1_000), members }
    }

    fn links() -> Links {
        Links {
            root: "/web/admin".to_owned(),
            to_users: true,
            admins: BTreeSet::from(["root".to_owned()]),
        }
    }

    #[test]
    fn a_line_is_told_with_all_that_it_says() {
        let cells = cells(
            &line(json!({
                "level": "error", "time": "2026-11-21T09:58:01.123", "sender": "Upload",
                "username": "a/b", "virtual_path": "/in/x", "size_bytes": 7, "ftp_mode": "",
                "connection_id": "SFTP_1_1", "error": "quota exceeded", "protocol": "SFTP",
                "remote_addr": "a\nb",
            })),
            &links(),
        );
        assert_eq!(cells["time"], "1 Jan 1970, 00:00:01 UTC");
        assert_eq!((cells["at"].as_str(), cells["tone"].as_str()), ("1970-01-01T00:00:01Z", "bad"));
        assert_eq!(cells["told"], "Uploading /in/x failed after 7 B: quota exceeded");
        assert_eq!(cells["details"], "protocol=SFTP\nremote_addr=a⟨U+000A⟩b");
        assert_eq!(cells["user_link"], "/web/admin/users/a%2Fb");
        assert_eq!(cells["id_link"], "/web/admin/events?q=SFTP_1_1");
    }

    #[test]
    fn nothing_hides_in_a_line_and_none_is_endless() {
        let long = "x".repeat(5_000);
        let members = json!({ "message": "a\u{202e}b\nc", "sender": long, "time": "é" });
        let cells = cells(&LogLine { logged_at: None, ..line(members) }, &Links::default());
        assert_eq!(cells["told"], "a⟨U+202E⟩b⟨U+000A⟩c");
        assert_eq!(cells["sender"].chars().count(), LONGEST + 1);
        assert_eq!((cells["time"].as_str(), cells["at"].as_str()), ("é", ""));
    }

    #[test]
    fn names_lead_to_the_account_that_the_line_is_about() {
        let unknown = LoginFailure::UserNotFound.to_string();
        for (name, protocol, error, link) in [
            ("ann", "SFTP", "", "users/ann"),
            ("root", "SSH", "invalid credentials", "users/root"),
            ("root", "HTTP", "invalid credentials", "admins/root"),
            ("ann", "HTTP", "invalid credentials", "events?username=ann"),
            ("mallory", "SSH", &unknown, "events?username=mallory"),
            ("ann", "", "", "events?username=ann"),
        ] {
            let line = line(json!({"username": name, "protocol": protocol, "error": error}));
            assert_eq!(cells(&line, &links())["user_link"], format!("/web/admin/{link}"));
        }
        let line = line(json!({"username": "ann", "protocol": "SFTP"}));
        assert_eq!(cells(&line, &Links::default())["user_link"], "/events?username=ann");
    }

    #[test]
    fn requests_are_shown_only_to_who_asks_for_them() {
        let some = |text: &str| Some(text.to_owned());
        for (hides, sender, want) in [
            (None, None, "1"),
            (some(""), some("Upload"), "1"),
            (some("0"), None, "0"),
            (None, some("httpd"), "0"),
            (some("1"), some("httpd"), "1"),
            (some("x"), None, "x"),
        ] {
            let asked = TailQuery { hide_requests: hides, sender, ..TailQuery::default() };
            assert_eq!(wanted(asked).hide_requests.as_deref(), Some(want));
        }
    }

    #[test]
    fn a_page_that_was_cut_off_goes_on_where_it_was() {
        let after =
            |after: &str| TailQuery { after: Some(after.to_owned()), ..TailQuery::default() };
        for (asked, returned, want) in [
            (TailQuery::default(), None, 9),
            (after("5"), None, 5),
            (after("5"), Some(7), 7),
            (after("x"), None, 9),
        ] {
            assert_eq!(Following::new(asked, returned, 9).last_id, want);
        }
    }
}
