//! A concurrency limit.
//!
//! The capacity of an actix mailbox is not a limit: `Addr::send` enqueues beyond it, and a handler that returns
//! a future takes messages at once. So the limit is a semaphore, whose permit is sent with the message and
//! dropped when the work has ended.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A limit on queued and running work together.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
    depth: usize,
    failfast: Duration,
}

/// A slot of a [`Gate`], released when it is dropped.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop alone")] OwnedSemaphorePermit);

/// No slot became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Gate {
    /// A limit of `depth` slots; a caller waits for at most `failfast`.
    #[must_use]
    pub fn new(depth: usize, failfast: Duration) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(depth)),
            depth,
            failfast,
        }
    }

    /// Takes a slot, and waits for one if necessary.
    ///
    /// # Errors
    /// [`Full`] if no slot became free in time.
    pub async fn admit(&self) -> Result<Permit, Full> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        match timeout(self.failfast, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    /// The number of slots.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The number of used slots.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.depth.saturating_sub(self.permits.available_permits())
    }

    /// Waits until all permits are released, for draining. Nothing may be admitted meanwhile.
    pub async fn drained(&self) {
        let all = u32::try_from(self.depth).unwrap_or(u32::MAX);
        // It fails only on a closed semaphore, which is never closed.
        let _ = self.permits.acquire_many(all).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_full_gate_refuses_and_a_dropped_permit_frees_a_slot() {
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
