//! The callers of a batch of entries, while an actor writes it.

use parking_lot::Mutex;

use crate::domain::journal::Entry;

use super::watch::{Caller, Callers, silent};

/// The callers of a batch, in the order of its entries, until they are answered or given up.
pub(super) struct BatchCallers {
    state: Mutex<State>,
    /// Ends the batch among those of the group commit.
    end: Box<dyn Fn() -> bool + Send + Sync>,
    /// Has an actor write the entries that have arrived meanwhile.
    start_another: Box<dyn Fn() + Send + Sync>,
}

struct State {
    callers: Vec<Caller<Entry>>,
    is_ended: bool,
}

impl BatchCallers {
    /// `end` is called once, when the batch is written or given up, and returns whether another must be started. If it is
    /// given up, `start_another` does that, otherwise whoever calls [`Self::end`].
    pub(super) fn new(
        callers: Vec<Caller<Entry>>,
        end: impl Fn() -> bool + Send + Sync + 'static,
        start_another: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                callers,
                is_ended: false,
            }),
            end: Box::new(end),
            start_another: Box::new(start_another),
        }
    }

    /// The callers, unless they were given up.
    pub(super) fn take(&self) -> Option<Vec<Caller<Entry>>> {
        let mut state = self.state.lock();
        (!state.is_ended).then(|| std::mem::take(&mut state.callers))
    }

    /// Whether they were given up.
    pub(super) fn are_given_up(&self) -> bool {
        self.state.lock().is_ended
    }

    /// Ends the batch; returns whether the actor must schedule another.
    pub(super) fn end(&self) -> bool {
        self.end_once().is_some() && (self.end)()
    }

    /// The callers that are left, if the batch had not ended.
    fn end_once(&self) -> Option<Vec<Caller<Entry>>> {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.is_ended, true) {
            return None;
        }
        Some(std::mem::take(&mut state.callers))
    }
}

impl Callers for BatchCallers {
    fn give_up(&self) -> bool {
        let Some(callers) = self.end_once() else {
            return false;
        };
        for Caller { answer, place } in callers {
            drop(place);
            let _ = answer.send(Err(silent()));
        }
        if (self.end)() {
            (self.start_another)();
        }
        true
    }
}
