//! The hours in which an account may be connected.

use chrono::{DateTime, Datelike, Duration, Local, NaiveDateTime, Timelike, Utc};

use super::filters::TimePeriod;
use crate::error::{Error, Result};

/// Which clock hours and days are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    #[default]
    Utc,
    /// That of the server's time zone.
    Local,
}

impl Clock {
    fn shows(self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Utc => at.naive_utc(),
            Self::Local => at.with_timezone(&Local).naive_local(),
        }
    }
}

/// A period within a day, in minutes after midnight, both ends included.
struct Span {
    day_of_week: u32,
    from: u32,
    to: u32,
}

impl TimePeriod {
    fn span(&self) -> Result<Span> {
        let day_of_week =
            u32::try_from(self.day_of_week).ok().filter(|day| *day <= 6).ok_or_else(|| {
                let day = self.day_of_week;
                Error::invalid(format!("day_of_week: {day} is not between 0 and 6"))
            })?;
        let from = minutes(&self.from).map_err(|error| error.wrap("from"))?;
        let to = minutes(&self.to).map_err(|error| error.wrap("to"))?;
        if from > to {
            let (from, to) = (&self.from, &self.to);
            return Err(Error::invalid(format!("from: {from} is later than to, {to}")));
        }
        Ok(Span { day_of_week, from, to })
    }
}

/// `HH:MM`, always with two digits each.
fn minutes(text: &str) -> Result<u32> {
    let wrong = || Error::invalid(format!("{text:?} is not a time from 00:00 to 23:59"));
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, below: u32| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u32| is_plain && *number < below)
    };
    match (number(hours, 24), number(minutes, 60)) {
        (Some(hours), Some(minutes)) => Ok(hours * 60 + minutes),
        _ => Err(wrong()),
    }
}

/// Fails naming the first period that is none.
pub(super) fn check(periods: &[TimePeriod]) -> Result<()> {
    for (at, period) in periods.iter().enumerate() {
        period.span().map_err(|error| error.wrap(format!("access_time[{at}]")))?;
    }
    Ok(())
}

/// Whether the hours are open; without periods they always are. A stored period
/// that cannot be read opens nothing.
pub(super) fn is_open(periods: &[TimePeriod], now: DateTime<Utc>, clock: Clock) -> bool {
    periods.is_empty() || minutes_left(periods, clock.shows(now)).is_some()
}

/// When hours that are open now close; `None` if they stay open for the week.
pub(super) fn closes(
    periods: &[TimePeriod],
    now: DateTime<Utc>,
    clock: Clock,
) -> Option<DateTime<Utc>> {
    // In steps, because a local clock can be changed within a period.
    const LONGEST_STEP: u32 = 60;
    if periods.is_empty() {
        return None;
    }
    let mut at = now;
    while at - now <= Duration::days(8) {
        let shown = clock.shows(at);
        let Some(left) = minutes_left(periods, shown) else { return Some(at) };
        // To the beginning of a minute.
        let into = Duration::seconds(shown.second().into())
            + Duration::nanoseconds(shown.nanosecond().into());
        at = at + Duration::minutes(left.min(LONGEST_STEP).into()) - into;
    }
    None
}

/// The minutes that are left of the longest period around `shown`, the running one
/// included; `None` outside of all.
fn minutes_left(periods: &[TimePeriod], shown: NaiveDateTime) -> Option<u32> {
    let (day, minute) =
        (shown.weekday().num_days_from_sunday(), shown.hour() * 60 + shown.minute());
    let spans = periods.iter().filter_map(|period| period.span().ok());
    spans
        .filter(|span| span.day_of_week == day && (span.from..=span.to).contains(&minute))
        .map(|span| span.to - minute + 1)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(day_of_week: i32, from: &str, to: &str) -> TimePeriod {
        TimePeriod { day_of_week, from: from.into(), to: to.into() }
    }

    fn utc(text: &str) -> DateTime<Utc> {
        format!("{text}Z").parse().unwrap()
    }

    #[test]
    fn what_is_no_period_is_refused_by_name() {
        let table = [
            (period(7, "00:00", "01:00"), "access_time[1]: day_of_week: 7"),
            (period(-1, "00:00", "01:00"), "access_time[1]: day_of_week: -1"),
            (period(0, "24:00", "24:01"), "access_time[1]: from: \"24:00\""),
            (period(0, "00:00", "24:00"), "access_time[1]: to: \"24:00\""),
            (period(0, "9:00", "10:00"), "access_time[1]: from: \"9:00\""),
            (period(0, "09:60", "10:00"), "access_time[1]: from: \"09:60\""),
            (period(0, "", "10:00"), "access_time[1]: from: \"\""),
            (period(0, "+9:00", "10:00"), "access_time[1]: from: \"+9:00\""),
            (period(0, "22:00", "06:00"), "access_time[1]: from: 22:00 is later"),
        ];
        for (wrong, text) in table {
            let error = check(&[period(6, "00:00", "23:59"), wrong]).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
    }

    #[test]
    fn a_period_is_open_from_its_first_minute_to_the_end_of_its_last() {
        // 2026-11-18 is a Wednesday.
        let periods = [period(3, "09:00", "11:59"), period(5, "00:00", "23:59")];
        let table = [
            ("2026-11-18T08:59:59", false),
            ("2026-11-18T09:00:00", true),
            ("2026-11-18T11:59:59", true),
            ("2026-11-18T12:00:00", false),
            ("2026-11-19T10:00:00", false),
            ("2026-11-20T00:00:00", true),
            ("2026-11-20T23:59:59", true),
            ("2026-11-21T00:00:00", false),
        ];
        for (at, want) in table {
            assert_eq!(is_open(&periods, utc(at), Clock::Utc), want, "{at}");
        }
        assert!(is_open(&[], utc("2026-11-18T08:59:59"), Clock::Utc));
        assert!(!is_open(&[period(9, "", "")], utc("2026-11-18T08:59:59"), Clock::Utc));
    }

    #[test]
    fn hours_close_where_no_period_goes_on() {
        let night = [period(3, "22:00", "23:59"), period(4, "00:00", "05:59")];
        let overlapping = [period(3, "09:00", "12:00"), period(3, "11:00", "13:30")];
        let week: Vec<_> = (0..7).map(|day| period(day, "00:00", "23:59")).collect();
        let table = [
            (&night[..], "2026-11-18T22:10:30", Some("2026-11-19T06:00:00")),
            (&overlapping[..], "2026-11-18T09:00:00.5", Some("2026-11-18T13:31:00")),
            (&overlapping[..], "2026-11-18T13:30:59", Some("2026-11-18T13:31:00")),
            // Closed already.
            (&overlapping[..], "2026-11-18T13:31:07", Some("2026-11-18T13:31:07")),
            (&week[..], "2026-11-18T13:31:07", None),
            (&[][..], "2026-11-18T13:31:07", None),
        ];
        for (periods, now, want) in table {
            assert_eq!(closes(periods, utc(now), Clock::Utc), want.map(utc), "{now}");
        }
    }
}
