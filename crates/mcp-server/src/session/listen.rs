//! The actor of one `subscriptions/listen` stream of a modern client. It lives as long as the stream.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix::{Actor, Addr, Context, Handler};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::SessionError;
use crate::{
    dispatch::Dispatcher,
    features::{changes::ChangePublished, subscriptions::Subscriptions},
};
use resource_server::{
    principal::{Principal, UserId},
    scope::ScopeSet,
};

/// How many messages may wait for a client that reads slowly; what finds no place is lost, and the
/// client reads the resource again when it reads it again.
const QUEUE: usize = 64;

/// Opens streams, and counts them.
#[derive(Clone)]
pub struct Listeners(Arc<Inner>);

struct Inner {
    dispatcher: Arc<Dispatcher>,
    in_all: usize,
    per_user: usize,
    open: Mutex<Open>,
    closing: watch::Sender<bool>,
}

/// How many streams are open, in all and of each user who has any.
#[derive(Default)]
struct Open {
    in_all: usize,
    by_user: HashMap<UserId, usize>,
}

/// An open stream. Dropping it closes it.
pub struct Listening {
    /// What the client is told, message by message.
    pub messages: mpsc::Receiver<String>,
    /// Turns true when the server stops.
    pub closing: watch::Receiver<bool>,
    // The only lasting address: the actor ends with it.
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its drop alone"))]
    address: Addr<ListenActor>,
    _place: Place,
}

/// A place among the streams, given back when it is dropped.
struct Place {
    listeners: Listeners,
    user: UserId,
}

impl Listeners {
    /// At most `in_all` streams, and `per_user` of one user.
    #[must_use]
    pub fn new(in_all: usize, per_user: usize, dispatcher: Arc<Dispatcher>) -> Self {
        Self(Arc::new(Inner {
            dispatcher,
            in_all,
            per_user,
            open: Mutex::default(),
            closing: watch::Sender::new(false),
        }))
    }

    /// Opens a stream on which a principal is told of what it watches, each message under `meta`. Its
    /// actor runs on the calling thread, which serves the client's connection.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    pub async fn open(
        &self,
        principal: Arc<Principal>,
        watching: Subscriptions,
        meta: Value,
    ) -> Result<Listening, SessionError> {
        let place = self.take_place(principal.user)?;
        let (outlet, messages) = mpsc::channel(QUEUE);
        let dispatcher = Arc::clone(&self.0.dispatcher);
        let user = principal.user;
        let actor = ListenActor {
            principal,
            watching,
            meta,
            outlet,
            dispatcher,
        };
        let address = actor.start();
        // Watched before the client hears that it is: what changes from then on is told.
        self.0
            .dispatcher
            .changes()
            .subscribe(user, address.clone().recipient())
            .await
            .map_err(|_| SessionError::Full)?;
        Ok(Listening {
            messages,
            closing: self.closing(),
            address,
            _place: place,
        })
    }

    /// Turns true when the server stops.
    #[must_use]
    pub fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Has every stream end in order.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    /// How many streams are open.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.lock().in_all
    }

    fn take_place(&self, user: UserId) -> Result<Place, SessionError> {
        let mut open = self.lock();
        let own = open.by_user.get(&user).copied().unwrap_or_default();
        if open.in_all >= self.0.in_all || own >= self.0.per_user {
            return Err(SessionError::Full);
        }
        open.in_all += 1;
        open.by_user.insert(user, own + 1);
        Ok(Place {
            listeners: self.clone(),
            user,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.listeners.lock();
        open.in_all -= 1;
        match open.by_user.get_mut(&self.user) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.by_user.remove(&self.user);
            }
        }
    }
}

/// Tells one stream what it asked for.
struct ListenActor {
    principal: Arc<Principal>,
    watching: Subscriptions,
    meta: Value,
    outlet: mpsc::Sender<String>,
    dispatcher: Arc<Dispatcher>,
}

impl Actor for ListenActor {
    type Context = Context<Self>;
}

impl Handler<ChangePublished> for ListenActor {
    type Result = ();

    fn handle(&mut self, ChangePublished(change): ChangePublished, _: &mut Context<Self>) {
        let granted = scopes_now(&self.principal, &self.dispatcher);
        let catalogue = self.dispatcher.catalogue();
        for told in self.watching.notifications(catalogue, granted, &change) {
            let _ = self.outlet.try_send(told.message(Some(&self.meta)));
        }
    }
}

/// What a principal may at this moment: nothing, once its token has ended.
pub(crate) fn scopes_now(principal: &Principal, dispatcher: &Dispatcher) -> ScopeSet {
    if dispatcher.has_ended(principal) {
        ScopeSet::EMPTY
    } else {
        principal.scopes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    use crate::features::changes::Change;

    #[actix_rt::test]
    async fn a_client_that_does_not_read_misses_changes_and_hears_of_later_ones() {
        let dispatcher = Arc::new(Dispatcher::of_test());
        let granted = dispatcher.scopes().all();
        let mut watching = Subscriptions::default();
        assert!(watching.add_list(dispatcher.catalogue(), granted));
        let listeners = Listeners::new(1, 1, dispatcher);
        let principal = Arc::new(crate::samples::principal("s"));
        let opened = listeners.open(principal, watching, json!({})).await;
        let mut listening = opened.unwrap();
        let change = || ChangePublished(Change::ListChanged);
        for _ in 0..QUEUE + 10 {
            listening.address.send(change()).await.unwrap();
        }
        for _ in 0..QUEUE {
            assert!(listening.messages.try_recv().is_ok());
        }
        assert!(listening.messages.try_recv().is_err());
        listening.address.send(change()).await.unwrap();
        assert!(listening.messages.try_recv().is_ok());
    }
}
