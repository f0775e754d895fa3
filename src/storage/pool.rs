//! The connection pool: r2d2 with limits that every connection sets before its first use.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    ConnectionError, PgConnection, RunQueryDsl, connection::SimpleConnection, r2d2::R2D2Connection,
    sql_types::Bool,
};
use parking_lot::Mutex;
use r2d2::{HandleError, ManageConnection};
use secrecy::SecretString;

use super::{
    cancel::Backend,
    error::StorageError,
    establish::{establish, open_with},
    pooling::SessionCheck,
    quota,
    row_security::{self, Reach, RowsOf},
    statement::Statement,
    unreachable::Unreachable,
};
use crate::domain::{journal::Quota, outage::Outage};

/// The size of the pool and its time limits.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// The libpq URL of the database.
    pub database_url: SecretString,
    /// At most this many connections, besides those that hang.
    pub size: NonZeroU32,
    /// At most this many connections whose users gave up, because the database does not answer on them.
    pub hanging: u32,
    /// How long a caller waits for a connection before it gets `Unavailable`.
    pub connect_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for another's lock.
    pub lock_timeout: Duration,
    /// How much each user may store.
    pub quota: Quota,
    /// Whether each lease is given its user, for row-level security.
    pub row_level_security: bool,
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub struct Pool {
    sessions: r2d2::Pool<Sessions>,
    generations: Arc<Generations>,
}

/// A leased connection, which says whose rows are reached before anything can be run on it. It returns to the pool
/// when it is dropped, unless it broke.
pub struct Lease(r2d2::PooledConnection<Sessions>);

/// How long a statement may have been executed beyond its time limit before its connection is not used again: the database
/// should have cancelled it.
const GRACE: Duration = Duration::from_secs(1);

/// A connection that was unused for longer is tested before its next use: a firewall or a fail-over may
/// have cut it unnoticed. After a shorter time the test would not be worth its round trip.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(15);

impl Pool {
    /// Creates a pool, which connects when a connection is first needed, so the database may be down.
    #[must_use]
    pub fn new(settings: &PoolSettings) -> Self {
        let builder = r2d2::Pool::builder()
            .max_size(settings.size.get().saturating_add(settings.hanging))
            .min_idle(Some(1))
            .connection_timeout(settings.connect_timeout)
            .test_on_check_out(true)
            .error_handler(Box::new(LogUnreachable));
        let generations = Arc::<Generations>::default();
        let sessions = builder.build_unchecked(Sessions {
            database_url: settings.database_url.clone(),
            check: Arc::new(SessionCheck::new(settings.database_url.clone(), establish)),
            session_settings: session_settings(settings),
            gives_users: settings.row_level_security,
            is_not_in_force: Once::new(),
            generations: Arc::clone(&generations),
            longest_lease: settings.statement_timeout + GRACE,
        });
        Self {
            sessions,
            generations,
        }
    }

    /// How many connections are idle, and how many are leased.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let state = self.sessions.state();
        let idle = state.idle_connections;
        (idle, state.connections.saturating_sub(idle))
    }

    /// Borrows a connection. Blocks, at most for the pool's `connect_timeout`.
    ///
    /// # Errors
    /// `Unavailable` if none became idle or could be opened in time.
    pub fn get(&self) -> Result<Lease, StorageError> {
        self.get_within(self.sessions.connection_timeout())
    }

    /// Like [`get`](Self::get), with another time limit.
    ///
    /// # Errors
    /// `Unavailable` if none became idle or could be opened in time.
    pub fn get_within(&self, limit: Duration) -> Result<Lease, StorageError> {
        match self.sessions.get_timeout(limit) {
            Ok(session) => Ok(Lease(session)),
            Err(error) => Err(match StorageError::unavailable(error) {
                StorageError::Unavailable {
                    why: Outage::Other,
                    source,
                } => StorageError::Unavailable {
                    why: Outage::NoConnection,
                    source,
                },
                error => error,
            }),
        }
    }

    /// The database has not answered what was asked since then: connections that were open already are not used
    /// again, because the database may hang on them too.
    pub fn suspect(&self, began: Instant) {
        self.generations.retire_those_before(began);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?})", self.sessions.state())
    }
}

impl Lease {
    /// The connection, on which statements reach these rows alone where row-level security is in force. There is no
    /// other way to it.
    ///
    /// # Errors
    /// `Unavailable` if the database is.
    pub fn reaching(&mut self, rows: RowsOf) -> Result<&mut PgConnection, StorageError> {
        let session = &mut *self.0;
        let rows = if session.gives_users {
            rows
        } else {
            RowsOf::Nobody
        };
        session.reach.set(&mut session.connection, rows)?;
        Ok(&mut session.connection)
    }

    /// The same for statements that read a view of the user's own rows, which is empty without a user, whether
    /// row-level security is in force or not.
    ///
    /// # Errors
    /// `Unavailable` if the database is.
    pub fn reaching_views_of(&mut self, rows: RowsOf) -> Result<&mut PgConnection, StorageError> {
        let session = &mut *self.0;
        session.reach.set(&mut session.connection, rows)?;
        Ok(&mut session.connection)
    }

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
            session.generations.retire(session.opened_in);
        }
        session.broken
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
    check: Arc<SessionCheck>,
    session_settings: String,
    gives_users: bool,
    /// Said once.
    is_not_in_force: Once,
    generations: Arc<Generations>,
    /// Who leased a connection for longer may have been given up meanwhile.
    longest_lease: Duration,
}

