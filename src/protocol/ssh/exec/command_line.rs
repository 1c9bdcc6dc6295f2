//! The words of a command line, quoted as for a shell, without a shell.
//!
//! Spaces separate words; `'…'`, `"…"` and `\` quote as POSIX says (Shell Command
//! Language, section 2.2). Nothing else means anything: no variables, wildcards,
//! pipes or substitutions, whose characters stand for themselves.

use std::fmt;

/// More than any client sends; what is longer is not looked at.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Why a line is no command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    TooLong,
    /// A quote that never ends, or a backslash with nothing behind it.
    Unfinished,
    /// A NUL byte would end a word early for the system.
    Nul,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the command line is too long",
            Self::Unfinished => "the command line ends within a quotation",
            Self::Nul => "the command line has a NUL byte",
        })
    }
}

/// Splits `line` into its words; none for an empty line.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    if line.len() > MAX_LINE {
        return Err(Malformed::TooLong);
    }
    if line.contains(&0) {
        return Err(Malformed::Nul);
    }
    let mut words = Vec::new();
    // `None` between words: `''` is a word, and nothing is none.
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => words.extend(word.take()),
            b'\\' => word.get_or_insert_default().push(bytes.next().ok_or(Malformed::Unfinished)?),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next().ok_or(Malformed::Unfinished)? {
                        b'\'' => break,
                        byte => word.push(byte),
                    }
                }
            }
            b'"' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next().ok_or(Malformed::Unfinished)? {
                        b'"' => break,
                        b'\\' => match bytes.next().ok_or(Malformed::Unfinished)? {
                            byte @ (b'"' | b'\\' | b'$' | b'`') => word.push(byte),
                            byte => word.extend([b'\\', byte]),
                        },
                        byte => word.push(byte),
                    }
                }
            }
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_quoted_as_in_a_shell() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t ", &[]),
            ("pwd", &["pwd"]),
            (" scp  -t   dir ", &["scp", "-t", "dir"]),
            (r"md5sum 'a b'", &["md5sum", "a b"]),
            (r#"md5sum "a b""#, &["md5sum", "a b"]),
            (r"md5sum a\ b", &["md5sum", "a b"]),
            (r"md5sum 'it'\''s'", &["md5sum", "it's"]),
            (r#"md5sum "a\"b\\c\$d\`e\f""#, &["md5sum", r#"a"b\c$d`e\f"#]),
            (r"md5sum 'a\b'", &["md5sum", r"a\b"]),
            ("md5sum ''", &["md5sum", ""]),
            (r#"a"b"'c'\d"#, &["abcd"]),
            (
                "a; b | c && d > e $(f) `g` $H *?[x] ~ #h",
                &[
                    "a;", "b", "|", "c", "&&", "d", ">", "e", "$(f)", "`g`", "$H", "*?[x]", "~",
                    "#h",
                ],
            ),
            ("md5sum ü\u{1F980}", &["md5sum", "ü\u{1F980}"]),
        ];
        for (line, want) in table {
            let got = split(line.as_bytes()).unwrap();
            let want: Vec<Vec<u8>> = want.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(got, want, "{line}");
        }
    }

    #[test]
    fn what_ends_within_a_quotation_is_refused() {
        for line in ["a 'b", "a \"b", "a \\", "\"\\", "'"] {
            assert_eq!(split(line.as_bytes()), Err(Malformed::Unfinished), "{line}");
        }
        assert_eq!(split(b"a\0b"), Err(Malformed::Nul));
        assert_eq!(split(&[b'a'; MAX_LINE + 1]), Err(Malformed::TooLong));
    }

    proptest! {
        #[test]
        fn splitting_never_panics_and_makes_nothing_up(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(words) = split(&line) {
                let total: usize = words.iter().map(Vec::len).sum();
                prop_assert!(total <= line.len());
            }
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec(
            proptest::collection::vec(1u8..=255, 0..20), 0..6)) {
            let quoted: Vec<Vec<u8>> = words.iter().map(|word| {
                let mut quoted = vec![b'\''];
                for byte in word {
                    match byte {
                        b'\'' => quoted.extend(b"'\\''"),
                        byte => quoted.push(*byte),
                    }
                }
                quoted.push(b'\'');
                quoted
            }).collect();
            prop_assert_eq!(split(&quoted.join(&b' ')).unwrap(), words);
        }
    }
}
