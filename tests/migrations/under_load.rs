//! Each migration on tables of 200,000 rows, while others read and write them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use diesel::{PgConnection, connection::SimpleConnection};
use epicme::storage;

use crate::{
    rules::migrations,
    support::{Database, lines},
};

/// Rows of each table.
const ROWS: u32 = 200_000;

/// The longest that a statement of a user waits for a lock.
const LIMIT: Duration = Duration::from_secs(1);

/// The tables that users read and write meanwhile.
const OF_USERS: [&str; 4] = ["users", "entries", "tags", "entry_tags"];

/// The tables that there are, without the partitions of others.
const TABLES: &str = "
    SELECT relname::text AS line FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
       AND relname <> '__diesel_schema_migrations'
     ORDER BY relname";

/// The columns of a table that have to be given a value.
const COLUMNS: &str = "
    SELECT concat_ws(' ', column_name, udt_name) AS line FROM information_schema.columns
     WHERE table_schema = 'public' AND is_nullable = 'NO' AND is_identity = 'NO' AND is_generated = 'NEVER'
       AND (column_default IS NULL OR column_name = 'created_at') AND table_name = ";

/// The value of a column in the row of number `n`.
fn value(table: &str, column: &str, kind: &str) -> &'static str {
    match (table, column) {
        ("idempotency_keys", "operation") => "'create_tag'",
        ("exports", "media_type") => "'text/markdown'",
        ("activity", "kind") => "'tool'",
        ("activity", "outcome") => "'done'",
        ("revocations", "kind") => "'user'",
        ("revocations", "ordered_by") => "'operator'",
        ("used_request_states", "nonce")
        | ("sessions", "name")
        | ("session_answers", "session") => "substring(sha256(n::text::bytea) FOR 12)",
        _ => match kind {
            "uuid" => "lpad(to_hex(n), 32, '0')::uuid",
            "int2" | "int4" | "int8" | "numeric" => "n",
            "text" | "varchar" => "n::text",
            "bytea" => "sha256(n::text::bytea)",
            "bool" => "false",
            "date" => "date '2026-11-30'",
            "timestamptz" => "timestamptz '2026-11-30' + n * interval '1 ms'",
            _ => panic!("{table}.{column}: say here what a {kind} may be"),
        },
    }
}

/// Fills a table. Foreign keys and triggers do not fire: their other ends have rows of the same numbers.
fn fill(connection: &mut PgConnection, table: &str) {
    let columns = lines(connection, &format!("{COLUMNS} '{table}'")).unwrap();
    let (names, values): (Vec<_>, Vec<_>) = columns
        .iter()
        .map(|column| {
            let (name, kind) = column.split_once(' ').unwrap();
            (name, value(table, name, kind))
        })
        .unzip();
    let filled = connection.batch_execute(&format!(
        "SET session_replication_role = replica;
         INSERT INTO {table} ({}) SELECT {} FROM generate_series(1, {ROWS}) n;
         ANALYZE {table}",
        names.join(", "),
        values.join(", ")
    ));
    filled.unwrap_or_else(|error| {
        panic!("{table} cannot be filled; say above what its columns may be: {error}")
    });
}

/// Whether a later migration has to do with a table. The rows of others would take time and show nothing.
fn is_used_after(migration: &str, table: &str) -> bool {
    let later = migrations()
        .into_iter()
        .filter(|later| later.name.as_str() > migration);
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    later.into_iter().any(|later| {
        later
            .up
            .split(|letter| !is_part(letter))
            .any(|word| word == table)
    }) || OF_USERS.contains(&table)
}

/// What is going on, for those who watch it.
struct Stage {
    /// The migration that runs.
    migration: Mutex<String>,
    /// The tables that have rows.
    tables: Mutex<BTreeSet<String>>,
    is_over: AtomicBool,
}

impl Stage {
    fn now(&self) -> (String, BTreeSet<String>) {
        let migration = self.migration.lock().unwrap().clone();
        (migration, self.tables.lock().unwrap().clone())
    }
}

/// By migration: the longest time, and of what.
type Longest = BTreeMap<String, (Duration, String)>;

fn keep_longest(longest: &mut Longest, migration: &str, took: Duration, what: &str) {
    let known = longest.entry(migration.to_owned()).or_default();
    if took > known.0 {
        *known = (took, what.to_owned());
    }
}

