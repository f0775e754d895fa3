//! The ChangeNotifier: it notifies sessions and streams of changes to the journals that they watch, in this
//! process.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix::{Actor, Addr, Context, Handler, MailboxError, Message};
use actix_rt::ArbiterHandle;

use crate::{
    actors::gate::Permit,
    domain::{journal::Change, principal::UserId},
};

use super::watchers::{Watch, Watchers};

/// Notifies the watchers of a user's journal of each change in it.
pub(super) struct ChangeNotifier {
    watchers: Watchers,
    has_watchers: Arc<AtomicBool>,
}

/// A user's journal has changed. Carries the permit of the message that changed it, so that no more of
/// these are under way than messages may be.
#[derive(Message)]
#[rtype(result = "()")]
struct Changed {
    user: UserId,
    changes: Vec<Change>,
    #[expect(dead_code, reason = "held until the watchers have been notified")]
    permit: Permit,
}

/// Publishes changes to a [`ChangeNotifier`]. Clones publish to the same one; it ends with the last of them.
#[derive(Clone)]
pub(super) struct ChangePublisher {
    notifier: Addr<ChangeNotifier>,
    has_watchers: Arc<AtomicBool>,
}

impl ChangePublisher {
    /// Starts a notifier in an arbiter.
    pub(super) fn start(arbiter: &ArbiterHandle) -> Self {
        let has_watchers = Arc::<AtomicBool>::default();
        let notifier = ChangeNotifier::start_in_arbiter(arbiter, {
            let has_watchers = Arc::clone(&has_watchers);
            |_| ChangeNotifier {
                watchers: Watchers::default(),
                has_watchers,
            }
        });
        Self {
            notifier,
            has_watchers,
        }
    }

    /// Publishes changes to a user's journal, with the permit of the message that made them. The
    /// notifier's thread is not woken while no journal has a watcher.
    #[expect(
        clippy::disallowed_methods,
        reason = "the permit bounds how many are sent, and no answer is needed"
    )]
    pub(super) fn publish(&self, user: UserId, changes: Vec<Change>, permit: Permit) {
        if self.has_watchers.load(Ordering::SeqCst) {
            self.notifier.do_send(Changed {
                user,
                changes,
                permit,
            });
        }
    }

    /// Adds a watcher. When this returns, the watcher misses no later change.
    pub(super) async fn watch(&self, watch: Watch) -> Result<(), MailboxError> {
        self.notifier.send(watch).await
    }

    /// Whether the notifier still runs.
    pub(super) fn is_alive(&self) -> bool {
        self.notifier.connected()
    }
}

impl ChangeNotifier {
    fn update_has_watchers(&self) {
        let has_watchers = !self.watchers.is_empty();
        self.has_watchers.store(has_watchers, Ordering::SeqCst);
    }
}

impl Actor for ChangeNotifier {
    type Context = Context<Self>;
}

impl Handler<Watch> for ChangeNotifier {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        self.watchers.add(watch.user, watch.watcher.downgrade());
        self.update_has_watchers();
    }
}

impl Handler<Changed> for ChangeNotifier {
    type Result = ();

    fn handle(&mut self, changed: Changed, _: &mut Context<Self>) {
        self.watchers.notify(changed.user, &changed.changes);
        self.update_has_watchers();
    }
}
