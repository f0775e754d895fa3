//! A map that forgets: what has expired, and the oldest where it is full.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use chrono::{DateTime, Utc};

/// A map with a cap, whose entries expire.
pub(crate) struct Bounded<K, V> {
    cap: usize,
    next: u64,
    entries: HashMap<K, Entry<V>>,
    /// Keys by age, so that the oldest is found at once.
    ages: BTreeMap<u64, K>,
}

struct Entry<V> {
    age: u64,
    expires: DateTime<Utc>,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            cap,
            next: 0,
            entries: HashMap::new(),
            ages: BTreeMap::new(),
        }
    }

    /// Puts a value in, as the youngest. What has expired at the old end goes, and if the map is
    /// still full, its oldest entry.
    pub(crate) fn insert(&mut self, key: K, value: V, expires: DateTime<Utc>, now: DateTime<Utc>) {
        self.remove(&key);
        while let Some((_, oldest)) = self.ages.first_key_value() {
            let full = self.entries.len() >= self.cap;
            if !full && self.entries[oldest].expires > now {
                break;
            }
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
        let age = self.next;
        self.next += 1;
        self.ages.insert(age, key.clone());
        self.entries.insert(
            key,
            Entry {
                age,
                expires,
                value,
            },
        );
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: DateTime<Utc>) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.get(key)?;
        (entry.expires > now).then_some(&entry.value)
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(
        &mut self,
        key: &Q,
        now: DateTime<Utc>,
    ) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.get_mut(key)?;
        (entry.expires > now).then_some(&mut entry.value)
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let entry = self.entries.remove(key)?;
        self.ages.remove(&entry.age);
        Some(entry.value)
    }

    /// What has not expired, youngest first.
    pub(crate) fn youngest(&self, now: DateTime<Utc>) -> impl Iterator<Item = (&K, &V)> {
        self.entries(now).map(|(key, value, _)| (key, value))
    }

    /// The same, each with the time at which it expires.
    pub(crate) fn entries(
        &self,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (&K, &V, DateTime<Utc>)> {
        self.ages.values().rev().filter_map(move |key| {
            let entry = &self.entries[key];
            (entry.expires > now).then_some((key, &entry.value, entry.expires))
        })
    }

    /// Removes what the predicate picks, and says how many that were.
    pub(crate) fn remove_where(&mut self, pick: impl Fn(&V) -> bool) -> usize {
        let picked: Vec<K> = self
            .entries
            .iter()
            .filter(|(_, entry)| pick(&entry.value))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &picked {
            self.remove(key);
        }
        picked.len()
    }

    /// How many have not expired.
    pub(crate) fn len(&self, now: DateTime<Utc>) -> usize {
        self.youngest(now).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut map = Bounded::new(2);
        for key in ["a", "b", "c"] {
            map.insert(key, (), at(100), at(0));
        }
        assert!(map.get("a", at(0)).is_none());
        assert!(map.get("b", at(0)).is_some() && map.get("c", at(0)).is_some());
    }

    #[test]
    fn what_has_expired_is_gone() {
        let mut map = Bounded::new(10);
        map.insert("a", (), at(5), at(0));
        assert!(map.get("a", at(4)).is_some() && map.get("a", at(5)).is_none());
        map.insert("b", (), at(10), at(6));
        assert_eq!(map.entries.len(), 1);
    }

    proptest! {
        #[test]
        fn it_never_grows_past_its_cap(steps in prop::collection::vec((0u8..20, 0i64..50, any::<bool>()), 0..200)) {
            let mut map = Bounded::new(5);
            for (now, (key, lifetime, remove)) in (0i64..).zip(steps) {
                if remove {
                    map.remove(&key);
                } else {
                    map.insert(key, key, at(now + lifetime), at(now));
                }
                prop_assert!(map.entries.len() <= 5);
                prop_assert_eq!(map.entries.len(), map.ages.len());
            }
        }
    }
}
