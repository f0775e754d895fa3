//! The pool of JournalActors, and the admission of messages in front of it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, Addr, Arbiter};
use parking_lot::Mutex;
use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::timeout,
};

use crate::{
    domain::{
        journal::{Costly, JournalError},
        outage::Outage,
    },
    storage::{Pool, PoolSettings, StorageError},
};
use mcp_server::features::changes::Changes;
use resource_server::{cause::Cause, gate::Gate, principal::UserId};

use super::{
    actor::JournalActor,
    admission::{Admitted, Place},
    cancellation::{Cancellations, Reading},
    group_commit::{GroupCommit, Joined, WriteBatch},
    message::{JournalMessage, Kind},
    metrics::{JournalMetrics, JournalOutcome},
    outages::Outages,
    pacing::Pacing,
    queue::Ticket,
    scheduler::{Scheduler, Withdrawn},
    schema::Schema,
    settings::JournalSettings,
    shares::{Shares, UsedUp, share_of},
    watch::{Looked, Watch},
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
    actors: Mutex<Vec<Member>>,
    new_actor: NewActor,
    /// How many actors may hang at most besides those that replaced them.
    most_hanging: usize,
    max_batch_delay: Duration,
    connect_timeout: Duration,
    connections: Pool,
    schema: Arc<Schema>,
    metrics: JournalMetrics,
    outages: Outages,
}

/// An actor, and what it executes.
struct Member {
    address: Addr<JournalActor>,
    watch: Arc<Watch>,
    /// Since when it hangs without having been replaced.
    hangs_since: Option<Instant>,
}

/// What every actor has.
struct NewActor {
    pool: Pool,
    connect_timeout: Duration,
    statement_timeout: Duration,
    lock_timeout: Duration,
    scheduler: Arc<Scheduler<JournalActor>>,
    group_commit: Arc<GroupCommit>,
    changes: Changes,
    /// How many actors were replaced and still hang.
    hanging: Arc<AtomicUsize>,
}

impl NewActor {
    /// Starts an actor in an arbiter of its own.
    fn start(&self) -> Member {
        let watch = Arc::<Watch>::default();
        let actor = JournalActor {
            pool: self.pool.clone(),
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            lock_timeout: self.lock_timeout,
            watch: Arc::clone(&watch),
            hanging: Arc::clone(&self.hanging),
            scheduler: Arc::clone(&self.scheduler),
            group_commit: Arc::clone(&self.group_commit),
            changes: self.changes.clone(),
        };
        Member {
            address: JournalActor::start_in_arbiter(&Arbiter::new().handle(), |_| actor),
            watch,
            hangs_since: None,
        }
    }
}

/// How often it is looked for messages that the database does not answer.
const LOOK: Duration = Duration::from_millis(100);

