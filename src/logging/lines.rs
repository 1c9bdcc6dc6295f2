//! The typed lines: what clients did, with the fields of each kind in their order.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write as _};

use chrono::{DateTime, NaiveDateTime};
use slog::{Level, Logger, Record, RecordLocation, RecordStatic};

use super::json::{Escape, member_raw, member_str, push_str};
use super::timestamp;

/// The tag of records whose message is already a list of JSON members that begins
/// with `"sender"`.
pub(super) const MEMBERS_TAG: &str = "sftpgo-members";

/// The same for lines that are only written, not kept among the newest.
pub(super) const UNWATCHED_TAG: &str = "sftpgo-unwatched";

/// The tag of app records with their sender given in the call.
pub(super) const APP_TAG: &str = "sftpgo-app";

fn log_members(logger: &Logger, level: Level, members: impl Display) {
    log_tagged(logger, level, MEMBERS_TAG, members);
}

/// What slog's macros do, but for a level that is known only now.
fn log_tagged(logger: &Logger, level: Level, tag: &'static str, members: impl Display) {
    static HERE: RecordLocation =
        RecordLocation { file: file!(), line: 0, column: 0, function: "", module: module_path!() };
    let statics = RecordStatic { location: &HERE, tag, level };
    logger.log(&Record::new(&statics, &format_args!("{members}"), slog::b!()));
}

pub(super) fn app(
    logger: &Logger,
    level: Level,
    sender: &str,
    connection_id: Option<&str>,
    message: fmt::Arguments<'_>,
) {
    let members = display(|f| {
        f.write_str("\"sender\":")?;
        push_str(f, sender)?;
        if let Some(id) = connection_id {
            member_str(f, "connection_id", id)?;
        }
        f.write_str(",\"message\":\"")?;
        Escape(f).write_fmt(message)?;
        f.write_char('"')
    });
    log_tagged(logger, level, APP_TAG, members);
}

/// Which way a file went; the line's `sender`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferKind {
    Upload,
    Download,
}

/// One finished transfer, successful or not.
#[derive(Clone, Copy)]
pub struct Transfer<'a> {
    pub kind: TransferKind,
    /// `address:port` of our side.
    pub local_addr: &'a str,
    /// `address:port` of the client.
    pub remote_addr: &'a str,
    pub elapsed_ms: u64,
    /// Bytes moved, also by a failed transfer.
    pub size_bytes: u64,
    pub username: &'a str,
    /// The path in the storage.
    pub file_path: &'a str,
    /// The path the client named.
    pub virtual_path: &'a str,
    /// The session's id.
    pub connection_id: &'a str,
    pub protocol: &'a str,
    /// `active` or `passive` for FTP; left out when empty.
    pub ftp_mode: &'a str,
    /// Why it failed; left out, and the line's level is info, when it did not.
    pub error: Option<&'a dyn Display>,
}

/// Logs a transfer: level info, or error if it failed.
pub fn transfer(logger: &Logger, line: &Transfer<'_>) {
    let level = if line.error.is_some() { Level::Error } else { Level::Info };
    log_members(
        logger,
        level,
        display(|f| {
            f.write_str(match line.kind {
                TransferKind::Upload => "\"sender\":\"Upload\"",
                TransferKind::Download => "\"sender\":\"Download\"",
            })?;
            member_str(f, "local_addr", line.local_addr)?;
            member_str(f, "remote_addr", line.remote_addr)?;
            member_raw(f, "elapsed_ms", line.elapsed_ms)?;
            member_raw(f, "size_bytes", line.size_bytes)?;
            member_str(f, "username", line.username)?;
            member_str(f, "file_path", line.file_path)?;
            member_str(f, "virtual_path", line.virtual_path)?;
            member_str(f, "connection_id", line.connection_id)?;
            member_str(f, "protocol", line.protocol)?;
            if !line.ftp_mode.is_empty() {
                member_str(f, "ftp_mode", line.ftp_mode)?;
            }
            match line.error {
                Some(error) => member_display(f, "error", error),
                None => Ok(()),
            }
        }),
    );
}

/// What a command did, with the values only this kind has; the line's `sender`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    Rename,
    Rmdir,
    Mkdir,
    Symlink,
    Remove,
    /// The permission bits, written as octal digits.
    Chmod {
        mode: u32,
    },
    Chown {
        uid: u32,
        gid: u32,
    },
    /// Unix seconds; shown in UTC. `None` when this time was left alone.
    Chtimes {
        access_unix_secs: Option<i64>,
        modification_unix_secs: Option<i64>,
    },
    /// The new size in bytes.
    Truncate {
        size: u64,
    },
    Copy,
    /// The command line as the client sent it.
    SshCommand {
        command: &'a str,
    },
}

