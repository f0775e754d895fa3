//! Counts of calls by user, client, feature, outcome and hour, in bounded memory.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use chrono::{TimeDelta, Timelike};

use crate::domain::activity::{ActivityKey, CLIENTS_PER_HOUR, EndedCall, OTHER_CLIENTS, Tally};
use resource_server::{clock::Timestamp, principal::UserId};

/// The most keys counted at once, so that they can be kept while the database is down. Calls beyond are not
/// counted.
const MAX_KEYS: usize = 40_000;

/// So many keys are stored before it is time to.
const MANY_KEYS: usize = MAX_KEYS / 2;

/// The most clients of all users counted separately within an hour.
const MAX_CLIENTS: usize = 100_000;

/// The calls since the last flush. Pure: the time of a call is a parameter.
#[derive(Default)]
pub(super) struct Counts {
    /// By user first, so that one user's counts are found without a look at the others'.
    by_user: HashMap<UserId, HashMap<ActivityKey, Tally>>,
    keys: usize,
    uncounted: u64,
    clients: Clients,
}

impl Counts {
    pub(super) fn is_empty(&self) -> bool {
        self.keys == 0 && self.uncounted == 0
    }

    /// Counts a call. `true` if the counts have just become many.
    pub(super) fn add(&mut self, call: EndedCall) -> bool {
        let hour = call.at - TimeDelta::seconds(call.at.timestamp().rem_euclid(3_600));
        let hour = hour.with_nanosecond(0).unwrap_or(hour);
        let mut key = ActivityKey {
            user: call.user,
            client: call.client,
            feature: call.feature,
            outcome: call.outcome,
            hour,
        };
        let tally = Tally::once(call.at);
        // Most calls repeat a key, whose client has been resolved before.
        let of_user = self.by_user.get_mut(&key.user);
        if let Some(counted) = of_user.and_then(|counts| counts.get_mut(&key)) {
            counted.add(tally);
            return false;
        }
        let clients = &mut self.clients;
        let distinguished = |client| clients.distinguish(key.user, client, hour);
        key.client = key.client.take().map(distinguished);
        let before = self.keys;
        self.put(key, tally);
        before < MANY_KEYS && self.keys >= MANY_KEYS
    }

    /// Adds to a count. Calls beyond [`MAX_KEYS`] are not counted.
    pub(super) fn put(&mut self, key: ActivityKey, tally: Tally) {
        let of_user = self.by_user.get_mut(&key.user);
        if let Some(counted) = of_user.and_then(|counts| counts.get_mut(&key)) {
            counted.add(tally);
        } else if self.keys < MAX_KEYS {
            self.keys += 1;
            self.by_user.entry(key.user).or_default().insert(key, tally);
        } else {
            self.uncounted += tally.count.unsigned_abs();
        }
    }

    /// Takes all counts, and the number of calls that exceeded the bound.
    pub(super) fn take(&mut self) -> (Vec<(ActivityKey, Tally)>, u64) {
        self.keys = 0;
        let by_user = std::mem::take(&mut self.by_user);
        let counts = by_user.into_values().flatten().collect();
        (counts, std::mem::take(&mut self.uncounted))
    }

    /// Takes the counts of one user.
    pub(super) fn take_of(&mut self, user: UserId) -> Vec<(ActivityKey, Tally)> {
        let counts = self.by_user.remove(&user).unwrap_or_default();
        self.keys -= counts.len();
        counts.into_iter().collect()
    }
}

/// The clients seen within the hour, by a hash because their ids may be long. If two hashes collide, one
/// client more than the bound is counted separately, which does no harm.
#[derive(Default)]
struct Clients {
    hour: Option<Timestamp>,
    seen: HashMap<UserId, HashSet<u64>>,
    total: usize,
    hasher: RandomState,
}

