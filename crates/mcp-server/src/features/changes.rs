//! Changes of resources, published by URI (MCP, Resources, Subscriptions), and the actor that notifies
//! sessions and streams.

use std::{
    any::Any,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix::{Actor, Addr, Context, Handler, Message, Recipient, WeakRecipient};
use actix_rt::ArbiterHandle;
use derive_more::{Debug, Display, Error};

use resource_server::principal::UserId;

/// A change that concerns one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The contents of the resource with this URI have changed, or it was deleted
    /// (`notifications/resources/updated`).
    Updated(Arc<str>),
    /// The list of resources has changed (`notifications/resources/list_changed`).
    ListChanged,
}

impl Change {
    /// The contents of the resource with this URI have changed, or it was deleted. The URI must be written as
    /// the server writes it in lists and links.
    #[must_use]
    pub fn updated(uri: impl Into<Arc<str>>) -> Self {
        Self::Updated(uri.into())
    }
}

/// Publishes changes to the sessions and streams of a user. Clones publish to the same ones.
///
/// ```
/// use mcp_server::features::changes::{Change, Changes};
/// use resource_server::principal::UserId;
///
/// # actix_rt::System::new().block_on(async {
/// let changes = Changes::start(&actix_rt::Arbiter::current());
/// let user = UserId::derive("https://login.example", "alice");
/// changes.publish(user, vec![Change::updated("files://reports/7"), Change::ListChanged]);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Changes {
    #[debug(skip)]
    notifier: Addr<ChangeNotifier>,
    has_subscribers: Arc<AtomicBool>,
}

/// A change, sent to one session or stream.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChangePublished(pub(crate) Change);

/// Adds a subscriber, for as long as it lives.
#[derive(Message)]
#[rtype(result = "()")]
struct Subscribe {
    user: UserId,
    subscriber: Recipient<ChangePublished>,
}

/// Notifies the subscribers of a user.
#[derive(Message)]
#[rtype(result = "()")]
struct Publish {
    user: UserId,
    changes: Vec<Change>,
    #[expect(dead_code, reason = "dropped when the subscribers have been notified")]
    guard: Box<dyn Any + Send>,
}

/// The actor that notifies sessions and streams of changes.
struct ChangeNotifier {
    subscribers: Subscribers,
    has_subscribers: Arc<AtomicBool>,
}

/// The number of users below which entries of users without subscribers are not removed.
const MIN_USERS_BEFORE_CLEANUP: usize = 64;

/// The subscribers of each user. Sessions and streams are limited where they are opened; at most as many
/// again that have ended are kept. They are held weakly: a subscription keeps nothing alive.
#[derive(Default)]
struct Subscribers {
    by_user: HashMap<UserId, Vec<WeakRecipient<ChangePublished>>>,
    /// The number of users after the last removal.
    subscribed: usize,
}

/// The notifier has stopped, which happens only at the end of the process.
#[derive(Clone, Copy, Debug, Display, Error)]
#[display("the change notifier has stopped")]
pub(crate) struct NotifierStopped;

impl Changes {
    /// Starts the notifier on the thread of an arbiter.
    #[must_use]
    pub fn start(arbiter: &ArbiterHandle) -> Self {
        let has_subscribers = Arc::<AtomicBool>::default();
        let notifier = ChangeNotifier::start_in_arbiter(arbiter, {
            let has_subscribers = Arc::clone(&has_subscribers);
            |_| ChangeNotifier {
                subscribers: Subscribers::default(),
                has_subscribers,
            }
        });
        Self {
            notifier,
            has_subscribers,
        }
    }

