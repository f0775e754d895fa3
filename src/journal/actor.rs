//! The work on a message, which runs on a thread that may block.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    domain::{
        journal::{Change, JournalError},
        principal::UserId,
    },
    features::changes::Changes,
    gate::Permit,
    storage::{
        Lease, Pool, StorageError, entries,
        entry_batches::{self, Batch},
    },
};

use super::{
    messages::{CreateEntry, JournalMessage, Kind},
    published::published,
};

/// A message with its place behind the gate, which it keeps until the work has ended.
pub(super) struct Admitted<M: JournalMessage> {
    pub(super) message: M,
    pub(super) permit: Permit,
    pub(super) answer: oneshot::Sender<Result<M::Reply, JournalError>>,
    /// When it began to wait for a connection.
    pub(super) since: Instant,
}

/// A message that no thread has begun yet. Clones are the same one, and the first to take it has it.
pub struct Waiting<M: JournalMessage>(Arc<Mutex<Option<Admitted<M>>>>);

impl<M: JournalMessage> Waiting<M> {
    pub(super) fn new(admitted: Admitted<M>) -> Self {
        Self(Arc::new(Mutex::new(Some(admitted))))
    }

    /// The message, if nobody has taken it before.
    pub(super) fn take(&self) -> Option<Admitted<M>> {
        self.lock().take()
    }

    /// Whether it still waits, and is such a message.
    pub(super) fn is(&self, such: impl FnOnce(&M) -> bool) -> bool {
        self.lock()
            .as_ref()
            .is_some_and(|admitted| such(&admitted.message))
    }

    /// A poisoned lock is taken all the same: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Option<Admitted<M>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: JournalMessage> Clone for Waiting<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What the work on a message needs.
pub(super) struct Means {
    pool: Pool,
    /// How long a message waits for a connection.
    pub(super) connect_timeout: Duration,
    changes: Changes,
}

impl Means {
    pub(super) fn new(pool: Pool, connect_timeout: Duration, changes: Changes) -> Self {
        Self {
            pool,
            connect_timeout,
            changes,
        }
    }

    /// Does what a message asks for, and answers it. Blocks.
    pub(super) fn work<M: JournalMessage>(&self, admitted: Admitted<M>) {
        let Admitted {
            message,
            permit,
            answer,
            since,
        } = admitted;
        // A read ends with its caller.
        if M::KIND == Kind::Read && answer.is_closed() {
            return;
        }
        let reply = self.run(&message, since);
        match &reply {
            Ok(reply) => self.announce(message.changes(reply), permit),
            Err(_) => drop(permit),
        }
        // Nobody may be waiting any more: a write was what mattered.
        let _ = answer.send(reply.map_err(JournalError::from));
    }

    /// Writes entries at once and answers for them; returns those that must be written each by itself.
    /// Blocks.
    pub(super) fn work_together(
        &self,
        batch: Vec<Admitted<CreateEntry>>,
    ) -> Vec<Admitted<CreateEntry>> {
        let mut left = Vec::new();
        match self.write(&batch) {
            Ok(Batch::Written(added)) => {
                for (admitted, added) in batch.into_iter().zip(added) {
                    let Some((id, created_at)) = added else {
                        left.push(admitted);
                        continue;
                    };
                    drop(admitted.permit);
                    let entry = admitted.message.entry.written(id, created_at, Vec::new());
                    // Nobody may be waiting any more: the write was what mattered.
                    let _ = admitted.answer.send(Ok(entry));
                }
            }
            // So that none is refused for what another brought.
            Ok(Batch::Refused) => left = batch,
            Err(error) => {
                for admitted in batch {
                    drop(admitted.permit);
                    let _ = admitted.answer.send(Err(error.clone().into()));
                }
            }
        }
        left
    }

    fn write(&self, batch: &[Admitted<CreateEntry>]) -> Result<Batch, StorageError> {
        let oldest = batch.iter().map(|admitted| admitted.since).min();
        let mut lease = self.lease(oldest.unwrap_or_else(Instant::now))?;
        let written = match batch {
            [only] => {
                let CreateEntry { owner, entry, .. } = &only.message;
                entries::create_plain(&mut lease, owner, entry)
                    .map(|added| Batch::Written(vec![Some(added)]))
            }
            batch => {
                let entries = batch
                    .iter()
                    .map(|admitted| (&admitted.message.owner, &admitted.message.entry));
                entry_batches::create_entries(&mut lease, &Vec::from_iter(entries))
            }
        };
        if let Err(StorageError::Unavailable { .. }) = written {
            // Asked so that a connection that broke does not go back to the pool. A write may have been
            // done before it did, and is not tried again.
            lease.is_broken();
        }
        written
    }

    fn run<M: JournalMessage>(
        &self,
        message: &M,
        since: Instant,
    ) -> Result<M::Reply, StorageError> {
        let mut lease = self.lease(since)?;
        match message.run(&mut lease) {
            // Connections that a restart of the database cut are noticed when they are used. A read
            // starts over with a new one; a write may have been done before the connection broke.
            Err(StorageError::Unavailable { .. }) if lease.is_broken() && M::KIND == Kind::Read => {
                drop(lease);
                let mut lease = self.pool.get_within(self.connect_timeout)?;
                message.run(&mut lease)
            }
            reply => reply,
        }
    }

    /// A connection for what has waited for one since then.
    fn lease(&self, since: Instant) -> Result<Lease, StorageError> {
        let patience = self.connect_timeout.saturating_sub(since.elapsed());
        self.pool.get_within(patience)
    }

    /// Tells sessions and streams what changed, before the caller has its answer. The permit is held
    /// until they have been told, so that no more of this is under way than messages may be.
    fn announce(&self, changes: Option<(UserId, Vec<Change>)>, permit: Permit) {
        if let Some((user, changes)) = changes
            && self.changes.is_anybody_subscribed()
        {
            let published = changes.into_iter().flat_map(published).collect();
            self.changes.publish_holding(user, published, permit);
        }
    }
}
