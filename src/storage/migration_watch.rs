//! What a session of PostgreSQL does that takes long, seen from another connection.

use std::{
    fmt,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use diesel::{
    PgConnection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Integer, Nullable, Text},
};
use secrecy::SecretString;

use super::establish::connect;

/// Looks at one session. Its connection is opened when it first looks, which most migrations end before.
pub(super) struct Watch {
    database_url: SecretString,
    backend: i32,
    connection: Option<PgConnection>,
}

/// What was seen.
#[derive(QueryableByName)]
pub(super) struct Seen {
    /// The sessions that hold the lock that it waits for.
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) waits_for: Option<String>,
    /// How far it is with an index.
    #[diesel(sql_type = Nullable<Text>)]
    progress: Option<String>,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(progress) = &self.progress {
            write!(f, ", {progress}")?;
        }
        if let Some(others) = &self.waits_for {
            write!(f, ", and waits for {others}")?;
        }
        Ok(())
    }
}

/// Without the statements of the others: they may have text of a journal in them.
const LOOK: &str = "
SELECT (SELECT string_agg(format('session %s (role %s, application %L, %s for %s s)',
                                 pid, coalesce(usename::text, backend_type, '?'), application_name,
                                 coalesce(state, 'at work'),
                                 coalesce(extract(epoch FROM clock_timestamp() - coalesce(xact_start, state_change))::bigint, 0)),
                          ', ' ORDER BY pid)
          FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1))) AS waits_for,
       (SELECT format('%s %s: %s of %s blocks', lower(command), phase, blocks_done, blocks_total)
          FROM pg_stat_progress_create_index WHERE pid = $1) AS progress";

impl Watch {
    pub(super) fn new(database_url: &SecretString, backend: i32) -> Self {
        Self {
            database_url: database_url.clone(),
            backend,
            connection: None,
        }
    }

    /// Does the work, looks at the session from another thread after each period, and tells what it sees.
    pub(super) fn during<T>(
        &mut self,
        period: Duration,
        work: impl FnOnce() -> T,
        mut tell: impl FnMut(Seen) + Send,
    ) -> T {
        let (working, ended) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    if let Some(seen) = self.look() {
                        tell(seen);
                    }
                }
            });
            let outcome = work();
            drop(working);
            outcome
        })
    }

    /// Looks once. Nothing is seen if the server takes no further connection: the work matters more.
    fn look(&mut self) -> Option<Seen> {
        if self.connection.is_none() {
            self.connection = connect(&self.database_url).ok();
        }
        let seen = sql_query(LOOK)
            .bind::<Integer, _>(self.backend)
            .get_result(self.connection.as_mut()?);
        if seen.is_err() {
            self.connection = None;
        }
        seen.ok()
    }
}
