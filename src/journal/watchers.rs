//! Who wants to know what becomes different in whose journal.

use std::collections::HashMap;

use actix::{Message, Recipient, WeakRecipient};

use crate::domain::{journal::Change, principal::UserId};

/// Something became different in the user's journal.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct JournalChanged {
    /// What.
    pub change: Change,
}

/// Tell a watcher what becomes different in a user's journal, for as long as the watcher lives.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// Whose journal.
    pub user: UserId,
    /// Who wants to know. It is held weakly: watching keeps nobody alive.
    pub watcher: Recipient<JournalChanged>,
}

/// How many journals may have had a watcher before those that have none any more are looked for.
const FEW: usize = 64;

/// The watchers of each journal. As many as there are sessions and streams that watch, which are
/// bounded where they are opened, and at most as many again that have gone.
#[derive(Default)]
pub(super) struct Watchers {
    by_user: HashMap<UserId, Vec<WeakRecipient<JournalChanged>>>,
    /// How many journals had a watcher when those that had none were last forgotten.
    watched: usize,
}

impl Watchers {
    /// Whether nobody has watched any journal lately.
    pub(super) fn is_empty(&self) -> bool {
        self.by_user.is_empty()
    }

    pub(super) fn add(&mut self, user: UserId, watcher: WeakRecipient<JournalChanged>) {
        if self.by_user.len() >= 2 * self.watched.max(FEW) {
            self.by_user.retain(|_, watchers| {
                watchers.retain(|watcher| watcher.upgrade().is_some());
                !watchers.is_empty()
            });
            self.watched = self.by_user.len();
        }
        let watchers = self.by_user.entry(user).or_default();
        watchers.retain(|watcher| watcher.upgrade().is_some());
        watchers.push(watcher);
    }

    /// Tells every watcher of a journal, and forgets those that have gone. The journal waits for
    /// none of them: one whose mailbox is full misses the change, and its client reads again when
    /// it reads again.
    pub(super) fn tell(&mut self, user: UserId, changes: &[Change]) {
        let Some(watchers) = self.by_user.get_mut(&user) else {
            return;
        };
        watchers.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else {
                return false;
            };
            for change in changes {
                // Full, or just gone.
                let _ = watcher.try_send(JournalChanged { change: *change });
            }
            true
        });
        if watchers.is_empty() {
            self.by_user.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Addr, Context, Handler};

    use super::*;

    struct Watcher;

    impl Actor for Watcher {
        type Context = Context<Self>;
    }

    impl Handler<JournalChanged> for Watcher {
        type Result = ();

        fn handle(&mut self, _: JournalChanged, _: &mut Context<Self>) {}
    }

    #[actix_rt::test]
    async fn those_who_have_gone_are_forgotten_and_those_who_stay_are_not() {
        let mut watchers = Watchers::default();
        let add = |watchers: &mut Watchers, user: usize| -> Addr<Watcher> {
            let address = Watcher.start();
            let user = UserId::derive("i", &user.to_string());
            watchers.add(user, address.clone().recipient().downgrade());
            address
        };
        let stays: Vec<_> = (0..3 * FEW).map(|user| add(&mut watchers, user)).collect();
        assert_eq!(watchers.by_user.len(), 3 * FEW);
        for user in 3 * FEW..20 * FEW {
            drop(add(&mut watchers, user));
            // An actor without an address ends when it is next looked at.
            actix_rt::task::yield_now().await;
            assert!(watchers.by_user.len() <= 2 * (stays.len() + 1));
        }
        for user in 0..stays.len() {
            let user = UserId::derive("i", &user.to_string());
            assert_eq!(watchers.by_user[&user].len(), 1);
        }
    }
}
