//! Query parameters that several resources share, besides paging.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::web::auth::{Admin, Right};
use crate::web::error::ApiError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
