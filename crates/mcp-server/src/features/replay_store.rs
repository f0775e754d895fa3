//! Where used request states are remembered, so that each counts once.

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

/// Identifies a request state: no two have the same.
pub type StateNonce = [u8; 12];

/// How long a used state is remembered: longer than any state is accepted.
pub const REMEMBERED: TimeDelta = TimeDelta::minutes(15);

/// How many used states the store in memory remembers.
const MOST: usize = 100_000;

/// Whether a state counts: `true` the first time.
pub type UseFuture = Pin<Box<dyn Future<Output = Result<bool, ToolError>>>>;

/// Remembers which request states were used (MCP 2026-07-28, multi round-trip requests). The servers
/// behind one URL need one store in common, as they need one key: else a state counts once for each.
pub trait ReplayStore: Send + Sync {
    /// Marks a state of a user as used, for at least [`REMEMBERED`]. Says whether it was unused.
    ///
    /// # Errors
    /// If it cannot be found out. The state is not accepted then.
    fn mark_used(&self, user: UserId, nonce: StateNonce) -> UseFuture;
}

/// A store in the memory of this process, for a server that runs as one.
pub struct ReplayMemory {
    clock: Clock,
    used: Mutex<BTreeMap<StateNonce, Timestamp>>,
}

impl ReplayMemory {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            used: Mutex::default(),
        }
    }
}

impl ReplayStore for ReplayMemory {
    fn mark_used(&self, _: UserId, nonce: StateNonce) -> UseFuture {
        let now = self.clock.now();
        let mut used = self.used.lock();
        if used.len() >= MOST {
            used.retain(|_, until| *until > now);
        }
        // Full of states that still matter: none may be forgotten, so none is accepted.
        let outcome = if used.len() >= MOST {
            Err(ToolError::Busy)
        } else {
            Ok(used.insert(nonce, now + REMEMBERED).is_none())
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
        let store = ReplayMemory::new(Clock::manual(DateTime::UNIX_EPOCH));
        let user = UserId::derive("i", "s");
        assert!(store.mark_used(user, [1; 12]).await.unwrap());
        assert!(!store.mark_used(user, [1; 12]).await.unwrap());
        assert!(store.mark_used(user, [2; 12]).await.unwrap());
    }
}
