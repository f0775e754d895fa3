//! Changes of resources, published by URI (MCP, Resources, Subscriptions), and the actor that notifies
//! sessions and streams. What this process publishes is also told to the other processes of the server, if there is
//! a bus.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::{
    Actor, Addr, AsyncContext, Context, Handler, Message, Recipient, WeakRecipient,
    prelude::SendError,
};
use actix_rt::ArbiterHandle;
use derive_more::{Debug, Display, Error};

pub use super::change::Change;
pub(crate) use super::change::Published;
use crate::bus::Outbox;
use resource_server::principal::UserId;

/// Messages that one subscriber has not handled. The capacity of its mailbox is no bound, because it counts for each
/// clone of an address separately.
const MOST_UNHANDLED: usize = 16;

/// When a subscriber that had too many is asked to look again.
const RETRY: Duration = Duration::from_millis(20);

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
    /// To the other processes.
    #[debug(skip)]
    outbox: Arc<OnceLock<Arc<Outbox>>>,
}

/// Changes, sent to one session or stream, and the place that they take until they are handled.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChangePublished(
    pub(crate) Published,
    #[expect(dead_code, reason = "held for its drop alone")] pub(crate) Arc<()>,
);

/// Adds a subscriber, for as long as it lives.
#[derive(Message)]
#[rtype(result = "()")]
struct Subscribe {
    user: UserId,
    subscriber: Recipient<ChangePublished>,
}

/// Notifies the subscribers of a user, or of all users.
#[derive(Message)]
#[rtype(result = "()")]
struct Publish {
    user: Option<UserId>,
    published: Published,
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
    by_user: HashMap<UserId, Vec<Subscriber>>,
    /// The number of users after the last removal.
    subscribed: usize,
    /// Users of whom a subscriber missed something.
    behind: HashSet<UserId>,
}

