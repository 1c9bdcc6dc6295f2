//! Points in time as the wire has them: Unix time in milliseconds, 0 for "never".

/// The present as Unix milliseconds.
pub fn now_unix_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// The present as Unix seconds, for what is signed or computed from the time.
pub fn now_unix_secs() -> u64 {
    u64::try_from(chrono::Utc::now().timestamp()).unwrap_or_default()
}
