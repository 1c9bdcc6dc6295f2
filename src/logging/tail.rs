//! The newest lines of the log, kept in memory for whoever watches.
//!
//! The writer thread adds them, so a line costs its caller nothing more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::NaiveDateTime;
use serde_json::{Map, Value};
use slog::Level;
use tokio::sync::watch;

use super::timestamp::Zone;

/// Lines kept at most.
pub const MAX_LINES: usize = 2000;

/// Bytes of all kept lines at most.
pub const MAX_BYTES: usize = 1 << 20;

/// What `push_millis` of the time stamps writes.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.f";

/// The newest lines. Clones share them.
#[derive(Debug, Clone)]
pub struct Tail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lines: Mutex<Lines>,
    newest: watch::Sender<u64>,
    /// Of the times in the lines.
    zone: Zone,
}

// A logger must be usable after a panic. Each change below is complete or not begun, and
// the number in `newest` is whole at any time.
impl std::panic::UnwindSafe for Shared {}
impl std::panic::RefUnwindSafe for Shared {}

#[derive(Debug)]
struct Lines {
    kept: VecDeque<Arc<str>>,
    bytes: usize,
    /// Of the next line; those that are kept have the ids just before.
    next_id: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct TailLine {
    /// Rises from line to line, also over restarts.
    pub id: u64,
    /// When it was logged, Unix milliseconds; its own `time` names no zone.
    pub logged_at: Option<i64>,
    /// The line's members in their order.
    pub members: Map<String, Value>,
}

impl TailLine {
    /// A member that is text; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.members.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it tells of a failed login or a failed transfer.
    pub fn is_failure(&self) -> bool {
        match self.text("sender") {
            "connection_failed" => true,
            "Upload" | "Download" => self.members.contains_key("error"),
            _ => false,
        }
    }

    /// Whether it tells of an HTTP request.
    fn is_request(&self) -> bool {
        self.members.contains_key("resp_status")
    }

    fn mentions(&self, lower_case: &str) -> bool {
        self.members.values().any(|value| match value {
            Value::String(text) => text.to_lowercase().contains(lower_case),
            other => other.to_string().contains(lower_case),
        })
    }
}

/// Which lines are wanted: those that pass everything that is set.
#[derive(Debug, Clone, Default)]
pub struct TailFilter {
    /// This severe or more.
    pub level: Option<Level>,
    pub sender: Option<String>,
    pub username: Option<String>,
    /// In any value, whatever the case.
    pub text: Option<String>,
    /// Failed logins and failed transfers.
    pub only_failures: bool,
    /// No lines of HTTP requests.
    pub without_requests: bool,
}

impl TailFilter {
    fn passes(&self, line: &TailLine) -> bool {
        let is = |wanted: &Option<String>, key: &str| {
            wanted.as_deref().is_none_or(|wanted| line.text(key) == wanted)
        };
        self.level.is_none_or(|least| level_of(line).is_at_least(least))
            && is(&self.sender, "sender")
            && is(&self.username, "username")
            && (!self.only_failures || line.is_failure())
            && (!self.without_requests || !line.is_request())
            && self.text.as_ref().is_none_or(|text| line.mentions(&text.to_lowercase()))
    }
}

fn level_of(line: &TailLine) -> Level {
    match line.text("level") {
        "error" => Level::Error,
        "warn" => Level::Warning,
        "info" => Level::Info,
        _ => Level::Debug,
    }
}

/// A part of the tail.
#[derive(Debug, Clone, PartialEq)]
pub struct TailPage {
    /// Oldest first.
    pub lines: Vec<TailLine>,
    /// What to ask for next: everything up to this id was looked at.
    pub last_id: u64,
    /// Whether lines after the id that was asked for are not kept any more.
    pub has_gap: bool,
}

impl Tail {
    /// For lines whose times are on the clock of `zone`.
    pub(super) fn new(zone: Zone) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        // Whoever remembers an id of the run before shall get the lines of this one. That
        // is exact in JavaScript, too.
        let next_id = started_ms.saturating_mul(1000).saturating_add(1);
        let lines = Lines { kept: VecDeque::new(), bytes: 0, next_id };
        let newest = watch::Sender::new(next_id - 1);
        Self(Arc::new(Shared { newest, lines: Mutex::new(lines), zone }))
    }

