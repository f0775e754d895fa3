//! The store of used request states, so that each is accepted once.

use std::{
    future::{Future, ready},
    pin::Pin,
};

use chrono::TimeDelta;

use super::tool_error::ToolError;
use resource_server::{
    clock::{Clock, ClockWatch},
    principal::UserId,
    replay_cache::{ReplayCache, ReplayCheck, WhenFull},
};

/// The nonce of a request state, which identifies it.
pub type StateNonce = [u8; 12];

/// How long a used state is remembered: longer than any state is valid.
pub const RETENTION: TimeDelta = TimeDelta::minutes(15);

/// The number of states that the store in memory remembers.
const CAPACITY: usize = 100_000;

/// The number of states of one user that it remembers, so that no user can fill it for the others.
const CAPACITY_PER_USER: usize = 1_000;

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
    clock_watch: ClockWatch,
    used: ReplayCache,
}

impl InMemoryReplayStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock_watch: ClockWatch::new(clock.clone()),
            clock,
            // No state may be forgotten while it is valid: a full store accepts no further one.
            used: ReplayCache::new(CAPACITY, CAPACITY_PER_USER, WhenFull::Reject),
        }
    }
}

impl ReplayStore for InMemoryReplayStore {
    fn mark_used(&self, user: UserId, nonce: StateNonce) -> UseFuture {
        if let Some(by) = self.clock_watch.jumped() {
            self.used.clock_jumped(by);
        }
        let now = self.clock.now();
        let owner = user.as_uuid();
        let outcome = match self.used.check(owner, nonce, now + RETENTION, now) {
            ReplayCheck::Fresh => Ok(true),
            ReplayCheck::Replayed => Ok(false),
            ReplayCheck::Full => Err(ToolError::Busy),
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

    #[actix_rt::test]
    async fn a_state_counts_once_though_the_clock_was_wrong_for_a_while() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let store = InMemoryReplayStore::new(clock.clone());
        let user = UserId::derive("i", "s");
        assert!(store.mark_used(user, [1; 12]).await.unwrap());
        clock.set_by(TimeDelta::days(1));
        assert!(store.mark_used(user, [2; 12]).await.unwrap());
        clock.set_by(TimeDelta::days(-1));
        assert!(!store.mark_used(user, [1; 12]).await.unwrap());
    }

    #[actix_rt::test]
    async fn a_user_who_fills_the_store_is_refused_alone() {
        let store = InMemoryReplayStore::new(Clock::manual(DateTime::UNIX_EPOCH));
        let [full, other] = ["full", "other"].map(|subject| UserId::derive("i", subject));
        for number in 0..CAPACITY_PER_USER {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&number.to_ne_bytes());
            assert!(store.mark_used(full, nonce).await.unwrap());
        }
        let refused = store.mark_used(full, [255; 12]).await;
        assert!(matches!(refused, Err(ToolError::Busy)));
        assert!(store.mark_used(other, [255; 12]).await.unwrap());
    }
}
