//! The start page: is everything all right?

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::checkup::{Checkup, Problem, checkup};
use super::connections::rate;
use crate::logging::{self, TailFilter};
use crate::model::AdminPermission;
use crate::model::timestamp::now_unix_ms;
use crate::web::api::logs::LogLine;
use crate::web::error::ApiError;
use crate::web::operations::live::ConnectionStatus;
use crate::web::operations::live::{LiveSnapshot, Throughput, ThroughputPoint};
use crate::web::operations::scope::VisibleNames;
use crate::web::pages::error::PageError;
use crate::web::pages::live::{Cells, Show, View};
use crate::web::pages::page::{admin_root, see_other};
use crate::web::pages::signed::{Signed, is_secure};
use crate::web::pages::spark::{outline, scaled, spark, summed};
use crate::web::pages::text;
use crate::web::request::auth::Anything;
use crate::web::services::Services;
use crate::web::url::segment;

/// How many users and failures are listed.
const LISTED: usize = 5;
/// How long what was found out about accounts and disks is good for a page that stays
/// open; one that is loaded looks again.
const CHECKUP_LASTS: Duration = Duration::from_secs(60);

/// The chart: a point has the mean of 20 seconds; uploads rise from the axis.
const POINT_MS: u64 = 20_000;
const POINTS: usize = 180;
const AXIS: u64 = 80;

/// `/` and `/web`: there are no other pages yet.
pub async fn elsewhere(request: HttpRequest) -> HttpResponse {
    see_other(&admin_root(&request))
}

/// What every other path below the pages answers.
pub async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, PageError> {
    Err(ApiError::not_found(format!("there is no page at {}", request.path())).into())
}

/// A row with what stays and what moves.
#[derive(Debug, Serialize)]
struct Row {
    key: String,
    name: String,
    link: Option<String>,
    cells: Cells,
}

/// What one administrator sees of the whole.
#[derive(Debug, Default, Serialize)]
struct Shown {
    cells: Cells,
    busy: Vec<Row>,
    protocols: Vec<Row>,
    failures: Vec<Row>,
    problems: Vec<Problem>,
}

impl Shown {
    fn view(self) -> View {
        let mut view = View::default();
        for problem in self.problems {
            view.keys.push(problem.key);
        }
        for row in [self.busy, self.protocols, self.failures].into_iter().flatten() {
            view.keys.push(row.key.clone());
            view.cells.insert(row.key, row.cells);
        }
        view.cells.insert(String::new(), self.cells);
        view
    }
}

/// The page as it moves, for one administrator.
pub struct Overview {
    visible: VisibleNames,
    checkup: Checkup,
    checked: Instant,
    failures: Failures,
    moment: u64,
}

impl Overview {
    pub async fn seen_by(by: &Signed<Anything>) -> Result<Self, PageError> {
        Ok(Self {
            visible: by.services().users_of(&by.admin).names().await?,
            checkup: checkup(by).await?,
            checked: Instant::now(),
            failures: Failures::default(),
            moment: 0,
        })
    }

    fn shown(&mut self, by: &Signed<Anything>, snapshot: &LiveSnapshot) -> Shown {
        let services = by.services();
        let root = admin_root(&by.request);
        let mut shown = Shown { problems: self.checkup.problems.clone(), ..Shown::default() };
        let cells = &mut shown.cells;
        cells.insert("state", state_of(&self.checkup).to_owned());
        cells.insert("look", look_of(&self.checkup));
        if by.admin.may(AdminPermission::ViewConns) {
            let seen: Vec<&ConnectionStatus> = snapshot.seen_by(&self.visible).collect();
            let names: std::collections::HashSet<&str> =
                seen.iter().map(|session| session.username.as_str()).collect();
            cells.insert("sessions", text::plural(seen.len() as u64, "session", "sessions"));
            cells.insert("users", text::plural(names.len() as u64, "user", "users"));
            cells.insert("all", text::count(seen.len() as u64));
            shown.busy = busiest(&seen, &root, by.admin.may(AdminPermission::ViewUsers));
            shown.protocols = protocols(&seen, &root);
        }
        if let Ok(throughput) = services.throughput_seen_by(&by.admin)
            && by.admin.may(AdminPermission::ViewStatus)
        {
            shown.cells.extend(chart(&throughput, snapshot.at));
        }
        if by.admin.may(AdminPermission::ViewEvents) {
            self.failures.read(services);
            shown.failures = self.failures.rows();
        }
        shown
    }
}

