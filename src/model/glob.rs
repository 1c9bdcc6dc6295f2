//! Shell patterns on single names: `*`, `?`, `[..]`, `[!..]` or `[^..]`, and `\` before
//! a character that shall mean itself.
//!
//! Names are bytes: what is not UTF-8 is matched byte by byte. Upper and lower case are
//! the same. A match costs at most the length of the name times that of the pattern:
//! stars are tried from left to right and never again.

use crate::error::{Error, Result};

/// Longest pattern, in bytes; no longer than the longest name that a disk can hold.
pub const MAX_LEN: usize = 255;

/// A pattern, ready for many names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What stands between the stars; one more than there are stars.
    parts: Vec<Vec<Step>>,
}

/// What takes exactly one unit of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Any,
    One(u32),
    /// Inclusive ranges, as they are written: either case of a letter is in them.
    Class {
        is_negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

/// A name as it is compared: one unit for each character, without its case, or for each
/// byte that belongs to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedName(Vec<u32>);

impl FoldedName {
    pub fn new(name: &[u8]) -> Self {
        // Above all characters, so that no pattern but `?`, `*` and `[!..]` takes it.
        const NO_CHARACTER: u32 = 0x0011_0000;
        let mut units = Vec::with_capacity(name.len());
        for chunk in name.utf8_chunks() {
            units.extend(chunk.valid().chars().map(|c| u32::from(fold(c))));
            units.extend(chunk.invalid().iter().map(|byte| NO_CHARACTER + u32::from(*byte)));
        }
        Self(units)
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `InvalidInput` saying what is wrong, without the pattern itself.
    pub fn parse(pattern: &str) -> Result<Self> {
        if pattern.is_empty() {
            return Err(Error::invalid("is empty"));
        }
        if pattern.len() > MAX_LEN {
            return Err(Error::invalid(format!("is longer than {MAX_LEN} bytes")));
        }
        if pattern.chars().any(char::is_control) {
            return Err(Error::invalid("contains a control character"));
        }
        if pattern.contains('/') {
            return Err(Error::invalid(
                "contains \"/\", but patterns are for names, not for paths",
            ));
        }
        let mut parts = vec![Vec::new()];
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            let step = match c {
                '*' => {
                    parts.push(Vec::new());
                    continue;
                }
                '?' => Step::Any,
                '[' => class(&mut rest)?,
                '\\' => {
                    Step::One(unit(rest.next().ok_or_else(|| Error::invalid("ends in \"\\\""))?))
                }
                c => Step::One(unit(c)),
            };
            if let Some(part) = parts.last_mut() {
                part.push(step);
            }
        }
        Ok(Self { parts })
    }

    /// The form of a pattern that is stored: in lower case, but for classes, whose
    /// ranges would become others.
    pub fn canonical(pattern: &str) -> String {
        if pattern.contains('[') {
            return pattern.to_owned();
        }
        pattern.chars().map(lower).collect()
    }

    /// The pattern of all names that end in `suffix`.
    pub fn of_suffix(suffix: &str) -> String {
        let mut pattern = String::from("*");
        for c in suffix.chars() {
            if matches!(c, '*' | '?' | '[' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern
    }

    pub fn matches(&self, FoldedName(name): &FoldedName) -> bool {
        let [first, rest @ ..] = self.parts.as_slice() else { return false };
        let Some(name) = strip_prefix(first, name) else { return false };
        let Some((last, middle)) = rest.split_last() else { return name.is_empty() };
        let Some(mut name) = strip_suffix(last, name) else { return false };
        for part in middle {
            match find(part, name) {
                Some(after) => name = after,
                None => return false,
            }
        }
        true
    }
}

fn strip_prefix<'n>(part: &[Step], name: &'n [u32]) -> Option<&'n [u32]> {
    let (head, rest) = name.split_at_checked(part.len())?;
    takes(part, head).then_some(rest)
}

fn strip_suffix<'n>(part: &[Step], name: &'n [u32]) -> Option<&'n [u32]> {
    let (rest, tail) = name.split_at_checked(name.len().checked_sub(part.len())?)?;
    takes(part, tail).then_some(rest)
}

