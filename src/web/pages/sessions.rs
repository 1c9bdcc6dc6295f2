//! Who has signed in to the web pages. A session lives here and nowhere else: the cookie
//! only names it, so that it can be ended from either side at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::Result;
use crate::model::timestamp::now_unix_secs;
use crate::web::request::token::{VALIDATION_ACCOUNT_UNCHANGED, VALIDATION_ANY_IP, fill_random};

/// A session ends this long after the sign-in, however active it is.
const LONGEST_SECS: u64 = 12 * 60 * 60;
/// How long somebody may take to type a one-time password.
const CODE_PATIENCE_SECS: u64 = 5 * 60;
/// Wrong one-time passwords after which the password is asked for again.
const CODE_TRIES: u32 = 5;
/// The most sessions of one account, and of all: the one that was idle longest goes.
const MOST_PER_ACCOUNT: usize = 32;
const MOST: usize = 4096;

/// How far somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The password was right, the one-time password is still to come.
    Code,
    SignedIn,
}

/// What a page says once, after the redirect that follows a form.
#[derive(Debug, Clone, Serialize)]
pub struct Notice {
    /// `info`, `ok`, `warn` or `bad`.
    pub kind: &'static str,
    pub text: String,
}

/// A session as its requests see it.
#[derive(Debug, Clone)]
pub struct Session {
    key: Key,
    pub username: String,
    /// To be repeated in every form.
    pub csrf: String,
    /// Seconds until it ends unless something is done.
    pub left_secs: u64,
}

/// A session as its owner sees it in a list.
#[derive(Debug, Clone, Serialize)]
pub struct SessionInfo {
    /// Names it without giving it away.
    pub id: String,
    pub ip: String,
    pub user_agent: String,
    pub since_unix_secs: u64,
    pub last_seen_unix_secs: u64,
    /// When it ends unless something is done.
    pub ends_unix_secs: u64,
    pub is_this: bool,
}

/// The digest of what the cookie has: whoever reads the memory cannot sign in with it.
type Key = [u8; 32];

struct Record {
    stage: Stage,
    username: String,
    csrf: String,
    ip: IpAddr,
    user_agent: String,
    account_updated_at: i64,
    began: u64,
    last_seen: u64,
    wrong_codes: u32,
    notice: Option<Notice>,
}

/// Who signs in, and from where.
#[derive(Debug)]
pub struct NewSession<'a> {
    pub stage: Stage,
    pub username: &'a str,
    /// The account's `updated_at`.
    pub account_updated_at: i64,
    pub ip: IpAddr,
    pub user_agent: &'a str,
}

/// All sessions.
pub struct Sessions {
    lifetime_secs: u64,
    validation: u32,
    records: Mutex<HashMap<Key, Record>>,
}

impl Sessions {
    /// A session ends after `lifetime_secs` without a request; `validation` has the bits
    /// of `token_validation`.
    pub fn new(lifetime_secs: u64, validation: u32) -> Self {
        Self { lifetime_secs, validation, records: Mutex::default() }
    }

    /// Begins a session; returns what its cookie has to say.
    pub fn begin(&self, new: &NewSession<'_>) -> Result<String> {
        self.begin_at(now_unix_secs(), new)
    }

    fn begin_at(&self, now: u64, new: &NewSession<'_>) -> Result<String> {
        let cookie = random_text()?;
        let record = Record {
            stage: new.stage,
            username: new.username.to_owned(),
            csrf: random_text()?,
            ip: new.ip.to_canonical(),
            user_agent: new.user_agent.chars().take(200).collect(),
            account_updated_at: new.account_updated_at,
            began: now,
            last_seen: now,
            wrong_codes: 0,
            notice: None,
        };
        let mut records = self.lock();
        records.retain(|_, record| self.left_secs(record, now) > 0);
        let of_account = records.values().filter(|record| record.username == new.username).count();
        if of_account >= MOST_PER_ACCOUNT {
            remove_idlest(&mut records, |record| record.username == new.username);
        }
        if records.len() >= MOST {
            remove_idlest(&mut records, |_| true);
        }
        records.insert(key_of(&cookie), record);
        Ok(cookie)
    }

    /// The session that `cookie` names, if it is alive, at this stage and used from where
    /// it began. `is_activity` says whether this is a sign of life of its owner.
    pub fn find(
        &self,
        cookie: &str,
        stage: Stage,
        ip: IpAddr,
        is_activity: bool,
    ) -> Option<Session> {
        self.find_at(now_unix_secs(), cookie, stage, ip, is_activity)
    }

