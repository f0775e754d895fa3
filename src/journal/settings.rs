//! The settings of a journal.

use std::{num::NonZeroU32, time::Duration};

use secrecy::SecretString;

use crate::domain::journal::Quota;
use mcp_server::features::changes::Changes;

use super::schema::SchemaCheck;

/// Where the journal's database is, and how many messages may be under way.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// A libpq URL.
    pub database_url: SecretString,
    /// A libpq URL by which migrations are run.
    pub direct_url: SecretString,
    /// The most connections, and the number of JournalActors.
    pub pool: NonZeroU32,
    /// How many messages may wait for a connection.
    pub queue: u32,
    /// How long a message waits for admission before it is refused as `Busy`.
    pub failfast: Duration,
    /// Whether one statement may write rows of several users: entries that arrive together, counts of activity.
    pub group_commit: bool,
    /// How long an entry waits for the batch under way before it, to be written in the next. After that
    /// another batch starts beside the first, which may be held up by a lock that does not concern it.
    pub max_batch_delay: Duration,
    /// How long an admitted message waits for a connection before the database counts as unavailable.
    pub connect_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
    /// How much each user may store.
    pub quota: Quota,
    /// Whether connections are given the user whom they serve, for row-level security.
    pub row_level_security: bool,
    /// Whether the schema has been checked.
    pub schema: SchemaCheck,
    /// Notifies sessions and streams of what the journal changed.
    pub changes: Changes,
}

impl JournalSettings {
    /// The default settings for a database.
    #[must_use]
    pub fn new(database_url: SecretString, changes: Changes) -> Self {
        Self {
            direct_url: database_url.clone(),
            database_url,
            pool: NonZeroU32::new(10).expect("ten is not zero"),
            queue: 96,
            failfast: Duration::from_millis(250),
            group_commit: true,
            max_batch_delay: Duration::from_millis(25),
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            quota: Quota::default(),
            row_level_security: false,
            schema: SchemaCheck::Done,
            changes,
        }
    }
}
