//! The budget of each source for unknown tokens: refusals are charged to it, and nothing else. A token that is
//! being asked about holds a unit until the answer is there; who finds none waits for a turn.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};

use super::{limiter::Limiter, source::Source};
use crate::clock::Clock;

/// How long a request waits for its turn.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Requests of one source that may wait.
const LONGEST_QUEUE: usize = 4_096;

/// Requests of all sources that may.
const LONGEST_QUEUE_OF_ALL: usize = 16_384;

/// The budgets of all sources. With a hosted client, thousands of users have one source; their good tokens cost
/// it nothing, but as many as it has units are asked about at once, because nobody knows yet that they are good.
pub(crate) struct UnknownTokens {
    limiter: Limiter,
    clock: Clock,
    /// The sources with tokens that are being asked about.
    sources: Mutex<HashMap<Source, Asking>>,
    /// The places of those that wait.
    queue: Semaphore,
}

/// The tokens of a source. There are waiting ones only if one is under way, whose end wakes them.
#[derive(Default)]
struct Asking {
    under_way: usize,
    waiting: VecDeque<oneshot::Sender<Result<Charge, Duration>>>,
}

/// Why a token is not asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// There were too many refusals; the time until the next token may be asked about.
    Exceeded(Duration),
    /// Too many wait, or it waited for too long.
    Busy,
}

/// A unit of the budget of a source, held while a token is asked about. Dropped, it is given back.
pub(crate) struct Charge {
    budgets: Arc<UnknownTokens>,
    source: Source,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Holds a unit.
    Reserved,
    /// For a token that was good before: it holds none, and costs one if it is refused.
    Unreserved,
    Settled,
}

impl UnknownTokens {
    /// Budgets of so many refusals a minute.
    pub(crate) fn new(per_minute: NonZeroU32, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            limiter: Limiter::new(per_minute),
            clock,
            sources: Mutex::default(),
            queue: Semaphore::new(LONGEST_QUEUE_OF_ALL),
        })
    }

    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// For a token that was good when its issuer was asked last: it does not wait.
    pub(crate) fn known(self: &Arc<Self>, source: Source) -> Charge {
        self.charge(source, State::Unreserved)
    }

    /// Takes a unit, and waits for one while the source has others under way.
    ///
    /// # Errors
    /// See [`NoTurn`].
    pub(crate) async fn reserve(self: &Arc<Self>, source: Source) -> Result<Charge, NoTurn> {
        let (_waits, turn) = {
            let mut sources = self.sources.lock();
            let is_first = sources
                .get(&source)
                .is_none_or(|asking| asking.waiting.is_empty());
            let exceeded = if is_first {
                match self.limiter.reserve(&source, self.clock.now()) {
                    Ok(()) => {
                        sources.entry(source).or_default().under_way += 1;
                        return Ok(self.charge(source, State::Reserved));
                    }
                    Err(wait) => Some(wait),
                }
            } else {
                None
            };
            let Some(asking) = sources.get_mut(&source) else {
                return Err(NoTurn::Exceeded(exceeded.unwrap_or_default()));
            };
            if asking.waiting.len() >= LONGEST_QUEUE {
                asking.waiting.retain(|waiting| !waiting.is_closed());
            }
            let place = self.queue.try_acquire().map_err(|_| NoTurn::Busy)?;
            if asking.waiting.len() >= LONGEST_QUEUE {
                return Err(NoTurn::Busy);
            }
            let (sender, turn) = oneshot::channel();
            asking.waiting.push_back(sender);
            (place, turn)
        };
        match timeout(PATIENCE, turn).await {
            Ok(Ok(turn)) => turn.map_err(NoTurn::Exceeded),
            Ok(Err(_)) | Err(_) => Err(NoTurn::Busy),
        }
    }

    fn charge(self: &Arc<Self>, source: Source, state: State) -> Charge {
        Charge {
            budgets: Arc::clone(self),
            source,
            state,
        }
    }

    /// Ends what a unit was taken for: it goes to the next that waits, or back.
    fn release(self: &Arc<Self>, source: Source) {
        let mut sources = self.sources.lock();
        let Some(asking) = sources.get_mut(&source) else {
            return;
        };
        if !self.hand_over(asking, source) {
            self.limiter.refund(&source);
            asking.under_way -= 1;
        }
        Self::tidy(sources, source);
    }

    /// The unit is used up: those that wait go on with what else the budget has. If it has nothing and nobody is
    /// under way who could give something back, they are told so.
    fn use_up(self: &Arc<Self>, source: Source) {
        let mut sources = self.sources.lock();
        let Some(asking) = sources.get_mut(&source) else {
            return;
        };
        asking.under_way -= 1;
        while !asking.waiting.is_empty() {
            match self.limiter.reserve(&source, self.clock.now()) {
                Ok(()) => {
                    asking.under_way += 1;
                    if !self.hand_over(asking, source) {
                        self.limiter.refund(&source);
                        asking.under_way -= 1;
                    }
                }
                Err(wait) => {
                    if asking.under_way == 0 {
                        for waiting in asking.waiting.drain(..) {
                            // One that has gone need not know.
                            let _ = waiting.send(Err(wait));
                        }
                    }
                    break;
                }
            }
        }
        Self::tidy(sources, source);
    }

    /// Gives a unit to the first that still waits.
    fn hand_over(self: &Arc<Self>, asking: &mut Asking, source: Source) -> bool {
        while let Some(waiting) = asking.waiting.pop_front() {
            match waiting.send(Ok(self.charge(source, State::Reserved))) {
                Ok(()) => return true,
                Err(Ok(mut charge)) => charge.state = State::Settled,
                Err(Err(_)) => {}
            }
        }
        false
    }

    fn tidy(mut sources: MutexGuard<'_, HashMap<Source, Asking>>, source: Source) {
        if sources
            .get(&source)
            .is_some_and(|asking| asking.under_way == 0 && asking.waiting.is_empty())
        {
            sources.remove(&source);
        }
    }
}

impl Charge {
    /// The token was refused: the unit is used up.
    pub(crate) fn refused(mut self) {
        let state = std::mem::replace(&mut self.state, State::Settled);
        match state {
            State::Reserved => self.budgets.use_up(self.source),
            State::Unreserved => {
                // A budget that is used up has nothing left to take.
                let now = self.budgets.clock.now();
                let _ = self.budgets.limiter.reserve(&self.source, now);
            }
            State::Settled => {}
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.state == State::Reserved {
            self.budgets.release(self.source);
        }
    }
}

#[cfg(test)]
#[path = "unknown_tokens_tests.rs"]
mod tests;
