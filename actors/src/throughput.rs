//! How fast bytes flow: of the whole server for the last hour, and of each open
//! transfer for the last minute.
//!
//! A task reads the counters of the open transfers once a second, so what moves bytes
//! does nothing for it. A transfer that ends in between leaves the rest of its bytes in
//! [`Unsampled`]: every byte is counted once, whenever its transfer ends.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::entry::Common;
use crate::ids::Direction;
use crate::meter::unix_ms;
use crate::registry::Registry;

/// How often the counters are read.
const PERIOD: Duration = Duration::from_secs(1);

/// Samples kept of the server and of each transfer: a minute.
pub const RECENT_POINTS: usize = 60;

/// Samples that make up "now".
const CURRENT_POINTS: usize = 10;

/// Length of a point of the history.
const BUCKET: Duration = Duration::from_secs(5);

/// Points of the history: an hour.
pub const HISTORY_POINTS: usize = 720;

/// An amount of bytes each way, or bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    pub upload: u64,
    pub download: u64,
}

impl Flow {
    pub(crate) fn of(direction: Direction, bytes: u64) -> Self {
        match direction {
            Direction::Upload => Self { upload: bytes, download: 0 },
            Direction::Download => Self { upload: 0, download: bytes },
        }
    }

    fn per_second(self, during: Duration) -> Self {
        Self {
            upload: per_second(self.upload, during),
            download: per_second(self.download, during),
        }
    }
}

impl AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.upload = self.upload.saturating_add(other.upload);
        self.download = self.download.saturating_add(other.download);
    }
}

fn per_second(bytes: u64, during: Duration) -> u64 {
    let micros = during.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// Bytes of transfers that ended since the last sample.
#[derive(Debug, Default)]
pub(crate) struct Unsampled {
    upload: AtomicU64,
    download: AtomicU64,
}

impl Unsampled {
    pub(crate) fn add(&self, direction: Direction, bytes: u64) {
        let counter = match direction {
            Direction::Upload => &self.upload,
            Direction::Download => &self.download,
        };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self) -> Flow {
        Flow {
            upload: self.upload.swap(0, Ordering::Relaxed),
            download: self.download.swap(0, Ordering::Relaxed),
        }
    }
}

/// The last minute of one transfer, in bytes per second. Grows with the age of the
/// transfer, so that a small file costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Track {
    counted: u64,
    rates: VecDeque<u64>,
}

impl Track {
    /// What was moved since the last call, `during` before; `bytes` is the whole so far.
    pub(crate) fn sample(&mut self, bytes: u64, during: Duration) -> u64 {
        let moved = self.rest(bytes);
        self.counted = bytes;
        push_bounded(&mut self.rates, per_second(moved, during), RECENT_POINTS);
        moved
    }

    /// What no sample has counted.
    pub(crate) fn rest(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.counted)
    }

    /// Oldest first.
    pub(crate) fn rates(&self) -> Vec<u64> {
        self.rates.iter().copied().collect()
    }

    /// Mean of the last ten seconds.
    pub(crate) fn current(&self) -> u64 {
        let recent = self.rates.iter().rev().take(CURRENT_POINTS);
        let count = recent.len() as u64;
        recent.copied().fold(0, u64::saturating_add).checked_div(count).unwrap_or(0)
    }
}

fn push_bounded<T>(points: &mut VecDeque<T>, point: T, most: usize) {
    if points.len() >= most {
        points.pop_front();
    }
    points.push_back(point);
}

/// A point of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowPoint {
    /// When it ended; milliseconds since the Unix epoch.
    pub until_unix_ms: u64,
    /// Bytes per second in this time.
    pub rate: Flow,
}

/// What is known of the server's throughput.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThroughputReport {
    /// Bytes per second, mean of the last ten seconds.
    pub current: Flow,
    /// Bytes since the start.
    pub total: Flow,
    /// Bytes per second in each of the last seconds, oldest first; at most
    /// [`RECENT_POINTS`].
    pub last_minute: Vec<Flow>,
    /// Points of five seconds, oldest first; at most [`HISTORY_POINTS`].
    pub last_hour: Vec<FlowPoint>,
}

#[derive(Debug, Default)]
struct History {
    total: Flow,
    recent: VecDeque<Flow>,
    buckets: VecDeque<FlowPoint>,
    filling: Flow,
    filled_for: Duration,
}

impl History {
    fn add(&mut self, moved: Flow, during: Duration, now_unix_ms: u64) {
        self.total += moved;
        push_bounded(&mut self.recent, moved.per_second(during), RECENT_POINTS);
        self.filling += moved;
        self.filled_for += during;
        // Samples are a little longer than their period; the last of a bucket need not
        // wait for the rest of a moment.
        if self.filled_for + PERIOD / 2 >= BUCKET {
            let rate = self.filling.per_second(self.filled_for);
            let point = FlowPoint { until_unix_ms: now_unix_ms, rate };
            push_bounded(&mut self.buckets, point, HISTORY_POINTS);
            self.filling = Flow::default();
            self.filled_for = Duration::ZERO;
        }
    }