impl Show for Overview {
    type Right = Anything;

    fn ticks(&self, services: &Services) -> Option<watch::Receiver<u64>> {
        Some(services.throughput.samples())
    }

    async fn view(&mut self, by: &Signed<Anything>) -> Result<View, PageError> {
        if !self.visible.are_all() || by.admin.role().is_some() {
            self.visible = by.services().users_of(&by.admin).names().await?;
        }
        if self.checked.elapsed() >= CHECKUP_LASTS {
            self.checkup = checkup(by).await?;
            self.checked = Instant::now();
        }
        let snapshot = by.pages.live.snapshot(by.services()).await;
        self.moment = snapshot.at;
        Ok(self.shown(by, &snapshot).view())
    }

    fn moment(&self) -> u64 {
        self.moment
    }
}

pub async fn page(signed: Signed<Anything>) -> Result<HttpResponse, PageError> {
    let mut overview = Overview::seen_by(&signed).await?;
    let snapshot = signed.services().live_snapshot_of_all().await;
    let shown = overview.shown(&signed, &snapshot);
    let may = |permission| signed.admin.may(permission);
    let checkup = &overview.checkup;
    let content = json!({
        "may_connections": may(AdminPermission::ViewConns),
        "may_events": may(AdminPermission::ViewEvents),
        "has_chart": shown.cells.contains_key("upload_path"),
        "points": POINTS - 1,
        "shown": shown,
        "services": checkup.services,
        "host_keys": checkup.host_keys,
        "disks": checkup.disks,
        "largest": checkup.largest(),
        "accounts": checkup.accounts,
        "backup": last_backup(&signed).await,
        "beginning": beginning(&signed, checkup),
    });
    signed.page("admin/overview.html", "overview", "Overview", content).await
}

/// When the accounts were last saved to the server, for who can do that; 0 for never.
async fn last_backup(by: &Signed<Anything>) -> Option<u64> {
    if !by.admin.may_everything() {
        return None;
    }
    let services = by.services();
    match services.backups().await {
        Ok(found) => Some(found.first().map_or(0, |newest| newest.written_at)),
        // The page for backups tells why.
        Err(error) => {
            let log = logging::for_sender(&services.log, "httpd");
            slog::debug!(log, "the newest backup is not known: {}", error);
            None
        }
    }
}

/// The steps that the set-up has announced, while nobody has an account.
fn beginning(by: &Signed<Anything>, checkup: &Checkup) -> Value {
    let has_nobody = checkup.accounts.as_ref().is_some_and(|accounts| accounts.users == 0);
    if !has_nobody || !by.admin.may(AdminPermission::AddUsers) {
        return Value::Null;
    }
    let base_dir = by.services().store.rules().users_base_dir.as_ref();
    json!({
        "has_second_factor": by.admin.filters().totp_config.enabled,
        "is_secure": is_secure(&by.request),
        "base_dir": base_dir.map(|dir| dir.display().to_string()),
        "ssh_port": checkup.ssh_port,
    })
}

/// How the server is, as far as this administrator may know.
fn state_of(checkup: &Checkup) -> &'static str {
    let is_wrong = checkup.problems.iter().any(|problem| problem.kind == "bad");
    match (is_wrong, checkup.has_looked_at_server(), checkup.accounts.is_some()) {
        (true, ..) => "Something is wrong.",
        (false, true, _) => "Everything is up.",
        (false, false, true) => "",
        (false, false, false) => "Your rights show neither users nor services.",
    }
}

