//! A rate limiter for many callers in constant memory. Callers pass the time.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use crate::clock::Timestamp;

/// The number of callers that are tracked.
const CALLERS: usize = 100_000;

/// The number of callers per set; each set has a lock.
const WAYS: usize = 8;

/// The largest difference between the times that two threads have just read, in microseconds. More means
/// that the clock was set back.
const CLOCK_TOLERANCE: i64 = 5_000_000;

/// A limit per minute, with a burst of the same size, for each caller. It uses the generic cell rate
/// algorithm, which stores one instant per caller: the theoretical arrival time (TAT). It is ahead of the
/// current time by the used part of the limit.
///
/// The table is set-associative, has a fixed size, and is allocated once. A new caller in a full set replaces
/// the entry with the earliest TAT **and inherits that TAT**. So the count of a caller is never too low: a
/// flood of other callers does not reset a caller that is over its limit. The set of a caller depends on a
/// random key, so that callers cannot choose a set.
///
/// A flood can only make the limit stricter for new callers, and only if it fills the table faster than it
/// drains: with more than 100,000 times the rate from all sources together. A client with many addresses has
/// the limit once for each (IPv6 sources count by /64, and a /48 contains 65,536 of them), which is why
/// concurrent introspections are limited as well.
pub(crate) struct Limiter {
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
    per_minute: u32,
    /// The time between two requests at the rate, in microseconds; rounded up, so that the rate is not
    /// exceeded.
    interval: i64,
    /// How far the TAT may be ahead of the current time, in microseconds.
    tolerance: i64,
}

type Set = [Caller; WAYS];

#[derive(Clone, Copy)]
struct Caller {
    /// A keyed hash of the caller.
    key: u64,
    /// The theoretical arrival time, in microseconds since 1970.
    arrival: i64,
}

