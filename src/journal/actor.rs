//! The JournalActor: it executes messages on PostgreSQL.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, Arbiter, Context, Handler};

use crate::{
    domain::{
        journal::{Entry, JournalError},
        outage::Outage,
    },
    storage::{
        Connection, Lease, Pool, RowsOf, StorageError, TimeLimit,
        entry_batches::{self, Batch},
        entry_creation,
    },
};
use mcp_server::features::changes::Changes;

use super::{
    admission::Admitted,
    batch::BatchCallers,
    cancellation::Reading,
    group_commit::{GroupCommit, PlainEntry, WriteBatch},
    message::{JournalMessage, Kind},
    published::published,
    scheduler::{Run, Scheduler},
    watch::{Caller, Waiting, Watch},
};

/// Executes one message at a time on a connection that it leases from the pool. No other actor runs in its
/// arbiter, so its handlers may block. There are as many JournalActors as connections.
pub(super) struct JournalActor {
    pub(super) pool: Pool,
    /// How long a message waits for a connection, from its admission.
    pub(super) connect_timeout: Duration,
    /// How long one statement may run.
    pub(super) statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub(super) lock_timeout: Duration,
    /// What it executes, for whoever replaces it if the database does not answer.
    pub(super) watch: Arc<Watch>,
    /// How many actors were replaced and still hang.
    pub(super) hanging: Arc<AtomicUsize>,
    /// Shared by all JournalActors, as is `group_commit`.
    pub(super) scheduler: Arc<Scheduler<Self>>,
    pub(super) group_commit: Arc<GroupCommit>,
    pub(super) changes: Changes,
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        if self.watch.is_replaced() {
            self.hanging.fetch_sub(1, Ordering::AcqRel);
            log::info!("a statement that was given up has ended, and its thread with it");
        }
        Arbiter::current().stop();
    }
}

impl Handler<Run<Self>> for JournalActor {
    type Result = ();

    fn handle(&mut self, run: Run<Self>, context: &mut Context<Self>) {
        let is_replaced = |actor: &Self| actor.watch.is_replaced();
        Arc::clone(&self.scheduler).work(self, run, context, is_replaced);
        if self.watch.is_replaced() {
            context.stop();
        }
    }
}

impl<M: JournalMessage> Handler<Admitted<M>> for JournalActor {
    type Result = ();

    fn handle(&mut self, admitted: Admitted<M>, _: &mut Context<Self>) {
        let Admitted {
            message,
            mut permit,
            answer,
            reading,
            since,
        } = admitted;
        if M::KIND == Kind::Read && answer.is_closed() {
            return;
        }
        permit.begin();
        let waiting = Arc::new(Waiting::new(Caller {
            answer,
            place: permit,
        }));
        let callers = Arc::clone(&waiting);
        let watched = self
            .watch
            .begin(since, self.statement_timeout, message.user(), callers);
        let has_left = || match M::KIND {
            Kind::Read => waiting.has_left(),
            Kind::Write => waiting.is_given_up(),
        };
        let reply = self.run(&message, reading.as_deref(), since, has_left);
        // Whoever was given up has an answer. What was changed all the same is published.
        let (answer, place) = match waiting.take() {
            Some(Caller { answer, place }) => (Some(answer), Some(place)),
            None => (None, None),
        };
        drop(watched);
        // Published before the caller has its answer. Without a change the permit is released first, so
        // that the caller never sees its own message among those under way.
        match reply.as_ref().ok().and_then(|reply| message.changes(reply)) {
            Some((user, changes)) if self.changes.has_subscribers() => {
                let changes = changes.into_iter().flat_map(published).collect();
                // The permit bounds how many changes are under way.
                self.changes.publish_with_guard(user, changes, place);
            }
            _ => drop(place),
        }
        if let Some(answer) = answer {
            // The caller may have left: a write is executed all the same.
            let _ = answer.send(reply);
        }
    }
}

impl Handler<WriteBatch> for JournalActor {
    type Result = ();

