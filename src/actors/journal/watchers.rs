//! The watchers of each user's journal.

use std::collections::HashMap;

use actix::{Message, Recipient, WeakRecipient};

use crate::domain::{journal::Change, principal::UserId};

/// The user's journal has changed.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct JournalChanged {
    /// What changed.
    pub change: Change,
}

/// Notify a watcher of changes to a user's journal, for as long as the watcher lives.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The owner of the journal.
    pub user: UserId,
    /// The session or stream to notify. It is held weakly, so watching does not keep it alive.
    pub watcher: Recipient<JournalChanged>,
}

/// The number of journals up to which those without a live watcher are not searched for.
const FEW: usize = 64;

/// The watchers of each journal: the sessions and streams that watch, which are bounded where they are
/// opened, and at most as many again that have gone.
#[derive(Default)]
pub(super) struct Watchers {
    by_user: HashMap<UserId, Vec<WeakRecipient<JournalChanged>>>,
    /// How many journals had a watcher when those without one were last removed.
    watched: usize,
}

impl Watchers {
    /// Whether no journal has a watcher.
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

    /// Notifies every watcher of a journal, and removes those that have gone. Waits for none of them: a
    /// watcher whose mailbox is full misses the change.
    pub(super) fn notify(&mut self, user: UserId, changes: &[Change]) {
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
    async fn watchers_that_have_gone_are_removed_and_the_others_kept() {
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
