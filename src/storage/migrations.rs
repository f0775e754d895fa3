//! The migrations, built into the program, and how they are run: while other programs read and write.
//!
//! A statement that waits for a table's lock has everybody wait who comes after it. So no migration waits for a lock for longer
//! than [`LONGEST_LOCK_WAIT`]: it is undone and tried again after a pause, until it gets its lock or
//! [`LONGEST_MIGRATION_WAIT`] has passed. One that is interrupted is run again by the next program that migrates.

use std::{
    collections::BTreeSet,
    error::Error,
    time::{Duration, Instant},
};

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl,
    migration::{Migration, MigrationSource},
    pg::Pg,
    sql_query,
    sql_types::Text,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use resource_server::cause::Cause;
use secrecy::SecretString;

use super::{
    error::StorageError,
    establish::{connect, connect_with},
    migration_session as session,
    migration_watch::Watch,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// How long a migration in a transaction waits for a lock, and so how long others wait behind it. Outside of
/// transactions there is no limit: what runs there (`CREATE INDEX CONCURRENTLY`) has nobody wait, and back-fills
/// set a limit of their own.
const LONGEST_LOCK_WAIT: Duration = Duration::from_millis(50);

/// The pause after the first attempt that got no lock. It doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a migration is tried again that gets no lock.
const LONGEST_MIGRATION_WAIT: Duration = Duration::from_secs(600);

/// How often it is said what a migration that takes long does, or what it waits for.
const REPORT: Duration = Duration::from_secs(10);

/// How often is looked for who holds the lock that an attempt waits for.
const LOOK: Duration = Duration::from_millis(10);

/// What the server most likely says of a lock that was not had in time, where it cannot be asked.
const IN_ENGLISH: &str = "canceling statement due to lock timeout";

/// An error of a migration, as Diesel returns it: a text.
type Failure = Box<dyn Error + Send + Sync>;

/// Runs pending migrations and returns their names. Blocks, and says in the log what takes long. If two
/// programs migrate the same database, one waits for the other.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, or if a migration got no lock for ten minutes; those before it
/// stay run. `Corrupt` if the database refuses a migration.
pub fn migrate(database_url: &SecretString) -> Result<Vec<String>, StorageError> {
    run(database_url, &|_| true)
}

/// Like [`migrate`], but no further than to the migration of this name or version. Blocks.
///
/// # Errors
/// As of [`migrate`].
pub fn migrate_through(
    database_url: &SecretString,
    last: &str,
) -> Result<Vec<String>, StorageError> {
    run(database_url, &|name| name <= last || name.starts_with(last))
}

fn run(
    database_url: &SecretString,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, StorageError> {
    let mut connection = connect(database_url)?;
    // Where nothing is to be done, nobody is waited for, and no right to change the schema is needed.
    if !pending_on(&mut connection)?
        .iter()
        .any(|name| is_wanted(name))
    {
        return Ok(Vec::new());
    }
    session::prepare(&mut connection)?;
    session::take_turn(&mut connection, REPORT)?;
    let pending = connection
        .pending_migrations(MIGRATIONS)
        .map_err(|error| fault(&mut connection, &*error))?;
    let pending: Vec<_> = pending
        .into_iter()
        .map(|migration| (migration.name().to_string(), migration))
        .filter(|(name, _)| is_wanted(name))
        .collect();
    let mut runner = Runner {
        watch: Watch::new(database_url, session::backend(&mut connection)?),
        connection,
        lock_timeout: None,
    };
    let mut names = Vec::with_capacity(pending.len());
    for (at, (name, migration)) in pending.iter().enumerate() {
        log::info!("running migration {name}, {} of {}", at + 1, pending.len());
        runner.run(database_url, name, migration)?;
        names.push(name.clone());
    }
    Ok(names)
}

/// A session that has its turn to migrate.
struct Runner {
    connection: PgConnection,
    watch: Watch,
    /// How the server words that a lock was not had in time, once it was asked.
    lock_timeout: Option<String>,
}

impl Runner {
    /// Runs one migration, again and again as long as it gets no lock.
    fn run(
        &mut self,
        database_url: &SecretString,
        name: &str,
        migration: &dyn Migration<Pg>,
    ) -> Result<(), StorageError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut holder = None;
        let mut reported: Option<Instant> = None;
        for attempts in 1.. {
            let connection = &mut self.connection;
            let attempt = || attempt(connection, migration);
            let outcome = if attempts == 1 {
                self.watch.during(REPORT, attempt, |seen| {
                    let seconds = began.elapsed().as_secs();
                    log::info!("migration {name} has run for {seconds} s{seen}");
                })
            } else {
                // It waits for a moment only, in which it is to be seen for whom.
                self.watch.during(LOOK, attempt, |seen| {
                    holder = seen.waits_for.or(holder.take());
                })
            };
            let Err(failure) = outcome else {
                break;
            };
            if !self.is_about_a_lock(database_url, &*failure) {
                return Err(fault(&mut self.connection, &*failure));
            }
            let waited = began.elapsed().as_secs();
            let held_by = holder.as_deref().unwrap_or("another session");
            if waited >= LONGEST_MIGRATION_WAIT.as_secs() {
                return Err(StorageError::unavailable(format!(
                    "migration {name} got no lock for {waited} s, because {held_by} has it: end that, and migrate again"
                )));
            }
            if holder.is_some() && reported.is_none_or(|at| at.elapsed() >= REPORT) {
                log::info!(
                    "migration {name} waits for a lock that {held_by} has, and is tried again until it gets it, {waited} s so far"
                );
                reported = Some(Instant::now());
            }
            session::pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Whether a migration failed because of who else had a lock, so that it may succeed later.
    fn is_about_a_lock(
        &mut self,
        database_url: &SecretString,
        failure: &(dyn Error + Send + Sync),
    ) -> bool {
        if session::backend(&mut self.connection).is_err() {
            return false;
        }
        let said = failure.to_string();
        let timeout = match self.lock_timeout.take() {
            Some(known) => known,
            None => session::words_of_a_lock_timeout(database_url)
                .unwrap_or_else(|_| IN_ENGLISH.to_owned()),
        };
        let is_it = said.ends_with(&timeout) || said.ends_with("deadlock detected");
        self.lock_timeout = Some(timeout);
        is_it
    }
}

/// Runs a migration once.
fn attempt(connection: &mut PgConnection, migration: &dyn Migration<Pg>) -> Result<(), Failure> {
    let wait = if migration.metadata().run_in_transaction() {
        LONGEST_LOCK_WAIT
    } else {
        session::remove_invalid_indexes(connection, LONGEST_LOCK_WAIT)?;
        Duration::ZERO
    };
    session::limit_lock_waits(connection, wait)?;
    connection.run_migration(migration)?;
    Ok(())
}

/// The names of the migrations that the database lacks. Blocks, for a limited time.
///
/// It only reads. Diesel's own function first creates the table of versions, which is refused to a role that
/// may change rows but not the schema, even if the table exists.
///
/// # Errors
/// `Unavailable` if the database cannot be reached, `Corrupt` if the query fails.
pub fn pending_migrations(database_url: &SecretString) -> Result<Vec<String>, StorageError> {
    connect_with(database_url, pending_on).map(|(_, pending)| pending)
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
    session::prepare(&mut connection)?;
    session::take_turn(&mut connection, REPORT)?;
    MigrationHarness::<Pg>::revert_all_migrations(&mut connection, MIGRATIONS)
        .map_err(|source| refused(&*source))?;
    Ok(())
}

/// Why a migration failed: the connection is lost, or the database refuses it.
fn fault(connection: &mut PgConnection, failure: &(dyn Error + Send + Sync)) -> StorageError {
    match session::backend(connection) {
        Ok(_) => refused(failure),
        Err(_) => StorageError::unavailable(failure.to_string()),
    }
}

/// Diesel's error, kept as text: it is not `Sync` in every form.
fn refused(source: &(dyn Error + Send + Sync)) -> StorageError {
    StorageError::Corrupt {
        source: Cause::new(source.to_string()),
    }
}
