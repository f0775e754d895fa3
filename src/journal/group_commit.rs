//! Group commit: entries that arrive while others are being written are written together, in one statement,
//! when those are done. An entry that arrives while no batch is being written is written at once.

use actix::Message;
use parking_lot::Mutex;

use crate::domain::journal::{Entry, JournalError, JournalOwner, NewEntry};

use super::{
    admission::Admitted,
    queue::{Queue, Ticket},
};

/// The most entries in a batch. When as many wait, another batch starts beside the one under way.
const MAX_ENTRIES: usize = 32;
/// A batch ends with the entry that brings its text to this many bytes, so that long entries delay few
/// others.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Longer entries are not written in batches: making what a search finds takes milliseconds for each, and of a
/// batch no user can be told that it is theirs.
const MAX_ENTRY_BYTES: usize = 8 * 1024;

/// Whether an entry is too long for a batch.
pub(super) fn is_long(entry: &NewEntry) -> bool {
    entry.title.len() + entry.content.len() > MAX_ENTRY_BYTES
}

/// Write an entry that is one row and nothing else: without tags and without an idempotency key.
#[derive(Message)]
#[rtype(result = "Result<Entry, JournalError>")]
pub struct PlainEntry {
    pub(super) owner: JournalOwner,
    pub(super) entry: NewEntry,
}

/// Write the next batch of the entries that wait. At most one of these is scheduled at a time.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WriteBatch;

/// The entries that wait for a batch.
pub(super) struct GroupCommit(Mutex<State>);

struct State {
    waiting: Queue<Admitted<PlainEntry>>,
    batches_under_way: usize,
    /// The most batches at once, so that entries leave connections for other messages.
    max_batches: usize,
    /// Whether a [`WriteBatch`] is on its way to an actor.
    is_batch_scheduled: bool,
}

/// How an entry has joined those that wait.
pub(super) enum Joined {
    /// The caller must schedule a [`WriteBatch`].
    NeedsBatch(Ticket),
    /// A batch will be started for it, at the latest when those under way are done.
    Waits(Ticket),
}

impl GroupCommit {
    /// At most so many batches at once.
    pub(super) fn new(max_batches: usize) -> Self {
        Self(Mutex::new(State {
            waiting: Queue::default(),
            batches_under_way: 0,
            max_batches,
            is_batch_scheduled: false,
        }))
    }

    /// Adds an entry to those that wait.
    pub(super) fn join(&self, entry: Admitted<PlainEntry>) -> Joined {
        let mut state = self.0.lock();
        let ticket = state.waiting.push(entry);
        let is_batch_due = state.batches_under_way == 0 || state.waiting.len() >= MAX_ENTRIES;
        if is_batch_due && state.needs_batch() {
            Joined::NeedsBatch(ticket)
        } else {
            Joined::Waits(ticket)
        }
    }

    /// For an entry that has waited for the longest time it may: whether the caller must schedule a
    /// [`WriteBatch`] beside those under way. Not if it is being written or one is scheduled already.
    pub(super) fn needs_batch(&self, ticket: Ticket) -> bool {
        let mut state = self.0.lock();
        state.waiting.contains(ticket) && state.needs_batch()
    }

    /// Drops an entry that still waits; returns whether it did.
    pub(super) fn withdraw(&self, ticket: Ticket) -> bool {
        // Dropped after the lock: it notifies its caller.
        let withdrawn = self.0.lock().waiting.withdraw(ticket);
        withdrawn.is_some()
    }

    /// For the actor that handles a [`WriteBatch`]: the entries to write, none if all were withdrawn. It
    /// must call [`Self::end`] afterwards.
    pub(super) fn begin(&self) -> Vec<Admitted<PlainEntry>> {
        let mut state = self.0.lock();
        state.is_batch_scheduled = false;
        state.batches_under_way += 1;
        let mut batch = Vec::with_capacity(state.waiting.len().min(MAX_ENTRIES));
        let mut text_bytes = 0;
        while batch.len() < MAX_ENTRIES && text_bytes < MAX_TEXT_BYTES {
            let Some(admitted) = state.waiting.pop() else {
                break;
            };
            let entry = &admitted.message.entry;
            text_bytes += entry.title.len() + entry.content.len();
            batch.push(admitted);
        }
        batch
    }

    /// Ends a batch; returns whether the actor must schedule another, for entries that arrived meanwhile.
    pub(super) fn end(&self) -> bool {
        let mut state = self.0.lock();
        state.batches_under_way -= 1;
        state.needs_batch()
    }
}

impl State {
    /// Whether entries wait and no batch is scheduled for them. The caller then schedules one.
    fn needs_batch(&mut self) -> bool {
        let needs = !self.waiting.is_empty()
            && !self.is_batch_scheduled
            && self.batches_under_way < self.max_batches;
        self.is_batch_scheduled |= needs;
        needs
    }
}
