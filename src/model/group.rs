//! How users refer to groups.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Membership of a user in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct GroupMapping {
    pub name: String,
    /// 1 primary (at most one), 2 secondary, 3 membership only.
    #[serde(rename = "type")]
    pub kind: i32,
}
