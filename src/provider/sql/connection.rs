//! Connections to the engines, and what differs between them.

use std::path::Path;
use std::time::Duration;

use diesel::connection::{Connection, SimpleConnection};
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, PooledConnection};
use diesel::result::Error as DieselError;
use diesel::sqlite::SqliteConnection;

use super::unavailable;
use crate::error::{Error, Result};

/// How long an operation waits for a connection of the pool.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(10);

/// Connections if the configuration leaves the number to us.
const DEFAULT_CONNECTIONS: u32 = 8;

/// Most connections that make sense for one file.
const MAX_CONNECTIONS: u32 = 64;

/// A pool of one engine. A further engine is a further variant here, in
/// [`AnyConnection`] and in [`with_engine!`].
pub enum AnyPool {
    Sqlite(Pool<ConnectionManager<SqliteConnection>>),
}

/// A connection of the pool; dropped, it returns there.
pub enum AnyConnection {
    Sqlite(PooledConnection<ConnectionManager<SqliteConnection>>),
}

/// Runs the same body on whichever engine `$connection` is: `$conn` is bound to
/// the engine's own connection type, so diesel checks the queries for each.
macro_rules! with_engine {
    ($connection:expr, $conn:ident => $body:expr) => {
        match $connection {
            $crate::provider::sql::connection::AnyConnection::Sqlite(pooled) => {
                let $conn = &mut **pooled;
                $body
            }
        }
    };
}
pub(super) use with_engine;

/// How an engine writes, and what it calls things.
pub trait Engine: Sized {
    /// What a sum of integers is cast to, so that it is a 64-bit integer again.
    const INTEGER: &'static str;

    /// All of `work`, or nothing if it fails. Takes the write lock at once: a
    /// transaction that first reads and then finds another writer in its way
    /// could only fail. So what `work` reads is still true when it writes.
    fn write<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<DieselError>;
}

impl Engine for SqliteConnection {
    const INTEGER: &'static str = "INTEGER";

    fn write<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<DieselError>,
    {
        self.immediate_transaction(work)
    }
}

impl AnyPool {
    /// A SQLite file; made readable for its owner only, as it holds password hashes.
    pub fn sqlite_file(path: &Path, pool_size: u32) -> Result<Self> {
        let name = path.to_str().ok_or_else(|| {
            Error::invalid(format!("data_provider.name: {} is not UTF-8", path.display()))
        })?;
        // A name such as "file:x" would be taken for a URI with options.
        let url = if path.is_absolute() { name.to_owned() } else { format!("./{name}") };
        create_private(path)?;
        // Once without the pool, which would try again until it times out.
        let mut first = SqliteConnection::establish(&url)
            .map_err(|error| unavailable(cannot_open(path), error))?;
        first
            .batch_execute("PRAGMA busy_timeout = 10000; SELECT count(*) FROM sqlite_master;")
            .map_err(|error| unavailable(cannot_open(path), error))?;
        let size = if pool_size == 0 { DEFAULT_CONNECTIONS } else { pool_size };
        let pool = Pool::builder()
            .max_size(size.min(MAX_CONNECTIONS))
            .min_idle(Some(1))
            .connection_timeout(WAIT_FOR_CONNECTION)
            .connection_customizer(Box::new(SqlitePragmas))
            .build(ConnectionManager::new(url))
            .map_err(|error| unavailable(cannot_open(path), error))?;
        Ok(Self::Sqlite(pool))
    }

    /// A SQLite database in memory: a single connection that is never closed,
    /// since the data goes with it.
    pub fn sqlite_memory() -> Result<Self> {
        let pool = Pool::builder()
            .max_size(1)
            .min_idle(Some(1))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_on_check_out(false)
            .connection_timeout(WAIT_FOR_CONNECTION)
            .connection_customizer(Box::new(SqlitePragmas))
            .build(ConnectionManager::new(":memory:"))
            .map_err(|error| unavailable("data provider: cannot open a store in memory", error))?;
        Ok(Self::Sqlite(pool))
    }

    pub fn get(&self) -> Result<AnyConnection> {
        match self {
            Self::Sqlite(pool) => pool.get().map(AnyConnection::Sqlite),
        }
        .map_err(|error| unavailable("data provider: no connection", error))
    }

    pub fn connections(&self) -> usize {
        match self {
            Self::Sqlite(pool) => pool.max_size() as usize,
        }
    }
}

/// Settings of every SQLite connection.
#[derive(Debug)]
struct SqlitePragmas;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for SqlitePragmas {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        // busy_timeout first: switching to WAL may itself meet a lock. FULL: a
        // change that was confirmed survives a power failure.
        connection
            .batch_execute(
                "PRAGMA busy_timeout = 10000;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;",
            )
            .map_err(diesel::r2d2::Error::QueryError)
    }
}

fn cannot_open(path: &Path) -> String {
    format!("data provider: cannot open {}", path.display())
}

fn create_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            Err(Error::from_io(format!("data provider: cannot create {}", path.display()), error))
        }
    }
}
