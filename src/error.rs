//! The one error type of the product.
//!
//! A kind names *what is true*, never a protocol code; each protocol edge maps
//! kinds to its own codes in one exhaustive `match` (`ssh/sftp/status.rs`,
//! `web/error.rs`), so a new kind does not compile until every edge has decided.
//! `context` is for our log; clients get the mapped text.

use std::fmt;

/// What is true about a failed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    NotFound,
    AlreadyExists,
    PermissionDenied,
    NotADirectory,
    IsADirectory,
    NotEmpty,
    /// A path that cannot name anything here: a NUL byte, a name that is too long.
    InvalidPath,
    /// A value that a caller gave is wrong; the context names the field.
    InvalidInput,
    Unsupported,
    /// A quota or a size limit forbids the write.
    QuotaExceeded,
    /// A limit on transferred data forbids the read.
    DownloadQuotaExceeded,
    Unauthenticated,
    RateLimited,
    /// The state of the object forbids it now, e.g. a scan is already running.
    Conflict,
    /// The object is not any more what the caller has seen of it.
    Outdated,
    /// The operation was ended from outside: kill, shutdown, client gone.
    Aborted,
    Timeout,
    /// A part we depend on does not answer: database, disk, remote storage.
    Unavailable,
    Internal,
}

impl ErrorKind {
    /// A short lower-case phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::PermissionDenied => "permission denied",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::NotEmpty => "directory not empty",
            Self::InvalidPath => "invalid path",
            Self::InvalidInput => "invalid input",
            Self::Unsupported => "unsupported",
            Self::QuotaExceeded => "quota exceeded",
            Self::DownloadQuotaExceeded => "download quota exceeded",
            Self::Unauthenticated => "unauthenticated",
            Self::RateLimited => "rate limited",
            Self::Conflict => "conflict",
            Self::Outdated => "changed meanwhile",
            Self::Aborted => "aborted",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal error",
        }
    }
}

/// An error with its kind, what was being done, and the cause if there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible operation of the product.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `context` is lower-case, specific, and holds no secret.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same with the error that caused it.
    pub fn with_source(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, context: context.into(), source: Some(source.into()) }
    }

    /// Shorthand for an internal error: a bug or a failure nobody outside can mend.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, context)
    }

    /// Shorthand for a wrong value; `context` names the field.
    pub fn invalid(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, context)
    }

    /// Maps an operating-system error to the kind it means.
    pub fn from_io(context: impl Into<String>, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::AlreadyExists,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            Io::NotADirectory => ErrorKind::NotADirectory,
            Io::IsADirectory => ErrorKind::IsADirectory,
            Io::DirectoryNotEmpty => ErrorKind::NotEmpty,
            Io::InvalidFilename => ErrorKind::InvalidPath,
            Io::InvalidInput => ErrorKind::InvalidInput,
            Io::Unsupported => ErrorKind::Unsupported,
            Io::TimedOut => ErrorKind::Timeout,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::QuotaExceeded,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::NotConnected
            | Io::HostUnreachable => ErrorKind::Unavailable,
            Io::Interrupted | Io::BrokenPipe => ErrorKind::Aborted,
            _ => ErrorKind::Internal,
        };
        Self::with_source(kind, context, error)
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done; for our log, not for clients.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Puts `outer` in front of the context: `outer: context`.
    pub fn wrap(mut self, outer: impl fmt::Display) -> Self {
        self.context = format!("{outer}: {}", self.context);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}
