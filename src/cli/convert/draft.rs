//! An account on its way: what every format has, and how it is read.

use std::str::FromStr;

use crate::auth::hash::{CostLimits, StoredHash};
use crate::model::{Password, Permission, Permissions, User};

/// An account, and what to tell about it.
pub struct Draft {
    /// Where it stands in its file.
    pub line: usize,
    pub user: User,
    /// What its new home lacks, without its name.
    pub notes: Vec<String>,
    /// Why it is left out.
    pub skipped: Option<&'static str>,
}

impl Draft {
    /// An enabled account without a password that may do everything in its home.
    pub fn new(line: usize, username: &str) -> Self {
        let user = User {
            username: username.to_owned(),
            status: 1,
            permissions: Permissions::on_root([Permission::Any]),
            ..User::default()
        };
        Self { line, user, notes: Vec::new(), skipped: None }
    }

    pub fn note(&mut self, field: &str, text: impl AsRef<str>) {
        self.notes.push(format!("{field}: {}", text.as_ref()));
    }

    /// For what keeps somebody out there and cannot be said here.
    pub fn disable(&mut self, field: &str, text: impl AsRef<str>) {
        self.user.status = 0;
        self.note(field, format!("{}; imported disabled", text.as_ref()));
    }

    /// Takes the password over as far as its hash can be verified here.
    pub fn set_password(&mut self, field: &[u8]) {
        match read_password(field) {
            Stored::Hash(hash) => self.user.password = hash,
            Stored::Locked(hash) => {
                self.user.password = hash;
                self.disable("password", "is locked there");
            }
            Stored::NeverMatches => {
                self.disable("password", "there is none that matches");
            }
            Stored::Empty => self.disable("password", "is empty there, which is not possible here"),
            Stored::Unknown(kind) => {
                self.note("password", format!("{kind} is not taken over; set a new one"));
            }
        }
    }

    pub fn set_description(&mut self, text: &[u8]) {
        if std::str::from_utf8(text).is_err() {
            self.note("description", "is not UTF-8, some characters were replaced");
        }
        self.user.description = String::from_utf8_lossy(text).trim().to_owned();
    }
}

/// A password as a file keeps it.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// Can be verified here.
    Hash(Password),
    /// Could be verified but for a mark of locked accounts.
    Locked(Password),
    /// `*`, `!` and the like.
    NeverMatches,
    /// No password is asked for.
    Empty,
    /// A hash that cannot be verified here; what it is.
    Unknown(&'static str),
}

/// What a password field means. Nothing is passed on that does not parse as a hash:
/// it would be taken for a clear-text password.
pub fn read_password(field: &[u8]) -> Stored {
    let marks = field.iter().take_while(|byte| matches!(byte, b'!' | b'*')).count();
    let (marks, rest) = field.split_at(marks);
    let Ok(text) = std::str::from_utf8(rest) else { return Stored::Unknown("what is no hash") };
    let hash = Password::new(text);
    let is_hash = hash.is_hashed() && StoredHash::parse(text, &CostLimits::default()).is_ok();
    match (marks.is_empty(), text) {
        (true, "") => Stored::Empty,
        (true, _) if is_hash => Stored::Hash(hash),
        (false, _) if is_hash => Stored::Locked(hash),
        (false, _) => Stored::NeverMatches,
        (true, _) => Stored::Unknown(kind_of(text)),
    }
}

/// What a hash is that we cannot verify; never the hash itself.
fn kind_of(text: &str) -> &'static str {
    let known = [
        ("$y$", "a yescrypt hash"),
        ("$gy$", "a gost-yescrypt hash"),
        ("$7$", "a scrypt hash"),
        ("$sm3$", "an SM3 hash"),
        ("$argon2i$", "an argon2i hash"),
        ("$argon2d$", "an argon2d hash"),
        ("$md5", "a SunMD5 hash"),
        ("$sha1$", "a SHA-1 hash"),
        ("$3$", "an NT hash"),
        ("$2x$", "a bcrypt hash of the faulty kind"),
        ("_", "an extended DES hash"),
    ];
    match known.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, kind)) => kind,
        None if Password::new(text).is_hashed() => "a malformed or too costly hash",
        None if text.len() == 13 => "a DES hash",
        None => "a hash of an unknown kind",
    }
}

/// A text field; the problem names it.
pub fn text<'a>(name: &str, field: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(field).map_err(|_| format!("{name}: is not UTF-8"))
}

/// A number; the problem names the field.
pub fn number<T: FromStr>(name: &str, field: &[u8]) -> Result<T, String> {
    let text = text(name, field)?.trim();
    text.parse().map_err(|_| format!("{name}: {text:?} is not a number that is possible here"))
}

/// A number that may be left out.
pub fn optional_number<T: FromStr>(name: &str, field: &[u8]) -> Result<Option<T>, String> {
    if field.trim_ascii().is_empty() { Ok(None) } else { number(name, field).map(Some) }
}