/// What follows the first place where `part` is found.
fn find<'n>(part: &[Step], name: &'n [u32]) -> Option<&'n [u32]> {
    if part.is_empty() {
        return Some(name);
    }
    let at = name.windows(part.len()).position(|window| takes(part, window))?;
    name.get(at + part.len()..)
}

/// Both of one length.
fn takes(part: &[Step], name: &[u32]) -> bool {
    part.iter().zip(name).all(|(step, unit)| match step {
        Step::Any => true,
        Step::One(wanted) => wanted == unit,
        Step::Class { is_negated, ranges } => {
            let has = |unit| ranges.iter().any(|(low, high)| *low <= unit && unit <= *high);
            (has(*unit) || has(upper(*unit))) != *is_negated
        }
    })
}

/// What follows `[`. A `]` that stands first, and a `-` that stands first or last, mean
/// themselves.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Step> {
    let unclosed = || Error::invalid("has a \"[\" without its \"]\"");
    let mut next = rest.next().ok_or_else(unclosed)?;
    let is_negated = matches!(next, '!' | '^');
    if is_negated {
        next = rest.next().ok_or_else(unclosed)?;
    }
    let mut ranges = Vec::new();
    let mut is_first = true;
    loop {
        let low = match next {
            ']' if !is_first => return Ok(Step::Class { is_negated, ranges }),
            '\\' => rest.next().ok_or_else(unclosed)?,
            c => c,
        };
        is_first = false;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && !ahead.as_str().starts_with(']') {
            let high = match ahead.next().ok_or_else(unclosed)? {
                '\\' => ahead.next().ok_or_else(unclosed)?,
                c => c,
            };
            if low > high {
                return Err(Error::invalid(format!(
                    "has the range \"{low}-{high}\", which is empty"
                )));
            }
            ranges.push((u32::from(low), u32::from(high)));
            *rest = ahead;
        } else {
            ranges.push((unit(low), unit(low)));
        }
        next = rest.next().ok_or_else(unclosed)?;
    }
}

fn unit(c: char) -> u32 {
    u32::from(fold(c))
}

/// One character for all cases of a letter, so that names of any length fold to units
/// of the same number.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or_else(|| lower(c))
}

fn lower(c: char) -> char {
    only(c.to_lowercase()).unwrap_or(c)
}

