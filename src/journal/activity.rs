//! Who used what of a journal: counted in memory, written down every two seconds, so that a call
//! costs no query.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use chrono::{TimeDelta, Timelike};
use tokio::sync::oneshot;

use crate::{
    domain::{
        activity::{
            Activity, ActivityKey, CLIENTS_PER_HOUR, ConnectedClient, EndedCall, OTHER_CLIENTS,
            Tally,
        },
        clock::Timestamp,
        journal::JournalError,
        page::{Page, PageRequest, TimeCursor},
        principal::UserId,
    },
    storage::{Connection, StorageError, activity},
};

use super::metrics::Operation;
use super::{
    handle::{Inner, JournalHandle},
    messages::{JournalMessage, Kind},
};

/// How often what was counted is written down.
const EVERY: Duration = Duration::from_secs(2);

/// How many different keys are counted at once: far more than two seconds bring, and few enough to be
/// held while the database is down. Calls beyond are not counted.
const MOST_KEYS: usize = 10_000;

/// How many clients of all users are told apart within an hour.
const MOST_CLIENTS_IN_ALL: usize = 100_000;

/// How often it is tried to write the last of it down.
const LAST_TRIES: usize = 3;

/// How many keys one statement writes down.
const KEYS_AT_ONCE: usize = 1_000;

/// List what was done in a user's journal, newest first.
#[derive(Clone, Debug)]
pub struct ListActivity {
    /// Whose journal.
    pub user: UserId,
    /// By which client alone, if not by any.
    pub client: Option<String>,
    /// Which page.
    pub page: PageRequest<TimeCursor>,
}

impl JournalMessage for ListActivity {
    type Reply = Page<Activity, TimeCursor>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ReadActivity;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::list_activity(connection, self.user, self.client.as_deref(), &self.page)
    }
}

/// List the clients that were seen in a user's journal.
#[derive(Clone, Copy, Debug)]
pub struct ListClients {
    /// Whose journal.
    pub user: UserId,
}

impl JournalMessage for ListClients {
    type Reply = Vec<ConnectedClient>;
    const KIND: Kind = Kind::Read;
    const OPERATION: Operation = Operation::ReadActivity;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::list_clients(connection, self.user)
    }
}

/// Add to what is counted.
struct AddActivity(Arc<[(ActivityKey, Tally)]>);

impl JournalMessage for AddActivity {
    type Reply = ();
    const KIND: Kind = Kind::Write;
    const OPERATION: Operation = Operation::AddActivity;

    fn run(&self, connection: &mut Connection) -> Result<Self::Reply, StorageError> {
        activity::add_activity(connection, &self.0)
    }
}

/// Counts calls until they are written down.
#[derive(Default)]
pub(super) struct Recorder {
    counts: Mutex<Counts>,
    /// Held while counts are on their way, so that who waits for a flush waits for those too.
    flushing: tokio::sync::Mutex<()>,
}

impl JournalHandle {
    /// Counts a call that has ended. Costs no query and waits for nobody.
    pub fn record(&self, call: EndedCall) {
        self.recorder().counts().add(call);
    }

    /// Writes down what was counted until now. What the database does not take now is kept for the
    /// next time. If its answer to a write is lost, those calls may be counted twice.
    pub async fn flush_activity(&self) {
        let (done, is_done) = oneshot::channel();
        let journal = self.clone();
        // A task of the journal's own, so that counts on their way are not lost with a caller that
        // leaves.
        self.runner().spawn(async move {
            journal.flush().await;
            let _ = done.send(());
        });
        // Without an answer, the journal has stopped, and everything has an end.
        let _ = is_done.await;
    }

    /// Writes down what was counted when nothing is counted any more, in a few tries: there is no next
    /// time.
    pub async fn finish_activity(&self) {
        for _ in 0..LAST_TRIES {
            self.flush_activity().await;
            if self.recorder().counts().is_empty() {
                return;
            }
        }
        log::error!("the last of the users' activity was not written down");
    }

