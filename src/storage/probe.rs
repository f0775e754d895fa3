//! Whether the database answers, on a connection that nobody else uses.

use std::time::Duration;

use diesel::{PgConnection, connection::SimpleConnection};
use parking_lot::Mutex;
use secrecy::SecretString;

use super::{error::StorageError, establish::connect_with, pool::ping, within::within};

/// How long a database may take to answer on a connection that is open.
const LONGEST: Duration = Duration::from_millis(2_500);

/// Checks the database for readiness. It has a connection of its own, so that a check neither waits behind users'
/// statements nor takes a connection from them.
pub struct Probe {
    database_url: SecretString,
    /// Locked during a check.
    connection: Mutex<Option<PgConnection>>,
}

impl Probe {
    /// Connects to nothing yet.
    #[must_use]
    pub const fn new(database_url: SecretString) -> Self {
        Self {
            database_url,
            connection: Mutex::new(None),
        }
    }

    /// Checks that the database answers and accepts writes. Blocks.
    ///
    /// # Errors
    /// `Unavailable` if it does not, or if the check before this one still waits for it.
    pub fn check(&self) -> Result<(), StorageError> {
        let Some(mut kept) = self.connection.try_lock() else {
            return Err(StorageError::unavailable(
                "the database has not answered the check before this one",
            ));
        };
        // One that was kept may have been cut meanwhile, which says nothing about the database.
        if let Some(mut connection) = kept.take() {
            let answer = within(LONGEST, move || {
                let answer = ping(&mut connection);
                (connection, answer)
            });
            // Silence is an answer: connecting could only take as long.
            if let (connection, Ok(())) = answer? {
                *kept = Some(connection);
                return Ok(());
            }
        }
        let (connection, ()) = connect_with(&self.database_url, |connection| {
            let set = "SET application_name = 'epicme readiness'; SET statement_timeout = 2000";
            connection.batch_execute(set)?;
            ping(connection)
        })?;
        *kept = Some(connection);
        Ok(())
    }
}