/// Reads and writes as users do, until it is over. Returns the longest statement during each migration, and what failed.
fn use_it(database: &Database, stage: &Stage) -> (Longest, Vec<String>) {
    let mut connection = database.connect();
    // Of the lock alone: how long a statement takes beyond that is a matter of the machine.
    let limit = format!("SET lock_timeout = {}", LIMIT.as_millis());
    connection.batch_execute(&limit).unwrap();
    let (mut longest, mut failed) = (Longest::new(), Vec::new());
    for round in 0_u64.. {
        let (migration, tables) = stage.now();
        let mut run = |sql: &str| {
            let began = Instant::now();
            if let Err(error) = connection.batch_execute(sql) {
                failed.push(format!("during {migration}: {error}: {sql}"));
            }
            keep_longest(&mut longest, &migration, began.elapsed(), sql);
        };
        for table in &tables {
            run(&format!("SELECT FROM {table} LIMIT 1"));
            // It takes the lock of a write, and writes nothing.
            run(&format!("DELETE FROM {table} WHERE false"));
        }
        if tables.contains("entry_tags") {
            let number = round * 7_919 % u64::from(ROWS) + 1;
            let user = format!("lpad(to_hex({number}), 32, '0')::uuid");
            run(&format!(
                "SELECT id, title FROM entries WHERE user_id = {user} ORDER BY created_at DESC LIMIT 20"
            ));
            run(&format!(
                "INSERT INTO entries (user_id, title, content) VALUES ({user}, 'new', 'of a user')"
            ));
            run(&format!(
                "INSERT INTO entry_tags (user_id, entry_id, tag_id, entry_created_at)
                 SELECT user_id, id, {number}, created_at FROM entries WHERE user_id = {user} AND title = 'new'
                 ON CONFLICT DO NOTHING"
            ));
            run(&format!(
                "UPDATE entries SET mood = 'good' WHERE user_id = {user}"
            ));
            if round % 3 == 0 {
                run(&format!(
                    "DELETE FROM entry_tags WHERE user_id = {user} AND entry_id = {number}"
                ));
                run(&format!(
                    "DELETE FROM entries WHERE user_id = {user} AND title = 'new'"
                ));
            }
        }
        if stage.is_over.load(Ordering::Acquire) {
            break;
        }
        breathe(&mut connection);
    }
    (longest, failed)
}

/// Leaves the processors to others for a moment.
fn breathe(connection: &mut PgConnection) {
    connection.batch_execute("SELECT pg_sleep(0.005)").unwrap();
}

/// Tables that somebody has a lock on that writers wait for.
const STRONG_LOCKS: &str = "
    SELECT concat_ws(' ', l.mode, c.relname, l.virtualtransaction) AS line
      FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.granted AND l.locktype = 'relation' AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// Looks again and again which tables are locked, and returns for how long.
fn watch_locks(database: &Database, stage: &Stage) -> Longest {
    let mut connection = database.connect();
    let mut longest = Longest::new();
    let mut since = BTreeMap::<String, Instant>::new();
    while !stage.is_over.load(Ordering::Acquire) {
        let (migration, tables) = stage.now();
        let asked = Instant::now();
        let held = lines(&mut connection, STRONG_LOCKS).unwrap();
        since.retain(|lock, _| held.contains(lock));
        for lock in held {
            let began = *since.entry(lock.clone()).or_insert(asked);
            let table = lock.split(' ').nth(1).unwrap();
            if tables.contains(table) {
                keep_longest(&mut longest, &migration, asked - began, &lock);
            }
        }
        breathe(&mut connection);
    }
    longest
}

#[test]
fn each_migration_runs_over_200_000_rows_while_others_read_and_write() {
    let database = Database::new("under_load");
    let url = database.url();
    let stage = Stage {
        migration: Mutex::new(String::new()),
        tables: Mutex::new(BTreeSet::new()),
        is_over: AtomicBool::new(false),
    };
    let (used, locked, took) = thread::scope(|scope| {
        let user = scope.spawn(|| use_it(&database, &stage));
        let watcher = scope.spawn(|| watch_locks(&database, &stage));
        let mut filler = database.connect();
        let mut took = Vec::new();
        for migration in storage::pending_migrations(&url).unwrap() {
            *stage.migration.lock().unwrap() = migration.clone();
            let began = Instant::now();
            let ran = storage::migrate_through(&url, &migration).unwrap();
            took.push((migration.clone(), began.elapsed()));
            assert_eq!(ran, [migration.as_str()]);
            "of no migration".clone_into(&mut stage.migration.lock().unwrap());
            for table in database.lines(TABLES) {
                let is_filled = stage.tables.lock().unwrap().contains(&table);
                if !is_filled && is_used_after(&migration, &table) {
                    fill(&mut filler, &table);
                    stage.tables.lock().unwrap().insert(table);
                }
            }
        }
        stage.is_over.store(true, Ordering::Release);
        (user.join().unwrap(), watcher.join().unwrap(), took)
    });
    let (longest, failed) = used;
    println!(
        "migration: how long; the longest statement of a user; the longest lock that others wait for"
    );
    for (migration, took) in took {
        let (statement, of) = longest.get(&migration).cloned().unwrap_or_default();
        let (held, lock) = locked.get(&migration).cloned().unwrap_or_default();
        println!("{migration}: {took:.1?}; {statement:.1?} {of:.60}; {held:.1?} {lock}");
        // On a quiet machine it is a tenth of this.
        assert!(held < LIMIT, "{migration} held {lock} for {held:?}");
    }
    assert_eq!(failed, [""; 0]);
    let wrong = database.lines(
        "SELECT id::text AS line FROM entries e
          WHERE tag_count <> (SELECT count(*) FROM entry_tags l WHERE l.user_id = e.user_id AND l.entry_id = e.id)",
    );
    assert_eq!(wrong, [""; 0], "the numbers of tags are exact");
}
