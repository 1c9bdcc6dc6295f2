//! Why an administrator does something, in own words, for the log.

use crate::web::error::ApiError;

/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 200;

/// A reason that may stand in a log line: one line, of bounded length. It may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason(Option<String>);

impl Reason {
    /// Checks what was given; blanks at the ends do not count.
    ///
    /// # Errors
    /// 400 if it is too long or holds what could make a log line look like another one.
    pub fn checked(given: Option<&str>) -> Result<Self, ApiError> {
        let text = given.unwrap_or_default().trim();
        if text.chars().count() > MAX_REASON_CHARS {
            let told = format!("reason: must have at most {MAX_REASON_CHARS} characters");
            return Err(ApiError::bad_request(told));
        }
        if text.chars().any(is_misleading) {
            return Err(ApiError::bad_request("reason: must not have control characters"));
        }
        Ok(Self(Some(text.to_owned()).filter(|text| !text.is_empty())))
    }

    /// The reason, if one was given.
    pub fn text(&self) -> Option<String> {
        self.0.clone()
    }
}

/// Control characters, line separators, and what turns the direction of writing.
fn is_misleading(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let longest = "ä".repeat(MAX_REASON_CHARS);
        let too_long = format!("{longest}x");
        let table = [
            (None, Ok(None)),
            (Some("  "), Ok(None)),
            (Some(" left the company "), Ok(Some("left the company"))),
            (Some(longest.as_str()), Ok(Some(longest.as_str()))),
            (Some(too_long.as_str()), Err(())),
            (Some("a\nb"), Err(())),
            (Some("a\u{1b}[31m"), Err(())),
            (Some("a\u{202e}b"), Err(())),
        ];
        for (given, want) in table {
            let got = Reason::checked(given).map(|reason| reason.text()).map_err(|_| ());
            assert_eq!(got, want.map(|text| text.map(str::to_owned)), "{given:?}");
        }
    }
}
