//! The provider on SQL databases, through diesel.
//!
//! One body of queries serves every engine: natural keys, integers and text, no
//! RETURNING, no ON CONFLICT. [`with_engine!`] names the connection's engine
//! once per operation; what differs between engines is in `connection`.

mod admins;
mod connection;
mod file;
mod folders;
mod groups;
mod migrations;
mod relations;
mod restore;
mod roles;
mod schema;
mod search;
mod usage;
mod users;

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use self::connection::{AnyConnection, AnyPool, with_engine};
use super::Provider;
use crate::config::{DataProviderConfig, Driver};
use crate::error::{Error, ErrorKind, Result};

/// Accounts in a SQL database.
pub struct SqlProvider {
    pool: AnyPool,
    driver: Driver,
    /// The database file, for engines that have one.
    file: Option<file::OpenedFile>,
}

impl SqlProvider {
    /// Connects; creates a SQLite file that does not exist. The schema is not
    /// touched, see [`SqlProvider::migrate`].
    pub fn open(config: &DataProviderConfig, config_dir: &Path) -> Result<Self> {
        if !config.sql_tables_prefix.is_empty() {
            return Err(Error::invalid(
                "data_provider.sql_tables_prefix: is not available in this version yet, leave it empty",
            ));
        }
        let (pool, file) = match config.driver {
            Driver::Sqlite => {
                if config.name.is_empty() {
                    return Err(Error::invalid("data_provider.name: a file name is required"));
                }
                let path = config_dir.join(&config.name);
                let pool = AnyPool::sqlite_file(&path, config.pool_size)?;
                (pool, Some(file::OpenedFile::remember(path)?))
            }
            Driver::Memory => return Self::in_memory(),
        };
        Ok(Self { pool, driver: config.driver, file })
    }

    /// A database in memory, gone with the provider.
    pub fn in_memory() -> Result<Self> {
        Ok(Self { pool: AnyPool::sqlite_memory()?, driver: Driver::Memory, file: None })
    }

    /// Most connections that are open at a time.
    pub fn connections(&self) -> usize {
        self.pool.connections()
    }

    fn connection(&self) -> Result<AnyConnection> {
        self.pool.get()
    }
}

impl Provider for SqlProvider {
    fn check_availability(&self) -> Result<()> {
        if let Some(file) = &self.file {
            file.require_in_place()?;
        }
        let mut connection = self.connection()?;
        // A table, because a database may compute 1 without looking at its file.
        let query = "SELECT id FROM admins WHERE id = 0";
        with_engine!(&mut connection, conn => conn.batch_execute(query))
            .map_err(|error| unavailable("data provider: does not answer", error))
    }

    fn driver(&self) -> &'static str {
        self.driver.as_str()
    }
}

/// What ends a transaction early: the error of a query, whose object is named by
/// whoever began the transaction, or one that says everything itself.
enum Aborted {
    Query(DieselError),
    Refusal(Error),
}

impl Aborted {
    /// The error of a transaction about `what`, e.g. `user "bob"`.
    fn during(self, what: &str) -> Error {
        match self {
            Self::Query(error) => query_failed(what, error),
            Self::Refusal(error) => error,
        }
    }
}

impl From<DieselError> for Aborted {
    fn from(error: DieselError) -> Self {
        Self::Query(error)
    }
}

impl From<Error> for Aborted {
    fn from(error: Error) -> Self {
        Self::Refusal(error)
    }
}

/// The error of a query about `what`, e.g. `user "bob"`.
fn query_failed(what: &str, error: DieselError) -> Error {
    let kind = match &error {
        DieselError::NotFound => ErrorKind::NotFound,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
            return Error::new(ErrorKind::AlreadyExists, format!("{what}: already exists"));
        }
        // SQLite reports a locked or full database, and a lost file, as unknown.
        DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::Unknown,
            _,
        ) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Error::with_source(kind, format!("{what}: query failed"), error)
}

fn not_found(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}: does not exist"))
}

fn unavailable(
    context: impl Into<String>,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::with_source(ErrorKind::Unavailable, context, error)
}

/// JSON text for a nested column.
fn to_json<T: serde::Serialize>(what: &str, column: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::with_source(
            ErrorKind::Internal,
            format!("{what}: {column} cannot be written"),
            error,
        )
    })
}

/// The value of a nested column.
fn from_json<T: serde::de::DeserializeOwned>(what: &str, column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::with_source(
            ErrorKind::Internal,
            format!("{what}: stored {column} cannot be read"),
            error,
        )
    })
}
