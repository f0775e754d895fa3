//! The pool of JournalActors, and the admission of messages in front of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Arbiter};
use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::timeout,
};

use crate::{
    domain::journal::{Costly, JournalError},
    storage::{Pool, PoolSettings, StorageError},
};
use resource_server::{cause::Cause, gate::Gate, principal::UserId};

use super::{
    actor::JournalActor,
    admission::{Admitted, Place},
    cancellation::{Cancellations, Reading},
    group_commit::{GroupCommit, Joined, WriteBatch},
    message::{JournalMessage, Kind},
    metrics::{JournalMetrics, JournalOutcome},
    pacing::Pacing,
    queue::Ticket,
    scheduler::{Scheduler, Withdrawn},
    schema::Schema,
    settings::JournalSettings,
    shares::{Shares, UsedUp, share_of},
};

/// Admits messages and has JournalActors execute them. The actors stop when this is dropped and every
/// admitted message has been executed.
pub(super) struct ActorPool {
    gate: Gate,
    shares: Shares,
    pacing: Pacing,
    cancellations: Cancellations,
    scheduler: Arc<Scheduler<JournalActor>>,
    group_commit: Arc<GroupCommit>,
    groups_users: bool,
    actors: Vec<Addr<JournalActor>>,
    max_batch_delay: Duration,
    connect_timeout: Duration,
    connections: Pool,
    schema: Arc<Schema>,
    metrics: JournalMetrics,
}

/// Where a message is queued that no actor has started.
enum Queued {
    /// In the scheduler's queue, because every actor was busy.
    ForActor(Ticket),
    /// Among the entries of the next batch.
    ForBatch(Ticket),
}

impl ActorPool {
    /// Starts one actor per connection, each in an arbiter of its own. Connects to nothing yet.
    ///
    /// # Panics
    /// Outside an actix `System`, or if no thread can be started.
    pub(super) fn start(settings: &JournalSettings, schema: Arc<Schema>) -> Self {
        let connections = Pool::new(&PoolSettings {
            database_url: settings.database_url.clone(),
            size: settings.pool,
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
            quota: settings.quota,
        });
        let places = settings.pool.get().saturating_add(settings.queue);
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        let connections_each = share_of(usize::try_from(settings.pool.get()).unwrap_or(usize::MAX));
        let scheduler = Arc::new(Scheduler::new(connections_each));
        // Two at least: one may be held up by a lock.
        let group_commit = Arc::new(GroupCommit::new(connections_each.max(2)));
        let actors = (0..settings.pool.get()).map(|_| {
            let actor = JournalActor {
                pool: connections.clone(),
                connect_timeout: settings.connect_timeout,
                statement_timeout: settings.statement_timeout,
                scheduler: Arc::clone(&scheduler),
                group_commit: Arc::clone(&group_commit),
                changes: settings.changes.clone(),
            };
            let address = JournalActor::start_in_arbiter(&Arbiter::new().handle(), |_| actor);
            scheduler.add(address.clone());
            address
        });
        let actors = actors.collect();
        Self {
            gate: Gate::new(places, settings.failfast),
            shares: Shares::new(share_of(places), settings.failfast),
            pacing: Pacing::new(share_of(connections_each), settings.connect_timeout),
            cancellations: Cancellations::start(settings.database_url.clone()),
            scheduler,
            group_commit,
            groups_users: settings.group_commit,
            actors,
            max_batch_delay: settings.max_batch_delay,
            connect_timeout: settings.connect_timeout,
            connections,
            schema,
            metrics: JournalMetrics::default(),
        }
    }

    /// Sends a message and waits for its answer. See [`JournalHandle::ask`](super::JournalHandle::ask).
    pub(super) async fn ask<M: JournalMessage>(
        &self,
        message: M,
    ) -> Result<M::Reply, JournalError> {
        let began = Instant::now();
        let reply = self.admit(message, began).await;
        self.metrics
            .journal(M::OPERATION, outcome(&reply), began.elapsed());
        reply
    }

    async fn admit<M: JournalMessage>(
        &self,
        message: M,
        now: Instant,
    ) -> Result<M::Reply, JournalError> {
        if !self.schema.is_known_good() {
            return Err(unavailable(
                "the database's schema has not been checked yet",
            ));
        }
        let user = message.user();
        let share = match user {
            None => None,
            Some(user) => match self.shares.admit(user).await {
                Ok(share) => Some(share),
                Err(UsedUp) => return Err(JournalError::ShareUsedUp),
            },
        };
        if let Some(user) = user {
            self.pacing.note(user, now.into());
        }
        // Who waits for a turn keeps nobody else from a place.
        let turn = match user {
            Some(user) if M::COSTLY.is_some_and(Costly::is_heavy) => {
                match self.pacing.turn(user).await {
                    Ok(turn) => Some(turn),
                    Err(UsedUp) => return Err(JournalError::ShareUsedUp),
                }
            }
            _ => None,
        };
        let Ok(permit) = self.gate.admit().await else {
            return Err(JournalError::Busy);
        };
        let reading = (M::KIND == Kind::Read).then(Arc::<Reading>::default);
        let _if_the_caller_leaves = reading
            .as_ref()
            .map(|reading| self.cancellations.when_dropped(reading));
        let (answer, answered) = oneshot::channel();
        let admitted = Admitted {
            message,
            permit: Place::new(permit, share, turn),
            answer,
            reading,
            since: Instant::now(),
        };
        // An answer's sender is dropped only by a panic. The connection was dropped with it.
        self.execute(admitted, user, answered)
            .await
            .unwrap_or_else(|_| Err(StorageError::corrupt("a query panicked").into()))
    }

