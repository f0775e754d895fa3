//! Statements written by hand that go through Diesel's statement cache.
//!
//! `diesel::sql_query` is never cached: each call is parsed and planned again. A [`Statement`] is
//! prepared once per connection, reads its row by position, and its binds have their SQL types.

use std::marker::PhantomData;

use diesel::{
    QueryResult, RunQueryDsl,
    pg::{Pg, PgConnection},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::HasSqlType,
};

/// SQL text with `$1`, `$2`, … for its binds, and the SQL type of its row.
#[must_use = "a statement does nothing until it is run"]
pub(super) struct Statement<Row, Binds = NoBinds> {
    sql: &'static str,
    plan: Plan,
    binds: Binds,
    row: PhantomData<Row>,
}

/// No bind yet.
pub(super) struct NoBinds;

/// The binds so far, and one more.
pub(super) struct Bound<Before, SqlType, Value> {
    before: Before,
    value: Value,
    sql_type: PhantomData<SqlType>,
}

#[derive(Clone, Copy)]
enum Plan {
    Cached,
    FitToBinds,
}

impl<Row> Statement<Row> {
    /// A statement that is prepared once per connection.
    pub(super) const fn new(sql: &'static str) -> Self {
        Self::with_plan(sql, Plan::Cached)
    }

    /// A statement that is planned each time, for its best plan depends on what is bound.
    pub(super) const fn fit_to_binds(sql: &'static str) -> Self {
        Self::with_plan(sql, Plan::FitToBinds)
    }

    const fn with_plan(sql: &'static str, plan: Plan) -> Self {
        Self {
            sql,
            plan,
            binds: NoBinds,
            row: PhantomData,
        }
    }
}

impl<Row, Binds> Statement<Row, Binds> {
    /// Binds the next placeholder.
    pub(super) fn bind<SqlType, Value>(
        self,
        value: Value,
    ) -> Statement<Row, Bound<Binds, SqlType, Value>> {
        Statement {
            sql: self.sql,
            plan: self.plan,
            binds: Bound {
                before: self.binds,
                value,
                sql_type: PhantomData,
            },
            row: PhantomData,
        }
    }
}

impl<Row, Binds: QueryFragment<Pg>> QueryFragment<Pg> for Statement<Row, Binds> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if matches!(self.plan, Plan::FitToBinds) {
            out.unsafe_to_cache_prepared();
        }
        // Diesel writes a placeholder wherever it collects a bind. Ours stand in the text already,
        // at their places and as often as they are used, so Diesel's go into a comment.
        out.push_sql("/*");
        self.binds.walk_ast(out.reborrow())?;
        out.push_sql("*/ ");
        out.push_sql(self.sql);
        Ok(())
    }
}

impl QueryFragment<Pg> for NoBinds {
    fn walk_ast<'b>(&'b self, _out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        Ok(())
    }
}

impl<Before, SqlType, Value> QueryFragment<Pg> for Bound<Before, SqlType, Value>
where
    Before: QueryFragment<Pg>,
    Pg: HasSqlType<SqlType>,
    Value: ToSql<SqlType, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.before.walk_ast(out.reborrow())?;
        out.push_bind_param::<SqlType, Value>(&self.value)
    }
}

/// The cache's key is the text and the binds' types.
impl<Row, Binds> QueryId for Statement<Row, Binds> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row, Binds> Query for Statement<Row, Binds> {
    type SqlType = Row;
}

impl<Row, Binds> RunQueryDsl<PgConnection> for Statement<Row, Binds> {}
