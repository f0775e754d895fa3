//! Whether the database's schema is the one that this program was built for. If the database is down
//! when the program starts, that is looked at as soon as it is there, and before anything is asked.

use std::{
    future::pending,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_rt::task::spawn_blocking;
use secrecy::SecretString;
use tokio::sync::watch;

use super::handle::Inner;
use crate::storage::{self, StorageError};

/// How often it is tried to reach a database that is not there.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the schema has been looked at when the journal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaCheck {
    /// It has, and is as it should be.
    Done,
    /// It could not be. It will be when the database is there; nothing is asked before.
    WhenReachable {
        /// Whether migrations that it lacks are run.
        migrate: bool,
    },
}

/// What is known of the schema.
pub(super) struct Schema {
    known_good: AtomicBool,
    behind: watch::Sender<Option<Arc<[String]>>>,
}

impl Schema {
    pub(super) fn new(check: SchemaCheck) -> Self {
        Self {
            known_good: AtomicBool::new(check == SchemaCheck::Done),
            behind: watch::Sender::new(None),
        }
    }

    pub(super) fn is_known_good(&self) -> bool {
        self.known_good.load(Ordering::Acquire)
    }

    pub(super) async fn is_behind(&self) -> Arc<[String]> {
        let mut behind = self.behind.subscribe();
        let found = behind.wait_for(Option::is_some).await;
        match found.ok().and_then(|names| names.clone()) {
            Some(names) => names,
            // The sender is our own, so this is never reached; if it were, nothing would be behind.
            None => pending().await,
        }
    }
}

/// Looks at the schema until the database could be asked, or the last handle is gone.
pub(super) async fn look(journal: Weak<Inner>, url: SecretString, migrate: bool) {
    let mut said = String::new();
    loop {
        let url = url.clone();
        let looked = spawn_blocking(move || look_once(&url, migrate)).await;
        let Some(journal) = journal.upgrade() else {
            return;
        };
        match looked {
            Ok(Ok(missing)) if missing.is_empty() => {
                log::info!("the database is there, and its schema is up to date");
                journal.schema.known_good.store(true, Ordering::Release);
                return;
            }
            Ok(Ok(missing)) => {
                journal.schema.behind.send_replace(Some(missing.into()));
                return;
            }
            Ok(Err(error)) => {
                // Said again only if it is something else: it may go on for long.
                let reason = error.with_cause();
                if reason != said {
                    log::warn!("waiting for the database: {reason}");
                    said = reason;
                }
            }
            Err(_) => log::error!("looking at the schema panicked; it is tried again"),
        }
        drop(journal);
        actix_rt::time::sleep(RETRY).await;
    }
}

/// The migrations that are missing.
fn look_once(url: &SecretString, migrate: bool) -> Result<Vec<String>, StorageError> {
    if migrate {
        for name in storage::migrate(url)? {
            log::info!("ran migration {name}");
        }
    }
    storage::pending_migrations(url)
}
