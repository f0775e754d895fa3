//! The connections, and what each is told before its first use.

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

use derive_more::{Display, Error};
use diesel::{
    ConnectionError, PgConnection, RunQueryDsl, connection::SimpleConnection, r2d2::R2D2Connection,
    sql_types::Bool,
};
use r2d2::{HandleError, ManageConnection};
use secrecy::SecretString;

use super::{error::StorageError, establish::establish, statement::Statement};

/// How many connections, and how long each thing may take.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Where the database is: a libpq URL.
    pub database_url: SecretString,
    /// At most this many connections.
    pub size: NonZeroU32,
    /// How long a caller waits for a connection before the database counts as unavailable.
    pub connect_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for another's lock.
    pub lock_timeout: Duration,
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub struct Pool(r2d2::Pool<Sessions>);

/// A connection on loan. It goes back when it is dropped, unless it broke.
pub struct Lease(r2d2::PooledConnection<Sessions>);

/// A connection that has been silent for this long is asked whether it still lives: a firewall or a
/// fail-over may have cut it without a word. A younger silence is not worth the round trip.
const TRUSTED_SILENCE: Duration = Duration::from_secs(15);

impl Pool {
    /// A pool that connects when it is first asked, so that it can be made while the database is
    /// down.
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
            greeting: greeting(settings),
            generation: Arc::default(),
        }))
    }

    /// How many connections are idle, and how many are on loan.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        let state = self.0.state();
        let idle = state.idle_connections;
        (idle, state.connections.saturating_sub(idle))
    }

    /// Borrows a connection. Blocks, at most for the pool's `connect_timeout`.
    ///
    /// # Errors
    /// `Unavailable` if none came free or none could be made.
    pub fn get(&self) -> Result<Lease, StorageError> {
        self.get_within(self.0.connection_timeout())
    }

    /// The same, with a patience of its own.
    ///
    /// # Errors
    /// `Unavailable` if none came free or none could be made.
    pub fn get_within(&self, patience: Duration) -> Result<Lease, StorageError> {
        match self.0.get_timeout(patience) {
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
    /// Whether the connection broke while it was on loan, to be asked after a failure: Diesel does
    /// not notice in every case, so the database is asked. If it broke, the others that are as old
    /// are not trusted any longer either.
    pub fn is_broken(&mut self) -> bool {
        let session = &mut *self.0;
        session.broken |= session.connection.is_broken() || ping(&mut session.connection).is_err();
        if session.broken {
            session.distrust_generation();
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

/// Whether the database answers, and takes writes: after a fail-over a connection may have been left
/// with a server that only follows another.
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

/// Cannot reach the database, with libpq's reason; `Corrupt` if libpq cannot even read the URL, which no
/// waiting mends. A URL that cannot be read is quoted in libpq's message, password and all, so that
/// message goes no further.
pub(super) fn unreachable(error: ConnectionError) -> StorageError {
    let unreachable = Unreachable::from(error);
    if unreachable.reason == UNREADABLE {
        StorageError::corrupt(UNREADABLE)
    } else {
        StorageError::unavailable(unreachable)
    }
}

const UNREADABLE: &str = "the database's URL cannot be read";

#[derive(Debug, Display, Error)]
#[display("{reason}")]
struct Unreachable {
    reason: String,
}

impl From<ConnectionError> for Unreachable {
    fn from(error: ConnectionError) -> Self {
        let reason = error.to_string();
        let quotes_the_url = reason.contains("://") || reason.contains("connection info string");
        Self {
            reason: if quotes_the_url {
                UNREADABLE.to_owned()
            } else {
                reason
            },
        }
    }
}

/// Makes connections and judges them.
struct Sessions {
    database_url: SecretString,
    greeting: String,
    generation: Arc<AtomicU64>,
}

/// A connection, and what its trustworthiness depends on.
struct Session {
    connection: PgConnection,
    /// The generation that it was made in.
    born_in: u64,
    generation: Arc<AtomicU64>,
    last_heard: Instant,
    broken: bool,
}

impl Session {
    fn distrust_generation(&self) {
        // Only the first to notice moves the generation on; connections made since are sound.
        let _ = self.generation.compare_exchange(
            self.born_in,
            self.born_in + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }
}

impl ManageConnection for Sessions {
    type Connection = Session;
    type Error = Unreachable;

    fn connect(&self) -> Result<Session, Unreachable> {
        let born_in = self.generation.load(Ordering::Acquire);
        let mut connection = establish(&self.database_url)?;
        connection
            .batch_execute(&self.greeting)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(Session {
            connection,
            born_in,
            generation: Arc::clone(&self.generation),
            last_heard: Instant::now(),
            broken: false,
        })
    }

    /// Called before each loan. Costs no round trip unless the connection has long been silent.
    fn is_valid(&self, session: &mut Session) -> Result<(), Unreachable> {
        if session.born_in != self.generation.load(Ordering::Acquire) {
            return Err(Unreachable {
                reason: "the database went away since the connection was made".to_owned(),
            });
        }
        if session.last_heard.elapsed() > TRUSTED_SILENCE {
            ping(&mut session.connection).map_err(|error| Unreachable {
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// Called after each loan.
    fn has_broken(&self, session: &mut Session) -> bool {
        session.last_heard = Instant::now();
        std::thread::panicking() || session.broken || session.connection.is_broken()
    }
}

/// What each connection is told first. The limits are ours and not the server's, so that a pool
/// cannot be held by a statement that nobody waits for any longer.
fn greeting(settings: &PoolSettings) -> String {
    // PostgreSQL reads 0 as "no limit".
    let millis = |limit: Duration| limit.as_millis().max(1);
    format!(
        "SET application_name = 'epicme'; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET idle_in_transaction_session_timeout = {}; SET client_min_messages = warning",
        millis(settings.statement_timeout),
        millis(settings.lock_timeout),
        millis(settings.statement_timeout),
    )
}

/// r2d2 tries again by itself; each caller that waited in vain reports its own failure.
#[derive(Debug)]
struct LogUnreachable;

impl HandleError<Unreachable> for LogUnreachable {
    fn handle_error(&self, error: Unreachable) {
        log::debug!("no connection to the database: {error}");
    }
}
