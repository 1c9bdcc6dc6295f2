//! `convert-users`: accounts of a Linux system, of Pure-FTPd or of ProFTPD as a
//! dump that `loaddata` reads.
//!
//! What would let somebody in who is kept out there makes the account disabled;
//! whatever else has no counterpart here is told, by account and field.

mod draft;
mod passwd;
mod pureftpd;
mod records;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::draft::Draft;
use crate::error::{Error, Result};
use crate::model::{BackupData, DUMP_VERSION, Rules, User};
use crate::provider::backup;

/// Largest file that is read, in bytes.
const MAX_INPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Most problems that one error lists.
const MAX_PROBLEMS: usize = 20;

/// Options of `convert-users`.
#[derive(Debug, Clone, Args)]
pub struct ConvertOptions {
    /// File with the accounts, such as /etc/passwd
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,

    /// What kind of file it is
    #[arg(value_enum, value_name = "FORMAT")]
    pub format: Format,

    /// The dump to write; readable for its owner only, as it holds password hashes
    #[arg(value_name = "OUTPUT")]
    pub output: PathBuf,

    /// File with the passwords for unix-passwd, such as /etc/shadow
    #[arg(long, value_name = "FILE")]
    pub shadow: Option<PathBuf>,

    /// Only these accounts, separated by commas or spaces
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub usernames: Vec<String>,

    /// Only accounts with this user id or a greater one [default: 1 for unix-passwd]
    #[arg(long, value_name = "UID")]
    pub min_uid: Option<u32>,

    /// Only accounts with this user id or a smaller one
    #[arg(long, value_name = "UID")]
    pub max_uid: Option<u32>,

    /// Give all accounts this user id
    #[arg(long, value_name = "UID")]
    pub force_uid: Option<u32>,

    /// Give all accounts this group id
    #[arg(long, value_name = "GID")]
    pub force_gid: Option<u32>,

    /// Replace OUTPUT if it exists
    #[arg(long)]
    pub force: bool,
}

/// The files that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// passwd(5) of a Unix system
    #[value(alias = "unix")]
    UnixPasswd,
    /// Virtual users of Pure-FTPd, as pure-pw writes them
    #[value(name = "pure-ftpd", alias = "pureftpd")]
    PureFtpd,
    /// AuthUserFile of ProFTPD, as ftpasswd writes it
    Proftpd,
}

impl ConvertOptions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.shadow.is_some() && self.format != Format::UnixPasswd {
            return Err("--shadow: is only for unix-passwd".to_owned());
        }
        if let (Some(min), Some(max)) = (self.min_uid(), self.max_uid)
            && min > max
        {
            return Err(format!("--max-uid: {max} is less than the smallest user id, {min}"));
        }
        Ok(())
    }

    /// Nobody wants root on a file server by accident.
    fn min_uid(&self) -> Option<u32> {
        self.min_uid.or((self.format == Format::UnixPasswd).then_some(1))
    }

    /// Whether an account of this name is asked for by name.
    fn names(&self, username: &str) -> bool {
        self.usernames.iter().any(|name| name == username)
    }

    fn wants(&self, username: &str, uid: u32) -> bool {
        (self.usernames.is_empty() || self.names(username))
            && self.min_uid().is_none_or(|min| uid >= min)
            && self.max_uid.is_none_or(|max| uid <= max)
    }
}

/// What became of the accounts of a file.
#[derive(Debug, Default)]
struct Converted {
    users: Vec<User>,
    /// What to know about them, and which were left out; one line each.
    notes: Vec<String>,
}

/// Converts and writes the dump. Notes go to standard error, one a line.
///
/// # Errors
/// A file that cannot be read or written, and whatever in it is not what it should
/// be, by line; nothing is written then.
pub fn run(options: &ConvertOptions) -> Result<()> {
    let input = Source::read(&options.input)?;
    let shadow = options.shadow.as_deref().map(Source::read).transpose()?;
    let converted = convert(options, &input, shadow.as_ref())?;
    for note in &converted.notes {
        eprintln!("sftpgo: {note}");
    }
    let count = converted.users.len();
    let data =
        BackupData { users: converted.users, version: DUMP_VERSION, ..BackupData::default() };
    let json = backup::to_json(&data, true)?;
    write(&options.output, &json, options.force)?;
    println!("{count} users written to {}", options.output.display());
    Ok(())
}

