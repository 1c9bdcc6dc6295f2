//! The rotated log file.
//!
//! `sftpgo.log` becomes `sftpgo-2026-01-02T15-04-05.000.log` when the next line
//! would make it too large, or on demand. A second thread then deletes backups
//! that are too many or too old and compresses the others, so that writing never
//! waits for gzip.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::timestamp::Zone;
use crate::error::{Error, Result};

const NAME_TIME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.3f";

/// When to rotate and what to keep.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
    /// 0: any number.
    pub(super) max_backups: usize,
    /// 0: any age.
    pub(super) max_age_days: u32,
    pub(super) compress: bool,
    pub(super) zone: Zone,
}

/// The current file and the thread that looks after the old ones.
#[derive(Debug)]
pub(super) struct RotatingFile {
    limits: Limits,
    file: File,
    size: u64,
    housekeeper: Housekeeper,
}

impl RotatingFile {
    /// Opens or creates the file, and its directory if missing.
    pub(super) fn open(limits: Limits) -> Result<Self> {
        let shown = limits.path.display().to_string();
        if limits.path.file_name().is_none() {
            return Err(Error::invalid(format!("log file path {shown:?} names no file")));
        }
        if let Some(directory) = limits.path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(|error| {
                Error::from_io(format!("creating the directory of log file {shown}"), error)
            })?;
        }
        let failed = |error| Error::from_io(format!("opening log file {shown}"), error);
        let file = open_append(&limits.path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let housekeeper = Housekeeper::start(limits.clone()).map_err(failed)?;
        // Backups may be waiting from the last run.
        housekeeper.wake();
        Ok(Self { limits, file, size, housekeeper })
    }

    /// Writes whole lines; rotates between them, never within one.
    pub(super) fn write_lines(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let room = self.limits.max_bytes.saturating_sub(self.size);
            let fitting = whole_lines_within(lines, usize::try_from(room).unwrap_or(usize::MAX));
            let (now, later) = if fitting > 0 {
                lines.split_at(fitting)
            } else if self.size > 0 {
                self.rotate()?;
                continue;
            } else {
                // One line larger than a whole file stands alone in its own.
                lines.split_at(first_line(lines))
            };
            if let Err(error) = self.file.write_all(now) {
                self.cut_unfinished_line();
                return Err(error);
            }
            self.size = self.size.saturating_add(now.len() as u64);
            lines = later;
        }
        Ok(())
    }

    /// After a failed write (disk full): the next line must not continue half a one.
    fn cut_unfinished_line(&self) {
        if self.file.metadata().is_ok_and(|now| now.len() > self.size) {
            let _ = self.file.set_len(self.size);
        }
    }

    /// Starts a new file. If the current one is no longer at its path, somebody
    /// else (logrotate) has moved it, and only a new one is opened.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        if is_at(&self.file, &self.limits.path) {
            fs::rename(&self.limits.path, self.free_backup_path()?)?;
        }
        self.file = open_append(&self.limits.path)?;
        self.size = self.file.metadata()?.len();
        self.housekeeper.wake();
        Ok(())
    }

    fn free_backup_path(&self) -> io::Result<PathBuf> {
        let mut time = self.limits.zone.now();
        for _ in 0..1000 {
            let path = backup_path(&self.limits.path, time);
            if !path.exists() && !compressed_path(&path).exists() {
                return Ok(path);
            }
            time += TimeDelta::milliseconds(1);
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no free name for the rotated log file"))
    }
}

impl Drop for RotatingFile {
    fn drop(&mut self) {
        self.housekeeper.stop();
    }
}

fn open_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Is this open file still what the path names?
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// The length of the longest run of whole lines that is not longer than `room`.
fn whole_lines_within(lines: &[u8], room: usize) -> usize {
    if lines.len() <= room {
        return lines.len();
    }
    lines.get(..room).and_then(|part| part.iter().rposition(|b| *b == b'\n')).map_or(0, |at| at + 1)
}

fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|b| *b == b'\n').map_or(lines.len(), |at| at + 1)
}

/// `dir/sftpgo.log` -> `dir/sftpgo-<time>.log`.
fn backup_path(path: &Path, time: NaiveDateTime) -> PathBuf {
    let mut name = prefix(path);
    name.push(time.format(NAME_TIME_FORMAT).to_string());
    name.push(extension(path));
    path.with_file_name(name)
}

