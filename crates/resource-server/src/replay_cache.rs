//! A bounded memory of identifiers that may be used once: the `jti` of DPoP proofs (RFC 9449 §11.1) and of
//! logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6).

use std::collections::{BTreeSet, HashMap, HashSet};

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

/// Remembers identifiers until they expire. Each belongs to an owner, such as a key: equal identifiers of
/// different owners are different, and one owner cannot fill the cache alone.
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
        let is_full =
            entries.seen.len() >= self.capacity || of_owner.unwrap_or(0) >= self.capacity_per_owner;
        match self.when_full {
            WhenFull::Reject if is_full => return ReplayCheck::Full,
            WhenFull::EvictEarliest if is_full => entries.remove_first(),
            _ => {}
        }
        entries.seen.insert(key);
        entries.by_expiry.insert((until, key));
        *entries.count_by_owner.entry(key.owner).or_default() += 1;
        ReplayCheck::Fresh
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
        let Some((_, key)) = self.by_expiry.pop_first() else {
            return;
        };
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
    fn a_full_cache_rejects_and_one_owner_cannot_fill_it() {
        let cache = ReplayCache::new(200, 20, WhenFull::Reject);
        let check = |owner: usize, id: usize, now| {
            cache.check(owner.to_string(), id.to_string(), at(now + 330), at(now))
        };
        for id in 0..20 {
            assert_eq!(check(0, id, 0), ReplayCheck::Fresh);
        }
        assert_eq!(check(0, 20, 0), ReplayCheck::Full);
        for n in 20..200 {
            assert_eq!(check(1 + n / 20, n, 0), ReplayCheck::Fresh);
        }
        assert_eq!(check(99, 0, 0), ReplayCheck::Full);
        assert_eq!(check(99, 0, 331), ReplayCheck::Fresh);
        let entries = cache.entries.lock();
        assert_eq!((entries.seen.len(), entries.by_expiry.len()), (1, 1));
        assert_eq!(entries.count_by_owner.len(), 1);
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
