//! Which names may be used, per directory.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::wire::{is_default, null_is_default};

/// File names by suffix, per directory; the older form of [`PatternsFilter`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ExtensionsFilter {
    pub path: String,
    #[serde(deserialize_with = "null_is_default")]
    pub allowed_extensions: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub denied_extensions: Vec<String>,
}

/// File names by shell pattern, per directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PatternsFilter {
    pub path: String,
    #[serde(deserialize_with = "null_is_default")]
    pub allowed_patterns: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    pub denied_patterns: Vec<String>,
    /// 0: denied names stay visible, 1: they are hidden.
    #[serde(skip_serializing_if = "is_default")]
    pub deny_policy: i32,
}
