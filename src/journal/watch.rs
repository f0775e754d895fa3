//! Gives up on what the database does not answer: the caller has an error, and another actor takes the place of the one
//! whose thread waits inside libpq, which nothing interrupts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::domain::{journal::JournalError, outage::Outage};
use resource_server::{cause::Cause, principal::UserId};

use super::admission::Place;

/// How long a message may take at most, from its admission, beyond the time that a statement may run: for the wait for
/// an actor and a connection, and for the answer of the database, which should have cancelled the statement by then.
const LONGEST_BESIDES: Duration = Duration::from_millis(1_500);

/// What an actor executes, and by when it must have ended.
#[derive(Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    execution: Option<Execution>,
    /// Whether another actor has taken the place of this one.
    is_replaced: bool,
}

struct Execution {
    since: Instant,
    overdue_at: Instant,
    /// Whose it is, for the share of the actors that the user occupies.
    user: Option<UserId>,
    callers: Arc<dyn Callers>,
    given_up_at: Option<Instant>,
}

/// Those who wait for what an actor executes.
pub(super) trait Callers: Send + Sync {
    /// Answers them that the database does not answer. Returns `false` if they have been answered.
    fn give_up(&self) -> bool;
}

/// An execution that has ended, when this is dropped, a panic included.
pub(super) struct Watched<'a>(&'a Watch);

/// What is to be done about an overdue execution.
pub(super) struct Overdue {
    /// When it was admitted.
    pub(super) admitted: Instant,
    pub(super) user: Option<UserId>,
    /// Whether the callers were given up only now.
    pub(super) is_new: bool,
    /// When they were given up.
    pub(super) since: Instant,
}

impl Watch {
    /// The actor executes a message that was admitted at `since`.
    pub(super) fn begin(
        &self,
        since: Instant,
        statement_timeout: Duration,
        user: Option<UserId>,
        callers: Arc<dyn Callers>,
    ) -> Watched<'_> {
        self.0.lock().execution = Some(Execution {
            since,
            overdue_at: since + statement_timeout + LONGEST_BESIDES,
            user,
            callers,
            given_up_at: None,
        });
        Watched(self)
    }

    /// Answers the callers of an execution that is overdue. If there is one and `replace` agrees, another actor must
    /// take the place of this one.
    pub(super) fn look(&self, now: Instant, replace: impl FnOnce(&Overdue) -> bool) -> Looked {
        let mut state = self.0.lock();
        let is_replaced = state.is_replaced;
        let Some(execution) = &mut state.execution else {
            return Looked::Fine;
        };
        if is_replaced || now < execution.overdue_at {
            return Looked::Fine;
        }
        let is_new = execution.given_up_at.is_none();
        if is_new && !execution.callers.give_up() {
            return Looked::Fine;
        }
        let overdue = Overdue {
            admitted: execution.since,
            user: execution.user,
            is_new,
            since: *execution.given_up_at.get_or_insert(now),
        };
        if replace(&overdue) {
            state.is_replaced = true;
            Looked::Replaced(overdue)
        } else {
            Looked::Hangs(overdue)
        }
    }

    /// Whether another actor has taken the place of this one.
    pub(super) fn is_replaced(&self) -> bool {
        self.0.lock().is_replaced
    }
}

/// What an actor was found to do.
pub(super) enum Looked {
    /// Nothing that is overdue.
    Fine,
    /// It hangs, and another must take its place.
    Replaced(Overdue),
    /// It hangs, and no other may take its place.
    Hangs(Overdue),
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let ended = self.0.0.lock().execution.take();
        // Dropped after the lock: it may notify its caller.
        drop(ended);
    }
}

/// A caller, until it is answered.
pub(super) struct Caller<R> {
    pub(super) answer: oneshot::Sender<Result<R, JournalError>>,
    pub(super) place: Place,
}

/// The caller of a message that is executed.
pub(super) struct Waiting<R>(Mutex<Option<Caller<R>>>);

impl<R> Waiting<R> {
    pub(super) fn new(caller: Caller<R>) -> Self {
        Self(Mutex::new(Some(caller)))
    }

    /// The caller, unless it was given up.
    pub(super) fn take(&self) -> Option<Caller<R>> {
        self.0.lock().take()
    }

    /// Whether it was given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.lock().is_none()
    }

    /// Whether it was given up or has left.
    pub(super) fn has_left(&self) -> bool {
        let caller = self.0.lock();
        caller
            .as_ref()
            .is_none_or(|caller| caller.answer.is_closed())
    }
}

impl<R: Send> Callers for Waiting<R> {
    fn give_up(&self) -> bool {
        let caller = self.take();
        let gave_up = caller.is_some();
        if let Some(caller) = caller {
            drop(caller.place);
            let _ = caller.answer.send(Err(silent()));
        }
        gave_up
    }
}

/// What a caller is told whose message the database does not answer.
pub(super) fn silent() -> JournalError {
    JournalError::Unavailable {
        why: Outage::Silent,
        source: Cause::new(
            "the database has not answered for longer than a statement may take; its connection was given up",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Answered(Mutex<bool>);

    impl Callers for Answered {
        fn give_up(&self) -> bool {
            !std::mem::replace(&mut *self.0.lock(), true)
        }
    }

    fn begin(watch: &Watch, since: Instant) -> Watched<'_> {
        let callers = Arc::new(Answered(Mutex::new(false)));
        watch.begin(since, Duration::from_secs(5), None, callers)
    }

    #[test]
    fn an_execution_is_given_up_once_and_only_when_it_is_overdue() {
        let watch = Watch::default();
        let now = Instant::now();
        let watched = begin(&watch, now);
        let early = now + Duration::from_millis(6_400);
        assert!(matches!(watch.look(early, |_| true), Looked::Fine));
        let late = now + Duration::from_secs(7);
        assert!(
            matches!(watch.look(late, |overdue| !overdue.is_new), Looked::Hangs(overdue) if overdue.is_new)
        );
        assert!(matches!(watch.look(late, |_| true), Looked::Replaced(overdue) if !overdue.is_new));
        assert!(matches!(watch.look(late, |_| true), Looked::Fine));
        assert!(watch.is_replaced());
        drop(watched);
        assert!(watch.is_replaced(), "it stays replaced");
    }

    #[test]
    fn what_has_ended_is_not_given_up() {
        let watch = Watch::default();
        drop(begin(&watch, Instant::now()));
        let late = Instant::now() + Duration::from_secs(60);
        assert!(matches!(watch.look(late, |_| true), Looked::Fine));
    }
}
