//! `LISTEN` and `NOTIFY`, on a connection of its own.

use std::time::Duration;

use diesel::{
    PgConnection, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{Integer, Text},
};
use secrecy::SecretString;

use super::{error::StorageError, establish::connect_with, statement::Statement, within::within};

/// The longest text of a notification, in bytes: PostgreSQL takes less than 8,000.
pub const LONGEST: usize = 7_999;

/// How long sending one may take: longer than the server gives its statement.
const SLOWEST: Duration = Duration::from_secs(4);

/// A connection that listens on the channel of this server. Channels belong to a database; the name of the schema
/// keeps servers apart that share one.
pub struct Notifications {
    /// `None` once it did not answer.
    connection: Option<PgConnection>,
    channel: String,
}

impl Notifications {
    /// Connects and listens. Blocks.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be reached, or is one that cannot be listened on, such as a standby.
    pub fn listen(url: &SecretString) -> Result<Self, StorageError> {
        let (connection, channel) = connect_with(url, listen_on)?;
        Ok(Self {
            connection: Some(connection),
            channel,
        })
    }

    /// The next notification that has arrived. Does not block.
    ///
    /// # Errors
    /// `Unavailable` if the connection broke.
    pub fn arrived(&mut self) -> Result<Option<String>, StorageError> {
        let Some(connection) = &mut self.connection else {
            return Err(no_connection());
        };
        let next = connection.notifications_iter().next();
        let next = next.transpose().map_err(StorageError::unavailable)?;
        Ok(next.map(|notification| notification.payload))
    }

    /// Notifies all who listen, this connection among them. Blocks for a round trip, and for a few seconds at most.
    ///
    /// # Errors
    /// `Unavailable` if the connection broke or does not answer. The notification may have been sent.
    pub fn send(&mut self, text: &str) -> Result<(), StorageError> {
        let mut connection = self.connection.take().ok_or_else(no_connection)?;
        let (channel, text) = (self.channel.clone(), text.to_owned());
        let sent = within(SLOWEST, move || {
            // The function returns void, which has no type in Diesel.
            let sent = Statement::<Integer>::new("SELECT 1 FROM pg_catalog.pg_notify($1, $2)")
                .bind::<Text, _>(&channel)
                .bind::<Text, _>(&text)
                .get_result::<i32>(&mut connection);
            (connection, sent)
        });
        let (connection, sent) = sent?;
        self.connection = Some(connection);
        sent?;
        Ok(())
    }
}

/// Has a connection listen; returns the name of its channel.
fn listen_on(connection: &mut PgConnection) -> Result<String, StorageError> {
    // A notification is not stored, so its commit need not wait for the disk.
    connection.batch_execute(
        "SET application_name = 'epicme bus'; SET statement_timeout = 2000;
         SET lock_timeout = 2000; SET synchronous_commit = off",
    )?;
    // A name has at most 63 bytes.
    let (channel, quoted) = Statement::<(Text, Text)>::new(
        "SELECT name, quote_ident(name)
           FROM coalesce(current_schema()::text, '') AS schema,
                concat('epicme.', CASE WHEN octet_length(schema) <= 50 THEN schema ELSE md5(schema) END) AS name",
    )
    .get_result::<(String, String)>(connection)?;
    connection.batch_execute(&format!("LISTEN {quoted}"))?;
    Ok(channel)
}

fn no_connection() -> StorageError {
    StorageError::unavailable("the connection did not answer before")
}
