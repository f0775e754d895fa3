//! A concurrency limit with a share for each source, so that one source cannot take all slots.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{gate::Full, limits::Source};

/// The sizes of a [`FairGate`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    /// All slots.
    pub(crate) all: usize,
    /// Those that strangers may have together; the rest is for known callers.
    pub(crate) strangers: usize,
    /// Those that one source may have.
    pub(crate) source: usize,
}

/// A limit on queued and running work together, with shares. Clones share the slots.
#[derive(Clone)]
pub(crate) struct FairGate(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// The sources of requests that hold or await a slot.
    sources: Mutex<HashMap<Source, Share>>,
    shares: Shares,
    failfast: Duration,
}

/// The share of a source, and the number of requests that hold or await a slot of it.
struct Share {
    slots: Arc<Semaphore>,
    requests: usize,
}

/// A slot of a [`FairGate`], released when it is dropped.
pub(crate) struct FairPermit {
    _all: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
    _source: Option<SourcePermit>,
}

/// A slot of a source. The permit is released before the share is looked at.
struct SourcePermit {
    _permit: OwnedSemaphorePermit,
    _request: Request,
}

/// A request that holds or awaits a slot of a source.
struct Request {
    gate: Arc<Inner>,
    source: Source,
}

impl FairGate {
    /// A gate whose callers wait for at most `failfast`.
    pub(crate) fn new(shares: Shares, failfast: Duration) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(shares.all)),
            strangers: Arc::new(Semaphore::new(shares.strangers)),
            sources: Mutex::default(),
            shares,
            failfast,
        }))
    }

    /// Takes a slot, and waits for one if necessary. A caller without a source has no share.
    ///
    /// # Errors
    /// [`Full`] if no slot became free in time.
    pub(crate) async fn admit(
        &self,
        source: Option<Source>,
        is_known: bool,
    ) -> Result<FairPermit, Full> {
        timeout(self.0.failfast, self.take(source, is_known))
            .await
            .map_err(|_| Full)?
            .ok_or(Full)
    }

    /// The share of the source comes first, so that who waits for it takes no other slot meanwhile.
    async fn take(&self, source: Option<Source>, is_known: bool) -> Option<FairPermit> {
        let of_source = match source {
            Some(source) => {
                let (request, slots) = Request::begin(&self.0, source);
                Some(SourcePermit {
                    _permit: slots.acquire_owned().await.ok()?,
                    _request: request,
                })
            }
            None => None,
        };
        let of_strangers = if is_known {
            None
        } else {
            let strangers = Arc::clone(&self.0.strangers);
            Some(strangers.acquire_owned().await.ok()?)
        };
        Some(FairPermit {
            _all: Arc::clone(&self.0.all).acquire_owned().await.ok()?,
            _stranger: of_strangers,
            _source: of_source,
        })
    }

    /// The number of slots.
    pub(crate) fn depth(&self) -> usize {
        self.0.shares.all
    }

    /// The number of used slots.
    pub(crate) fn taken(&self) -> usize {
        self.depth().saturating_sub(self.0.all.available_permits())
    }
}

impl Request {
    fn begin(gate: &Arc<Inner>, source: Source) -> (Self, Arc<Semaphore>) {
        let mut sources = gate.sources.lock();
        let share = sources.entry(source).or_insert_with(|| Share {
            slots: Arc::new(Semaphore::new(gate.shares.source)),
            requests: 0,
        });
        share.requests += 1;
        let request = Self {
            gate: Arc::clone(gate),
            source,
        };
        (request, Arc::clone(&share.slots))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut sources = self.gate.sources.lock();
        if let Some(share) = sources.get_mut(&self.source) {
            share.requests -= 1;
            if share.requests == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn gate() -> FairGate {
        let shares = Shares {
            all: 8,
            strangers: 6,
            source: 3,
        };
        FairGate::new(shares, Duration::from_millis(1))
    }

    fn source(n: u8) -> Option<Source> {
        Some(IpAddr::from(Ipv4Addr::new(203, 0, 113, n)).into())
    }

    /// The slots that a source gets.
    async fn fill(gate: &FairGate, n: u8, is_known: bool) -> Vec<FairPermit> {
        let mut permits = Vec::new();
        while let Ok(permit) = gate.admit(source(n), is_known).await {
            permits.push(permit);
        }
        permits
    }

    #[actix_rt::test]
    async fn a_source_has_its_share_and_strangers_leave_slots_for_known_callers() {
        let gate = gate();
        let first = fill(&gate, 1, false).await;
        let second = fill(&gate, 2, false).await;
        assert_eq!((first.len(), second.len()), (3, 3));
        assert_eq!(fill(&gate, 3, false).await.len(), 0);
        let known = fill(&gate, 3, true).await;
        assert_eq!((known.len(), gate.taken()), (2, 8));
        assert!(gate.admit(None, true).await.is_err());
        drop(first);
        assert_eq!(gate.taken(), 5);
        assert_eq!(fill(&gate, 1, false).await.len(), 3);
    }

    #[actix_rt::test]
    async fn nothing_is_left_of_a_source_that_has_gone() {
        let gate = gate();
        let held = fill(&gate, 1, false).await;
        assert_eq!(gate.0.sources.lock().len(), 1, "those in vain are gone");
        drop(held);
        assert!(gate.0.sources.lock().is_empty());
        assert_eq!(gate.taken(), 0);
    }
}
