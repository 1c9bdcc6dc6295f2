//! Connections: who does what now, and ending it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use crate::model::AdminPermission;
use crate::model::timestamp::now_unix_ms;
use crate::web::error::ApiError;
use crate::web::operations::live::{ConnectionStatus, TransferStatus};
use crate::web::operations::live::{LiveSnapshot, rates_of};
use crate::web::operations::reason::Reason;
use crate::web::operations::scope::VisibleNames;
use crate::web::pages::error::{PageError, sentence};
use crate::web::pages::form::Form;
use crate::web::pages::live::{Cells, Show, View};
use crate::web::pages::page::{admin_root, own_path, see_other};
use crate::web::pages::signed::{Act, Signed};
use crate::web::pages::spark::{spark, summed};
use crate::web::pages::text;
use crate::web::request::auth::{CloseConnections, ViewConnections};
use crate::web::services::Services;
use crate::web::url::segment;

/// Sessions on one page.
const PER_PAGE: usize = 50;
/// Sessions that one form may name.
const MOST_KILLED: usize = 1_000;
/// A transfer that has not moved a byte for so long is stalled.
const STALLED_SECS: u64 = 10;
/// Which sessions are wanted, and in which order.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Wanted {
    /// In the name, address, client, id, command or a path, whatever the case.
    q: String,
    protocol: String,
    /// `1` for sessions with a transfer only.
    transferring: String,
    /// `user`, `since`, `rate`; anything else puts those with transfers first.
    sort: String,
    page: String,
}

impl Wanted {
    fn matches(&self, session: &ConnectionStatus, lower_case: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(lower_case);
        (self.protocol.is_empty() || session.protocol == self.protocol)
            && (self.transferring != "1" || !session.active_transfers.is_empty())
            && (lower_case.is_empty()
                || has(&session.username)
                || has(&session.remote_address)
                || has(&session.client_version)
                || has(&session.connection_id)
                || has(&session.command)
                || session.active_transfers.iter().any(|transfer| has(&transfer.path)))
    }

    /// Those wanted of `seen`, which has the oldest first.
    pub fn chosen<'a>(&self, seen: &[&'a ConnectionStatus]) -> Vec<&'a ConnectionStatus> {
        let lower_case = self.q.trim().to_lowercase();
        let matching = seen.iter().copied().filter(|one| self.matches(one, &lower_case));
        let mut chosen: Vec<&ConnectionStatus> = matching.collect();
        match self.sort.as_str() {
            "user" => chosen.sort_by(|a, b| a.username.cmp(&b.username)),
            "since" => {}
            "rate" => chosen.sort_by_key(|one| Reverse(rate_of(one))),
            _ => chosen.sort_by_key(|one| one.active_transfers.is_empty()),
        }
        chosen
    }

    /// The same with other values; always from the first page.
    fn link(&self, root: &str, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("q", self.q.as_str()),
            ("protocol", &self.protocol),
            ("transferring", &self.transferring),
            ("sort", &self.sort),
        ];
        for &(name, value) in changes {
            pairs.retain(|(known, _)| *known != name);
            pairs.push((name, value));
        }
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", segment(value))).collect();
        let question = if query.is_empty() { "" } else { "?" };
        format!("{root}/connections{question}{}", query.join("&"))
    }
}

/// A session as the page shows it: what stays, and what moves.
#[derive(Debug, Serialize)]
struct Row {
    key: String,
    username: String,
    protocol: String,
    client: String,
    from: String,
    /// Empty if the session runs none.
    command: String,
    cells: Cells,
    transfers: Vec<TransferRow>,
}

#[derive(Debug, Serialize)]
struct TransferRow {
    key: String,
    is_upload: bool,
    path: String,
    cells: Cells,
}

/// What the page shows at a moment.
struct Shown {
    rows: Vec<Row>,
    /// Of the whole page.
    cells: Cells,
    protocols: BTreeMap<String, usize>,
    /// Of all that is seen; `matching` is what the filter leaves.
    total: usize,
    matching: usize,
    /// From 0.
    page: usize,
}