impl Operation<'_> {
    fn sender(&self) -> &'static str {
        match self {
            Self::Rename => "Rename",
            Self::Rmdir => "Rmdir",
            Self::Mkdir => "Mkdir",
            Self::Symlink => "Symlink",
            Self::Remove => "Remove",
            Self::Chmod { .. } => "Chmod",
            Self::Chown { .. } => "Chown",
            Self::Chtimes { .. } => "Chtimes",
            Self::Truncate { .. } => "Truncate",
            Self::Copy => "Copy",
            Self::SshCommand { .. } => "SSHCommand",
        }
    }
}

/// One command that succeeded; refused ones leave no line.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    pub operation: Operation<'a>,
    pub local_addr: &'a str,
    pub remote_addr: &'a str,
    pub username: &'a str,
    /// The path in the storage.
    pub file_path: &'a str,
    /// The second path of Rename, Symlink and Copy, otherwise empty.
    pub target_path: &'a str,
    pub elapsed_ms: u64,
    pub connection_id: &'a str,
    pub protocol: &'a str,
}

/// Logs a command, level info.
pub fn command(logger: &Logger, line: &Command<'_>) {
    let mut filemode = String::new();
    let (mut uid, mut gid, mut size) = (-1i64, -1i64, -1i64);
    let (mut access_time, mut modification_time) = (String::new(), String::new());
    let mut ssh_command = "";
    match line.operation {
        Operation::Chmod { mode } => filemode = format!("{:04o}", mode & 0o7777),
        Operation::Chown { uid: user, gid: group } => (uid, gid) = (user.into(), group.into()),
        Operation::Chtimes { access_unix_secs, modification_unix_secs } => {
            access_time = date_time(access_unix_secs);
            modification_time = date_time(modification_unix_secs);
        }
        Operation::Truncate { size: bytes } => size = i64::try_from(bytes).unwrap_or(i64::MAX),
        Operation::SshCommand { command } => ssh_command = command,
        Operation::Rename
        | Operation::Rmdir
        | Operation::Mkdir
        | Operation::Symlink
        | Operation::Remove
        | Operation::Copy => {}
    }
    log_members(
        logger,
        Level::Info,
        display(|f| {
            write!(f, "\"sender\":\"{}\"", line.operation.sender())?;
            member_str(f, "local_addr", line.local_addr)?;
            member_str(f, "remote_addr", line.remote_addr)?;
            member_str(f, "username", line.username)?;
            member_str(f, "file_path", line.file_path)?;
            member_str(f, "target_path", line.target_path)?;
            member_str(f, "filemode", &filemode)?;
            member_raw(f, "uid", uid)?;
            member_raw(f, "gid", gid)?;
            member_str(f, "access_time", &access_time)?;
            member_str(f, "modification_time", &modification_time)?;
            member_raw(f, "size", size)?;
            member_raw(f, "elapsed", line.elapsed_ms)?;
            member_str(f, "ssh_command", ssh_command)?;
            member_str(f, "connection_id", line.connection_id)?;
            member_str(f, "protocol", line.protocol)
        }),
    );
}

fn date_time(unix_secs: Option<i64>) -> String {
    let time: Option<NaiveDateTime> =
        unix_secs.and_then(|secs| DateTime::from_timestamp(secs, 0)).map(|time| time.naive_utc());
    let mut out = String::new();
    if let Some(time) = time {
        timestamp::push_seconds(&mut out, time);
    }
    out
}

/// One answered HTTP request.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    /// `httpd`, or `telemetry` for the telemetry server.
    pub sender: &'static str,
    pub local_addr: &'a str,
    pub method: &'a str,
    /// For example `HTTP/1.1`.
    pub proto: &'a str,
    pub remote_addr: &'a str,
    /// Left out when empty, as the telemetry server has none.
    pub request_id: &'a str,
    /// Path and query; values of query parameters that may be secret are replaced here.
    pub uri: &'a str,
    pub user_agent: &'a str,
    pub resp_status: u16,
    /// Bytes of the response's body.
    pub resp_size: u64,
    pub elapsed_ms: u64,
    /// Whether the newest lines have it too; else only the log file.
    pub is_watched: bool,
}

