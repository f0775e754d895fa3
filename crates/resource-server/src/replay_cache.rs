//! A bounded memory of identifiers that may be used once: the `jti` of DPoP proofs (RFC 9449 §11.1) and of
//! logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6).

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::TimeDelta;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// The result of presenting an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayCheck {
    /// It was not seen before.
    Fresh,
    /// It was seen before.
    Replayed,
    /// The cache is full, so a replay could not be detected later.
    Full,
}

/// What happens to a new identifier when the cache is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is not stored: [`ReplayCheck::Full`].
    Reject,
    /// It replaces the identifier that expires first.
    EvictEarliest,
}

/// How a cache that rejects is shared: an owner may have a quarter of what is free of three quarters of it, so
/// that nobody has more than 15 % alone. The last quarter is for owners who have less than a thousandth of it.
const SHARE: usize = 4;
const MODEST: usize = 1_000;

/// Remembers identifiers until they expire. Each belongs to an owner, such as a user: equal identifiers of
/// different owners are different, and no owner can fill the cache for the others.
pub struct ReplayCache {
    entries: Mutex<Entries>,
    capacity: usize,
    capacity_per_owner: usize,
    when_full: WhenFull,
}

#[derive(Default)]
struct Entries {
    seen: HashSet<Key>,
    /// The same, in order of expiry.
    by_expiry: BTreeSet<(Timestamp, Key)>,
    count_by_owner: HashMap<[u8; 16], usize>,
}

/// Digests, so that an entry has a fixed size however long the texts are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    owner: [u8; 16],
    id: [u8; 16],
}

impl ReplayCache {
    /// A cache of at most `capacity` entries, of which one owner has at most `capacity_per_owner`.
    #[must_use]
    pub fn new(capacity: usize, capacity_per_owner: usize, when_full: WhenFull) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
            capacity_per_owner,
            when_full,
        }
    }

    /// Checks an identifier and remembers it up to and including the instant `until`.
    pub fn check(
        &self,
        owner: impl AsRef<[u8]>,
        id: impl AsRef<[u8]>,
        until: Timestamp,
        now: Timestamp,
    ) -> ReplayCheck {
        let key = Key {
            owner: digest(owner),
            id: digest(id),
        };
        let mut entries = self.entries.lock();
        entries.remove_expired(now);
        if entries.seen.contains(&key) {
            return ReplayCheck::Replayed;
        }
        let of_owner = entries.count_by_owner.get(&key.owner).copied();
        let of_owner = of_owner.unwrap_or(0);
        let free = self.capacity.saturating_sub(entries.seen.len());
        match self.when_full {
            WhenFull::Reject => {
                let shared = free.saturating_sub(self.capacity / SHARE);
                let is_modest = free > 0 && of_owner < self.capacity / MODEST;
                let most = self.capacity_per_owner.min(shared.div_ceil(SHARE));
                if !is_modest && of_owner >= most || of_owner >= self.capacity_per_owner {
                    return ReplayCheck::Full;
                }
            }
            WhenFull::EvictEarliest => {
                if free == 0 || of_owner >= self.capacity_per_owner {
                    entries.remove_first();
                }
            }
        }
        entries.seen.insert(key);
        entries.by_expiry.insert((until, key));
        *entries.count_by_owner.entry(key.owner).or_default() += 1;
        ReplayCheck::Fresh
    }
}

impl ReplayCache {
    /// Whether an identifier was seen before, without remembering it.
    pub fn has(&self, owner: impl AsRef<[u8]>, id: impl AsRef<[u8]>, now: Timestamp) -> bool {
        let key = Key {
            owner: digest(owner),
            id: digest(id),
        };
        let mut entries = self.entries.lock();
        entries.remove_expired(now);
        entries.seen.contains(&key)
    }

    /// The clock by which the identifiers expire was set forwards by this, or back. None is forgotten before its
    /// time: after a jump forwards all are remembered for so much longer, because the clock may be set back again.
    /// After a jump back they are remembered until the clock shows the time again at which they expire, because until
    /// then what they belong to is in time again.
    pub fn clock_jumped(&self, by: TimeDelta) {
        if by <= TimeDelta::zero() {
            return;
        }
        let mut entries = self.entries.lock();
        let later = |until: Timestamp| until.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC);
        let by_expiry = std::mem::take(&mut entries.by_expiry);
        entries.by_expiry = by_expiry
            .into_iter()
            .map(|(until, key)| (later(until), key))
            .collect();
    }

    /// Forgets an identifier, so that it can be presented again.
    pub fn forget(&self, owner: impl AsRef<[u8]>, id: impl AsRef<[u8]>) {
        let key = Key {
            owner: digest(owner),
            id: digest(id),
        };
        let mut entries = self.entries.lock();
        let until = entries.by_expiry.iter().find(|(_, other)| *other == key);
        if let Some(entry) = until.copied() {
            entries.by_expiry.remove(&entry);
            entries.removed(key);
        }
    }
}

