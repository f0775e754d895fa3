//! Migrations that have to wait, and migrations that are interrupted.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
};

use diesel::connection::SimpleConnection;
use epicme::storage::{self, StorageError};
use secrecy::ExposeSecret;

use crate::support::{Database, lines};

/// A session of this database that waits for a lock.
const WAITING: &str = "
    SELECT pid::text AS line FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// What ends a session in the middle of what it does, as `kill -9` of the program does to its connection.
const TERMINATE: &str = "
    SELECT pg_terminate_backend(pid)::text AS line FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'";

const INVALID_INDEX: &str =
    "SELECT indexrelid::regclass::text AS line FROM pg_index WHERE NOT indisvalid";

const WRONG_COUNT: &str = "
    SELECT id::text AS line FROM entries e
     WHERE tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)";

#[test]
fn a_migration_that_gets_no_lock_has_nobody_wait_and_is_done_when_it_can() {
    let database = Database::at("no_lock", "2026-11-23-000300");
    let url = database.url();
    thread::scope(|scope| {
        // In here, so that a failure ends it and with that the threads.
        let mut holder = database.connect();
        holder
            .batch_execute("BEGIN; SELECT FROM entries LIMIT 1")
            .unwrap();
        let migrating = scope.spawn(|| storage::migrate_through(&url, "2026-11-27-000100"));
        for _ in 0..3 {
            database.when(WAITING);
            let read = database
                .connect()
                .batch_execute("SET statement_timeout = '1s'; SELECT FROM entries LIMIT 1");
            read.expect("it waits no longer than the migration does");
        }
        holder.batch_execute("COMMIT").unwrap();
        let ran = migrating.join().unwrap().unwrap();
        assert_eq!(ran, ["2026-11-27-000100_count_tags"]);
    });
}

/// `CREATE INDEX CONCURRENTLY` waits for every session that has a snapshot.
#[test]
fn a_program_that_waits_for_its_turn_is_not_waited_for() {
    // The lock of this version, and the lock of those before it.
    for (name, turn) in [
        ("turn", 76_177_399_569_766_i64),
        ("older_turn", 76_177_399_569_765),
    ] {
        let database = Database::at(name, "2026-11-23-000300");
        let url = database.url();
        thread::scope(|scope| {
            let mut migrating = database.connect();
            migrating
                .batch_execute(&format!("SELECT pg_advisory_lock({turn})"))
                .unwrap();
            let waiting = scope.spawn(|| storage::migrate_through(&url, "2026-11-27-000100"));
            database.when(
                "SELECT pid::text AS line FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()",
            );
            migrating
                .batch_execute("SET statement_timeout = '20s'")
                .unwrap();
            migrating
                .batch_execute("CREATE INDEX CONCURRENTLY by_title ON entries (title)")
                .unwrap();
            drop(migrating);
            waiting.join().unwrap().unwrap();
        });
    }
}

#[test]
fn what_an_interrupted_index_leaves_is_made_anew() {
    let database = Database::at("index", "2026-11-23-000200");
    let url = database.url();
    let mut writer = thread::scope(|scope| {
        let mut writer = database.connect();
        writer
            .batch_execute("BEGIN; DELETE FROM idempotency_keys")
            .unwrap();
        let migrating = scope.spawn(|| storage::migrate_through(&url, "2026-11-23-000210"));
        database.when(INVALID_INDEX);
        database.when(WAITING);
        database.when(TERMINATE);
        let interrupted = migrating.join().unwrap();
        assert!(
            matches!(interrupted, Err(StorageError::Unavailable { .. })),
            "{interrupted:?}"
        );
        writer
    });
    assert_eq!(
        database.lines(INVALID_INDEX),
        ["idempotency_keys_by_created_at"]
    );
    writer.batch_execute("COMMIT").unwrap();
    let ran = storage::migrate_through(&url, "2026-11-23-000210").unwrap();
    assert_eq!(ran, ["2026-11-23-000210_index_idempotency_keys_by_age"]);
    assert_eq!(database.lines(INVALID_INDEX), [""; 0]);
    let indexes = database.lines(
        "SELECT indexname::text AS line FROM pg_indexes WHERE tablename = 'idempotency_keys'",
    );
    assert!(
        indexes.contains(&"idempotency_keys_by_created_at".to_owned()),
        "{indexes:?}"
    );
}

/// A database whose next migration is the back-fill of the numbers of tags: 1,000 entries, of which two thirds have tags.
fn before_the_back_fill(name: &'static str) -> Database {
    let database = Database::at(name, "2026-11-23-000300");
    database.execute(
        "INSERT INTO users (id, issuer, subject) VALUES (gen_random_uuid(), 'https://issuer.example', 'ann');
         INSERT INTO tags (user_id, name, folded_name) SELECT id, 'tag ' || n, 'tag ' || n FROM users, generate_series(1, 3) n;
         INSERT INTO entries (user_id, title, content) SELECT id, 'title', 'content' FROM users, generate_series(1, 1000) n;
         INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
         SELECT e.user_id, e.id, t.id, e.created_at FROM entries e JOIN tags t ON t.id <= e.id % 3",
    );
    storage::migrate_through(&database.url(), "2026-11-27-000110").unwrap();
    assert!(!database.lines(WRONG_COUNT).is_empty());
    database
}