impl Shown {
    fn of(snapshot: &LiveSnapshot, visible: &VisibleNames, wanted: &Wanted) -> Self {
        let seen: Vec<&ConnectionStatus> = snapshot.seen_by(visible).collect();
        let rates = match visible.are_all() {
            true => (snapshot.upload_rate, snapshot.download_rate),
            false => rates_of(&seen),
        };
        let mut protocols = BTreeMap::new();
        for session in &seen {
            *protocols.entry(session.protocol.clone()).or_default() += 1;
        }
        // What is chosen stays there, also when nobody uses it any more.
        if !wanted.protocol.is_empty() && wanted.protocol.len() <= 8 {
            protocols.entry(wanted.protocol.clone()).or_default();
        }
        let chosen = wanted.chosen(&seen);
        let last_page = chosen.len().saturating_sub(1) / PER_PAGE;
        let page = wanted.page.parse::<usize>().unwrap_or(1).saturating_sub(1).min(last_page);
        let on_page = chosen.iter().skip(page * PER_PAGE).take(PER_PAGE);
        Self {
            rows: on_page.map(|session| row(session, snapshot.at)).collect(),
            cells: whole(&seen, rates, chosen.len(), page),
            protocols,
            total: seen.len(),
            matching: chosen.len(),
            page,
        }
    }

    /// What of it moves.
    fn view(self) -> View {
        let mut view = View::default();
        for (protocol, count) in &self.protocols {
            let key = protocol_key(protocol);
            let cells = Cells::from([("count", text::count(*count as u64))]);
            view.keys.push(key.clone());
            view.cells.insert(key, cells);
        }
        for row in self.rows {
            view.keys.push(row.key.clone());
            view.cells.insert(row.key, row.cells);
            for transfer in row.transfers {
                view.keys.push(transfer.key.clone());
                view.cells.insert(transfer.key, transfer.cells);
            }
        }
        view.cells.insert(String::new(), self.cells);
        view
    }
}

fn protocol_key(protocol: &str) -> String {
    format!("protocol {protocol}")
}

/// The sentence, and where in the list the page is.
fn whole(
    seen: &[&ConnectionStatus],
    (upload, download): (u64, u64),
    matching: usize,
    page: usize,
) -> Cells {
    let users: HashSet<&str> = seen.iter().map(|session| session.username.as_str()).collect();
    let transfers: usize = seen.iter().map(|session| session.active_transfers.len()).sum();
    let counted = |number: usize, one: &str, many: &str| {
        format!("{} {}", text::count(number as u64), if number == 1 { one } else { many })
    };
    let first = page * PER_PAGE;
    let last = (first + PER_PAGE).min(matching);
    let range = match matching {
        0 => "0".to_owned(),
        _ => format!("{}–{last} of {}", first + 1, text::count(matching as u64)),
    };
    Cells::from([
        ("sessions", counted(seen.len(), "session", "sessions")),
        ("users", counted(users.len(), "user", "users")),
        ("transfers", counted(transfers, "transfer", "transfers")),
        ("upload", rate(upload)),
        ("download", rate(download)),
        ("all", text::count(seen.len() as u64)),
        ("range", range),
    ])
}

