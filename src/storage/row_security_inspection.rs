//! What row-level security does for the role of a connection, for whoever sets it up.

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Bool, Nullable, Text},
};

use super::error::StorageError;

/// Row-level security as a role meets it.
#[derive(Clone, Debug, QueryableByName)]
pub struct RowSecurity {
    /// The tables of users of which it holds the role to one user's rows.
    #[diesel(sql_type = Nullable<Text>)]
    pub guarded_tables: Option<String>,
    /// Those of which it does not.
    #[diesel(sql_type = Nullable<Text>)]
    pub unguarded_tables: Option<String>,
    /// Whether no policy binds the role, because it owns the tables, is a superuser or may bypass them.
    #[diesel(sql_type = Bool)]
    pub is_exempt: bool,
    /// Whether it may act as the role that deletes expired rows.
    #[diesel(sql_type = Bool)]
    pub may_delete_expired: bool,
    /// Whether it has the rights of that role without acting as it.
    #[diesel(sql_type = Bool)]
    pub inherits: bool,
    /// The tables that it may empty at once, which no policy prevents, and does not own.
    #[diesel(sql_type = Nullable<Text>)]
    pub truncatable_tables: Option<String>,
}

impl RowSecurity {
    pub(super) fn of(connection: &mut PgConnection) -> Result<Self, StorageError> {
        Ok(sql_query(ABOUT).get_result(connection)?)
    }
}

const ABOUT: &str = "
WITH owned AS (
  SELECT c.oid, c.relname::text AS name, row_security_active(c.oid) AS is_active,
         pg_has_role(current_user, c.relowner, 'USAGE') AS is_own
    FROM pg_class c
   WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
     AND c.relkind IN ('r', 'p')
     AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'own_rows'))
SELECT string_agg(name, ' ' ORDER BY name) FILTER (WHERE is_active) AS guarded_tables,
       string_agg(name, ' ' ORDER BY name) FILTER (WHERE NOT is_active) AS unguarded_tables,
       coalesce(bool_or(is_own), false)
         OR (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS is_exempt,
       coalesce((SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles
                  WHERE rolname = 'epicme_housekeeping'), false) AS may_delete_expired,
       coalesce((SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles
                  WHERE rolname = 'epicme_housekeeping'), false) AS inherits,
       string_agg(name, ' ' ORDER BY name)
         FILTER (WHERE NOT is_own AND has_table_privilege(oid, 'TRUNCATE')) AS truncatable_tables
  FROM owned";
