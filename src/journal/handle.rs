//! The handle: what callers hold in place of the actor's address.

use std::{
    fmt,
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use actix_rt::{Arbiter, ArbiterHandle};
use secrecy::SecretString;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    cause::Cause,
    domain::journal::JournalError,
    features::changes::Changes,
    gate::Gate,
    metrics::{Gate as GateMetric, Label, MetricSource, Text},
    storage::{Pool, PoolSettings, StorageError},
};

use super::{
    activity::{self, Recorder},
    actor::{Admitted, Means, Waiting},
    housekeeping,
    messages::JournalMessage,
    metrics::{ConnectionState, JournalMetrics, JournalOutcome},
    schema::{self, Schema, SchemaCheck},
    threads::Threads,
    workers::{Start, Workers},
};

/// Where the journal's database is, and how much may be asked of it at once.
#[derive(Clone, Debug)]
pub struct JournalSettings {
    /// A libpq URL.
    pub database_url: SecretString,
    /// At most this many connections.
    pub pool: NonZeroU32,
    /// How many messages may wait for a connection.
    pub queue: u32,
    /// How long a message waits for a place in the queue before it is refused as `Busy`.
    pub failfast: Duration,
    /// How long an entry waits for those before it, to be written together with others. Then those who wait
    /// are written beside them: what holds those up may be nothing to them.
    pub longest_company: Duration,
    /// How long a message waits for a connection before the database counts as unavailable.
    pub connect_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for another's lock.
    pub lock_timeout: Duration,
    /// Whether the schema has been looked at.
    pub schema: SchemaCheck,
    /// Tells sessions and streams what changed.
    pub changes: Changes,
}

impl JournalSettings {
    /// Settings for a machine of ordinary size.
    #[must_use]
    pub fn new(database_url: SecretString, changes: Changes) -> Self {
        Self {
            database_url,
            pool: NonZeroU32::new(10).expect("ten is not zero"),
            queue: 96,
            failfast: Duration::from_millis(250),
            longest_company: Duration::from_millis(25),
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            schema: SchemaCheck::Done,
            changes,
        }
    }
}

/// Asks the JournalActor. Clones ask the same one; it ends with the last of them.
#[derive(Clone)]
pub struct JournalHandle(pub(super) Arc<Inner>);

pub(super) struct Inner {
    gate: Gate,
    workers: Workers,
    longest_company: Duration,
    pool: Pool,
    metrics: JournalMetrics,
    recorder: Recorder,
    pub(super) schema: Schema,
    arbiter: Arbiter,
    runner: ArbiterHandle,
}

impl JournalHandle {
    /// Starts the actor in an arbiter of its own. Neither blocks nor fails while the database is
    /// down.
    ///
    /// # Panics
    /// Outside an actix `System`.
    #[must_use]
    pub fn start(settings: &JournalSettings) -> Self {
        let pool = Pool::new(&PoolSettings {
            database_url: settings.database_url.clone(),
            size: settings.pool,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
        });
        let places = settings.pool.get().saturating_add(settings.queue);
        let gate = Gate::new(
            usize::try_from(places).unwrap_or(usize::MAX),
            settings.failfast,
        );
        let arbiter = Arbiter::new();
        let runner = arbiter.handle();
        let inner = Arc::new(Inner {
            gate,
            workers: Workers::new(
                Threads::start(settings.pool.get()),
                Means::new(
                    pool.clone(),
                    settings.connect_timeout,
                    settings.changes.clone(),
                ),
            ),
            longest_company: settings.longest_company,
            pool,
            metrics: JournalMetrics::default(),
            recorder: Recorder::default(),
            schema: Schema::new(settings.schema),
            arbiter,
            runner,
        });
        inner
            .runner
            .spawn(activity::keep_flushing(Arc::downgrade(&inner)));
        if let SchemaCheck::WhenReachable { migrate } = settings.schema {
            let url = settings.database_url.clone();
            inner
                .runner
                .spawn(schema::look(Arc::downgrade(&inner), url, migrate));
        }
        Self(inner)
    }

