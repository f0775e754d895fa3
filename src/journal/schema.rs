//! Whether the database's schema is the one that this program was built for. If the database is down when
//! the program starts, the schema is checked once it can be reached, and no message is admitted before.

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

use crate::storage::{self, StorageError};

/// The pause between two attempts to reach the database.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the schema has been checked when the journal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaCheck {
    /// It has, and lacks no migration.
    Done,
    /// It has not, because the database could not be reached. The journal checks it once the database can
    /// be, and admits no message before.
    WhenReachable {
        /// Whether missing migrations are run.
        migrate: bool,
    },
}

/// The result of the check, shared by the actor pool and the handle.
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
            // Unreachable, because `self` holds the sender.
            None => pending().await,
        }
    }
}

/// Checks the schema until the database answers, or the last handle is dropped.
///
/// With `migrate_by`, missing migrations are run by that URL.
pub(super) async fn check_when_reachable(
    schema: Weak<Schema>,
    url: SecretString,
    migrate_by: Option<SecretString>,
) {
    let mut last_reason = String::new();
    loop {
        let (asked, migrate_by) = (url.clone(), migrate_by.clone());
        let checked = spawn_blocking(move || check(&asked, migrate_by.as_ref())).await;
        let Some(schema) = schema.upgrade() else {
            return;
        };
        match checked {
            Ok(Ok(missing)) if missing.is_empty() => {
                log::info!("the database is there, and its schema is up to date");
                schema.known_good.store(true, Ordering::Release);
                return;
            }
            Ok(Ok(missing)) => {
                schema.behind.send_replace(Some(missing.into()));
                return;
            }
            Ok(Err(error)) => {
                // Logged again only when the reason changes: an outage may be long.
                let reason = storage::unusable(&url, &error).to_string();
                if reason != last_reason {
                    log::warn!("waiting for the database: {reason}");
                    last_reason = reason;
                }
            }
            Err(_) => log::error!("checking the schema panicked, will retry"),
        }
        drop(schema);
        actix_rt::time::sleep(RETRY).await;
    }
}

/// The names of missing migrations, after running those that may be run.
fn check(
    url: &SecretString,
    migrate_by: Option<&SecretString>,
) -> Result<Vec<String>, StorageError> {
    if let Some(direct) = migrate_by {
        for name in storage::migrate(direct)? {
            log::info!("ran migration {name}");
        }
    }
    storage::pending_migrations(url)
}