fn row(session: &ConnectionStatus, now: u64) -> Row {
    let transfers = &session.active_transfers;
    let moves_up = transfers.iter().map(|one| (one.operation_type == "upload", one.rate));
    let (up, down) = moves_up.fold((0u64, 0u64), |(up, down), (is_up, rate)| match is_up {
        true => (up.saturating_add(rate), down),
        false => (up, down.saturating_add(rate)),
    });
    let first_is_up = transfers.first().is_some_and(|one| one.operation_type == "upload");
    let tone = if up > down || (up == down && first_is_up) { "up" } else { "down" };
    let recent = summed(transfers.iter().filter_map(|one| one.recent_rates.as_deref()));
    let stalled = transfers.iter().filter_map(|one| stalled_secs(one, now)).max();
    let all_stalled =
        !transfers.is_empty() && transfers.iter().all(|one| stalled_secs(one, now).is_some());
    let age = |since: u64| text::duration(now.saturating_sub(since) / 1_000);
    let idle = match (transfers.is_empty(), stalled) {
        (true, _) => format!("idle {}", age(session.last_activity)),
        (false, Some(secs)) if all_stalled => format!("stalled {}", text::duration(secs)),
        (false, _) => "active".to_owned(),
    };
    let now_rate = rate(up.saturating_add(down));
    let highest = recent.iter().copied().max().unwrap_or(0);
    let cells = Cells::from([
        ("since", age(session.connection_time)),
        ("idle", idle),
        ("state", if all_stalled { "stalled".to_owned() } else { String::new() }),
        ("rate", if transfers.is_empty() { "–".to_owned() } else { now_rate.clone() }),
        ("spark", spark(&recent)),
        ("tone", if transfers.is_empty() { "none" } else { tone }.to_owned()),
        ("label", format!("Last minute: now {now_rate}, at most {}", rate(highest))),
    ]);
    Row {
        key: session.connection_id.clone(),
        username: session.username.clone(),
        protocol: session.protocol.clone(),
        client: client_name(&session.client_version).to_owned(),
        from: session.remote_address.clone(),
        command: session.command.clone(),
        cells,
        transfers: transfers.iter().map(|one| transfer_row(session, one, now)).collect(),
    }
}

fn transfer_row(session: &ConnectionStatus, transfer: &TransferStatus, now: u64) -> TransferRow {
    let is_upload = transfer.operation_type == "upload";
    let stalled = stalled_secs(transfer, now);
    let tone = match (stalled, is_upload) {
        (Some(_), _) => "warn",
        (None, true) => "up",
        (None, false) => "down",
    };
    let left = match (stalled, transfer.secs_left) {
        (Some(secs), _) => format!("stalled {}", text::duration(secs)),
        (None, Some(secs)) => format!("{} left", text::duration(secs)),
        (None, None) => String::new(),
    };
    let moved = text::bytes(transfer.size);
    let bytes = match transfer.total_size {
        Some(total) => format!("{moved} of {}", text::bytes(total)),
        None => format!("{moved}, size unknown"),
    };
    let cells = Cells::from([
        ("bytes", bytes),
        ("rate", rate(transfer.rate)),
        ("left", left),
        ("percent", percent(transfer).unwrap_or(0).to_string()),
        ("known", if percent(transfer).is_some() { "yes" } else { "no" }.to_owned()),
        ("tone", tone.to_owned()),
    ]);
    TransferRow {
        key: format!("{} {}", session.connection_id, transfer.number),
        is_upload,
        path: transfer.path.clone(),
        cells,
    }
}

/// How long nothing has moved, if that is long.
fn stalled_secs(transfer: &TransferStatus, now: u64) -> Option<u64> {
    let last = transfer.last_activity.max(transfer.start_time);
    Some(now.saturating_sub(last) / 1_000).filter(|secs| *secs >= STALLED_SECS)
}

/// How much of the file has moved, 0 to 100, if its size is known.
fn percent(transfer: &TransferStatus) -> Option<u64> {
    let total = u128::from(transfer.total_size?);
    let part = (u128::from(transfer.size) * 100).checked_div(total).unwrap_or(100);
    Some(u64::try_from(part).unwrap_or(100).min(100))
}

fn rate_of(session: &ConnectionStatus) -> u64 {
    session.active_transfers.iter().map(|one| one.rate).fold(0, u64::saturating_add)
}

pub fn rate(bytes_per_sec: u64) -> String {
    format!("{}/s", text::bytes(bytes_per_sec))
}

/// Without the version of the protocol (RFC 4253, section 4.2).
fn client_name(version: &str) -> &str {
    version.strip_prefix("SSH-2.0-").unwrap_or(version)
}