/// A connection, and what decides whether it may be used again.
struct Session {
    connection: PgConnection,
    backend: Backend,
    reach: Reach,
    gives_users: bool,
    /// The generation in which it was opened.
    opened_in: u64,
    generations: Arc<Generations>,
    last_used: Instant,
    leased_at: Instant,
    broken: bool,
}

/// The generations of connections. All that are as old as one that broke are no longer used.
struct Generations {
    current: AtomicU64,
    /// When the current one began.
    since: Mutex<Instant>,
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            current: AtomicU64::new(0),
            since: Mutex::new(Instant::now()),
        }
    }
}

impl Generations {
    fn current(&self) -> u64 {
        self.current.load(Ordering::Acquire)
    }

    /// Ends a generation. Only its first failure counts: newer connections are kept.
    fn retire(&self, generation: u64) {
        let mut since = self.since.lock();
        if self.current() == generation {
            self.current.store(generation + 1, Ordering::Release);
            *since = Instant::now();
        }
    }

    /// Ends the generation that was the current one then, if it still is.
    fn retire_those_before(&self, then: Instant) {
        let mut since = self.since.lock();
        if *since <= then {
            self.current.fetch_add(1, Ordering::AcqRel);
            *since = Instant::now();
        }
    }
}

impl ManageConnection for Sessions {
    type Connection = Session;
    type Error = Unreachable;

    fn connect(&self) -> Result<Session, Unreachable> {
        let opened_in = self.generations.current();
        let settings = self.session_settings.clone();
        let check = Arc::clone(&self.check);
        let (connection, (backend, is_in_force)) =
            open_with(&self.database_url, move |connection| {
                let failed = |error: StorageError| Unreachable::because(error.with_cause());
                check.require(connection)?;
                connection
                    .batch_execute(&settings)
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                let is_in_force = row_security::is_in_force(connection).map_err(failed)?;
                let backend = Backend::of(connection).map_err(failed)?;
                Ok::<_, Unreachable>((backend, is_in_force))
            })?;
        match (self.gives_users, is_in_force) {
            (false, true) => return Err(Unreachable::because(row_security::NOT_EXPECTED)),
            (true, false) => self.is_not_in_force.call_once(|| {
                log::warn!("{}", row_security::NOT_IN_FORCE);
            }),
            _ => {}
        }
        let now = Instant::now();
        Ok(Session {
            connection,
            backend,
            reach: Reach::of_new_connection(),
            gives_users: self.gives_users,
            opened_in,
            generations: Arc::clone(&self.generations),
            last_used: now,
            leased_at: now,
            broken: false,
        })
    }

    /// Called before each lease. Costs no round trip unless the connection was idle for long.
    fn is_valid(&self, session: &mut Session) -> Result<(), Unreachable> {
        if session.opened_in != self.generations.current() {
            return Err(Unreachable::because(
                "the database went away since the connection was made",
            ));
        }
        session.leased_at = Instant::now();
        if session.leased_at.duration_since(session.last_used) > MAX_UNTESTED_IDLE {
            ping(&mut session.connection)
                .map_err(|error| Unreachable::because(error.with_cause()))?;
        }
        Ok(())
    }

    /// Called after each lease.
    fn has_broken(&self, session: &mut Session) -> bool {
        session.last_used = Instant::now();
        let was_given_up = session.last_used.duration_since(session.leased_at) > self.longest_lease;
        std::thread::panicking() || session.broken || was_given_up || session.connection.is_broken()
    }
}

/// The first statements of each connection. Limits are set here and not left to the server, so that a
/// statement for which nobody waits any longer cannot occupy the pool.
fn session_settings(settings: &PoolSettings) -> String {
    // PostgreSQL reads 0 as "no limit".
    let millis = |limit: Duration| limit.as_millis().max(1);
    format!(
        "SET application_name = 'epicme'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET client_min_messages = warning; {COUNTS_TAGS}; {KEYS_TAGS}; {}",
        millis(settings.statement_timeout),
        millis(settings.lock_timeout),
        millis(settings.statement_timeout),
        quota::session_settings(settings.quota),
    )
}

/// Says that the statements of this connection count an entry's tags themselves, so that no trigger does.
const COUNTS_TAGS: &str = "SET epicme.counts_tags = 'on'";

/// Says that this connection writes the keys of tags by the rule of `tag_names`, so that no trigger marks them as older.
const KEYS_TAGS: &str = "SET epicme.keys_tags = 'on'";

/// r2d2 retries by itself, and each caller that timed out reports its own failure.
#[derive(Debug)]
struct LogUnreachable;

impl HandleError<Unreachable> for LogUnreachable {
    fn handle_error(&self, error: Unreachable) {
        log::debug!("no connection to the database: {error}");
    }
}