    async fn flush(&self) {
        let recorder = self.recorder();
        let _alone = recorder.flushing.lock().await;
        let (mut counts, uncounted) = recorder.counts().take();
        if uncounted > 0 {
            log::warn!("{uncounted} calls are missing in the users' activity: too much at once");
        }
        while !counts.is_empty() {
            let rest = counts.split_off(counts.len().min(KEYS_AT_ONCE));
            let batch: Arc<[_]> = counts.into();
            match self.ask(AddActivity(Arc::clone(&batch))).await {
                Ok(()) => {}
                Err(JournalError::Busy | JournalError::Unavailable { .. }) => {
                    let mut counts = recorder.counts();
                    for (key, tally) in batch.iter().cloned().chain(rest) {
                        counts.put(key, tally);
                    }
                    return;
                }
                // What the database will never take must not keep it from the rest.
                Err(error) => log::error!("activity was not written down: {error}"),
            }
            counts = rest;
        }
    }
}

/// Writes down what was counted, again and again, for as long as anybody holds the journal.
pub(super) async fn keep_flushing(journal: Weak<Inner>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(journal) = JournalHandle::upgrade(&journal) else {
            return;
        };
        if !journal.recorder().counts().is_empty() {
            journal.flush().await;
        }
    }
}

impl Recorder {
    /// A poisoned lock is taken all the same: a count may be missing then, and that is all.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was counted since it was last written down. Pure: it is told the time.
#[derive(Default)]
struct Counts {
    by_key: HashMap<ActivityKey, Tally>,
    uncounted: u64,
    clients: Clients,
}

impl Counts {
    fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.uncounted == 0
    }

    fn add(&mut self, call: EndedCall) {
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
        // Most calls are like one before, whose client has been told apart.
        if let Some(counted) = self.by_key.get_mut(&key) {
            counted.add(tally);
            return;
        }
        let clients = &mut self.clients;
        let told_apart = |client| clients.tell_apart(key.user, client, hour);
        key.client = key.client.take().map(told_apart);
        self.put(key, tally);
    }

    fn put(&mut self, key: ActivityKey, tally: Tally) {
        if let Some(counted) = self.by_key.get_mut(&key) {
            counted.add(tally);
        } else if self.by_key.len() < MOST_KEYS {
            self.by_key.insert(key, tally);
        } else {
            self.uncounted += tally.count.unsigned_abs();
        }
    }

    /// Everything so far, and how many calls found no room.
    fn take(&mut self) -> (Vec<(ActivityKey, Tally)>, u64) {
        let counts = std::mem::take(&mut self.by_key).into_iter().collect();
        (counts, std::mem::take(&mut self.uncounted))
    }
}

/// Which clients were seen within the hour. By a hash, for their ids may be long; should two be
/// alike, one more client is told apart, which does no harm.
#[derive(Default)]
struct Clients {
    hour: Option<Timestamp>,
    seen: HashMap<UserId, HashSet<u64>>,
    in_all: usize,
    hasher: RandomState,
}

impl Clients {
    fn tell_apart(&mut self, user: UserId, client: String, hour: Timestamp) -> String {
        if self.hour != Some(hour) {
            self.hour = Some(hour);
            self.seen.clear();
            self.in_all = 0;
        }
        let hash = self.hasher.hash_one(&client);
        let seen = self.seen.entry(user).or_default();
        if seen.contains(&hash) {
            return client;
        }
        if seen.len() >= CLIENTS_PER_HOUR || self.in_all >= MOST_CLIENTS_IN_ALL {
            return OTHER_CLIENTS.to_owned();
        }
        seen.insert(hash);
        self.in_all += 1;
        client
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::features::call_record::{Feature, FeatureKind, Outcome};

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
        for name in 0..MOST_KEYS + 3 {
            counts.add(call("ann", "c", name, 0));
        }
        // Keys that are there already are counted on.
        counts.add(call("ann", "c", 0, 0));
        let (counted, uncounted) = counts.take();
        assert_eq!((counted.len(), uncounted), (MOST_KEYS, 3));
        assert_eq!(counted.iter().map(|(_, t)| t.count).max(), Some(2));
        assert_eq!(counts.take().1, 0);
    }

    #[test]
    fn two_hundred_clients_of_a_user_are_told_apart_within_an_hour() {
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
        let mut tell = |user: usize, client: usize| {
            let user = UserId::derive("i", &user.to_string());
            clients.tell_apart(user, client.to_string(), DateTime::UNIX_EPOCH)
        };
        for i in 0..MOST_CLIENTS_IN_ALL {
            assert_eq!(tell(i / 100, i % 100), (i % 100).to_string());
        }
        assert_eq!(tell(0, 100), OTHER_CLIENTS);
        assert_eq!(tell(0, 99), "99");
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
