//! Dumps that somebody has uploaded and not decided about. They have password hashes, so
//! they stay in memory, few and not for long.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use actix_web::web::Bytes;

use crate::model::timestamp::now_unix_ms;

/// How many are kept, and for how long.
const MOST: usize = 4;
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// A dump that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub id: String,
    /// The administrator whose it is.
    by: String,
    /// What the file is called; may be anything.
    pub file_name: String,
    pub json: Bytes,
    at: i64,
}

/// All of them, newest first.
#[derive(Debug, Default)]
pub struct Uploads(Mutex<VecDeque<Waiting>>);

impl Uploads {
    /// Keeps a dump; returns its name. The oldest one gives way.
    pub fn keep(&self, by: &str, file_name: &str, json: Bytes) -> String {
        self.keep_at(now_unix_ms(), by, file_name, json)
    }

    fn keep_at(&self, at: i64, by: &str, file_name: &str, json: Bytes) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let file_name = file_name.chars().take(200).collect();
        let waiting = Waiting { id: id.clone(), by: by.to_owned(), file_name, json, at };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(MOST - 1);
        all.push_front(waiting);
        id
    }

    /// The dump of this name, if it is of this administrator.
    pub fn find(&self, by: &str, id: &str) -> Option<Waiting> {
        self.find_at(now_unix_ms(), by, id)
    }

    fn find_at(&self, now: i64, by: &str, id: &str) -> Option<Waiting> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|waiting| waiting.at + KEPT_MS > now);
        all.iter().find(|waiting| waiting.id == id && waiting.by == by).cloned()
    }

    /// Forgets one.
    pub fn forget(&self, id: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|waiting| waiting.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_kept_for_a_day_and_each_for_its_owner() {
        let uploads = Uploads::default();
        let keep = |at| uploads.keep_at(at, "root", "dump.json", Bytes::from_static(b"{}"));
        let first = keep(0);
        let found = |now, by, id: &str| uploads.find_at(now, by, id).is_some();
        assert!(found(1, "root", &first));
        assert!(!found(1, "other", &first));
        assert!(!found(KEPT_MS, "root", &first), "a day later");
        let ids: Vec<_> = (0..=MOST).map(|_| keep(5)).collect();
        assert!(!found(6, "root", &ids[0]), "it gave way");
        assert!(ids[1..].iter().all(|id| found(6, "root", id)));
        uploads.forget(&ids[1]);
        assert!(!found(6, "root", &ids[1]) && found(6, "root", &ids[2]));
    }
}
