//! The background task that cuts entries into words that an earlier release has written, or writes beside this one.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use super::{
    actor_pool::ActorPool,
    messages::{CutWords, NextUncut},
};
use crate::{
    domain::{journal::JournalError, outage::Outage},
    storage::cut_words::CutBatch,
};
use resource_server::principal::UserId;

/// How often it is looked for entries that the release before writes.
const INTERVAL: Duration = Duration::from_secs(60);

/// The pause while another process does it, after a failure, and before the schema is looked at again.
const ELSEWHERE: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(10);
const UNTIL_CHECKED: Duration = Duration::from_secs(1);

/// The shortest pause between two batches. It is as long as the batch took, so that half of a connection is used at
/// most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// How often is said how far it is.
const REPORT: Duration = Duration::from_secs(60);

/// Cuts all entries that are to be cut, a batch of each user after the other, so that everybody's newest come first. Then
/// looks for more now and then, until the pool is dropped.
pub(super) async fn run(actors: Weak<ActorPool>) {
    let mut after = None;
    let mut progress = Progress::default();
    loop {
        let Some(actors) = actors.upgrade() else {
            return;
        };
        let began = Instant::now();
        let step = next_batch(&actors, after).await;
        let pause = match step {
            Ok(Step::Cut { user, entries }) => {
                after = Some(user);
                actors.metrics().cut_again(entries, true);
                progress.note(entries);
                // Nothing was free to be cut: as if another did it, but not for long.
                if entries == 0 {
                    UNTIL_CHECKED
                } else {
                    began.elapsed().max(SHORTEST_PAUSE)
                }
            }
            // Once more from the first user on.
            Ok(Step::End) if after.take().is_some() => Duration::ZERO,
            Ok(Step::End) => {
                actors.metrics().cut_again(0, false);
                progress.end();
                INTERVAL
            }
            Ok(Step::Elsewhere) => ELSEWHERE,
            // The migrations run first.
            Err(JournalError::Unavailable {
                why: Outage::Schema,
                ..
            }) => UNTIL_CHECKED,
            Err(error) => {
                log::warn!("entries were not cut into words, will retry: {error}");
                AFTER_FAILURE
            }
        };
        drop(actors);
        actix_rt::time::sleep(pause).await;
    }
}

enum Step {
    Cut {
        user: UserId,
        entries: usize,
    },
    /// No user behind the one before has entries to cut.
    End,
    Elsewhere,
}

async fn next_batch(actors: &ActorPool, after: Option<UserId>) -> Result<Step, JournalError> {
    let Some(user) = actors.ask(NextUncut { after }).await? else {
        return Ok(Step::End);
    };
    Ok(match actors.ask(CutWords { owner: user }).await? {
        CutBatch::Done(entries) => Step::Cut { user, entries },
        CutBatch::Elsewhere => Step::Elsewhere,
    })
}

/// What has been said of how far it is.
#[derive(Default)]
struct Progress {
    entries: usize,
    since: Option<Instant>,
    reported: Option<Instant>,
}

impl Progress {
    fn note(&mut self, entries: usize) {
        self.entries += entries;
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_due = |at: Instant| at.elapsed() >= REPORT;
        if self.reported.is_none_or(is_due) {
            self.reported = Some(Instant::now());
            log::info!(
                "cutting entries of an earlier release into words, {} so far in {} s",
                self.entries,
                since.elapsed().as_secs()
            );
        }
    }

    fn end(&mut self) {
        if self.entries > 0 {
            log::info!(
                "all entries are cut into words, {} of an earlier release",
                self.entries
            );
        }
        *self = Self::default();
    }
}
