//! The migrations: what goes up comes down, and the compiler's picture of the database is true.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rules;
mod sql;
mod support;
mod under_load;
mod waits;

use std::{collections::BTreeMap, path::PathBuf};

use epicme::storage;
use secrecy::{ExposeSecret, SecretString};

use support::Database;

/// Everything that a migration makes, each thing as PostgreSQL itself would write it down.
const CATALOGUE: &str = "
    SELECT concat_ws(' ', 'column', table_name, column_name, ordinal_position, data_type, collation_name,
                     is_nullable, column_default, is_identity, generation_expression) AS line
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', relkind, relname, obj_description(oid)) FROM pg_class
               WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    ORDER BY 1";

#[test]
fn what_goes_up_comes_down_and_goes_up_again_the_same() {
    let database = Database::new("redo");
    let url = database.url();
    let all = storage::pending_migrations(&url).unwrap();
    assert_eq!(storage::migrate(&url).unwrap().len(), all.len());
    assert!(!all.is_empty());
    assert!(storage::pending_migrations(&url).unwrap().is_empty());
    assert!(storage::migrate(&url).unwrap().is_empty());
    let up = database.lines(CATALOGUE);
    assert!(up.len() > 50, "{up:#?}");
    storage::revert_all_migrations(&url).unwrap();
    let left: Vec<_> = database
        .lines(CATALOGUE)
        .into_iter()
        .filter(|line| !line.contains("__diesel_schema_migrations"))
        .collect();
    // Diesel's own helper for updated_at columns comes with its migrations table.
    assert!(
        left.iter().all(|line| line.starts_with("diesel_")),
        "{left:#?}"
    );
    storage::migrate(&url).unwrap();
    assert_eq!(database.lines(CATALOGUE), up);
}

#[test]
fn a_role_that_may_change_rows_alone_can_tell_what_is_pending() {
    let database = Database::new("reader");
    let all = storage::pending_migrations(&database.url()).unwrap();
    let role = "reads_and_writes_rows";
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN;
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}"
    ));
    let mut url = url::Url::parse(database.url().expose_secret()).unwrap();
    url.set_username(role).unwrap();
    let its_url = SecretString::from(url.to_string());
    assert_eq!(storage::pending_migrations(&its_url).unwrap(), all);
    assert!(storage::migrate(&its_url).is_err(), "it can make tables");
    storage::migrate(&database.url()).unwrap();
    assert!(storage::pending_migrations(&its_url).unwrap().is_empty());
}

#[test]
fn programs_that_migrate_at_the_same_time_take_turns() {
    let database = Database::new("turns");
    let url = database.url();
    let all = storage::pending_migrations(&url).unwrap().len();
    let done: usize = std::thread::scope(|scope| {
        let migrating: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| storage::migrate(&url).unwrap().len()))
            .collect();
        migrating
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(done, all);
}

#[test]
fn every_table_and_column_says_what_it_is() {
    let database = Database::new("comments");
    storage::migrate(&database.url()).unwrap();
    let silent = database.lines(
        "SELECT concat_ws('.', c.relname, a.attname) AS line
           FROM pg_class c
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
            AND c.relname <> '__diesel_schema_migrations'
            AND (obj_description(c.oid) IS NULL OR col_description(c.oid, a.attnum) IS NULL)",
    );
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_compilers_picture_of_the_database_is_true() {
    let database = Database::new("schema");
    storage::migrate(&database.url()).unwrap();
    let columns = database.lines(
        "SELECT concat_ws(' ', table_name, column_name,
                          CASE WHEN is_nullable = 'YES' THEN 'nullable' ELSE '' END || udt_name) AS line
           FROM information_schema.columns
          WHERE table_schema = 'public' AND table_name NOT IN ('__diesel_schema_migrations', 'own_entries')
          ORDER BY table_name, ordinal_position",
    );
    let mut there = BTreeMap::<String, Vec<String>>::new();
    for line in columns {
        let (table, column) = line.split_once(' ').unwrap();
        there
            .entry(table.to_owned())
            .or_default()
            .push(column.to_owned());
    }
    assert_eq!(compiled_schema(), there);
}

/// The `table!` macros of `src/storage/schema.rs`, in the words of `information_schema`.
fn compiled_schema() -> BTreeMap<String, Vec<String>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/storage/schema.rs");
    let text = std::fs::read_to_string(file).unwrap();
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|l| l.split_once(" (")) {
            table = name.to_owned();
        } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
            let (nullable, kind) = match kind.strip_prefix("Nullable<") {
                Some(kind) => ("nullable", kind.trim_end_matches('>')),
                None => ("", kind),
            };
            let kind = match kind {
                "BigInt" => "int8",
                "Binary" => "bytea",
                "Bool" => "bool",
                "Integer" => "int4",
                "SmallInt" => "int2",
                "Text" => "text",
                "Timestamptz" => "timestamptz",
                "Tsvector" => "tsvector",
                "Uuid" => "uuid",
                "Array<BigInt>" => "_int8",
                "Array<Text>" => "_text",
                other => panic!("no PostgreSQL name for {other}"),
            };
            let column = format!("{column} {nullable}{kind}");
            tables.entry(table.clone()).or_default().push(column);
        }
    }
    tables
}
