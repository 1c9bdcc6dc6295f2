//! Quota counters as the API takes and shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct QuotaUsage {
    /// Bytes.
    pub used_quota_size: i64,
    /// Number of files.
    pub used_quota_files: i64,
}

/// What an account has transferred since the counters were reset, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TransferQuotaUsage {
    pub used_upload_data_transfer: i64,
    pub used_download_data_transfer: i64,
}