fn prefix(path: &Path) -> OsString {
    let mut prefix = path.file_stem().unwrap_or_default().to_owned();
    prefix.push("-");
    prefix
}

/// With its dot; empty if there is none.
fn extension(path: &Path) -> OsString {
    let mut out = OsString::new();
    if let Some(extension) = path.extension() {
        out.push(".");
        out.push(extension);
    }
    out
}

fn compressed_path(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}

/// A rotated file and the time in its name.
#[derive(Debug, PartialEq, Eq)]
struct Backup {
    path: PathBuf,
    time: NaiveDateTime,
    is_compressed: bool,
}

/// All rotated files of this log, newest first. Other files are none of our business.
fn backups(path: &Path) -> io::Result<Vec<Backup>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (prefix, extension) = (prefix(path), extension(path));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes()) else {
            continue;
        };
        let (rest, is_compressed) =
            rest.strip_suffix(b".gz").map_or((rest, false), |rest| (rest, true));
        let time = rest
            .strip_suffix(extension.as_encoded_bytes())
            .and_then(|time| std::str::from_utf8(time).ok())
            .and_then(|time| NaiveDateTime::parse_from_str(time, NAME_TIME_FORMAT).ok());
        if let Some(time) = time {
            found.push(Backup { path: entry.path(), time, is_compressed });
        }
    }
    found.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.path.cmp(&b.path)));
    Ok(found)
}

/// Deletes what is too much or too old, then compresses the rest if wanted.
fn keep_house(limits: &Limits, now: DateTime<Utc>) -> io::Result<()> {
    let oldest = match limits.max_age_days {
        0 => None,
        days => now.checked_sub_signed(TimeDelta::days(days.into())),
    };
    let mut result = Ok(());
    for (index, backup) in backups(&limits.path)?.into_iter().enumerate() {
        let is_too_many = limits.max_backups > 0 && index >= limits.max_backups;
        let is_too_old = match (oldest, limits.zone.to_utc(backup.time)) {
            (Some(oldest), Some(time)) => time < oldest,
            _ => false,
        };
        let step = if is_too_many || is_too_old {
            fs::remove_file(&backup.path)
        } else if limits.compress && !backup.is_compressed {
            compress(&backup.path)
        } else {
            Ok(())
        };
        result = result.and(step);
    }
    result
}

