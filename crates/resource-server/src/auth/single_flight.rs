//! Questions to the authorization server that are under way: whoever asks what is being asked already
//! waits for that answer.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::AuthError;
use crate::principal::{Credential, Principal};

/// What became of a question.
pub(crate) type Outcome = Result<Arc<Principal>, AuthError>;

/// The questions under way, one for each token, and who waits for the answer. There are never more than
/// may pass the gate, and those that wait for it, each of which is a request that somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct SingleFlight(Arc<Mutex<UnderWay>>);

type UnderWay = HashMap<Credential, Vec<oneshot::Sender<Outcome>>>;

/// Where an answer will be.
pub(crate) type PendingAnswer = oneshot::Receiver<Outcome>;

/// The duty to bring an answer. Dropped without one, it leaves whoever waits to ask again.
pub(crate) struct Leadership {
    credential: Credential,
    flights: SingleFlight,
    has_left: bool,
}

impl SingleFlight {
    /// Where the answer about this token will be, and for the first that asks, the duty to bring it.
    pub(crate) fn join(&self, credential: Credential) -> (PendingAnswer, Option<Leadership>) {
        let (waiter, landing) = oneshot::channel();
        let mut under_way = self.lock();
        if let Some(waiting) = under_way.get_mut(&credential) {
            // Whoever went away makes room, however many come and go during one flight.
            if waiting.len() == waiting.capacity() {
                waiting.retain(|waiter| !waiter.is_closed());
            }
            waiting.push(waiter);
            return (landing, None);
        }
        under_way.insert(credential, vec![waiter]);
        let flight = Leadership {
            credential,
            flights: self.clone(),
            has_left: false,
        };
        (landing, Some(flight))
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leadership {
    /// Brings the answer to everybody who waits for it.
    pub(crate) fn land(mut self, outcome: Outcome) {
        // Before the answer is out, so that whoever comes after it asks anew: what is worth keeping is
        // in the cache by now, and a failure is for those alone who waited for it.
        let mut waiting = self.leave();
        let last = waiting.pop();
        for waiter in waiting {
            // Whoever went away needs no answer.
            let _ = waiter.send(outcome.clone());
        }
        if let Some(last) = last {
            let _ = last.send(outcome);
        }
    }

    /// Gives its place up, once: after that it is another flight's. Gives whoever waits.
    fn leave(&mut self) -> Vec<oneshot::Sender<Outcome>> {
        if mem::replace(&mut self.has_left, true) {
            return Vec::new();
        }
        let waiting = self.flights.lock().remove(&self.credential);
        waiting.unwrap_or_default()
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        // Nobody joins a flight any more by the time that those who wait hear that it brings nothing.
        drop(self.leave());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(n: u8) -> Credential {
        Credential([n; 32])
    }

    #[actix_rt::test]
    async fn everybody_who_asks_the_same_gets_the_first_ones_answer() {
        let flights = SingleFlight::default();
        let (first, flight) = flights.join(credential(1));
        let (second, none) = flights.join(credential(1));
        assert!(none.is_none());
        let (_, other) = flights.join(credential(2));
        assert!(other.is_some());
        flight.unwrap().land(Err(AuthError::Busy));
        for landing in [first, second] {
            assert!(matches!(landing.await, Ok(Err(AuthError::Busy))));
        }
        drop(other);
        assert!(flights.lock().is_empty());
        assert!(flights.join(credential(1)).1.is_some(), "it is asked anew");
    }

    #[actix_rt::test]
    async fn a_flight_that_brings_nothing_leaves_nobody_waiting() {
        let flights = SingleFlight::default();
        let (_, flight) = flights.join(credential(1));
        let (waiting, _) = flights.join(credential(1));
        drop(flight);
        assert!(waiting.await.is_err());
        assert!(flights.join(credential(1)).1.is_some());
    }

    #[test]
    fn who_comes_and_goes_while_a_question_is_under_way_takes_no_room() {
        let flights = SingleFlight::default();
        let (_stays, flight) = flights.join(credential(1));
        for _ in 0..10_000 {
            drop(flights.join(credential(1)));
        }
        assert!(flights.lock()[&credential(1)].len() < 10);
        drop(flight);
    }

    #[test]
    fn a_flight_that_has_landed_leaves_the_next_alone() {
        let flights = SingleFlight::default();
        let (_, first) = flights.join(credential(1));
        let mut first = first.unwrap();
        first.leave();
        let (_, second) = flights.join(credential(1));
        assert!(second.is_some());
        drop(first);
        assert!(flights.join(credential(1)).1.is_none());
    }
}
