//! The rules by which a migration has nobody wait, read in the text of each. CONTRIBUTING.md describes them and says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use epicme::storage;

use crate::{
    sql::{actions, at, begins, has, name_after, statements},
    support::Database,
};

/// A migration as it stands in its folder.
pub(crate) struct Migration {
    pub(crate) name: String,
    pub(crate) up: String,
    has_down: bool,
    in_transaction: bool,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")
}

/// All of them, in their order.
pub(crate) fn migrations() -> Vec<Migration> {
    let folders = fs::read_dir(folder())
        .unwrap()
        .map(|folder| folder.unwrap().path());
    let mut migrations: Vec<_> = folders
        .map(|folder| Migration {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            up: fs::read_to_string(folder.join("up.sql")).unwrap(),
            has_down: folder.join("down.sql").is_file(),
            in_transaction: !fs::read_to_string(folder.join("metadata.toml"))
                .unwrap_or_default()
                .contains("run_in_transaction = false"),
        })
        .collect();
    migrations.sort_by(|one, other| one.name.cmp(&other.name));
    migrations
}

/// Functions that a default may call: they return the same for all rows that there are, so that no row is written.
const OF_ONE_VALUE: [&str; 5] = [
    "now",
    "current_timestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "pg_current_xact_id",
];

/// What a migration does against the rules. `tables` are those that there are before it, `validated` those that had a
/// constraint validated.
fn faults(
    migration: &Migration,
    tables: &BTreeSet<String>,
    validated: &BTreeSet<String>,
) -> Vec<String> {
    let statements = statements(&migration.up);
    let mut faults = Vec::new();
    if !migration.has_down {
        faults.push("there is no down.sql".to_owned());
    }
    if !migration.in_transaction {
        if statements.len() != 1 {
            faults.push(
                "outside of a transaction, a file has one statement: several are one transaction"
                    .to_owned(),
            );
        }
        faults.extend(statements.iter().filter_map(|words| outside(words)));
        return faults;
    }
    let mut locked = BTreeSet::new();
    for words in &statements {
        faults.extend(inside(words, &statements, tables, validated));
        locked.extend(strongly_locked(words).filter(|table| tables.contains(*table)));
    }
    if locked.len() > 2 {
        faults.push(format!(
            "it locks {locked:?}: two tables at most, for each is waited for with the ones before in hand"
        ));
    }
    if has(&statements.concat(), "drop table") || has(&statements.concat(), "drop column") {
        // Whoever reads the list of migrations is to ask whether the release before needs it.
        if !migration.name.contains("drop") {
            faults.push("what drops a table or a column has `drop` in its name, and comes one release later".to_owned());
        }
    }
    faults
}

/// What is wrong with a statement outside of a transaction.
fn outside(words: &[String]) -> Option<String> {
    let is_index = (begins(words, "create index") || begins(words, "create unique index"))
        && has(words, "index concurrently if not exists");
    let is_drop = begins(words, "drop index concurrently if exists");
    let is_quiet = is_index
        || is_drop
        || begins(words, "analyze")
        || (begins(words, "vacuum") && !has(words, "full"))
        || (begins(words, "alter table") && has(words, "validate constraint"))
        || (begins(words, "alter table")
            && has(words, "detach partition")
            && has(words, "concurrently"));
    if is_quiet {
        return None;
    }
    if begins(words, "do") {
        let body = words.iter().find(|word| word.starts_with('$'))?;
        let text = body.to_lowercase();
        let body: Vec<_> = statements(text.trim_matches('$')).concat();
        // It does both.
        let is_patient = body.iter().any(|word| word == "run_at_a_free_moment");
        if is_patient {
            return None;
        }
        let sets_limit = body.iter().any(|word| word == "'lock_timeout'");
        return match (has(&body, "commit"), sets_limit) {
            (true, true) => None,
            (false, _) => Some("a back-fill commits after each batch".to_owned()),
            (true, false) => Some("a back-fill sets its own lock_timeout: PERFORM set_config('lock_timeout', '50ms', false)".to_owned()),
        };
    }
    Some(
        "outside of a transaction stand CREATE INDEX CONCURRENTLY IF NOT EXISTS, DROP INDEX CONCURRENTLY IF EXISTS, VALIDATE CONSTRAINT, ANALYZE and back-fills"
            .to_owned(),
    )
}

