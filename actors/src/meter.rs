//! What data tasks share with whoever observes or ends them: byte counters, the
//! time of the last activity, and the kill switch. No message is involved.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a connection is being ended from our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillReason {
    /// An administrator asked for it, and may have said why.
    Admin { by: String, because: Option<String> },
    /// The server stops.
    Shutdown,
    /// Nothing was asked and no byte moved for the configured time.
    IdleTimeout,
    /// The client did not log in within the grace time.
    LoginTimeout,
    /// An administrator changed the account and wanted its sessions ended.
    AccountChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account was deleted.
    AccountDeleted,
    /// The account's expiration date has passed.
    AccountExpired,
    /// The account's hours of access are over.
    AccessTimeOver,
    /// Something broke on our side; the text is for the log.
    Internal(String),
}

impl fmt::Display for KillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin { by, because: None } => write!(f, "closed by administrator {by:?}"),
            Self::Admin { by, because: Some(because) } => {
                write!(f, "closed by administrator {by:?}: {because}")
            }
            Self::Shutdown => f.write_str("the server is shutting down"),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::LoginTimeout => f.write_str("login timeout"),
            Self::AccountChanged => f.write_str("the account was changed"),
            Self::AccountDisabled => f.write_str("the account was disabled"),
            Self::AccountDeleted => f.write_str("the account was deleted"),
            Self::AccountExpired => f.write_str("the account has expired"),
            Self::AccessTimeOver => f.write_str("the account's access time is over"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

/// Ends a connection: every task of it holds a clone and selects on
/// [`KillSwitch::fired`]. The first reason wins.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    reason: OnceLock<KillReason>,
    token: CancellationToken,
}

impl KillSwitch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Fires. Returns whether this call was the first.
    pub fn fire(&self, reason: KillReason) -> bool {
        let is_first = self.0.reason.set(reason).is_ok();
        // After the reason, so that whoever wakes up finds it.
        self.0.token.cancel();
        is_first
    }

    /// One atomic load: cheap enough for every packet.
    pub fn is_fired(&self) -> bool {
        self.0.reason.get().is_some()
    }

    pub fn reason(&self) -> Option<KillReason> {
        self.0.reason.get().cloned()
    }

    /// Resolves once fired; at once if it was already.
    pub async fn fired(&self) {
        self.0.token.cancelled().await;
    }

    /// The token behind the switch, for code that selects on tokens. Cancelling
    /// it directly would fire without a reason: call [`KillSwitch::fire`].
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }
}

/// When something started and was last busy. Wall clock for reports, monotonic
/// clock for deadlines.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    started_unix_ms: u64,
    /// Milliseconds after `started`.
    last_ms: AtomicU64,
}

impl Activity {
    pub(crate) fn starting_now() -> Self {
        Self {
            started: Instant::now(),
            started_unix_ms: unix_ms(SystemTime::now()),
            last_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn touch(&self) {
        // `fetch_max`: of two tasks that race the later instant stays.
        self.last_ms.fetch_max(self.age_ms(), Ordering::Relaxed);
    }

    pub(crate) fn idle(&self) -> Duration {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(last_ms))
    }

    pub(crate) fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }

    pub(crate) fn last_unix_ms(&self) -> u64 {
        self.started_unix_ms.saturating_add(self.last_ms.load(Ordering::Relaxed))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// No file is that large.
const UNKNOWN: u64 = u64::MAX;

/// Counts the bytes of one transfer. Clones count together.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Count>);

#[derive(Debug)]
struct Count {
    bytes: AtomicU64,
    /// [`UNKNOWN`] if nobody said.
    expected: AtomicU64,
    activity: Activity,
}

impl Meter {
    pub fn new() -> Self {
        Self(Arc::new(Count {
            bytes: AtomicU64::new(0),
            expected: AtomicU64::new(UNKNOWN),
            activity: Activity::starting_now(),
        }))
    }

    /// Adds moved bytes and notes the activity.
    pub fn add(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.touch();
    }

    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Notes how large the whole is; what is resumed moves less.
    pub fn expect(&self, bytes: u64) {
        self.0.expected.store(bytes, Ordering::Relaxed);
    }

    /// How large the whole is, if that is known.
    pub fn expected(&self) -> Option<u64> {
        Some(self.0.expected.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// Notes activity without bytes, e.g. while a slow commit proceeds.
    pub fn touch(&self) {
        self.0.activity.touch();
    }

    /// Milliseconds since the Unix epoch.
    pub fn started_unix_ms(&self) -> u64 {
        self.0.activity.started_unix_ms()
    }

    /// Milliseconds since the Unix epoch.
    pub fn last_activity_unix_ms(&self) -> u64 {
        self.0.activity.last_unix_ms()
    }

    pub(crate) fn idle(&self) -> Duration {
        self.0.activity.idle()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds since the Unix epoch; 0 for a clock set before it.
pub(crate) fn unix_ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn first_reason_wins_and_wakes_whoever_waits() {
        let switch = KillSwitch::new();
        let waiting = tokio::spawn({
            let switch = switch.clone();
            async move {
                switch.fired().await;
                switch.reason()
            }
        });
        assert!(!switch.is_fired());
        assert!(switch.fire(KillReason::IdleTimeout));
        assert!(!switch.fire(KillReason::Shutdown));
        assert_eq!(waiting.await.unwrap(), Some(KillReason::IdleTimeout));
        assert!(switch.token().is_cancelled());
    }

    #[test]
    fn what_an_administrator_said_is_told() {
        let admin = |because: Option<&str>| KillReason::Admin {
            by: "root".to_owned(),
            because: because.map(str::to_owned),
        };
        assert_eq!(admin(None).to_string(), "closed by administrator \"root\"");
        let said = admin(Some("left the company")).to_string();
        assert_eq!(said, "closed by administrator \"root\": left the company");
    }

    #[tokio::test(start_paused = true)]
    async fn meter_counts_bytes_and_remembers_the_last_activity() {
        let meter = Meter::new();
        tokio::time::advance(Duration::from_secs(3)).await;
        meter.clone().add(5);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(meter.bytes(), 5);
        assert_eq!(meter.last_activity_unix_ms(), meter.started_unix_ms() + 3_000);
        assert_eq!(meter.idle(), Duration::from_secs(2));
    }
}
