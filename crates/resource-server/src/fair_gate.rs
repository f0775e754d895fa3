//! A concurrency limit with a share for each source, so that one source cannot take all slots. Who finds none waits
//! for a turn, in the order of arrival, for a bounded time and within a bounded queue.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{gate::Full, limits::Source, principal::UserId};

/// Requests of one party that may wait for a slot.
const LONGEST_QUEUE: usize = 4_096;

/// Requests of all parties that may.
const LONGEST_QUEUE_OF_ALL: usize = 16_384;

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

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// Whoever sends requests from there.
    Source(Source),
    /// The user of a token.
    User(UserId),
}

/// A limit on queued and running work together, with shares. Clones share the slots.
#[derive(Clone)]
pub(crate) struct FairGate(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// The parties of requests that hold or await a slot.
    parties: Mutex<HashMap<Party, Share>>,
    /// The places of those that wait.
    queue: Arc<Semaphore>,
    shares: Shares,
    patience: Duration,
}

/// The share of a party, and the number of requests that hold or await a slot of it.
struct Share {
    slots: Arc<Semaphore>,
    requests: usize,
}

/// A slot of a [`FairGate`], released when it is dropped.
pub(crate) struct FairPermit {
    _all: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
    _party: Option<PartyPermit>,
}

/// A slot of a party. The permit is released before the share is looked at.
struct PartyPermit {
    _permit: OwnedSemaphorePermit,
    _request: Request,
}

/// A request that holds or awaits a slot of a party.
struct Request {
    gate: Arc<Inner>,
    party: Party,
}

impl FairGate {
    /// A gate whose callers wait for at most `patience`.
    pub(crate) fn new(shares: Shares, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            all: Arc::new(Semaphore::new(shares.all)),
            strangers: Arc::new(Semaphore::new(shares.strangers)),
            parties: Mutex::default(),
            queue: Arc::new(Semaphore::new(LONGEST_QUEUE_OF_ALL)),
            shares,
            patience,
        }))
    }

    /// Takes a slot, and waits for one if necessary. A caller without a source has no share.
    ///
    /// # Errors
    /// [`Full`] if no slot became free in time, or too many wait already.
    pub(crate) async fn admit(
        &self,
        source: Option<Source>,
        is_known: bool,
    ) -> Result<FairPermit, Full> {
        let party = source.map(Party::Source);
        if let Some(permit) = self.try_admit(party, is_known) {
            return Ok(permit);
        }
        let _waits = self.0.queue.try_acquire().map_err(|_| Full)?;
        timeout(self.0.patience, self.take(party, is_known))
            .await
            .map_err(|_| Full)?
            .ok_or(Full)
    }

    /// Takes a slot if that needs no waiting. Those that wait already are not overtaken.
    pub(crate) fn try_admit(&self, party: Option<Party>, is_known: bool) -> Option<FairPermit> {
        let of_party = match party {
            Some(party) => {
                let (request, slots) = Request::begin(&self.0, party)?;
                Some(PartyPermit {
                    _permit: slots.try_acquire_owned().ok()?,
                    _request: request,
                })
            }
            None => None,
        };
        let of_strangers = if is_known {
            None
        } else {
            Some(Arc::clone(&self.0.strangers).try_acquire_owned().ok()?)
        };
        Some(FairPermit {
            _all: Arc::clone(&self.0.all).try_acquire_owned().ok()?,
            _stranger: of_strangers,
            _party: of_party,
        })
    }

    /// The share of the party comes first, so that who waits for it takes no other slot meanwhile.
    async fn take(&self, party: Option<Party>, is_known: bool) -> Option<FairPermit> {
        let of_party = match party {
            Some(party) => {
                let (request, slots) = Request::begin(&self.0, party)?;
                Some(PartyPermit {
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
            _party: of_party,
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
    /// `None` if too many requests of the party wait already.
    fn begin(gate: &Arc<Inner>, party: Party) -> Option<(Self, Arc<Semaphore>)> {
        let mut parties = gate.parties.lock();
        let share = parties.entry(party).or_insert_with(|| Share {
            slots: Arc::new(Semaphore::new(gate.shares.source)),
            requests: 0,
        });
        if share.requests >= gate.shares.source + LONGEST_QUEUE {
            return None;
        }
        share.requests += 1;
        let request = Self {
            gate: Arc::clone(gate),
            party,
        };
        Some((request, Arc::clone(&share.slots)))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut parties = self.gate.parties.lock();
        if let Some(share) = parties.get_mut(&self.party) {
            share.requests -= 1;
            if share.requests == 0 {
                parties.remove(&self.party);
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
        assert_eq!(gate.0.parties.lock().len(), 1, "those in vain are gone");
        drop(held);
        assert!(gate.0.parties.lock().is_empty());
        assert_eq!(gate.taken(), 0);
    }

    #[actix_rt::test]
    async fn who_waits_has_a_turn_in_order_and_the_queue_has_an_end() {
        let shares = Shares {
            all: 8,
            strangers: 6,
            source: 1,
        };
        let gate = FairGate::new(shares, Duration::from_secs(60));
        let held = gate.admit(source(1), false).await.ok();
        let mut waiting: Vec<_> = (0..LONGEST_QUEUE)
            .map(|_| Box::pin(gate.admit(source(1), false)))
            .collect();
        for waits in &mut waiting {
            assert!(futures_util::poll!(waits).is_pending());
        }
        assert!(
            gate.admit(source(1), false).await.is_err(),
            "the queue is full"
        );
        assert!(gate.admit(source(2), false).await.is_ok(), "for one source");
        drop(held);
        let last = waiting.pop();
        for waits in waiting {
            assert!(waits.await.is_ok());
        }
        assert!(last.expect("it waits").await.is_ok());
    }

    #[actix_rt::test]
    async fn who_does_not_wait_takes_nothing_from_those_who_do() {
        let gate = gate();
        let user = Some(Party::User(UserId::derive("i", "s")));
        let held: Vec<_> = (0..3).map(|_| gate.try_admit(user, true)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(gate.try_admit(user, true).is_none(), "its share");
        assert_eq!(gate.taken(), 3);
        drop(held);
        assert!(gate.0.parties.lock().is_empty());
    }
}
