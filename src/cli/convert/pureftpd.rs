//! Virtual users of Pure-FTPd: eighteen fields, most of them optional.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use super::draft::{Draft, number, optional_number, text};
use super::records::{Record, records};
use super::{ConvertOptions, Problems, Source};
use crate::model::network;

/// Marks the directory above which a user cannot go.
const ROOT_MARK: &str = "/./";

/// The accounts of a file of virtual users.
pub fn users(options: &ConvertOptions, input: &Source, problems: &mut Problems) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for record in records(input, 18, problems) {
        match account(options, &record) {
            Ok(draft) => drafts.extend(draft),
            Err(problem) => problems.add(input, record.line, problem),
        }
    }
    drafts
}

fn account(options: &ConvertOptions, record: &Record<'_>) -> Result<Option<Draft>, String> {
    let username = text("account", record.field(0))?;
    if username.is_empty() {
        return Err("account: is empty".to_owned());
    }
    let uid: u32 = number("uid", record.field(2))?;
    let gid: u32 = number("gid", record.field(3))?;
    if !options.wants(username, uid) {
        return Ok(None);
    }
    let mut draft = Draft::new(record.line, username);
    draft.set_password(record.field(1));
    draft.user.uid = uid.into();
    draft.user.gid = gid.into();
    draft.set_description(record.field(4));
    set_home(&mut draft, text("home directory", record.field(5))?);
    draft.user.upload_bandwidth = kib_per_sec("upload bandwidth", record.field(6))?;
    draft.user.download_bandwidth = kib_per_sec("download bandwidth", record.field(7))?;
    for (name, index) in [("upload ratio", 8), ("download ratio", 9)] {
        if optional_number::<u64>(name, record.field(index))?.is_some_and(|ratio| ratio > 0) {
            draft.note(name, "there are no ratios here");
        }
    }
    draft.user.max_sessions =
        optional_number("number of connections", record.field(10))?.unwrap_or(0);
    draft.user.quota_files = quota(&mut draft, "files quota", record.field(11))?;
    draft.user.quota_size = quota(&mut draft, "size quota", record.field(12))?;
    for (name, index) in [("authorized local IPs", 13), ("refused local IPs", 14)] {
        if !record.field(index).trim_ascii().is_empty() {
            draft.disable(name, "an account cannot be tied to addresses of the server here");
        }
    }
    set_client_addresses(&mut draft, record)?;
    if !record.field(17).trim_ascii().is_empty() {
        draft.disable("time restrictions", "are not taken over");
    }
    Ok(Some(draft))
}

/// `/srv/ann/./` confines to `/srv/ann`; what follows the mark is where sessions start.
fn set_home(draft: &mut Draft, home: &str) {
    match home.split_once(ROOT_MARK) {
        Some((root, start)) => {
            let root = if root.is_empty() { "/" } else { root };
            root.clone_into(&mut draft.user.home_dir);
            if !start.trim_matches('/').is_empty() {
                draft.user.filters.start_directory = format!("/{start}");
            }
        }
        None => {
            home.clone_into(&mut draft.user.home_dir);
            if home != "/" {
                draft.note("home directory", "is not confined there; here nobody leaves it");
            }
        }
    }
}

/// The file has bytes per second. A limit below one KiB/s must not become none.
fn kib_per_sec(name: &str, field: &[u8]) -> Result<i64, String> {
    let bytes: u64 = optional_number(name, field)?.unwrap_or(0);
    i64::try_from(bytes.div_ceil(1024)).map_err(|_| format!("{name}: is too large"))
}

/// There an empty field is no limit and 0 one that nothing fits in; here 0 is no limit.
fn quota(draft: &mut Draft, name: &str, field: &[u8]) -> Result<i64, String> {
    match optional_number::<i64>(name, field)? {
        None => Ok(0),
        Some(0) => {
            draft.disable(name, "allows nothing there, and 0 is no limit here");
            Ok(0)
        }
        Some(limit) => Ok(limit),
    }
}

fn set_client_addresses(draft: &mut Draft, record: &Record<'_>) -> Result<(), String> {
    let (allowed_name, denied_name) = ("authorized client IPs", "refused client IPs");
    let (allowed, others) = networks(text(allowed_name, record.field(15))?);
    if !others.is_empty() {
        let shown = others.join(", ");
        if allowed.is_empty() {
            // Without the list everybody could come.
            draft.disable(allowed_name, format!("host names have no place here: {shown}"));
        } else {
            draft.note(allowed_name, format!("host names have no place here: {shown}"));
        }
    }
    let (denied, others) = networks(text(denied_name, record.field(16))?);
    if !others.is_empty() {
        let shown = others.join(", ");
        draft.disable(denied_name, format!("host names have no place here: {shown}"));
    }
    draft.user.filters.allowed_ip = allowed;
    draft.user.filters.denied_ip = denied;
    Ok(())
}

/// The networks of a list, and what is none.
fn networks(list: &str) -> (Vec<String>, Vec<&str>) {
    let (mut networks, mut others) = (Vec::new(), Vec::new());
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match network(entry) {
            Some(network) => networks.push(network.to_string()),
            None => others.push(entry),
        }
    }
    (networks, others)
}

/// `192.0.2.0/24`, `192.0.2.0/255.255.255.0` or `192.0.2.1`.
fn network(entry: &str) -> Option<IpNet> {
    if let Ok(network) = network::parse(entry) {
        return Some(network);
    }
    let (address, mask) = entry.split_once('/')?;
    let address: Ipv4Addr = address.trim().parse().ok()?;
    let network = Ipv4Net::with_netmask(address, mask.trim().parse().ok()?).ok()?;
    Some(network.trunc().into())
}