/// What is wrong with a statement in a transaction.
fn inside(
    words: &[String],
    all: &[Vec<String>],
    tables: &BTreeSet<String>,
    validated: &BTreeSet<String>,
) -> Vec<String> {
    let is_there = |table: Option<&str>| table.is_some_and(|table| tables.contains(table));
    let mut faults = Vec::new();
    let mut refuse = |text: &str| faults.push(text.to_owned());
    if has(words, "concurrently") {
        refuse("CONCURRENTLY needs `run_in_transaction = false` in a metadata.toml");
    }
    if begins(words, "create index") || begins(words, "create unique index") {
        let on_parent_alone = has(words, "on only");
        if is_there(name_after(words, "on")) && !on_parent_alone {
            refuse(
                "CREATE INDEX has every writer wait: CREATE INDEX CONCURRENTLY IF NOT EXISTS, outside of a transaction",
            );
        }
    }
    for (phrase, table) in [
        ("update", name_after(words, "update")),
        ("delete from", name_after(words, "delete from")),
        ("truncate", name_after(words, "truncate")),
        ("insert into", name_after(words, "insert into")),
    ] {
        if begins(words, phrase)
            && is_there(table)
            && (phrase != "insert into" || has(words, "select"))
        {
            refuse("rows are changed in batches: a back-fill, outside of a transaction");
        }
    }
    if begins(words, "do") {
        let text = words.concat().to_lowercase();
        if text.contains("update ")
            || text.contains("delete from ")
            || text.contains("select into ")
        {
            refuse(
                "a DO block that changes rows stands outside of a transaction and commits after each batch",
            );
        }
    }
    for (phrase, reason) in [
        (
            "vacuum",
            "VACUUM runs outside of a transaction, and never FULL",
        ),
        (
            "cluster",
            "CLUSTER rewrites the table under an exclusive lock",
        ),
        ("reindex", "REINDEX has every writer wait"),
        ("refresh materialized", "REFRESH has every reader wait"),
        ("lock", "a lock for itself is held longer than it is needed"),
    ] {
        if begins(words, phrase) {
            refuse(reason);
        }
    }
    if begins(words, "create table") && (has(words, "as select") || has(words, "as table")) {
        refuse("CREATE TABLE AS reads a whole table: a back-fill");
    }
    if begins(words, "alter table") && is_there(name_after(words, "alter table")) {
        let table = name_after(words, "alter table").unwrap();
        for action in actions(words) {
            let believed = validated.contains(table);
            if let Some(reason) = wrong_action(action, believed) {
                refuse(reason);
            }
        }
        let alters = |words: &&Vec<String>| !begins(words, "comment");
        if has(words, "validate constraint") && all.iter().filter(alters).count() > 1 {
            refuse(
                "VALIDATE CONSTRAINT reads the table, so nothing else is locked by its migration",
            );
        }
    }
    faults
}

/// Why an action of `ALTER TABLE` on a table with rows takes long under a lock that others wait for.
fn wrong_action(action: &[String], has_validated: bool) -> Option<&'static str> {
    let is_deferred = has(action, "not valid") || has(action, "using index");
    if has(action, "rename") && !has(action, "rename constraint") {
        return Some("a name that the release before uses stays");
    }
    let is_retyped = |words: &[String]| {
        words[2] == "type"
            && ["alter", "column"].contains(&words[0].as_str())
            && words[1] != "table"
    };
    if has(action, "set data type") || action.windows(3).any(is_retyped) {
        return Some("another type rewrites the table: a new column, and a back-fill");
    }
    if has(action, "set not null") && !has_validated {
        return Some(
            "SET NOT NULL reads the table, unless a CHECK (… IS NOT NULL) was validated by a migration before",
        );
    }
    for phrase in ["set tablespace", "set logged", "set unlogged", "set access"] {
        if has(action, phrase) {
            return Some("the table is rewritten under an exclusive lock");
        }
    }
    if !has(action, "add") || has(action, "add value") {
        return None;
    }
    let of_constraint = [
        "constraint",
        "check",
        "foreign",
        "references",
        "unique",
        "primary",
        "exclude",
    ];
    if action
        .iter()
        .any(|word| of_constraint.contains(&word.as_str()))
        && !is_deferred
    {
        return Some(
            "ADD CONSTRAINT reads the table: NOT VALID and VALIDATE in the next migration, or USING INDEX",
        );
    }
    if ["generated", "serial", "bigserial", "smallserial"]
        .iter()
        .any(|word| has(action, word))
    {
        return Some("a column that is computed for each row rewrites the table");
    }
    let default = &action[at(action, "default")?..];
    let calls = default.windows(2).filter(|pair| pair[1] == "(");
    let is_name = |word: &str| {
        word.chars()
            .all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let mut called = calls
        .map(|pair| pair[0].as_str())
        .filter(|word| is_name(word) && *word != "default");
    called
        .any(|function| !OF_ONE_VALUE.contains(&function))
        .then_some("a default that differs from row to row rewrites the table: ADD COLUMN without it, and a back-fill")
}

