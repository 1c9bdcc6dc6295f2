//! The scans that have ended since the server began: the newest few, to be looked at.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use actors::AccountId;

use crate::model::timestamp::now_unix_ms;

/// How many are kept.
const KEPT: usize = 50;

/// A scan that has ended.
#[derive(Debug, Clone)]
pub struct FinishedScan {
    pub account: AccountId,
    /// Unix milliseconds.
    pub ended_at: i64,
    /// Files and bytes, or why they could not be counted.
    pub outcome: Result<(u64, u64), String>,
}

/// The newest of them.
#[derive(Debug, Default)]
pub struct FinishedScans(Mutex<VecDeque<FinishedScan>>);

impl FinishedScans {
    /// Remembers what came of a scan; the oldest one is forgotten for it.
    pub fn note(&self, account: AccountId, outcome: Result<(u64, u64), String>) {
        let mut scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        scans.truncate(KEPT - 1);
        scans.push_front(FinishedScan { account, ended_at: now_unix_ms(), outcome });
    }

    /// Newest first.
    pub fn list(&self) -> Vec<FinishedScan> {
        let scans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        scans.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_scans_are_kept_in_front() {
        let scans = FinishedScans::default();
        for number in 0..KEPT + 3 {
            scans.note(AccountId::user(format!("u{number}").as_str()), Ok((1, 2)));
        }
        let list = scans.list();
        assert_eq!(list.len(), KEPT);
        assert_eq!(list[0].account, AccountId::user(format!("u{}", KEPT + 2).as_str()));
    }
}