pub async fn page(
    signed: Signed<ViewConnections>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    let services = signed.services();
    let root = admin_root(&signed.request);
    let visible = services.users_of(&signed.admin).names().await?;
    // Not the shared list: who has just ended a session must not see it again.
    let snapshot = services.live_snapshot_of_all().await;
    let shown = Shown::of(&snapshot, &visible, &wanted);
    let protocols: Vec<_> = shown
        .protocols
        .iter()
        .map(|(name, count)| {
            json!({
                "key": protocol_key(name),
                "name": if name == "DAV" { "WebDAV" } else { name },
                "count": count,
                "link": wanted.link(&root, &[("protocol", name)]),
                "is_chosen": *name == wanted.protocol,
            })
        })
        .collect();
    let (page, to_page) = (shown.page, |page: usize| {
        let number = (page + 1).to_string();
        wanted.link(&root, &[("page", &number)])
    });
    let is_last = (page + 1) * PER_PAGE >= shown.matching;
    let content = json!({
        "wanted": *wanted,
        "is_filtered": !(wanted.q.is_empty() && wanted.protocol.is_empty()
            && wanted.transferring.is_empty()),
        "all_link": wanted.link(&root, &[("protocol", "")]),
        "plain_link": Wanted::default().link(&root, &[]),
        "transferring_link": wanted.link(&root, &[("transferring", "1")]),
        "by_user_link": wanted.link(&root, &[("sort", "user")]),
        "by_since_link": wanted.link(&root, &[("sort", "since")]),
        "by_rate_link": wanted.link(&root, &[("sort", "rate")]),
        "stream": format!("{root}/live/connections?{}", signed.request.query_string()),
        "protocols": protocols,
        "total": shown.total,
        "matching": shown.matching,
        "previous": (page > 0).then(|| to_page(page - 1)),
        "next": (!is_last).then(|| to_page(page + 1)),
        "cells": shown.cells,
        "rows": shown.rows,
        "may_kill": signed.admin.may(AdminPermission::CloseConns),
        "may_users": signed.admin.may(AdminPermission::ViewUsers),
        "may_events": signed.admin.may(AdminPermission::ViewEvents),
    });
    signed.page("admin/connections.html", "connections", "Connections", content).await
}

/// The sessions as they move.
pub struct Sessions {
    wanted: Wanted,
    visible: VisibleNames,
    moment: u64,
}

impl Sessions {
    pub async fn seen_by(
        signed: &Signed<ViewConnections>,
        wanted: Wanted,
    ) -> Result<Self, PageError> {
        let visible = signed.services().users_of(&signed.admin).names().await?;
        Ok(Self { wanted, visible, moment: 0 })
    }
}

impl Show for Sessions {
    type Right = ViewConnections;

    fn ticks(&self, services: &Services) -> Option<watch::Receiver<u64>> {
        Some(services.throughput.samples())
    }

    async fn view(&mut self, by: &Signed<ViewConnections>) -> Result<View, PageError> {
        // Only who has a role has anything to ask for.
        if by.admin.account().role.is_empty() != self.visible.are_all() || !self.visible.are_all() {
            self.visible = by.services().users_of(&by.admin).names().await?;
        }
        let snapshot = by.pages.live.snapshot(by.services()).await;
        self.moment = snapshot.at;
        Ok(Shown::of(&snapshot, &self.visible, &self.wanted).view())
    }

    fn moment(&self) -> u64 {
        self.moment
    }
}

/// What a form or a link names: sessions, or all of a user.
enum Doomed {
    Sessions(Vec<String>),
    AllOf(String),
}

impl Doomed {
    fn of(form: &Form) -> Result<Self, ApiError> {
        if form.has("user") {
            return Ok(Self::AllOf(form.get("user").to_owned()));
        }
        let mut ids: Vec<String> =
            form.all("id").filter(|id| !id.is_empty()).map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        match ids.len() {
            0 => Err(ApiError::bad_request("no session is selected")),
            1..=MOST_KILLED => Ok(Self::Sessions(ids)),
            _ => Err(ApiError::bad_request("these are too many sessions at once")),
        }
    }
}

/// What killing would mean, and a place for the reason.
pub async fn kill_page(signed: Signed<CloseConnections>) -> Result<HttpResponse, PageError> {
    let asked = Form::parse(signed.request.query_string().as_bytes())?;
    ask(&signed, StatusCode::OK, &asked, "").await
}

