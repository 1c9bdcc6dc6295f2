//! Writing JSON members into a line.

use std::fmt::{self, Write};

/// Appends `"text"` with everything escaped that JSON (RFC 8259 section 7) demands,
/// so that no value can end its string or its line.
pub(super) fn push_str<W: Write + ?Sized>(out: &mut W, text: &str) -> fmt::Result {
    out.write_char('"')?;
    push_escaped(out, text)?;
    out.write_char('"')
}

fn push_escaped<W: Write + ?Sized>(out: &mut W, text: &str) -> fmt::Result {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f | 0x7f => "",
            _ => continue,
        };
        // Every byte handled here is ASCII, so `at` is a character boundary.
        out.write_str(text.get(plain_from..at).unwrap_or_default())?;
        if short.is_empty() {
            write!(out, "\\u{byte:04x}")?;
        } else {
            out.write_str(short)?;
        }
        plain_from = at + 1;
    }
    out.write_str(text.get(plain_from..).unwrap_or_default())
}

/// Appends `,"key":"text"`. Keys are ours and need no escaping.
pub(super) fn member_str<W: Write + ?Sized>(out: &mut W, key: &str, text: &str) -> fmt::Result {
    write!(out, ",\"{key}\":")?;
    push_str(out, text)
}

/// Appends `,"key":value` for a number or a boolean.
pub(super) fn member_raw<W: Write + ?Sized>(
    out: &mut W,
    key: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    write!(out, ",\"{key}\":{value}")
}

/// Escapes what is formatted into it: `write!(Escape(&mut out), "{message}")`.
pub(super) struct Escape<'a, W: Write + ?Sized>(pub(super) &'a mut W);

impl<W: Write + ?Sized> Write for Escape<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_backslashes_and_control_characters_cannot_leave_the_string() {
        let mut out = String::new();
        push_str(&mut out, "a\"b\\c\nd\re\tf\u{0}\u{7f}é\u{2028}").unwrap();
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\re\\tf\\u0000\\u007fé\u{2028}\"");
    }

    proptest! {
        #[test]
        fn every_string_comes_back(text in any::<String>()) {
            let mut out = String::new();
            push_str(&mut out, &text).unwrap();
            prop_assert!(!out.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
