//! Who was cut off, and when: what was learned of a principal before that counts no longer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Timestamp,
    principal::{Principal, Revocation},
};

/// How many are remembered. Each is needed for as long as something learned before it is under way, or
/// a token issued before it may be presented that no server is asked about; the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// The cut-offs so far. Pure but for its lock: it is told the time.
#[derive(Default)]
pub(crate) struct RevocationLog(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// How many there have been.
    count: u64,
    latest: HashMap<Revocation, Moment>,
    order: VecDeque<(Revocation, u64)>,
}

#[derive(Clone, Copy)]
struct Moment {
    count: u64,
    at: Timestamp,
}

impl RevocationLog {
    /// Remembers one.
    pub(crate) fn add(&self, revocation: Revocation, at: Timestamp) {
        let mut remembered = self.lock();
        remembered.count += 1;
        let count = remembered.count;
        remembered
            .latest
            .insert(revocation.clone(), Moment { count, at });
        remembered.order.push_back((revocation, count));
        while remembered.order.len() > REMEMBERED {
            if let Some((oldest, count)) = remembered.order.pop_front()
                && remembered
                    .latest
                    .get(&oldest)
                    .is_some_and(|latest| latest.count == count)
            {
                remembered.latest.remove(&oldest);
            }
        }
    }

    /// A mark of what has happened so far.
    pub(crate) fn revocation_epoch(&self) -> u64 {
        self.lock().count
    }

    /// Whether a principal was cut off after a mark.
    pub(crate) fn cover_since(&self, principal: &Principal, mark: u64) -> bool {
        self.any(principal, |moment| moment.count > mark)
    }

    /// Whether a principal was cut off at an instant or later. For tokens that no server is asked about:
    /// those issued before are no good any more.
    pub(crate) fn cover_issued(&self, principal: &Principal, issued_at: Timestamp) -> bool {
        self.any(principal, |moment| moment.at >= issued_at)
    }

    fn any(&self, principal: &Principal, applies: impl Fn(&Moment) -> bool) -> bool {
        let remembered = self.lock();
        if remembered.latest.is_empty() {
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
            Some(Revocation::Everybody),
        ]
        .iter()
        .flatten()
        .any(|whom| remembered.latest.get(whom).is_some_and(&applies))
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_cut_off_covers_whom_it_names_and_what_was_known_before_it() {
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
        revocations.add(Revocation::Everybody, at(10));
        assert!(revocations.cover_since(&principal("s", "c", 1), 0));
    }

    #[test]
    fn a_flood_of_cut_offs_is_remembered_within_bounds() {
        let revocations = RevocationLog::default();
        for n in 0..REMEMBERED + 10 {
            let user = UserId::derive("i", &n.to_string());
            revocations.add(Revocation::User(user), at(10));
            revocations.add(Revocation::Everybody, at(10));
        }
        let remembered = revocations.lock();
        assert!(remembered.latest.len() <= REMEMBERED);
        assert_eq!(remembered.order.len(), REMEMBERED);
        drop(remembered);
        assert!(
            revocations.cover_since(&principal("s", "c", 1), 0),
            "the latest counts"
        );
    }
}