async fn ask(
    signed: &Signed<CloseConnections>,
    status: StatusCode,
    asked: &Form,
    told: &str,
) -> Result<HttpResponse, PageError> {
    let doomed = Doomed::of(asked)?;
    let services = signed.services();
    let visible = services.users_of(&signed.admin).names().await?;
    // Who may end sessions need not be one who may see them.
    let may_see = signed.admin.may(AdminPermission::ViewConns);
    let sessions = match may_see {
        true => services.sessions(&visible).await,
        false => Vec::new(),
    };
    let is_meant = |session: &&ConnectionStatus| match &doomed {
        Doomed::Sessions(ids) => ids.contains(&session.connection_id),
        Doomed::AllOf(user) => session.username == *user,
    };
    let now = u64::try_from(now_unix_ms()).unwrap_or(0);
    let meant: Vec<&ConnectionStatus> = sessions.iter().filter(is_meant).collect();
    let listed: Vec<_> = meant.iter().take(10).map(|session| doomed_row(session, now)).collect();
    // With one session at hand, the others of the same user are often meant, too.
    let others = match (&doomed, meant.as_slice()) {
        (Doomed::Sessions(_), [one]) => {
            let of_user = sessions.iter().filter(|session| session.username == one.username);
            Some((one.username.clone(), of_user.count())).filter(|(_, count)| *count > 1)
        }
        _ => None,
    };
    let (ids, user) = match doomed {
        Doomed::Sessions(ids) => (ids, None),
        Doomed::AllOf(user) => (Vec::new(), Some(user)),
    };
    let count = if user.is_some() || !meant.is_empty() { meant.len() } else { ids.len() };
    let content = json!({
        "ids": ids,
        "user": user,
        "count": count,
        "is_over": may_see && meant.is_empty(),
        "listed": listed,
        "unlisted": meant.len().saturating_sub(listed.len()),
        "others": others,
        "reason": asked.get("reason"),
        "told": told,
        "back": back(signed, asked),
    });
    signed.page_with(status, "admin/kill.html", "connections", "Kill sessions", content).await
}

fn doomed_row(session: &ConnectionStatus, now: u64) -> serde_json::Value {
    let doing = session.active_transfers.first().map(|transfer| {
        let name = transfer.path.rsplit('/').next().unwrap_or_default();
        let verb = if transfer.operation_type == "upload" { "uploading" } else { "downloading" };
        let state = match (stalled_secs(transfer, now), percent(transfer)) {
            (Some(secs), _) => format!(", stalled for {}", text::duration(secs)),
            (None, Some(percent)) => format!(", {percent}%"),
            (None, None) => String::new(),
        };
        let more = match session.active_transfers.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        format!("{verb} {name}{state}{more}")
    });
    json!({
        "username": session.username,
        "protocol": session.protocol,
        "from": session.remote_address,
        "doing": doing.unwrap_or_else(|| match session.command.as_str() {
            "" => "no transfer".to_owned(),
            command => format!("running {command}"),
        }),
    })
}

/// Where the form leads back to.
fn back(signed: &Signed<CloseConnections>, form: &Form) -> String {
    match form.get("back") {
        "" => format!("{}/connections", admin_root(&signed.request)),
        wanted => own_path(&signed.request, wanted),
    }
}

