//! What needs a person, and the facts it is told from. Each administrator gets what the
//! own rights show.

use std::time::Instant;

use serde::Serialize;

use crate::model::AdminPermission;
use crate::model::timestamp::now_unix_ms;
use crate::web::facts::{SshHostKey, SshServiceStatus, WeakAlgorithm};
use crate::web::health;
use crate::web::listen::validity::CertificateState;
use crate::web::operations::accounts::{UserQuota, UsersSummary};
use crate::web::operations::disks::{DiskState, DiskStatus};
use crate::web::pages::error::PageError;
use crate::web::pages::signed::{Signed, is_secure};
use crate::web::pages::text;
use crate::web::request::auth::Anything;
use crate::web::services::Services;
use crate::web::url::segment;

/// Problems of one kind that are told one by one; of more, how many.
const LISTED: usize = 3;

/// Something that needs a person, with what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub key: String,
    /// `warn` or `bad`.
    pub kind: &'static str,
    pub told: String,
    /// How many it stands for, if it names none of them.
    pub others: u64,
    /// Below the pages of administrators.
    pub link: String,
    /// On the link; nothing if no page can help.
    pub action: &'static str,
}

impl Problem {
    /// How many things it is about.
    pub fn things(&self) -> u64 {
        self.others.max(1)
    }
}

/// A part of the server that runs.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceState {
    name: String,
    is_up: bool,
    told: String,
}

/// How a host key is shown.
#[derive(Debug, Clone, Serialize)]
pub struct HostKeyFacts {
    kind: String,
    fingerprint: String,
    modified_at: Option<i64>,
    /// Empty if nothing is known against it.
    weakness: &'static str,
}

/// How full a file system is.
#[derive(Debug, Clone, Serialize)]
pub struct DiskFacts {
    /// What is kept there.
    holds: String,
    total: u64,
    free: u64,
    used_percent: u64,
    kind: &'static str,
    error: String,
}

/// Who uses most storage.
#[derive(Debug, Clone, Serialize)]
pub struct LargestUser {
    username: String,
    used: u64,
    percent: Option<u64>,
}

/// All that was found out.
#[derive(Debug, Default)]
pub struct Checkup {
    pub problems: Vec<Problem>,
    /// `None` if the administrator may not see the server's state.
    pub services: Option<Vec<ServiceState>>,
    pub host_keys: Vec<HostKeyFacts>,
    pub disks: Vec<DiskFacts>,
    pub accounts: Option<UsersSummary>,
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
        look_at_disks(by.services(), &mut found).await;
        look_at_ssh(&by.services().facts.ssh(), &mut found);
        found.problems.extend(https_certificates(by.services()));
        found.problems.extend(plain_http(by));
    }
    if by.admin.may(AdminPermission::ViewUsers) {
        let accounts = by.services().users_summary(&by.admin).await?;
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
            ..Problem::default()
        });
    }
    // The worst first; else as they were found.
    found.problems.sort_by_key(|problem| problem.kind != "bad");
    Ok(found)
}

