//! The JournalActor: it executes messages on PostgreSQL.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Arbiter, Context, Handler};

use crate::{
    domain::journal::JournalError,
    storage::{
        Lease, Pool, StorageError,
        entry_batches::{self, Batch},
        entry_creation,
    },
};
use mcp_server::features::changes::Changes;

use super::{
    admission::Admitted,
    cancellation::Reading,
    group_commit::{GroupCommit, PlainEntry, WriteBatch},
    message::{JournalMessage, Kind},
    published::published,
    scheduler::{Run, Scheduler},
};

/// Executes one message at a time on a connection that it leases from the pool. No other actor runs in its
/// arbiter, so its handlers may block. There are as many JournalActors as connections.
pub(super) struct JournalActor {
    pub(super) pool: Pool,
    /// How long a message waits for a connection, from its admission.
    pub(super) connect_timeout: Duration,
    /// How long one statement may run.
    pub(super) statement_timeout: Duration,
    /// Shared by all JournalActors, as is `group_commit`.
    pub(super) scheduler: Arc<Scheduler<Self>>,
    pub(super) group_commit: Arc<GroupCommit>,
    pub(super) changes: Changes,
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        Arbiter::current().stop();
    }
}

impl Handler<Run<Self>> for JournalActor {
    type Result = ();

    fn handle(&mut self, run: Run<Self>, context: &mut Context<Self>) {
        Arc::clone(&self.scheduler).work(self, run, context);
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
        let has_left = || M::KIND == Kind::Read && answer.is_closed();
        let reply = self.run(&message, reading.as_deref(), since, has_left);
        // Published before the caller has its answer. Without a change the permit is released first, so
        // that the caller never sees its own message among those under way.
        match reply.as_ref().ok().and_then(|reply| message.changes(reply)) {
            Some((user, changes)) if self.changes.has_subscribers() => {
                let changes = changes.into_iter().flat_map(published).collect();
                // The permit bounds how many changes are under way.
                self.changes.publish_with_guard(user, changes, permit);
            }
            _ => drop(permit),
        }
        // The caller may have left: a write is executed all the same.
        let _ = answer.send(reply);
    }
}

impl Handler<WriteBatch> for JournalActor {
    type Result = ();

    fn handle(&mut self, _: WriteBatch, _: &mut Context<Self>) {
        let write = || self.write_batch(self.group_commit.begin());
        // Caught here as well, because entries that wait depend on the end of the batch.
        let rest = catch_unwind(AssertUnwindSafe(write)).unwrap_or_default();
        if self.group_commit.end() {
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
        if !matches!(ended.reply, Err(StorageError::Unavailable { .. })) {
            return Ok(ended.reply?);
        }
        // A connection that was cut, for example by a restart of the database, is noticed when it is used. A
        // read is repeated on a new connection; a write may have been committed before.
        let mut is_broken = lease.is_broken();
        if is_broken && M::KIND == Kind::Read {
            drop(lease);
            let mut lease = self.pool.get_within(self.connect_timeout)?;
            ended = execute(message, reading, &mut lease, &has_left);
            is_broken = ended.reply.is_err() && lease.is_broken();
        }
        match (ended.reply, M::COSTLY) {
            (Err(StorageError::Unavailable { .. }), Some(what))
                if !is_broken && ended.took >= self.statement_timeout =>
            {
                Err(JournalError::TookTooLong(what))
            }
            (reply, _) => Ok(reply?),
        }
    }

    /// Writes entries in one statement and answers their callers. Returns those that must be written one by
    /// one.
    fn write_batch(&self, batch: Vec<Admitted<PlainEntry>>) -> Vec<Admitted<PlainEntry>> {
        if batch.is_empty() {
            return batch;
        }
        let mut rest = Vec::new();
        match self.write(&batch) {
            Ok(Batch::Written(written)) => {
                for (admitted, written) in batch.into_iter().zip(written) {
                    let Some((id, created_at)) = written else {
                        rest.push(admitted);
                        continue;
                    };
                    drop(admitted.permit);
                    let entry = admitted.message.entry.written(id, created_at, Vec::new());
                    // The caller may have left: the entry is written all the same.
                    let _ = admitted.answer.send(Ok(entry));
                }
            }
            // The database refused one of them. Written one by one, only that one fails.
            Ok(Batch::Refused) => rest = batch,
            Err(error) => {
                for admitted in batch {
                    drop(admitted.permit);
                    let _ = admitted.answer.send(Err(error.clone().into()));
                }
            }
        }
        rest
    }

    fn write(&self, batch: &[Admitted<PlainEntry>]) -> Result<Batch, StorageError> {
        let oldest = batch.iter().map(|admitted| admitted.since).min();
        let mut lease = self.lease(oldest.unwrap_or_else(Instant::now))?;
        let written = match batch {
            [only] => {
                let PlainEntry { owner, entry } = &only.message;
                entry_creation::create_plain(&mut lease, owner, entry)
                    .map(|written| Batch::Written(vec![Some(written)]))
            }
            batch => {
                let entries = batch
                    .iter()
                    .map(|admitted| (&admitted.message.owner, &admitted.message.entry));
                entry_batches::create_entries(&mut lease, &Vec::from_iter(entries))
            }
        };
        if let Err(StorageError::Unavailable { .. }) = written {
            // Asked for its effect: a broken connection does not return to the pool. The write is not
            // repeated, because it may have been committed before the connection broke.
            lease.is_broken();
        }
        written
    }

    /// Leases a connection for a message that was admitted at `since`.
    fn lease(&self, since: Instant) -> Result<Lease, StorageError> {
        let remaining = self.connect_timeout.saturating_sub(since.elapsed());
        self.pool.get_within(remaining)
    }
}

/// What executing a message came to.
struct Ended<T> {
    reply: Result<T, StorageError>,
    /// Diesel does not tell why the database has cancelled a statement, and the database tells it in its own
    /// language. But no statement waits as long for a lock as it may run: what has run so long and has no
    /// result was cancelled for its own cost.
    took: Duration,
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
        Err(StorageError::unavailable("the caller has left"))
    } else {
        message.run(lease)
    };
    let took = began.elapsed();
    if let Some(reading) = reading {
        reading.end();
    }
    Ended { reply, took }
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
        actix::ActorContext::stop(context);
    }
}
