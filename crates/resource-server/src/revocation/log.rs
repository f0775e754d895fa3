//! The revocations that this process remembers. Results that are older than one are not used; tokens that one
//! covers are refused.
//!
//! Each party has a bound of its own, so that none pushes out what another ordered. An operator's revocations
//! and those of single tokens never give way; when there is no room, a further one is an error.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use chrono::TimeDelta;
use parking_lot::{Mutex, MutexGuard};

use super::order::{OrderError, OrderedBy, RevocationOrder, RevocationTarget};
use crate::{
    claim::CLOCK_SKEW,
    clock::Timestamp,
    principal::{Principal, Revocation},
};

/// The number of revocations of any kind that are kept for checks that began before them. The oldest are
/// dropped: a check takes seconds.
const RECENT: usize = 100_000;

/// The number of an operator's revocations.
const OF_OPERATORS: usize = 100_000;

/// The number of logouts of one issuer. The oldest are dropped: it concerns this issuer's users alone.
const LOGOUTS: usize = 20_000;

/// The number of tokens that operators revoked, and of those that were reported as revoked.
const TOKENS_OF_OPERATORS: usize = 10_000;
const TOKENS_REPORTED: usize = 200_000;

/// How long a reported token is remembered if nobody knows when it ends.
const UNKNOWN_END: TimeDelta = TimeDelta::days(30);

/// The revocations. Callers pass the time.
#[derive(Default)]
pub(crate) struct RevocationLog(Mutex<Entries>);

struct Entries {
    /// The number of revocations so far.
    count: u64,
    /// The epoch after the latest revocation of each kind.
    recent: Queue<Revocation, u64>,
    of_operators: HashMap<Revocation, Standing>,
    /// By issuer.
    logouts: HashMap<String, Queue<Revocation, Standing>>,
    tokens_of_operators: Tokens,
    tokens_reported: Tokens,
}

/// A revocation that covers tokens which were not seen yet.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    at: Timestamp,
    until: Option<Timestamp>,
}

/// A map of the latest entries.
struct Queue<K, V> {
    latest: HashMap<K, (V, u64)>,
    order: VecDeque<(K, u64)>,
    count: u64,
    capacity: usize,
}

/// The SHA-256 of tokens, each with the instant at which it may be forgotten.
struct Tokens {
    until: HashMap<[u8; 32], Timestamp>,
    capacity: usize,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            count: 0,
            recent: Queue::new(RECENT),
            of_operators: HashMap::new(),
            logouts: HashMap::new(),
            tokens_of_operators: Tokens::new(TOKENS_OF_OPERATORS),
            tokens_reported: Tokens::new(TOKENS_REPORTED),
        }
    }
}

impl RevocationLog {
    /// Records that results which are older than now are not to be used.
    pub(crate) fn add(&self, revocation: Revocation) {
        let mut entries = self.lock();
        entries.count += 1;
        let count = entries.count;
        entries.recent.insert(revocation, count);
    }

    /// Remembers what was ordered.
    ///
    /// # Errors
    /// [`OrderError::Full`].
    pub(crate) fn order(&self, order: &RevocationOrder, now: Timestamp) -> Result<(), OrderError> {
        self.lock().order(order, Some(now)).map(|_| ())
    }

    /// Remembers what was stored, also beyond the bounds: it was accepted by a process that kept to them. Returns
    /// whether it says anything new.
    pub(crate) fn restore(&self, order: &RevocationOrder) -> bool {
        // Without a time there is no bound, and no error.
        self.lock().order(order, None).unwrap_or(true)
    }

    /// Remembers a revocation in an operator's name, if there is room.
    pub(crate) fn stand(&self, revocation: Revocation, at: Timestamp) -> Result<(), OrderError> {
        let standing = Standing { at, until: None };
        self.lock().stand(revocation, standing, true).map(|_| ())
    }

    /// Forgets what was ordered for a target, by whomever; returns whether there was anything.
    pub(crate) fn lift(&self, target: &RevocationTarget) -> bool {
        let mut entries = self.lock();
        let removed = OrderedBy::ALL.map(|party| entries.lift(target, party));
        removed.contains(&true)
    }