/// The tables on which a statement takes a lock that writers, or readers too, wait for.
fn strongly_locked(words: &[String]) -> impl Iterator<Item = &str> {
    let is_strong = [
        "alter table",
        "create trigger",
        "create or",
        "create policy",
        "alter policy",
        "drop trigger",
        "drop policy",
        "drop table",
        "create table",
    ]
    .iter()
    .any(|phrase| begins(words, phrase));
    let mut tables = Vec::new();
    if is_strong {
        tables.extend(name_after(words, "alter table"));
        tables.extend(name_after(words, "drop table"));
        if has(words, "trigger") || has(words, "policy") {
            tables.extend(name_after(words, "on"));
        }
        let referred = words.windows(2).filter(|pair| pair[0] == "references");
        tables.extend(referred.map(|pair| pair[1].as_str()));
    }
    tables.into_iter()
}

/// What a migration leaves for those after it: tables, and validated constraints.
fn remember(
    migration: &Migration,
    tables: &mut BTreeSet<String>,
    validated: &mut BTreeSet<String>,
) {
    for words in statements(&migration.up) {
        if begins(&words, "create table") || begins(&words, "create unlogged table") {
            tables.extend(name_after(&words, "table").map(str::to_owned));
        }
        if has(&words, "validate constraint") {
            validated.extend(name_after(&words, "alter table").map(str::to_owned));
        }
    }
}

#[test]
fn every_migration_is_written_so_that_nobody_waits() {
    let (mut tables, mut validated) = (BTreeSet::new(), BTreeSet::new());
    let mut found = BTreeMap::new();
    for migration in migrations() {
        let faults = faults(&migration, &tables, &validated);
        if !faults.is_empty() {
            found.insert(migration.name.clone(), faults);
        }
        remember(&migration, &mut tables, &mut validated);
    }
    assert!(tables.len() > 10, "{tables:?}");
    assert!(
        found.is_empty(),
        "CONTRIBUTING.md, “Write a migration”, says what to write instead: {found:#?}"
    );
}

#[test]
fn every_folder_is_built_into_the_program() {
    let database = Database::new("folders");
    let built: BTreeSet<_> = storage::pending_migrations(&database.url())
        .unwrap()
        .into_iter()
        .collect();
    let folders: BTreeSet<_> = migrations()
        .into_iter()
        .map(|migration| migration.name)
        .collect();
    assert_eq!(
        built, folders,
        "`touch src/storage/migrations.rs` has cargo build them in"
    );
}