    /// Adds a line; [`Tail::announce`] tells of it.
    pub(super) fn push(&self, line: &str) {
        let mut lines = self.lines();
        lines.bytes += line.len();
        lines.kept.push_back(line.trim_end().into());
        lines.next_id += 1;
        while lines.kept.len() > MAX_LINES || lines.bytes > MAX_BYTES {
            let Some(oldest) = lines.kept.pop_front() else { break };
            // With its line feed.
            lines.bytes = lines.bytes.saturating_sub(oldest.len() + 1);
        }
        if lines.kept.is_empty() {
            lines.bytes = 0;
        }
    }

    /// Wakes whoever watches.
    pub(super) fn announce(&self) {
        let newest = self.lines().next_id - 1;
        self.0.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
    }

    /// The id of the newest line, which changes while lines are written.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The oldest lines after the id `after` that pass; at most `limit`.
    pub fn after(&self, after: u64, filter: &TailFilter, limit: usize) -> TailPage {
        let (first_id, kept) = self.snapshot(after);
        let mut page = TailPage {
            lines: Vec::new(),
            last_id: after,
            has_gap: first_id > after.saturating_add(1),
        };
        for (line, id) in kept.iter().zip(first_id..) {
            if page.lines.len() >= limit {
                return page;
            }
            page.last_id = id;
            page.lines.extend(self.parsed(id, line).filter(|line| filter.passes(line)));
        }
        page
    }

    /// The newest lines that pass; at most `limit`.
    pub fn newest_lines(&self, filter: &TailFilter, limit: usize) -> TailPage {
        let (first_id, kept) = self.snapshot(0);
        let last_id = first_id + kept.len() as u64 - 1;
        let numbered = kept.iter().rev().zip((0..=last_id).rev());
        let lines = numbered.filter_map(|(line, id)| self.parsed(id, line));
        let mut lines: Vec<_> = lines.filter(|line| filter.passes(line)).take(limit).collect();
        lines.reverse();
        TailPage { lines, last_id, has_gap: false }
    }

    /// The kept lines after an id, and the id of the first of them.
    fn snapshot(&self, after: u64) -> (u64, Vec<Arc<str>>) {
        let lines = self.lines();
        let oldest = lines.next_id - lines.kept.len() as u64;
        let first = after.saturating_add(1).clamp(oldest, lines.next_id);
        let skipped = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        (first, lines.kept.iter().skip(skipped).cloned().collect())
    }

