//! What the database holds, compared as text.

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types};

use super::TestDatabase;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = sql_types::Text)]
    line: String,
}

impl TestDatabase {
    fn lines(&self, sql: &str) -> Vec<String> {
        let lines = sql_query(sql).load::<Line>(&mut self.connect()).unwrap();
        lines.into_iter().map(|line| line.line).collect()
    }

    /// Every row of a user in every table that has owners, but for `activity`, which is written later than
    /// the calls that it counts.
    pub(crate) fn rows_of(&self, user_id: &str) -> Vec<String> {
        let tables = self.lines(
            "SELECT table_name::text AS line FROM information_schema.columns
              WHERE table_schema = 'public' AND column_name = 'user_id' AND table_name <> 'activity'",
        );
        let rows = tables.iter().flat_map(|table| {
            let rows = self.lines(&format!(
                "SELECT t::text AS line FROM {table} t WHERE user_id = '{user_id}' ORDER BY 1"
            ));
            rows.into_iter().map(move |row| format!("{table} {row}"))
        });
        let rows: Vec<_> = rows.collect();
        assert!(!rows.is_empty(), "the user has rows");
        rows
    }

    /// Has every table number its next rows from here on.
    pub(crate) fn number_from(&self, next: i64) {
        self.execute(&format!(
            "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, {next}, false)
               FROM pg_sequences"
        ))
        .unwrap();
    }
}
