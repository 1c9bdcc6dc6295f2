//! Times as the log writes them: `YYYY-MM-DDTHH:MM:SS.mmm`, without a zone.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Local, NaiveDateTime, TimeZone, Timelike, Utc};

/// Which wall clock the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Local,
    Utc,
}

impl Zone {
    pub(super) fn from_utc(utc: bool) -> Self {
        if utc { Self::Utc } else { Self::Local }
    }

    /// Now, on this clock.
    pub(super) fn now(self) -> NaiveDateTime {
        match self {
            Self::Local => Local::now().naive_local(),
            Self::Utc => Utc::now().naive_utc(),
        }
    }

    /// The instant a time on this clock names; the earlier one where clocks go back,
    /// and `None` where they go forward.
    pub(super) fn to_utc(self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self {
            Self::Local => Local.from_local_datetime(&time).earliest().map(|t| t.to_utc()),
            Self::Utc => Some(time.and_utc()),
        }
    }
}

/// Appends `time` with milliseconds. By hand, since chrono's format strings are
/// interpreted anew for every line and cost more than the rest of it.
pub(super) fn push_millis(out: &mut String, time: NaiveDateTime) {
    push_seconds(out, time);
    // A leap second is second 59 with a thousand milliseconds and more.
    let millis = (time.nanosecond() / 1_000_000).min(999);
    out.push('.');
    push_digits(out, millis / 10, 2);
    push_digits(out, millis % 10, 1);
}

/// Appends `YYYY-MM-DDTHH:MM:SS`.
pub(super) fn push_seconds(out: &mut String, time: NaiveDateTime) {
    match u32::try_from(time.year()) {
        Ok(year @ 0..=9999) => push_digits(out, year, 4),
        _ => {
            let _ = write!(out, "{}", time.year());
        }
    }
    for (separator, value) in [
        ('-', time.month()),
        ('-', time.day()),
        ('T', time.hour()),
        (':', time.minute()),
        (':', time.second()),
    ] {
        out.push(separator);
        push_digits(out, value, 2);
    }
}

fn push_digits(out: &mut String, value: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = (value / 10u32.pow(place)) % 10;
        out.push(char::from_digit(digit, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn a_time_is_written_with_every_digit() {
        let time = NaiveDate::from_ymd_opt(2026, 1, 2)
            .and_then(|date| date.and_hms_milli_opt(3, 4, 5, 6))
            .unwrap();
        let mut out = String::new();
        push_millis(&mut out, time);
        assert_eq!(out, "2026-01-02T03:04:05.006");
        out.clear();
        push_seconds(&mut out, time);
        assert_eq!(out, "2026-01-02T03:04:05");
    }

    #[test]
    fn a_leap_second_stays_in_the_format() {
        let time = NaiveDate::from_ymd_opt(2016, 12, 31)
            .and_then(|date| date.and_hms_milli_opt(23, 59, 59, 1_500))
            .unwrap();
        let mut out = String::new();
        push_millis(&mut out, time);
        assert_eq!(out, "2016-12-31T23:59:59.999");
    }
}
