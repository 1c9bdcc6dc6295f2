//! What needs a person, and the facts it is told from. Each administrator gets what the
//! own rights show.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::model::timestamp::now_unix_ms;
use crate::model::{AdminPermission, User};
use crate::provider::{Page, UserQuery};
use crate::web::api::segment;
use crate::web::api::status::SshHostKey;
use crate::web::auth::Anything;
use crate::web::health;
use crate::web::pages::error::PageError;
use crate::web::pages::signed::{Signed, is_secure};
use crate::web::pages::text;

/// Problems of one kind that are told one by one; of more, how many.
const LISTED: usize = 3;
/// A quota is told of from here on.
const NEAR_FULL_PERCENT: u64 = 90;
/// A disk is told of from here on, and when it is bad.
const LOW_DISK_PERCENT: u64 = 10;
const BAD_DISK_PERCENT: u64 = 3;
/// An account that expires so soon is told of.
const SOON_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// RSA keys below are told of (NIST SP 800-57, 128 bits of security).
const GOOD_RSA_BITS: u32 = 3_072;

/// Something that needs a person, with what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub key: String,
    /// `warn` or `bad`.
    pub kind: &'static str,
    pub told: String,
    /// Below the pages of administrators.
    pub link: String,
    /// On the link; nothing if no page can help.
    pub action: &'static str,
}

/// A part of the server that runs.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceState {
    name: String,
    is_up: bool,
    told: String,
}

/// What the accounts come to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AccountFacts {
    pub users: u64,
    pub disabled: u64,
    /// Bytes that are counted as used.
    pub used: u64,
    #[serde(skip)]
    nearly_full: Vec<(String, u64, u64)>,
    #[serde(skip)]
    expiring: Vec<(String, i64)>,
}

/// How a host key is shown.
#[derive(Debug, Clone, Serialize)]
pub struct HostKeyFacts {
    kind: String,
    fingerprint: String,
    made_unix_ms: Option<i64>,
}

/// All that was found out.
#[derive(Debug, Default)]
pub struct Checkup {
    pub problems: Vec<Problem>,
    pub services: Vec<ServiceState>,
    pub host_keys: Vec<HostKeyFacts>,
    pub accounts: Option<AccountFacts>,
    pub ssh_port: Option<u16>,
}

/// Looks at everything that `by` may know of.
///
/// # Errors
/// When the data provider does not answer.
pub async fn checkup(by: &Signed<Anything>) -> Result<Checkup, PageError> {
    let mut found = Checkup::default();
    let is_for_all = by.admin.role().is_none();
    if is_for_all && by.admin.may(AdminPermission::ViewStatus) {
        look_at_services(by, &mut found).await;
        found.problems.extend(low_disk(&by.services().backups_path));
        let keys = by.services().facts.ssh().host_keys;
        found.problems.extend(keys.iter().filter_map(short_rsa_key));
        found.host_keys = keys.iter().map(host_key).collect();
        found.problems.extend(plain_http(by));
    }
    if by.admin.may(AdminPermission::ViewUsers) {
        let accounts = look_at_accounts(by).await?;
        found.problems.extend(full_quotas(&accounts));
        found.problems.extend(expiring(&accounts));
        found.accounts = Some(accounts);
    }
    let can_second_factor = !by.services().login.one_time().kinds().is_empty();
    if can_second_factor && !by.admin.filters().totp_config.enabled {
        found.problems.push(Problem {
            key: "problem second-factor".to_owned(),
            kind: "warn",
            told: "Your own account has no second factor: its password alone opens this server."
                .to_owned(),
            link: "/two-factor".to_owned(),
            action: "Set up",
        });
    }
    // The worst first; else as they were found.
    found.problems.sort_by_key(|problem| problem.kind != "bad");
    Ok(found)
}

async fn look_at_services(by: &Signed<Anything>, found: &mut Checkup) {
    let services = by.services();
    let ssh = services.facts.ssh();
    found.ssh_port = ssh.bindings.first().map(|binding| binding.port);
    let ports: Vec<String> = ssh.bindings.iter().map(|binding| binding.port.to_string()).collect();
    found.services.push(ServiceState {
        name: "SSH".to_owned(),
        is_up: ssh.is_active,
        told: if ssh.is_active { ports.join(", ") } else { "off".to_owned() },
    });
    found.services.push(ServiceState {
        name: "HTTP".to_owned(),
        is_up: true,
        told: by.binding.local.clone(),
    });
    let asked = Instant::now();
    let answer = health::store_answers(services).await;
    let took = asked.elapsed().as_millis().max(1);
    found.services.push(ServiceState {
        name: services.store.driver().to_owned(),
        is_up: answer.is_ok(),
        told: if answer.is_ok() { format!("{took} ms") } else { "no answer".to_owned() },
    });
    if let Err(cause) = answer {
        found.problems.push(Problem {
            key: "problem provider".to_owned(),
            kind: "bad",
            told: format!("The data provider does not answer, nobody can sign in: {cause}."),
            ..Problem::default()
        });
    }
}

