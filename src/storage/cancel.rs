//! Cancels the statement that another connection executes.

use std::time::Duration;

use diesel::{
    OptionalExtension, PgConnection, QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Bool, Integer, Text},
};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect_with, statement::Statement, within::within};

/// How long a request to cancel may take. The connection on which the statement runs waits for it.
const LONGEST: Duration = Duration::from_secs(1);

/// The process of PostgreSQL that serves a connection. The time distinguishes it from a later process with the
/// same number.
#[derive(Clone, Debug)]
pub struct Backend {
    pid: i32,
    started: String,
}

impl Backend {
    /// That of a connection.
    pub(super) fn of(connection: &mut PgConnection) -> Result<Self, StorageError> {
        let (pid, started) = Statement::<(Integer, Text)>::new(
            "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()",
        )
        .get_result(connection)?;
        Ok(Self { pid, started })
    }
}

/// A connection of its own, for `pg_cancel_backend`: libpq's `PQcancel` needs `unsafe`, and is sent without
/// saying when it has arrived.
pub struct Canceller {
    database_url: SecretString,
    connection: Option<PgConnection>,
}

impl Canceller {
    /// Connects to nothing yet.
    #[must_use]
    pub const fn new(database_url: SecretString) -> Self {
        Self {
            database_url,
            connection: None,
        }
    }

    /// Connects, unless it is connected. Blocks. Of several hosts in the URL, both this connection and the one on
    /// which the statement runs lead to the one that takes writes.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached.
    pub fn connect(&mut self) -> Result<(), StorageError> {
        if self.connection.is_none() {
            let set = "SET application_name = 'epicme cancel'; SET statement_timeout = 1000";
            let set_up = |connection: &mut PgConnection| {
                connection.batch_execute(set).map_err(StorageError::from)
            };
            let (connection, ()) = connect_with(&self.database_url, set_up)?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Has PostgreSQL cancel what the process executes, if it still runs. When this returns, the process has
    /// been signalled. Blocks, for a second at most.
    ///
    /// # Errors
    /// `Unavailable` if it is not connected, or the database does not answer.
    pub fn cancel(&mut self, backend: &Backend) -> Result<(), StorageError> {
        let Some(mut connection) = self.connection.take() else {
            return Err(StorageError::unavailable(
                "no connection to the server is open for cancelling",
            ));
        };
        let backend = backend.clone();
        let signalled = within(LONGEST, move || {
            let signalled = signal(&mut connection, &backend);
            (connection, signalled)
        });
        let (connection, signalled) = signalled?;
        signalled?;
        self.connection = Some(connection);
        Ok(())
    }
}

/// A process that has ended is not signalled, nor one of another server that has the same number.
fn signal(connection: &mut PgConnection, backend: &Backend) -> QueryResult<()> {
    let signalled = Statement::<Bool>::new(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
          WHERE pid = $1 AND backend_start = $2::text::timestamptz",
    )
    .bind::<Integer, _>(backend.pid)
    .bind::<Text, _>(&backend.started)
    .get_result::<bool>(connection)
    .optional();
    signalled.map(drop)
}
