//! What `serve` finds out before it serves: whether the schema of the database fits, and whether its addresses are
//! free.

use std::io;

use derive_more::{Display, Error};
use secrecy::SecretString;

use super::AppFailure;
use crate::{
    config::{DatabaseConfig, keys::HTTP},
    storage::{self, StorageError, Unusable},
};
use mcp_server::server::{Listener, StartError};

/// Why the database cannot be used as it is.
#[derive(Clone, Debug, Display, Error)]
pub enum SchemaFault {
    /// It lacks migrations: a server on half a schema would fail later, and worse.
    #[display("{_0}")]
    Behind(#[error(not(source))] AppFailure),
    /// It refuses what it is asked.
    #[display("the database cannot be used: {_0}")]
    Refused(Box<Unusable>),
}

/// Whether the schema is known to be up to date. It is unknown while the database is unreachable or does not answer, which
/// does not stop the start: clients get 503 until it can be reached. It is unknown as well if migrations are to be run, which
/// the journal does while the server listens already: they may take long. Blocks, for a limited time.
///
/// # Errors
/// See [`SchemaFault`].
pub fn schema_is_current(database: &DatabaseConfig) -> Result<bool, SchemaFault> {
    if database.migrate {
        return Ok(false);
    }
    match storage::pending_migrations(&database.url) {
        Ok(pending) if pending.is_empty() => Ok(true),
        Ok(pending) => Err(SchemaFault::Behind(AppFailure::SchemaBehind(
            pending.into(),
        ))),
        Err(StorageError::Unavailable { .. } | StorageError::TimedOut { .. }) => Ok(false),
        Err(error) => Err(SchemaFault::Refused(Box::new(storage::unusable(
            &database.url,
            &error,
        )))),
    }
}

/// Runs pending migrations, and turns row-level security on if it is wanted: not at the start of a server, because
/// servers that give their connections no user would find every table empty. Blocks. Returns the names of the
/// migrations.
///
/// # Errors
/// Why the database cannot be used as it is.
pub fn migrate(url: &SecretString, row_level_security: bool) -> Result<Vec<String>, Unusable> {
    let migrated = storage::attended(url, move |url| {
        let names = storage::migrate(url)?;
        if row_level_security {
            storage::turn_on_row_level_security(url)?;
            log::info!("row-level security is on for the tables of users");
        }
        Ok(names)
    });
    migrated.map_err(|error| storage::unusable(url, &error))
}

/// An error of the start, with the key that moves a listener whose address cannot be had.
pub(super) fn explained(error: StartError) -> io::Error {
    match error {
        StartError::Listen {
            listener,
            address,
            source,
        } => {
            let (key, off) = match listener {
                Listener::Metrics => (HTTP.metrics.name, ", and off needs none"),
                Listener::Operators => (HTTP.admin.name, ""),
            };
            let reason = format!(
                "cannot listen on {address} for {listener}: {source}; {key} takes another address{off}"
            );
            io::Error::new(source.kind(), reason)
        }
        other => other.into(),
    }
}
