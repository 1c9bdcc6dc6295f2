//! Numbers and sizes as people type them, and as they are shown to be typed over. What is
//! typed is stored exactly or refused; nothing is rounded and nothing is guessed.

/// What stands for how many bytes, in the order in which a size looks for its unit: decimal
/// as everywhere on the pages, binary where that is shorter.
const UNITS: [(&str, i64); 9] = [
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Units to choose from beside a field.
pub const CHOICES: [&str; 9] = ["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"];

/// The unit of a size where neither the field nor what is typed has one, as in the REST API.
pub const BYTES: &str = "B";

/// Most digits behind the point: as many as make a byte of the largest size in any unit.
const MOST_DECIMALS: usize = 18;

/// A whole number from 0, such as `1284` or `1,284`; nothing is 0.
///
/// # Errors
/// A sentence for the field.
pub fn whole(typed: &str) -> Result<i64, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(0);
    }
    let told = || "Enter a whole number, such as 4.".to_owned();
    let digits = ungrouped(typed).ok_or_else(told)?;
    digits.parse().map_err(|_| "Enter a smaller number.".to_owned())
}

/// A whole number to be typed over; empty for 0.
pub fn whole_text(number: i64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// A size in bytes: `10 GB`, `1.5 GiB`, `4,096`. What is typed without a unit is in `unit`,
/// which is one of [`CHOICES`]; nothing is 0.
///
/// # Errors
/// A sentence for the field.
pub fn size(typed: &str, unit: &str) -> Result<i64, String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(0);
    }
    let told = || "Enter a size, such as 10 GB.".to_owned();
    let at = typed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(typed.len());
    let (number, own_unit) = typed.split_at(at);
    let unit = if own_unit.is_empty() { unit } else { own_unit };
    let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let (_, factor) = known.ok_or_else(told)?;
    let (whole, decimals) = match number.trim_end().split_once('.') {
        Some((whole, decimals)) if is_digits(decimals) => (whole, decimals),
        Some(_) => return Err(told()),
        None => (number.trim_end(), ""),
    };
    let whole = match whole {
        "" if !decimals.is_empty() => "0".to_owned(),
        whole => ungrouped(whole).ok_or_else(told)?,
    };
    times(&whole, decimals.trim_end_matches('0'), *factor)
}

/// `whole.decimals` times `factor`, if that is a number of bytes.
fn times(whole: &str, decimals: &str, factor: i64) -> Result<i64, String> {
    let too_large = || "Enter a smaller size.".to_owned();
    let not_whole = || "This is not a whole number of bytes.".to_owned();
    if decimals.len() > MOST_DECIMALS {
        return Err(not_whole());
    }
    let scale = 10_i128.pow(u32::try_from(decimals.len()).unwrap_or_default());
    let whole: i64 = whole.parse().map_err(|_| too_large())?;
    let decimals: i64 = if decimals.is_empty() { 0 } else { decimals.parse().unwrap_or_default() };
    // 2^63 times 10^18, times a unit of 2^40 at most, can be more than 2^127.
    let scaled = i128::from(whole) * scale + i128::from(decimals);
    let product = scaled.checked_mul(i128::from(factor)).ok_or_else(too_large)?;
    if product % scale != 0 {
        return Err(not_whole());
    }
    i64::try_from(product / scale).map_err(|_| too_large())
}

