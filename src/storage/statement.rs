//! Statements written by hand that go through Diesel's statement cache.
//!
//! `diesel::sql_query` is never cached: each call is parsed and planned again. A [`Statement`] is
//! prepared once per connection, reads its row by position, and its binds have their SQL types.

use std::{any::Any, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl,
    pg::{Pg, PgConnection},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::HasSqlType,
};

/// SQL text with `$1`, `$2`, … for its binds, and the SQL type of its row.
#[must_use = "a statement does nothing until it is run"]
pub(super) struct Statement<Row, Sql = &'static str, Binds = NoBinds> {
    sql: Sql,
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

/// The text of a statement.
pub(super) trait SqlText: Any {
    /// Whether all values of the type have the same text, so that the type identifies the statement.
    const IS_ONE: bool;

    /// The text.
    fn text(&self) -> &'static str;
}

impl SqlText for &'static str {
    const IS_ONE: bool = false;

    fn text(&self) -> &'static str {
        self
    }
}

/// The text that a closure returns, always the same because the closure captures nothing.
pub(super) struct Only<F>(F);

impl<F: Fn() -> &'static str + 'static> SqlText for Only<F> {
    const IS_ONE: bool = {
        assert!(size_of::<F>() == 0, "the text must depend on nothing");
        true
    };

    fn text(&self) -> &'static str {
        self.0()
    }
}

impl<Row> Statement<Row> {
    /// A statement that is prepared once per connection.
    pub(super) const fn new(sql: &'static str) -> Self {
        Self::with_plan(sql, Plan::Cached)
    }

    /// A statement that is planned each time, because its best plan depends on the bound values.
    pub(super) const fn fit_to_binds(sql: &'static str) -> Self {
        Self::with_plan(sql, Plan::FitToBinds)
    }
}

impl<Row, F: Fn() -> &'static str + 'static> Statement<Row, Only<F>> {
    /// A statement that is prepared once per connection, and identified by its place in the source. For frequent
    /// statements, because their texts need not be compared.
    pub(super) const fn often(sql: F) -> Self {
        Self::with_plan(Only(sql), Plan::Cached)
    }
}

impl<Row, Sql> Statement<Row, Sql> {
    const fn with_plan(sql: Sql, plan: Plan) -> Self {
        Self {
            sql,
            plan,
            binds: NoBinds,
            row: PhantomData,
        }
    }
}

impl<Row, Sql, Binds> Statement<Row, Sql, Binds> {
    /// Binds the next placeholder.
    pub(super) fn bind<SqlType, Value>(
        self,
        value: Value,
    ) -> Statement<Row, Sql, Bound<Binds, SqlType, Value>> {
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

impl<Row, Sql: SqlText, Binds: QueryFragment<Pg>> QueryFragment<Pg> for Statement<Row, Sql, Binds> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if matches!(self.plan, Plan::FitToBinds) {
            out.unsafe_to_cache_prepared();
        }
        // Diesel writes a placeholder for each bind that it collects. The text has its own placeholders, so
        // Diesel's go into a comment.
        out.push_sql("/*");
        self.binds.walk_ast(out.reborrow())?;
        out.push_sql("*/ ");
        out.push_sql(self.sql.text());
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

/// The types of a statement's binds, for the cache's key.
pub(super) trait BindTypes {
    /// One type for each row of them.
    type Types: Any;
}

impl BindTypes for NoBinds {
    type Types = ();
}

impl<Before: BindTypes, SqlType: Any, Value> BindTypes for Bound<Before, SqlType, Value> {
    type Types = (Before::Types, SqlType);
}

/// The key of the statement cache is the text, or the type that identifies it, and the types of the binds.
impl<Row, Sql: SqlText, Binds: BindTypes> QueryId for Statement<Row, Sql, Binds> {
    type QueryId = (Sql, Binds::Types);

    const HAS_STATIC_QUERY_ID: bool = Sql::IS_ONE;
}

impl<Row, Sql, Binds> Query for Statement<Row, Sql, Binds> {
    type SqlType = Row;
}

impl<Row, Sql, Binds> RunQueryDsl<PgConnection> for Statement<Row, Sql, Binds> {}
