//! Points in time as the wire has them: Unix time in milliseconds, 0 for "never".

/// The present as Unix milliseconds.
pub fn now_unix_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
