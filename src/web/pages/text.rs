//! Numbers, sizes and times in words, as people read them.

use chrono::{DateTime, Utc};

const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];

/// A size in decimal units with three significant digits: `41.2 GB`.
pub fn bytes(count: u64) -> String {
    if count < 1_000 {
        return format!("{count} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64 / 1_000.0;
    let mut unit = 0;
    // What would be rounded up to 1000 belongs to the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let name = UNITS[unit];
    match value {
        value if value < 9.995 => format!("{value:.2} {name}"),
        value if value < 99.95 => format!("{value:.1} {name}"),
        value => format!("{value:.0} {name}"),
    }
}

/// A count with separated thousands: `1,284`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 user`, `2 users`: the count with the noun for one or many.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A length of time with its two largest units: `1 h 22 m`.
pub fn duration(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, minutes) => format!("{minutes} m {} s", secs % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} m"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// How far a time in Unix milliseconds is from now, in one unit: `2 min ago`, `in 5 days`.
pub fn relative(unix_ms: i64, now_unix_ms: i64) -> String {
    let away = now_unix_ms.abs_diff(unix_ms) / 1_000;
    let (number, one, many) = match away {
        0..=44 => return "just now".to_owned(),
        45..=3_599 => ((away + 30) / 60, "min", "min"),
        3_600..=86_399 => (away / 3_600, "h", "h"),
        86_400..=5_183_999 => (away / 86_400, "day", "days"),
        5_184_000..=63_071_999 => (away / 2_592_000, "month", "months"),
        _ => (away / 31_536_000, "year", "years"),
    };
    let unit = if number == 1 { one } else { many };
    if unix_ms <= now_unix_ms {
        format!("{number} {unit} ago")
    } else {
        format!("in {number} {unit}")
    }
}

/// A time in Unix milliseconds with its zone, UTC: the server does not know that of who
/// reads, and a script puts it into that one.
pub fn absolute(unix_ms: i64) -> String {
    formatted(unix_ms, "%-d %b %Y, %H:%M:%S UTC")
}

/// The same without the date if that is today's.
pub fn clock(unix_ms: i64, now_unix_ms: i64) -> String {
    const DAY: &str = "%-d %b %Y, ";
    match formatted(unix_ms, DAY) == formatted(now_unix_ms, DAY) {
        true => formatted(unix_ms, "%H:%M:%S UTC"),
        false => absolute(unix_ms),
    }
}

fn formatted(unix_ms: i64, format: &str) -> String {
    let time: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(unix_ms);
    time.map_or_else(String::new, |time| time.format(format).to_string())
}

/// For `<time datetime>`: RFC 3339, UTC.
pub fn machine(unix_ms: i64) -> String {
    let time: Option<DateTime<Utc>> = DateTime::from_timestamp_millis(unix_ms);
    time.map_or_else(String::new, |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// Text in which nothing hides: control characters and those that change the direction of
/// writing are shown as their code point.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            shown.push_str(&format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Zero-width and bidirectional characters (Unicode, UAX #9, and the tag block).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{061C}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_a_unit() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 KB"),
            (9_994, "9.99 KB"),
            (9_996, "10.0 KB"),
            (99_960, "100 KB"),
            (999_499, "999 KB"),
            (999_500, "1.00 MB"),
            (41_200_000_000, "41.2 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_284, "1,284"), (1_000_000, "1,000,000"), (12_345, "12,345")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (91, "1 m 31 s"),
            (3_600, "1 h 0 m"),
            (4_920, "1 h 22 m"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(duration(secs), text);
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let day = 86_400_000;
        for (offset_ms, text) in [
            (0, "just now"),
            (-44_000, "just now"),
            (-60_000, "1 min ago"),
            (-3_600_000, "1 h ago"),
            (-day, "1 day ago"),
            (5 * day, "in 5 days"),
            (-61 * day, "2 months ago"),
            (800 * day, "in 2 years"),
        ] {
            assert_eq!(relative(1_000 * day + offset_ms, 1_000 * day), text);
        }
    }

    #[test]
    fn a_clock_tells_the_date_of_other_days() {
        let day = 86_400_000;
        assert_eq!(clock(day + 7_000, day + 9_000), "00:00:07 UTC");
        assert_eq!(clock(day - 1_000, day + 9_000), "1 Jan 1970, 23:59:59 UTC");
        assert_eq!(clock(i64::MAX, 0), "");
    }

    #[test]
    fn nothing_hides_in_a_name() {
        assert_eq!(visible("plain é 名"), "plain é 名");
        assert_eq!(visible("a\u{202E}gpj.exe"), "a⟨U+202E⟩gpj.exe");
        assert_eq!(visible("a\nb\u{1b}[0m"), "a⟨U+000A⟩b⟨U+001B⟩[0m");
    }
}