    fn handle(&mut self, _: WriteBatch, _: &mut Context<Self>) {
        let (entries, callers) = self
            .group_commit
            .begin()
            .into_iter()
            .map(taken_apart)
            .unzip();
        let callers = Arc::new(self.callers_of_batch(callers));
        let write = || self.write_batch(entries, &callers);
        // Caught here as well, because entries that wait depend on the end of the batch.
        let rest = catch_unwind(AssertUnwindSafe(write)).unwrap_or_default();
        if callers.end() {
            // Behind the messages that wait already: reads need a connection too.
            self.scheduler.queue(WriteBatch);
        }
        for entry in rest {
            let user = Some(entry.message.owner.user);
            self.scheduler.start(entry, user);
        }
    }
}

impl JournalActor {
    fn run<M: JournalMessage>(
        &self,
        message: &M,
        reading: Option<&Reading>,
        since: Instant,
        has_left: impl Fn() -> bool,
    ) -> Result<M::Reply, JournalError> {
        let mut lease = self.lease(since)?;
        let mut ended = execute(message, reading, &mut lease, &has_left);
        let mut is_broken = false;
        // A connection that was cut, for example by a restart of the database, is noticed when it is used. A
        // read is repeated on a new connection; a write may have been committed before.
        if matches!(ended.reply, Err(StorageError::Unavailable { .. })) {
            is_broken = lease.is_broken();
            if is_broken && M::KIND == Kind::Read && !has_left() {
                drop(lease);
                let mut lease = self.pool.get_within(self.connect_timeout)?;
                ended = execute(message, reading, &mut lease, &has_left);
                is_broken = matches!(ended.reply, Err(StorageError::Unavailable { .. }))
                    && lease.is_broken();
            }
        }
        match (self.recognised(ended, is_broken), M::COSTLY) {
            (
                Err(StorageError::TimedOut {
                    limit: TimeLimit::Statement,
                    ..
                }),
                Some(what),
            ) => Err(JournalError::TookTooLong(what)),
            (reply, _) => Ok(reply?),
        }
    }

    /// Recognises a time limit of the database by the time that has passed, where its words do not tell, because it speaks
    /// another language.
    fn recognised<T>(&self, ended: Ended<T>, is_broken: bool) -> Result<T, StorageError> {
        let Ended { reply, took } = ended;
        match reply {
            Err(StorageError::Unavailable {
                why: Outage::Other,
                source,
            }) if !is_broken && took >= self.lock_timeout.min(self.statement_timeout) => {
                // No statement waits as long for a lock as it may run.
                let limit = if took >= self.statement_timeout {
                    TimeLimit::Statement
                } else {
                    TimeLimit::Lock
                };
                Err(StorageError::TimedOut { limit, source })
            }
            reply => reply,
        }
    }

    /// Those who wait for a batch that this actor writes.
    fn callers_of_batch(&self, callers: Vec<Caller<Entry>>) -> BatchCallers {
        let (group_commit, scheduler) =
            (Arc::clone(&self.group_commit), Arc::clone(&self.scheduler));
        BatchCallers::new(
            callers,
            move || group_commit.end(),
            move || {
                scheduler.start(WriteBatch, None);
            },
        )
    }

    /// Writes entries in one statement and answers their callers. Returns those that must be written one by
    /// one.
    fn write_batch(
        &self,
        entries: Vec<(PlainEntry, Instant)>,
        callers: &Arc<BatchCallers>,
    ) -> Vec<Admitted<PlainEntry>> {
        let Some(oldest) = entries.iter().map(|(_, since)| *since).min() else {
            return Vec::new();
        };
        let watching = Arc::clone(callers);
        let watched = self
            .watch
            .begin(oldest, self.statement_timeout, None, watching);
        let written = self.write(&entries, oldest, || callers.are_given_up());
        let Some(waiting) = callers.take() else {
            return Vec::new();
        };
        drop(watched);
        let admitted = entries.into_iter().zip(waiting);
        let again = |((message, since), Caller { answer, place })| Admitted {
            message,
            permit: place,
            answer,
            reading: None,
            since,
        };
        let mut rest = Vec::new();
        match written {
            Ok(Batch::Written(written)) => {
                for (admitted, written) in admitted.zip(written) {
                    let Some((id, created_at)) = written else {
                        rest.push(again(admitted));
                        continue;
                    };
                    let ((message, _), Caller { answer, place }) = admitted;
                    drop(place);
                    let entry = message.entry.written(id, created_at, Vec::new());
                    // The caller may have left: the entry is written all the same.
                    let _ = answer.send(Ok(entry));
                }
            }
            // The database refused one of them. Written one by one, only that one fails.
            Ok(Batch::Refused) => rest = admitted.map(again).collect(),
            Err(error) => {
                for (_, Caller { answer, place }) in admitted {
                    drop(place);
                    let _ = answer.send(Err(error.clone().into()));
                }
            }
        }
        rest
    }

