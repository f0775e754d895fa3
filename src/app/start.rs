//! What `serve` finds out before it serves: whether the schema of the database fits, and whether its addresses are
//! free.

use std::io;

use derive_more::{Display, Error};

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
    Refused(Unusable),
}

/// Whether the schema is known to be up to date. It is unknown while the database is unreachable, which does
/// not stop the start: clients get 503 until it can be reached. Blocks.
///
/// # Errors
/// See [`SchemaFault`].
pub fn schema_is_current(database: &DatabaseConfig) -> Result<bool, SchemaFault> {
    let mut asked = database.direct_url();
    let migrated = match database.migrate {
        true => storage::migrate(asked),
        false => Ok(Vec::new()),
    };
    let pending = migrated.and_then(|names| {
        for name in names {
            log::info!("ran migration {name}");
        }
        // By the URL that serves, which may lead to a pooler.
        asked = &database.url;
        storage::pending_migrations(asked)
    });
    match pending {
        Ok(pending) if pending.is_empty() => Ok(true),
        Ok(pending) => Err(SchemaFault::Behind(AppFailure::SchemaBehind(
            pending.into(),
        ))),
        Err(StorageError::Unavailable { .. }) => Ok(false),
        Err(error) => Err(SchemaFault::Refused(storage::unusable(asked, &error))),
    }
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
