//! Metadata as SFTP attributes and as the `ls -l` line of a listing.

use chrono::{DateTime, Datelike, Local, TimeDelta};

use super::packet::{Attributes, Name};
use crate::storage::{Entry, FileKind, Metadata};

const S_IFIFO: u32 = 0o010_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Attributes of `metadata` as version 3 carries them: times in 32-bit seconds.
pub fn attributes(metadata: &Metadata) -> Attributes {
    let kind = match metadata.kind {
        FileKind::File => S_IFREG,
        FileKind::Directory => S_IFDIR,
        FileKind::Symlink => S_IFLNK,
        FileKind::Other => S_IFIFO,
    };
    let time = |secs: i64| u32::try_from(secs.max(0)).unwrap_or(u32::MAX);
    Attributes {
        size: Some(metadata.size),
        owner: Some((metadata.uid, metadata.gid)),
        permissions: Some(kind | (metadata.mode & 0o7777)),
        times: Some((time(metadata.accessed.secs), time(metadata.modified.secs))),
    }
}

/// A listing's entry; `now` decides whether the line shows a time or a year.
pub fn name(entry: Entry, now: DateTime<Local>) -> Name {
    let long_name = long_name(&entry.name, &entry.metadata, now);
    Name { attributes: attributes(&entry.metadata), file_name: entry.name, long_name }
}

/// The line of `ls -l`, with numeric owners: account names of the machine are
/// nobody's business.
pub fn long_name(name: &[u8], metadata: &Metadata, now: DateTime<Local>) -> Vec<u8> {
    use std::io::Write;
    let mut line = Vec::with_capacity(64 + name.len());
    line.extend_from_slice(&mode_string(metadata));
    // Writing to a Vec cannot fail.
    let _ = write!(
        line,
        " {:>4} {:<8} {:<8} {:>8} ",
        metadata.links, metadata.uid, metadata.gid, metadata.size
    );
    match DateTime::from_timestamp(metadata.modified.secs, 0) {
        None => line.extend_from_slice(b"Jan  1  1970"),
        Some(time) => {
            let time = time.with_timezone(&Local);
            let age = now.signed_duration_since(time);
            let recent = age < TimeDelta::days(182) && age > TimeDelta::hours(-1);
            let format = if recent {
                "%b %e %H:%M"
            } else if time.year() > 9999 {
                "%b %e %Y"
            } else {
                "%b %e  %Y"
            };
            let _ = write!(line, "{}", time.format(format));
        }
    }
    line.push(b' ');
    line.extend_from_slice(name);
    line
}

fn mode_string(metadata: &Metadata) -> [u8; 10] {
    let kind = match metadata.kind {
        FileKind::File => b'-',
        FileKind::Directory => b'd',
        FileKind::Symlink => b'l',
        FileKind::Other => b'p',
    };
    let m = metadata.mode;
    let bit = |mask: u32, set: u8| if m & mask != 0 { set } else { b'-' };
    let execute = |mask: u32, special: u32, both: u8, alone: u8| match (m & mask, m & special) {
        (0, 0) => b'-',
        (_, 0) => b'x',
        (0, _) => alone,
        _ => both,
    };
    [
        kind,
        bit(0o400, b'r'),
        bit(0o200, b'w'),
        execute(0o100, 0o4000, b's', b'S'),
        bit(0o040, b'r'),
        bit(0o020, b'w'),
        execute(0o010, 0o2000, b's', b'S'),
        bit(0o004, b'r'),
        bit(0o002, b'w'),
        execute(0o001, 0o1000, b't', b'T'),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::FileTime;

    fn metadata(kind: FileKind, mode: u32, modified: i64) -> Metadata {
        let time = FileTime { secs: modified, nanos: 0 };
        Metadata {
            kind,
            size: 1234,
            mode,
            uid: 1000,
            gid: 100,
            links: 2,
            modified: time,
            accessed: time,
            id: None,
        }
    }

    #[test]
    fn modes_print_like_ls() {
        let table = [
            (FileKind::File, 0o644, "-rw-r--r--"),
            (FileKind::Directory, 0o1777, "drwxrwxrwt"),
            (FileKind::File, 0o4755, "-rwsr-xr-x"),
            (FileKind::File, 0o6644, "-rwSr-Sr--"),
            (FileKind::Symlink, 0o777, "lrwxrwxrwx"),
            (FileKind::Other, 0o000, "p---------"),
        ];
        for (kind, mode, want) in table {
            assert_eq!(mode_string(&metadata(kind, mode, 0)), want.as_bytes());
        }
    }

    #[test]
    fn recent_files_show_a_time_and_old_or_future_ones_a_year() {
        let now = Local::now();
        let line = |ago: i64| {
            let bytes =
                long_name(b"x", &metadata(FileKind::File, 0o644, now.timestamp() - ago), now);
            String::from_utf8(bytes).unwrap()
        };
        assert!(line(60).contains(':'), "{}", line(60));
        assert!(!line(400 * 86_400).contains(':'), "{}", line(400 * 86_400));
        assert!(!line(-86_400).contains(':'), "{}", line(-86_400));
        assert!(line(60).starts_with("-rw-r--r--    2 1000     100          1234 "));
    }

    #[test]
    fn times_outside_32_bits_are_clamped() {
        let old = attributes(&metadata(FileKind::File, 0o644, -5));
        assert_eq!(old.times, Some((0, 0)));
        let far = attributes(&metadata(FileKind::File, 0o644, 1 << 40));
        assert_eq!(far.times, Some((u32::MAX, u32::MAX)));
        assert_eq!(far.permissions, Some(0o100_644));
    }
}
