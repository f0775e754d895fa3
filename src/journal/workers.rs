//! How an admitted message comes to a thread that may block.

use std::{fmt, sync::Arc};

use super::{
    actor::{Means, Waiting},
    batches::Batches,
    messages::{CreateEntry, JournalMessage},
    threads::Threads,
};

/// The threads that may block, and what they need.
#[derive(Clone)]
pub struct Workers {
    threads: Arc<Threads>,
    means: Arc<Means>,
    batches: Arc<Batches>,
}

/// When a message will be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once: a thread was free.
    Now,
    /// When a thread is free.
    Later,
    /// With others like it, when those before them are done.
    Together,
}

impl Workers {
    pub(super) fn new(threads: Threads, means: Means) -> Self {
        Self {
            threads: Arc::new(threads),
            means: Arc::new(means),
            batches: Arc::default(),
        }
    }

    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// Has a thread do what a message asks for.
    pub(super) fn begin_alone<M: JournalMessage>(&self, message: Waiting<M>) -> Start {
        let means = Arc::clone(&self.means);
        self.begin(move || {
            if let Some(admitted) = message.take() {
                means.work(admitted);
            }
        })
    }

    /// Has a thread write an entry, together with those that come while it is on its way, or with those
    /// that wait for a batch under way to be done.
    pub(super) fn begin_together(&self, entry: Waiting<CreateEntry>) -> Start {
        if !self.batches.join(entry) {
            return Start::Together;
        }
        let workers = self.clone();
        self.begin(move || workers.write_batch())
    }

    /// For an entry that has waited for long enough: has a thread write those who wait, whatever is under
    /// way, unless it is being written or a thread is on its way to it.
    pub(super) fn begin_overdue<M: JournalMessage>(&self, entry: &Waiting<M>) -> Start {
        if !entry.is(|_| true) {
            return Start::Now;
        }
        if !self.batches.hurry() {
            return Start::Later;
        }
        let workers = self.clone();
        self.begin(move || workers.write_batch())
    }

    fn write_batch(&self) {
        let turn = Turn(self);
        let batch = self.batches.begin();
        let left = if batch.is_empty() {
            batch
        } else {
            self.means.work_together(batch)
        };
        drop(turn);
        for admitted in left {
            self.begin_alone(Waiting::new(admitted));
        }
    }

    fn begin(&self, work: impl FnOnce() + Send + 'static) -> Start {
        if self.threads.begin(work) {
            Start::Now
        } else {
            Start::Later
        }
    }
}

/// A batch under way. When it is done, or has panicked, those who wait for that have theirs.
struct Turn<'a>(&'a Workers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Self(workers) = self;
        if workers.batches.end() {
            let next = Workers::clone(workers);
            // Behind what came before them, for reads need a thread as well.
            workers.threads.follow(move || next.write_batch());
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}