/// Logs an HTTP request, level info.
pub fn http(logger: &Logger, line: &HttpRequest<'_>) {
    log_tagged(
        logger,
        Level::Info,
        if line.is_watched { MEMBERS_TAG } else { UNWATCHED_TAG },
        display(|f| {
            write!(f, "\"sender\":\"{}\"", line.sender)?;
            member_str(f, "local_addr", line.local_addr)?;
            member_str(f, "method", line.method)?;
            member_str(f, "proto", line.proto)?;
            member_str(f, "remote_addr", line.remote_addr)?;
            if !line.request_id.is_empty() {
                member_str(f, "request_id", line.request_id)?;
            }
            member_str(f, "uri", &without_secrets(line.uri))?;
            member_str(f, "user_agent", line.user_agent)?;
            member_raw(f, "resp_status", line.resp_status)?;
            member_raw(f, "resp_size", line.resp_size)?;
            member_raw(f, "elapsed_ms", line.elapsed_ms)
        }),
    );
}

/// The URI with the values of all query parameters replaced that may carry a secret.
fn without_secrets(uri: &str) -> Cow<'_, str> {
    const SECRET_PARTS: [&str; 7] = ["pass", "pwd", "token", "secret", "key", "code", "auth"];
    let Some((path, query)) = uri.split_once('?') else {
        return Cow::Borrowed(uri);
    };
    // An escaped name is not looked through: whoever escapes a letter hides something.
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains('%') || SECRET_PARTS.iter().any(|part| name.contains(part))
    };
    let name_of = |pair: &str| pair.split_once('=').map_or(String::new(), |(n, _)| n.to_owned());
    if !query.split('&').any(|pair| is_secret(&name_of(pair))) {
        return Cow::Borrowed(uri);
    }
    let pairs: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => Cow::Owned(format!("{name}=***")),
            _ => Cow::Borrowed(pair),
        })
        .collect();
    Cow::Owned(format!("{path}?{}", pairs.join("&")))
}

/// One failed attempt to log in, or a connection that ended before one.
#[derive(Clone, Copy)]
pub struct ConnectionFailed<'a> {
    /// The address without the port: fail2ban bans it.
    pub client_ip: &'a str,
    /// Empty when the client did not name one.
    pub username: &'a str,
    /// `publickey`, `password`, `keyboard-interactive`, `publickey+password`,
    /// `publickey+keyboard-interactive` or `no_auth_tried`.
    pub login_type: &'a str,
    /// `SSH`, `FTP`, `DAV` or `HTTP`.
    pub protocol: &'a str,
    pub error: &'a dyn Display,
}

/// Logs a failed connection, level debug. fail2ban's filters match this line.
pub fn connection_failed(logger: &Logger, line: &ConnectionFailed<'_>) {
    log_members(
        logger,
        Level::Debug,
        display(|f| {
            f.write_str("\"sender\":\"connection_failed\"")?;
            member_str(f, "client_ip", line.client_ip)?;
            member_str(f, "username", line.username)?;
            member_str(f, "login_type", line.login_type)?;
            member_str(f, "protocol", line.protocol)?;
            member_display(f, "error", line.error)
        }),
    );
}

/// One successful login.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The client's address without the port.
    pub ip: &'a str,
    pub username: &'a str,
    /// As `login_type` of [`ConnectionFailed`].
    pub method: &'a str,
    pub protocol: &'a str,
    pub connection_id: &'a str,
    /// The client's software as it names itself.
    pub client: &'a str,
    pub encrypted: bool,
    /// For example the negotiated algorithms.
    pub info: &'a str,
}

/// Logs a successful login, level info.
pub fn login(logger: &Logger, line: &Login<'_>) {
    log_members(
        logger,
        Level::Info,
        display(|f| {
            f.write_str("\"sender\":\"login\"")?;
            member_str(f, "ip", line.ip)?;
            member_str(f, "username", line.username)?;
            member_str(f, "method", line.method)?;
            member_str(f, "protocol", line.protocol)?;
            member_str(f, "connection_id", line.connection_id)?;
            member_str(f, "client", line.client)?;
            member_raw(f, "encrypted", line.encrypted)?;
            member_str(f, "info", line.info)
        }),
    );
}

fn member_display(f: &mut Formatter<'_>, key: &str, value: &dyn Display) -> fmt::Result {
    write!(f, ",\"{key}\":\"")?;
    write!(Escape(f), "{value}")?;
    f.write_char('"')
}

/// A value that is formatted only if the line is logged at all.
fn display(write: impl Fn(&mut Formatter<'_>) -> fmt::Result) -> impl Display {
    struct Lazy<F>(F);
    impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Lazy<F> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }
    Lazy(write)
}
