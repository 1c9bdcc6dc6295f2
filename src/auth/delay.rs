//! How long whoever logs in waits for the answer.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::LoginDelayConfig;

/// The least time from an attempt to its answer. The default waits for nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoginDelay {
    success: Duration,
    password_failed: Duration,
}

impl LoginDelay {
    pub fn from_config(config: &LoginDelayConfig) -> Self {
        Self {
            success: Duration::from_millis(config.success.into()),
            password_failed: Duration::from_millis(config.password_failed.into()),
        }
    }

    /// Returns when a login that began at `started` may succeed.
    pub async fn before_success(&self, started: Instant) {
        sleep_until(started + self.success).await;
    }

    /// Returns when it may be said that the password, or whatever was asked for in a
    /// dialogue, was wrong. From the start, and not from the failure: what the check took
    /// does not show.
    pub async fn before_failure(&self, started: Instant) {
        sleep_until(started + self.password_failed).await;
    }
}
