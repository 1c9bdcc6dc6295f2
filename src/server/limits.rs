//! What the system lets this process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the number of files that may be open to what the administrator allows. The
/// usual default, 1024, is meant for programs that use `select`; here two sessions
/// that open what they may would use it up, and nobody else could connect.
///
/// Gives the limit that holds now; `None` is no limit.
pub fn raise_open_files() -> Option<u64> {
    let allowed = getrlimit(Resource::Nofile);
    let mut wanted = allowed;
    wanted.current = wanted.maximum;
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted.current,
        // Then it stays as it is.
        Err(_) => allowed.current,
    }
}
