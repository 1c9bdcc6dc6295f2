//! What a system error means here.

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};
use crate::paths::StoragePath;

/// `doing path: cause`. The path is relative to the root, so that no real path
/// gets into a message.
pub(super) fn fail(doing: &str, path: &StoragePath, errno: Errno) -> Error {
    let context = format!("{doing} /{path}");
    match kind_of(errno) {
        Some(kind) => Error::with_source(kind, context, std::io::Error::from(errno)),
        None => Error::from_io(context, errno.into()),
    }
}

/// The kinds that the standard library does not know or sees differently.
fn kind_of(errno: Errno) -> Option<ErrorKind> {
    Some(match errno {
        // A path that leaves the root, or a link where none is followed.
        Errno::XDEV | Errno::LOOP => ErrorKind::PermissionDenied,
        // A device or pipe that nobody serves, or the root itself.
        Errno::NXIO | Errno::NODEV | Errno::BUSY => ErrorKind::PermissionDenied,
        Errno::TXTBSY => ErrorKind::Conflict,
        Errno::AGAIN | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::STALE => {
            ErrorKind::Unavailable
        }
        Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported,
        Errno::NAMETOOLONG | Errno::ILSEQ => ErrorKind::InvalidPath,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_have_the_kind_they_mean() {
        let table = [
            (Errno::NOENT, ErrorKind::NotFound),
            (Errno::EXIST, ErrorKind::AlreadyExists),
            (Errno::ACCESS, ErrorKind::PermissionDenied),
            (Errno::PERM, ErrorKind::PermissionDenied),
            (Errno::ROFS, ErrorKind::PermissionDenied),
            (Errno::XDEV, ErrorKind::PermissionDenied),
            (Errno::LOOP, ErrorKind::PermissionDenied),
            (Errno::NOTDIR, ErrorKind::NotADirectory),
            (Errno::ISDIR, ErrorKind::IsADirectory),
            (Errno::NOTEMPTY, ErrorKind::NotEmpty),
            (Errno::NAMETOOLONG, ErrorKind::InvalidPath),
            (Errno::NOSPC, ErrorKind::QuotaExceeded),
            (Errno::DQUOT, ErrorKind::QuotaExceeded),
            (Errno::FBIG, ErrorKind::QuotaExceeded),
            (Errno::AGAIN, ErrorKind::Unavailable),
            (Errno::IO, ErrorKind::Internal),
        ];
        for (errno, kind) in table {
            assert_eq!(fail("open", &StoragePath::new("a"), errno).kind(), kind, "{errno:?}");
        }
    }

    #[test]
    fn messages_name_the_path_below_the_root() {
        let error = fail("open", &StoragePath::new("a/b"), Errno::NOENT);
        assert_eq!(error.context(), "open /a/b");
    }
}
