//! What follows when a group is changed: its users may not be connected any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Result;
use crate::model::Group;
use crate::web::services::Services;

impl Services {
    /// Replaces a group if `permit` agrees to what is stored, and returns it as stored.
    /// Sessions of its users go on with what they have, but end when it now says so.
    ///
    /// # Errors
    /// Those of the store, and of `permit`.
    pub async fn replace_group_if(
        &self,
        group: Group,
        permit: impl Fn(&Group) -> Result<()> + Send + 'static,
    ) -> Result<Group> {
        let stored = self.store.update_group_if(group, permit).await?;
        let users: BTreeSet<&str> = stored.users.iter().map(String::as_str).collect();
        self.follow_for_connected(|username| users.contains(username)).await;
        Ok(stored)
    }

    /// Lets the sessions of connected users go by what is stored now about who may be
    /// connected, and until when.
    pub async fn follow_for_connected(&self, concerns: impl Fn(&str) -> bool) {
        let sessions = self.registry.list().await;
        let connected: BTreeSet<Arc<str>> =
            sessions.into_iter().map(|session| session.username).collect();
        for username in connected.iter().filter(|username| concerns(username)) {
            self.follow_stored(username, false).await;
        }
    }
}
