//! How often each of very many callers may do something. Pure but for its locks and the key of its
//! hashes: it is told the time.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use crate::clock::Timestamp;

/// How many callers are told apart.
const CALLERS: usize = 100_000;

/// How many of them share a lock, and a place to look.
const PLACES: usize = 8;

/// By how much the time that one thread has just read may lie before another's, in microseconds. Beyond
/// that, the clock was set back.
const APART: i64 = 5_000_000;

/// A limit of so many a minute, and as many at once, to each caller: the generic cell rate algorithm,
/// which keeps a single instant per caller, its theoretical arrival time. That is ahead of now by as
/// much as the caller has used up.
///
/// The table has a fixed size and is allocated once. A caller for whom there is no place takes over the
/// place of the one in the same set that has used up least, **and what that one had used up**. So what
/// is counted of a caller is never less than what it did, whoever else comes: nobody who is over the
/// limit is freed by a flood of others, and the bound (the limit at once, and the rate from then on)
/// holds for every caller in every window. Where a caller's place is depends on a key drawn at start,
/// so nobody can choose to share one with somebody else.
///
/// What a flood can do is count against callers that are new. Who rotates through addresses (IPv6
/// sources count by /64, and a /48 has 65,536 of those) has the limit once for each: that is what a
/// limit by address is worth, and why the number of introspections under way is bounded besides. To
/// make the limit felt by others, the flood has to fill the table faster than it drains: more than
/// 100,000 times the rate, all sources together.
pub(crate) struct Limiter {
    sets: Box<[Mutex<Set>]>,
    names: RandomState,
    per_minute: u32,
    /// Between two of them at the rate, in microseconds; rounded up, so that it is never more than the
    /// rate.
    interval: i64,
    /// By how much a theoretical arrival time may be ahead, in microseconds.
    tolerance: i64,
}

type Set = [Caller; PLACES];

#[derive(Clone, Copy)]
struct Caller {
    /// A keyed hash of what the caller is known by.
    name: u64,
    /// The theoretical arrival time, in microseconds since 1970.
    arrival: i64,
}