async fn look_at_accounts(by: &Signed<Anything>) -> Result<AccountFacts, PageError> {
    let users = by.services().users_of(&by.admin);
    let mut facts = AccountFacts::default();
    let mut offset = 0;
    loop {
        let page = Page { offset, limit: Page::MAX_LIMIT, descending: false };
        let (part, _) = users.find(UserQuery::default(), page).await?;
        let now = now_unix_ms();
        part.iter().for_each(|user| facts.count(user, now));
        if part.len() < Page::MAX_LIMIT as usize {
            return Ok(facts);
        }
        offset += Page::MAX_LIMIT;
    }
}

impl AccountFacts {
    fn count(&mut self, user: &User, now_unix_ms: i64) {
        self.users += 1;
        let used = u64::try_from(user.used_quota_size).unwrap_or(0);
        self.used = self.used.saturating_add(used);
        if !user.is_enabled() {
            self.disabled += 1;
            return;
        }
        if let Some(limit) = user.size_limit() {
            let percent = u128::from(used) * 100 / u128::from(limit.max(1));
            let percent = u64::try_from(percent).unwrap_or(u64::MAX);
            if percent >= NEAR_FULL_PERCENT {
                self.nearly_full.push((user.username.clone(), percent, limit));
            }
        }
        let expires = user.expiration_date;
        if expires > now_unix_ms && expires - now_unix_ms <= SOON_MS {
            self.expiring.push((user.username.clone(), expires));
        }
    }
}

fn user_link(username: &str, tab: &str) -> String {
    format!("/users/{}{tab}", segment(username))
}

fn full_quotas(accounts: &AccountFacts) -> Vec<Problem> {
    let full = &accounts.nearly_full;
    let mut problems: Vec<Problem> = full
        .iter()
        .take(LISTED)
        .map(|(username, percent, limit)| Problem {
            key: format!("problem quota {username}"),
            kind: "warn",
            told: format!(
                "User {} has used {percent}% of {}.",
                text::visible(username),
                text::bytes(*limit)
            ),
            link: user_link(username, "?tab=limits"),
            action: "Raise quota",
        })
        .collect();
    if full.len() > LISTED {
        problems.push(Problem {
            key: "problem quota".to_owned(),
            kind: "warn",
            told: format!("{} more users have nearly used up their quota.", full.len() - LISTED),
            link: "/users".to_owned(),
            action: "Users",
        });
    }
    problems
}

fn expiring(accounts: &AccountFacts) -> Vec<Problem> {
    let soon = &accounts.expiring;
    let now = now_unix_ms();
    let mut problems: Vec<Problem> = soon
        .iter()
        .take(LISTED)
        .map(|(username, expires)| Problem {
            key: format!("problem expires {username}"),
            kind: "warn",
            told: format!(
                "User {} expires {}.",
                text::visible(username),
                text::relative(*expires, now)
            ),
            link: user_link(username, ""),
            action: "Look",
        })
        .collect();
    if soon.len() > LISTED {
        problems.push(Problem {
            key: "problem expires".to_owned(),
            kind: "warn",
            told: format!("{} more users expire within a week.", soon.len() - LISTED),
            link: "/users".to_owned(),
            action: "Users",
        });
    }
    problems
}

fn short_rsa_key(key: &SshHostKey) -> Option<Problem> {
    let bits = key.rsa_bits.filter(|bits| *bits < GOOD_RSA_BITS)?;
    Some(Problem {
        key: format!("problem key {}", key.fingerprint),
        kind: "warn",
        told: format!(
            "The RSA host key {} has {bits} bits; {GOOD_RSA_BITS} are the least for new keys. \
             Replacing it changes what clients know the server by.",
            text::visible(&key.path)
        ),
        ..Problem::default()
    })
}

fn host_key(key: &SshHostKey) -> HostKeyFacts {
    let kind = match (key.rsa_bits, key.algorithms.first()) {
        (Some(bits), _) => format!("RSA, {bits} bits"),
        (None, Some(name)) => name.clone(),
        (None, None) => "not offered".to_owned(),
    };
    HostKeyFacts { kind, fingerprint: key.fingerprint.clone(), made_unix_ms: key.made_unix_ms }
}

/// Passwords and sessions in the clear for who can listen on the network.
fn plain_http(by: &Signed<Anything>) -> Option<Problem> {
    let is_secure = is_secure(&by.request);
    is_reachable(&by.binding.local).filter(|_| !is_secure).map(|address| Problem {
        key: "problem http".to_owned(),
        kind: "warn",
        told: format!(
            "{address} takes passwords over plain HTTP. Give this binding a certificate, or \
             let it listen on a loopback address behind a proxy that has one."
        ),
        ..Problem::default()
    })
}

