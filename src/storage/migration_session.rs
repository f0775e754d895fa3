//! The session that migrates: its settings, its turn among programs that migrate, and what an interrupted one has left.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use diesel::{
    Connection, OptionalExtension, PgConnection, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    result::QueryResult,
    sql_query,
    sql_types::{BigInt, Bool, Integer, Text},
};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect};

/// The advisory lock that a migrating program holds: "EpicMf" in ASCII.
const TURN: i64 = 76_177_399_569_766;

/// The one that versions before this held, "EpicMe". They waited for it inside of a statement, which `CREATE INDEX
/// CONCURRENTLY` would wait for, so it is not held here.
const TURN_OF_OLDER_VERSIONS: i64 = 76_177_399_569_765;

/// The pause between two attempts to have the turn.
const POLL: Duration = Duration::from_millis(100);

/// Limits that the role or the database may have, and that a long migration would run into.
const NO_LIMITS: &str = "
SELECT set_config(name, '0', false) FROM pg_settings
 WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')";

/// Has PostgreSQL notice that the program was killed while a statement is under way.
const NOTICE_ITS_END: &str = "SET client_connection_check_interval = '5s'";

/// Prepares a session for migrations.
pub(super) fn prepare(connection: &mut PgConnection) -> Result<(), StorageError> {
    sql_query(NO_LIMITS).execute(connection)?;
    // Not every system that PostgreSQL runs on can do it. There an interrupted statement ends later.
    if connection.batch_execute(NOTICE_ITS_END).is_err() {
        log::debug!("PostgreSQL does not notice here when a program ends during a statement");
    }
    Ok(())
}

/// Waits until no other program migrates, and has the others wait until the connection closes.
///
/// It asks again and again instead of waiting in PostgreSQL, where it would hold a snapshot: another's `CREATE INDEX
/// CONCURRENTLY` waits for every snapshot that is older.
pub(super) fn take_turn(
    connection: &mut PgConnection,
    report: Duration,
) -> Result<(), StorageError> {
    wait_for(connection, TURN, report)?;
    // A program of an older version that migrates is waited for. One that begins later finds nothing to do.
    wait_for(connection, TURN_OF_OLDER_VERSIONS, report)?;
    sql_query("SELECT pg_advisory_unlock($1)")
        .bind::<BigInt, _>(TURN_OF_OLDER_VERSIONS)
        .execute(connection)?;
    Ok(())
}

fn wait_for(
    connection: &mut PgConnection,
    turn: i64,
    report: Duration,
) -> Result<(), StorageError> {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Bool)]
        is_ours: bool,
    }
    let began = Instant::now();
    let mut reported = None::<Instant>;
    loop {
        let answer: Answer = sql_query("SELECT pg_try_advisory_lock($1) AS is_ours")
            .bind::<BigInt, _>(turn)
            .get_result(connection)?;
        if answer.is_ours {
            return Ok(());
        }
        if reported.is_none_or(|at| at.elapsed() >= report)
            && let Some(holder) = holder(connection, turn)?
        {
            log::info!(
                "waiting for {holder}, which migrates this database, for {} s",
                began.elapsed().as_secs()
            );
            reported = Some(Instant::now());
        }
        pause(POLL);
    }
}

/// Waits before something is tried again that has no event to wait for.
#[expect(
    clippy::disallowed_methods,
    reason = "what is waited for is another's session, which PostgreSQL tells of only to those who ask"
)]
pub(super) fn pause(length: Duration) {
    sleep(length);
}

/// Who has an advisory lock, unless it was given up just now.
fn holder(connection: &mut PgConnection, turn: i64) -> Result<Option<String>, StorageError> {
    let line = sql_query(
        "SELECT format('session %s (role %s, application %L)', a.pid, a.usename, a.application_name) AS line
           FROM pg_locks l JOIN pg_stat_activity a USING (pid)
          WHERE l.locktype = 'advisory' AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (l.classid::bigint << 32) + l.objid::bigint = $1 AND l.objsubid = 1",
    )
    .bind::<BigInt, _>(turn)
    .get_result::<Line>(connection)
    .optional()?;
    Ok(line.map(|line| line.line))
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// How the server words, in its language, that a lock was not had in time: Diesel does not tell error codes. The
/// session whose turn it is holds the lock that is asked for.
pub(super) fn words_of_a_lock_timeout(database_url: &SecretString) -> Result<String, StorageError> {
    let mut connection = connect(database_url)?;
    limit_lock_waits(&mut connection, Duration::from_millis(1))?;
    let refused = sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(TURN)
        .execute(&mut connection);
    match refused {
        Err(error) => Ok(error.to_string()),
        Ok(_) => Err(StorageError::corrupt(
            "the lock that the migrating session holds was given to another",
        )),
    }
}

/// The process that serves the session. An error if there is none any more.
pub(super) fn backend(connection: &mut PgConnection) -> QueryResult<i32> {
    #[derive(QueryableByName)]
    struct Process {
        #[diesel(sql_type = Integer)]
        pid: i32,
    }
    let process: Process = sql_query("SELECT pg_backend_pid() AS pid").get_result(connection)?;
    Ok(process.pid)
}

/// Limits how long a statement waits for a lock; zero is without limit.
pub(super) fn limit_lock_waits(connection: &mut PgConnection, limit: Duration) -> QueryResult<()> {
    connection.batch_execute(&format!("SET lock_timeout = {}", limit.as_millis()))
}

/// What an interrupted `CREATE INDEX CONCURRENTLY` or `REINDEX CONCURRENTLY` leaves: an index that is kept up to date
/// and never read. The index of a partitioned table is left alone, for it is invalid until each partition has its own.
const INVALID: &str = "
SELECT format('%I.%I', n.nspname, i.relname) AS index, format('%I.%I', n.nspname, t.relname) AS of_table
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_class t ON t.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE NOT x.indisvalid AND i.relkind = 'i' AND n.nspname = current_schema()";

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    index: String,
    #[diesel(sql_type = Text)]
    of_table: String,
}

/// Drops the indexes that an interrupted program has left, so that the migration makes them anew instead of
/// finding that there is one of the name.
pub(super) fn remove_invalid_indexes(
    connection: &mut PgConnection,
    longest_lock_wait: Duration,
) -> QueryResult<()> {
    for found in sql_query(INVALID).load::<Index>(connection)? {
        let dropped = connection.transaction(|connection| {
            // Waits for whoever is just building it, and has nobody else wait.
            connection.batch_execute(&format!(
                "SET LOCAL lock_timeout = 0; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE",
                found.of_table
            ))?;
            let still = sql_query(INVALID).load::<Index>(connection)?;
            if !still.iter().any(|index| index.index == found.index) {
                return Ok(false);
            }
            connection.batch_execute(&format!(
                "SET LOCAL lock_timeout = {}; DROP INDEX {}",
                longest_lock_wait.as_millis(),
                found.index
            ))?;
            QueryResult::Ok(true)
        })?;
        if dropped {
            log::info!(
                "dropped the index {}, which was not built to its end",
                found.index
            );
        }
    }
    Ok(())
}