struct Subscriber {
    recipient: WeakRecipient<ChangePublished>,
    /// Each message to it that has not been handled has a clone.
    unhandled: Arc<()>,
    /// There were too many when something was published.
    is_behind: bool,
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
            outbox: Arc::default(),
        }
    }

    /// From now on changes are also told to the other processes.
    pub(crate) fn tell_others(&self, outbox: Arc<Outbox>) {
        // A channel belongs to one server.
        let _ = self.outbox.set(outbox);
    }

    /// Whether there may be any subscriber, here or in another process. If not, changes need not be computed.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.has_subscribers_here() || self.outbox.get().is_some()
    }

    fn has_subscribers_here(&self) -> bool {
        self.has_subscribers.load(Ordering::SeqCst)
    }

    /// Notifies the sessions and streams of a user, in all processes. May be called on any thread and does not
    /// wait.
    pub fn publish(&self, user: UserId, changes: Vec<Change>) {
        self.publish_with_guard(user, changes, ());
    }

    /// Like [`Changes::publish`]; drops `guard` after the subscribers of this process have been notified, so that
    /// a permit can limit how much is published at once.
    pub fn publish_with_guard(&self, user: UserId, changes: Vec<Change>, guard: impl Any + Send) {
        if changes.is_empty() {
            return;
        }
        if let Some(outbox) = self.outbox.get() {
            outbox.changes(user, &changes);
        }
        self.deliver(user, changes, guard);
    }

    /// Notifies the sessions and streams of a user in this process.
    pub(crate) fn deliver(&self, user: UserId, changes: Vec<Change>, guard: impl Any + Send) {
        self.notify(Some(user), Published::Changes(changes.into()), guard);
    }

    /// Has the sessions and streams of a user in this process, or those of all users, notify their clients of
    /// everything to which these have subscribed.
    pub(crate) fn deliver_anything(&self, user: Option<UserId>, guard: impl Any + Send) {
        self.notify(user, Published::Anything, guard);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a change has no answer to wait for; the caller's permit bounds what is sent"
    )]
    fn notify(&self, user: Option<UserId>, published: Published, guard: impl Any + Send) {
        if self.has_subscribers_here() {
            self.notifier.do_send(Publish {
                user,
                published,
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

    /// Has those who missed something look again, as soon as they can be reached.
    fn catch_up_later(&self, context: &mut Context<Self>) {
        if self.subscribers.is_any_behind() {
            context.run_later(RETRY, |notifier, context| {
                notifier.subscribers.catch_up();
                notifier.catch_up_later(context);
            });
        }
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

    fn handle(&mut self, publish: Publish, context: &mut Context<Self>) {
        let was_behind = self.subscribers.is_any_behind();
        match publish.user {
            Some(user) => self.subscribers.notify(user, &publish.published),
            None => self.subscribers.notify_all(&publish.published),
        }
        self.update_has_subscribers();
        if !was_behind {
            self.catch_up_later(context);
        }
    }
}

impl Subscribers {
    fn add(&mut self, user: UserId, recipient: WeakRecipient<ChangePublished>) {
        if self.by_user.len() >= 2 * self.subscribed.max(MIN_USERS_BEFORE_CLEANUP) {
            self.by_user.retain(|_, subscribers| {
                subscribers.retain(Subscriber::lives);
                !subscribers.is_empty()
            });
            self.subscribed = self.by_user.len();
        }
        let subscribers = self.by_user.entry(user).or_default();
        subscribers.retain(Subscriber::lives);
        subscribers.push(Subscriber {
            recipient,
            unhandled: Arc::default(),
            is_behind: false,
        });
    }

    /// Notifies every subscriber of a user and removes those that have ended. Nobody waits for one that has
    /// not handled what it was sent; it is asked to look again later.
    fn notify(&mut self, user: UserId, published: &Published) {
        let Some(subscribers) = self.by_user.get_mut(&user) else {
            return;
        };
        let mut any_behind = false;
        subscribers.retain_mut(|subscriber| {
            let lives = subscriber.notify(published);
            any_behind |= lives && subscriber.is_behind;
            lives
        });
        if subscribers.is_empty() {
            self.by_user.remove(&user);
        }
        if any_behind {
            self.behind.insert(user);
        }
    }

    fn notify_all(&mut self, published: &Published) {
        let users: Vec<_> = self.by_user.keys().copied().collect();
        for user in users {
            self.notify(user, published);
        }
    }

    fn is_any_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Asks those that missed something to look again.
    fn catch_up(&mut self) {
        for user in std::mem::take(&mut self.behind) {
            let Some(subscribers) = self.by_user.get_mut(&user) else {
                continue;
            };
            let behind = subscribers.iter_mut().filter(|one| one.is_behind);
            let still_behind = behind.filter_map(|one| {
                let lives = one.notify(&Published::Anything);
                (lives && one.is_behind).then_some(())
            });
            if still_behind.count() > 0 {
                self.behind.insert(user);
            }
        }
    }
}

impl Subscriber {
    fn lives(&self) -> bool {
        self.recipient.upgrade().is_some()
    }

    /// Notifies it; returns whether it lives.
    fn notify(&mut self, published: &Published) -> bool {
        let Some(recipient) = self.recipient.upgrade() else {
            return false;
        };
        let published = match self.is_behind {
            true => Published::Anything,
            false => published.clone(),
        };
        if Arc::strong_count(&self.unhandled) > MOST_UNHANDLED {
            self.is_behind = true;
            return true;
        }
        match recipient.try_send(ChangePublished(published, Arc::clone(&self.unhandled))) {
            Ok(()) => self.is_behind = false,
            Err(SendError::Full(_)) => self.is_behind = true,
            Err(SendError::Closed(_)) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;
    use crate::samples::ChangeRecorder;

    #[actix_rt::test]
    async fn who_cannot_be_told_at_the_moment_looks_at_everything_later() {
        let mut subscribers = Subscribers::default();
        let published = Rc::<RefCell<Vec<Published>>>::default();
        let address = ChangeRecorder(Rc::clone(&published)).start();
        let user = UserId::derive("i", "s");
        subscribers.add(user, address.recipient::<ChangePublished>().downgrade());
        let keep = subscribers.by_user[&user][0].recipient.upgrade();
        let change = Published::Changes(Arc::new([Change::ListChanged]));
        // More than it may have, and it handles none meanwhile.
        for _ in 0..100 {
            subscribers.notify(user, &change);
        }
        assert!(subscribers.is_any_behind());
        subscribers.catch_up();
        assert!(subscribers.is_any_behind(), "nothing was handled");
        while published.borrow().is_empty() {
            actix_rt::task::yield_now().await;
        }
        subscribers.catch_up();
        assert!(!subscribers.is_any_behind());
        subscribers.notify(user, &change);
        let is_anything = |one: &Published| matches!(one, Published::Anything);
        let has_looked_again = || {
            let published = published.borrow();
            published.iter().any(is_anything) && !published.last().is_some_and(is_anything)
        };
        while !has_looked_again() {
            actix_rt::task::yield_now().await;
        }
        let published = published.borrow();
        let again = published.iter().filter(|one| is_anything(one));
        assert_eq!(again.count(), 1);
        assert!(published.len() < 50, "the others were left out");
        drop(keep);
    }

    #[actix_rt::test]
    async fn subscribers_that_ended_are_forgotten_and_the_others_are_not() {
        let mut subscribers = Subscribers::default();
        let add = |subscribers: &mut Subscribers, user: usize| -> Addr<ChangeRecorder> {
            let address = ChangeRecorder::default().start();
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
