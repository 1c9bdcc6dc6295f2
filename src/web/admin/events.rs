//! Events: what just happened, as the log of this process tells it.

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::event_words;
use crate::model::AdminPermission;
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

/// What the line tells besides its time, in the words of the page.
pub fn cells(line: &LogLine, root: &str, may_users: bool) -> Cells {
    let members = &line.members;
    let level = match text_of(members, "level") {
        "error" => "bad",
        "warn" => "warn",
        _ => "",
    };
    let username = text_of(members, "username");
    let connection = text_of(members, "connection_id");
    let id = match connection {
        "" => text_of(members, "request_id"),
        connection => connection,
    };
    let (told, rest) = event_words::told(members);
    let mut cells = Cells::from([
        ("time", shown(text_of(members, "time").get(11..19).unwrap_or_default())),
        ("full", shown(text_of(members, "time"))),
        ("level", shown(text_of(members, "level"))),
        ("tone", level.to_owned()),
        ("sender", shown(text_of(members, "sender"))),
        ("user", shown(username)),
        ("id", shown(id)),
        ("id_link", format!("{root}/events?q={}", segment(id))),
        ("told", shown(&told)),
        ("details", rest.iter().map(|part| shown(part)).collect::<Vec<_>>().join("\n")),
    ]);
    let user_link = match may_users && !username.is_empty() {
        true => format!("{root}/users/{}", segment(username)),
        false => format!("{root}/events?q={}", segment(username)),
    };
    cells.insert("user_link", user_link);
    cells
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
    let tail = signed.services().log_tail(&signed.admin, &asked)?;
    let may_users = signed.admin.may(AdminPermission::ViewUsers);
    let root = admin_root(&signed.request);
    let lines: Vec<Value> = tail
        .lines
        .iter()
        .rev()
        .map(|line| json!({ "key": line.id.to_string(), "cells": cells(line, &root, may_users) }))
        .collect();
    let wanted = json!({
        "q": asked.q.as_deref().unwrap_or_default(),
        "level": asked.level.as_deref().unwrap_or_default(),
        "sender": asked.sender.as_deref().unwrap_or_default(),
        "username": asked.username.as_deref().unwrap_or_default(),
        "hide_requests": asked.hide_requests.as_deref().unwrap_or_default(),
        "failures": asked.failures.as_deref().unwrap_or_default(),
    });
    let is_filtered = wanted.as_object().is_some_and(|wanted| {
        wanted.values().any(|value| value.as_str().is_some_and(|value| !value.is_empty()))
    });
    let query: String = wanted.as_object().map_or_else(String::new, |wanted| {
        let pairs = wanted.iter().map(|(key, value)| (key, value.as_str().unwrap_or_default()));
        pairs.map(|(key, value)| format!("{key}={}&", segment(value))).collect()
    });
    let content = json!({
        "wanted": wanted,
        "is_filtered": is_filtered,
        "has_log": signed.services().log_control.is_some(),
        "stream": format!("{root}/live/events?{query}after={}", tail.last_id),
        "lines": lines,
        "nothing": {"tone": "", "level": "", "time": "", "full": "", "sender": "", "user": "",
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
        Self { asked, last_id }
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
        let may_users = by.admin.may(AdminPermission::ViewUsers);
        let root = admin_root(&by.request);
        let lines = tail.lines.iter();
        let lines = lines
            .map(|line| Line { key: line.id.to_string(), cells: cells(line, &root, may_users) });
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
        LogLine { id: 1, members: members.as_object().expect("an object").clone() }
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
            "/web/admin",
            true,
        );
        assert_eq!((cells["time"].as_str(), cells["tone"].as_str()), ("09:58:01", "bad"));
        assert_eq!(cells["told"], "Uploading /in/x failed after 7 B: quota exceeded");
        assert_eq!(cells["details"], "protocol=SFTP\nremote_addr=a⟨U+000A⟩b");
        assert_eq!(cells["user_link"], "/web/admin/users/a%2Fb");
        assert_eq!(cells["id_link"], "/web/admin/events?q=SFTP_1_1");
    }

    #[test]
    fn nothing_hides_in_a_line_and_none_is_endless() {
        let long = "x".repeat(5_000);
        let cells = cells(
            &line(json!({ "message": "a\u{202e}b\nc", "sender": long, "time": "é" })),
            "/web/admin",
            false,
        );
        assert_eq!(cells["told"], "a⟨U+202E⟩b⟨U+000A⟩c");
        assert_eq!(cells["sender"].chars().count(), LONGEST + 1);
        assert_eq!(cells["time"], "");
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
