//! The threads that may block: one for each connection, fed by one queue.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
};

/// What a thread does. Bounded by whoever hands it in: the queue takes everything.
type Work = Box<dyn FnOnce() + Send>;

/// Some threads. What was handed in is done even if this is dropped meanwhile; then they end.
pub(super) struct Threads(Arc<Queue>);

#[derive(Default)]
struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Those that have nothing to do and have not been woken, the last to become so at the end.
    idle: Vec<Thread>,
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
        // Waking costs a system call, so nobody is woken who is awake. The last to rest has most of what
        // it needs in the processor's caches.
        let Some(thread) = state.idle.pop() else {
            return false;
        };
        drop(state);
        thread.unpark();
        true
    }

    /// Has something done after what waits already. To be said by one of the threads, which looks for
    /// more to do before it rests, so that nobody need be woken.
    pub(super) fn follow(&self, work: impl FnOnce() + Send + 'static) {
        self.0.lock().waiting.push_back(Box::new(work));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        state.idle.drain(..).for_each(|thread| thread.unpark());
    }
}

impl Queue {
    fn work(&self) {
        let me = thread::current();
        while let Some(work) = self.next(&me) {
            // Said by the hook that every panic passes; whoever waits for an answer gets none.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    fn next(&self, me: &Thread) -> Option<Work> {
        loop {
            let mut state = self.lock();
            // Still among them if it was woken without a reason.
            state.idle.retain(|thread| thread.id() != me.id());
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if state.is_closed {
                return None;
            }
            state.idle.push(me.clone());
            drop(state);
            thread::park();
        }
    }

    /// A poisoned lock is taken all the same: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    #[test]
    fn a_thread_is_said_to_be_free_only_if_it_is() {
        let threads = Threads::start(2);
        let (done, is_done) = mpsc::channel();
        let signal = |done: &mpsc::Sender<()>| {
            let done = done.clone();
            move || done.send(()).unwrap()
        };
        // Threads rest and are woken in every order.
        for _ in 0..1_000 {
            threads.begin(signal(&done));
            threads.begin(signal(&done));
            is_done.iter().take(2).for_each(drop);
        }
        let (releases, held): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel::<()>()).unzip();
        for release in held {
            let begun = signal(&done);
            threads.begin(move || {
                begun();
                let _ = release.recv();
            });
        }
        is_done.iter().take(2).for_each(drop);
        assert!(!threads.begin(signal(&done)), "both have something to do");
        drop(releases);
        is_done.recv().unwrap();
    }
}