    /// Forgets what one party ordered for a target; returns whether there was anything.
    pub(crate) fn lift_of(&self, target: &RevocationTarget, ordered_by: OrderedBy) -> bool {
        self.lock().lift(target, ordered_by)
    }

    /// The number of revocations so far.
    pub(crate) fn revocation_epoch(&self) -> u64 {
        self.lock().count
    }

    /// Whether a revocation after this epoch covers a principal.
    pub(crate) fn cover_since(&self, principal: &Principal, epoch: u64) -> bool {
        let entries = self.lock();
        // Asked for every call, and true of nearly all of them.
        if entries.count <= epoch {
            return false;
        }
        kinds(principal).into_iter().flatten().any(|revocation| {
            let latest = entries.recent.get(&revocation);
            latest.is_some_and(|latest| *latest > epoch)
        })
    }

    /// Whether a token is refused that was issued at `issued_at` and was not introspected. The clocks of the
    /// issuer and of this server may differ, so a token that seems to be a little younger is refused too.
    pub(crate) fn cover_issued(&self, principal: &Principal, issued_at: Timestamp) -> bool {
        let issued_at = issued_at
            .checked_sub_signed(CLOCK_SKEW)
            .unwrap_or(issued_at);
        self.any_standing(principal, |standing| standing.at >= issued_at)
    }

    /// Whether what a process of this server began at that time was revoked since. Its clock, unlike an issuer's, is
    /// taken to agree with that of the process which received the revocation.
    pub(crate) fn cover_begun(&self, principal: &Principal, begun_at: Timestamp) -> bool {
        self.any_standing(principal, |standing| standing.at >= begun_at)
    }

    /// Whether every token of the user or the client is refused at the moment.
    pub(crate) fn denies(&self, principal: &Principal, now: Timestamp) -> bool {
        self.any_standing(principal, |standing| {
            standing.until.is_some_and(|until| now < until)
        })
    }

    /// Whether the token with this SHA-256 was revoked.
    pub(crate) fn has_token(&self, digest: &[u8; 32]) -> bool {
        let entries = self.lock();
        // Its end is not looked at: after it, the token is refused by its own `exp`.
        entries.tokens_of_operators.until.contains_key(digest)
            || entries.tokens_reported.until.contains_key(digest)
    }

