//! Questions to the authorization server that are under way: whoever asks what is being asked already
//! waits for that answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

use super::AuthError;
use crate::domain::principal::{Credential, Principal};

/// What became of a question.
pub(super) type Outcome = Result<Arc<Principal>, AuthError>;

/// The questions under way, one for each token. There are never more than may pass the gate, and those
/// that wait for it, each of which is a request that somebody waits for.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Credential, Landing>>>);

/// Where an answer will be.
pub(super) type Landing = watch::Receiver<Option<Outcome>>;

/// The duty to bring an answer. Dropped without one, it leaves whoever waits to ask again.
pub(super) struct Flight {
    credential: Credential,
    outcome: watch::Sender<Option<Outcome>>,
    flights: Flights,
}

impl Flights {
    /// Where the answer about this token will be, and for the first that asks, the duty to bring it.
    pub(super) fn join(&self, credential: Credential) -> (Landing, Option<Flight>) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = under_way.get(&credential) {
            return (landing.clone(), None);
        }
        let (outcome, landing) = watch::channel(None);
        under_way.insert(credential, landing.clone());
        let flight = Flight {
            credential,
            outcome,
            flights: self.clone(),
        };
        (landing, Some(flight))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Flight {
    /// Brings the answer to everybody who waits for it.
    pub(super) fn land(self, outcome: Outcome) {
        // Before the answer is out, so that whoever comes after it asks anew: what is worth keeping is
        // in the cache by now, and a failure is for those alone who waited for it.
        self.leave();
        self.outcome.send_replace(Some(outcome));
    }

    fn leave(&self) {
        let mut under_way = self
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another may have taken its place since.
        if under_way
            .get(&self.credential)
            .is_some_and(|landing| landing.same_channel(&self.outcome.subscribe()))
        {
            under_way.remove(&self.credential);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Before the channel closes, so that nobody joins a flight that brings nothing any more.
        self.leave();
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
        let flights = Flights::default();
        let (mut first, flight) = flights.join(credential(1));
        let (mut second, none) = flights.join(credential(1));
        assert!(none.is_none());
        let (_, other) = flights.join(credential(2));
        assert!(other.is_some());
        flight.unwrap().land(Err(AuthError::Busy));
        for landing in [&mut first, &mut second] {
            let outcome = landing.wait_for(Option::is_some).await.unwrap();
            assert!(matches!(*outcome, Some(Err(AuthError::Busy))));
        }
        drop(other);
        assert_eq!(flights.len(), 0);
        assert!(flights.join(credential(1)).1.is_some(), "it is asked anew");
    }

    #[actix_rt::test]
    async fn a_flight_that_brings_nothing_leaves_nobody_waiting() {
        let flights = Flights::default();
        let (_, flight) = flights.join(credential(1));
        let (mut waiting, _) = flights.join(credential(1));
        drop(flight);
        assert!(waiting.wait_for(Option::is_some).await.is_err());
        assert!(flights.join(credential(1)).1.is_some());
    }
}
