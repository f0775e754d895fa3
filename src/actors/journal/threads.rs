//! The threads that may block: one for each connection, fed by one queue.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What a thread does. Bounded by whoever hands it in: the queue takes everything.
type Work = Box<dyn FnOnce() + Send>;

/// Some threads. What was handed in is done even if this is dropped meanwhile; then they end.
pub(super) struct Threads(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    has_work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// How many threads have nothing to do, and have not been woken.
    idle: usize,
    is_closed: bool,
}

impl Threads {
    /// So many threads.
    ///
    /// # Panics
    /// If the operating system has no thread to give.
    pub(super) fn start(count: u32) -> Self {
        let queue = Arc::<Queue>::default();
        for number in 0..count {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("journal-{number}"))
                .spawn(move || queue.work())
                .expect("the operating system gives threads");
        }
        Self(queue)
    }

    /// Has something done, and says whether a thread was free for it. A panic ends the work, and not its
    /// thread.
    pub(super) fn begin(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let mut state = self.0.lock();
        state.waiting.push_back(Box::new(work));
        // Waking costs a system call, so nobody is woken who is awake.
        let is_free = state.idle > 0;
        if is_free {
            state.idle -= 1;
            drop(state);
            self.0.has_work.notify_one();
        }
        is_free
    }

    /// Has something done after what waits already. To be said by one of the threads, which looks for
    /// more to do before it rests, so that nobody need be woken.
    pub(super) fn follow(&self, work: impl FnOnce() + Send + 'static) {
        self.0.lock().waiting.push_back(Box::new(work));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.has_work.notify_all();
    }
}

impl Queue {
    fn work(&self) {
        while let Some(work) = self.next() {
            // Said by the hook that every panic passes; whoever waits for an answer gets none.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if state.is_closed {
                return None;
            }
            state.idle += 1;
            // Woken without a reason, it is counted as idle twice for a moment: one call more to wake
            // somebody, and nothing else.
            state = self
                .has_work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A poisoned lock is taken all the same: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn everything_that_was_handed_in_is_done_and_a_panic_takes_no_thread_away() {
        let threads = Threads::start(2);
        let (done, is_done) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            threads.begin(move || {
                assert!(number % 3 != 0, "on purpose");
                done.send(number).unwrap();
            });
        }
        drop((threads, done));
        let mut all: Vec<i32> = is_done.iter().collect();
        all.sort_unstable();
        assert_eq!(
            all,
            Vec::from_iter((0..100).filter(|number| number % 3 != 0))
        );
    }
}