    /// Has an actor execute an admitted message. An error if the handler panicked.
    async fn execute<M: JournalMessage>(
        &self,
        admitted: Admitted<M>,
        user: Option<UserId>,
        mut answered: oneshot::Receiver<M::Result>,
    ) -> Result<Result<M::Reply, JournalError>, RecvError> {
        // From this thread to the actor's and back: another thread on the way would cost two more wake-ups.
        let grouped = if self.groups_users {
            M::for_group_commit(admitted)
        } else {
            Err(admitted)
        };
        let waiting = match grouped {
            Err(admitted) => self.scheduler.start(admitted, user).map(Queued::ForActor),
            Ok(entry) => match self.group_commit.join(entry) {
                Joined::NeedsBatch(ticket) => self.start_batch(ticket),
                Joined::Waits(ticket) => {
                    if let Ok(reply) = timeout(self.max_batch_delay, &mut answered).await {
                        return reply;
                    }
                    if self.group_commit.needs_batch(ticket) {
                        self.start_batch(ticket)
                    } else {
                        Some(Queued::ForBatch(ticket))
                    }
                }
            },
        };
        if let Some(waiting) = waiting {
            if let Ok(reply) = timeout(self.connect_timeout, &mut answered).await {
                return reply;
            }
            let withdrawn = match waiting {
                Queued::ForActor(ticket) => self.scheduler.withdraw(ticket),
                Queued::ForBatch(ticket) => self
                    .group_commit
                    .withdraw(ticket)
                    .then_some(Withdrawn::NoActor),
            };
            // Nothing has been executed, and nothing will be.
            match withdrawn {
                Some(Withdrawn::NoActor) => {
                    let reason = "no connection to the database became available in time";
                    return Ok(Err(unavailable(reason)));
                }
                Some(Withdrawn::NoShare) => return Ok(Err(JournalError::ShareUsedUp)),
                None => {}
            }
        }
        answered.await
    }

    /// Has an actor write the entries that wait. If every actor is busy, the entry waits with the others
    /// until one takes up the batch.
    fn start_batch(&self, entry: Ticket) -> Option<Queued> {
        let queued = self.scheduler.start(WriteBatch, None);
        queued.map(|_| Queued::ForBatch(entry))
    }

    /// Whether one statement may write rows of several users.
    pub(super) const fn groups_users(&self) -> bool {
        self.groups_users
    }

    /// What was counted.
    pub(super) fn metrics(&self) -> &JournalMetrics {
        &self.metrics
    }

    /// How many messages are admitted and not finished.
    pub(super) fn under_way(&self) -> usize {
        self.gate.taken()
    }

    /// How many messages can be admitted at once.
    pub(super) fn places(&self) -> usize {
        self.gate.depth()
    }

    /// How many connections there may be: one for each actor.
    pub(super) fn most_connections(&self) -> usize {
        self.actors.len()
    }

    /// How many connections are idle, and how many are leased.
    pub(super) fn connections(&self) -> (u32, u32) {
        self.connections.connections()
    }

    #[cfg(test)]
    pub(super) fn stop_an_actor(&self) {
        let actor = self.actors.first().expect("there is a connection");
        actor
            .try_send(super::actor::Stop)
            .expect("it takes messages");
    }

    /// Whether every actor still runs.
    pub(super) fn is_alive(&self) -> bool {
        self.actors.iter().all(Addr::connected)
    }

    /// Waits until every admitted message has been executed.
    pub(super) async fn drained(&self) {
        self.gate.drained().await;
    }
}

impl Drop for ActorPool {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

pub(super) fn unavailable(reason: &'static str) -> JournalError {
    JournalError::Unavailable {
        source: Cause::new(reason),
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
            | JournalError::IdempotencyKeyReused
            | JournalError::LimitReached(_),
        ) => JournalOutcome::Refused,
        Err(JournalError::Busy | JournalError::ShareUsedUp) => JournalOutcome::Busy,
        Err(JournalError::TookTooLong(_)) => JournalOutcome::TookTooLong,
        Err(JournalError::Unavailable { .. }) => JournalOutcome::Unavailable,
        Err(JournalError::Corrupt { .. }) => JournalOutcome::Corrupt,
    }
}