/// The digits of a whole number that may be in groups of three: `1,284`, `1 284`, `1_284`.
/// A comma elsewhere may mean a decimal point, so it is not passed over.
fn ungrouped(text: &str) -> Option<String> {
    let is_sign = |c: char| matches!(c, ',' | '_' | ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}');
    let groups: Vec<&str> = match text.chars().find(|c| is_sign(*c)) {
        Some(sign) => text.split(sign).collect(),
        None => return is_digits(text).then(|| text.to_owned()),
    };
    let (first, rest) = groups.split_first()?;
    let is_grouped = is_digits(first)
        && first.len() <= 3
        && rest.iter().all(|group| is_digits(group) && group.len() == 3);
    is_grouped.then(|| groups.concat())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of bytes and its unit, exactly: `1.5` and `GB`. Nothing is an empty text, for
/// which gigabytes are what most people mean next.
pub fn size_parts(bytes: i64) -> (String, &'static str) {
    if bytes <= 0 {
        return (String::new(), "GB");
    }
    // In the largest unit in which two decimals are enough, else in the largest decimal one.
    let is_short = |unit: i64| bytes >= unit && i128::from(bytes) * 100 % i128::from(unit) == 0;
    let short = UNITS.into_iter().find(|(name, unit)| *name != BYTES && is_short(*unit));
    let is_decimal = |name: &str| !name.contains('i');
    let (name, unit) = short
        .or_else(|| UNITS.into_iter().find(|(name, unit)| is_decimal(name) && bytes >= *unit))
        .unwrap_or((BYTES, 1));
    if is_decimal(name) {
        let digits = unit.ilog10() as usize;
        let decimals = format!("{:0digits$}", bytes % unit);
        return (decimal(bytes / unit, decimals.trim_end_matches('0')), name);
    }
    let hundredths = i128::from(bytes % unit) * 100 / i128::from(unit);
    (decimal(bytes / unit, format!("{hundredths:02}").trim_end_matches('0')), name)
}

fn decimal(whole: i64, decimals: &str) -> String {
    if decimals.is_empty() { whole.to_string() } else { format!("{whole}.{decimals}") }
}

/// The same as one text, to be typed over: `1.5 GB`; empty for nothing.
pub fn size_text(bytes: i64) -> String {
    let (number, unit) = size_parts(bytes);
    if number.is_empty() { number } else { format!("{number} {unit}") }
}

/// Longest limit that is shown as it was set.
const LONGEST_EXACT: usize = 7;

/// How much of a limit is used, and the limit, both in the unit of the limit: `1.02 GiB` and
/// `1 GiB`. A limit is shown as it was set if that is short, and there are no negative ones.
pub fn used_and_limit(used: i64, limit: i64) -> (String, String) {
    let exact = size_text(limit);
    let limit = match exact.len() <= LONGEST_EXACT {
        true => exact,
        false => super::text::bytes(u64::try_from(limit).unwrap_or(0)),
    };
    let unit = limit.rsplit(' ').next().unwrap_or(BYTES);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map_or(1, |(_, factor)| *factor);
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = used.max(0) as f64 / factor as f64;
    let number = match value {
        _ if used <= 0 => "0".to_owned(),
        _ if factor == 1 => used.to_string(),
        value if value < 0.005 => "<0.01".to_owned(),
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    (format!("{number} {unit}"), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_SIZE: &str = "Enter a size, such as 10 GB.";
    const NOT_WHOLE: &str = "This is not a whole number of bytes.";
    const TOO_LARGE: &str = "Enter a smaller size.";
    const NO_NUMBER: &str = "Enter a whole number, such as 4.";

    #[test]
    fn a_size_is_stored_exactly_or_refused() {
        for (typed, unit, size_or_told) in [
            ("", "GB", Ok(0)),
            ("  ", "B", Ok(0)),
            ("0", "GB", Ok(0)),
            // The unit: that beside the field, or that which is typed.
            ("4096", "B", Ok(4_096)),
            ("10", "GB", Ok(10_000_000_000)),
            ("10 GB", "B", Ok(10_000_000_000)),
            ("10gb", "TB", Ok(10_000_000_000)),
            ("1 gib", "GB", Ok(1_073_741_824)),
            ("1.5 GiB", "B", Ok(1_610_612_736)),
            ("1.5tb", "GB", Ok(1_500_000_000_000)),
            (" 2 TB ", "B", Ok(2_000_000_000_000)),
            ("7 B", "GB", Ok(7)),
            ("GB", "GB", Err(NO_SIZE)),
            ("10 QB", "GB", Err(NO_SIZE)),
            ("10 G B", "GB", Err(NO_SIZE)),
            ("10 GB 5 MB", "GB", Err(NO_SIZE)),
            ("x", "GB", Err(NO_SIZE)),
            ("10", "", Err(NO_SIZE)),
            // Decimals: as many as it takes, but no part of a byte.
            (".5 KB", "B", Ok(500)),
            ("1.50", "KB", Ok(1_500)),
            ("0.000000001", "GB", Ok(1)),
            ("9223372.036854775807", "TB", Ok(i64::MAX)),
            ("1.0000000000000000000000", "KB", Ok(1_000)),
            ("0.1 B", "GB", Err(NOT_WHOLE)),
            ("0.0001 KB", "GB", Err(NOT_WHOLE)),
            ("9.223372036854775807", "TB", Err(NOT_WHOLE)),
            ("1.0000000000000000000001", "TB", Err(NOT_WHOLE)),
            ("1.", "GB", Err(NO_SIZE)),
            (".", "GB", Err(NO_SIZE)),
            ("1.2.3", "GB", Err(NO_SIZE)),
            ("1e3", "GB", Err(NO_SIZE)),
            // Groups of three, whichever sign parts them; a comma is no decimal point.
            ("4,096", "B", Ok(4_096)),
            ("1_234_567 B", "GB", Ok(1_234_567)),
            ("1 000 MB", "GB", Ok(1_000_000_000)),
            ("1\u{202f}000 MB", "GB", Ok(1_000_000_000)),
            ("1,024.5 KiB", "B", Ok(1_049_088)),
            ("1,5 GB", "B", Err(NO_SIZE)),
            ("1,50", "GB", Err(NO_SIZE)),
            ("1 2 B", "GB", Err(NO_SIZE)),
            ("1,234_567", "B", Err(NO_SIZE)),
            (",123", "B", Err(NO_SIZE)),
            ("1.234,5 KB", "B", Err(NO_SIZE)),
            // Signs and other digits.
            ("-1", "GB", Err(NO_SIZE)),
            ("+1", "GB", Err(NO_SIZE)),
            ("٣", "GB", Err(NO_SIZE)),
            // The largest.
            ("9223372036854775807 B", "GB", Ok(i64::MAX)),
            ("9223372036854775808 B", "GB", Err(TOO_LARGE)),
            ("99999999999 TB", "GB", Err(TOO_LARGE)),
            ("9223372036854775807.000000000000000001 TiB", "GB", Err(TOO_LARGE)),
        ] {
            assert_eq!(size(typed, unit), size_or_told.map_err(str::to_owned), "{typed} {unit}");
        }
    }

    #[test]
    fn a_size_that_is_shown_is_read_back_exactly() {
        for (bytes, text) in [
            (0, ""),
            (-1, ""),
            (1, "1 B"),
            (999, "999 B"),
            (1_000, "1 KB"),
            (1_500, "1.5 KB"),
            (1_024, "1 KiB"),
            (1_049_088, "1024.5 KiB"),
            (1_049_089, "1.049089 MB"),
            (1_234_567, "1.234567 MB"),
            (50_000_000_000, "50 GB"),
            (1_000_000_000_001, "1.000000000001 TB"),
            (1_073_741_824, "1 GiB"),
            (1_610_612_736, "1.5 GiB"),
            (10_737_418_240, "10 GiB"),
            (i64::MAX, "9223372.036854775807 TB"),
        ] {
            assert_eq!(size_text(bytes), text);
            let (number, unit) = size_parts(bytes);
            assert!(CHOICES.contains(&unit), "{unit}");
            assert_eq!(size(&number, unit), Ok(bytes.max(0)), "{text}");
            assert_eq!(size(text, BYTES), Ok(bytes.max(0)), "{text}");
        }
    }

    #[test]
    fn what_is_used_has_the_unit_of_the_limit() {
        for (used, limit, used_text, limit_text) in [
            (0, 1_000_000_000, "0 GB", "1 GB"),
            (-5, 1_000_000_000, "0 GB", "1 GB"),
            (77, 1_073_741_824, "<0.01 GiB", "1 GiB"),
            (1_095_216_660, 1_073_741_824, "1.02 GiB", "1 GiB"),
            (41_200_000_000, 50_000_000_000, "41.2 GB", "50 GB"),
            (481_000_000_000, 500_000_000_000, "481 GB", "500 GB"),
            (1_000_000, 1_234_567, "1.00 MB", "1.23 MB"),
            (3, 5, "3 B", "5 B"),
        ] {
            let want = (used_text.to_owned(), limit_text.to_owned());
            assert_eq!(used_and_limit(used, limit), want);
        }
    }

    #[test]
    fn whole_numbers_are_not_guessed() {
        for (typed, number_or_told) in [
            ("", Ok(0)),
            ("4", Ok(4)),
            (" 1,284 ", Ok(1_284)),
            ("1 000", Ok(1_000)),
            ("12,84", Err(NO_NUMBER)),
            ("-1", Err(NO_NUMBER)),
            ("4.5", Err(NO_NUMBER)),
            ("x", Err(NO_NUMBER)),
            ("99999999999999999999", Err("Enter a smaller number.")),
        ] {
            assert_eq!(whole(typed), number_or_told.map_err(str::to_owned), "{typed}");
        }
        assert_eq!((whole_text(0), whole_text(7)), (String::new(), "7".to_owned()));
    }
}
