//! One line at the begin of an outage of the database, and one at its end.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use secrecy::SecretString;

use crate::{
    domain::{journal::JournalError, outage::Outage},
    storage::{self, StorageError},
};
use resource_server::metrics::{Label, Text};

/// An outage is over when this long no message has failed, and one has succeeded: where one connection of several fails,
/// lines would else alternate.
const QUIET: Duration = Duration::from_secs(1);

/// Notices when the database cannot be used, and when it can again.
pub(super) struct Outages {
    url: SecretString,
    is_on: AtomicBool,
    current: Mutex<Option<Current>>,
    /// Messages that failed, by reason.
    failed: [AtomicU64; Outage::ALL.len()],
}

struct Current {
    began: Instant,
    last_failure: Instant,
    /// When a message succeeded after the last failure.
    recovered: Option<Instant>,
    failed: u64,
}

impl Outages {
    pub(super) fn new(url: SecretString) -> Self {
        Self {
            url,
            is_on: AtomicBool::new(false),
            current: Mutex::new(None),
            failed: Default::default(),
        }
    }

    /// A message was answered.
    pub(super) fn note<T>(&self, reply: &Result<T, JournalError>, now: Instant) {
        match reply {
            Err(JournalError::Unavailable { why, source }) => {
                self.failed[why.index()].fetch_add(1, Ordering::Relaxed);
                // The first is said by whoever checks the schema, and the second is about one transaction.
                if !matches!(why, Outage::Schema | Outage::Conflict) {
                    self.failure(*why, source, now);
                }
            }
            // The database was not asked.
            Err(JournalError::Busy | JournalError::ShareUsedUp) => {}
            _ if self.is_on.load(Ordering::Relaxed) => self.success(now),
            _ => {}
        }
    }

    fn failure(&self, why: Outage, source: &resource_server::cause::Cause, now: Instant) {
        let mut current = self.current.lock();
        if let Some(outage) = &mut *current {
            outage.failed += 1;
            outage.last_failure = now;
            outage.recovered = None;
            return;
        }
        *current = Some(Current {
            began: now,
            last_failure: now,
            recovered: None,
            failed: 1,
        });
        self.is_on.store(true, Ordering::Relaxed);
        drop(current);
        let unusable = storage::unusable(&self.url, &StorageError::outage(why, source.clone()));
        log::warn!("the database is unavailable ({}): {unusable}", why.as_str());
    }

    fn success(&self, now: Instant) {
        let mut current = self.current.lock();
        let Some(outage) = &mut *current else { return };
        let recovered = *outage.recovered.get_or_insert(now);
        if now.duration_since(outage.last_failure) < QUIET {
            return;
        }
        let lasted = recovered.duration_since(outage.began);
        let failed = outage.failed;
        *current = None;
        self.is_on.store(false, Ordering::Relaxed);
        drop(current);
        log::info!(
            "the database is available again after {:.1} s; {failed} calls failed meanwhile",
            lasted.as_secs_f64()
        );
    }

    /// Writes how many messages failed, by reason.
    pub(super) fn write(&self, text: &mut Text) {
        let name = "database_failures_total";
        let help = "Messages to the journal that failed because the database could not be used, by reason.";
        text.family(name, "counter", help);
        for why in Outage::ALL {
            let failed = self.failed[why.index()].load(Ordering::Relaxed);
            text.sample(name, &[("reason", why.as_str())], failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use resource_server::cause::Cause;

    use super::*;

    #[test]
    fn an_outage_has_one_begin_and_one_end_however_many_messages_fail() {
        let outages = Outages::new("postgres://db/epicme".into());
        let failed = Err::<(), _>(JournalError::Unavailable {
            why: Outage::Silent,
            source: Cause::new("no answer"),
        });
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        let is_on = || outages.is_on.load(Ordering::Relaxed);
        outages.note(&Ok(()), at(0));
        assert!(!is_on());
        for millis in [0, 100, 900] {
            outages.note(&failed, at(millis));
            outages.note(&Err::<(), _>(JournalError::Busy), at(millis));
            // Another connection still answers.
            outages.note(&Ok(()), at(millis));
            assert!(is_on(), "it lasts");
        }
        assert_eq!(
            outages
                .current
                .lock()
                .as_ref()
                .map(|current| current.failed),
            Some(3)
        );
        outages.note(&Ok(()), at(1_899));
        assert!(is_on(), "the last failure is too near");
        outages.note(&Ok(()), at(1_900));
        assert!(!is_on(), "it is over");
        let counted = outages.failed[Outage::Silent.index()].load(Ordering::Relaxed);
        assert_eq!(counted, 3);
    }
}
