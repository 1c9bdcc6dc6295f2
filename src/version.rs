//! What this program is: version, commit and build date.

/// The version, e.g. `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, with `-dirty` for uncommitted changes; empty
/// when it was not built from a repository.
pub const COMMIT: &str = env!("SFTPGO_BUILD_COMMIT");

/// When it was built, in UTC: `2019-08-08T19:28:36Z`.
pub const BUILD_DATE: &str = env!("SFTPGO_BUILD_DATE");

/// All of it in one word: `0.1.0-90607d4a-2019-08-08T19:28:36Z`.
pub const LONG: &str = env!("SFTPGO_BUILD_VERSION");
