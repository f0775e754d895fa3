//! Single flight: concurrent requests for the same token share one introspection.

use std::{collections::HashMap, mem, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::error::AuthError;
use crate::principal::{Credential, Principal};

/// The result of checking a token.
pub(crate) type Outcome = Result<Arc<Principal>, AuthError>;

/// The introspections in flight, by token, and the requests that wait for each. There are never more than
/// requests in flight, which the server limits.
#[derive(Clone, Default)]
pub(crate) struct SingleFlight(Arc<Mutex<InFlight>>);

type InFlight = HashMap<Credential, Vec<oneshot::Sender<Outcome>>>;

/// Receives the outcome of an introspection in flight.
pub(crate) type PendingOutcome = oneshot::Receiver<Outcome>;

/// Held by the leader of an introspection in flight. Dropped without an outcome, it makes the followers
/// look the token up again.
pub(crate) struct Completion {
    credential: Credential,
    single_flight: SingleFlight,
    is_removed: bool,
}

impl SingleFlight {
    /// Joins the introspection of a token, or begins one: the first caller becomes the leader and receives
    /// the [`Completion`].
    pub(crate) fn join(&self, credential: Credential) -> (PendingOutcome, Option<Completion>) {
        let (sender, pending) = oneshot::channel();
        let mut in_flight = self.lock();
        if let Some(waiting) = in_flight.get_mut(&credential) {
            // Remove cancelled requests before the vector grows, so that it stays as small as the
            // number of requests that still wait.
            if waiting.len() == waiting.capacity() {
                waiting.retain(|sender| !sender.is_closed());
            }
            waiting.push(sender);
            return (pending, None);
        }
        in_flight.insert(credential, vec![sender]);
        let completion = Completion {
            credential,
            single_flight: self.clone(),
            is_removed: false,
        };
        (pending, Some(completion))
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.0.lock()
    }
}

impl Completion {
    /// Sends the outcome to every waiting request.
    pub(crate) fn complete(mut self, outcome: Outcome) {
        // Removed before the outcome is sent, so that later requests start a new introspection: a result
        // worth keeping is in the cache by now, and a failure is only for those who waited for it.
        let mut waiting = self.remove();
        let last = waiting.pop();
        for sender in waiting {
            // A cancelled request needs no outcome.
            let _ = sender.send(outcome.clone());
        }
        if let Some(last) = last {
            let _ = last.send(outcome);
        }
    }

    /// Removes the entry, once: after that the key may belong to another introspection.
    fn remove(&mut self) -> Vec<oneshot::Sender<Outcome>> {
        if mem::replace(&mut self.is_removed, true) {
            return Vec::new();
        }
        let waiting = self.single_flight.lock().remove(&self.credential);
        waiting.unwrap_or_default()
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        // The entry is removed before the senders are dropped, so that a follower that looks the token
        // up again does not join this one.
        drop(self.remove());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(n: u8) -> Credential {
        Credential([n; 32])
    }

    #[actix_rt::test]
    async fn concurrent_requests_for_one_token_share_one_outcome() {
        let single_flight = SingleFlight::default();
        let (first, completion) = single_flight.join(credential(1));
        let (second, none) = single_flight.join(credential(1));
        assert!(none.is_none());
        let (_, other) = single_flight.join(credential(2));
        assert!(other.is_some());
        completion.unwrap().complete(Err(AuthError::Busy));
        for pending in [first, second] {
            assert!(matches!(pending.await, Ok(Err(AuthError::Busy))));
        }
        drop(other);
        assert!(single_flight.lock().is_empty());
        assert!(
            single_flight.join(credential(1)).1.is_some(),
            "a new introspection"
        );
    }

    #[actix_rt::test]
    async fn followers_of_a_dropped_leader_do_not_wait() {
        let single_flight = SingleFlight::default();
        let (_, completion) = single_flight.join(credential(1));
        let (waiting, _) = single_flight.join(credential(1));
        drop(completion);
        assert!(waiting.await.is_err());
        assert!(single_flight.join(credential(1)).1.is_some());
    }

    #[test]
    fn cancelled_followers_take_no_memory() {
        let single_flight = SingleFlight::default();
        let (_stays, completion) = single_flight.join(credential(1));
        for _ in 0..10_000 {
            drop(single_flight.join(credential(1)));
        }
        assert!(single_flight.lock()[&credential(1)].len() < 10);
        drop(completion);
    }

    #[test]
    fn a_completed_flight_does_not_remove_the_next_one() {
        let single_flight = SingleFlight::default();
        let (_, first) = single_flight.join(credential(1));
        let mut first = first.unwrap();
        first.remove();
        let (_, second) = single_flight.join(credential(1));
        assert!(second.is_some());
        drop(first);
        assert!(single_flight.join(credential(1)).1.is_none());
    }
}