async fn look_at_services(by: &Signed<Anything>, found: &mut Checkup) {
    let services = by.services();
    let mut seen = Vec::new();
    let ssh = services.facts.ssh();
    found.ssh_port = ssh.bindings.first().map(|binding| binding.port);
    let ports: Vec<String> = ssh.bindings.iter().map(|binding| binding.port.to_string()).collect();
    seen.push(ServiceState {
        name: "SSH".to_owned(),
        is_up: ssh.is_active,
        told: if ssh.is_active { ports.join(", ") } else { "off".to_owned() },
    });
    let web = services.http_status(false).bindings;
    // A Unix socket has a path instead.
    let doors = web.into_iter().map(|binding| match binding.port {
        0 => binding.address,
        port => port.to_string(),
    });
    seen.push(ServiceState {
        name: "HTTP".to_owned(),
        is_up: true,
        told: doors.collect::<Vec<_>>().join(", "),
    });
    let asked = Instant::now();
    let answer = health::store_answers(services).await;
    let took = asked.elapsed().as_millis().max(1);
    seen.push(ServiceState {
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
    found.services = Some(seen);
}

async fn look_at_disks(services: &Services, found: &mut Checkup) {
    let disks = services.disks.look().await;
    found.problems.extend(disks.iter().filter_map(disk_problem));
    found.disks = disks.iter().map(disk_facts).collect();
}

fn look_at_ssh(ssh: &SshServiceStatus, found: &mut Checkup) {
    found.problems.extend(ssh.host_keys.iter().filter_map(weak_key));
    found.problems.extend(broken_algorithms(&ssh.weak_algorithms));
    for certificate in &ssh.host_certificates {
        let what = format!("The host certificate {}", text::visible(&certificate.path));
        let key = format!("problem certificate {}", certificate.path);
        found.problems.extend(ending(key, &what, certificate.state, certificate.valid_until));
    }
    found.host_keys = ssh.host_keys.iter().map(host_key).collect();
}

fn https_certificates(services: &Services) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for of_telemetry in [false, true] {
        for binding in services.http_status(of_telemetry).bindings {
            let Some(certificate) = binding.certificate else { continue };
            let what = format!("The HTTPS certificate {}", text::visible(&certificate.path));
            let key = format!("problem certificate {}", certificate.path);
            // Bindings may share one.
            if problems.iter().all(|problem| problem.key != key) {
                let until = certificate.valid_until;
                problems.extend(ending(key, &what, certificate.state, until));
            }
        }
    }
    problems
}

/// What there is to be told of the end of a certificate.
fn ending(key: String, what: &str, state: CertificateState, until: Option<i64>) -> Option<Problem> {
    let when = text::relative(until.unwrap_or_default(), now_unix_ms());
    let (kind, told) = match state {
        CertificateState::Ok => return None,
        CertificateState::ExpiresSoon => ("warn", format!("{what} expires {when}.")),
        CertificateState::ExpiresVerySoon => ("bad", format!("{what} expires {when}.")),
        CertificateState::Expired => ("bad", format!("{what} expired {when}: clients refuse it.")),
        CertificateState::NotYetValid => ("bad", format!("{what} is not valid yet.")),
        CertificateState::Unknown => ("warn", format!("{what}: its end cannot be read.")),
    };
    let link = "/status".to_owned();
    Some(Problem { key, kind, told, link, action: "Status", ..Problem::default() })
}

fn user_link(username: &str, tab: &str) -> String {
    format!("/users/{}{tab}", segment(username))
}

fn full_quotas(accounts: &UsersSummary) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        accounts.nearly_full.iter().take(LISTED).map(full_quota).collect();
    let others = accounts.near_quota.saturating_sub(problems.len() as u64);
    if others > 0 {
        let told = match others {
            1 => "1 more user has nearly used up the quota.".to_owned(),
            _ => format!("{} more users have nearly used up their quota.", text::count(others)),
        };
        problems.push(Problem {
            key: "problem quota".to_owned(),
            // The fullest come first, so the next one tells whether any of the rest is full.
            kind: accounts.nearly_full.get(problems.len()).map_or("warn", quota_kind),
            told,
            others,
            link: "/users?status=quota".to_owned(),
            action: "Users",
        });
    }
    problems
}

/// A quota that is used up keeps its user from working.
fn quota_kind(quota: &UserQuota) -> &'static str {
    match quota.fullness() {
        Some(full) if full.percent >= 100 => "bad",
        _ => "warn",
    }
}

