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

/// The watchers of each journal. As many as there are sessions and streams that watch, which are
/// bounded where they are opened.
#[derive(Default)]
pub(super) struct Watchers(HashMap<UserId, Vec<WeakRecipient<JournalChanged>>>);

impl Watchers {
    pub(super) fn add(&mut self, user: UserId, watcher: WeakRecipient<JournalChanged>) {
        let watchers = self.0.entry(user).or_default();
        watchers.retain(|watcher| watcher.upgrade().is_some());
        watchers.push(watcher);
    }

    /// Tells every watcher of a journal, and forgets those that have gone. The journal waits for
    /// none of them: one whose mailbox is full misses the change, and its client reads again when
    /// it reads again.
    pub(super) fn tell(&mut self, user: UserId, changes: &[Change]) {
        let Some(watchers) = self.0.get_mut(&user) else {
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
            self.0.remove(&user);
        }
    }
}
