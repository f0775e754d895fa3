//! Admission: how much an actor may have on its hands.
//!
//! An actix mailbox is no bound: `Addr::send` enqueues past the capacity, and a handler that returns
//! a future empties the mailbox at once (pinned in `tests/actix_contract.rs`). So the bound is a
//! semaphore whose permit travels inside the message and is dropped when the work has ended.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Counts queued work and work in flight together.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    depth: usize,
    failfast: Duration,
}

/// A place behind a [`Gate`], given back when it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop alone")] OwnedSemaphorePermit);

/// No place came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Gate {
    /// A gate with `depth` places, at which nobody waits longer than `failfast`.
    #[must_use]
    pub fn new(depth: usize, failfast: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(depth)),
            depth,
            failfast,
        }
    }

    /// Takes a place, waiting for one if need be.
    ///
    /// # Errors
    /// [`Full`] if no place came free in time, or the gate was closed.
    pub async fn admit(&self) -> Result<Permit, Full> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        match timeout(self.failfast, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.depth.saturating_sub(self.permits.available_permits())
    }

    /// Waits until every permit is home. For draining: nothing may be admitted meanwhile.
    pub async fn drained(&self) {
        let all = u32::try_from(self.depth).unwrap_or(u32::MAX);
        // A closed gate has nothing left to wait for.
        let _ = self.permits.acquire_many(all).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_full_gate_refuses_and_a_dropped_permit_is_a_free_place() {
        let gate = Gate::new(1, Duration::from_millis(1));
        let permit = gate.admit().await.unwrap();
        assert_eq!(gate.taken(), 1);
        assert_eq!(gate.admit().await.unwrap_err(), Full);
        drop(permit);
        assert!(gate.admit().await.is_ok());
        gate.drained().await;
        assert_eq!(gate.taken(), 0);
    }
}
