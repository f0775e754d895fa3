//! Row-level security takes no index away from a statement.

use std::collections::BTreeSet;

use diesel::{PgConnection, connection::SimpleConnection};

use super::recorded::{Recorded, ann, lines, record};
use crate::support::SERVING;

/// The indexes that a statement's plan uses, and the tables that it reads as a whole.
fn used(connection: &mut PgConnection, statement: &Recorded, types: &[String]) -> BTreeSet<String> {
    let literals = statement.literals(types).join(", ");
    let execution = match types.is_empty() {
        true => "EXECUTE planned".to_owned(),
        false => format!("EXECUTE planned ({literals})"),
    };
    let prepare = format!(
        "PREPARE planned ({}) AS {}",
        types.join(", "),
        statement.sql
    );
    let prepare = prepare.replace("planned () AS", "planned AS");
    connection.batch_execute(&prepare).unwrap();
    let plan = lines(
        connection,
        &format!(
            "SELECT line FROM plan_of('{}') AS line",
            execution.replace('\'', "''")
        ),
    );
    connection.batch_execute("DEALLOCATE planned").unwrap();
    let plan = plan.join("\n");
    let after = |mark: &'static str| {
        let marks = plan.split(mark).skip(1);
        marks.map(move |rest| format!("{mark}{}", rest.split('"').next().unwrap()))
    };
    let whole = plan
        .split("\"Node Type\": \"Seq Scan\"")
        .skip(1)
        .map(|rest| rest.split("\"Relation Name\": \"").nth(1).unwrap())
        .map(|rest| format!("the whole of {}", rest.split('"').next().unwrap()));
    after("\"Index Name\": \"").chain(whole).collect()
}

const PLAN_OF: &str = "
CREATE FUNCTION plan_of(execution text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    FOR plan IN EXECUTE 'EXPLAIN (FORMAT JSON) ' || execution LOOP
        RETURN NEXT plan::text;
    END LOOP;
END $$";

#[actix_rt::test]
async fn every_statement_uses_the_same_indexes_with_row_level_security_as_without() {
    let (journal, statements) = record().await;
    let mut connection = journal.database.connect();
    connection.batch_execute(PLAN_OF).unwrap();
    let user = ann().user;
    let given = format!("SET epicme.user_id = '{user}'; SET epicme.user_ids = '{{{user}}}'");
    connection.batch_execute(&given).unwrap();
    let mut differences = Vec::new();
    let mut planned = 0;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let mode = format!("SET plan_cache_mode = {mode}");
        connection.batch_execute(&mode).unwrap();
        for statement in &statements {
            let types = statement.types(&mut connection);
            let without = used(&mut connection, statement, &types);
            let role = format!("SET ROLE {SERVING}");
            connection.batch_execute(&role).unwrap();
            let with = used(&mut connection, statement, &types);
            connection.batch_execute("RESET ROLE").unwrap();
            planned += usize::from(!without.is_empty());
            if with != without {
                differences.push(format!("{mode}: {}\n{without:?}\n{with:?}", statement.sql));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(planned >= 120, "{planned}");
}