fn full_quota(quota: &UserQuota) -> Problem {
    let at_least_0 = |value: i64| u64::try_from(value).unwrap_or(0);
    let full = quota.fullness();
    let limit = match full.is_some_and(|full| full.is_by_files) {
        true => text::plural(at_least_0(quota.quota_files), "file", "files"),
        false => text::bytes(at_least_0(quota.quota_size)),
    };
    Problem {
        key: format!("problem quota {}", quota.username),
        kind: quota_kind(quota),
        told: format!(
            "User {} has used {}% of {limit}.",
            text::visible(&quota.username),
            full.map_or(0, |full| full.percent)
        ),
        link: user_link(&quota.username, "?tab=limits"),
        action: "Raise quota",
        ..Problem::default()
    }
}

fn expiring(accounts: &UsersSummary) -> Vec<Problem> {
    let now = now_unix_ms();
    let soon = accounts.expiring_next.iter().take(LISTED).map(|user| Problem {
        key: format!("problem expires {}", user.username),
        kind: "warn",
        told: format!(
            "User {} expires {}.",
            text::visible(&user.username),
            text::relative(user.expiration_date, now)
        ),
        link: user_link(&user.username, ""),
        action: "Look",
        ..Problem::default()
    });
    let mut problems: Vec<Problem> = soon.collect();
    let others = accounts.expiring.saturating_sub(problems.len() as u64);
    if others > 0 {
        let told = match others {
            1 => "1 more user expires within a week.".to_owned(),
            _ => format!("{} more users expire within a week.", text::count(others)),
        };
        problems.push(Problem {
            key: "problem expires".to_owned(),
            kind: "warn",
            told,
            others,
            link: "/users?status=expiring".to_owned(),
            action: "Users",
        });
    }
    problems
}

fn weak_key(key: &SshHostKey) -> Option<Problem> {
    let weakness = key.weakness.as_ref()?;
    let kind = kind_of(key);
    Some(Problem {
        key: format!("problem key {}", key.fingerprint),
        // Never "bad": nothing has failed, and changing it needs a plan.
        kind: "warn",
        told: format!(
            "The host key {} ({kind}) is {}: {}. Replacing it changes what clients know the \
             server by.",
            text::visible(&key.path),
            weakness.grade,
            weakness.reason
        ),
        link: "/status".to_owned(),
        action: "Status",
        ..Problem::default()
    })
}