    pub(super) fn upgrade(inner: &Weak<Inner>) -> Option<Self> {
        inner.upgrade().map(Self)
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(super) fn runner(&self) -> &ArbiterHandle {
        &self.0.runner
    }

    /// Has expired rows deleted, now and then from now on, until the last handle is gone.
    pub fn keep_house(&self) {
        let journal = Arc::downgrade(&self.0);
        self.0.runner.spawn(housekeeping::keep_house(journal));
    }

    /// Asks, and waits for the answer. A read ends with the future that this returns; a write that
    /// was admitted runs to its end even if the future is dropped.
    ///
    /// # Errors
    /// `Busy` if no place came free in time, `Unavailable` while nobody could look at the schema, else
    /// what the message says.
    pub async fn ask<M: JournalMessage>(&self, message: M) -> Result<M::Reply, JournalError> {
        let began = Instant::now();
        let reply = self.ask_uncounted(message).await;
        let took = began.elapsed();
        self.0.metrics.journal(M::OPERATION, outcome(&reply), took);
        reply
    }

    async fn ask_uncounted<M: JournalMessage>(&self, message: M) -> Result<M::Reply, JournalError> {
        if !self.0.schema.is_known_good() {
            return Err(JournalError::Unavailable {
                source: Cause::new("the database's schema has not been looked at yet"),
            });
        }
        let Ok(permit) = self.0.gate.admit().await else {
            return Err(JournalError::Busy);
        };
        let (answer, mut answered) = oneshot::channel();
        let waiting = Waiting::new(Admitted {
            message,
            permit,
            answer,
            since: Instant::now(),
        });
        // Straight to a thread that may block, and back: another thread between would cost every call
        // two more wake-ups.
        let mut start = M::begin(waiting.clone(), &self.0.workers);
        if start == Start::Together {
            match timeout(self.0.longest_company, &mut answered).await {
                Ok(reply) => return reply.unwrap_or_else(|_| Err(panicked())),
                Err(_) => start = self.0.workers.begin_overdue(&waiting),
            }
        }
        if start == Start::Later {
            let patience = self.0.workers.means().connect_timeout;
            match timeout(patience, &mut answered).await {
                Ok(reply) => return reply.unwrap_or_else(|_| Err(panicked())),
                // Nothing has been done, and nothing will be.
                Err(_) if waiting.take().is_some() => return Err(no_connection()),
                Err(_) => {}
            }
        }
        // Without an answer, the work panicked; its connection goes away with its lease.
        answered.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Waits until it is found that the schema lacks migrations; returns their names. Does not return
    /// if it lacks none.
    pub async fn schema_is_behind(&self) -> Arc<[String]> {
        self.0.schema.is_behind().await
    }

    /// How many messages are waiting or under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.0.gate.taken()
    }

    /// How many messages may be.
    #[must_use]
    pub fn places(&self) -> usize {
        self.0.gate.depth()
    }

    /// How many connections to the database are idle, and how many are in use.
    #[must_use]
    pub fn connections(&self) -> (u32, u32) {
        self.0.pool.connections()
    }

    /// Waits until everything that was admitted has been answered. For shutdown: nothing may be
    /// asked meanwhile.
    pub async fn drained(&self) {
        self.0.gate.drained().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

impl fmt::Debug for JournalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalHandle({} under way)", self.under_way())
    }
}

fn panicked() -> JournalError {
    StorageError::corrupt("a query panicked").into()
}

fn no_connection() -> JournalError {
    JournalError::Unavailable {
        source: Cause::new("no connection to the database came free in time"),
    }
}

fn outcome<T>(reply: &Result<T, JournalError>) -> JournalOutcome {
    match reply {
        Ok(_) => JournalOutcome::Ok,
        Err(
            JournalError::NoSuchEntry(_)
            | JournalError::NoSuchTag(_)
            | JournalError::NoSuchExport
            | JournalError::TagNameTaken
            | JournalError::IdempotencyKeyReused,
        ) => JournalOutcome::Refused,
        Err(JournalError::Busy) => JournalOutcome::Busy,
        Err(JournalError::Unavailable { .. }) => JournalOutcome::Unavailable,
        Err(JournalError::Corrupt { .. }) => JournalOutcome::Corrupt,
    }
}

impl MetricSource for JournalHandle {
    fn gates(&self) -> Vec<GateMetric> {
        vec![GateMetric {
            name: "journal",
            depth: self.under_way(),
            capacity: self.places(),
        }]
    }

    fn write(&self, text: &mut Text) {
        self.0.metrics.write(text);
        let name = "database_connections";
        text.family(name, "gauge", "Connections to the database.");
        let (idle, busy) = self.connections();
        for (state, count) in [(ConnectionState::Idle, idle), (ConnectionState::Busy, busy)] {
            text.sample(name, &[("state", state.as_str())], count);
        }
    }
}
