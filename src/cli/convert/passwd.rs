//! passwd(5) with shadow(5), and ProFTPD's AuthUserFile, which is the same without.

use std::collections::BTreeMap;

use super::draft::{Draft, Stored, number, optional_number, read_password, text};
use super::records::{Record, records};
use super::{ConvertOptions, Problems, Source};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Days from which on the age of a password is no limit; what shadow(5) tools write
/// for "never".
const NO_MAXIMUM_AGE_DAYS: i64 = 99_999;

/// The accounts of an AuthUserFile.
pub fn proftpd(options: &ConvertOptions, input: &Source, problems: &mut Problems) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for record in records(input, 7, problems) {
        match account(options, &record) {
            Ok(None) => {}
            Ok(Some(mut draft)) => {
                draft.set_password(record.field(1));
                drafts.push(draft);
            }
            Err(problem) => problems.add(input, record.line, problem),
        }
    }
    drafts
}

/// The accounts of a Unix system.
pub fn unix(
    options: &ConvertOptions,
    input: &Source,
    shadow: Option<&Source>,
    problems: &mut Problems,
) -> Vec<Draft> {
    let records = records(input, 7, problems);
    let shadow_records =
        shadow.map_or(Vec::new(), |source| super::records::records(source, 9, problems));
    let mut by_name = BTreeMap::new();
    for record in &shadow_records {
        // The first one counts, as on Unix.
        by_name.entry(record.field(0)).or_insert(record);
    }
    let mut drafts = Vec::new();
    for record in records {
        let mut draft = match account(options, &record) {
            Ok(None) => continue,
            Ok(Some(draft)) => draft,
            Err(problem) => {
                problems.add(input, record.line, problem);
                continue;
            }
        };
        match (record.field(1), by_name.get(record.field(0)), shadow) {
            // The system looks into the shadow file only where this mark stands.
            (b"x", Some(kept), Some(source)) => {
                set_unix_password(options, &mut draft, kept.field(1));
                if let Err(problem) = set_ages(&mut draft, kept) {
                    problems.add(source, kept.line, problem);
                }
            }
            (b"x", None, Some(_)) => set_unix_password(options, &mut draft, b"*"),
            (b"x", _, None) => {
                let what = "the password is in a shadow file, name it with --shadow";
                problems.add(input, record.line, what);
            }
            (password, ..) => set_unix_password(options, &mut draft, password),
        }
        drafts.push(draft);
    }
    drafts
}

/// What both formats have in the same places; `None` for who is not wanted.
fn account(options: &ConvertOptions, record: &Record<'_>) -> Result<Option<Draft>, String> {
    let username = text("name", record.field(0))?;
    if username.is_empty() {
        return Err("name: is empty".to_owned());
    }
    let uid: u32 = number("uid", record.field(2))?;
    let gid: u32 = number("gid", record.field(3))?;
    if !options.wants(username, uid) {
        return Ok(None);
    }
    let mut draft = Draft::new(record.line, username);
    draft.user.uid = uid.into();
    draft.user.gid = gid.into();
    text("home", record.field(5))?.clone_into(&mut draft.user.home_dir);
    // Name, room, telephone numbers: only the first is of use here.
    let full_name = record.field(4).split(|byte| *byte == b',').next().unwrap_or_default();
    draft.set_description(full_name);
    Ok(Some(draft))
}

/// System accounts have no password at all; they are left out unless named.
fn set_unix_password(options: &ConvertOptions, draft: &mut Draft, password: &[u8]) {
    if read_password(password) == Stored::NeverMatches && !options.names(&draft.user.username) {
        draft.skipped = Some("it has no password; name it with --usernames to import it disabled");
        return;
    }
    draft.set_password(password);
}

/// What shadow(5) knows of the age of passwords and accounts.
fn set_ages(draft: &mut Draft, record: &Record<'_>) -> Result<(), String> {
    let days = |name, index| optional_number::<i64>(name, record.field(index));
    let in_ms = |days: i64| days.checked_mul(DAY_MS).ok_or("a day is too far away");
    match days("date of last password change", 2)? {
        Some(0) => {
            draft.note(
                "password",
                "must be changed at the next login there, which is not asked here",
            );
        }
        Some(day) if day > 0 => draft.user.last_password_change = in_ms(day)?,
        _ => {}
    }
    if let Some(age) = days("maximum password age", 4)?
        && (0..NO_MAXIMUM_AGE_DAYS).contains(&age)
    {
        draft.note("password", format!("expires after {age} days there, and never here"));
    }
    match days("account expiration date", 7)? {
        // 0 here means never; the first day of 1970 is as much in the past.
        Some(0) => draft.user.expiration_date = 1,
        Some(day) if day > 0 => draft.user.expiration_date = in_ms(day)?,
        _ => {}
    }
    Ok(())
}