/// Those that are merely weak are for old clients, and stand on the page of the status;
/// of host keys it was told.
fn broken_algorithms(weak: &[WeakAlgorithm]) -> Option<Problem> {
    let broken = weak.iter().filter(|one| one.weakness.grade == "broken");
    let names: Vec<&str> =
        broken.filter(|one| one.purpose != "host_key").map(|one| one.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    Some(Problem {
        key: "problem algorithms".to_owned(),
        kind: "warn",
        told: format!(
            "SSH offers what is broken: {}. Take it out of the configuration, unless an old \
             client needs it.",
            names.join(", ")
        ),
        link: "/status#algorithms".to_owned(),
        action: "Status",
        ..Problem::default()
    })
}

/// Type and size of a host key.
fn kind_of(key: &SshHostKey) -> String {
    match (key.rsa_bits, key.algorithms.first()) {
        (Some(bits), _) => format!("RSA, {bits} bits"),
        (None, Some(name)) => key_type(name).to_owned(),
        (None, None) => "not offered".to_owned(),
    }
}

/// The type of a key by the algorithm that signs with it.
pub fn key_type(algorithm: &str) -> &str {
    match algorithm {
        "ssh-ed25519" => "Ed25519",
        "ecdsa-sha2-nistp256" => "ECDSA, P-256",
        "ecdsa-sha2-nistp384" => "ECDSA, P-384",
        "ecdsa-sha2-nistp521" => "ECDSA, P-521",
        other => other,
    }
}

fn host_key(key: &SshHostKey) -> HostKeyFacts {
    HostKeyFacts {
        kind: kind_of(key),
        fingerprint: key.fingerprint.clone(),
        modified_at: key.modified_at,
        weakness: key.weakness.as_ref().map_or("", |weakness| weakness.grade),
    }
}

impl Checkup {
    pub fn has_looked_at_server(&self) -> bool {
        self.services.is_some()
    }

    /// Who uses most storage.
    pub fn largest(&self) -> Vec<LargestUser> {
        let largest = self.accounts.iter().flat_map(|accounts| &accounts.largest);
        largest
            .map(|quota| LargestUser {
                username: quota.username.clone(),
                used: u64::try_from(quota.used_quota_size).unwrap_or(0),
                percent: quota.fullness().map(|full| full.percent),
            })
            .collect()
    }
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

/// What is kept in a place, by the setting that names it.
pub fn held(setting: &str) -> &str {
    match setting {
        "data_provider.users_base_dir" => "users' files",
        "data_provider.name" => "data provider",
        "data_provider.backups_path" => "backups",
        "common.temp_path" => "uploads in progress",
        "log-file-path" => "log",
        other => other,
    }
}

fn holds(disk: &DiskStatus) -> String {
    let held: Vec<&str> = disk.places.iter().map(|place| held(&place.setting)).collect();
    held.join(", ")
}

fn disk_facts(disk: &DiskStatus) -> DiskFacts {
    DiskFacts {
        holds: holds(disk),
        total: disk.total,
        free: disk.free,
        used_percent: 100 - disk.free_percent().min(100),
        kind: disk_kind(disk.state),
        error: disk.error.clone(),
    }
}

/// How a state of a disk looks.
pub fn disk_kind(state: DiskState) -> &'static str {
    match state {
        DiskState::Ok => "",
        DiskState::Low => "warn",
        DiskState::VeryLow => "bad",
        DiskState::Unknown => "off",
    }
}

fn disk_problem(disk: &DiskStatus) -> Option<Problem> {
    let path = disk.places.first().map_or("", |place| place.path.as_str());
    let what = format!("The disk with {} ({})", text::visible(path), holds(disk));
    let told = match disk.state {
        DiskState::Ok => return None,
        DiskState::Unknown => format!("{what}: {}.", disk.error),
        DiskState::Low | DiskState::VeryLow => {
            format!("{what} has {} left, {}%.", text::bytes(disk.free), disk.free_percent())
        }
    };
    Some(Problem {
        key: format!("problem disk {path}"),
        kind: if disk.state == DiskState::VeryLow { "bad" } else { "warn" },
        told,
        link: "/status#disks".to_owned(),
        action: "Status",
        ..Problem::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(username: &str, used: (i64, i64), limits: (i64, i64)) -> UserQuota {
        UserQuota {
            username: username.to_owned(),
            quota_size: limits.0,
            quota_files: limits.1,
            used_quota_size: used.0,
            used_quota_files: used.1,
        }
    }

    #[test]
    fn full_quotas_are_told_with_what_is_full() {
        for (quota, told) in [
            (quota("a", (95, 0), (100, 0)), "User a has used 95% of 100 B."),
            (quota("b", (95, 4), (100, 4)), "User b has used 100% of 4 files."),
            (quota("c", (0, 1), (100, 1)), "User c has used 100% of 1 file."),
            (quota("d\u{202e}", (95, 0), (100, 0)), "User d⟨U+202E⟩ has used 95% of 100 B."),
        ] {
            assert_eq!(full_quota(&quota).told, told);
        }
    }

    #[test]
    fn who_has_no_room_left_is_worse_off_than_who_soon_has_none() {
        for (used, kind) in [(99, "warn"), (100, "bad"), (101, "bad")] {
            assert_eq!(full_quota(&quota("a", (used, 0), (100, 0))).kind, kind, "{used}");
        }
        let summary = |fourth| UsersSummary {
            near_quota: 9,
            nearly_full: [200, 100, 100, fourth, 90]
                .map(|used| quota("a", (used, 0), (100, 0)))
                .into(),
            ..UsersSummary::default()
        };
        for (fourth, kind) in [(99, "warn"), (100, "bad")] {
            let problems = full_quotas(&summary(fourth));
            let others = problems.last().expect("a problem");
            assert_eq!((others.kind, others.things()), (kind, 6));
        }
    }

    #[test]
    fn many_problems_of_a_kind_are_counted_not_listed() {
        let summary = |near_quota: u64| UsersSummary {
            near_quota,
            nearly_full: (0..near_quota.min(5))
                .map(|number| quota(&format!("user{number}"), (95, 0), (100, 0)))
                .collect(),
            ..UsersSummary::default()
        };
        for (users, problems, last) in [
            (0, 0, None),
            (3, 3, Some("User user2 has used 95% of 100 B.")),
            (4, 4, Some("1 more user has nearly used up the quota.")),
            (1_203, 4, Some("1,200 more users have nearly used up their quota.")),
        ] {
            let found = full_quotas(&summary(users));
            assert_eq!(found.len(), problems);
            assert_eq!(found.last().map(|problem| problem.told.as_str()), last);
        }
    }

    #[test]
    fn a_disk_is_told_of_when_it_is_nearly_full_or_silent() {
        let disk = |state, free| DiskStatus {
            places: vec![crate::web::operations::disks::DiskPlace {
                setting: "log-file-path".to_owned(),
                path: "/srv".to_owned(),
            }],
            total: 1_000,
            free,
            state,
            error: "no answer".to_owned(),
        };
        let told = |state, free| disk_problem(&disk(state, free)).map(|p| (p.kind, p.told));
        assert_eq!(told(DiskState::Ok, 500), None);
        for (state, kind, want) in [
            (DiskState::Low, "warn", "The disk with /srv (log) has 40 B left, 4%."),
            (DiskState::VeryLow, "bad", "The disk with /srv (log) has 40 B left, 4%."),
            (DiskState::Unknown, "warn", "The disk with /srv (log): no answer."),
        ] {
            assert_eq!(told(state, 40), Some((kind, want.to_owned())));
        }
    }

    #[test]
    fn certificates_are_told_of_before_they_end() {
        let day = 24 * 60 * 60 * 1_000;
        let told = |state, days: i64| {
            let until = now_unix_ms() + days * day + 60_000;
            ending(String::new(), "It", state, Some(until)).map(|p| (p.kind, p.told))
        };
        assert_eq!(told(CertificateState::Ok, 90), None);
        for (state, days, kind, want) in [
            (CertificateState::ExpiresSoon, 20, "warn", "It expires in 20 days."),
            (CertificateState::ExpiresVerySoon, 3, "bad", "It expires in 3 days."),
            (CertificateState::Expired, -3, "bad", "It expired 2 days ago: clients refuse it."),
        ] {
            assert_eq!(told(state, days), Some((kind, want.to_owned())));
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
    fn weak_keys_and_broken_algorithms_are_told_of() {
        let weakness = |grade| crate::web::facts::Weakness { grade, reason: "it is" };
        let key = |weakness| SshHostKey { weakness, ..SshHostKey::default() };
        assert_eq!(weak_key(&key(None)), None);
        for grade in ["weak", "broken"] {
            let told = weak_key(&key(Some(weakness(grade)))).expect("a problem").told;
            assert!(told.contains(&format!("is {grade}: it is.")), "{told}");
        }
        let algorithm = |purpose, name: &str, grade| WeakAlgorithm {
            purpose,
            name: name.to_owned(),
            weakness: weakness(grade),
        };
        let only_weak = [algorithm("mac", "a", "weak"), algorithm("host_key", "b", "broken")];
        assert_eq!(broken_algorithms(&only_weak), None);
        let broken = [algorithm("mac", "c", "broken"), algorithm("kex", "d", "broken")];
        let told = broken_algorithms(&broken).expect("a problem").told;
        assert!(told.contains("broken: c, d."), "{told}");
    }
}
