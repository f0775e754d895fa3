//! The connection pool: r2d2 with limits that every connection sets before its first use.

use std::{
    fmt,
    num::NonZeroU32,
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    ConnectionError, PgConnection, RunQueryDsl, connection::SimpleConnection, r2d2::R2D2Connection,
    sql_types::Bool,
};
use r2d2::{HandleError, ManageConnection};
use secrecy::SecretString;

use super::{
    cancel::Backend, error::StorageError, establish::establish, pooling::SessionCheck, quota,
    statement::Statement, unreachable::Unreachable,
};
use crate::domain::journal::Quota;

/// The size of the pool and its time limits.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The libpq URL of the database.
    pub database_url: SecretString,
    /// At most this many connections.
    pub size: NonZeroU32,
    /// How long a caller waits for a connection before it gets `Unavailable`.
    pub connect_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for another's lock.
    pub lock_timeout: Duration,
    /// How much each user may store.
    pub quota: Quota,
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub struct Pool(r2d2::Pool<Sessions>);

/// A leased connection. It returns to the pool when it is dropped, unless it broke.
pub struct Lease(r2d2::PooledConnection<Sessions>);

/// A connection that was unused for longer is tested before its next use: a firewall or a fail-over may
/// have cut it unnoticed. After a shorter time the test would not be worth its round trip.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(15);

impl Pool {
    /// Creates a pool, which connects when a connection is first needed, so the database may be down.
    #[must_use]
    pub fn new(settings: &PoolSettings) -> Self {
        let builder = r2d2::Pool::builder()
            .max_size(settings.size.get())
            .min_idle(Some(1))
            .connection_timeout(settings.connect_timeout)
            .test_on_check_out(true)
            .error_handler(Box::new(LogUnreachable));
        Self(builder.build_unchecked(Sessions {
            database_url: settings.database_url.clone(),
            check: SessionCheck::new(settings.database_url.clone(), establish),
            session_settings: session_settings(settings),
            generation: Arc::default(),
        }))
    }

    /// How many connections are idle, and how many are leased.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let state = self.0.state();
        let idle = state.idle_connections;
        (idle, state.connections.saturating_sub(idle))
    }

    /// Borrows a connection. Blocks, at most for the pool's `connect_timeout`.
    ///
    /// # Errors
    /// `Unavailable` if none became idle or could be opened in time.
    pub fn get(&self) -> Result<Lease, StorageError> {
        self.get_within(self.0.connection_timeout())
    }

    /// Like [`get`](Self::get), with another time limit.
    ///
    /// # Errors
    /// `Unavailable` if none became idle or could be opened in time.
    pub fn get_within(&self, limit: Duration) -> Result<Lease, StorageError> {
        match self.0.get_timeout(limit) {
            Ok(session) => Ok(Lease(session)),
            Err(error) => Err(StorageError::unavailable(error)),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?})", self.0.state())
    }
}

impl Lease {
    /// The process that serves the connection.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// Whether the connection broke while it was leased. Call it after a failure: Diesel does not notice
    /// every broken connection, so this runs a query. If it broke, connections that are as old as it are
    /// not used again either.
    pub fn is_broken(&mut self) -> bool {
        let session = &mut *self.0;
        session.broken |= session.connection.is_broken() || ping(&mut session.connection).is_err();
        if session.broken {
            session.retire_generation();
        }
        session.broken
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0.connection
    }
}

/// Whether the database answers and accepts writes: after a fail-over a connection may still lead to a
/// server that is now a standby.
///
/// # Errors
/// `Unavailable` if it does not.
pub fn ping(connection: &mut PgConnection) -> Result<(), StorageError> {
    let takes_writes = Statement::<Bool>::new(
        "SELECT pg_catalog.current_setting('transaction_read_only') = 'off'",
    )
    .get_result(connection)?;
    if takes_writes {
        Ok(())
    } else {
        Err(StorageError::unavailable(
            "the database takes no writes: it follows another, or is set to be read only",
        ))
    }
}

/// Opens and checks connections for r2d2.
struct Sessions {
    database_url: SecretString,
    /// Each connection is checked, and not only the first: what the URL leads to may change.
    check: SessionCheck,
    session_settings: String,
    generation: Arc<AtomicU64>,
}

/// A connection, and what decides whether it may be used again.
struct Session {
    connection: PgConnection,
    backend: Backend,
    /// The generation in which it was opened.
    opened_in: u64,
    generation: Arc<AtomicU64>,
    last_used: Instant,
    broken: bool,
}

impl Session {
    fn retire_generation(&self) {
        // Only the first failure of a generation counts: newer connections are kept.
        let _ = self.generation.compare_exchange(
            self.opened_in,
            self.opened_in + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
}

impl ManageConnection for Sessions {
    type Connection = Session;
    type Error = Unreachable;

    fn connect(&self) -> Result<Session, Unreachable> {
        let opened_in = self.generation.load(Ordering::Acquire);
        let mut connection = establish(&self.database_url)?;
        self.check.require(&mut connection)?;
        connection
            .batch_execute(&self.session_settings)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        let backend = Backend::of(&mut connection).map_err(Unreachable::because)?;
        Ok(Session {
            connection,
            backend,
            opened_in,
            generation: Arc::clone(&self.generation),
            last_used: Instant::now(),
            broken: false,
        })
    }

    /// Called before each lease. Costs no round trip unless the connection was idle for long.
    fn is_valid(&self, session: &mut Session) -> Result<(), Unreachable> {
        if session.opened_in != self.generation.load(Ordering::Acquire) {
            return Err(Unreachable::because(
                "the database went away since the connection was made",
            ));
        }
        if session.last_used.elapsed() > MAX_UNTESTED_IDLE {
            ping(&mut session.connection).map_err(Unreachable::because)?;
        }
        Ok(())
    }

    /// Called after each lease.
    fn has_broken(&self, session: &mut Session) -> bool {
        session.last_used = Instant::now();
        std::thread::panicking() || session.broken || session.connection.is_broken()
    }
}

/// The first statements of each connection. Limits are set here and not left to the server, so that a
/// statement for which nobody waits any longer cannot occupy the pool.
fn session_settings(settings: &PoolSettings) -> String {
    // PostgreSQL reads 0 as "no limit".
    let millis = |limit: Duration| limit.as_millis().max(1);
    format!(
        "SET application_name = 'epicme'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET client_min_messages = warning; {}",
        millis(settings.statement_timeout),
        millis(settings.lock_timeout),
        millis(settings.statement_timeout),
        quota::session_settings(settings.quota),
    )
}

/// r2d2 retries by itself, and each caller that timed out reports its own failure.
#[derive(Debug)]
struct LogUnreachable;

impl HandleError<Unreachable> for LogUnreachable {
    fn handle_error(&self, error: Unreachable) {
        log::debug!("no connection to the database: {error}");
    }
}