/// The address, if others than this machine can connect to it.
fn is_reachable(local: &str) -> Option<&str> {
    let address: std::net::SocketAddr = local.parse().ok()?;
    Some(local).filter(|_| !address.ip().to_canonical().is_loopback())
}

/// Whether the disk with the server's own data is nearly full.
fn low_disk(data: &Path) -> Option<Problem> {
    let folder = data.ancestors().find(|folder| folder.is_dir())?;
    let (free, total) = disk_room(folder)?;
    disk_problem(&folder.display().to_string(), free, total)
}

fn disk_problem(folder: &str, free: u64, total: u64) -> Option<Problem> {
    let percent = (u128::from(free) * 100).checked_div(u128::from(total))?;
    let percent = u64::try_from(percent).unwrap_or(100);
    (percent < LOW_DISK_PERCENT).then(|| Problem {
        key: "problem disk".to_owned(),
        kind: if percent < BAD_DISK_PERCENT { "bad" } else { "warn" },
        told: format!(
            "The disk with {folder} has {} left, {percent}%. Backups and the data provider \
             need room there.",
            text::bytes(free)
        ),
        ..Problem::default()
    })
}

/// Bytes that may still be written, and the size of the file system.
#[cfg(unix)]
fn disk_room(folder: &Path) -> Option<(u64, u64)> {
    let room = rustix::fs::statvfs(folder).ok()?;
    Some((room.f_bavail.saturating_mul(room.f_frsize), room.f_blocks.saturating_mul(room.f_frsize)))
}

#[cfg(not(unix))]
fn disk_room(_folder: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(username: &str, used: i64, limit: i64, expires: i64) -> User {
        User {
            username: username.to_owned(),
            status: 1,
            used_quota_size: used,
            quota_size: limit,
            expiration_date: expires,
            ..User::default()
        }
    }

    #[test]
    fn accounts_are_told_of_when_they_are_nearly_full_or_expire_soon() {
        let mut facts = AccountFacts::default();
        let day = 24 * 60 * 60 * 1_000;
        for user in [
            user("roomy", 89, 100, 0),
            user("full", 90, 100, 0),
            user("over", 150, 100, 0),
            user("unlimited", 1_000, 0, 0),
            user("soon", 0, 0, 1_000 * day + SOON_MS),
            user("later", 0, 0, 1_000 * day + SOON_MS + 1),
            user("over already", 0, 0, 5),
            User { status: 0, ..user("off", 100, 100, 1_000 * day + 1) },
        ] {
            facts.count(&user, 1_000 * day);
        }
        assert_eq!((facts.users, facts.disabled, facts.used), (8, 1, 1_429));
        let names: Vec<&str> = facts.nearly_full.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["full", "over"]);
        let names: Vec<&str> = facts.expiring.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["soon"]);
        assert_eq!(full_quotas(&facts)[0].told, "User full has used 90% of 100 B.");
    }

    #[test]
    fn many_problems_of_a_kind_are_counted_not_listed() {
        let nearly_full = (0..7).map(|number| (format!("user{number}"), 95, 100)).collect();
        let facts = AccountFacts { nearly_full, ..AccountFacts::default() };
        let problems = full_quotas(&facts);
        assert_eq!(problems.len(), LISTED + 1);
        assert_eq!(problems[LISTED].told, "4 more users have nearly used up their quota.");
    }

    #[test]
    fn a_disk_is_told_of_below_a_tenth() {
        for (free, total, kind) in [
            (10, 100, None),
            (9, 100, Some("warn")),
            (3, 100, Some("warn")),
            (2, 100, Some("bad")),
            (0, 0, None),
        ] {
            assert_eq!(disk_problem("/srv", free, total).map(|problem| problem.kind), kind);
        }
    }

    #[test]
    fn only_what_others_can_reach_is_reachable() {
        for (local, reachable) in [
            ("127.0.0.1:8080", false),
            ("[::1]:8080", false),
            ("0.0.0.0:8080", true),
            ("[::]:8080", true),
            ("192.0.2.1:8080", true),
            ("/run/sftpgo.sock", false),
        ] {
            assert_eq!(is_reachable(local).is_some(), reachable, "{local}");
        }
    }

    #[test]
    fn short_rsa_keys_are_told_of() {
        let key = |rsa_bits| SshHostKey { rsa_bits, ..SshHostKey::default() };
        assert!(short_rsa_key(&key(Some(2_048))).is_some());
        assert!(short_rsa_key(&key(Some(3_072))).is_none());
        assert!(short_rsa_key(&key(None)).is_none());
    }
}
