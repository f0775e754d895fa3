//! Cancels the statement that another connection executes.

use diesel::{
    OptionalExtension, PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Bool, Integer, Text},
};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect, statement::Statement};

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

    /// Connects, unless it is connected. Blocks.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached.
    pub fn connect(&mut self) -> Result<(), StorageError> {
        if self.connection.is_none() {
            let mut connection = connect(&self.database_url)?;
            connection.batch_execute(
                "SET application_name = 'epicme cancel'; SET statement_timeout = 1000",
            )?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Has PostgreSQL cancel what the process executes, if it still runs. When this returns, the process has
    /// been signalled. Blocks.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached.
    pub fn cancel(&mut self, backend: &Backend) -> Result<(), StorageError> {
        self.connect()?;
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let signalled = Statement::<Bool>::new(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
              WHERE pid = $1 AND backend_start = $2::text::timestamptz",
        )
        .bind::<Integer, _>(backend.pid)
        .bind::<Text, _>(&backend.started)
        .get_result::<bool>(connection)
        .optional();
        match signalled {
            Ok(_) => Ok(()),
            Err(error) => {
                self.connection = None;
                Err(error.into())
            }
        }
    }
}
