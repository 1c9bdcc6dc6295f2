//! The schema: migrations embedded in the program, and the check that the
//! program is not older than the database.

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::AnyConnection;
use super::{SqlProvider, query_failed};
use crate::error::{Error, ErrorKind, Result};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

impl SqlProvider {
    /// Brings the schema up to date; tells whether it changed anything. Refuses
    /// a database that is newer than the program or not ours.
    pub fn migrate(&self) -> Result<bool> {
        match &mut self.connection()? {
            AnyConnection::Sqlite(connection) => migrate_sqlite(connection),
        }
    }

    /// Fails unless the schema is exactly the program's.
    pub fn require_current_schema(&self) -> Result<()> {
        let is_current = match &mut self.connection()? {
            AnyConnection::Sqlite(connection) => is_current_sqlite(connection)?,
        };
        if is_current {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "data provider: the schema is not up to date and data_provider.update_mode is 1; run \"sftpgo initprovider\"",
        ))
    }
}

fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<bool> {
    if is_current_sqlite(connection)? {
        return Ok(false);
    }
    // Whoever comes second waits here and then finds nothing left to do.
    let applied = connection.exclusive_transaction(|connection| {
        connection
            .run_pending_migrations(SQLITE)
            .map(|applied| applied.len())
            .map_err(MigrationFailed::Migration)
    });
    match applied {
        Ok(count) => Ok(count > 0),
        Err(MigrationFailed::Query(error)) => Err(query_failed("data provider: schema", error)),
        Err(MigrationFailed::Migration(error)) => Err(Error::with_source(
            ErrorKind::Internal,
            "data provider: the schema cannot be upgraded",
            error,
        )),
    }
}

enum MigrationFailed {
    Query(diesel::result::Error),
    Migration(Box<dyn std::error::Error + Send + Sync>),
}

impl From<diesel::result::Error> for MigrationFailed {
    fn from(error: diesel::result::Error) -> Self {
        Self::Query(error)
    }
}

/// Whether every migration of the program is applied. Fails if there are others.
fn is_current_sqlite(connection: &mut SqliteConnection) -> Result<bool> {
    let applied = if has_table(connection, "__diesel_schema_migrations")? {
        connection.applied_migrations().map_err(inspection_failed)?
    } else {
        if has_table(connection, "users")? || has_table(connection, "schema_version")? {
            return Err(Error::new(
                ErrorKind::Conflict,
                "data provider: the database was made by another program; choose another data_provider.name, and bring accounts of another SFTPGo over with a dump (--loaddata-from)",
            ));
        }
        Vec::new()
    };
    let known = MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(inspection_failed)?;
    let known: Vec<_> = known.iter().map(|migration| migration.name().version()).collect();
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "data provider: the database is newer than this program (schema version {newer} is unknown); use a newer program or restore a backup"
            ),
        ));
    }
    Ok(applied.len() == known.len())
}

fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        tables: i64,
    }
    diesel::sql_query(
        "SELECT count(*) AS tables FROM sqlite_master WHERE type = 'table' AND name = ?",
    )
    .bind::<diesel::sql_types::Text, _>(name)
    .get_result::<Found>(connection)
    .map(|found| found.tables > 0)
    .map_err(|error| query_failed("data provider: schema", error))
}

