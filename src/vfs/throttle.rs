//! The bandwidth limit of one transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::{KillSwitch, Meter};
use tokio::time::Instant;

use super::effects::killed;
use crate::error::Result;

/// Unused time that may be caught up on: a transfer that was held up passes at
/// most what the limit allows in this time without waiting.
const LONGEST_CREDIT_NS: u64 = 100_000_000;

/// Who waits shows at least so often that the transfer goes on.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);

/// Pieces are no smaller than this, however slow.
const LEAST_PIECE: u64 = 1024;

/// A limit in bytes per second, kept by time: each byte has its moment, and
/// whoever comes before it waits. Sleeping a little too long is made up for by
/// the credit, so the rate is exact in the long run at any speed.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_sec: u64,
    origin: Instant,
    /// Nanoseconds after `origin` at which the next byte may pass.
    next_ns: AtomicU64,
    /// Time in which bytes could have passed and did not, and which is not caught up on.
    lost_ns: AtomicU64,
}

impl Throttle {
    /// A limit in units of 1024 bytes per second; `None` for 0, which is no limit.
    pub(super) fn from_kib_per_sec(limit: i64) -> Option<Self> {
        let bytes_per_sec = u64::try_from(limit).ok()?.saturating_mul(1024);
        (bytes_per_sec > 0).then(|| Self {
            bytes_per_sec,
            origin: Instant::now(),
            next_ns: AtomicU64::new(0),
            lost_ns: AtomicU64::new(0),
        })
    }

    /// What passes at once of a larger block, so that it flows steadily.
    pub(super) fn piece(&self) -> usize {
        usize::try_from((self.bytes_per_sec / 20).max(LEAST_PIECE)).unwrap_or(usize::MAX)
    }

    /// Lets `bytes` pass if that needs no waiting.
    pub(super) fn try_acquire(&self, bytes: usize) -> bool {
        let now = self.now_ns();
        let pass = |next| Some(self.after(next, now, bytes)).filter(|after| *after <= now);
        self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pass).is_ok()
    }

    /// Waits until `bytes` may pass, or fails when the connection is killed. Waiting is
    /// activity of the transfer.
    pub(super) async fn acquire(
        &self,
        bytes: usize,
        kill: &KillSwitch,
        meter: &Meter,
    ) -> Result<()> {
        let mut wait = self.reserve(self.now_ns(), bytes);
        while !wait.is_zero() {
            let step = wait.min(LONGEST_SILENCE);
            tokio::select! {
                () = kill.fired() => return Err(killed(kill)),
                () = tokio::time::sleep(step) => {}
            }
            wait = wait.saturating_sub(step);
            meter.touch();
        }
        Ok(())
    }

    /// Gives back what was acquired and not used.
    pub(super) fn refund(&self, bytes: usize) {
        let cost = self.cost_ns(bytes);
        let back = |next: u64| Some(next.saturating_sub(cost));
        let _ = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// For somebody who lets `bytes` pass one by one.
    pub(super) fn pace(self: &Arc<Self>, bytes: usize, meter: &Meter) -> Pace {
        Pace { throttle: self.clone(), bytes, moments: None, meter: meter.clone() }
    }

    /// Moves everything that has not passed yet to a later moment.
    fn lose(&self, time_ns: u64) {
        self.lost_ns.fetch_add(time_ns, Ordering::Relaxed);
        self.next_ns.fetch_add(time_ns, Ordering::Relaxed);
    }

    /// Takes the moments of `bytes`; how long until they may pass.
    fn reserve(&self, now: u64, bytes: usize) -> Duration {
        Duration::from_nanos(self.take(now, bytes).saturating_sub(now))
    }

    /// Takes the moments of `bytes`; when the last of them may pass.
    fn take(&self, now: u64, bytes: usize) -> u64 {
        let mut after = now;
        let _ = self.next_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            after = self.after(next, now, bytes);
            Some(after)
        });
        after
    }

    /// The moment after `bytes` more, given the present one.
    fn after(&self, next: u64, now: u64, bytes: usize) -> u64 {
        next.max(now.saturating_sub(LONGEST_CREDIT_NS)).saturating_add(self.cost_ns(bytes))
    }

    fn cost_ns(&self, bytes: usize) -> u64 {
        let cost = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_sec);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// When the bytes of one block may leave, piece by piece.
