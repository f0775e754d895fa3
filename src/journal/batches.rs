//! Entries that come while others are being written are written together when those are done.
//!
//! Nobody waits for company: an entry that finds no batch under way begins one, of itself alone.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    actor::{Admitted, Waiting},
    messages::CreateEntry,
};

/// A batch has at most so many entries; when as many wait, another begins beside it.
const MOST: usize = 32;
/// A batch ends with the entry that brings its text to so many bytes, so that a long one holds up few.
const ENOUGH_TEXT: usize = 64 * 1024;

/// The entries that wait for a batch under way to be done.
#[derive(Default)]
pub(super) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting<CreateEntry>>,
    under_way: usize,
    /// Whether a thread has been told to come for the next batch, and is not there yet.
    is_thread_told: bool,
}

impl Batches {
    /// Has an entry wait for the next batch, and says whether a thread must be told to come for it.
    pub(super) fn join(&self, entry: Waiting<CreateEntry>) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(entry);
        let is_batch_wanted = state.under_way == 0 || state.waiting.len() >= MOST;
        is_batch_wanted && state.tell()
    }

    /// Says whether a thread must be told to come for those who wait, though others are being written.
    pub(super) fn hurry(&self) -> bool {
        self.lock().tell()
    }

    /// For the thread that was told to come: the next batch, which is empty if everybody who waited
    /// has gone.
    pub(super) fn begin(&self) -> Vec<Admitted<CreateEntry>> {
        let mut state = self.lock();
        state.is_thread_told = false;
        state.under_way += 1;
        let mut batch = Vec::with_capacity(state.waiting.len().min(MOST));
        let mut text = 0;
        while batch.len() < MOST && text < ENOUGH_TEXT {
            let Some(waiting) = state.waiting.pop_front() else {
                break;
            };
            if let Some(admitted) = waiting.take() {
                let entry = &admitted.message.entry;
                text += entry.title.len() + entry.content.len();
                batch.push(admitted);
            }
        }
        batch
    }

    /// For that thread, when the batch is done: whether it must come again, for those who have come to
    /// wait meanwhile.
    pub(super) fn end(&self) -> bool {
        let mut state = self.lock();
        state.under_way -= 1;
        state.tell()
    }

    /// A poisoned lock is taken all the same: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a thread is to be told to come now: somebody waits, and none has been told.
    fn tell(&mut self) -> bool {
        let tells = !self.waiting.is_empty() && !self.is_thread_told;
        self.is_thread_told |= tells;
        tells
    }
}