impl Limiter {
    /// A limit with this rate and burst.
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self::of_sets(per_minute, CALLERS / WAYS)
    }

    fn of_sets(per_minute: NonZeroU32, sets: usize) -> Self {
        const MINUTE: i64 = 60_000_000;
        let empty = Caller {
            key: 0,
            arrival: i64::MIN,
        };
        let at_once = i64::from(per_minute.get());
        let interval = (MINUTE + at_once - 1) / at_once;
        Self {
            sets: (0..sets).map(|_| Mutex::new([empty; WAYS])).collect(),
            hasher: RandomState::new(),
            per_minute: per_minute.get(),
            interval,
            tolerance: interval * at_once,
        }
    }

    /// The limit per minute.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Counts a request of a caller.
    ///
    /// # Errors
    /// The time until the next one is accepted.
    pub(crate) fn reserve(&self, caller: &impl Hash, now: Timestamp) -> Result<(), Duration> {
        let now = now.timestamp_micros();
        let (key, mut set) = self.locate(caller);
        let entry = match set.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry,
            None => set
                .iter_mut()
                .min_by_key(|entry| entry.arrival)
                .expect("a set is not empty"),
        };
        // After the clock was set back, callers do not wait for it to catch up.
        if entry.arrival.saturating_sub(now) > self.tolerance + CLOCK_TOLERANCE {
            entry.arrival = now + self.tolerance;
        }
        let arrival = entry.arrival.max(now) + self.interval;
        match u64::try_from(arrival - now - self.tolerance) {
            Ok(wait) if wait > 0 => Err(Duration::from_micros(wait)),
            _ => {
                *entry = Caller { key, arrival };
                Ok(())
            }
        }
    }

    /// Undoes one count, unless the entry of the caller was replaced meanwhile.
    pub(crate) fn refund(&self, caller: &impl Hash) {
        let (key, mut set) = self.locate(caller);
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == key) {
            entry.arrival = entry.arrival.saturating_sub(self.interval);
        }
    }

    /// The key of a caller, and its set.
    fn locate(&self, caller: &impl Hash) -> (u64, MutexGuard<'_, Set>) {
        let key = self.hasher.hash_one(caller);
        let count = u64::try_from(self.sets.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(key % count).unwrap_or(0);
        (key, self.sets[index].lock())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let taken = |set: &Mutex<Set>| {
            let set = set.lock();
            set.iter().filter(|entry| entry.arrival != i64::MIN).count()
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

    /// The number of requests until the limit is reached.
    fn drain(limiter: &Limiter, caller: &str, now: Timestamp) -> usize {
        (0..)
            .take_while(|_| limiter.reserve(&caller, now).is_ok())
            .count()
    }

    #[test]
    fn the_burst_is_the_limit_and_then_requests_are_spaced() {
        let limiter = limiter(60, 1);
        assert_eq!(drain(&limiter, "a", at(0)), 60);
        assert_eq!(drain(&limiter, "b", at(0)), 60, "each caller has its own");
        assert_eq!(limiter.reserve(&"a", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(drain(&limiter, "a", at(1_000_000)), 1);
        assert_eq!(drain(&limiter, "a", at(11_000_000)), 10);
        assert_eq!(drain(&limiter, "a", at(3_600_000_000)), 60);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_minute_is_not_exceeded() {
        let limiter = limiter(700_000, 1);
        drain(&limiter, "a", at(0));
        let (mut now, mut count) = (0, 0);
        while now < 60_000_000 / 70 {
            match limiter.reserve(&"a", at(now)) {
                Ok(()) => count += 1,
                Err(wait) => now += i64::try_from(wait.as_micros()).unwrap(),
            }
        }
        assert!((9_900..=10_000).contains(&count), "{count}");
    }

    #[test]
    fn a_refund_does_not_count() {
        let limiter = limiter(3, 1);
        for _ in 0..100 {
            limiter.reserve(&"a", at(0)).unwrap();
            limiter.refund(&"a");
        }
        limiter.refund(&"unknown");
        assert_eq!(drain(&limiter, "a", at(0)), 3);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_callers_by_a_minute_at_most() {
        let limiter = limiter(60, 1);
        drain(&limiter, "a", at(86_400_000_000));
        assert_eq!(limiter.reserve(&"a", at(0)), Err(Duration::from_secs(1)));
        assert_eq!(drain(&limiter, "a", at(60_000_000)), 60);
    }

    #[test]
    fn a_million_callers_stay_within_the_table_and_reset_no_caller() {
        let limiter = Limiter::new(60.try_into().unwrap());
        drain(&limiter, "over", at(0));
        let admitted = (0..1_000_000)
            .filter(|caller| limiter.reserve(caller, at(0)).is_ok())
            .count();
        assert!(limiter.len() <= CALLERS, "{}", limiter.len());
        assert!(limiter.len() > CALLERS / 2, "the table is used");
        // They have a small part each of what the table has.
        assert_eq!(admitted, 1_000_000);
        assert!(limiter.reserve(&"over", at(0)).is_err());
        assert!(limiter.reserve(&"new", at(0)).is_ok());
    }

    #[test]
    fn threads_together_have_no_more_than_one_caller_has() {
        let limiter = limiter(1_000, 1);
        let admitted: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1_000)
                            .filter(|_| limiter.reserve(&"a", at(0)).is_ok())
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
                if limiter.reserve(&caller, at(now - late)).is_ok() {
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
        fn a_caller_is_admitted_after_the_wait_and_not_before(
            per_minute in 1u32..10_000, burst in 0usize..200, paused in 0i64..100_000_000,
        ) {
            let limiter = limiter(per_minute, 1);
            for _ in 0..burst {
                let _ = limiter.reserve(&"a", at(0));
            }
            drain(&limiter, "a", at(paused));
            let wait = limiter.reserve(&"a", at(paused)).unwrap_err();
            let wait = i64::try_from(wait.as_micros()).unwrap();
            prop_assert!(limiter.reserve(&"a", at(paused + wait - 1)).is_err());
            prop_assert!(limiter.reserve(&"a", at(paused + wait)).is_ok());
        }
    }
}
