//! The migrations, built into the program.

use diesel::{RunQueryDsl, pg::Pg, sql_query};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The advisory lock that a migrating program holds: "EpicMe" in ASCII.
const LOCK: &str = "SELECT pg_advisory_lock(76177399569765)";

/// Runs the migrations that the database lacks and returns their names. Blocks; of two programs
/// that migrate the same database, one waits for the other.
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
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if it cannot say.
pub fn pending_migrations(database_url: &SecretString) -> Result<Vec<String>, StorageError> {
    let pending = connect(database_url)?
        .pending_migrations(MIGRATIONS)
        .map_err(|source| refused(&*source))?;
    Ok(pending.iter().map(|m| m.name().to_string()).collect())
}

/// Undoes every migration, and with them every entry. Blocks.
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
        source: crate::domain::journal::Cause::new(source.to_string()),
    }
}
