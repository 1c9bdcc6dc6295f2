//! Whether an account may be connected at all, now and from now on.

use actors::{KillReason, SessionEnd};
use chrono::{DateTime, Utc};

use super::login::LoginFailure;
use crate::model::{Clock, User};

/// Why nobody may be connected as an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    Disabled,
    Expired,
    OutsideAccessTime,
}

impl Closed {
    /// Whether it is so now.
    pub(super) fn applies(self, user: &User, now: DateTime<Utc>, clock: Clock) -> bool {
        match self {
            Self::Disabled => !user.is_enabled(),
            Self::Expired => user.is_expired(now.timestamp_millis()),
            Self::OutsideAccessTime => !user.is_access_time(now, clock),
        }
    }
}

impl From<Closed> for LoginFailure {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Disabled => Self::Disabled,
            Closed::Expired => Self::Expired,
            Closed::OutsideAccessTime => Self::OutsideAccessTime,
        }
    }
}

impl From<Closed> for KillReason {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Disabled => Self::AccountDisabled,
            Closed::Expired => Self::AccountExpired,
            Closed::OutsideAccessTime => Self::AccessTimeOver,
        }
    }
}

/// The gates that depend on the account and the clock alone, in order.
pub(super) fn check(user: &User, now: DateTime<Utc>, clock: Clock) -> Result<(), Closed> {
    let gates = [Closed::Disabled, Closed::Expired, Closed::OutsideAccessTime];
    let closed = gates.into_iter().find(|closed| closed.applies(user, now, clock));
    closed.map_or(Ok(()), Err)
}

/// When these gates will close by themselves, if they will.
pub(super) fn end(user: &User, now: DateTime<Utc>, clock: Clock) -> Option<SessionEnd> {
    let end = |at_unix_ms: i64, closed: Closed| SessionEnd {
        at_unix_ms: u64::try_from(at_unix_ms).unwrap_or(0),
        reason: closed.into(),
    };
    let expires = Some(user.expiration_date).filter(|date| *date > 0);
    let closes = user.access_time_ends(now, clock).map(|at| at.timestamp_millis());
    let ends = [
        expires.map(|at| end(at, Closed::Expired)),
        closes.map(|at| end(at, Closed::OutsideAccessTime)),
    ];
    ends.into_iter().flatten().min_by_key(|end| end.at_unix_ms)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_gates_close_in_order_and_the_first_to_close_is_the_end() {
        // A Wednesday.
        let now: DateTime<Utc> = "2026-11-18T10:00:00Z".parse().unwrap();
        let at = |minutes: i64| now.timestamp_millis() + minutes * 60_000;
        let open = json!([{"day_of_week": 3, "from": "09:00", "to": "10:59"}]);
        let shut = json!([{"day_of_week": 4, "from": "09:00", "to": "10:59"}]);
        let never = json!([]);
        let end = |minutes: i64, reason| {
            Some(SessionEnd { at_unix_ms: at(minutes).try_into().unwrap(), reason })
        };
        let (expired, over) = (KillReason::AccountExpired, KillReason::AccessTimeOver);
        // (status, expiration, access time, closed because, end)
        let table = [
            (0, at(-1), &shut, Some(Closed::Disabled), None),
            (1, at(-1), &shut, Some(Closed::Expired), None),
            (1, at(0), &never, Some(Closed::Expired), None),
            (1, 0, &shut, Some(Closed::OutsideAccessTime), None),
            (1, 0, &never, None, None),
            (1, at(30), &never, None, end(30, expired.clone())),
            (1, at(30), &open, None, end(30, expired)),
            (1, at(90), &open, None, end(60, over)),
        ];
        for (status, expiration_date, access_time, closed, wanted) in table {
            let user = json!({
                "status": status, "expiration_date": expiration_date,
                "filters": {"access_time": access_time},
            });
            let user: User = serde_json::from_value(user).unwrap();
            assert_eq!(check(&user, now, Clock::Utc).err(), closed, "{user:?}");
            if closed.is_none() {
                assert_eq!(super::end(&user, now, Clock::Utc), wanted, "{user:?}");
            }
        }
    }
}