    fn parsed(&self, id: u64, line: &str) -> Option<TailLine> {
        let members: Map<String, Value> = serde_json::from_str(line).ok()?;
        let time = members.get("time").and_then(Value::as_str);
        let time = time.and_then(|time| NaiveDateTime::parse_from_str(time, TIME_FORMAT).ok());
        let logged_at = time.and_then(|time| self.0.zone.to_utc(time));
        Some(TailLine { id, logged_at: logged_at.map(|time| time.timestamp_millis()), members })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(lines: &[&str]) -> (Tail, u64) {
        let tail = Tail::new(Zone::Utc);
        let before = *tail.newest().borrow();
        for line in lines {
            tail.push(&format!("{line}\n"));
        }
        tail.announce();
        (tail, before)
    }

    const LINES: [&str; 5] = [
        r#"{"level":"debug","sender":"connection_failed","username":"ann","error":"no"}"#,
        r#"{"level":"info","sender":"Upload","username":"ann","virtual_path":"/Report.pdf"}"#,
        r#"{"level":"error","sender":"Upload","username":"bob","error":"no space"}"#,
        r#"{"level":"warn","sender":"service","message":"beware"}"#,
        r#"{"level":"info","sender":"httpd","resp_status":404}"#,
    ];

    #[test]
    fn lines_are_found_by_what_is_in_them() {
        let (tail, before) = filled(&LINES);
        let text = |text: &str| Some(text.to_owned());
        let none = TailFilter::default;
        let table = [
            (none(), vec![1, 2, 3, 4, 5]),
            (TailFilter { level: Some(Level::Warning), ..none() }, vec![3, 4]),
            (TailFilter { sender: text("Upload"), ..none() }, vec![2, 3]),
            (TailFilter { username: text("ann"), ..none() }, vec![1, 2]),
            (TailFilter { text: text("rEPORT"), ..none() }, vec![2]),
            (TailFilter { text: text("404"), ..none() }, vec![5]),
            (TailFilter { text: text("resp_status"), ..none() }, vec![]),
            (TailFilter { only_failures: true, ..none() }, vec![1, 3]),
            (TailFilter { without_requests: true, ..none() }, vec![1, 2, 3, 4]),
            (TailFilter { sender: text("Upload"), username: text("bob"), ..none() }, vec![3]),
        ];
        for (filter, want) in table {
            let ids = |page: TailPage| -> Vec<u64> {
                page.lines.iter().map(|line| line.id - before).collect()
            };
            assert_eq!(ids(tail.newest_lines(&filter, 100)), want, "{filter:?}");
            assert_eq!(ids(tail.after(before, &filter, 100)), want, "{filter:?}");
        }
    }

    #[test]
    fn lines_tell_when_they_were_logged_if_they_can() {
        let (tail, _) = filled(&[
            r#"{"time":"1970-01-02T00:00:00.007"}"#,
            r#"{"time":"yesterday"}"#,
            r#"{"sender":"x"}"#,
        ]);
        let page = tail.newest_lines(&TailFilter::default(), 9);
        let times: Vec<_> = page.lines.iter().map(|line| line.logged_at).collect();
        assert_eq!(times, [Some(86_400_007), None, None]);
    }

    #[test]
    fn a_tail_is_read_in_parts_without_missing_a_line() {
        let (tail, before) = filled(&LINES);
        let all = TailFilter::default();
        let mut seen = Vec::new();
        let mut last = before;
        loop {
            let page = tail.after(last, &all, 2);
            assert!(!page.has_gap);
            if page.lines.is_empty() {
                break;
            }
            seen.extend(page.lines.iter().map(|line| line.id - before));
            last = page.last_id;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert_eq!(last, *tail.newest().borrow());
        let newest = tail.newest_lines(&all, 2);
        assert_eq!(newest.lines.iter().map(|line| line.id - before).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(newest.last_id, last);
        // Ids from nowhere.
        assert!(tail.after(u64::MAX, &all, 2).lines.is_empty());
        assert_eq!(tail.after(0, &all, 9).lines.len(), 5);
    }

    #[test]
    fn what_is_kept_is_bounded_by_lines_and_by_bytes() {
        let short = r#"{"sender":"x"}"#;
        let (tail, before) = filled(&[short; MAX_LINES + 7]);
        let page = tail.after(before, &TailFilter::default(), usize::MAX);
        assert_eq!((page.lines.len(), page.has_gap), (MAX_LINES, true));
        assert_eq!(tail.lines().bytes, MAX_LINES * (short.len() + 1));

        let long = format!(r#"{{"sender":"{}"}}"#, "x".repeat(MAX_BYTES / 4));
        for _ in 0..9 {
            tail.push(&format!("{long}\n"));
        }
        assert_eq!(tail.lines().kept.len(), 3);
        tail.push(&format!("{}\n", "y".repeat(MAX_BYTES)));
        assert_eq!(tail.lines().kept.len(), 0);
        assert_eq!(tail.lines().bytes, 0);
        tail.push(&format!("{short}\n"));
        assert_eq!(tail.newest_lines(&TailFilter::default(), 9).lines.len(), 1);
    }

    #[test]
    fn an_empty_tail_has_nothing() {
        let (tail, before) = filled(&[]);
        let page = tail.newest_lines(&TailFilter::default(), 9);
        assert_eq!(page, TailPage { lines: vec![], last_id: before, has_gap: false });
    }
}
