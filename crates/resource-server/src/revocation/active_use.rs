//! The registry of active uses of tokens (streams, calls, sessions), which end when they are revoked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use actix::{Actor, Context, Handler, ResponseFuture};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::{
    auth::shared::Revoked,
    principal::{Credential, Principal, Revocation, UserId},
};

/// The number of uses that are notified before the lock is released for others.
const BATCH: usize = 256;

/// All active uses, indexed by what a revocation can name. It holds no more than the server has streams,
/// sessions and calls, all of which are limited where they begin.
#[derive(Clone, Default)]
pub(crate) struct ActiveUses(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    /// The number of the next entry.
    next: u64,
    uses: BTreeMap<u64, Entry>,
    index: HashMap<IndexKey, BTreeSet<u64>>,
    client_hasher: RandomState,
}

/// What a revocation can name. It has a fixed size because it is stored for every call: a client is
/// represented by a keyed hash. On a collision the other client's uses end too, and the client retries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum IndexKey {
    Credential(Credential),
    User(UserId),
    Client(u64),
}

struct Entry {
    keys: [Option<IndexKey>; 3],
    revocation: watch::Sender<bool>,
}

/// An active use of a token: see [`AuthHandle::active_use`](crate::auth::AuthHandle::active_use). Dropping
/// it removes it from the registry.
pub struct ActiveUse {
    revocation: watch::Receiver<bool>,
    number: u64,
    uses: ActiveUses,
}

impl ActiveUses {
    /// Registers a use of this token.
    pub(crate) fn of_token(&self, principal: &Principal) -> ActiveUse {
        self.register(principal, Some(IndexKey::Credential(principal.credential)))
    }

    /// Registers a use by the user and the client, whichever token they present.
    pub(crate) fn of_owner(&self, principal: &Principal) -> ActiveUse {
        self.register(principal, None)
    }

    fn register(&self, principal: &Principal, credential: Option<IndexKey>) -> ActiveUse {
        let (sender, revocation) = watch::channel(false);
        let mut registry = self.lock();
        let client = principal.client.as_deref();
        let client = client.map(|client| registry.client(&principal.issuer, client));
        let keys = [Some(IndexKey::User(principal.user)), client, credential];
        let number = registry.next;
        registry.next += 1;
        for key in keys.into_iter().flatten() {
            registry.index.entry(key).or_default().insert(number);
        }
        let entry = Entry {
            keys,
            revocation: sender,
        };
        registry.uses.insert(number, entry);
        drop(registry);
        ActiveUse {
            revocation,
            number,
            uses: self.clone(),
        }
    }

    /// Notifies a batch of the uses that a revocation covers and whose number is below `end`. Returns
    /// `false` when none is left.
    fn notify_batch(&self, revocation: &Revocation, end: u64) -> bool {
        let mut registry = self.lock();
        let covered: Vec<u64> = match revocation {
            Revocation::All => registry
                .uses
                .range(..end)
                .map(|(number, _)| *number)
                .take(BATCH)
                .collect(),
            Revocation::Credential(credential) => {
                registry.some_of(IndexKey::Credential(*credential), end)
            }
            Revocation::User(user) => registry.some_of(IndexKey::User(*user), end),
            Revocation::Client { issuer, client } => {
                registry.some_of(registry.client(issuer, client), end)
            }
        };
        let removed: Vec<_> = covered
            .iter()
            .filter_map(|number| registry.remove(*number))
            .collect();
        drop(registry);
        for entry in &removed {
            entry.revocation.send_replace(true);
        }
        !removed.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock()
    }
}

impl Registry {
    fn client(&self, issuer: &str, client: &str) -> IndexKey {
        IndexKey::Client(self.client_hasher.hash_one((issuer, client)))
    }

    fn some_of(&self, key: IndexKey, end: u64) -> Vec<u64> {
        let numbers = self.index.get(&key).into_iter();
        let numbers = numbers.flat_map(|numbers| numbers.range(..end).copied());
        numbers.take(BATCH).collect()
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.uses.remove(&number)?;
        for key in entry.keys.into_iter().flatten() {
            if let Some(numbers) = self.index.get_mut(&key) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.index.remove(&key);
                }
            }
        }
        Some(entry)
    }
}

