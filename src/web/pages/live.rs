//! Pages that move: a stream of server-sent events (WHATWG HTML, section 9.2) per open
//! page. Each begins with all values, then sends what has changed. A value is text or an
//! attribute of one place of the page: the row's key and the cell's name.
//!
//! All streams share one list of the sessions per sample, so that many open pages cost
//! little more than one.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::PageError;
use super::signed::Signed;
use crate::web::error::ApiError;
use crate::web::operations::live::LiveSnapshot;
use crate::web::request::auth::Right;
use crate::web::services::Services;

/// The most streams of one administrator, and of all.
const MOST_PER_ADMIN: usize = 16;
const MOST: usize = 256;
/// At most so often something is sent.
const LEAST_GAP: Duration = Duration::from_millis(500);
/// A sign of life when nothing changes; pages worry after 12 seconds.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often it is asked whether who looks on still may.
const RECHECK: Duration = Duration::from_secs(3);

/// What the streams of all pages share.
#[derive(Default)]
pub struct Live {
    open: Arc<Mutex<HashMap<String, usize>>>,
    /// Fired when the server stops.
    pub stop: CancellationToken,
    latest: tokio::sync::Mutex<Option<(u64, Arc<LiveSnapshot>)>>,
}

impl Live {
    /// The sessions of everybody, listed once per sample of the throughput.
    pub async fn snapshot(&self, services: &Services) -> Arc<LiveSnapshot> {
        let sample = *services.throughput.samples().borrow();
        let mut latest = self.latest.lock().await;
        match &*latest {
            Some((of, snapshot)) if *of == sample => snapshot.clone(),
            _ => {
                let snapshot = Arc::new(services.live_snapshot_of_all().await);
                *latest = Some((sample, snapshot.clone()));
                snapshot
            }
        }
    }

    /// Takes one of the places for streams.
    ///
    /// # Errors
    /// 429 when there is none left.
    fn enter(&self, username: &str) -> Result<Place, ApiError> {
        let mut open = lock(&self.open);
        let of_all: usize = open.values().sum();
        let of_admin = open.get(username).copied().unwrap_or(0);
        if of_admin >= MOST_PER_ADMIN || of_all >= MOST {
            let told = "too many live pages are open; close some of them";
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, told));
        }
        *open.entry(username.to_owned()).or_default() += 1;
        Ok(Place { open: self.open.clone(), username: username.to_owned() })
    }
}

/// The place of one stream, free again when it is dropped.
struct Place {
    open: Arc<Mutex<HashMap<String, usize>>>,
    username: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(count) = open.get_mut(&self.username) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.username);
            }
        }
    }
}

fn lock(open: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The values of one row by the names of their cells.
pub type Cells = BTreeMap<&'static str, String>;

/// What a page shows at a moment.
#[derive(Debug, Default)]
pub struct View {
    /// The rows that there are, in order.
    pub keys: Vec<String>,
    /// Values by row; the key of what belongs to no row is empty.
    pub cells: BTreeMap<String, Cells>,
    /// Rows to be added to what was sent before, oldest first.
    pub lines: Vec<Line>,
}

/// A row that is complete in itself and never changes.
#[derive(Debug, Serialize)]
pub struct Line {
    pub key: String,
    pub cells: Cells,
}

impl View {
    /// What is other than in `before`; `None` if nothing is.
    fn since(&self, before: &Self) -> Option<serde_json::Value> {
        let mut changed: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for (key, cells) in &self.cells {
            let old = before.cells.get(key);
            for (name, value) in cells {
                if old.and_then(|old| old.get(name)) != Some(value) {
                    changed.entry(key).or_default().insert(name, value);
                }
            }
        }
        let has_other_rows = self.keys != before.keys;
        if changed.is_empty() && !has_other_rows && self.lines.is_empty() {
            return None;
        }
        let mut message = json!({ "cells": changed });
        if has_other_rows {
            message["keys"] = json!(self.keys);
        }
        if !self.lines.is_empty() {
            message["lines"] = json!(self.lines);
        }
        Some(message)
    }
}

/// Something that can be looked on at.
pub trait Show: 'static {
    /// What it takes to look on.
    type Right: Right;

    /// Changes when there may be something new.
    fn ticks(&self, services: &Services) -> Option<watch::Receiver<u64>>;

    /// What is there to be seen now.
    fn view(&mut self, by: &Signed<Self::Right>) -> impl Future<Output = Result<View, PageError>>;

    /// Names the moment of the last view; a page that was cut off tells it when it returns.
    fn moment(&self) -> u64;
}

