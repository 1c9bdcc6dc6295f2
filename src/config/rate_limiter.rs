//! `common.rate_limiters`: how often clients may connect or ask.

use std::time::Duration;

use serde_json::Value;

use super::setting::{Report, Setting, integer_choice, section};
use super::tree::{Content, Node};
use crate::model::LoginProtocol;

section! {
    /// One bucket of tokens for everybody, or one for each address. It is full at the start,
    /// and every connection or request takes a token.
    pub struct RateLimiterConfig {
        /// Tokens that come back in each `period`. 0 switches the limiter off.
        pub average: u32 = 0, range 0..=1_000_000;

        /// Milliseconds.
        pub period: u32 = 1000, range 100..=86_400_000;

        /// Tokens of a full bucket: what may come at once after a pause.
        pub burst: u32 = 1, range 1..=100_000;

        /// Whose tokens they are: 1 those of everybody together, over all `protocols` of the
        /// limiter; 2 those of one IP address. IPv6 addresses of the same network of 64 bits
        /// count as one, because a client commonly has all of these.
        pub r#type: RateLimiterScope = RateLimiterScope::PerAddress;

        /// What it is for: SSH (connections), HTTP (requests to `httpd`), FTP, DAV. There is
        /// nothing to count for the latter two in this version.
        pub protocols: Vec<LoginProtocol> = LoginProtocol::ALL.to_vec(), check check_protocols;

        /// IP addresses and networks that it is not for.
        pub allow_list: Vec<String> = Vec::new(), check super::common::check_networks;

        /// Tell the defender who is over the limit. Not available in this version, which has
        /// no defender.
        pub generate_defender_events: bool = false, check check_defender_events;

        /// How many addresses are still remembered when there were too many of them. Those with
        /// the most tokens are forgotten first.
        pub entries_soft_limit: u32 = 100, range 1..=1_000_000;

        /// Most addresses that are remembered; more than `entries_soft_limit`.
        pub entries_hard_limit: u32 = 150, range 2..=1_000_000;
    }
}

integer_choice! {
    /// Whose tokens a limiter counts.
    pub enum RateLimiterScope {
        /// Those of everybody together.
        Global = 1,
        /// Those of each address.
        PerAddress = 2,
    }
}

impl Setting for LoginProtocol {
    fn read(node: &Node, at: &str, report: &mut Report) -> Option<Self> {
        let found = match &node.content {
            Content::Text(text) => Self::ALL
                .into_iter()
                .find(|protocol| protocol.as_str().eq_ignore_ascii_case(text.trim())),
            _ => None,
        };
        if found.is_none() {
            let names = Self::ALL.map(Self::as_str).join(", ");
            report.reject(node, at, format_args!("must be one of {names}"));
        }
        found
    }

    fn to_json(&self) -> Value {
        Value::String(self.as_str().to_owned())
    }

    fn kind() -> String {
        "protocol".to_owned()
    }
}

impl RateLimiterConfig {
    /// Whether it limits anything.
    pub fn is_enabled(&self) -> bool {
        self.average > 0
    }

    /// How long it takes until a token comes back; not zero.
    pub fn interval(&self) -> Duration {
        let period = Duration::from_millis(self.period.into());
        (period / self.average.max(1)).max(Duration::from_nanos(1))
    }
}

fn check_protocols(list: &[LoginProtocol]) -> Result<(), String> {
    if list.is_empty() {
        return Err("must have at least one protocol".to_owned());
    }
    match list.iter().enumerate().find(|(at, protocol)| list[..*at].contains(protocol)) {
        None => Ok(()),
        Some((_, twice)) => Err(format!("{} is given twice", twice.as_str())),
    }
}

fn check_defender_events(wanted: &bool) -> Result<(), String> {
    let problem = "not available in this version, which has no defender: only false is";
    if *wanted { Err(problem.to_owned()) } else { Ok(()) }
}

/// What concerns several keys of one limiter.
pub(super) fn check_all(list: &[RateLimiterConfig]) -> Result<(), String> {
    match list.iter().position(|one| one.entries_soft_limit >= one.entries_hard_limit) {
        None => Ok(()),
        Some(at) => Err(format!(
            "`common.rate_limiters[{at}].entries_soft_limit` must be less than its \
             `entries_hard_limit`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_evenly_over_the_period() {
        for (average, period, interval) in [
            (1, 1000, Duration::from_secs(1)),
            (4, 1000, Duration::from_millis(250)),
            (1, 60_000, Duration::from_secs(60)),
            (3, 1000, Duration::from_nanos(333_333_333)),
            (1_000_000, 100, Duration::from_nanos(100)),
        ] {
            let config = RateLimiterConfig { average, period, ..RateLimiterConfig::default() };
            assert_eq!(config.interval(), interval, "{average} in {period} ms");
        }
        assert!(!RateLimiterConfig::default().is_enabled());
    }
}