    fn write(
        &self,
        batch: &[(PlainEntry, Instant)],
        since: Instant,
        are_given_up: impl Fn() -> bool,
    ) -> Result<Batch, StorageError> {
        let mut lease = self.lease(since)?;
        let began = Instant::now();
        let reply = match batch {
            _ if are_given_up() => Err(given_up()),
            batch => write_entries(&mut lease, batch),
        };
        let took = began.elapsed();
        // A broken connection does not return to the pool. The write is not repeated, because it may have been
        // committed before the connection broke.
        let is_broken = matches!(reply, Err(StorageError::Unavailable { .. })) && lease.is_broken();
        self.recognised(Ended { reply, took }, is_broken)
    }

    /// Leases a connection for a message that was admitted at `since`.
    fn lease(&self, since: Instant) -> Result<Lease, StorageError> {
        let remaining = self.connect_timeout.saturating_sub(since.elapsed());
        self.pool.get_within(remaining)
    }
}

fn write_entries(
    lease: &mut Lease,
    batch: &[(PlainEntry, Instant)],
) -> Result<Batch, StorageError> {
    if let [(PlainEntry { owner, entry }, _)] = batch {
        let connection = lease.reaching(RowsOf::User(owner.user))?;
        let written = entry_creation::create_plain(connection, owner, entry)?;
        return Ok(Batch::Written(vec![Some(written)]));
    }
    let owners = batch.iter().map(|(message, _)| message.owner.user);
    let connection = lease.reaching(RowsOf::Users(owners.collect()))?;
    let entries = batch
        .iter()
        .map(|(message, _)| (&message.owner, &message.entry));
    entry_batches::create_entries(connection, &Vec::from_iter(entries))
}

/// What executing a message came to.
struct Ended<T> {
    reply: Result<T, StorageError>,
    took: Duration,
}

fn reached<'a, M: JournalMessage>(
    message: &M,
    lease: &'a mut Lease,
) -> Result<&'a mut Connection, StorageError> {
    if M::READS_A_VIEW {
        lease.reaching_views_of(message.rows())
    } else {
        lease.reaching(message.rows())
    }
}

fn execute<M: JournalMessage>(
    message: &M,
    reading: Option<&Reading>,
    lease: &mut Lease,
    has_left: impl Fn() -> bool,
) -> Ended<M::Reply> {
    if let Some(reading) = reading {
        reading.begin(lease.backend().clone());
    }
    let began = Instant::now();
    // A caller that leaves after this sees that the read is executed, and has it cancelled.
    let reply = if has_left() {
        Err(given_up())
    } else {
        reached(message, lease).and_then(|connection| message.run(connection))
    };
    let took = began.elapsed();
    if let Some(reading) = reading {
        reading.end();
    }
    Ended { reply, took }
}

/// Nobody hears it: the caller has left, or was given up while the actor waited for a connection.
fn given_up() -> StorageError {
    StorageError::unavailable("nobody waits for it any more")
}

fn taken_apart(admitted: Admitted<PlainEntry>) -> ((PlainEntry, Instant), Caller<Entry>) {
    let Admitted {
        message,
        permit,
        answer,
        since,
        ..
    } = admitted;
    let caller = Caller {
        answer,
        place: permit,
    };
    ((message, since), caller)
}

/// Stops an actor, as nothing does outside of tests.
#[cfg(test)]
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

#[cfg(test)]
impl Handler<Stop> for JournalActor {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}