/// Replaces the file by its compressed form. A crash leaves the original, and the
/// next round starts over.
fn compress(path: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let target = compressed_path(path);
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let written = (|| {
        let file = File::create(&unfinished)?;
        file.set_permissions(source.metadata()?.permissions())?;
        let mut encoder = GzEncoder::new(file, Compression::default());
        io::copy(&mut source, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&unfinished, &target)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
        return written;
    }
    fs::remove_file(path)
}

/// The thread that keeps house after each rotation.
#[derive(Debug)]
struct Housekeeper {
    /// `None` once stopped.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeper {
    fn start(limits: Limits) -> io::Result<Self> {
        // One pending wake-up stands for any number: each round looks at everything.
        let (wake, wakes): (SyncSender<()>, Receiver<()>) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("sftpgo-log-old".to_owned()).spawn(move || {
                while wakes.recv().is_ok() {
                    if let Err(error) = keep_house(&limits, Utc::now()) {
                        let shown = limits.path.display();
                        let _ = writeln!(
                            io::stderr(),
                            "sftpgo: cannot tidy the rotated files of log {shown}: {error}"
                        );
                    }
                }
            })?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }

    fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use chrono::NaiveDate;
    use flate2::read::GzDecoder;
    use tempfile::TempDir;

    use super::*;

    fn limits(dir: &TempDir) -> Limits {
        Limits {
            path: dir.path().join("logs/sftpgo.log"),
            max_bytes: 20,
            max_backups: 0,
            max_age_days: 0,
            compress: false,
            zone: Zone::Utc,
        }
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn put(path: &Path, name: &str, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_file_name(name), text).unwrap();
    }

    #[test]
    fn files_are_cut_between_lines_and_no_line_is_lost() {
        let dir = TempDir::new().unwrap();
        let limits = limits(&dir);
        let mut log = RotatingFile::open(limits.clone()).unwrap();
        let mut expected = String::new();
        for n in 0..40 {
            let lines = format!("line {n}\nanother one {n}\n");
            log.write_lines(lines.as_bytes()).unwrap();
            expected.push_str(&lines);
        }
        log.write_lines(b"a line that is longer than a whole file may be\n").unwrap();
        expected.push_str("a line that is longer than a whole file may be\n");
        drop(log);

        let mut all = String::new();
        let mut files: Vec<PathBuf> =
            backups(&limits.path).unwrap().into_iter().rev().map(|b| b.path).collect();
        assert!(files.len() > 20);
        files.push(limits.path.clone());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.ends_with('\n'), "{file:?} ends within a line");
            assert!(text.len() <= 20 || text.lines().count() == 1, "{file:?} is too large");
            all.push_str(&text);
        }
        assert_eq!(all, expected);
    }

    #[test]
    fn an_existing_file_is_continued_and_its_size_counts() {
        let dir = TempDir::new().unwrap();
        let limits = limits(&dir);
        put(&limits.path, "sftpgo.log", "from before, 18 b\n");
        let mut log = RotatingFile::open(limits.clone()).unwrap();
        log.write_lines(b"12\n").unwrap();
        drop(log);
        assert_eq!(fs::read_to_string(&limits.path).unwrap(), "12\n");
        assert_eq!(backups(&limits.path).unwrap().len(), 1);
    }

    #[test]
    fn a_file_moved_away_by_somebody_else_is_opened_anew() {
        let dir = TempDir::new().unwrap();
        let limits = limits(&dir);
        let mut log = RotatingFile::open(limits.clone()).unwrap();
        log.write_lines(b"old\n").unwrap();
        fs::rename(&limits.path, limits.path.with_file_name("moved")).unwrap();
        log.rotate().unwrap();
        log.write_lines(b"new\n").unwrap();
        drop(log);
        assert_eq!(fs::read_to_string(&limits.path).unwrap(), "new\n");
        assert_eq!(names(&limits.path), ["moved", "sftpgo.log"]);
    }

    #[test]
    fn only_the_newest_backups_within_count_and_age_stay_and_are_compressed() {
        let dir = TempDir::new().unwrap();
        let limits = Limits { max_backups: 3, max_age_days: 10, compress: true, ..limits(&dir) };
        for (name, text) in [
            ("sftpgo-2026-01-01T00-00-00.000.log", "too old"),
            ("sftpgo-2026-01-15T00-00-00.000.log.gz", "too many"),
            ("sftpgo-2026-01-16T00-00-00.000.log.gz", "compressed before"),
            ("sftpgo-2026-01-17T00-00-00.000.log", "third"),
            ("sftpgo-2026-01-18T00-00-00.000.log", "second"),
            ("sftpgo-notes.log", "not ours"),
            ("other-2026-01-01T00-00-00.000.log", "not ours"),
            ("sftpgo.log", "current"),
        ] {
            put(&limits.path, name, text);
        }
        let now = NaiveDate::from_ymd_opt(2026, 1, 19).unwrap().and_hms_opt(0, 0, 0).unwrap();
        keep_house(&limits, now.and_utc()).unwrap();
        assert_eq!(
            names(&limits.path),
            [
                "other-2026-01-01T00-00-00.000.log",
                "sftpgo-2026-01-16T00-00-00.000.log.gz",
                "sftpgo-2026-01-17T00-00-00.000.log.gz",
                "sftpgo-2026-01-18T00-00-00.000.log.gz",
                "sftpgo-notes.log",
                "sftpgo.log",
            ]
        );
        let packed =
            File::open(limits.path.with_file_name("sftpgo-2026-01-18T00-00-00.000.log.gz"))
                .unwrap();
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).unwrap();
        assert_eq!(text, "second");
    }

    #[test]
    fn age_alone_removes_old_backups() {
        let dir = TempDir::new().unwrap();
        let limits = Limits { max_age_days: 1, ..limits(&dir) };
        put(&limits.path, "sftpgo-2026-01-01T00-00-00.000.log", "");
        put(&limits.path, "sftpgo-2026-01-02T12-00-00.000.log", "");
        let now = NaiveDate::from_ymd_opt(2026, 1, 3).unwrap().and_hms_opt(0, 0, 0).unwrap();
        keep_house(&limits, now.and_utc()).unwrap();
        assert_eq!(names(&limits.path), ["sftpgo-2026-01-02T12-00-00.000.log"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_log_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = TempDir::new().unwrap();
        let limits = limits(&dir);
        drop(RotatingFile::open(limits.clone()).unwrap());
        let mode = fs::metadata(&limits.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
