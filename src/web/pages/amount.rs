//! Numbers and sizes as people type them, and as they are shown to be typed over.

/// What stands for how many bytes, the largest first. Decimal as everywhere on the pages,
/// and binary where somebody asks for it.
const UNITS: [(&str, i64); 10] = [
    ("TIB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GIB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MIB", 1 << 20),
    ("MB", 1_000_000),
    ("KIB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
    ("", 1),
];

/// Units that a size is shown in.
const SHOWN: [(&str, i64); 8] = [
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
    ("KiB", 1 << 10),
];

/// A whole number from 0; nothing is 0.
///
/// # Errors
/// A sentence for the field.
pub fn whole(text: &str) -> Result<i64, String> {
    let text = text.trim().replace([',', '_'], "");
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse().ok().filter(|number: &i64| *number >= 0);
    number.ok_or_else(|| "Enter a whole number, such as 4.".to_owned())
}

/// A whole number to be typed over; empty for 0.
pub fn whole_text(number: i64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// A size in bytes: `10 GB`, `1.5 GiB`, `4096`; nothing is 0.
///
/// # Errors
/// A sentence for the field.
pub fn bytes(text: &str) -> Result<i64, String> {
    let told = || "Enter a size such as 10 GB.".to_owned();
    let text = text.trim().replace([',', '_'], "").to_ascii_uppercase();
    if text.is_empty() {
        return Ok(0);
    }
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(told)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(told());
    }
    // Exact: what is typed is what is stored. More than six digits mean nothing in any unit.
    let fraction = &fraction[..fraction.len().min(6)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let parse = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<i64>().map(i128::from).map_err(|_| told()),
    };
    let parts = parse(whole)? * scale + parse(fraction)?;
    i64::try_from(parts * i128::from(unit) / scale).map_err(|_| told())
}

/// A size to be typed over, exactly as it is; empty for 0.
pub fn bytes_text(size: i64) -> String {
    if size <= 0 {
        return String::new();
    }
    // In the largest unit in which two decimals are enough.
    for (name, unit) in SHOWN {
        let hundredths = i128::from(size) * 100;
        if size >= unit && hundredths % i128::from(unit) == 0 {
            let hundredths = hundredths / i128::from(unit);
            let (whole, rest) = (hundredths / 100, hundredths % 100);
            let decimals = format!("{whole}.{rest:02}");
            return format!("{} {name}", decimals.trim_end_matches('0').trim_end_matches('.'));
        }
    }
    format!("{size} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, size) in [
            ("", 0),
            ("0", 0),
            ("4096", 4_096),
            ("4,096", 4_096),
            ("10 GB", 10_000_000_000),
            ("10gb", 10_000_000_000),
            ("1.5 GiB", 1_610_612_736),
            (".5 KB", 500),
            (" 2 TB ", 2_000_000_000_000),
            ("7 B", 7),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["x", "-1", "10 QB", "1.2.3", ".", "GB", "99999999999 TB", "1e3", "٣"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_that_is_shown_is_read_back_exactly() {
        for (size, text) in [
            (0, ""),
            (1, "1 B"),
            (999, "999 B"),
            (1_000, "1 KB"),
            (1_500, "1.5 KB"),
            (1_024, "1 KiB"),
            (10_000_000_000, "10 GB"),
            (1_610_612_736, "1.5 GiB"),
            (1_234_567, "1234567 B"),
            (i64::MAX, "9223372036854775807 B"),
        ] {
            assert_eq!(bytes_text(size), text);
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_not_guessed() {
        assert_eq!(whole(" 1,284 "), Ok(1284));
        assert_eq!(whole(""), Ok(0));
        for text in ["-1", "4.5", "x", "99999999999999999999"] {
            assert!(whole(text).is_err(), "{text}");
        }
        assert_eq!((whole_text(0), whole_text(7)), (String::new(), "7".to_owned()));
    }
}
