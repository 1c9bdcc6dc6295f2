//! Error kinds as SFTP status codes (draft-ietf-secsh-filexfer-02 section 7).
//!
//! Clients get a fixed text for each code: never a path of the file system below,
//! never what our log says.

use super::packet::StatusCode;
use crate::error::{Error, ErrorKind};

/// The status code and text a client sees for `error`.
pub fn to_status(error: &Error) -> (StatusCode, &'static str) {
    match error.kind() {
        ErrorKind::NotFound => (StatusCode::NoSuchFile, "no such file"),
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => {
            (StatusCode::PermissionDenied, "permission denied")
        }
        ErrorKind::DownloadQuotaExceeded => {
            (StatusCode::PermissionDenied, "permission denied: the data transfer limit is reached")
        }
        ErrorKind::QuotaExceeded => {
            (StatusCode::Failure, "failure: denying write due to space limit")
        }
        ErrorKind::Unsupported => (StatusCode::OpUnsupported, "operation unsupported"),
        ErrorKind::AlreadyExists => (StatusCode::Failure, "file already exists"),
        ErrorKind::NotADirectory => (StatusCode::Failure, "not a directory"),
        ErrorKind::IsADirectory => (StatusCode::Failure, "is a directory"),
        ErrorKind::NotEmpty => (StatusCode::Failure, "directory not empty"),
        ErrorKind::InvalidPath => (StatusCode::Failure, "invalid path"),
        ErrorKind::InvalidInput => (StatusCode::Failure, "invalid argument"),
        ErrorKind::Aborted => (StatusCode::Failure, "transfer aborted"),
        ErrorKind::Timeout => (StatusCode::Failure, "timeout"),
        ErrorKind::RateLimited
        | ErrorKind::Conflict
        | ErrorKind::Outdated
        | ErrorKind::Unavailable
        | ErrorKind::Internal => (StatusCode::Failure, "failure"),
    }
}