/// A file and its name for messages.
struct Source {
    shown: String,
    bytes: Vec<u8>,
}

impl Source {
    fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_INPUT_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| Error::from_io(format!("{shown}: cannot be read"), error))?;
        if bytes.len() as u64 > MAX_INPUT_BYTES {
            return Err(Error::invalid(format!("{shown}: is larger than {MAX_INPUT_BYTES} bytes")));
        }
        Ok(Self { shown, bytes })
    }
}

/// Everything but reading and writing files.
fn convert(options: &ConvertOptions, input: &Source, shadow: Option<&Source>) -> Result<Converted> {
    let mut problems = Problems::default();
    let drafts = match options.format {
        Format::UnixPasswd => passwd::unix(options, input, shadow, &mut problems),
        Format::PureFtpd => pureftpd::users(options, input, &mut problems),
        Format::Proftpd => passwd::proftpd(options, input, &mut problems),
    };
    let mut converted = Converted::default();
    let mut seen = BTreeSet::new();
    for draft in drafts {
        let Draft { line, mut user, mut notes, skipped } = draft;
        let shown = format!("user {:?}", user.username);
        if !seen.insert(user.username.clone()) {
            problems.add(input, line, format!("{shown}: is there twice"));
            continue;
        }
        if let Some(why) = skipped {
            converted.notes.push(format!("{shown}: skipped: {why}"));
            continue;
        }
        for (id, forced) in [(&mut user.uid, options.force_uid), (&mut user.gid, options.force_gid)]
        {
            if let Some(forced) = forced {
                *id = forced.into();
            }
        }
        // The rules of the server are known only when the dump is loaded.
        if let Err(error) = user.normalise(&Rules::default()) {
            problems.add(input, line, error);
            continue;
        }
        converted.notes.extend(notes.drain(..).map(|note| format!("{shown}: {note}")));
        converted.users.push(user);
    }
    for name in &options.usernames {
        if !seen.contains(name) {
            problems.list.push(format!(
                "{}: there is no user {name:?} within the given user ids",
                input.shown
            ));
        }
    }
    problems.finish()?;
    Ok(converted)
}

/// What is wrong with the files, collected so that all of it is told at once.
#[derive(Default)]
struct Problems {
    list: Vec<String>,
}

impl Problems {
    fn add(&mut self, source: &Source, line: usize, problem: impl Display) {
        self.list.push(format!("{}:{line}: {problem}", source.shown));
    }

    fn finish(mut self) -> Result<()> {
        if self.list.is_empty() {
            return Ok(());
        }
        let hidden = self.list.len().saturating_sub(MAX_PROBLEMS);
        self.list.truncate(MAX_PROBLEMS);
        let mut text = self.list.join("; ");
        if hidden > 0 {
            text.push_str(&format!("; and {hidden} more"));
        }
        Err(Error::invalid(format!("nothing was written: {text}")))
    }
}

/// Writes a file that only its owner can read, and never over another by accident.
fn write(path: &Path, content: &[u8], replace: bool) -> Result<()> {
    let shown = path.display();
    if replace {
        return backup::write_private(path, content)
            .map_err(|error| Error::from_io(format!("{shown}: cannot be written"), error));
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::from_io(format!("{shown}: exists, --force replaces it"), error)
        }
        _ => Error::from_io(format!("{shown}: cannot be written"), error),
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a dump is of no use; the error that matters is the first one.
        let _ = std::fs::remove_file(path);
        Error::from_io(format!("{shown}: cannot be written"), error)
    })
}

#[cfg(test)]
mod tests;