impl Clients {
    fn distinguish(&mut self, user: UserId, client: String, hour: Timestamp) -> String {
        if self.hour != Some(hour) {
            self.hour = Some(hour);
            self.seen.clear();
            self.total = 0;
        }
        let hash = self.hasher.hash_one(&client);
        let seen = self.seen.entry(user).or_default();
        if seen.contains(&hash) {
            return client;
        }
        if seen.len() >= CLIENTS_PER_HOUR || self.total >= MAX_CLIENTS {
            return OTHER_CLIENTS.to_owned();
        }
        seen.insert(hash);
        self.total += 1;
        client
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use mcp_server::features::call_record::{Feature, FeatureKind, Outcome};

    fn call(user: &str, client: &str, name: usize, seconds: i64) -> EndedCall {
        EndedCall {
            user: UserId::derive("i", user),
            client: Some(client.to_owned()),
            feature: Feature {
                kind: FeatureKind::Tool,
                name: name.to_string().into(),
                writes: false,
            },
            outcome: Outcome::Done,
            at: DateTime::from_timestamp(seconds, 0).unwrap(),
        }
    }

    #[test]
    fn calls_of_an_hour_are_counted_together() {
        let mut counts = Counts::default();
        for seconds in [3_599, 3_600, 7_199, 7_200] {
            counts.add(call("ann", "c", 0, seconds));
        }
        let (mut counted, _) = counts.take();
        counted.sort_by_key(|(key, _)| key.hour);
        let spans = counted.iter().map(|(key, tally)| {
            let seconds = [key.hour, tally.first_at, tally.last_at].map(|at| at.timestamp());
            (seconds, tally.count)
        });
        assert_eq!(
            Vec::from_iter(spans),
            [
                ([0, 3_599, 3_599], 1),
                ([3_600, 3_600, 7_199], 2),
                ([7_200, 7_200, 7_200], 1)
            ]
        );
        assert!(counts.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_counted_as_missing() {
        let mut counts = Counts::default();
        for name in 0..MAX_KEYS + 3 {
            counts.add(call("ann", "c", name, 0));
        }
        // Keys that are there already are counted on.
        assert!(!counts.add(call("ann", "c", 0, 0)));
        let (counted, uncounted) = counts.take();
        assert_eq!((counted.len(), uncounted), (MAX_KEYS, 3));
        assert_eq!(counted.iter().map(|(_, t)| t.count).max(), Some(2));
        assert_eq!(counts.take().1, 0);
    }

    #[test]
    fn many_counts_are_noticed_once_until_they_are_stored() {
        let mut counts = Counts::default();
        for _ in 0..2 {
            let noticed = (0..MANY_KEYS + 5).map(|name| counts.add(call("ann", "c", name, 0)));
            let places = Vec::from_iter(noticed.enumerate().filter(|(_, many)| *many));
            assert_eq!(places, [(MANY_KEYS - 1, true)]);
            counts.take();
        }
    }

    #[test]
    fn the_counts_of_one_user_are_taken_without_the_others() {
        let mut counts = Counts::default();
        for (user, name) in [("ann", 0), ("bob", 0), ("ann", 1), ("ann", 0)] {
            counts.add(call(user, "c", name, 0));
        }
        let [ann, eve] = ["ann", "eve"].map(|user| counts.take_of(UserId::derive("i", user)));
        assert_eq!(ann.iter().map(|(_, tally)| tally.count).sum::<i64>(), 3);
        assert!(eve.is_empty() && !counts.is_empty());
        let (left, _) = counts.take();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].0.user, UserId::derive("i", "bob"));
        assert!(counts.is_empty());
    }

    #[test]
    fn two_hundred_clients_of_a_user_are_distinguished_within_an_hour() {
        let mut counts = Counts::default();
        for client in 0..CLIENTS_PER_HOUR + 5 {
            counts.add(call("ann", &client.to_string(), 0, 0));
        }
        counts.add(call("ann", "0", 0, 0));
        counts.add(call("bob", "another", 0, 0));
        counts.add(call("ann", "of the next hour", 0, 3_600));
        let (counted, _) = counts.take();
        let of = |client: &str| {
            let found = counted
                .iter()
                .find(|(key, _)| key.client.as_deref() == Some(client));
            found.map(|(_, tally)| tally.count)
        };
        assert_eq!(counted.len(), CLIENTS_PER_HOUR + 3);
        assert_eq!((of("0"), of("199"), of("200")), (Some(2), Some(1), None));
        assert_eq!(of(OTHER_CLIENTS), Some(5));
        assert_eq!((of("another"), of("of the next hour")), (Some(1), Some(1)));
    }

    #[test]
    fn the_clients_of_all_users_are_bounded_too() {
        let mut clients = Clients::default();
        let mut distinguish = |user: usize, client: usize| {
            let user = UserId::derive("i", &user.to_string());
            clients.distinguish(user, client.to_string(), DateTime::UNIX_EPOCH)
        };
        for i in 0..MAX_CLIENTS {
            assert_eq!(distinguish(i / 100, i % 100), (i % 100).to_string());
        }
        assert_eq!(distinguish(0, 100), OTHER_CLIENTS);
        assert_eq!(distinguish(0, 99), "99");
    }

    proptest! {
        #[test]
        fn no_call_is_lost_or_counted_twice(calls in proptest::collection::vec((0usize..4, 0usize..4, 0i64..9_000), 0..60)) {
            let mut counts = Counts::default();
            let mut taken = Vec::new();
            for (i, (client, name, seconds)) in calls.iter().enumerate() {
                counts.add(call("ann", &client.to_string(), *name, *seconds));
                if i % 7 == 0 {
                    let (some, _) = counts.take();
                    // As after a flush that failed.
                    for (key, tally) in some {
                        counts.put(key, tally);
                    }
                }
                if i % 11 == 0 {
                    taken.extend(counts.take().0);
                }
            }
            taken.extend(counts.take().0);
            prop_assert_eq!(taken.iter().map(|(_, tally)| tally.count).sum::<i64>(), i64::try_from(calls.len()).unwrap());
            for (key, tally) in taken {
                prop_assert!(key.hour <= tally.first_at && tally.first_at <= tally.last_at);
                prop_assert!(tally.last_at < key.hour + TimeDelta::hours(1));
            }
        }
    }
}