/// How many things want a look, of those that were looked at.
fn look_of(checkup: &Checkup) -> String {
    let things: u64 = checkup.problems.iter().map(Problem::things).sum();
    match (things, checkup.has_looked_at_server(), checkup.accounts.is_some()) {
        (0, true, true) => "Nothing wants a look.".to_owned(),
        (0, true, false) => "Nothing on the server wants a look.".to_owned(),
        (0, false, true) => "No user wants a look.".to_owned(),
        (0, false, false) => String::new(),
        (1, ..) => "1 thing wants a look.".to_owned(),
        (many, ..) => format!("{} things want a look.", text::count(many)),
    }
}

/// The users who move most now.
fn busiest(seen: &[&ConnectionStatus], root: &str, may_users: bool) -> Vec<Row> {
    let mut by_user: BTreeMap<&str, (u64, u64, Vec<&[u64]>)> = BTreeMap::new();
    for session in seen {
        for transfer in &session.active_transfers {
            let (up, down, recent) = by_user.entry(&session.username).or_default();
            let moved = if transfer.operation_type == "upload" { up } else { down };
            *moved = moved.saturating_add(transfer.rate);
            recent.extend(transfer.recent_rates.as_deref());
        }
    }
    let total = |(up, down): (u64, u64)| up.saturating_add(down);
    let mut users: Vec<_> =
        by_user.into_iter().filter(|(_, (up, down, _))| up | down != 0).collect();
    users.sort_by_key(|(_, (up, down, _))| std::cmp::Reverse(total((*up, *down))));
    users.truncate(LISTED);
    let row = |(name, (up, down, recent)): (&str, (u64, u64, Vec<&[u64]>))| Row {
        key: format!("busy {name}"),
        name: name.to_owned(),
        link: may_users.then(|| format!("{root}/users/{}", segment(name))),
        cells: Cells::from([
            ("rate", rate(total((up, down)))),
            ("arrow", if up >= down { "↑" } else { "↓" }.to_owned()),
            ("tone", if up >= down { "up" } else { "down" }.to_owned()),
            ("spark", spark(&summed(recent.into_iter()))),
        ]),
    };
    users.into_iter().map(row).collect()
}

fn protocols(seen: &[&ConnectionStatus], root: &str) -> Vec<Row> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for session in seen {
        *counts.entry(&session.protocol).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all = seen.len() as u64;
    let row = |(name, count): (&str, u64)| Row {
        key: format!("protocol {name}"),
        name: if name == "DAV" { "WebDAV" } else { name }.to_owned(),
        link: Some(format!("{root}/connections?protocol={}", segment(name))),
        cells: Cells::from([
            ("count", text::count(count)),
            ("part", scaled(count, all, 100).to_string()),
        ]),
    };
    counts.into_iter().map(row).collect()
}

/// The last hour of the server: two paths on one axis, the rates of now and the peaks.
fn chart(throughput: &Throughput, now: u64) -> Cells {
    let points = thinned(&throughput.last_hour, now);
    let highest = points.iter().map(|(_, up, down)| *up.max(down)).max().unwrap_or(0);
    let most = rounded_up(highest.max(1_000));
    let upload = points.iter().map(|(x, up, _)| (*x, AXIS - scaled(*up, most, AXIS - 4)));
    let download = points.iter().map(|(x, _, down)| (*x, AXIS + scaled(*down, most, AXIS - 4)));
    let peak = |of: fn(&ThroughputPoint) -> u64| {
        let peak = throughput.last_hour.iter().max_by_key(|point| of(point));
        match peak.filter(|peak| of(peak) > 0) {
            Some(peak) => (format!("peak {}", rate(of(peak))), Moment::of(peak.until, now)),
            None => ("none in the last hour".to_owned(), Moment::default()),
        }
    };
    let (upload_peak, uploaded) = peak(|point| point.upload);
    let (download_peak, downloaded) = peak(|point| point.download);
    let (number, unit) = split_unit(throughput.upload_rate);
    let mut cells = Cells::from([("upload", number), ("upload_unit", unit)]);
    let (number, unit) = split_unit(throughput.download_rate);
    cells.extend([("download", number), ("download_unit", unit)]);
    cells.extend([
        ("upload_peak", upload_peak),
        ("upload_peak_at", uploaded.machine),
        ("upload_peak_when", uploaded.relative),
        ("download_peak", download_peak),
        ("download_peak_at", downloaded.machine),
        ("download_peak_when", downloaded.relative),
        ("upload_path", outline(upload, AXIS)),
        ("download_path", outline(download, AXIS)),
        // Without traffic there is nothing to measure by it.
        ("scale", if highest > 0 { rate(most) } else { String::new() }),
    ]);
    cells
}

