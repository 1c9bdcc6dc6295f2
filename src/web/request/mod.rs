//! What is read from requests: who calls, the body, the query.

pub mod auth;
pub mod body;
pub mod paging;
pub mod query;
pub mod token;