    fn any_standing(&self, principal: &Principal, applies: impl Fn(&Standing) -> bool) -> bool {
        let entries = self.lock();
        let logouts = entries.logouts.get(&principal.issuer);
        if entries.of_operators.is_empty() && logouts.is_none() {
            return false;
        }
        kinds(principal).into_iter().flatten().any(|revocation| {
            let ordered = entries.of_operators.get(&revocation);
            let logged_out = logouts.and_then(|logouts| logouts.get(&revocation));
            ordered.is_some_and(&applies) || logged_out.is_some_and(&applies)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }
}

/// The revocations that would cover a principal.
fn kinds(principal: &Principal) -> [Option<Revocation>; 4] {
    let client = principal.client.as_ref().map(|client| Revocation::Client {
        issuer: principal.issuer.clone(),
        client: client.clone(),
    });
    [
        Some(Revocation::Credential(principal.credential)),
        Some(Revocation::User(principal.user)),
        client,
        Some(Revocation::All),
    ]
}

impl Entries {
    /// `bounded_at` is `None` for what is restored. Returns whether it says anything new.
    fn order(
        &mut self,
        order: &RevocationOrder,
        bounded_at: Option<Timestamp>,
    ) -> Result<bool, OrderError> {
        let standing = Standing {
            at: order.revoked_at,
            until: order.until,
        };
        match (&order.target, order.target.revocation(), order.ordered_by) {
            (RevocationTarget::Token(digest), _, OrderedBy::Operator) => {
                let until = order.until.unwrap_or(Timestamp::MAX_UTC);
                self.tokens_of_operators.insert(*digest, until, bounded_at)
            }
            (RevocationTarget::Token(digest), _, OrderedBy::Issuer | OrderedBy::Revoker) => {
                let until = order.until.unwrap_or_else(|| {
                    let end = order.revoked_at.checked_add_signed(UNKNOWN_END);
                    end.unwrap_or(Timestamp::MAX_UTC)
                });
                self.tokens_reported.insert(*digest, until, bounded_at)
            }
            (RevocationTarget::User { issuer, .. }, Some(revocation), OrderedBy::Issuer) => {
                let logouts = self.logouts.entry(issuer.clone());
                let logouts = logouts.or_insert_with(|| Queue::new(LOGOUTS));
                let before = logouts.get(&revocation).copied();
                let standing = standing.or(before.as_ref());
                logouts.insert(revocation, standing);
                Ok(before != Some(standing))
            }
            (_, Some(revocation), _) => self.stand(revocation, standing, bounded_at.is_some()),
            (_, None, _) => Ok(false),
        }
    }

    fn lift(&mut self, target: &RevocationTarget, ordered_by: OrderedBy) -> bool {
        match (target, target.revocation(), ordered_by) {
            (RevocationTarget::Token(digest), _, OrderedBy::Operator) => {
                self.tokens_of_operators.until.remove(digest).is_some()
            }
            (RevocationTarget::Token(digest), _, OrderedBy::Issuer | OrderedBy::Revoker) => {
                self.tokens_reported.until.remove(digest).is_some()
            }
            (RevocationTarget::User { issuer, .. }, Some(revocation), OrderedBy::Issuer) => self
                .logouts
                .get_mut(issuer)
                .is_some_and(|logouts| logouts.latest.remove(&revocation).is_some()),
            (_, Some(revocation), _) => self.of_operators.remove(&revocation).is_some(),
            (_, None, _) => false,
        }
    }

    fn stand(
        &mut self,
        revocation: Revocation,
        standing: Standing,
        is_bounded: bool,
    ) -> Result<bool, OrderError> {
        let before = self.of_operators.get(&revocation).copied();
        if is_bounded && before.is_none() && self.of_operators.len() >= OF_OPERATORS {
            return Err(OrderError::Full);
        }
        let standing = standing.or(before.as_ref());
        self.of_operators.insert(revocation, standing);
        Ok(before != Some(standing))
    }
}

impl Standing {
    /// Both: no order makes an earlier one weaker.
    fn or(self, earlier: Option<&Self>) -> Self {
        earlier.map_or(self, |earlier| Self {
            at: self.at.max(earlier.at),
            until: self.until.max(earlier.until),
        })
    }
}

impl Tokens {
    fn new(capacity: usize) -> Self {
        Self {
            until: HashMap::new(),
            capacity,
        }
    }

    fn insert(
        &mut self,
        digest: [u8; 32],
        until: Timestamp,
        bounded_at: Option<Timestamp>,
    ) -> Result<bool, OrderError> {
        if let Some(now) = bounded_at
            && !self.until.contains_key(&digest)
            && self.until.len() >= self.capacity
        {
            self.until.retain(|_, until| now < *until);
            if self.until.len() >= self.capacity {
                return Err(OrderError::Full);
            }
        }
        let before = self.until.get(&digest).copied();
        let until = before.map_or(until, |before| before.max(until));
        self.until.insert(digest, until);
        Ok(before != Some(until))
    }
}

impl<K: Clone + Eq + Hash, V> Queue<K, V> {
    fn new(capacity: usize) -> Self {
        Self {
            latest: HashMap::new(),
            order: VecDeque::new(),
            count: 0,
            capacity,
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.latest.get(key).map(|(value, _)| value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.count += 1;
        self.latest.insert(key.clone(), (value, self.count));
        self.order.push_back((key, self.count));
        // A key counts once, however often it is inserted.
        while self.latest.len() > self.capacity
            && let Some((oldest, count)) = self.order.pop_front()
        {
            if is_latest(&self.latest, &oldest, count) {
                self.latest.remove(&oldest);
            }
        }
        if self.order.len() > 2 * self.capacity {
            let latest = &self.latest;
            self.order
                .retain(|(key, count)| is_latest(latest, key, *count));
        }
    }
}

fn is_latest<K: Eq + Hash, V>(latest: &HashMap<K, (V, u64)>, key: &K, count: u64) -> bool {
    latest.get(key).is_some_and(|(_, latest)| *latest == count)
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