pub async fn kill(act: Act<CloseConnections>) -> Result<HttpResponse, PageError> {
    let (by, form) = (&act.by, &act.form);
    let reason = match Reason::checked(Some(form.get("reason"))) {
        Ok(reason) => reason,
        Err(error) => {
            let told = error.told();
            let told = sentence(told.split_once(": ").map_or(told, |(_, told)| told));
            return ask(by, StatusCode::UNPROCESSABLE_ENTITY, form, &told).await;
        }
    };
    let services = by.services();
    let (killed, gone) = match Doomed::of(form)? {
        Doomed::AllOf(user) => {
            (services.close_connections_of_user(&by.admin, &user, &reason).await?, 0)
        }
        Doomed::Sessions(ids) => {
            let results = services.close_connections(&by.admin, ids, &reason).await?;
            let killed = results.iter().filter(|result| result.status == 200).count();
            (killed, results.len() - killed)
        }
    };
    let told = match (killed, gone) {
        (0, _) => "Nothing was killed: what you chose had ended already.".to_owned(),
        (1, 0) => "1 session killed.".to_owned(),
        (killed, 0) => format!("{killed} sessions killed."),
        (killed, gone) => format!("{killed} killed, {gone} had ended already."),
    };
    by.leave_notice(if killed > 0 { "ok" } else { "info" }, told);
    Ok(see_other(&back(by, form)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(size: u64, total_size: Option<u64>, last_activity: u64) -> TransferStatus {
        TransferStatus {
            operation_type: "upload",
            path: "/a/b".to_owned(),
            start_time: 0,
            size,
            number: 1,
            rate: 0,
            total_size,
            secs_left: None,
            last_activity,
            recent_rates: None,
        }
    }

    fn session(username: &str, transfers: Vec<TransferStatus>) -> ConnectionStatus {
        ConnectionStatus {
            username: username.to_owned(),
            connection_id: format!("SFTP_{username}_1"),
            client_version: "SSH-2.0-OpenSSH_9.9".to_owned(),
            remote_address: "198.51.100.9:5000".to_owned(),
            connection_time: 0,
            command: String::new(),
            last_activity: 0,
            protocol: "SFTP".to_owned(),
            active_transfers: transfers,
        }
    }

    #[test]
    fn parts_of_a_file_are_whole_percents() {
        for (size, total, want) in [
            (0, Some(10), Some(0)),
            (3, Some(9), Some(33)),
            (20, Some(10), Some(100)),
            (u64::MAX, Some(u64::MAX), Some(100)),
            (0, Some(0), Some(100)),
            (5, None, None),
        ] {
            assert_eq!(percent(&transfer(size, total, 0)), want, "{size} of {total:?}");
        }
    }

    #[test]
    fn a_transfer_is_stalled_after_ten_seconds_of_silence() {
        for (last, now, want) in
            [(0, 9_999, None), (0, 10_000, Some(10)), (5_000, 12_000, None), (9_000, 1_000, None)]
        {
            assert_eq!(stalled_secs(&transfer(0, None, last), now), want);
        }
        let cells = transfer_row(&session("a", vec![]), &transfer(7, None, 0), 48_000).cells;
        assert_eq!((cells["tone"].as_str(), cells["left"].as_str()), ("warn", "stalled 48 s"));
        assert_eq!(cells["bytes"], "7 B, size unknown");
    }

    #[test]
    fn sessions_are_chosen_by_what_they_show() {
        let (idle, busy) = (session("amy", vec![]), session("bob", vec![transfer(0, None, 0)]));
        let chosen = |wanted: Wanted| -> Vec<&str> {
            wanted.chosen(&[&idle, &busy]).iter().map(|one| one.username.as_str()).collect()
        };
        let text = |text: &str| Wanted { q: text.to_owned(), ..Wanted::default() };
        assert_eq!(chosen(Wanted::default()), ["bob", "amy"], "who transfers comes first");
        assert_eq!(chosen(text("AMY")), ["amy"]);
        assert_eq!(chosen(text("/A/B")), ["bob"]);
        assert_eq!(chosen(text("openssh")), ["bob", "amy"]);
        assert_eq!(chosen(text("203.0.113")), [""; 0]);
        let moving = Wanted { transferring: "1".to_owned(), ..Wanted::default() };
        assert_eq!(chosen(moving), ["bob"]);
        let others = Wanted { protocol: "FTP".to_owned(), ..Wanted::default() };
        assert_eq!(chosen(others), [""; 0]);
        let by_user = Wanted { sort: "user".to_owned(), ..Wanted::default() };
        assert_eq!(chosen(by_user), ["amy", "bob"]);
    }

    #[test]
    fn links_keep_the_filter_and_begin_with_the_first_page() {
        let root = "/web/admin";
        let wanted = Wanted { q: "a b&c".to_owned(), page: "7".to_owned(), ..Wanted::default() };
        assert_eq!(wanted.link(root, &[]), "/web/admin/connections?q=a%20b%26c");
        let link = wanted.link(root, &[("protocol", "SFTP"), ("q", "")]);
        assert_eq!(link, "/web/admin/connections?protocol=SFTP");
        assert_eq!(Wanted::default().link(root, &[]), "/web/admin/connections");
    }
}
