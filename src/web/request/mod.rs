//! What is read from requests: where they come from, who calls, the body, the query.

pub mod auth;
pub mod body;
pub mod id;
pub mod paging;
pub mod peer;
pub mod query;
pub mod token;