    /// Whether there is any subscriber. If not, changes need not be computed.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.has_subscribers.load(Ordering::SeqCst)
    }

    /// Notifies the sessions and streams of a user. May be called on any thread and does not wait.
    pub fn publish(&self, user: UserId, changes: Vec<Change>) {
        self.publish_with_guard(user, changes, ());
    }

    /// Like [`Changes::publish`]; drops `guard` after the subscribers have been notified, so that a permit
    /// can limit how much is published at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "a change has no answer to wait for; the caller's permit bounds what is sent"
    )]
    pub fn publish_with_guard(&self, user: UserId, changes: Vec<Change>, guard: impl Any + Send) {
        if !changes.is_empty() && self.has_subscribers() {
            self.notifier.do_send(Publish {
                user,
                changes,
                guard: Box::new(guard),
            });
        }
    }

    /// Adds a subscriber to the changes of a user, for as long as it lives.
    ///
    /// # Errors
    /// [`NotifierStopped`].
    pub(crate) async fn subscribe(
        &self,
        user: UserId,
        subscriber: Recipient<ChangePublished>,
    ) -> Result<(), NotifierStopped> {
        let subscribe = Subscribe { user, subscriber };
        let subscribed = self.notifier.send(subscribe).await;
        subscribed.map_err(|_| NotifierStopped)
    }

    /// Whether the notifier still runs.
    #[must_use]
    pub(crate) fn is_alive(&self) -> bool {
        self.notifier.connected()
    }
}

impl ChangeNotifier {
    fn update_has_subscribers(&self) {
        let any = !self.subscribers.by_user.is_empty();
        self.has_subscribers.store(any, Ordering::SeqCst);
    }
}

impl Actor for ChangeNotifier {
    type Context = Context<Self>;
}

impl Handler<Subscribe> for ChangeNotifier {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe, _: &mut Context<Self>) {
        let Subscribe { user, subscriber } = subscribe;
        self.subscribers.add(user, subscriber.downgrade());
        self.update_has_subscribers();
    }
}

impl Handler<Publish> for ChangeNotifier {
    type Result = ();

    fn handle(&mut self, publish: Publish, _: &mut Context<Self>) {
        self.subscribers.notify(publish.user, &publish.changes);
        self.update_has_subscribers();
    }
}

impl Subscribers {
    fn add(&mut self, user: UserId, subscriber: WeakRecipient<ChangePublished>) {
        if self.by_user.len() >= 2 * self.subscribed.max(MIN_USERS_BEFORE_CLEANUP) {
            self.by_user.retain(|_, subscribers| {
                subscribers.retain(|subscriber| subscriber.upgrade().is_some());
                !subscribers.is_empty()
            });
            self.subscribed = self.by_user.len();
        }
        let subscribers = self.by_user.entry(user).or_default();
        subscribers.retain(|subscriber| subscriber.upgrade().is_some());
        subscribers.push(subscriber);
    }

    /// Notifies every subscriber of a user and removes those that have ended. One whose mailbox is full
    /// misses the change: nobody waits for a slow client.
    fn notify(&mut self, user: UserId, changes: &[Change]) {
        let Some(subscribers) = self.by_user.get_mut(&user) else {
            return;
        };
        subscribers.retain(|subscriber| {
            let Some(subscriber) = subscriber.upgrade() else {
                return false;
            };
            for change in changes {
                // Full, or ended just now.
                let _ = subscriber.try_send(ChangePublished(change.clone()));
            }
            true
        });
        if subscribers.is_empty() {
            self.by_user.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Subscriber;

    impl Actor for Subscriber {
        type Context = Context<Self>;
    }

    impl Handler<ChangePublished> for Subscriber {
        type Result = ();

        fn handle(&mut self, _: ChangePublished, _: &mut Context<Self>) {}
    }

    #[actix_rt::test]
    async fn subscribers_that_ended_are_forgotten_and_the_others_are_not() {
        let mut subscribers = Subscribers::default();
        let add = |subscribers: &mut Subscribers, user: usize| -> Addr<Subscriber> {
            let address = Subscriber.start();
            let user = UserId::derive("i", &user.to_string());
            subscribers.add(user, address.clone().recipient().downgrade());
            address
        };
        let stay: Vec<_> = (0..3 * MIN_USERS_BEFORE_CLEANUP)
            .map(|user| add(&mut subscribers, user))
            .collect();
        assert_eq!(subscribers.by_user.len(), 3 * MIN_USERS_BEFORE_CLEANUP);
        for user in 3 * MIN_USERS_BEFORE_CLEANUP..20 * MIN_USERS_BEFORE_CLEANUP {
            drop(add(&mut subscribers, user));
            // An actor without an address ends when it is next looked at.
            actix_rt::task::yield_now().await;
            assert!(subscribers.by_user.len() <= 2 * (stay.len() + 1));
        }
        for user in 0..stay.len() {
            let user = UserId::derive("i", &user.to_string());
            assert_eq!(subscribers.by_user[&user].len(), 1);
        }
    }
}
