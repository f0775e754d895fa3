//! The store of used request states, so that each is accepted once.

use std::{
    collections::BTreeMap,
    future::{Future, ready},
    pin::Pin,
};

use chrono::TimeDelta;
use parking_lot::Mutex;

use super::tool_error::ToolError;
use resource_server::{
    clock::{Clock, Timestamp},
    principal::UserId,
};

/// The nonce of a request state, which identifies it.
pub type StateNonce = [u8; 12];

/// How long a used state is remembered: longer than any state is valid.
pub const RETENTION: TimeDelta = TimeDelta::minutes(15);

/// The number of states that the store in memory remembers.
const CAPACITY: usize = 100_000;

/// `true` if the state was unused.
pub type UseFuture = Pin<Box<dyn Future<Output = Result<bool, ToolError>>>>;

/// Remembers which request states were used (MCP 2026-07-28, Multi Round-Trip Requests). The servers behind
/// one URL need a common store: otherwise a state is accepted once by each of them.
pub trait ReplayStore: Send + Sync {
    /// Marks a state of a user as used, for at least [`RETENTION`]; `true` if it was unused.
    ///
    /// # Errors
    /// If the store cannot tell. The state is not accepted then.
    fn mark_used(&self, user: UserId, nonce: StateNonce) -> UseFuture;
}

/// A store in the memory of this process, for a server that runs as one process.
pub struct InMemoryReplayStore {
    clock: Clock,
    used: Mutex<BTreeMap<StateNonce, Timestamp>>,
}

impl InMemoryReplayStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            used: Mutex::default(),
        }
    }
}

impl ReplayStore for InMemoryReplayStore {
    fn mark_used(&self, _: UserId, nonce: StateNonce) -> UseFuture {
        let now = self.clock.now();
        let mut used = self.used.lock();
        if used.len() >= CAPACITY {
            used.retain(|_, until| *until > now);
        }
        // Full of states that are still valid: none may be forgotten, so no further one is accepted.
        let outcome = if used.len() >= CAPACITY {
            Err(ToolError::Busy)
        } else {
            Ok(used.insert(nonce, now + RETENTION).is_none())
        };
        Box::pin(ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[actix_rt::test]
    async fn a_state_counts_once() {
        let store = InMemoryReplayStore::new(Clock::manual(DateTime::UNIX_EPOCH));
        let user = UserId::derive("i", "s");
        assert!(store.mark_used(user, [1; 12]).await.unwrap());
        assert!(!store.mark_used(user, [1; 12]).await.unwrap());
        assert!(store.mark_used(user, [2; 12]).await.unwrap());
    }
}
