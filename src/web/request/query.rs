//! Query parameters that several resources share, besides paging.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::web::error::ApiError;
use crate::web::request::auth::{Admin, Right};

/// Whether secrets are shown with what is needed to decrypt them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Confidential {
    /// 1 shows the `key` and `additional_data` of secrets. Only for administrators
    /// who may do everything, ignored for others.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 1, default = 0)]
    confidential_data: Option<String>,
}

impl Confidential {
    /// Whether it is asked for by someone who may.
    pub fn is_asked_by<R: Right>(&self, admin: &Admin<R>) -> Result<bool, ApiError> {
        let asked = switch("confidential_data", self.confidential_data.as_deref())?;
        Ok(asked && admin.may_everything())
    }
}

/// Reads a parameter that is 0 (also when absent) or 1; `name` is for the refusal.
pub fn switch(name: &str, text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("" | "0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(ApiError::bad_request(format!("{name}: must be 0 or 1"))),
    }
}

/// The longest text that lists are searched for; more is a mistake, and the patterns of
/// databases have limits of their own.
const MAX_SEARCH_BYTES: usize = 1024;

/// What a list is searched for, unless it is empty.
pub fn search_text(q: Option<&str>) -> Result<Option<String>, ApiError> {
    match given(q) {
        Some(text) if text.len() > MAX_SEARCH_BYTES => {
            Err(ApiError::bad_request(format!("q: is longer than {MAX_SEARCH_BYTES} bytes")))
        }
        // To some databases it is the end of the text, which then is found everywhere.
        Some(text) if text.contains('\0') => {
            Err(ApiError::bad_request("q: must not contain a NUL character"))
        }
        text => Ok(text),
    }
}

/// A parameter, unless it is empty.
pub fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What a parameter stands for, unless it is absent or empty; `name` is for the refusal.
pub fn choice<T: Copy>(
    name: &str,
    text: Option<&str>,
    known: &[(&str, T)],
) -> Result<Option<T>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match known.iter().find(|(key, _)| *key == text) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let keys: Vec<&str> = known.iter().map(|(key, _)| *key).collect();
            Err(ApiError::bad_request(format!("{name}: must be one of {}", keys.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_the_known_ones() {
        let read = |text| choice("sort", text, &[("a", 1), ("b", 2)]).map_err(|e| e.to_string());
        assert_eq!(read(None), Ok(None));
        assert_eq!(read(Some("")), Ok(None));
        assert_eq!(read(Some("b")), Ok(Some(2)));
        assert_eq!(read(Some("B")), Err("sort: must be one of a, b".to_owned()));
    }

    #[test]
    fn a_search_has_a_bound() {
        let most = "x".repeat(MAX_SEARCH_BYTES);
        assert_eq!(search_text(Some(&most)).expect("allowed"), Some(most.clone()));
        assert!(search_text(Some(&(most + "x"))).is_err());
        assert!(search_text(Some("a\0b")).is_err());
        assert_eq!(search_text(Some("")).expect("allowed"), None);
    }

    #[test]
    fn switches_are_zero_or_one() {
        let read = |text| switch("disconnect", text).map_err(|error| error.to_string());
        for text in [None, Some(""), Some("0")] {
            assert_eq!(read(text), Ok(false));
        }
        assert_eq!(read(Some("1")), Ok(true));
        for text in ["2", "true", "-1", "01"] {
            assert_eq!(read(Some(text)), Err("disconnect: must be 0 or 1".to_owned()));
        }
    }
}