/// What each of these texts would do is known from PostgreSQL's documentation of explicit locking.
#[test]
fn a_migration_that_has_others_wait_is_found() {
    let tables = BTreeSet::from(["entries", "tags", "users"].map(str::to_owned));
    let nothing = BTreeSet::new();
    let judge = |up: &str, in_transaction: bool, validated: &BTreeSet<String>| {
        let migration = Migration {
            name: "2026-12-01-000100_of_a_test".to_owned(),
            up: up.to_owned(),
            has_down: true,
            in_transaction,
        };
        faults(&migration, &tables, validated)
    };
    for wrong in [
        "CREATE INDEX by_mood ON entries (mood);",
        "create unique index if not exists by_mood on entries using btree (mood);",
        "CREATE INDEX CONCURRENTLY by_mood ON entries (mood);",
        "ALTER TABLE entries ADD COLUMN key uuid NOT NULL DEFAULT gen_random_uuid();",
        "ALTER TABLE entries ADD COLUMN a integer, ADD COLUMN b float DEFAULT (random() * 2);",
        "ALTER TABLE entries ADD COLUMN number bigserial;",
        "ALTER TABLE entries ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
        "ALTER TABLE entries ADD COLUMN tag bigint REFERENCES tags (id);",
        "ALTER TABLE entries ADD CONSTRAINT short CHECK (char_length(title) < 100);",
        "ALTER TABLE ONLY entries ADD CONSTRAINT owner FOREIGN KEY (user_id) REFERENCES users (id);",
        "ALTER TABLE entries ADD PRIMARY KEY (user_id, id);",
        "ALTER TABLE entries ALTER COLUMN mood TYPE varchar(10);",
        "ALTER TABLE entries ALTER mood SET DATA TYPE varchar(10);",
        "ALTER TABLE entries ALTER COLUMN mood SET NOT NULL;",
        "ALTER TABLE entries RENAME COLUMN mood TO feeling;",
        "ALTER TABLE entries SET LOGGED;",
        "ALTER TABLE entries DROP COLUMN mood;",
        "DROP TABLE tags;",
        "UPDATE entries SET mood = '';",
        "DELETE FROM tags;",
        "TRUNCATE tags;",
        "INSERT INTO tags SELECT * FROM old_tags;",
        "DO $$ BEGIN UPDATE entries SET mood = ''; END $$;",
        "VACUUM FULL entries;",
        "LOCK TABLE entries;",
        "CLUSTER entries;",
        "CREATE TABLE copies AS SELECT * FROM entries;",
        "ALTER TABLE entries ADD COLUMN a text; ALTER TABLE tags ADD COLUMN a text; ALTER TABLE users ADD COLUMN a text;",
        "ALTER TABLE entries VALIDATE CONSTRAINT short; ALTER TABLE entries ADD COLUMN a text;",
    ] {
        assert!(!judge(wrong, true, &nothing).is_empty(), "{wrong}");
    }
    for right in [
        "CREATE TABLE moods (name text); CREATE INDEX moods_by_name ON moods (name);",
        "CREATE INDEX by_mood ON ONLY entries (mood);",
        "ALTER TABLE entries ADD COLUMN type text;",
        "ALTER TABLE entries RENAME CONSTRAINT owner_new TO owner;",
        "ALTER TABLE entries ADD COLUMN a text, ADD COLUMN b timestamptz NOT NULL DEFAULT now();",
        "ALTER TABLE entries ADD CONSTRAINT short CHECK (char_length(title) < 100) NOT VALID;",
        "ALTER TABLE entries DROP CONSTRAINT entries_pkey, ADD CONSTRAINT entries_pkey PRIMARY KEY USING INDEX by_user;",
        "ALTER TABLE entries VALIDATE CONSTRAINT short; COMMENT ON TABLE entries IS 'It''s; fine -- UPDATE entries';",
        "CREATE TRIGGER counted AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION count();",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE entries SET mood = ''; RETURN NULL; END $$;",
        "-- CREATE INDEX by_mood ON entries (mood);\nCOMMENT ON TABLE entries IS 'x';",
    ] {
        assert_eq!(judge(right, true, &nothing), [""; 0], "{right}");
    }
    let not_null = "ALTER TABLE entries ALTER COLUMN mood SET NOT NULL;";
    let validated = BTreeSet::from(["entries".to_owned()]);
    assert_eq!(judge(not_null, true, &validated), [""; 0]);
    for wrong in [
        "CREATE INDEX CONCURRENTLY by_mood ON entries (mood);",
        "CREATE INDEX IF NOT EXISTS by_mood ON entries (mood);",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON entries (mood); CREATE INDEX CONCURRENTLY IF NOT EXISTS b ON tags (name);",
        "UPDATE entries SET mood = '';",
        "ALTER TABLE entries ADD COLUMN a text;",
        "DO $$ BEGIN PERFORM set_config('lock_timeout', '50ms', false); UPDATE entries SET mood = ''; END $$;",
        "DO $$ BEGIN LOOP UPDATE entries SET mood = ''; COMMIT; END LOOP; END $$;",
        "VACUUM (FULL) entries;",
    ] {
        assert!(!judge(wrong, false, &nothing).is_empty(), "{wrong}");
    }
    for right in [
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS by_mood ON entries (mood);",
        "DROP INDEX CONCURRENTLY IF EXISTS by_mood;",
        "ALTER TABLE entries VALIDATE CONSTRAINT short;",
        "DO $$ BEGIN PERFORM set_config('lock_timeout', '50ms', false); LOOP UPDATE entries SET mood = ''; COMMIT; END LOOP; END $$;",
    ] {
        assert_eq!(judge(right, false, &nothing), [""; 0], "{right}");
    }
}
