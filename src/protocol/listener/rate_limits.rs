//! How often clients may come: the limiters of `common.rate_limiters`.
//!
//! Each has buckets of tokens, one for everybody or one for each address. Who finds its
//! bucket empty waits for the token that comes back next, if that is soon, and nobody
//! else gets that one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use tokio::sync::Semaphore;

use crate::config::{RateLimiterConfig, RateLimiterScope};
use crate::error::{Error, Result};
use crate::model::LoginProtocol;
use crate::model::network;

/// Clients that wait for a token at a time, over all limiters; more are refused.
const MAX_WAITING: usize = 512;

/// How long one waits at most where tokens come back less than once a second. Elsewhere it
/// is half the time until the next one.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// All limiters of the server, for every protocol.
pub struct RateLimits {
    /// In the order in which they are asked.
    limiters: Vec<Limiter>,
    /// A permit for each client that waits.
    waiting: Semaphore,
    started: Instant,
}

/// A client came more often than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// When it may come again, if nobody takes that token before.
    pub retry_after: Duration,
}

impl OverLimit {
    /// The same in whole seconds, at least one.
    pub fn retry_after_secs(self) -> u64 {
        let secs = self.retry_after.as_secs() + u64::from(self.retry_after.subsec_nanos() > 0);
        secs.max(1)
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it comes more often than the rate limit allows")
    }
}

impl RateLimits {
    /// # Errors
    /// A network that is none; the configuration has checked them before.
    pub fn from_config(configs: &[RateLimiterConfig]) -> Result<Self> {
        let enabled = configs.iter().filter(|config| config.is_enabled());
        let mut limiters = enabled.map(Limiter::from_config).collect::<Result<Vec<_>>>()?;
        // An address that is over its own limit must not use up the tokens of everybody.
        limiters.sort_by_key(|limiter| limiter.is_global);
        Ok(Self { limiters, waiting: Semaphore::new(MAX_WAITING), started: Instant::now() })
    }

    /// The protocols that anything is limited for.
    pub fn protocols(&self) -> impl Iterator<Item = LoginProtocol> {
        LoginProtocol::ALL
            .into_iter()
            .filter(|protocol| self.limiters.iter().any(|limiter| limiter.is_for(*protocol)))
    }

    /// Takes a token of every limiter that concerns `ip`, one limiter after the other, and
    /// waits where there is none left.
    pub async fn admit(
        &self,
        protocol: LoginProtocol,
        ip: IpAddr,
    ) -> std::result::Result<(), OverLimit> {
        self.admit_at(protocol, ip.to_canonical(), self.started.elapsed()).await
    }

    /// The same for who comes so long after the start.
    async fn admit_at(
        &self,
        protocol: LoginProtocol,
        ip: IpAddr,
        mut now: Duration,
    ) -> std::result::Result<(), OverLimit> {
        for limiter in self.limiters.iter().filter(|limiter| limiter.concerns(protocol, ip)) {
            match limiter.ask(ip, now) {
                Answer::Now => {}
                Answer::After(wait) => {
                    let _place =
                        self.waiting.try_acquire().map_err(|_| OverLimit { retry_after: wait })?;
                    tokio::time::sleep(wait).await;
                    now += wait;
                }
                Answer::Never(over) => return Err(over),
            }
        }
        Ok(())
    }
}

/// What a limiter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Now,
    /// A token is taken that is there only then.
    After(Duration),
    Never(OverLimit),
}

/// One limiter. The arithmetic is governor's (GCRA); the lock lets it be asked about a moment
/// that is not now, which is how a token is taken ahead of time.
struct Limiter {
    buckets: Mutex<RateLimiter<Source, Buckets, Moment, NoOpMiddleware<Duration>>>,
    longest_wait: Duration,
    is_global: bool,
    protocols: Vec<LoginProtocol>,
    /// Whom it is not for.
    exempt: Vec<IpNet>,
}

