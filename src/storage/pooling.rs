//! Whether a connection keeps its session of PostgreSQL, or a pooler lends it one for each transaction.
//!
//! Without a session of its own a connection loses its settings, and a statement that it has prepared is, in the next
//! transaction, whatever another connection has prepared under the same name: a read can run a DELETE.
//!
//! What tells the two apart is what reaches a connection while it asks for nothing. PostgreSQL sends a notification to
//! the session that listens, and a pooler that lends sessions has nobody to pass it on to, because the session is in no
//! transaction. That holds in every state of the pool, with one session as with many, busy or idle. Comparing the
//! processes of two transactions does not: an idle pooler gives the same one twice.

use std::{
    thread,
    time::{Duration, Instant},
};

use diesel::{
    ConnectionError, PgConnection, connection::SimpleConnection, result::Error as DieselError,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use uuid::Uuid;

use super::unreachable::Unreachable;

/// Why a connection is not used.
const LENT: &str = "a pooler gives each transaction another session, so that a statement of one connection could run on another";

/// How long a notification may take. It takes less than a millisecond unless the machine is overloaded.
const PATIENCE: Duration = Duration::from_secs(3);

/// The shortest and the longest pause between two looks: libpq can only be asked whether one has come.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// Opens a connection.
type Establish = fn(&SecretString) -> Result<PgConnection, Unreachable>;

/// Sends the notifications by which new connections are checked. It keeps one connection for it.
pub(super) struct SessionCheck {
    database_url: SecretString,
    establish: Establish,
    notifier: Mutex<Option<PgConnection>>,
}

impl SessionCheck {
    /// Connects to nothing yet.
    pub(super) const fn new(database_url: SecretString, establish: Establish) -> Self {
        Self {
            database_url,
            establish,
            notifier: Mutex::new(None),
        }
    }

    /// Refuses a connection that does not keep its session. Blocks for three round trips.
    ///
    /// # Errors
    /// If it does not, or as [`keeps_session`](Self::keeps_session).
    pub(super) fn require(&self, connection: &mut PgConnection) -> Result<(), Unreachable> {
        match self.keeps_session(connection)? {
            true => Ok(()),
            false => Err(Self::refusal()),
        }
    }

    /// Why a connection that does not keep its session is not used.
    pub(super) fn refusal() -> Unreachable {
        Unreachable::until_changed(LENT)
    }

    /// Whether a connection keeps its session. It must be new: nothing is prepared on it, here as before. Blocks for
    /// three round trips.
    ///
    /// # Errors
    /// If the database cannot be reached, or cannot be listened on, as a standby.
    pub(super) fn keeps_session(&self, connection: &mut PgConnection) -> Result<bool, Unreachable> {
        let channel = format!("epicme_session_{}", Uuid::new_v4().simple());
        run(connection, &format!("LISTEN {channel}"))?;
        let is_old = self.notify(&channel)?;
        let mut keeps = hears(connection, &channel)?;
        if !keeps && is_old {
            // The notifier may be left over from before a fail-over, on a server that nobody else is on.
            *self.notifier.lock() = None;
            self.notify(&channel)?;
            keeps = hears(connection, &channel)?;
        }
        if keeps {
            run(connection, &format!("UNLISTEN {channel}"))?;
        }
        Ok(keeps)
    }

    /// Notifies, and returns whether it was by a connection that had been kept.
    fn notify(&self, channel: &str) -> Result<bool, Unreachable> {
        let notify = format!("NOTIFY {channel}");
        // Taken out: while one connection hangs, others are checked by notifiers of their own.
        let kept = self.notifier.lock().take();
        if let Some(mut notifier) = kept
            && run(&mut notifier, &notify).is_ok()
        {
            *self.notifier.lock() = Some(notifier);
            return Ok(true);
        }
        let mut notifier = (self.establish)(&self.database_url)?;
        run(&mut notifier, &notify)?;
        *self.notifier.lock() = Some(notifier);
        Ok(false)
    }
}

/// Whether the notification arrives while nothing is asked.
fn hears(connection: &mut PgConnection, channel: &str) -> Result<bool, Unreachable> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let next = connection.notifications_iter().next();
        match next.transpose().map_err(failed)? {
            Some(notification) if notification.channel == channel => return Ok(true),
            Some(_) => {}
            None if began.elapsed() > PATIENCE => return Ok(false),
            None => {
                thread::park_timeout(pause);
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }
}

/// By the simple protocol, which prepares nothing.
fn run(connection: &mut PgConnection, sql: &str) -> Result<(), Unreachable> {
    connection.batch_execute(sql).map_err(failed)
}

fn failed(error: DieselError) -> Unreachable {
    ConnectionError::CouldntSetupConfiguration(error).into()
}