fn inspection_failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::with_source(ErrorKind::Unavailable, "data provider: schema cannot be read", error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use diesel::connection::SimpleConnection;

    use super::super::schema::account_groups;
    use super::*;

    fn memory() -> SqliteConnection {
        SqliteConnection::establish(":memory:").unwrap()
    }

    fn tables(connection: &mut SqliteConnection) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Table {
            #[diesel(sql_type = diesel::sql_types::Text)]
            sql: String,
        }
        diesel::sql_query(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
             AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' ORDER BY name",
        )
        .load::<Table>(connection)
        .unwrap()
        .into_iter()
        .map(|table| table.sql)
        .collect()
    }

    #[test]
    fn migrations_go_up_down_and_up_again() {
        let mut connection = memory();
        assert!(migrate_sqlite(&mut connection).unwrap());
        let first = tables(&mut connection);
        assert_eq!(first.len(), 10);
        assert!(!migrate_sqlite(&mut connection).unwrap());

        connection.revert_all_migrations(SQLITE).unwrap();
        assert_eq!(tables(&mut connection), Vec::<String>::new());
        assert!(migrate_sqlite(&mut connection).unwrap());
        assert_eq!(tables(&mut connection), first);
    }

    #[test]
    fn accounts_of_the_first_schema_are_kept() {
        let mut connection = memory();
        connection.run_next_migration(SQLITE).unwrap();
        connection
            .batch_execute(
                "INSERT INTO folders (name, mapped_path, description, filesystem)
                 VALUES ('data', '/srv/data', '', '{}')",
            )
            .unwrap();
        assert!(!is_current_sqlite(&mut connection).unwrap());
        assert!(migrate_sqlite(&mut connection).unwrap());
        // And they can be referred to.
        connection
            .batch_execute(
                "PRAGMA foreign_keys = ON;
                 INSERT INTO account_groups (name, description, user_settings, created_at, updated_at)
                 VALUES ('g', '', '{}', 0, 0);
                 INSERT INTO groups_folders VALUES ('g', '/d', 'data', 0, 0)",
            )
            .unwrap();
        let lost = "INSERT INTO groups_folders VALUES ('g', '/e', 'nowhere', 0, 0)";
        assert!(connection.batch_execute(lost).is_err());
    }

    #[test]
    fn groups_of_an_older_schema_keep_the_limits_that_members_inherit() {
        let mut connection = memory();
        for _ in 0..5 {
            connection.run_next_migration(SQLITE).unwrap();
        }
        connection
            .batch_execute(
                r#"INSERT INTO account_groups (name, description, user_settings, created_at, updated_at)
                   VALUES ('a', '', '{"quota_size":9000000000,"quota_files":7,"expires_in":30}', 0, 0),
                          ('b', '', '{}', 0, 0)"#,
            )
            .unwrap();
        migrate_sqlite(&mut connection).unwrap();
        let limits: Vec<(i64, i64, i64)> = account_groups::table
            .order(account_groups::name)
            .select((
                account_groups::quota_size,
                account_groups::quota_files,
                account_groups::expires_in,
            ))
            .load(&mut connection)
            .unwrap();
        assert_eq!(limits, [(9_000_000_000, 7, 30), (0, 0, 0)]);
    }

    #[test]
    fn every_engine_has_the_same_migrations_with_a_way_back() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let names = |engine: &str| -> BTreeSet<String> {
            let entries = std::fs::read_dir(root.join(engine)).unwrap();
            let names: BTreeSet<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            for name in &names {
                for file in ["up.sql", "down.sql"] {
                    let path = root.join(engine).join(name).join(file);
                    assert!(path.is_file(), "{} is missing", path.display());
                }
            }
            names
        };
        let sqlite = names("sqlite");
        assert!(!sqlite.is_empty());
        assert_eq!(sqlite, names("postgres"));
        assert_eq!(sqlite, names("mysql"));
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut connection = memory();
        migrate_sqlite(&mut connection).unwrap();
        connection
            .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101')")
            .unwrap();
        let error = migrate_sqlite(&mut connection).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("29990101"), "{error}");
    }

    #[test]
    fn a_database_of_another_program_is_left_alone() {
        for table in ["users", "schema_version"] {
            let mut connection = memory();
            connection.batch_execute(&format!("CREATE TABLE {table} (id INTEGER)")).unwrap();
            let error = migrate_sqlite(&mut connection).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            assert!(error.to_string().contains("--loaddata-from"), "{error}");
        }
    }
}