#[derive(Debug)]
pub struct Pace {
    throttle: Arc<Throttle>,
    bytes: usize,
    /// Once they are taken.
    moments: Option<Moments>,
    meter: Meter,
}

/// When the bytes of a block may leave, if nothing is lost from now on.
#[derive(Debug, Clone, Copy)]
struct Moments {
    start_ns: u64,
    /// What the throttle had lost when they were taken.
    lost_ns: u64,
    /// How late the block begins: it may have waited behind others.
    late_ns: Option<u64>,
}

impl Pace {
    /// Takes the moments of the block, behind those that were taken before. To be called
    /// in the order in which blocks leave, which need not be that in which they were read:
    /// else one waits for the moments of another that leaves only after it.
    pub fn begin(&mut self) {
        let now = self.throttle.now_ns();
        self.begin_at(now);
    }

    fn begin_at(&mut self, now: u64) -> Moments {
        let (throttle, bytes) = (&self.throttle, self.bytes);
        *self.moments.get_or_insert_with(|| {
            let lost_ns = throttle.lost_ns.load(Ordering::Relaxed);
            let end = throttle.take(now, bytes);
            let start_ns = end.saturating_sub(throttle.cost_ns(bytes));
            Moments { start_ns, lost_ns, late_ns: None }
        })
    }

    /// How many bytes may leave now, of a block of which `sent` have left and `left`
    /// have not; waits until it is worth it, and gives at least one while any are left.
    pub async fn next(&mut self, sent: usize, left: usize) -> usize {
        loop {
            let now = self.throttle.now_ns();
            self.meter.touch();
            match self.ready(now, sent, left) {
                Ok(bytes) => return bytes,
                Err(wait) => tokio::time::sleep(wait.min(LONGEST_SILENCE)).await,
            }
        }
    }

    /// The same by a given clock: how many bytes, or how long to wait for any.
    fn ready(&mut self, now: u64, sent: usize, left: usize) -> Result<usize, Duration> {
        let mut moments = self.begin_at(now);
        // Held up since the block began, by the client or by this machine: then what was
        // missed must not leave in one burst.
        let late = now.saturating_sub(self.due_ns(moments, sent));
        let usual = *moments.late_ns.get_or_insert(late);
        self.moments = Some(moments);
        self.throttle.lose(late.saturating_sub(usual.saturating_add(LONGEST_CREDIT_NS)));
        let wanted = left.min(self.throttle.piece());
        let due = self.due_ns(moments, sent.saturating_add(wanted));
        if due > now {
            return Err(Duration::from_nanos(due - now));
        }
        Ok(self.passed(moments, now).saturating_sub(sent).clamp(wanted, left))
    }

    /// When the first byte may leave, moved by what was lost since.
    fn begin_ns(&self, moments: Moments) -> u64 {
        let lost = self.throttle.lost_ns.load(Ordering::Relaxed).wrapping_sub(moments.lost_ns);
        moments.start_ns.saturating_add(lost)
    }

    /// When the block may have left up to here.
    fn due_ns(&self, moments: Moments, bytes: usize) -> u64 {
        self.begin_ns(moments).saturating_add(self.throttle.cost_ns(bytes))
    }

