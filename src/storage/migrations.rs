//! The migrations, built into the program.

use std::collections::BTreeSet;

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_query,
    sql_types::Text,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The advisory lock that a migrating program holds: "EpicMe" in ASCII.
const LOCK: &str = "SELECT pg_advisory_lock(76177399569765)";

/// Runs pending migrations and returns their names. Blocks. If two programs migrate the same database, one
/// waits for the other.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if it refuses a migration.
pub fn migrate(database_url: &SecretString) -> Result<Vec<String>, StorageError> {
    let mut connection = connect(database_url)?;
    // Held until the connection closes.
    sql_query(LOCK).execute(&mut connection)?;
    let versions = connection
        .run_pending_migrations(MIGRATIONS)
        .map_err(|source| refused(&*source))?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// The names of the migrations that the database lacks. Blocks.
///
/// It only reads. Diesel's own function first creates the table of versions, which is refused to a role that
/// may change rows but not the schema, even if the table exists.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if the query fails.
pub fn pending_migrations(database_url: &SecretString) -> Result<Vec<String>, StorageError> {
    pending_on(&mut connect(database_url)?)
}

/// The same on a connection.
pub(super) fn pending_on(connection: &mut PgConnection) -> Result<Vec<String>, StorageError> {
    let run = versions(connection)?;
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS
        .migrations()
        .map_err(|source| refused(&*source))?;
    let mut pending: Vec<String> = migrations
        .iter()
        .map(|migration| migration.name())
        .filter(|name| !run.contains(&name.version().to_string()))
        .map(ToString::to_string)
        .collect();
    pending.sort();
    Ok(pending)
}

/// The versions that were run.
fn versions(connection: &mut PgConnection) -> Result<BTreeSet<String>, StorageError> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut lines = |sql: &str| sql_query(sql).load::<Line>(connection);
    let there = lines(
        "SELECT relname::text AS line FROM pg_class
          WHERE oid = to_regclass('__diesel_schema_migrations')",
    )?;
    if there.is_empty() {
        return Ok(BTreeSet::new());
    }
    let run = lines("SELECT version::text AS line FROM __diesel_schema_migrations")?;
    Ok(run.into_iter().map(|line| line.line).collect())
}

/// Reverts every migration, which deletes all data. Blocks.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if it refuses.
pub fn revert_all_migrations(database_url: &SecretString) -> Result<(), StorageError> {
    let mut connection = connect(database_url)?;
    sql_query(LOCK).execute(&mut connection)?;
    MigrationHarness::<Pg>::revert_all_migrations(&mut connection, MIGRATIONS)
        .map_err(|source| refused(&*source))?;
    Ok(())
}

/// Diesel's error, kept as text: it is not `Sync` in every form.
fn refused(source: &(dyn std::error::Error + Send + Sync)) -> StorageError {
    StorageError::Corrupt {
        source: resource_server::cause::Cause::new(source.to_string()),
    }
}