#[test]
fn a_program_that_is_killed_leaves_what_the_next_completes() {
    let database = before_the_back_fill("killed");
    let mut writer = database.connect();
    writer
        .batch_execute("BEGIN; UPDATE entries SET title = 'new' WHERE id = 701")
        .unwrap();
    let mut killed = migrate(&database).stderr(Stdio::null()).spawn().unwrap();
    database.when("SELECT id::text AS line FROM entries WHERE id = 599 AND tag_count > 0");
    let session = database.when(WAITING);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut next = migrate(&database).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(next.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    assert!(
        first.contains(&format!("waiting for session {session} ")),
        "{first}"
    );
    // PostgreSQL notices by itself.
    database.when(&format!(
        "SELECT 'gone' AS line WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {session})"
    ));
    writer.batch_execute("ROLLBACK").unwrap();
    for line in said {
        line.unwrap();
    }
    assert!(next.wait().unwrap().success());
    assert_eq!(database.lines(WRONG_COUNT), [""; 0]);
}

/// The command, which has to be started.
fn migrate(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epicme"));
    command
        .arg("migrate")
        .env_clear()
        .env("DATABASE_URL", database.url().expose_secret())
        .stdout(Stdio::null());
    command
}

#[test]
fn a_back_fill_that_is_interrupted_goes_on_and_is_exact_whatever_happens_meanwhile() {
    let database = before_the_back_fill("back_fill");
    let url = database.url();
    let mut writer = thread::scope(|scope| {
        let mut writer = database.connect();
        writer
            .batch_execute("BEGIN; UPDATE entries SET title = 'new' WHERE id = 701")
            .unwrap();
        let migrating = scope.spawn(|| storage::migrate_through(&url, "2026-11-27-000120"));
        database.when("SELECT id::text AS line FROM entries WHERE id = 599 AND tag_count > 0");
        // Tags come and go where it has been, and where it has not.
        for (entry, tag) in [(300, 3), (599, 3), (900, 3)] {
            database.execute(&format!(
                "SET statement_timeout = '1s';
                 INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
                 SELECT user_id, id, {tag}, created_at FROM entries WHERE id = {entry};
                 DELETE FROM entry_tags WHERE entry_id = {entry} + 1"
            ));
        }
        database.when(WAITING);
        database.when(TERMINATE);
        let interrupted = migrating.join().unwrap();
        assert!(
            matches!(interrupted, Err(StorageError::Unavailable { .. })),
            "{interrupted:?}"
        );
        writer
    });
    let left = database.lines(WRONG_COUNT);
    assert!(
        (200..400).contains(&left.len()),
        "what was counted stays counted: {}",
        left.len()
    );
    writer.batch_execute("ROLLBACK").unwrap();
    let ran = storage::migrate_through(&url, "2026-11-27-000120").unwrap();
    assert_eq!(ran, ["2026-11-27-000120_count_tags_of_before"]);
    assert_eq!(database.lines(WRONG_COUNT), [""; 0]);
}

#[test]
fn migrate_says_which_migration_waits_and_for_whom() {
    let database = Database::at("who", "2026-11-23-000300");
    let url = database.url();
    let mut holder = database.connect();
    holder
        .batch_execute("SET application_name = 'a report'; BEGIN; SELECT FROM entries LIMIT 1")
        .unwrap();
    let mut other = database.connect();
    other
        .batch_execute(
            "SET application_name = 'another program'; SELECT pg_advisory_lock(76177399569766)",
        )
        .unwrap();
    let mut child = migrate(&database).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut wait_until_said = |words: &[&str]| {
        let is_it = |line: &String| words.iter().all(|word| line.contains(word));
        said.by_ref()
            .map_while(Result::ok)
            .find(is_it)
            .unwrap_or_else(|| panic!("{words:?} is not said"));
    };
    wait_until_said(&["waiting for session", "another program", "which migrates"]);
    drop(other);
    wait_until_said(&["running migration 2026-11-27-000100_count_tags, 1 of"]);
    wait_until_said(&[
        "2026-11-27-000100_count_tags waits for a lock",
        "role epicme",
        "a report",
        "idle in transaction",
    ]);
    drop(holder);
    wait_until_said(&["running migration 2026-11-27-000110_keep_count_of_tags, 2 of"]);
    assert!(child.wait().unwrap().success());
    let mut connection = database.connect();
    let last = "SELECT max(version)::text AS line FROM __diesel_schema_migrations";
    assert_eq!(lines(&mut connection, last).unwrap().len(), 1);
    assert!(storage::pending_migrations(&url).unwrap().is_empty());
}
