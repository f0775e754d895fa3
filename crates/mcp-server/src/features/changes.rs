//! Changes of resources, published by URI as MCP has it, and the actor that tells sessions and streams
//! of them.

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

/// Something that became different for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The resource at this URI reads differently, or is gone (`notifications/resources/updated`).
    Updated(Arc<str>),
    /// Other resources are listed (`notifications/resources/list_changed`).
    ListChanged,
}

impl Change {
    /// The resource at this URI reads differently, or is gone. The URI is written as the server writes
    /// it in lists and links.
    #[must_use]
    pub fn updated(uri: impl Into<Arc<str>>) -> Self {
        Self::Updated(uri.into())
    }
}

/// Publishes changes to the sessions and streams of the user whom they concern. Clones publish to the
/// same ones.
#[derive(Clone, Debug)]
pub struct Changes {
    #[debug(skip)]
    notifier: Addr<ChangeNotifier>,
    is_anybody_subscribed: Arc<AtomicBool>,
}

/// A change, on its way to one session or stream.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChangePublished(pub Change);

/// Take a subscriber in, for as long as it lives.
#[derive(Message)]
#[rtype(result = "()")]
struct Subscribe {
    user: UserId,
    subscriber: Recipient<ChangePublished>,
}

/// Tell the subscribers of a user.
#[derive(Message)]
#[rtype(result = "()")]
struct Publish {
    user: UserId,
    changes: Vec<Change>,
    #[expect(dead_code, reason = "dropped when the subscribers have been told")]
    until_told: Box<dyn Any + Send>,
}

/// The actor that tells sessions and streams what changed.
struct ChangeNotifier {
    subscribers: Subscribers,
    is_anybody_subscribed: Arc<AtomicBool>,
}

/// How many users may have had a subscriber before those that have none any more are looked for.
const FEW: usize = 64;

/// The subscribers of each user: the sessions and streams, which are bounded where they are opened, and
/// at most as many again that have ended. They are held weakly: a subscription keeps nothing alive.
#[derive(Default)]
struct Subscribers {
    by_user: HashMap<UserId, Vec<WeakRecipient<ChangePublished>>>,
    /// How many users had a subscriber when those that had none were last forgotten.
    subscribed: usize,
}

/// The notifier has stopped, which it does at the end of the process alone.
#[derive(Clone, Copy, Debug, Display, Error)]
#[display("the change notifier has stopped")]
pub struct NotifierStopped;

impl Changes {
    /// Starts the notifier on an arbiter's thread.
    #[must_use]
    pub fn start(arbiter: &ArbiterHandle) -> Self {
        let is_anybody_subscribed = Arc::<AtomicBool>::default();
        let notifier = ChangeNotifier::start_in_arbiter(arbiter, {
            let is_anybody_subscribed = Arc::clone(&is_anybody_subscribed);
            |_| ChangeNotifier {
                subscribers: Subscribers::default(),
                is_anybody_subscribed,
            }
        });
        Self {
            notifier,
            is_anybody_subscribed,
        }
    }

    /// Whether anybody would be told of a change, so that none need be put together where nobody would.
    #[must_use]
    pub fn is_anybody_subscribed(&self) -> bool {
        self.is_anybody_subscribed.load(Ordering::SeqCst)
    }

    /// Tells the sessions and streams of a user. May be called on any thread, and does not wait.
    pub fn publish(&self, user: UserId, changes: Vec<Change>) {
        self.publish_holding(user, changes, ());
    }

    /// The same, and drops `until_told` when they have been told. Whoever publishes without end bounds
    /// it so, by a permit.
    #[expect(
        clippy::disallowed_methods,
        reason = "a change has no answer to wait for; the caller's permit bounds what is sent"
    )]
    pub fn publish_holding(&self, user: UserId, changes: Vec<Change>, until_told: impl Any + Send) {
        if !changes.is_empty() && self.is_anybody_subscribed() {
            self.notifier.do_send(Publish {
                user,
                changes,
                until_told: Box::new(until_told),
            });
        }
    }

    /// Has a subscriber told of what becomes different for a user, for as long as it lives.
    ///
    /// # Errors
    /// [`NotifierStopped`].
    pub async fn subscribe(
        &self,
        user: UserId,
        subscriber: Recipient<ChangePublished>,
    ) -> Result<(), NotifierStopped> {
        let subscribe = Subscribe { user, subscriber };
        let subscribed = self.notifier.send(subscribe).await;
        subscribed.map_err(|_| NotifierStopped)
    }

    /// Whether the notifier still takes messages.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.notifier.connected()
    }
}

impl ChangeNotifier {
    fn note_whether_any(&self) {
        let any = !self.subscribers.by_user.is_empty();
        self.is_anybody_subscribed.store(any, Ordering::SeqCst);
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
        self.note_whether_any();
    }
}

impl Handler<Publish> for ChangeNotifier {
    type Result = ();

    fn handle(&mut self, publish: Publish, _: &mut Context<Self>) {
        self.subscribers.tell(publish.user, &publish.changes);
        self.note_whether_any();
    }
}

impl Subscribers {
    fn add(&mut self, user: UserId, subscriber: WeakRecipient<ChangePublished>) {
        if self.by_user.len() >= 2 * self.subscribed.max(FEW) {
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

    /// Tells every subscriber of a user, and forgets those that have ended. Nobody waits for a
    /// subscriber: one whose mailbox is full misses the change, and its client finds it when it reads
    /// the resource again.
    fn tell(&mut self, user: UserId, changes: &[Change]) {
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
        let stay: Vec<_> = (0..3 * FEW)
            .map(|user| add(&mut subscribers, user))
            .collect();
        assert_eq!(subscribers.by_user.len(), 3 * FEW);
        for user in 3 * FEW..20 * FEW {
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
