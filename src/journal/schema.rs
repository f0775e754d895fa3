//! Whether the database's schema is the one that this program was built for. If the database is down when
//! the program starts, or migrations are to be run, the schema is checked once the database can be reached, and no
//! message is admitted before.

use std::{
    future::pending,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use actix_rt::task::spawn_blocking;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::storage::{self, StorageError, Unusable};

/// The pause between two attempts to reach the database.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the schema has been checked when the journal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaCheck {
    /// It has, and lacks no migration.
    Done,
    /// It has not, because the database could not be reached or migrations are to be run. The journal checks it once the
    /// database can be reached, and admits no message before.
    WhenReachable {
        /// Whether missing migrations are run.
        migrate: bool,
    },
}

/// How far the check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SchemaState {
    /// It is not known whether the schema lacks anything.
    Unknown,
    /// Migrations run, or another process's are waited for.
    Migrating,
    /// It lacks nothing.
    Good,
}

/// Why the journal cannot be used before somebody has done something.
#[derive(Clone, Debug)]
pub enum SchemaFailure {
    /// The schema lacks these migrations.
    Behind(Arc<[String]>),
    /// The database refuses what it is asked, or a migration.
    Refused(Unusable),
}

/// The result of the check, shared by the actor pool and the handle.
pub(super) struct Schema {
    state: AtomicU8,
    failure: watch::Sender<Option<SchemaFailure>>,
}

impl Schema {
    pub(super) fn new(check: SchemaCheck) -> Self {
        let state = match check {
            SchemaCheck::Done => SchemaState::Good,
            SchemaCheck::WhenReachable { .. } => SchemaState::Unknown,
        };
        Self {
            state: AtomicU8::new(state as u8),
            failure: watch::Sender::new(None),
        }
    }

    pub(super) fn is_known_good(&self) -> bool {
        self.state.load(Ordering::Acquire) == SchemaState::Good as u8
    }

    pub(super) fn state(&self) -> SchemaState {
        let state = self.state.load(Ordering::Acquire);
        [SchemaState::Unknown, SchemaState::Migrating]
            .into_iter()
            .find(|one| *one as u8 == state)
            .unwrap_or(SchemaState::Good)
    }

    fn set(&self, state: SchemaState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(super) async fn failed(&self) -> SchemaFailure {
        let mut failure = self.failure.subscribe();
        let found = failure.wait_for(Option::is_some).await;
        match found.ok().and_then(|failure| failure.clone()) {
            Some(failure) => failure,
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
        let told = Weak::clone(&schema);
        let checked = spawn_blocking(move || check(&asked, migrate_by.as_ref(), &told)).await;
        let Some(schema) = schema.upgrade() else {
            return;
        };
        match checked {
            Ok(Ok(missing)) if missing.is_empty() => {
                log::info!("the database is there, and its schema is up to date");
                schema.set(SchemaState::Good);
                return;
            }
            Ok(Ok(missing)) => {
                let failure = SchemaFailure::Behind(missing.into());
                schema.failure.send_replace(Some(failure));
                return;
            }
            Ok(Err(error @ (StorageError::Unavailable { .. } | StorageError::TimedOut { .. }))) => {
                // Logged again only when the reason changes: an outage may be long.
                let reason = storage::unusable(&url, &error).to_string();
                if reason != last_reason {
                    log::warn!("waiting for the database: {reason}");
                    last_reason = reason;
                }
            }
            Ok(Err(error)) => {
                let failure = SchemaFailure::Refused(storage::unusable(&url, &error));
                schema.failure.send_replace(Some(failure));
                return;
            }
            Err(_) => log::error!("checking the schema panicked, will retry"),
        }
        schema.set(SchemaState::Unknown);
        drop(schema);
        actix_rt::time::sleep(RETRY).await;
    }
}

/// The names of missing migrations, after running those that may be run.
fn check(
    url: &SecretString,
    migrate_by: Option<&SecretString>,
    schema: &Weak<Schema>,
) -> Result<Vec<String>, StorageError> {
    // By the URL that serves, which may lead to a pooler.
    let missing = storage::pending_migrations(url)?;
    let Some(direct) = migrate_by.filter(|_| !missing.is_empty()) else {
        return Ok(missing);
    };
    if let Some(schema) = schema.upgrade() {
        schema.set(SchemaState::Migrating);
    }
    log::info!(
        "running {} migrations, or waiting for another process that does: {}",
        missing.len(),
        missing.join(", ")
    );
    for name in storage::attended(direct, storage::migrate)? {
        log::info!("ran migration {name}");
    }
    storage::pending_migrations(url)
}
