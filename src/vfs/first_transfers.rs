//! The first upload and the first download of an account, which are noted with it.

use std::sync::atomic::{AtomicBool, Ordering};

use actors::Direction;

use super::effects::Origin;
use crate::model::User;

/// Which of them have been, as far as this session knows.
#[derive(Debug)]
pub(super) struct FirstTransfers {
    uploaded: AtomicBool,
    downloaded: AtomicBool,
}

impl FirstTransfers {
    pub(super) fn of(user: &User) -> Self {
        Self {
            uploaded: AtomicBool::new(user.first_upload != 0),
            downloaded: AtomicBool::new(user.first_download != 0),
        }
    }

    /// Whether it is the first one; true once.
    fn is_first(&self, direction: Direction) -> bool {
        let done = match direction {
            Direction::Upload => &self.uploaded,
            Direction::Download => &self.downloaded,
        };
        !done.load(Ordering::Relaxed) && !done.swap(true, Ordering::Relaxed)
    }
}

impl Origin {
    /// Notes a transfer that succeeded if it is the first one. If that fails, the log says
    /// so, and the next session tries again.
    pub(super) async fn note_first(&self, direction: Direction) {
        let Some(store) = &self.services.store else { return };
        if !self.first_transfers.is_first(direction) {
            return;
        }
        let username = &self.user.username;
        if let Err(error) = store.user_transferred(username, direction).await {
            let logger = &self.services.logger;
            slog::warn!(logger, "the first transfer of user {username} is not noted: {error}");
        }
    }
}
