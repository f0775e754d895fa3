//! What is open on the strength of a token: streams, calls, sessions. Each hears of the cut-off that
//! covers it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix::{Actor, Context, Handler, ResponseFuture};
use tokio::sync::watch;

use crate::auth::shared::Revoked;
use crate::principal::{Credential, Principal, Revocation, UserId};

/// How many are told before others get their turn at the register.
const AT_ONCE: usize = 256;

/// Everything that is open, by whom a cut-off may name. There is never more in it than there are
/// streams, sessions and calls under way, each of which is bounded where it begins.
#[derive(Clone, Default)]
pub(crate) struct ActiveUses(Arc<Mutex<Register>>);

#[derive(Default)]
struct Register {
    next: u64,
    uses: BTreeMap<u64, Entry>,
    by_whom: HashMap<Whom, BTreeSet<u64>>,
    names: RandomState,
}

/// Who may be cut off by name, short enough to be entered for every call: a client is known by a keyed
/// hash. Should two be alike, another client's uses end too, and are begun anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whom {
    Credential(Credential),
    User(UserId),
    Client(u64),
}

struct Entry {
    whom: [Option<Whom>; 3],
    revocation: watch::Sender<bool>,
}

/// Something that is open. Dropping it ends it.
pub struct ActiveUse {
    revocation: watch::Receiver<bool>,
    number: u64,
    uses: ActiveUses,
}

impl ActiveUses {
    /// Enters what is open under this very token.
    pub(crate) fn of_token(&self, principal: &Principal) -> ActiveUse {
        self.enter(principal, Some(Whom::Credential(principal.credential)))
    }

    /// Enters what belongs to the user and the client, whichever token they bring.
    pub(crate) fn of_owner(&self, principal: &Principal) -> ActiveUse {
        self.enter(principal, None)
    }

    fn enter(&self, principal: &Principal, credential: Option<Whom>) -> ActiveUse {
        let (sender, revocation) = watch::channel(false);
        let mut register = self.lock();
        let client = principal.client.as_deref();
        let client = client.map(|client| register.client(&principal.issuer, client));
        let whom = [Some(Whom::User(principal.user)), client, credential];
        let number = register.next;
        register.next += 1;
        for one in whom.into_iter().flatten() {
            register.by_whom.entry(one).or_default().insert(number);
        }
        let entry = Entry {
            whom,
            revocation: sender,
        };
        register.uses.insert(number, entry);
        drop(register);
        ActiveUse {
            revocation,
            number,
            uses: self.clone(),
        }
    }

    /// Tells some of those that a cut-off covers, of those that were there before `end`; `false` if
    /// there was none left.
    fn tell_some(&self, revocation: &Revocation, end: u64) -> bool {
        let mut register = self.lock();
        let covered: Vec<u64> = match revocation {
            Revocation::Everybody => register
                .uses
                .range(..end)
                .map(|(number, _)| *number)
                .take(AT_ONCE)
                .collect(),
            Revocation::Credential(credential) => {
                register.some_of(Whom::Credential(*credential), end)
            }
            Revocation::User(user) => register.some_of(Whom::User(*user), end),
            Revocation::Client { issuer, client } => {
                register.some_of(register.client(issuer, client), end)
            }
        };
        let told: Vec<_> = covered
            .iter()
            .filter_map(|number| register.remove(*number))
            .collect();
        drop(register);
        for entry in &told {
            entry.revocation.send_replace(true);
        }
        !told.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Register {
    fn client(&self, issuer: &str, client: &str) -> Whom {
        Whom::Client(self.names.hash_one((issuer, client)))
    }

    fn some_of(&self, whom: Whom, end: u64) -> Vec<u64> {
        let numbers = self.by_whom.get(&whom).into_iter();
        let numbers = numbers.flat_map(|numbers| numbers.range(..end).copied());
        numbers.take(AT_ONCE).collect()
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.uses.remove(&number)?;
        for one in entry.whom.into_iter().flatten() {
            if let Some(numbers) = self.by_whom.get_mut(&one) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_whom.remove(&one);
                }
            }
        }
        Some(entry)
    }
}

impl ActiveUse {
    /// Whether it has been cut off.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revocation.borrow()
    }

    /// Comes when it is cut off, and never if it ends before.
    pub fn revoked(&self) -> impl Future<Output = ()> + use<> {
        let mut revocation = self.revocation.clone();
        async move {
            if revocation.wait_for(|revocation| *revocation).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// One that was cut off before it was entered.
    pub(crate) fn late(mut self) -> Self {
        self.revocation = watch::channel(true).1;
        self
    }
}

impl Drop for ActiveUse {
    fn drop(&mut self) {
        self.uses.lock().remove(self.number);
    }
}

/// Tells what is open, away from whoever cut somebody off.
pub(crate) struct OpenUsesActor(pub(crate) ActiveUses);

impl Actor for OpenUsesActor {
    type Context = Context<Self>;
}

impl Handler<Revoked> for OpenUsesActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Revoked, _: &mut Context<Self>) -> Self::Result {
        let uses = self.0.clone();
        Box::pin(async move {
            // Whatever begins from now on has been looked at after the cut-off.
            let end = uses.lock().next;
            while uses.tell_some(&message.0, end) {
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

    fn tell(uses: &ActiveUses, revocation: &Revocation) {
        let end = uses.lock().next;
        while uses.tell_some(revocation, end) {}
    }

    #[test]
    fn a_cut_off_ends_what_it_covers_and_nothing_else() {
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
            (Revocation::Everybody, [true; 4]),
        ] {
            let uses = ActiveUses::default();
            let open = [
                uses.of_token(&principal("s", "c", 1)),
                uses.of_token(&principal("s", "d", 2)),
                uses.of_token(&principal("t", "c", 3)),
                uses.of_owner(&principal("s", "c", 1)),
            ];
            tell(&uses, &revocation);
            assert_eq!(
                open.each_ref().map(ActiveUse::is_revoked),
                expected,
                "{revocation:?}"
            );
        }
    }

    #[test]
    fn what_has_ended_or_was_told_leaves_nothing_behind() {
        let uses = ActiveUses::default();
        let open: Vec<_> = (0..3 * AT_ONCE)
            .map(|_| uses.of_token(&principal("s", "c", 1)))
            .collect();
        drop(uses.of_token(&principal("t", "c", 2)));
        assert_eq!(uses.lock().uses.len(), open.len());
        tell(&uses, &Revocation::User(UserId::derive("i", "s")));
        assert!(open.iter().all(ActiveUse::is_revoked));
        assert!(uses.lock().uses.is_empty() && uses.lock().by_whom.is_empty());
    }

    /// Between the look at its token and its beginning nothing slips through.
    #[actix_rt::test]
    async fn what_begins_after_a_cut_off_that_its_token_came_before_is_cut_off() {
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
    async fn what_ends_by_itself_is_not_cut_off() {
        let uses = ActiveUses::default();
        let open = uses.of_token(&principal("s", "c", 1));
        let revocation = open.revoked();
        drop(open);
        assert!(futures_util::poll!(std::pin::pin!(revocation)).is_pending());
    }
}