/// The stream that shows `show` to `by`.
///
/// # Errors
/// 429 when too many are open.
pub async fn stream<S: Show>(by: Signed<S::Right>, mut show: S) -> Result<HttpResponse, PageError> {
    let place = by.pages.live.enter(by.username())?;
    let mut ticks = show.ticks(by.services());
    if let Some(ticks) = &mut ticks {
        ticks.mark_unchanged();
    }
    // What cannot be shown at all is refused, not begun.
    let first = show.view(&by).await?;
    let now = Instant::now();
    let viewer = Viewer {
        by,
        show,
        ticks,
        seen: View::default(),
        next: Some(first),
        sent: now,
        checked: now,
        is_over: false,
        _place: place,
    };
    let events = futures_util::stream::unfold(viewer, |mut viewer| async {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(event)), viewer))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // Keeps the compression of pages away, which would hold events back.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events))
}

/// One open page.
struct Viewer<S: Show> {
    by: Signed<S::Right>,
    show: S,
    ticks: Option<watch::Receiver<u64>>,
    seen: View,
    /// The view that begins the stream.
    next: Option<View>,
    sent: Instant,
    checked: Instant,
    is_over: bool,
    _place: Place,
}

impl<S: Show> Viewer<S> {
    /// The next event; `None` after the last.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        if let Some(first) = self.next.take() {
            let snapshot = first.since(&View::default()).unwrap_or_else(|| json!({}));
            self.seen = first;
            return Some(self.event("snapshot", &snapshot));
        }
        let stop = self.by.pages.live.stop.clone();
        loop {
            let gap_ends = self.sent + LEAST_GAP;
            let beat_at = self.sent + HEARTBEAT;
            let is_new = tokio::select! {
                biased;
                () = stop.cancelled() => return Some(self.last(503)),
                is_new = changed(self.ticks.as_mut(), gap_ends) => is_new,
                () = tokio::time::sleep_until(beat_at) => false,
            };
            if !is_new && Instant::now() < beat_at {
                // Nothing will ever be new: the source is gone.
                self.ticks = None;
            }
            if self.checked.elapsed() >= RECHECK {
                if let Err(refused) = self.by.look_again().await {
                    return Some(self.last(refused.status().as_u16()));
                }
                self.checked = Instant::now();
            }
            if is_new {
                match self.show.view(&self.by).await {
                    Err(error) => return Some(self.last(error.status().as_u16())),
                    Ok(view) => {
                        let message = view.since(&self.seen);
                        self.seen = view;
                        if let Some(message) = message {
                            return Some(self.event("change", &message));
                        }
                    }
                }
            }
            if self.sent.elapsed() >= HEARTBEAT {
                return Some(self.event("beat", &json!({})));
            }
        }
    }

    fn event(&mut self, name: &str, data: &serde_json::Value) -> String {
        self.sent = Instant::now();
        // JSON has no line feed outside of its strings, and none unescaped in them.
        format!("event: {name}\nid: {}\ndata: {data}\n\n", self.show.moment())
    }

    /// The event that says why nothing follows.
    fn last(&mut self, status: u16) -> String {
        self.is_over = true;
        self.event("end", &json!({ "status": status }))
    }
}

/// Waits until there is something new, but not before `earliest`; `false` if there never
/// will be.
async fn changed(ticks: Option<&mut watch::Receiver<u64>>, earliest: Instant) -> bool {
    let Some(ticks) = ticks else { return std::future::pending().await };
    tokio::time::sleep_until(earliest).await;
    ticks.changed().await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(keys: &[&str], cells: &[(&str, &'static str, &str)]) -> View {
        let mut view =
            View { keys: keys.iter().map(|&key| key.to_owned()).collect(), ..View::default() };
        for &(key, name, value) in cells {
            view.cells.entry(key.to_owned()).or_default().insert(name, value.to_owned());
        }
        view
    }

    #[test]
    fn only_what_changed_is_sent() {
        let before = view(&["a"], &[("a", "rate", "1"), ("a", "idle", "2 s")]);
        let same = view(&["a"], &[("a", "rate", "1"), ("a", "idle", "2 s")]);
        assert_eq!(same.since(&before), None);
        let other = view(&["a"], &[("a", "rate", "9"), ("a", "idle", "2 s")]);
        assert_eq!(other.since(&before), Some(json!({"cells": {"a": {"rate": "9"}}})));
        let more = view(&["a", "b"], &[("a", "rate", "1"), ("a", "idle", "2 s")]);
        assert_eq!(more.since(&before), Some(json!({"cells": {}, "keys": ["a", "b"]})));
    }

    #[test]
    fn places_are_bounded_per_administrator_and_given_back() {
        let live = Live::default();
        let taken: Vec<Place> =
            (0..MOST_PER_ADMIN).map(|_| live.enter("root").expect("a place")).collect();
        let refused = live.enter("root").err().expect("refused");
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        live.enter("other").expect("a place");
        drop(taken);
        live.enter("root").expect("a place");
        assert!(lock(&live.open).is_empty());
    }

    #[test]
    fn places_are_bounded_in_all() {
        let live = Live::default();
        let names = (0..MOST).map(|number| format!("admin{}", number % 32));
        let taken: Vec<Place> = names.map(|name| live.enter(&name).expect("a place")).collect();
        assert!(live.enter("late").is_err());
        assert_eq!(taken.len(), MOST);
    }
}