    fn current(&self) -> Flow {
        let mut sum = Flow::default();
        let recent = self.recent.iter().rev().take(CURRENT_POINTS);
        let count = recent.len() as u64;
        recent.for_each(|rate| sum += *rate);
        Flow {
            upload: sum.upload.checked_div(count).unwrap_or(0),
            download: sum.download.checked_div(count).unwrap_or(0),
        }
    }
}

/// The handle of the sampler, which ends with its last clone.
#[derive(Debug, Clone)]
pub struct Throughput(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    history: Mutex<History>,
    samples: watch::Sender<u64>,
}

impl Throughput {
    /// Starts sampling.
    pub(crate) fn start(registry: Registry, common: &Arc<Common>) -> Self {
        let shared = Arc::new(Shared { history: Mutex::default(), samples: watch::Sender::new(0) });
        common.pool.spawn(sample(Arc::downgrade(&shared), registry, common.clone()));
        Self(shared)
    }

    /// All that is known.
    pub fn report(&self) -> ThroughputReport {
        let history = self.0.history();
        ThroughputReport {
            current: history.current(),
            total: history.total,
            last_minute: history.recent.iter().copied().collect(),
            last_hour: history.buckets.iter().copied().collect(),
        }
    }

    /// Bytes per second, mean of the last ten seconds.
    pub fn current(&self) -> Flow {
        self.0.history().current()
    }

    /// Changes with each sample: about once a second.
    pub fn samples(&self) -> watch::Receiver<u64> {
        self.0.samples.subscribe()
    }
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, History> {
        // What a panic could leave half done is a point of a curve.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sample(shared: Weak<Shared>, registry: Registry, common: Arc<Common>) {
    let mut ticks = tokio::time::interval_at(Instant::now() + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        let entries = registry.entries().await;
        let during = last.elapsed();
        last = Instant::now();
        let mut moved = common.unsampled.take();
        for entry in entries {
            moved += entry.sample(during);
        }
        let Some(shared) = shared.upgrade() else { return };
        shared.history().add(moved, during, unix_ms(SystemTime::now()));
        shared.samples.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn flow(upload: u64, download: u64) -> Flow {
        Flow { upload, download }
    }

    #[test]
    fn rate_of_a_transfer_is_the_mean_of_at_most_ten_seconds() {
        let mut track = Track::default();
        assert_eq!((track.current(), track.rates()), (0, vec![]));
        assert_eq!(track.sample(1000, SECOND), 1000);
        assert_eq!(track.current(), 1000);
        assert_eq!(track.sample(1500, SECOND / 2), 500);
        assert_eq!(track.rates(), [1000, 1000]);
        assert_eq!(track.rest(1501), 1);
        for _ in 0..10 {
            assert_eq!(track.sample(1500, SECOND), 0);
        }
        assert_eq!(track.current(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut track, mut history) = (Track::default(), History::default());
        for second in 1..=4000 {
            track.sample(second * 7, SECOND);
            history.add(flow(7, 9), SECOND, second * 1000);
        }
        assert_eq!(track.rates(), [7; RECENT_POINTS]);
        assert_eq!(history.recent.len(), RECENT_POINTS);
        assert_eq!(history.buckets.len(), HISTORY_POINTS);
        assert_eq!(history.total, flow(28_000, 36_000));
        assert_eq!(history.current(), flow(7, 9));
        let newest = FlowPoint { until_unix_ms: 4_000_000, rate: flow(7, 9) };
        assert_eq!(history.buckets.back(), Some(&newest));
        let oldest = history.buckets.front().map(|point| point.until_unix_ms);
        assert_eq!(oldest, Some((4000 - 719 * 5) * 1000), "an hour");
    }

    #[test]
    fn samples_that_come_late_do_not_look_fast() {
        let mut history = History::default();
        history.add(flow(6000, 0), SECOND * 3, 3000);
        assert_eq!(history.current(), flow(2000, 0));
        history.add(flow(2000, 0), SECOND * 2, 5000);
        let point = FlowPoint { until_unix_ms: 5000, rate: flow(1600, 0) };
        assert_eq!(history.buckets, [point]);
    }

    #[test]
    fn no_amount_overflows() {
        assert_eq!(per_second(u64::MAX, Duration::ZERO), u64::MAX);
        let mut sum = flow(u64::MAX, 1);
        sum += flow(1, 1);
        assert_eq!(sum, flow(u64::MAX, 2));
    }
}