/// How long every actor may hang before only a restart of the process helps.
const STUCK: Duration = Duration::from_secs(60);

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
            hanging: settings.pool.get(),
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
            quota: settings.quota,
            row_level_security: settings.row_level_security,
        });
        let places = settings.pool.get().saturating_add(settings.queue);
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        let connections_each = share_of(usize::try_from(settings.pool.get()).unwrap_or(usize::MAX));
        let scheduler = Arc::new(Scheduler::new(connections_each));
        // Two at least: one may be held up by a lock.
        let group_commit = Arc::new(GroupCommit::new(connections_each.max(2)));
        let new_actor = NewActor {
            pool: connections.clone(),
            connect_timeout: settings.connect_timeout,
            statement_timeout: settings.statement_timeout,
            lock_timeout: settings.lock_timeout,
            scheduler: Arc::clone(&scheduler),
            group_commit: Arc::clone(&group_commit),
            changes: settings.changes.clone(),
            hanging: Arc::default(),
        };
        let actors = (0..settings.pool.get()).map(|_| {
            let member = new_actor.start();
            scheduler.add(member.address.clone());
            member
        });
        let actors = Vec::from_iter(actors);
        Self {
            gate: Gate::new(places, settings.failfast),
            shares: Shares::new(share_of(places), settings.failfast),
            pacing: Pacing::new(share_of(connections_each), settings.connect_timeout),
            cancellations: Cancellations::start(settings.database_url.clone()),
            scheduler,
            group_commit,
            groups_users: settings.group_commit,
            most_hanging: actors.len(),
            actors: Mutex::new(actors),
            new_actor,
            max_batch_delay: settings.max_batch_delay,
            connect_timeout: settings.connect_timeout,
            connections,
            schema,
            metrics: JournalMetrics::default(),
            outages: Outages::new(settings.database_url.clone()),
        }
    }

    /// Sends a message and waits for its answer. See [`JournalHandle::ask`](super::JournalHandle::ask).
    pub(super) async fn ask<M: JournalMessage>(
        &self,
        message: M,
    ) -> Result<M::Reply, JournalError> {
        let began = Instant::now();
        let reply = self.admit(message, began).await;
        let now = Instant::now();
        self.metrics
            .journal(M::OPERATION, outcome(&reply), now.duration_since(began));
        self.outages.note(&reply, now);
        reply
    }

    async fn admit<M: JournalMessage>(
        &self,
        message: M,
        now: Instant,
    ) -> Result<M::Reply, JournalError> {
        if !self.schema.is_known_good() {
            return Err(unavailable(
                Outage::Schema,
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
                    return Ok(Err(unavailable(Outage::NoConnection, reason)));
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

    /// What failed because of the database.
    pub(super) fn outages(&self) -> &Outages {
        &self.outages
    }

    /// Gives up the messages that the database does not answer, and replaces their actors.
    fn look(&self) {
        let now = Instant::now();
        let mut given_up = 0;
        for member in &mut *self.actors.lock() {
            // Counted before the actor knows, which subtracts itself when it ends.
            let hanging = &self.new_actor.hanging;
            let looked = member.watch.look(now, |_| {
                let has_room = hanging.load(Ordering::Acquire) < self.most_hanging;
                if has_room {
                    hanging.fetch_add(1, Ordering::AcqRel);
                }
                has_room
            });
            let (overdue, is_replaced) = match looked {
                Looked::Fine => {
                    member.hangs_since = None;
                    continue;
                }
                Looked::Replaced(overdue) => (overdue, true),
                Looked::Hangs(overdue) => (overdue, false),
            };
            if overdue.is_new {
                given_up += 1;
                self.connections.suspect(overdue.admitted);
            }
            member.hangs_since = Some(overdue.since);
            if is_replaced {
                *member = self.new_actor.start();
                self.scheduler.replace(overdue.user, member.address.clone());
            }
        }
        if given_up > 0 {
            log::warn!(
                "the database does not answer: {given_up} statements were given up, with their connections; {} hang in all",
                self.hanging()
            );
        }
    }

    /// How many actors hang.
    pub(super) fn hanging(&self) -> usize {
        let actors = self.actors.lock();
        let not_replaced = actors
            .iter()
            .filter(|member| member.hangs_since.is_some())
            .count();
        self.new_actor.hanging.load(Ordering::Acquire) + not_replaced
    }

    /// Whether every actor hangs, and no further one may be started.
    pub(super) fn is_stuck(&self) -> bool {
        let actors = self.actors.lock();
        actors.iter().all(|member| member.hangs_since.is_some())
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
        self.most_hanging
    }

    /// How many connections are idle, how many are in use, and on how many of the latter the database does not answer.
    pub(super) fn connections(&self) -> (u32, u32, u32) {
        let (idle, leased) = self.connections.connections();
        let hanging = u32::try_from(self.hanging())
            .unwrap_or(u32::MAX)
            .min(leased);
        (idle, leased - hanging, hanging)
    }

    #[cfg(test)]
    pub(super) fn stop_an_actor(&self) {
        let actors = self.actors.lock();
        let actor = actors.first().expect("there is a connection");
        actor
            .address
            .try_send(super::actor::Stop)
            .expect("it takes messages");
    }

    /// Whether every actor still runs, and one of them has not hung for long.
    pub(super) fn is_alive(&self) -> bool {
        let actors = self.actors.lock();
        let hangs = |member: &Member| member.hangs_since.is_some_and(|at| at.elapsed() > STUCK);
        actors.iter().all(|member| member.address.connected()) && !actors.iter().all(hangs)
    }

    /// Waits until every admitted message has been executed.
    pub(super) async fn drained(&self) {
        self.gate.drained().await;
    }
}

/// Looks for messages that the database does not answer, until the pool is dropped.
pub(super) async fn watch(actors: Weak<ActorPool>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(actors) = actors.upgrade() else {
            return;
        };
        actors.look();
    }
}

impl Drop for ActorPool {
    fn drop(&mut self) {
        self.scheduler.close();
    }
}

pub(super) fn unavailable(why: Outage, reason: &'static str) -> JournalError {
    JournalError::Unavailable {
        why,
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
        Err(JournalError::TimedOut { .. }) => JournalOutcome::TimedOut,
        Err(JournalError::Unavailable { .. }) => JournalOutcome::Unavailable,
        Err(JournalError::Corrupt { .. }) => JournalOutcome::Corrupt,
    }
}
