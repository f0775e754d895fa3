//! Waits for blocking work, but not for ever: libpq waits for as long as a server neither answers nor closes the
//! connection, whatever the limit of the statement, which is the server's to keep.
//!
//! Nothing interrupts such a wait, so the work has a thread of its own, which is left behind if it takes too long. It
//! ends when the server answers or the connection breaks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread,
    time::Duration,
};

use derive_more::{Display, Error};
use parking_lot::Mutex;

/// The most threads that are left behind at once. Further work fails at once until one of them has ended.
const MOST_LEFT_BEHIND: usize = 64;

/// How long a thread without work waits for more.
const IDLE: Duration = Duration::from_secs(10);

/// Why work has no result.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
pub(super) enum Silent {
    /// It took too long, and goes on where nobody waits for it.
    #[display("no answer within {} ms", _0.as_millis())]
    NoAnswer(#[error(not(source))] Duration),
    /// As much work as may hang does.
    #[display("no answer to {MOST_LEFT_BEHIND} attempts before this one")]
    TooMany,
}

/// Does blocking work and waits for at most so long for its result. A panic of the work is passed on.
///
/// # Errors
/// [`Silent`] if there is none in time.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Silent> {
    if LEFT_BEHIND.load(Ordering::Acquire) >= MOST_LEFT_BEHIND {
        return Err(Silent::TooMany);
    }
    let (done, is_done) = mpsc::sync_channel(1);
    let progress = Arc::new(AtomicU8::new(UNDER_WAY));
    let of_worker = Arc::clone(&progress);
    give_to_a_thread(Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // If nobody waits any more, the result is dropped, and a connection in it closed.
        let _ = done.send(result);
        if of_worker.swap(DONE, Ordering::AcqRel) == LEFT {
            LEFT_BEHIND.fetch_sub(1, Ordering::AcqRel);
        }
    }));
    let result = match is_done.recv_timeout(limit) {
        Err(RecvTimeoutError::Timeout) => {
            // Counted first, so that the count never falls below zero.
            LEFT_BEHIND.fetch_add(1, Ordering::AcqRel);
            if progress.swap(LEFT, Ordering::AcqRel) == DONE {
                LEFT_BEHIND.fetch_sub(1, Ordering::AcqRel);
            }
            return Err(Silent::NoAnswer(limit));
        }
        result => result.expect("the worker sends before it drops the sender"),
    };
    Ok(result.unwrap_or_else(|panic| resume_unwind(panic)))
}

static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// What became of work, so that whoever comes last counts it.
const UNDER_WAY: u8 = 0;
const DONE: u8 = 1;
const LEFT: u8 = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The threads that wait for work.
static WAITING: Mutex<Vec<(u64, SyncSender<Job>)>> = Mutex::new(Vec::new());

fn give_to_a_thread(mut job: Job) {
    loop {
        // Not held while the thread is woken.
        let waiting = WAITING.lock().pop();
        let Some((_, thread)) = waiting else { break };
        match thread.send(job) {
            Ok(()) => return,
            Err(unsent) => job = unsent.0,
        }
    }
    thread::Builder::new()
        .name("database".to_owned())
        .spawn(move || work(job))
        .expect("the operating system starts threads");
}

/// Does a job, and then those that come while it waits for some.
fn work(mut job: Job) {
    static COUNT: Mutex<u64> = Mutex::new(0);
    let own = {
        let mut count = COUNT.lock();
        *count += 1;
        *count
    };
    loop {
        job();
        let (give, given) = mpsc::sync_channel(1);
        WAITING.lock().push((own, give));
        let next = given.recv_timeout(IDLE).ok().or_else(|| {
            let mut waiting = WAITING.lock();
            let place = waiting.iter().position(|(id, _)| *id == own);
            if let Some(place) = place {
                waiting.swap_remove(place);
                return None;
            }
            drop(waiting);
            // It was taken from the list a moment ago, so a job is on its way.
            given.recv().ok()
        });
        match next {
            Some(next) => job = next,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_takes_too_long_is_left_behind_and_counted_until_it_ends() {
        let (release, held) = mpsc::channel::<()>();
        let (dropped, is_dropped) = mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        let given_up = within(limit, move || {
            let _ = held.recv();
            // Stands for a connection, which is closed where nobody takes it.
            dropped
        });
        assert_eq!(given_up.err(), Some(Silent::NoAnswer(limit)));
        assert!(LEFT_BEHIND.load(Ordering::Acquire) > 0);
        drop(release);
        assert!(is_dropped.recv().is_err(), "its result is dropped");
    }

    #[test]
    fn work_in_time_has_its_result_and_its_panics() {
        let limit = Duration::from_secs(20);
        for number in 0..20 {
            assert_eq!(within(limit, move || number * 2), Ok(number * 2));
        }
        let caught = catch_unwind(|| within(limit, || panic!("on purpose")));
        assert!(caught.is_err());
    }
}
