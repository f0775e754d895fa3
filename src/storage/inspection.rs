//! What a database is, for whoever sets it up: its version, the role, its rights, and what is in between.

use diesel::{
    Connection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Bool, Integer, Nullable, Text},
};
use secrecy::SecretString;

use super::{
    error::StorageError, establish::establish, migrations::pending_on, pooling::SessionCheck,
    row_security_inspection::RowSecurity,
};

/// What was found out about a database.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The server, and what the role may do there.
    pub server: Server,
    /// The names of the migrations that it lacks. An error if the role may not know.
    pub pending_migrations: Result<Vec<String>, StorageError>,
    /// What row-level security does for the role.
    pub row_security: RowSecurity,
    /// Whether a connection stays with one session of PostgreSQL.
    pub pooling: Pooling,
}

/// A server of PostgreSQL as a session sees it.
#[derive(Clone, Debug, QueryableByName)]
pub struct Server {
    /// Its version, as it writes it.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// The name of the database.
    #[diesel(sql_type = Text)]
    pub database: String,
    /// The role.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// Whether the role may do everything.
    #[diesel(sql_type = Bool)]
    pub is_superuser: bool,
    /// Whether the role may create tables, as migrations do.
    #[diesel(sql_type = Bool)]
    pub may_create: bool,
    /// Whether `btree_gin`, which the index of searches needs, is there.
    #[diesel(sql_type = Bool)]
    pub has_btree_gin: bool,
    /// Whether the server could create it: its files are installed.
    #[diesel(sql_type = Bool)]
    pub offers_btree_gin: bool,
    /// Whether the role may create extensions that are trusted, as this one is.
    #[diesel(sql_type = Bool)]
    pub may_create_extensions: bool,
    /// The encoding of the database.
    #[diesel(sql_type = Text)]
    pub encoding: String,
    /// Whether it takes no writes.
    #[diesel(sql_type = Bool)]
    pub is_read_only: bool,
    /// Whether it follows another server.
    #[diesel(sql_type = Bool)]
    pub is_standby: bool,
    /// Whether PostgreSQL's connection is encrypted: this one, or that of the pooler in between.
    #[diesel(sql_type = Bool)]
    pub is_encrypted: bool,
    /// The port that PostgreSQL itself listens on; `None` for a Unix socket.
    #[diesel(sql_type = Nullable<Integer>)]
    pub port: Option<i32>,
    /// The connections that the server admits for ordinary roles.
    #[diesel(sql_type = BigInt)]
    pub most_connections: i64,
    /// The journal's tables that the role may not both read and change.
    #[diesel(sql_type = Nullable<Text>)]
    pub forbidden_tables: Option<String>,
}

/// Whether a connection stays with one session of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// It does, as far as can be seen: there is no pooler, or one that keeps sessions.
    None,
    /// A pooler gives each transaction another session, which loses the settings of a connection.
    Transaction,
}

/// Looks at a database through two connections, and changes nothing. Blocks.
///
/// # Errors
/// `Unavailable` if it cannot be reached, `Corrupt` if it refuses what it is asked.
pub fn inspect(database_url: &SecretString) -> Result<Inspection, StorageError> {
    let mut connection = establish(database_url)?;
    let check = SessionCheck::new(database_url.clone(), establish);
    let keeps_session = check.keeps_session(&mut connection);
    // In transactions: without one, a pooler may prepare a statement in one session and execute it in another.
    let server = connection.transaction(|connection| {
        sql_query(ABOUT)
            .get_result::<Server>(connection)
            .map_err(StorageError::from)
    });
    let server = match (server, &keeps_session) {
        // A pooler that lends sessions for single statements takes no transaction.
        (Err(_), Ok(false)) => return Err(SessionCheck::refusal().into()),
        (server, _) => server?,
    };
    let pooling = match keeps_session {
        Ok(false) => Pooling::Transaction,
        // A standby has no notifications, by which this is found out.
        Err(error) if !server.is_standby => return Err(error.into()),
        Ok(true) | Err(_) => Pooling::None,
    };
    Ok(Inspection {
        server,
        pending_migrations: connection.transaction(pending_on),
        row_security: connection.transaction(RowSecurity::of)?,
        pooling,
    })
}

const ABOUT: &str = "
SELECT current_setting('server_version') AS version,
       current_database()::text AS database,
       current_user::text AS role,
       coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS is_superuser,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin') AS has_btree_gin,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gin') AS offers_btree_gin,
       has_database_privilege(current_database(), 'CREATE') AS may_create_extensions,
       current_setting('server_encoding') AS encoding,
       current_setting('transaction_read_only') = 'on' AS is_read_only,
       pg_is_in_recovery() AS is_standby,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted,
       inet_server_port() AS port,
       current_setting('max_connections')::bigint
         - current_setting('superuser_reserved_connections')::bigint AS most_connections,
       (SELECT string_agg(relname::text, ' ' ORDER BY relname) FROM pg_class
         WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
           AND relkind IN ('r', 'p')
           AND relname IN ('users', 'entries', 'tags', 'entry_tags', 'idempotency_keys', 'used_request_states',
                           'activity', 'exports', 'export_parts', 'revocations', 'usage', 'sessions',
                           'session_answers', 'tag_deletions')
           AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))) AS forbidden_tables";