impl Limiter {
    fn from_config(config: &RateLimiterConfig) -> Result<Self> {
        let interval = config.interval();
        let burst = NonZeroU32::new(config.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(interval)
            .ok_or_else(|| Error::internal("a rate limiter without an interval"))?
            .allow_burst(burst);
        let buckets = Buckets {
            full_at: RefCell::default(),
            keep: config.entries_soft_limit as usize,
            max: config.entries_hard_limit as usize,
        };
        let exempt = config.allow_list.iter().map(|text| network::parse(text));
        Ok(Self {
            buckets: Mutex::new(RateLimiter::new(quota, buckets, Moment::default())),
            longest_wait: longest_wait(interval),
            is_global: config.r#type == RateLimiterScope::Global,
            protocols: config.protocols.clone(),
            exempt: exempt.collect::<Result<_>>()?,
        })
    }

    fn is_for(&self, protocol: LoginProtocol) -> bool {
        self.protocols.contains(&protocol)
    }

    fn concerns(&self, protocol: LoginProtocol, ip: IpAddr) -> bool {
        self.is_for(protocol) && !self.exempt.iter().any(|network| network.contains(&ip))
    }

    /// Takes a token, or that which comes next if it is worth waiting for. `now` counts from
    /// the start.
    fn ask(&self, ip: IpAddr, now: Duration) -> Answer {
        let source = if self.is_global { Source::Everybody } else { Source::of(ip) };
        // A panic in there leaves every bucket as it was.
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.clock().set(now);
        let Err(not_until) = buckets.check_key(&source) else { return Answer::Now };
        let wait = not_until.wait_time_from(now);
        if wait > self.longest_wait {
            return Answer::Never(OverLimit { retry_after: wait });
        }
        buckets.clock().set(not_until.earliest_possible());
        match buckets.check_key(&source) {
            Ok(()) => Answer::After(wait),
            Err(later) => Answer::Never(OverLimit { retry_after: later.wait_time_from(now) }),
        }
    }
}

/// How long one waits at most for tokens that come back in this interval.
fn longest_wait(interval: Duration) -> Duration {
    if interval > Duration::from_secs(1) { LONGEST_WAIT } else { interval / 2 }
}

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Everybody,
    Address(IpAddr),
}

impl Source {
    /// Of IPv6 the network of 64 bits: one client can commonly choose among all of its
    /// addresses, would have a full bucket with each, and would push those of others out.
    fn of(ip: IpAddr) -> Self {
        Self::Address(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        })
    }
}

/// The moment that a limiter is asked about, since the start.
#[derive(Default)]
struct Moment(Cell<Duration>);

impl Moment {
    fn set(&self, moment: Duration) {
        self.0.set(moment);
    }
}

impl Clock for Moment {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// The buckets that are not known to be full.
struct Buckets {
    /// When each is full again, if nobody comes.
    full_at: RefCell<HashMap<Source, Nanos>>,
    /// How many are kept when there are too many.
    keep: usize,
    max: usize,
}

impl Buckets {
    /// Forgets the fullest ones: those that are full by now lose nothing by it.
    fn forget_fullest(&self) {
        let mut full_at = self.full_at.borrow_mut();
        let mut by_time: Vec<(Nanos, Source)> =
            full_at.iter().map(|(source, time)| (*time, *source)).collect();
        let surplus = by_time.len().saturating_sub(self.keep);
        if surplus < by_time.len() {
            by_time.select_nth_unstable_by_key(surplus, |(time, _)| *time);
        }
        for (_, source) in &by_time[..surplus] {
            full_at.remove(source);
        }
    }
}

impl StateStore for Buckets {
    type Key = Source;

