//! Sizes, counts and times as people type them, stored exactly.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

pub use crate::web::pages::amount::whole_text;

/// Units to choose from, and how many bytes each has.
const UNITS: [(&str, u64); 5] =
    [("B", 1), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];

/// Units that can be typed besides.
const BINARY: [(&str, u64); 4] =
    [("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("TIB", 1 << 40)];

/// A number of bytes in the largest unit that is not larger than it, exactly: `1.5`, `GB`.
/// Nothing is an empty text.
pub fn size_parts(bytes: i64) -> (String, &'static str) {
    let Some(bytes) = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0) else {
        return (String::new(), "GB");
    };
    let (name, unit) = UNITS.into_iter().rfind(|(_, unit)| bytes >= *unit).unwrap_or(UNITS[0]);
    let digits = unit.ilog10() as usize;
    let rest = format!("{:0digits$}", bytes % unit);
    let rest = rest.trim_end_matches('0');
    let whole = bytes / unit;
    let text = if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") };
    (text, name)
}

/// The same as one text.
pub fn size_text(bytes: i64) -> String {
    let (number, unit) = size_parts(bytes);
    if number.is_empty() { number } else { format!("{number} {unit}") }
}

/// Reads `10`, `1.5`, `10 GB` or `10GiB`; without a unit of its own it is in `unit`.
/// An empty text is 0: no limit.
///
/// # Errors
/// A sentence for who typed it.
pub fn size(typed: &str, unit: &str) -> Result<i64, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(0);
    }
    let at = typed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(typed.len());
    let (number, own_unit) = typed.split_at(at);
    let unit = if own_unit.is_empty() { unit } else { own_unit };
    let wrong = || "Enter a size, such as 10 GB, or leave it empty for no limit.".to_owned();
    let unit = unit.trim().to_ascii_uppercase();
    let known = UNITS.iter().chain(&BINARY).find(|(name, _)| *name == unit);
    let (_, factor) = known.ok_or_else(wrong)?;
    let bytes = decimal_times(number.trim(), *factor).ok_or_else(wrong)?;
    i64::try_from(bytes).map_err(|_| "Enter a smaller size.".to_owned())
}

/// A decimal number times `factor`, if that is a whole number.
fn decimal_times(text: &str, factor: u64) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 19 || part.len() > 18 || !is_number(whole) {
        return None;
    }
    if !is_number(part) || text.ends_with('.') {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(part.len()).ok()?);
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let scaled = whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(part)?;
    let product = scaled.checked_mul(u128::from(factor))?;
    product.is_multiple_of(scale).then(|| product / scale)
}

/// A whole number from 0; empty is 0.
///
/// # Errors
/// A sentence for who typed it.
pub fn whole(typed: &str) -> Result<i64, String> {
    let typed: String = typed.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
    if typed.is_empty() {
        return Ok(0);
    }
    let number = typed.parse::<i64>().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| "Enter a whole number, such as 4, or leave it empty.".to_owned())
}

/// A point in time as a browser's field has it, UTC; nothing for never.
pub fn time_text(unix_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(unix_ms).filter(|_| unix_ms > 0);
    time.map_or_else(String::new, |time| {
        let is_whole = unix_ms % 60_000 == 0;
        time.format(if is_whole { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" }).to_string()
    })
}

/// Reads what [`time_text`] writes, or a date alone, which means its end.
///
/// # Errors
/// A sentence for who typed it.
pub fn time(typed: &str) -> Result<i64, String> {
    let typed = typed.trim().replace(' ', "T");
    if typed.is_empty() {
        return Ok(0);
    }
    let typed = typed.trim_end_matches('Z');
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f"];
    let time = formats.iter().find_map(|f| NaiveDateTime::parse_from_str(typed, f).ok());
    let time =
        time.or_else(|| NaiveDate::parse_from_str(typed, "%Y-%m-%d").ok()?.and_hms_opt(23, 59, 59));
    let time = time.map(|time| time.and_utc().timestamp_millis()).filter(|time| *time > 0);
    time.ok_or_else(|| "Enter a date and time, such as 2030-12-31 23:59.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_exactly_and_written_as_they_were() {
        for (typed, unit, bytes) in [
            ("", "GB", 0),
            ("0", "GB", 0),
            ("10", "GB", 10_000_000_000),
            ("10 GB", "B", 10_000_000_000),
            ("1.5tb", "GB", 1_500_000_000_000),
            ("1 GiB", "GB", 1_073_741_824),
            ("0.000000001", "GB", 1),
            ("9.223372036854775807", "TB", 9_223_372_036_854),
        ] {
            if typed.starts_with("9.2") {
                assert!(size(typed, unit).is_err(), "not a whole number of bytes");
                continue;
            }
            let got = size(typed, unit).expect("a size");
            assert_eq!(got, bytes, "{typed}");
            let (number, unit) = size_parts(got);
            assert_eq!(size(&number, unit), Ok(bytes));
        }
        assert_eq!(size_text(1_073_741_824), "1.073741824 GB");
        assert_eq!(size_text(50_000_000_000), "50 GB");
        assert_eq!(size_text(i64::MAX), "9223372.036854775807 TB");
        assert_eq!(size(&size_text(i64::MAX), "B"), Ok(i64::MAX));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for typed in
            ["x", "-1", "1.", ".5", "1e3", "10 XB", "GB", "0.1 B", "9223372036854775808 B", "1 2 B"]
        {
            assert!(size(typed, "GB").is_err(), "{typed}");
        }
    }

    #[test]
    fn numbers_may_have_separators() {
        for (typed, number) in
            [("", Ok(0)), ("4", Ok(4)), ("1,284", Ok(1_284)), ("1 000", Ok(1_000))]
        {
            assert_eq!(whole(typed), number.map_err(|()| String::new()), "{typed}");
        }
        for typed in ["-1", "1.5", "x", "99999999999999999999"] {
            assert!(whole(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn times_are_utc_and_a_date_lasts_to_its_end() {
        assert_eq!(time(""), Ok(0));
        assert_eq!(time("1970-01-02T00:00"), Ok(86_400_000));
        assert_eq!(time("1970-01-02 00:00"), Ok(86_400_000));
        assert_eq!(time("1970-01-01"), Ok(86_399_000));
        assert_eq!(time_text(86_400_000), "1970-01-02T00:00");
        assert_eq!(time_text(0), "");
        for wrong in ["tomorrow", "2030-13-01T00:00", "1960-01-01", "99999-01-01T00:00:00:00"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
