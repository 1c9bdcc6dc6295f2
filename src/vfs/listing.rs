//! The entries of a directory.

use std::fmt;
use std::sync::Arc;

use super::effects::Origin;
use super::policy::Operation;
use super::session::Session;
use crate::error::Result;
use crate::paths::VirtualPath;
use crate::storage::{Entry, EntryStream};

/// A directory being listed in bounded memory.
pub struct Listing {
    origin: Arc<Origin>,
    entries: Box<dyn EntryStream>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("session", &self.origin.session_id).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a directory for listing, with the virtual folders in it.
    pub async fn list(&self, dir: &VirtualPath) -> Result<Listing> {
        self.origin.require_alive()?;
        self.decide(Operation::List(dir))?;
        let hidden = self.origin.policy.patterns().hidden_in(dir);
        let entries = self.mounts.list(dir, hidden).await?;
        Ok(Listing { origin: self.origin.clone(), entries })
    }
}

impl Listing {
    /// The next entries, at most `max`, without `.` and `..`; empty at the end.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>> {
        self.origin.require_alive()?;
        self.entries.next_batch(max).await
    }
}