fn upper(unit: u32) -> u32 {
    char::from_u32(unit).and_then(|c| only(c.to_uppercase())).map_or(unit, u32::from)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        Glob::parse(pattern).unwrap().matches(&FoldedName::new(name))
    }

    #[test]
    fn patterns_take_what_a_shell_takes() {
        let table: &[(&str, &str, bool)] = &[
            ("a", "a", true),
            ("a", "aa", false),
            ("a", "", false),
            ("*", "", true),
            ("*", "anything at all", true),
            ("**", "x", true),
            ("*.jpg", "a.jpg", true),
            ("*.jpg", ".jpg", true),
            ("*.jpg", "a.jpg.exe", false),
            ("*.jpg", "ajpg", false),
            ("*.jpg", "jpg", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbxxbxxc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab", false),
            ("*aab", "aaab", true),
            ("?", "x", true),
            ("?", "", false),
            ("?", "xy", false),
            ("?", "ü", true),
            ("a?c*", "abcdef", true),
            ("*?.*", ".x", false),
            ("*?.*", "a.x", true),
            ("[abc]x", "bx", true),
            ("[abc]x", "dx", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[!a-c]", "", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[]a]", "a", true),
            ("[-a]", "-", true),
            ("[a-]", "-", true),
            ("[a-]", "b", false),
            ("[\\]]", "]", true),
            ("[a\\-c]", "b", false),
            ("[a\\-c]", "-", true),
            ("[a!]", "!", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("\\?\\[\\\\", "?[\\", true),
            ("a]", "a]", true),
            (".*", ".hidden", true),
            ("[ä-ü]", "ö", true),
        ];
        for (pattern, name, want) in table {
            assert_eq!(matches(pattern, name.as_bytes()), *want, "{pattern} {name}");
        }
    }

    #[test]
    fn case_makes_no_difference() {
        let table: &[(&str, &str, bool)] = &[
            ("*.jpg", "A.JPG", true),
            ("*.JPG", "a.jPg", true),
            ("[a-c]*", "Bx", true),
            ("[A-C]*", "bx", true),
            ("[!a-c]*", "Bx", false),
            ("[A-z]", "q", true),
            ("[Z-a]", "z", true),
            ("[Z-a]", "A", true),
            ("[Z-a]", "_", true),
            ("[Z-a]", "b", false),
            ("[!Z-a]", "z", false),
            ("[ς]", "Σ", true),
            ("[À-Ö]", "ñ", true),
            ("*.PÄ", "x.pä", true),
            ("*.pä", "X.PÄ", true),
            ("[à-ö]", "Ñ", true),
            // Letters with more than two forms.
            ("*.ΣΣ", "x.σς", true),
            ("*.ks", "x.\u{212a}\u{17f}", true),
            ("ß", "ẞ", true),
            ("İx", "İX", true),
            // But not a letter and its neighbour.
            ("*.jpg", "a.jp\u{67}\u{301}", false),
        ];
        for (pattern, name, want) in table {
            assert_eq!(matches(pattern, name.as_bytes()), *want, "{pattern} {name}");
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_matched_by_their_bytes() {
        let table: &[(&str, &[u8], bool)] = &[
            ("*.exe", b"caf\xe9.exe", true),
            ("*.exe", b"a.ex\xe9", false),
            ("caf?", b"caf\xe9", true),
            ("caf??", b"caf\xe9\xff", true),
            ("caf?", b"caf\xe9\xff", false),
            ("caf[!a-z]", b"caf\xe9", true),
            ("caf\u{e9}", b"caf\xe9", false),
            ("?", b"\xe2\x82", false),
        ];
        for (pattern, name, want) in table {
            assert_eq!(matches(pattern, name), *want, "{pattern} {name:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = "x".repeat(MAX_LEN + 1);
        for (pattern, part) in [
            ("", "empty"),
            ("a/b", "\"/\""),
            ("[", "\"[\""),
            ("[]", "\"[\""),
            ("[!", "\"[\""),
            ("[!]", "\"[\""),
            ("[a", "\"[\""),
            ("[a-", "\"[\""),
            ("[a\\", "\"[\""),
            ("a\\", "ends in"),
            ("[z-a]", "z-a"),
            ("a\0", "control"),
            (long.as_str(), "longer"),
        ] {
            let error = Glob::parse(pattern).unwrap_err().to_string();
            assert!(error.contains(part), "{pattern}: {error}");
        }
        assert!(Glob::parse(&long[1..]).is_ok());
    }

    #[test]
    fn a_suffix_means_itself() {
        for suffix in [".zip", "zip", ".t*r", "[x]", "?", "a\\"] {
            let pattern = Glob::of_suffix(suffix);
            assert!(matches(&pattern, format!("a{suffix}").as_bytes()), "{suffix}");
            assert!(!matches(&pattern, b"a.txr"), "{suffix}");
        }
    }

    /// By its definition, in as much time as it takes.
    fn slowly(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                slowly(rest, name) || name.split_first().is_some_and(|(_, n)| slowly(pattern, n))
            }
            (Some(('?', rest)), Some((_, name))) => slowly(rest, name),
            (Some((c, rest)), Some((n, name))) => c == n && slowly(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?]{1,10}", name in "[ab]{0,12}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let want = slowly(&chars(&pattern), &chars(&name));
            prop_assert_eq!(matches(&pattern, name.as_bytes()), want);
        }

        #[test]
        fn no_text_panics(pattern in any::<String>(), name in any::<Vec<u8>>()) {
            if let Ok(glob) = Glob::parse(&pattern) {
                glob.matches(&FoldedName::new(&name));
            }
        }
    }

    #[test]
    fn folding_a_character_twice_changes_nothing() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
            // A pattern is stored in lower case and must go on meaning the same.
            assert_eq!(lower(lower(c)), lower(c), "{c:?}");
            assert_eq!(fold(lower(c)), fold(c), "{c:?}");
        }
    }
}
