//! Connections that have not logged in yet: a bounded number of them.
//!
//! When there are too many the oldest goes, so that whoever only occupies places makes
//! room for others. Somebody honest has logged in long before that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::meter::{KillReason, KillSwitch};

/// Connections that may be waiting for their login at a time.
pub const MAX_HALF_OPEN: usize = 512;

/// All that have not logged in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HalfOpen(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    oldest_first: VecDeque<(u64, KillSwitch)>,
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    all: HalfOpen,
    id: u64,
}

impl HalfOpen {
    /// Takes a place, from the oldest connection if there is none left.
    pub fn enter(&self, kill: KillSwitch) -> Place {
        let mut queue = self.lock();
        let id = queue.next;
        queue.next += 1;
        queue.oldest_first.push_back((id, kill));
        if queue.oldest_first.len() > MAX_HALF_OPEN
            && let Some((_, oldest)) = queue.oldest_first.pop_front()
        {
            oldest.fire(KillReason::LoginTimeout);
        }
        Place { all: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Each change is one call on the queue, so a panic leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queue = self.all.lock();
        if let Some(at) = queue.oldest_first.iter().position(|(id, _)| *id == self.id) {
            queue.oldest_first.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_who_has_logged_in_does_not_count() {
        let all = HalfOpen::default();
        let kills: Vec<KillSwitch> = (0..MAX_HALF_OPEN + 2).map(|_| KillSwitch::new()).collect();
        let mut places: Vec<Option<Place>> = Vec::new();
        for kill in &kills[..MAX_HALF_OPEN] {
            places.push(Some(all.enter(kill.clone())));
        }
        assert!(kills.iter().all(|kill| !kill.is_fired()));
        // The first has logged in, the second goes.
        places[0] = None;
        let _last = all.enter(kills[MAX_HALF_OPEN].clone());
        assert!(kills.iter().all(|kill| !kill.is_fired()));
        let _beyond = all.enter(kills[MAX_HALF_OPEN + 1].clone());
        let fired: Vec<usize> = (0..kills.len()).filter(|at| kills[*at].is_fired()).collect();
        assert_eq!(fired, [1]);
        drop(places);
        assert_eq!(all.lock().oldest_first.len(), 2);
    }
}