/// Means of [`POINT_MS`] with their place from the left, the newest at the right.
fn thinned(points: &[ThroughputPoint], now: u64) -> Vec<(usize, u64, u64)> {
    let newest = now / POINT_MS;
    let mut sums: BTreeMap<usize, (u64, u64, u64)> = BTreeMap::new();
    for point in points {
        let age = newest.saturating_sub(point.until / POINT_MS);
        let Some(x) = usize::try_from(age).ok().and_then(|age| (POINTS - 1).checked_sub(age))
        else {
            continue;
        };
        let (up, down, count) = sums.entry(x).or_default();
        *up = up.saturating_add(point.upload);
        *down = down.saturating_add(point.download);
        *count += 1;
    }
    sums.into_iter().map(|(x, (up, down, count))| (x, up / count, down / count)).collect()
}

/// The next 1, 2 or 5 with zeros.
fn rounded_up(value: u64) -> u64 {
    let mut power = 1u64;
    loop {
        for step in [1, 2, 5] {
            match power.checked_mul(step) {
                Some(round) if round >= value => return round,
                Some(_) => {}
                None => return value,
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return value,
        }
    }
}

/// A time as `<time>` takes it; empty if there is none.
#[derive(Default)]
struct Moment {
    machine: String,
    relative: String,
}

impl Moment {
    fn of(unix_ms: u64, now: u64) -> Self {
        let [at, now] = [unix_ms, now].map(|ms| i64::try_from(ms).unwrap_or(i64::MAX));
        Self { machine: text::machine(at), relative: text::relative(at, now) }
    }
}

/// The number of a rate, and its unit.
fn split_unit(bytes_per_sec: u64) -> (String, String) {
    let shown = rate(bytes_per_sec);
    let (number, unit) = shown.split_once(' ').unwrap_or((&shown, ""));
    (number.to_owned(), unit.to_owned())
}

/// The latest failed logins and transfers.
#[derive(Default)]
struct Failures {
    /// Newest first.
    lines: VecDeque<LogLine>,
    last_id: Option<u64>,
}

impl Failures {
    /// Looks through what was logged since the last time.
    fn read(&mut self, services: &Services) {
        let Some(tail) = services.log_control.as_ref().map(|control| control.tail()) else {
            return;
        };
        let filter = TailFilter { only_failures: true, ..TailFilter::default() };
        let page = match self.last_id {
            None => tail.newest_lines(&filter, LISTED),
            Some(last_id) => tail.after(last_id, &filter, LISTED * 20),
        };
        self.last_id = Some(page.last_id);
        for line in page.lines {
            self.lines.push_front(line.into());
        }
        self.lines.truncate(LISTED);
    }

    fn rows(&self) -> Vec<Row> {
        let row = |line: &LogLine| {
            let text = |key: &str| {
                let text = line.members.get(key).and_then(Value::as_str).unwrap_or_default();
                text::visible(&text.chars().take(200).collect::<String>())
            };
            let sender = text("sender");
            let (what, place) = match sender.as_str() {
                "connection_failed" => (format!("{} login", text("protocol")), text("client_ip")),
                _ => (sender.to_lowercase(), text("virtual_path")),
            };
            let at = line.logged_at.and_then(|at| u64::try_from(at).ok());
            let now = u64::try_from(now_unix_ms()).unwrap_or(0);
            let logged = at.map_or_else(Moment::default, |at| Moment::of(at, now));
            Row {
                key: format!("failure {}", line.id),
                name: match text("username").as_str() {
                    "" => "Nobody".to_owned(),
                    name => name.to_owned(),
                },
                link: None,
                cells: Cells::from([
                    ("at", logged.machine),
                    ("time", logged.relative),
                    ("told", format!("{what}: {}", text("error"))),
                    ("place", place),
                ]),
            }
        };
        self.lines.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::operations::accounts::UsersSummary;

    #[test]
    fn scales_end_with_a_round_number() {
        for (value, round) in [
            (0, 1),
            (1, 1),
            (3, 5),
            (50, 50),
            (51, 100),
            (41_200_000, 50_000_000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(rounded_up(value), round);
        }
    }

    #[test]
    fn the_chart_has_the_newest_at_the_right_and_means_in_between() {
        let point = |until, upload| ThroughputPoint { until, upload, download: 1 };
        let now = 100 * POINT_MS;
        let points = [
            point(10, 7),
            point(now - POINT_MS, 10),
            point(now - POINT_MS + 5_000, 20),
            point(now, 40),
        ];
        let expected = [(POINTS - 101, 7, 1), (POINTS - 2, 15, 1), (POINTS - 1, 40, 1)];
        assert_eq!(thinned(&points, now), expected);
        assert_eq!(thinned(&points, now * 9), [], "all of it is too old");
        assert_eq!(thinned(&[point(now + POINT_MS, 3)], now), [(POINTS - 1, 3, 1)]);
    }

    #[test]
    fn a_quiet_server_has_a_flat_chart() {
        let throughput = Throughput {
            upload_rate: 0,
            download_rate: 41_200_000,
            uploaded: 0,
            downloaded: 0,
            last_minute: Vec::new(),
            last_hour: Vec::new(),
        };
        let cells = chart(&throughput, 0);
        assert_eq!((&*cells["upload_path"], &*cells["upload_peak_at"]), ("", ""));
        assert_eq!(cells["upload_peak"], "none in the last hour");
        assert_eq!((&*cells["download"], &*cells["download_unit"]), ("41.2", "MB/s"));
    }

    #[test]
    fn the_first_sentence_says_what_was_looked_at() {
        let looked = |server: bool, users: bool, problems: &[(&'static str, u64)]| {
            let problem = |(kind, others): &(&'static str, u64)| Problem {
                kind,
                others: *others,
                ..Problem::default()
            };
            let checkup = Checkup {
                problems: problems.iter().map(problem).collect(),
                services: Some(Vec::new()).filter(|_| server),
                accounts: Some(UsersSummary::default()).filter(|_| users),
                ..Checkup::default()
            };
            format!("{} {}", state_of(&checkup), look_of(&checkup))
        };
        for (server, users, problems, told) in [
            (true, true, vec![], "Everything is up. Nothing wants a look."),
            (true, false, vec![], "Everything is up. Nothing on the server wants a look."),
            (false, true, vec![], " No user wants a look."),
            (false, false, vec![], "Your rights show neither users nor services. "),
            (true, true, vec![("warn", 0)], "Everything is up. 1 thing wants a look."),
            (false, true, vec![("warn", 0), ("warn", 0)], " 2 things want a look."),
            (
                false,
                true,
                vec![("bad", 0), ("warn", 1_200)],
                "Something is wrong. 1,201 things want a look.",
            ),
        ] {
            assert_eq!(looked(server, users, &problems), told);
        }
    }
}
