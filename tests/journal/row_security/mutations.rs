//! Without a condition on the user, a statement still reaches nobody else's rows.

use std::{collections::BTreeSet, ops::Range};

use diesel::{PgConnection, connection::SimpleConnection};

use super::recorded::{Recorded, ann, bob, lines, record};
use crate::support::{SERVING, TestDatabase};

/// The tables of users, and who owns a row.
const TABLES: [(&str, &str); 13] = [
    ("users", "id"),
    ("entries", "user_id"),
    ("tags", "user_id"),
    ("entry_tags", "user_id"),
    ("usage", "user_id"),
    ("idempotency_keys", "user_id"),
    ("activity", "user_id"),
    ("sessions", "user_id"),
    ("session_answers", "user_id"),
    ("exports", "user_id"),
    ("export_parts", "user_id"),
    ("used_request_states", "user_id"),
    ("tag_deletions", "user_id"),
];

/// Where a statement compares the owner of rows: with the caller, or with the owner of other rows.
fn conditions(sql: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.\"$".contains(c);
    let mut found = Vec::new();
    for (at, _) in sql.match_indices(" = ") {
        let left = sql[..at].rfind(|c| !is_part(c)).map_or(0, |end| end + 1);
        let rest = &sql[at + 3..];
        let right = at + 3 + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (owner, compared) = (&sql[left..at], &sql[at + 3..right]);
        let of_users = owner == "id" && compared == "$1" && sql[..left].contains("users");
        if owner.trim_matches('"').ends_with("user_id") || of_users {
            found.push(left..right);
        }
    }
    found
}

/// What a statement returned and what it did to Bob's rows, in a transaction that is undone.
struct Outcome {
    returned: Result<Vec<String>, String>,
    bobs: Vec<String>,
}

fn run(connection: &mut PgConnection, sql: &str, is_guarded: bool) -> Outcome {
    connection.batch_execute("BEGIN").unwrap();
    if is_guarded {
        let user = ann().user;
        let guard = format!("SET LOCAL ROLE {SERVING}; SET LOCAL epicme.user_id = '{user}'");
        connection.batch_execute(&guard).unwrap();
    } else {
        // The view of own entries is a condition on the user itself.
        connection
            .batch_execute("SET LOCAL epicme.user_id = ''")
            .unwrap();
    }
    let quoted = sql.replace('\'', "''");
    let returned = lines(
        connection,
        &format!("SELECT line FROM rows_of('{quoted}') AS line"),
    );
    connection.batch_execute("RESET ROLE").unwrap();
    let bobs = TABLES.map(|(table, owner)| {
        format!(
            "SELECT '{table} ' || t::text AS line FROM {table} t WHERE {owner} = '{}'",
            bob().user
        )
    });
    let bobs = lines(
        connection,
        &format!("{} ORDER BY 1", bobs.join(" UNION ALL ")),
    );
    connection.batch_execute("ROLLBACK").unwrap();
    let refused = returned
        .first()
        .and_then(|line| line.strip_prefix("refused: "));
    Outcome {
        returned: match refused {
            Some(refused) => Err(refused.to_owned()),
            None => Ok(returned),
        },
        bobs,
    }
}

/// What PostgreSQL returns of any statement, one line a row.
const ROWS_OF: &str = "
CREATE FUNCTION rows_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    BEGIN
        FOR found IN EXECUTE statement LOOP
            RETURN NEXT found::text;
        END LOOP;
        RETURN;
    EXCEPTION
        -- It returns nothing.
        WHEN invalid_cursor_definition THEN NULL;
    END;
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    RETURN NEXT 'refused: ' || SQLERRM;
END $$";

fn with_values(sql: &str, literals: &[String]) -> String {
    let mut sql = sql.to_owned();
    for (at, literal) in literals.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", at + 1), &format!("({literal})"));
    }
    sql
}

struct Checked {
    /// How many conditions were removed, from how many statements.
    conditions: usize,
    statements: usize,
    tables: BTreeSet<&'static str>,
    /// How many of these would show or change Bob's rows without row-level security.
    would_leak: usize,
    leaks: Vec<String>,
}

fn check(database: &TestDatabase, statements: &[Recorded]) -> Checked {
    let mut connection = database.connect();
    connection.batch_execute(ROWS_OF).unwrap();
    let mut checked = Checked {
        conditions: 0,
        statements: 0,
        tables: BTreeSet::new(),
        would_leak: 0,
        leaks: Vec::new(),
    };
    for statement in statements {
        let types = statement.types(&mut connection);
        let literals = statement.literals(&types);
        let original = run(
            &mut connection,
            &with_values(&statement.sql, &literals),
            true,
        );
        let of_bob = |line: &String| line.contains("bobs") || line.contains("70000000");
        // What was asked for by its id may come back as missing.
        let told = original.returned.unwrap_or_default();
        let conditions = conditions(&statement.sql);
        checked.statements += usize::from(!conditions.is_empty());
        for condition in conditions {
            checked.conditions += 1;
            let names = TABLES.map(|(table, _)| table);
            checked
                .tables
                .extend(names.iter().filter(|table| statement.sql.contains(**table)));
            let mut sql = statement.sql.clone();
            // The value keeps its type.
            let holds = match sql[condition.clone()].split_once('$') {
                Some((_, number)) => format!("(${number}::uuid IS NOT NULL)"),
                None => "true".to_owned(),
            };
            sql.replace_range(condition, &holds);
            let sql = with_values(&sql, &literals);
            let shows = |outcome: &Outcome| {
                let lines = outcome.returned.iter().flatten();
                lines.filter(|line| !told.contains(line)).any(of_bob)
                    || outcome.bobs != original.bobs
            };
            let guarded = run(&mut connection, &sql, true);
            if let Err(refused) = &guarded.returned {
                assert!(
                    !refused.contains("syntax") && !refused.contains("does not exist"),
                    "{refused}: {sql}"
                );
            }
            if shows(&guarded) {
                checked.leaks.push(sql.clone());
            }
            checked.would_leak += usize::from(shows(&run(&mut connection, &sql, false)));
        }
    }
    checked
}

#[actix_rt::test]
async fn a_statement_without_its_condition_on_the_user_reaches_nobody_elses_rows() {
    let (journal, statements) = record().await;
    let checked = check(&journal.database, &statements);
    assert_eq!(checked.leaks, [""; 0]);
    assert_eq!(checked.tables.len(), TABLES.len(), "{:?}", checked.tables);
    let (statements, conditions) = (checked.statements, checked.conditions);
    assert!(
        statements >= 60 && conditions >= 120,
        "{statements} {conditions}"
    );
    // The conditions are what keeps journals apart where row-level security is not in force.
    let would_leak = checked.would_leak;
    assert!(would_leak >= 25, "{would_leak} of {conditions}");
}

#[test]
fn conditions_on_the_user_are_found() {
    let sql = "SELECT FROM entries e JOIN tags t ON t.user_id = e.user_id WHERE e.user_id = $1 AND \"tags\".\"user_id\" = $1 \
               AND id = $2 AND EXISTS (SELECT FROM users WHERE id = $1)";
    let found = conditions(sql).into_iter().map(|range| &sql[range]);
    assert_eq!(
        Vec::from_iter(found),
        [
            "t.user_id = e.user_id",
            "e.user_id = $1",
            "\"tags\".\"user_id\" = $1",
            "id = $1"
        ]
    );
}
