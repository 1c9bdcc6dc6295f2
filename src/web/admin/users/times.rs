//! Times as people type them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

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
