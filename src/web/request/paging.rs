//! `offset`, `limit` and `order`: how every list is cut into pages.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::provider;
use crate::web::error::ApiError;

/// The largest page a client may ask for.
pub const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 100;

/// The direction of a list, which is sorted by its objects' natural key unless `sort` says
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
pub enum Order {
    #[default]
    #[serde(rename = "ASC")]
    Ascending,
    #[serde(rename = "DESC")]
    Descending,
}

/// The paging parameters as they stand in the query; text, so that a wrong one
/// can be named in the refusal.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PagingQuery {
    /// How many objects to leave out from the start; 0 if absent.
    #[param(value_type = Option<u32>, minimum = 0, default = 0)]
    pub offset: Option<String>,
    /// The most objects to return, 1 to 500; 100 if absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<String>,
    /// `ASC` (default) or `DESC`, by what the list is sorted by.
    #[param(value_type = Option<Order>, inline)]
    pub order: Option<String>,
}

/// A checked page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub offset: u32,
    /// 1 to [`MAX_LIMIT`].
    pub limit: u32,
    pub order: Order,
}

impl PagingQuery {
    /// Refuses with the name of the first parameter that is wrong.
    pub fn page(&self) -> Result<Page, ApiError> {
        let offset = number(self.offset.as_deref(), 0)
            .filter(|offset| i32::try_from(*offset).is_ok())
            .ok_or_else(|| ApiError::bad_request("offset: must be a number from 0"))?;
        let limit = number(self.limit.as_deref(), DEFAULT_LIMIT)
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| ApiError::bad_request("limit: must be a number from 1 to 500"))?;
        let order = match self.order.as_deref() {
            None | Some("" | "ASC" | "asc") => Order::Ascending,
            Some("DESC" | "desc") => Order::Descending,
            Some(_) => return Err(ApiError::bad_request("order: must be ASC or DESC")),
        };
        Ok(Page { offset, limit, order })
    }
}

impl From<Page> for provider::Page {
    fn from(page: Page) -> Self {
        Self { offset: page.offset, limit: page.limit, descending: page.order == Order::Descending }
    }
}

/// An absent or empty parameter has its default; anything but a number has none.
fn number(text: Option<&str>, default: u32) -> Option<u32> {
    match text {
        None | Some("") => Some(default),
        Some(text) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(offset: &str, limit: &str, order: &str) -> Result<Page, String> {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        PagingQuery { offset: some(offset), limit: some(limit), order: some(order) }
            .page()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn absent_parameters_have_their_defaults() {
        let want = Page { offset: 0, limit: 100, order: Order::Ascending };
        assert_eq!(page("-", "-", "-"), Ok(want));
        assert_eq!(page("", "", ""), Ok(want));
    }

    #[test]
    fn the_borders_are_allowed() {
        let want = Page { offset: 7, limit: 500, order: Order::Descending };
        assert_eq!(page("7", "500", "DESC"), Ok(want));
        assert_eq!(page("0", "1", "ASC").map(|page| page.limit), Ok(1));
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        for (offset, limit, order, name) in [
            ("-1", "-", "-", "offset"),
            ("x", "-", "-", "offset"),
            ("99999999999", "-", "-", "offset"),
            ("3000000000", "-", "-", "offset"),
            ("-", "0", "-", "limit"),
            ("-", "501", "-", "limit"),
            ("-", "1.5", "-", "limit"),
            ("-", "-", "UP", "order"),
        ] {
            let refused = page(offset, limit, order).expect_err("must be refused");
            assert!(refused.starts_with(name), "{refused} should name {name}");
        }
    }
}
