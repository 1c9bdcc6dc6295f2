//! How hard a password is to guess, for `password_validation.*.min_entropy`.

/// An estimate in bits: the characters that add something, times the bits that
/// each adds.
///
/// * A character adds `log2` of the pool it was drawn from: 26 for lower-case
///   letters, 26 for capitals, 10 for digits, 33 for the other printable ASCII
///   characters, 100 for everything else; the pools that occur are summed.
/// * A character adds nothing if it continues a run of three or more: the same
///   character again, or the next one up or down (`aaa`, `abc`, `987`).
///
/// 50 to 70 bits are reasonable minima: `correcthorse` has 56, `Tr0ub4dor&3` 72.
pub fn entropy_bits(password: &str) -> f64 {
    let mut has_lower = false;
    let mut has_upper = false;
    let mut has_digit = false;
    let mut has_symbol = false;
    let mut has_other = false;
    let mut counted = 0_u32;
    let mut previous: Option<char> = None;
    let mut run_step: Option<i64> = None;
    for c in password.chars() {
        match c {
            'a'..='z' => has_lower = true,
            'A'..='Z' => has_upper = true,
            '0'..='9' => has_digit = true,
            ' '..='~' => has_symbol = true,
            _ => has_other = true,
        }
        let step = previous.map(|p| i64::from(u32::from(c)) - i64::from(u32::from(p)));
        let continues_run = step.is_some_and(|s| s.abs() <= 1) && step == run_step;
        if !continues_run {
            counted = counted.saturating_add(1);
        }
        run_step = step;
        previous = Some(c);
    }
    let pool: u32 =
        [(has_lower, 26), (has_upper, 26), (has_digit, 10), (has_symbol, 33), (has_other, 100)]
            .into_iter()
            .filter_map(|(occurs, size)| occurs.then_some(size))
            .sum();
    if pool == 0 { 0.0 } else { f64::from(counted) * f64::from(pool).log2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_grows_with_length_and_variety() {
        let table: &[(&str, u32)] = &[
            ("", 0),
            ("a", 4),
            ("password", 37),
            ("correcthorse", 56),
            ("Tr0ub4dor&3", 72),
            ("aaaaaaaaaaaaaaaa", 9),
            ("abcdefghijklmnop", 9),
            ("1234567890", 9),
            ("87654321", 6),
            ("aabbaabb", 37),
            ("пароль", 39),
            ("   ", 10),
        ];
        for (password, want) in table {
            assert_eq!(entropy_bits(password) as u32, *want, "{password:?}");
        }
    }
}
