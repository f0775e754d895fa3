//! The recorder of activity: it counts calls in memory and stores the counts twice a minute, so that a call costs
//! no query, and calls that are alike cost one row's change together.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use actix_rt::ArbiterHandle;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

use crate::domain::{
    activity::{ActivityKey, EndedCall, Tally},
    journal::JournalError,
};
use resource_server::principal::UserId;

use super::{activity_counts::Counts, actor_pool::ActorPool, messages::AddActivity};

/// How often the counts are stored, unless there are many before.
const INTERVAL: Duration = Duration::from_secs(30);

/// The most keys that one statement stores.
const KEYS_PER_STATEMENT: usize = 1_000;

/// How many attempts are made to store the last counts at shutdown.
pub(super) const LAST_ATTEMPTS: usize = 3;

/// Counts calls until they are stored.
#[derive(Default)]
pub(super) struct Recorder {
    counts: Mutex<Counts>,
    /// Notified when there are many counts.
    many: Arc<Notify>,
    /// Held during a flush, so that a second flush returns only when the first one's counts are stored.
    flushing: tokio::sync::Mutex<()>,
}

impl Recorder {
    /// Counts a call that has ended.
    pub(super) fn record(&self, call: EndedCall) {
        if self.counts.lock().add(call) {
            self.many.notify_one();
        }
    }

    /// Whether nothing waits to be stored.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.lock().is_empty()
    }

    /// Stores the counts. Keeps those that the database cannot store now.
    pub(super) async fn flush(&self, actors: &ActorPool) {
        let _flushing = self.flushing.lock().await;
        let (counts, uncounted) = self.counts.lock().take();
        if uncounted > 0 {
            log::warn!("{uncounted} calls are missing in the users' activity: too many at once");
        }
        self.store(counts, actors).await;
    }

    /// Stores the counts of one user, who is about to read them.
    pub(super) async fn flush_of(&self, user: UserId, actors: &ActorPool) {
        let _flushing = self.flushing.lock().await;
        let counts = self.counts.lock().take_of(user);
        self.store(counts, actors).await;
    }

    async fn store(&self, mut counts: Vec<(ActivityKey, Tally)>, actors: &ActorPool) {
        if !actors.groups_users() {
            counts.sort_by_key(|(key, _)| key.user);
        }
        while !counts.is_empty() {
            let rest = counts.split_off(of_one_statement(&counts, actors.groups_users()));
            let batch: Arc<[_]> = counts.into();
            match actors.ask(AddActivity(Arc::clone(&batch))).await {
                Ok(()) => {}
                Err(
                    JournalError::Busy
                    | JournalError::TimedOut { .. }
                    | JournalError::Unavailable { .. },
                ) => {
                    let mut counts = self.counts.lock();
                    for (key, tally) in batch.iter().cloned().chain(rest) {
                        counts.put(key, tally);
                    }
                    return;
                }
                // Dropped: counts that the database will never accept must not block the others.
                Err(error) => log::error!("activity was not stored: {error}"),
            }
            counts = rest;
        }
    }
}

/// How many of the counts the next statement stores: those of its first user, unless it may store several users'.
fn of_one_statement(counts: &[(ActivityKey, Tally)], groups_users: bool) -> usize {
    let alike = match counts.first() {
        Some((first, _)) if !groups_users => {
            counts.partition_point(|(key, _)| key.user <= first.user)
        }
        _ => counts.len(),
    };
    alike.min(KEYS_PER_STATEMENT)
}

/// Stores the counts every [`INTERVAL`], or when there are many, until the last handle is dropped.
pub(super) async fn flush_loop(recorder: Weak<Recorder>, actors: Weak<ActorPool>) {
    let Some(many) = recorder
        .upgrade()
        .map(|recorder| Arc::clone(&recorder.many))
    else {
        return;
    };
    loop {
        // Either way it is time.
        let _ = timeout(INTERVAL, many.notified()).await;
        let (Some(recorder), Some(actors)) = (recorder.upgrade(), actors.upgrade()) else {
            return;
        };
        if !recorder.is_empty() {
            recorder.flush(&actors).await;
        }
    }
}

/// Runs a future in an arbiter and waits for it. It runs to its end even if the caller leaves.
/// `None` if the arbiter has stopped, and the work with it.
pub(super) async fn run_to_end<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (done, is_done) = oneshot::channel();
    arbiter.spawn(async move {
        let _ = done.send(work.await);
    });
    is_done.await.ok()
}