impl Entries {
    fn remove_expired(&mut self, now: Timestamp) {
        while self
            .by_expiry
            .first()
            .is_some_and(|(until, _)| *until < now)
        {
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        if let Some((_, key)) = self.by_expiry.pop_first() {
            self.removed(key);
        }
    }

    /// After its removal from `by_expiry`.
    fn removed(&mut self, key: Key) {
        self.seen.remove(&key);
        if let Some(count) = self.count_by_owner.get_mut(&key.owner) {
            *count -= 1;
            if *count == 0 {
                self.count_by_owner.remove(&key.owner);
            }
        }
    }
}

fn digest(text: impl AsRef<[u8]>) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(text)[..16]);
    short
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn an_identifier_is_fresh_once_until_it_expires() {
        let cache = ReplayCache::new(10, 10, WhenFull::Reject);
        let check = |owner, id, now| cache.check(owner, id, at(now + 330), at(now));
        assert_eq!(check("a", "1", 0), ReplayCheck::Fresh);
        assert_eq!(check("a", "1", 330), ReplayCheck::Replayed);
        assert_eq!(check("a", "2", 330), ReplayCheck::Fresh);
        assert_eq!(check("b", "1", 330), ReplayCheck::Fresh, "another owner's");
        assert_eq!(check("a", "1", 331), ReplayCheck::Fresh, "it has expired");
    }

    #[test]
    fn nothing_is_forgotten_before_its_time_by_either_clock() {
        let check = |cache: &ReplayCache, now| cache.check("a", "1", at(now + 330), at(now));
        let forwards = ReplayCache::new(10, 10, WhenFull::Reject);
        check(&forwards, 1_000);
        forwards.clock_jumped(TimeDelta::seconds(3_600));
        // Nobody asks meanwhile but for another, which would forget what has expired.
        forwards.check("b", "2", at(9_000), at(4_620));
        assert_eq!(
            check(&forwards, 1_030),
            ReplayCheck::Replayed,
            "set right again"
        );
        let back = ReplayCache::new(10, 10, WhenFull::Reject);
        check(&back, 10_000);
        back.clock_jumped(TimeDelta::seconds(-3_600));
        assert_eq!(check(&back, 6_500), ReplayCheck::Replayed);
        assert_eq!(
            check(&back, 10_329),
            ReplayCheck::Replayed,
            "it is in time again"
        );
    }

    #[test]
    fn an_owner_has_a_share_and_leaves_room_for_those_who_have_little() {
        let cache = ReplayCache::new(10_000, 5_000, WhenFull::Reject);
        let check = |owner: &str, id: usize, now| {
            cache.check(owner, id.to_string(), at(now + 330), at(now))
        };
        let fill = |owner: &str| {
            let of_owner = (0..10_000).take_while(|id| check(owner, *id, 0) == ReplayCheck::Fresh);
            of_owner.count()
        };
        assert_eq!(fill("greedy"), 1_500);
        assert_eq!(check("greedy", 9_999, 0), ReplayCheck::Full);
        for n in 0..200 {
            fill(&format!("greedy too, {n}"));
        }
        assert_eq!(fill("modest"), 10);
        assert_eq!(check("greedy", 9_999, 0), ReplayCheck::Full);
        assert!(cache.has("greedy", "0", at(330)));
        assert!(!cache.has("modest", "999", at(0)));
        assert_eq!(
            check("greedy", 9_999, 331),
            ReplayCheck::Fresh,
            "all have expired"
        );
        let entries = cache.entries.lock();
        assert_eq!((entries.seen.len(), entries.by_expiry.len()), (1, 1));
        assert_eq!(entries.count_by_owner.len(), 1);
    }

    #[test]
    fn an_owner_has_no_more_than_its_capacity() {
        let cache = ReplayCache::new(1_000, 20, WhenFull::Reject);
        let check = |id: usize| cache.check("a", id.to_string(), at(330), at(0));
        for id in 0..20 {
            assert_eq!(check(id), ReplayCheck::Fresh);
        }
        assert_eq!(check(20), ReplayCheck::Full);
        cache.forget("a", "3");
        assert_eq!(check(3), ReplayCheck::Fresh, "it was forgotten");
        assert_eq!(check(3), ReplayCheck::Replayed);
    }

    #[test]
    fn an_evicting_cache_stays_within_its_capacity_and_keeps_the_latest() {
        let cache = ReplayCache::new(100, 100, WhenFull::EvictEarliest);
        for n in 0..300 {
            let checked = cache.check("", n.to_string(), at(300 + n), at(0));
            assert_eq!(checked, ReplayCheck::Fresh);
            let entries = cache.entries.lock();
            assert!(entries.seen.len() <= 100);
            assert_eq!(entries.seen.len(), entries.by_expiry.len());
        }
        let check = |id| cache.check("", id, at(600), at(0));
        assert_eq!(check("299"), ReplayCheck::Replayed);
        assert_eq!(check("0"), ReplayCheck::Fresh, "it was evicted");
    }
}