impl Limiter {
    /// A limit of so many a minute.
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self::of_sets(per_minute, CALLERS / PLACES)
    }

    fn of_sets(per_minute: NonZeroU32, sets: usize) -> Self {
        const MINUTE: i64 = 60_000_000;
        let nobody = Caller {
            name: 0,
            arrival: i64::MIN,
        };
        let at_once = i64::from(per_minute.get());
        let interval = (MINUTE + at_once - 1) / at_once;
        Self {
            sets: (0..sets).map(|_| Mutex::new([nobody; PLACES])).collect(),
            names: RandomState::new(),
            per_minute: per_minute.get(),
            interval,
            tolerance: interval * at_once,
        }
    }

    /// How many a minute, and at once.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Takes one for a caller.
    ///
    /// # Errors
    /// How long until there is another.
    pub(crate) fn take(&self, caller: &impl Hash, now: Timestamp) -> Result<(), Duration> {
        let now = now.timestamp_micros();
        let (name, mut set) = self.look(caller);
        let place = match set.iter_mut().find(|place| place.name == name) {
            Some(place) => place,
            None => set
                .iter_mut()
                .min_by_key(|place| place.arrival)
                .expect("a set has places"),
        };
        // Nobody waits for a clock that was set back to catch up.
        if place.arrival.saturating_sub(now) > self.tolerance + APART {
            place.arrival = now + self.tolerance;
        }
        let arrival = place.arrival.max(now) + self.interval;
        match u64::try_from(arrival - now - self.tolerance) {
            Ok(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            _ => {
                *place = Caller { name, arrival };
                Ok(())
            }
        }
    }

    /// Gives back one that was taken and should not count, unless the caller has lost its place since.
    pub(crate) fn give_back(&self, caller: &impl Hash) {
        let (name, mut set) = self.look(caller);
        if let Some(place) = set.iter_mut().find(|place| place.name == name) {
            place.arrival = place.arrival.saturating_sub(self.interval);
        }
    }

    /// A caller's name, and the set in which its place is, if it has one.
    fn look(&self, caller: &impl Hash) -> (u64, MutexGuard<'_, Set>) {
        let name = self.names.hash_one(caller);
        let count = u64::try_from(self.sets.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(name % count).unwrap_or(0);
        (name, self.sets[index].lock())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let taken = |set: &Mutex<Set>| {
            let set = set.lock();
            set.iter().filter(|place| place.arrival != i64::MIN).count()
        };
        self.sets.iter().map(taken).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, thread};

    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        DateTime::from_timestamp_micros(1_785_499_200_000_000 + micros).unwrap()
    }

    fn limiter(per_minute: u32, sets: usize) -> Limiter {
        Limiter::of_sets(per_minute.try_into().unwrap(), sets)
    }

    /// Takes until there is no more, and says how often.
    fn drain(limiter: &Limiter, caller: &str, now: Timestamp) -> usize {
        (0..)
            .take_while(|_| limiter.take(&caller, now).is_ok())
            .count()
    }

    #[test]
    fn there_are_as_many_at_once_as_in_a_minute_and_then_one_at_a_time() {
        let limiter = limiter(60, 1);
        assert_eq!(drain(&limiter, "a", at(0)), 60);
        assert_eq!(drain(&limiter, "b", at(0)), 60, "each caller has its own");
        assert_eq!(limiter.take(&"a", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(drain(&limiter, "a", at(1_000_000)), 1);
        assert_eq!(drain(&limiter, "a", at(11_000_000)), 10);
        assert_eq!(drain(&limiter, "a", at(3_600_000_000)), 60);
    }

    #[test]
    fn a_rate_that_no_minute_is_divided_by_is_not_exceeded() {
        let limiter = limiter(700_000, 1);
        drain(&limiter, "a", at(0));
        let (mut now, mut count) = (0, 0);
        while now < 60_000_000 / 70 {
            match limiter.take(&"a", at(now)) {
                Ok(()) => count += 1,
                Err(wait) => now += i64::try_from(wait.as_micros()).unwrap(),
            }
        }
        assert!((9_900..=10_000).contains(&count), "{count}");
    }

    #[test]
    fn what_is_given_back_does_not_count() {
        let limiter = limiter(3, 1);
        for _ in 0..100 {
            limiter.take(&"a", at(0)).unwrap();
            limiter.give_back(&"a");
        }
        limiter.give_back(&"unknown");
        assert_eq!(drain(&limiter, "a", at(0)), 3);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_a_minute() {
        let limiter = limiter(60, 1);
        drain(&limiter, "a", at(86_400_000_000));
        assert_eq!(limiter.take(&"a", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(drain(&limiter, "a", at(60_000_000)), 60);
    }

    #[test]
    fn a_million_callers_grow_nothing_and_free_nobody_who_is_over_the_limit() {
        let limiter = Limiter::new(60.try_into().unwrap());
        drain(&limiter, "over", at(0));
        let admitted = (0..1_000_000)
            .filter(|caller| limiter.take(caller, at(0)).is_ok())
            .count();
        assert!(limiter.len() <= CALLERS, "{}", limiter.len());
        assert!(limiter.len() > CALLERS / 2, "the table is used");
        // They have a small part each of what the table has.
        assert_eq!(admitted, 1_000_000);
        assert!(limiter.take(&"over", at(0)).is_err());
        assert!(limiter.take(&"new", at(0)).is_ok());
    }

    #[test]
    fn threads_together_have_no_more_than_one_caller_has() {
        let limiter = limiter(1_000, 1);
        let admitted: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000)
                            .filter(|_| limiter.take(&"a", at(0)).is_ok())
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(admitted, 1_000);
    }

    proptest! {
        /// More callers than places, and threads that read the time a moment before they use it.
        #[test]
        fn no_window_has_more_than_the_limit_at_once_and_the_rate(
            per_minute in 1u32..100,
            takes in prop::collection::vec((0u8..20, 0i64..2_000_000, 0i64..500_000), 1..400),
        ) {
            let limiter = limiter(per_minute, 1);
            let mut admitted: HashMap<u8, Vec<i64>> = HashMap::new();
            let mut now = 1_000_000;
            for (caller, step, late) in takes {
                // Steps of nothing are the burst.
                now += if step < 1_500_000 { 0 } else { step };
                if limiter.take(&caller, at(now - late)).is_ok() {
                    admitted.entry(caller).or_default().push(now - late);
                }
            }
            for times in admitted.values_mut() {
                times.sort_unstable();
                for (first, from) in times.iter().enumerate() {
                    for (last, to) in times.iter().enumerate().skip(first) {
                        let count = i64::try_from(last - first + 1).unwrap();
                        let minute = 60_000_000 + (to - from);
                        prop_assert!(count * 60_000_000 <= i64::from(per_minute) * minute);
                    }
                }
            }
        }

        #[test]
        fn who_waits_as_told_is_admitted_and_who_does_not_is_not(
            per_minute in 1u32..10_000, burst in 0usize..200, paused in 0i64..100_000_000,
        ) {
            let limiter = limiter(per_minute, 1);
            for _ in 0..burst {
                let _ = limiter.take(&"a", at(0));
            }
            drain(&limiter, "a", at(paused));
            let wait = limiter.take(&"a", at(paused)).unwrap_err();
            let wait = i64::try_from(wait.as_micros()).unwrap();
            prop_assert!(limiter.take(&"a", at(paused + wait - 1)).is_err());
            prop_assert!(limiter.take(&"a", at(paused + wait)).is_ok());
        }
    }
}