impl ActiveUse {
    /// Whether it was revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revocation.borrow()
    }

    /// Resolves when it is revoked; stays pending if it is dropped first.
    pub fn revoked(&self) -> impl Future<Output = ()> + use<> {
        let mut revocation = self.revocation.clone();
        async move {
            if revocation.wait_for(|revocation| *revocation).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Marks a use that was revoked before it was registered.
    pub(crate) fn already_revoked(mut self) -> Self {
        self.revocation = watch::channel(true).1;
        self
    }
}

impl Drop for ActiveUse {
    fn drop(&mut self) {
        self.uses.lock().remove(self.number);
    }
}

/// Notifies active uses of revocations, without blocking the revoking thread.
pub(crate) struct ActiveUsesActor(pub(crate) ActiveUses);

impl Actor for ActiveUsesActor {
    type Context = Context<Self>;
}

impl Handler<Revoked> for ActiveUsesActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Revoked, _: &mut Context<Self>) -> Self::Result {
        let uses = self.0.clone();
        Box::pin(async move {
            // A use that is registered later checks for this revocation itself.
            let end = uses.lock().next;
            while uses.notify_batch(&message.0, end) {
                tokio::task::yield_now().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::AuthHandle,
        principal::{Credential, UserId},
    };

    fn principal(subject: &str, client: &str, credential: u8) -> Principal {
        Principal {
            client: Some(client.to_owned()),
            credential: Credential([credential; 32]),
            ..Principal::of_test(subject)
        }
    }

    fn notify(uses: &ActiveUses, revocation: &Revocation) {
        let end = uses.lock().next;
        while uses.notify_batch(revocation, end) {}
    }

    #[test]
    fn a_revocation_ends_what_it_covers_and_nothing_else() {
        let client = Revocation::Client {
            issuer: "i".to_owned(),
            client: "c".to_owned(),
        };
        for (revocation, expected) in [
            (
                Revocation::Credential(Credential([1; 32])),
                [true, false, false, false],
            ),
            (
                Revocation::User(UserId::derive("i", "s")),
                [true, true, false, true],
            ),
            (client, [true, false, true, true]),
            (Revocation::All, [true; 4]),
        ] {
            let uses = ActiveUses::default();
            let open = [
                uses.of_token(&principal("s", "c", 1)),
                uses.of_token(&principal("s", "d", 2)),
                uses.of_token(&principal("t", "c", 3)),
                uses.of_owner(&principal("s", "c", 1)),
            ];
            notify(&uses, &revocation);
            assert_eq!(
                open.each_ref().map(ActiveUse::is_revoked),
                expected,
                "{revocation:?}"
            );
        }
    }

    #[test]
    fn an_ended_or_notified_use_leaves_no_entry() {
        let uses = ActiveUses::default();
        let open: Vec<_> = (0..3 * BATCH)
            .map(|_| uses.of_token(&principal("s", "c", 1)))
            .collect();
        drop(uses.of_token(&principal("t", "c", 2)));
        assert_eq!(uses.lock().uses.len(), open.len());
        notify(&uses, &Revocation::User(UserId::derive("i", "s")));
        assert!(open.iter().all(ActiveUse::is_revoked));
        assert!(uses.lock().uses.is_empty() && uses.lock().index.is_empty());
    }

    /// A revocation between the check of the token and the registration is not missed.
    #[actix_rt::test]
    async fn a_use_is_revoked_from_the_start_if_its_epoch_is_older_than_the_revocation() {
        let auth = AuthHandle::of_test();
        let (ann, bob) = (principal("ann", "c", 1), principal("bob", "c", 2));
        let before = auth.revocation_epoch();
        auth.revoke(&Revocation::User(ann.user));
        assert!(auth.active_use(&ann, before).is_revoked());
        assert!(auth.active_use_of_owner(&ann, before).is_revoked());
        assert!(!auth.active_use(&bob, before).is_revoked());
        assert!(!auth.active_use(&ann, auth.revocation_epoch()).is_revoked());
    }

    #[actix_rt::test]
    async fn a_use_that_ends_by_itself_is_not_revoked() {
        let uses = ActiveUses::default();
        let open = uses.of_token(&principal("s", "c", 1));
        let revocation = open.revoked();
        drop(open);
        assert!(futures_util::poll!(std::pin::pin!(revocation)).is_pending());
    }
}