    /// How much of a block of any length may have left by now.
    fn passed(&self, moments: Moments, now: u64) -> usize {
        let elapsed = u128::from(now.saturating_sub(self.begin_ns(moments)));
        let bytes = elapsed * u128::from(self.throttle.bytes_per_sec) / 1_000_000_000;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: u64 = 1_000_000_000;

    fn limit(kib_per_sec: i64) -> Throttle {
        Throttle::from_kib_per_sec(kib_per_sec).unwrap()
    }

    /// A block whose moments are taken at `now`.
    fn paced(throttle: &Arc<Throttle>, now: u64, bytes: usize) -> Pace {
        let mut pace = throttle.pace(bytes, &Meter::new());
        pace.begin_at(now);
        pace
    }

    /// Moves `total` bytes in pieces by a clock that wakes sleepers late;
    /// how many nanoseconds it takes.
    fn simulate(throttle: &Throttle, total: u64, piece: usize, late_ns: u64, work_ns: u64) -> u64 {
        let (mut now, mut moved) = (0, 0);
        while moved < total {
            let wait = throttle.reserve(now, piece).as_nanos() as u64;
            now += if wait > 0 { wait + late_ns } else { 0 } + work_ns;
            moved += piece as u64;
        }
        now
    }

    #[test]
    fn the_rate_is_exact_within_three_percent_at_any_speed() {
        for kib_per_sec in [32, 100, 1024, 10 * 1024, 100 * 1024, 1024 * 1024] {
            for piece in [4096, 32 * 1024, 256 * 1024] {
                // Timers have a granularity of a millisecond, and workers are busy.
                for late_ns in [0, 1_000_000, 20_000_000] {
                    let throttle = limit(kib_per_sec);
                    let rate = kib_per_sec as u64 * 1024;
                    let total = rate * 10;
                    let took = simulate(&throttle, total, piece, late_ns, 1_000);
                    let want = total.div_ceil(piece as u64) * piece as u64 * SEC / rate;
                    let off = took.abs_diff(want) as f64 / want as f64;
                    assert!(off < 0.03, "{kib_per_sec} KiB/s by {piece}, {late_ns} ns late: {off}");
                }
            }
        }
    }

    #[test]
    fn a_transfer_that_was_idle_catches_up_on_no_more_than_a_tenth_of_a_second() {
        let throttle = limit(1000);
        assert_eq!(throttle.reserve(0, 1024), Duration::from_millis(1));
        // A minute later: 100 KiB at once, and not a byte more.
        let now = 60 * SEC;
        assert_eq!(throttle.reserve(now, 100 * 1024), Duration::ZERO);
        assert_eq!(throttle.reserve(now, 10 * 1024), Duration::from_millis(10));
    }

    #[test]
    fn the_first_bytes_wait_for_their_moment_too() {
        let throttle = limit(32);
        assert_eq!(throttle.reserve(0, 32 * 1024), Duration::from_secs(1));
        assert_eq!(throttle.reserve(0, 32 * 1024), Duration::from_secs(2));
        throttle.refund(32 * 1024);
        assert_eq!(throttle.reserve(0, 32 * 1024), Duration::from_secs(2));
    }

    #[test]
    fn zero_is_no_limit() {
        assert!(Throttle::from_kib_per_sec(0).is_none());
        assert!(Throttle::from_kib_per_sec(-1).is_none());
        assert!(Throttle::from_kib_per_sec(i64::MAX).is_some());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_connection_is_killed() {
        let throttle = limit(1);
        let kill = KillSwitch::new();
        kill.fire(actors::KillReason::Shutdown);
        let error = throttle.acquire(usize::MAX, &kill, &Meter::new()).await.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Aborted);
        assert!(!throttle.try_acquire(1));
    }

    #[test]
    fn a_block_leaves_in_small_steps_at_the_rate_of_the_limit() {
        const BLOCK: usize = 256 * 1024;
        // (KiB per second, the largest step: a tenth of a second, and what one lateness adds)
        for (kib_per_sec, late_ns) in [(32, 0), (32, 20_000_000), (100_000, 1_000_000)] {
            let throttle = Arc::new(limit(kib_per_sec));
            let most = kib_per_sec as usize * 1024 / 10;
            let mut now = 0;
            for block in 0..8 {
                let mut pace = paced(&throttle, now, BLOCK);
                let mut sent = 0;
                while sent < BLOCK {
                    match pace.ready(now, sent, BLOCK - sent) {
                        Ok(step) => {
                            assert!(step > 0 && step <= most, "{step} bytes at once");
                            sent += step;
                        }
                        Err(wait) => {
                            assert!(wait <= Duration::from_millis(100));
                            now += wait.as_nanos() as u64 + late_ns;
                        }
                    }
                }
                let wanted = (block + 1) * BLOCK as u64 * SEC / (kib_per_sec as u64 * 1024);
                assert!((wanted..=wanted + late_ns).contains(&now), "{now} instead of {wanted}");
            }
        }
    }

    #[test]
    fn blocks_leave_in_the_order_of_their_beginning_whichever_was_read_first() {
        const BLOCK: usize = 256 * 1024;
        let throttle = Arc::new(limit(1000));
        // Read in the one order, and sent in the other.
        let read: Vec<_> = (0..4).map(|_| throttle.pace(BLOCK, &Meter::new())).collect();
        let mut leaving: Vec<_> = read.into_iter().rev().collect();
        for pace in &mut leaving {
            pace.begin_at(0);
        }
        let (mut now, mut total) = (0, 0);
        for pace in &mut leaving {
            let mut sent = 0;
            while sent < BLOCK {
                match pace.ready(now, sent, BLOCK - sent) {
                    Ok(step) => {
                        sent += step;
                        total += step as u64;
                        let due = total * SEC / (1000 * 1024);
                        assert!(now.abs_diff(due) <= SEC / 10, "{total} bytes at {now}");
                    }
                    Err(wait) => now += wait.as_nanos() as u64,
                }
            }
        }
    }

    #[test]
    fn what_was_held_up_does_not_leave_in_one_burst() {
        const BLOCK: usize = 100 * 1024;
        let throttle = Arc::new(limit(100));
        // Three blocks of a second each, ready at once.
        let mut blocks: Vec<_> = (0..3).map(|_| paced(&throttle, 0, BLOCK)).collect();
        let (mut now, mut total, mut before) = (0, 0, 0);
        for pace in &mut blocks {
            let mut sent = 0;
            while sent < BLOCK {
                match pace.ready(now, sent, BLOCK - sent) {
                    Ok(step) => {
                        assert!(step <= BLOCK * 16 / 100, "{step} bytes at once");
                        sent += step;
                        total += step;
                        // In the middle of the first block nothing goes on for two seconds.
                        if before < BLOCK / 2 && total >= BLOCK / 2 {
                            now += 2 * SEC;
                        }
                        before = total;
                    }
                    Err(wait) => now += wait.as_nanos() as u64,
                }
            }
        }
        assert!((now as i64 - 49 * SEC as i64 / 10).abs() < SEC as i64 / 10, "{now}");
    }

    #[test]
    fn blocks_that_wait_behind_others_keep_their_rate() {
        const BLOCK: usize = 100 * 1024;
        // Two downloads on one channel, a second of data each, in turn.
        let throttles = [Arc::new(limit(100)), Arc::new(limit(100))];
        let mut now = 0;
        let mut queue: std::collections::VecDeque<_> =
            throttles.iter().cycle().take(8).map(|throttle| paced(throttle, 0, BLOCK)).collect();
        while let Some(mut pace) = queue.pop_front() {
            let mut sent = 0;
            while sent < BLOCK {
                match pace.ready(now, sent, BLOCK - sent) {
                    Ok(step) => sent += step,
                    Err(wait) => now += wait.as_nanos() as u64,
                }
            }
        }
        assert!(now.abs_diff(4 * SEC) < SEC / 10, "{now}");
    }

    #[tokio::test]
    async fn a_long_wait_is_activity() {
        let (throttle, meter, kill) = (limit(1), Meter::new(), KillSwitch::new());
        let wait = throttle.acquire(60 * 1024, &kill, &meter);
        let _ = tokio::time::timeout(Duration::from_millis(1_500), wait).await;
        assert!(meter.last_activity_unix_ms() >= meter.started_unix_ms() + 1_000);
    }
}
