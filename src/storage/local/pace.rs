//! Whether the disk answers quickly enough to be asked without a hop.
//!
//! A write into the page cache takes some microseconds, and so does a question that
//! the directory cache answers: less than handing it to another thread. But when the
//! kernel throttles writers or the disk is slow it takes as long as the disk, and
//! would stall every other connection of the worker. So a call that took more than
//! [`SLOW`] switches its storage to the blocking pool, for 16 ms at first and up to a
//! second while it stays slow. A file system that may wait for another machine is
//! never asked here: its first slow answer could take for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SLOW: Duration = Duration::from_millis(1);
const FIRST_PAUSE: Duration = Duration::from_millis(16);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Shared by all files of a storage: they are on the same disk.
#[derive(Debug)]
pub(super) struct Pace {
    origin: Instant,
    /// Microseconds after `origin` until which writes are offloaded.
    slow_until: AtomicU64,
    /// Microseconds that the next slow write adds.
    pause: AtomicU64,
    /// Whether the file system is one of this machine's own.
    is_local: bool,
}

impl Pace {
    pub(super) fn new(is_local: bool) -> Self {
        Self {
            is_local,
            origin: Instant::now(),
            slow_until: AtomicU64::new(0),
            pause: AtomicU64::new(micros(FIRST_PAUSE)),
        }
    }

    /// When a question about names starts, if it may be asked here and now.
    pub(super) fn start_asking(&self) -> Option<Instant> {
        if self.is_local { self.start() } else { None }
    }

    /// Counts a call that ran from `start` until now.
    pub(super) fn note_since(&self, start: Instant) {
        let now = Instant::now();
        self.note(now.saturating_duration_since(start), now);
    }

    /// When this write starts, if it may be done here and now.
    pub(super) fn start(&self) -> Option<Instant> {
        let now = Instant::now();
        (self.since_origin(now) >= self.slow_until.load(Ordering::Relaxed)).then_some(now)
    }

    /// Counts a write that took `took` until `now`, wherever it ran.
    pub(super) fn note(&self, took: Duration, now: Instant) {
        if took > SLOW {
            let pause = self.pause.load(Ordering::Relaxed);
            self.slow_until.store(self.since_origin(now) + pause, Ordering::Relaxed);
            self.pause.store((pause * 2).min(micros(LONGEST_PAUSE)), Ordering::Relaxed);
        } else if self.pause.load(Ordering::Relaxed) != micros(FIRST_PAUSE) {
            self.pause.store(micros(FIRST_PAUSE), Ordering::Relaxed);
        }
    }

    fn since_origin(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.origin))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_of_another_machine_is_never_asked_here() {
        assert!(Pace::new(true).start_asking().is_some());
        assert!(Pace::new(false).start_asking().is_none());
        assert!(Pace::new(false).start().is_some(), "its page cache still takes writes");
    }

    #[test]
    fn a_slow_write_sends_the_next_ones_to_the_pool_for_longer_each_time() {
        let pace = Pace::new(true);
        let mut now = pace.origin;
        let is_slow = |now| pace.since_origin(now) < pace.slow_until.load(Ordering::Relaxed);
        assert!(!is_slow(now));
        for pause_ms in [16, 32, 64, 128, 256, 512, 1000, 1000] {
            pace.note(Duration::from_millis(2), now);
            assert!(is_slow(now + Duration::from_millis(pause_ms - 1)));
            now += Duration::from_millis(pause_ms);
            assert!(!is_slow(now));
        }
        pace.note(Duration::from_micros(30), now);
        pace.note(Duration::from_millis(2), now);
        assert!(!is_slow(now + Duration::from_millis(16)));
    }
}
