//! The log of revocations: results that are older than a revocation are not used.

use std::collections::{HashMap, VecDeque};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    clock::Timestamp,
    principal::{Principal, Revocation},
};

/// The number of revocations that are kept. One is needed while a check that began before it is in flight,
/// or while a JWT issued before it can be presented without introspection. The oldest are dropped.
const CAPACITY: usize = 100_000;

/// The latest revocations. Callers pass the time.
#[derive(Default)]
pub(crate) struct RevocationLog(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// The number of revocations so far.
    count: u64,
    latest: HashMap<Revocation, Entry>,
    order: VecDeque<(Revocation, u64)>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The epoch after this revocation.
    epoch: u64,
    at: Timestamp,
}

impl RevocationLog {
    /// Records a revocation.
    pub(crate) fn add(&self, revocation: Revocation, at: Timestamp) {
        let mut entries = self.lock();
        entries.count += 1;
        let count = entries.count;
        entries
            .latest
            .insert(revocation.clone(), Entry { epoch: count, at });
        entries.order.push_back((revocation, count));
        while entries.order.len() > CAPACITY {
            if let Some((oldest, count)) = entries.order.pop_front()
                && entries
                    .latest
                    .get(&oldest)
                    .is_some_and(|latest| latest.epoch == count)
            {
                entries.latest.remove(&oldest);
            }
        }
    }

    /// The number of revocations so far.
    pub(crate) fn revocation_epoch(&self) -> u64 {
        self.lock().count
    }

    /// Whether a revocation after this epoch covers a principal.
    pub(crate) fn cover_since(&self, principal: &Principal, epoch: u64) -> bool {
        self.any(principal, |entry| entry.epoch > epoch)
    }

    /// Whether a revocation at or after `issued_at` covers a principal: for JWTs that are not
    /// introspected.
    pub(crate) fn cover_issued(&self, principal: &Principal, issued_at: Timestamp) -> bool {
        self.any(principal, |entry| entry.at >= issued_at)
    }

    fn any(&self, principal: &Principal, applies: impl Fn(&Entry) -> bool) -> bool {
        let entries = self.lock();
        if entries.latest.is_empty() {
            return false;
        }
        let client = principal.client.as_ref().map(|client| Revocation::Client {
            issuer: principal.issuer.clone(),
            client: client.clone(),
        });
        [
            Some(Revocation::Credential(principal.credential)),
            Some(Revocation::User(principal.user)),
            client,
            Some(Revocation::All),
        ]
        .iter()
        .flatten()
        .any(|revocation| entries.latest.get(revocation).is_some_and(&applies))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::principal::{Credential, UserId};

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn principal(subject: &str, client: &str, credential: u8) -> Principal {
        Principal {
            client: Some(client.to_owned()),
            credential: Credential([credential; 32]),
            ..Principal::of_test(subject)
        }
    }

    fn client(issuer: &str) -> Revocation {
        Revocation::Client {
            issuer: issuer.to_owned(),
            client: "c".to_owned(),
        }
    }

    #[test]
    fn a_revocation_covers_what_it_names_and_older_results() {
        for (revocation, same, other) in [
            (
                Revocation::Credential(Credential([1; 32])),
                ("s", "c", 1),
                ("s", "c", 2),
            ),
            (
                Revocation::User(UserId::derive("i", "s")),
                ("s", "d", 2),
                ("t", "c", 1),
            ),
            (client("i"), ("t", "c", 2), ("s", "d", 1)),
        ] {
            let of = |(subject, client, credential)| principal(subject, client, credential);
            let revocations = RevocationLog::default();
            let before = revocations.revocation_epoch();
            revocations.add(revocation.clone(), at(10));
            assert!(revocations.cover_since(&of(same), before), "{revocation:?}");
            assert!(
                !revocations.cover_since(&of(same), revocations.revocation_epoch()),
                "{revocation:?}"
            );
            assert!(
                !revocations.cover_since(&of(other), before),
                "{revocation:?}"
            );
            assert!(
                revocations.cover_issued(&of(same), at(10)),
                "{revocation:?}"
            );
            assert!(
                !revocations.cover_issued(&of(same), at(11)),
                "{revocation:?}"
            );
            assert!(
                !revocations.cover_issued(&of(other), at(0)),
                "{revocation:?}"
            );
        }
        let revocations = RevocationLog::default();
        revocations.add(client("another"), at(10));
        assert!(!revocations.cover_since(&principal("s", "c", 1), 0));
        revocations.add(Revocation::All, at(10));
        assert!(revocations.cover_since(&principal("s", "c", 1), 0));
    }

    #[test]
    fn a_flood_of_revocations_stays_within_bounds() {
        let revocations = RevocationLog::default();
        for n in 0..CAPACITY + 10 {
            let user = UserId::derive("i", &n.to_string());
            revocations.add(Revocation::User(user), at(10));
            revocations.add(Revocation::All, at(10));
        }
        let entries = revocations.lock();
        assert!(entries.latest.len() <= CAPACITY);
        assert_eq!(entries.order.len(), CAPACITY);
        drop(entries);
        assert!(
            revocations.cover_since(&principal("s", "c", 1), 0),
            "the latest counts"
        );
    }
}