    fn find_at(
        &self,
        now: u64,
        cookie: &str,
        stage: Stage,
        ip: IpAddr,
        is_activity: bool,
    ) -> Option<Session> {
        let key = key_of(cookie);
        let mut records = self.lock();
        let record = records.get_mut(&key)?;
        if self.left_secs(record, now) == 0 {
            records.remove(&key);
            return None;
        }
        let is_here = self.validation & VALIDATION_ANY_IP != 0 || record.ip == ip.to_canonical();
        if record.stage != stage || !is_here {
            return None;
        }
        if is_activity {
            record.last_seen = now;
        }
        Some(Session {
            key,
            username: record.username.clone(),
            csrf: record.csrf.clone(),
            left_secs: self.left_secs(record, now),
        })
    }

    /// Whether the session outlives a change of its account, which now says `updated_at`.
    pub fn survives(&self, session: &Session, updated_at: i64) -> bool {
        self.validation & VALIDATION_ACCOUNT_UNCHANGED == 0
            || self
                .lock()
                .get(&session.key)
                .is_some_and(|record| record.account_updated_at == updated_at)
    }

    /// Notes a wrong one-time password. After too many the session is gone; returns
    /// whether it is still there.
    pub fn code_was_wrong(&self, session: &Session) -> bool {
        let mut records = self.lock();
        let Some(record) = records.get_mut(&session.key) else { return false };
        record.wrong_codes += 1;
        if record.wrong_codes >= CODE_TRIES {
            records.remove(&session.key);
            return false;
        }
        true
    }

    pub fn end(&self, session: &Session) {
        self.lock().remove(&session.key);
    }

    /// Ends one session of the account; whether there was one.
    pub fn end_by_id(&self, username: &str, id: &str) -> bool {
        let mut records = self.lock();
        let before = records.len();
        records.retain(|key, record| record.username != username || shown_id(key) != id);
        records.len() < before
    }

    /// Ends all sessions of the account but `kept`.
    pub fn end_others(&self, username: &str, kept: Option<&Session>) {
        let kept = kept.map(|session| session.key);
        self.lock().retain(|key, record| record.username != username || Some(*key) == kept);
    }

    /// The sessions of the account that `session` is one of, the latest first.
    pub fn list(&self, session: &Session) -> Vec<SessionInfo> {
        self.listed(&session.username, Some(session.key))
    }

    /// The sessions of an account, the latest first.
    pub fn of_account(&self, username: &str) -> Vec<SessionInfo> {
        self.listed(username, None)
    }

    fn listed(&self, username: &str, this: Option<Key>) -> Vec<SessionInfo> {
        let now = now_unix_secs();
        let records = self.lock();
        let mut infos: Vec<SessionInfo> = records
            .iter()
            .filter(|(_, record)| {
                record.username == username
                    && record.stage == Stage::SignedIn
                    && self.left_secs(record, now) > 0
            })
            .map(|(key, record)| SessionInfo {
                id: shown_id(key),
                ip: record.ip.to_string(),
                user_agent: record.user_agent.clone(),
                since_unix_secs: record.began,
                last_seen_unix_secs: record.last_seen,
                ends_unix_secs: now + self.left_secs(record, now),
                is_this: Some(*key) == this,
            })
            .collect();
        infos.sort_by_key(|info| std::cmp::Reverse(info.last_seen_unix_secs));
        infos
    }

    /// Leaves a notice for the next page.
    pub fn leave_notice(&self, session: &Session, kind: &'static str, text: impl Into<String>) {
        if let Some(record) = self.lock().get_mut(&session.key) {
            record.notice = Some(Notice { kind, text: text.into() });
        }
    }

    pub fn take_notice(&self, session: &Session) -> Option<Notice> {
        self.lock().get_mut(&session.key)?.notice.take()
    }