    fn measure_and_replace<T, F, E>(&self, source: &Source, decide: F) -> std::result::Result<T, E>
    where
        F: Fn(Option<Nanos>) -> std::result::Result<(T, Nanos), E>,
    {
        let known = self.full_at.borrow().get(source).copied();
        let (decision, full_at) = decide(known)?;
        if known.is_none() && self.full_at.borrow().len() >= self.max {
            self.forget_fullest();
        }
        self.full_at.borrow_mut().insert(*source, full_at);
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALICE: &str = "192.0.2.1";
    const BOB: &str = "192.0.2.2";

    fn config(average: u32, period: u32, burst: u32) -> RateLimiterConfig {
        RateLimiterConfig { average, period, burst, ..RateLimiterConfig::default() }
    }

    fn limiter(config: &RateLimiterConfig) -> Limiter {
        Limiter::from_config(config).unwrap()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn never(retry_after_ms: u64) -> Answer {
        Answer::Never(OverLimit { retry_after: ms(retry_after_ms) })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse::<IpAddr>().unwrap().to_canonical()
    }

    #[test]
    fn a_bucket_is_full_at_first_and_fills_steadily() {
        let after = |wait| Answer::After(ms(wait));
        let now = Answer::Now;
        // (when, answer)
        let rare = [
            (0, now),
            (0, never(10_000)),
            (9_499, never(501)),
            (9_500, after(500)),
            (9_999, never(10_001)),
            (20_000, now),
        ];
        let often = [
            (1000, now),
            (1000, now),
            (1000, now),
            (1000, never(100)),
            (1049, never(51)),
            (1050, after(50)),
            // The next token is gone already.
            (1051, never(149)),
            (9000, now),
        ];
        for (limits, asks) in [(config(1, 10_000, 1), &rare[..]), (config(10, 1000, 3), &often)] {
            let limiter = limiter(&limits);
            for (at, answer) in asks {
                assert_eq!(limiter.ask(ip(ALICE), ms(*at)), *answer, "{limits:?} at {at}");
            }
        }
    }

    #[test]
    fn who_keeps_asking_gets_the_average_and_no_more() {
        let limiter = limiter(&config(20, 1000, 5));
        let admitted = (0..10_000)
            .filter(|at| !matches!(limiter.ask(ip(ALICE), ms(*at)), Answer::Never(_)))
            .count();
        // Five at once, then twenty a second; the last one may be ahead of time.
        assert!((205..=206).contains(&admitted), "{admitted}");
    }

    #[test]
    fn the_longest_wait_depends_on_the_rate() {
        for (interval, longest) in [(10, 5), (1000, 500), (1001, 500), (60_000, 500)] {
            assert_eq!(longest_wait(ms(interval)), ms(longest), "{interval}");
        }
    }

    #[test]
    fn addresses_have_their_own_tokens_unless_these_are_for_everybody() {
        let table = [
            (RateLimiterScope::PerAddress, ALICE, BOB, true),
            (RateLimiterScope::PerAddress, ALICE, "::ffff:192.0.2.1", false),
            (RateLimiterScope::PerAddress, "2001:db8::1", "2001:db8::ffff:2", false),
            (RateLimiterScope::PerAddress, "2001:db8::1", "2001:db8:0:1::1", true),
            (RateLimiterScope::Global, ALICE, BOB, false),
            (RateLimiterScope::Global, ALICE, "2001:db8::1", false),
        ];
        for (r#type, first, second, has_another) in table {
            let limiter = limiter(&RateLimiterConfig { r#type, ..config(1, 60_000, 1) });
            assert_eq!(limiter.ask(ip(first), ms(0)), Answer::Now);
            let admitted = limiter.ask(ip(second), ms(0)) == Answer::Now;
            assert_eq!(admitted, has_another, "{first} {second} {type:?}");
        }
    }

    #[test]
    fn it_is_for_its_protocols_and_not_for_exempt_networks() {
        use LoginProtocol::{Ftp, Http, Ssh};
        let limiter = limiter(&RateLimiterConfig {
            protocols: vec![Ssh, Ftp],
            allow_list: vec!["192.0.2.0/30".to_owned(), "2001:db8::/32".to_owned()],
            ..config(1, 1000, 1)
        });
        for (protocol, address, concerned) in [
            (Ssh, "192.0.2.4", true),
            (Ftp, "192.0.2.4", true),
            (Http, "192.0.2.4", false),
            (Ssh, "192.0.2.3", false),
            (Ssh, "::ffff:192.0.2.3", false),
            (Ssh, "2001:db8::1", false),
            (Ssh, "2001:db9::1", true),
        ] {
            assert_eq!(
                limiter.concerns(protocol, ip(address)),
                concerned,
                "{protocol:?} {address}"
            );
        }
    }

    #[test]
    fn too_many_addresses_push_out_those_with_the_most_tokens() {
        let buckets = Buckets { full_at: RefCell::default(), keep: 3, max: 5 };
        let note = |n: u32, full_at: u64| {
            let source = Source::of(IpAddr::from(n.to_be_bytes()));
            let noted: std::result::Result<(), ()> =
                buckets.measure_and_replace(&source, |_| Ok(((), Nanos::from(full_at))));
            noted.unwrap();
        };
        let kept = || {
            let mut times: Vec<u64> =
                buckets.full_at.borrow().values().map(|t| t.as_u64()).collect();
            times.sort_unstable();
            times
        };
        for (n, full_at) in [(1, 50), (2, 90), (3, 10), (4, 70), (5, 30)] {
            note(n, full_at);
        }
        note(5, 31);
        assert_eq!(kept(), [10, 31, 50, 70, 90], "who is known needs no room");
        note(6, 5);
        assert_eq!(kept(), [5, 50, 70, 90]);
        for n in 7..1000 {
            note(n, 1);
            assert!(kept().len() <= 5, "{n}");
        }
        assert!(kept().ends_with(&[50, 70, 90]));
    }

    #[tokio::test]
    async fn every_limiter_is_asked_those_of_addresses_first() {
        let global = RateLimiterConfig { r#type: RateLimiterScope::Global, ..config(1, 60_000, 2) };
        let limits = RateLimits::from_config(&[global, config(1, 60_000, 1)]).unwrap();
        let ask = |address| limits.admit_at(LoginProtocol::Ssh, ip(address), ms(0));
        assert_eq!(ask(ALICE).await, Ok(()));
        for _ in 0..5 {
            // Of these the limiter for everybody knows nothing.
            assert!(ask(ALICE).await.is_err());
        }
        assert_eq!(ask(BOB).await, Ok(()));
        let over = OverLimit { retry_after: ms(60_000) };
        assert_eq!(ask("192.0.2.3").await, Err(over));
    }

    #[tokio::test]
    async fn who_is_a_little_early_waits_and_nobody_else_does() {
        let limits = RateLimits::from_config(&[config(2, 1000, 1)]).unwrap();
        let ask = |address, at| limits.admit_at(LoginProtocol::Http, ip(address), ms(at));
        assert_eq!(ask(ALICE, 0).await, Ok(()));
        let began = Instant::now();
        let mut alice = std::pin::pin!(ask(ALICE, 300));
        assert_eq!(alice.as_mut().now_or_never(), None);
        assert_eq!(ask(BOB, 300).now_or_never(), Some(Ok(())));
        assert_eq!(alice.await, Ok(()));
        assert!(began.elapsed() >= ms(200));
    }

    #[tokio::test]
    async fn only_so_many_wait_at_a_time() {
        let limits = RateLimits::from_config(&[config(10, 1000, 1)]).unwrap();
        let ask = |address, at| limits.admit_at(LoginProtocol::Ssh, ip(address), ms(at));
        let others = limits.waiting.try_acquire_many(MAX_WAITING as u32 - 1).unwrap();
        assert_eq!((ask(ALICE, 0).await, ask(BOB, 0).await), (Ok(()), Ok(())));
        let over = OverLimit { retry_after: ms(40) };
        assert_eq!(tokio::join!(ask(ALICE, 60), ask(BOB, 60)), (Ok(()), Err(over)));
        drop(others);
        assert_eq!(limits.waiting.available_permits(), MAX_WAITING);
    }

    #[test]
    fn only_what_is_switched_on_counts() {
        use LoginProtocol::{Http, Ssh};
        let of = |average, protocols: &[LoginProtocol]| RateLimiterConfig {
            protocols: protocols.to_vec(),
            ..config(average, 1000, 1)
        };
        let limits = [of(0, &LoginProtocol::ALL), of(1, &[Http]), of(1, &[Http, Ssh])];
        let limits = RateLimits::from_config(&limits).unwrap();
        assert_eq!(limits.protocols().collect::<Vec<_>>(), [Ssh, Http]);
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        for (millis, secs) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            let over = OverLimit { retry_after: ms(millis) };
            assert_eq!(over.retry_after_secs(), secs, "{millis}");
        }
    }
}