    fn left_secs(&self, record: &Record, now: u64) -> u64 {
        let end = match record.stage {
            Stage::Code => record.began + CODE_PATIENCE_SECS,
            Stage::SignedIn => {
                (record.last_seen + self.lifetime_secs).min(record.began + LONGEST_SECS)
            }
        };
        end.saturating_sub(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Whether a form has the right token.
    pub fn accepts(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

fn remove_idlest(records: &mut HashMap<Key, Record>, of: impl Fn(&Record) -> bool) {
    let idlest = records
        .iter()
        .filter(|(_, record)| of(record))
        .min_by_key(|(_, record)| record.last_seen)
        .map(|(key, _)| *key);
    if let Some(key) = idlest {
        records.remove(&key);
    }
}

fn key_of(cookie: &str) -> Key {
    Sha256::digest(cookie.as_bytes()).into()
}

fn shown_id(key: &Key) -> String {
    hex::encode(&key[..8])
}

/// 256 random bits as text.
pub fn random_text() -> Result<String> {
    let mut bytes = [0; 32];
    fill_random(&mut bytes)?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const SIGNED_IN: Stage = Stage::SignedIn;

    fn new(username: &str) -> NewSession<'_> {
        NewSession {
            stage: SIGNED_IN,
            username,
            account_updated_at: 5,
            ip: HERE,
            user_agent: "browser",
        }
    }

    #[test]
    fn a_session_is_for_its_address_and_stage() {
        let sessions = Sessions::new(60, 0);
        let cookie = sessions.begin(&new("root")).expect("a session");
        let found = sessions.find(&cookie, SIGNED_IN, HERE, true).expect("found");
        assert_eq!(found.username, "root");
        assert!(sessions.find(&cookie, SIGNED_IN, THERE, true).is_none());
        assert!(sessions.find(&cookie, Stage::Code, HERE, true).is_none());
        assert!(sessions.find("another", SIGNED_IN, HERE, true).is_none());
        let anywhere = Sessions::new(60, VALIDATION_ANY_IP);
        let cookie = anywhere.begin(&new("root")).expect("a session");
        assert!(anywhere.find(&cookie, SIGNED_IN, THERE, true).is_some());
    }

    #[test]
    fn activity_prolongs_a_session_and_looking_on_does_not() {
        let sessions = Sessions::new(60, 0);
        let cookie = sessions.begin_at(0, &new("root")).expect("a session");
        let left = |now, is_activity| {
            let found = sessions.find_at(now, &cookie, SIGNED_IN, HERE, is_activity);
            found.map(|session| session.left_secs)
        };
        assert_eq!(left(50, false), Some(10));
        assert_eq!(left(55, true), Some(60));
        assert_eq!(left(114, false), Some(1));
        assert_eq!(left(115, true), None);
        assert_eq!(left(56, true), None, "it stays gone");
    }

    #[test]
    fn no_session_lasts_for_ever() {
        let sessions = Sessions::new(LONGEST_SECS, 0);
        let cookie = sessions.begin_at(0, &new("root")).expect("a session");
        let at = |now| sessions.find_at(now, &cookie, SIGNED_IN, HERE, true);
        assert_eq!(at(LONGEST_SECS - 1).map(|session| session.left_secs), Some(1));
        assert!(at(LONGEST_SECS).is_none());
    }

    #[test]
    fn guessing_codes_ends_the_attempt() {
        let sessions = Sessions::new(60, 0);
        let half = NewSession { stage: Stage::Code, ..new("root") };
        let cookie = sessions.begin(&half).expect("a session");
        let session = sessions.find(&cookie, Stage::Code, HERE, true).expect("found");
        for _ in 1..CODE_TRIES {
            assert!(sessions.code_was_wrong(&session));
        }
        assert!(!sessions.code_was_wrong(&session));
        assert!(sessions.find(&cookie, Stage::Code, HERE, true).is_none());
    }

    #[test]
    fn sessions_can_be_ended_one_by_one_and_all_others_at_once() {
        let sessions = Sessions::new(60, 0);
        let cookies: Vec<String> =
            (0..3).map(|_| sessions.begin(&new("root")).expect("a session")).collect();
        let foreign = sessions.begin(&new("other")).expect("a session");
        let find = |cookie: &str| sessions.find(cookie, SIGNED_IN, HERE, true);
        let mine = find(&cookies[0]).expect("found");
        let listed = sessions.list(&mine);
        assert_eq!(listed.len(), 3);
        assert_eq!(listed.iter().filter(|info| info.is_this).count(), 1);
        let other = listed.iter().find(|info| !info.is_this).expect("another");
        assert!(!sessions.end_by_id("other", &other.id), "not theirs to end");
        assert!(sessions.end_by_id("root", &other.id));
        assert_eq!(sessions.list(&mine).len(), 2);
        sessions.end_others("root", Some(&mine));
        assert_eq!(sessions.list(&mine).len(), 1);
        assert!(find(&cookies[0]).is_some() && find(&foreign).is_some());
        sessions.end(&mine);
        assert!(find(&cookies[0]).is_none());
    }

    #[test]
    fn an_account_cannot_fill_the_memory_with_sessions() {
        let sessions = Sessions::new(1_000, 0);
        let first = sessions.begin_at(0, &new("root")).expect("a session");
        for at in 0..MOST_PER_ACCOUNT as u64 {
            sessions.begin_at(1 + at, &new("root")).expect("a session");
        }
        assert!(sessions.find_at(99, &first, SIGNED_IN, HERE, true).is_none());
        assert_eq!(sessions.lock().len(), MOST_PER_ACCOUNT);
    }

    #[test]
    fn a_changed_account_ends_its_sessions_where_that_is_asked_for() {
        for (validation, survives) in [(0, true), (VALIDATION_ACCOUNT_UNCHANGED, false)] {
            let sessions = Sessions::new(60, validation);
            let cookie = sessions.begin(&new("root")).expect("a session");
            let session = sessions.find(&cookie, SIGNED_IN, HERE, true).expect("found");
            assert!(sessions.survives(&session, 5));
            assert_eq!(sessions.survives(&session, 6), survives);
        }
    }
}
