//! The actor of one `subscriptions/listen` stream (MCP 2026-07-28). It lives as long as the stream.

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, Addr, Context, Handler};
use parking_lot::{Mutex, MutexGuard};
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

/// Messages that may be queued for a client that reads slowly; further ones are dropped. One for each resource and
/// list to which a client can subscribe, because all of them are sent if changes may have been missed.
const QUEUE: usize = 128;

/// Opens streams and counts them.
#[derive(Clone)]
pub(crate) struct Listeners(Arc<Inner>);

struct Inner {
    dispatcher: Arc<Dispatcher>,
    in_all: usize,
    per_user: usize,
    open: Mutex<Open>,
    closing: watch::Sender<bool>,
}

/// The open streams, in total and by user.
#[derive(Default)]
struct Open {
    in_all: usize,
    by_user: HashMap<UserId, usize>,
}

/// An open stream. Dropping it closes it.
pub(crate) struct Listening {
    /// The notifications.
    pub messages: mpsc::Receiver<String>,
    /// Becomes true when the server shuts down.
    pub closing: watch::Receiver<bool>,
    // The only strong address: the actor ends with it.
    #[cfg_attr(not(test), expect(dead_code, reason = "held for its drop alone"))]
    address: Addr<ListenActor>,
    _slot: StreamSlot,
}

/// A slot, freed when it is dropped.
struct StreamSlot {
    listeners: Listeners,
    user: UserId,
}

impl Listeners {
    /// At most `in_all` streams, and `per_user` of one user.
    #[must_use]
    pub(crate) fn new(in_all: usize, per_user: usize, dispatcher: Arc<Dispatcher>) -> Self {
        Self(Arc::new(Inner {
            dispatcher,
            in_all,
            per_user,
            open: Mutex::default(),
            closing: watch::Sender::new(false),
        }))
    }

    /// Opens a stream for these subscriptions; each message has `meta` as its `_meta`. Its actor runs on the
    /// calling thread, where the connection of the client is.
    ///
    /// # Errors
    /// [`SessionError::Full`].
    pub(crate) async fn open(
        &self,
        principal: Arc<Principal>,
        subscriptions: Subscriptions,
        meta: Value,
    ) -> Result<Listening, SessionError> {
        let slot = self.reserve(principal.user)?;
        let (sender, messages) = mpsc::channel(QUEUE);
        let dispatcher = Arc::clone(&self.0.dispatcher);
        let user = principal.user;
        let actor = ListenActor {
            principal,
            subscriptions,
            meta,
            sender,
            dispatcher,
        };
        let address = actor.start();
        // Before the acknowledgement, so that no change after it is missed.
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
            _slot: slot,
        })
    }

    /// Becomes true when the server shuts down.
    #[must_use]
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.0.closing.subscribe()
    }

    /// Closes all streams.
    pub(crate) fn close(&self) {
        self.0.closing.send_replace(true);
    }

    fn reserve(&self, user: UserId) -> Result<StreamSlot, SessionError> {
        let mut open = self.lock();
        let own = open.by_user.get(&user).copied().unwrap_or_default();
        if open.in_all >= self.0.in_all || own >= self.0.per_user {
            return Err(SessionError::Full);
        }
        open.in_all += 1;
        open.by_user.insert(user, own + 1);
        Ok(StreamSlot {
            listeners: self.clone(),
            user,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock()
    }
}

impl Drop for StreamSlot {
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

/// Sends notifications to one stream.
struct ListenActor {
    principal: Arc<Principal>,
    subscriptions: Subscriptions,
    meta: Value,
    sender: mpsc::Sender<String>,
    dispatcher: Arc<Dispatcher>,
}

impl Actor for ListenActor {
    type Context = Context<Self>;
}

impl Handler<ChangePublished> for ListenActor {
    type Result = ();

    fn handle(&mut self, ChangePublished(published, _): ChangePublished, _: &mut Context<Self>) {
        let granted = scopes_now(&self.principal, &self.dispatcher);
        let catalogue = self.dispatcher.catalogue();
        for notification in self
            .subscriptions
            .notifications(catalogue, granted, &published)
        {
            let _ = self.sender.try_send(notification.message(Some(&self.meta)));
        }
    }
}

/// The current scopes of a principal: none, if its token has expired.
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

    use crate::features::changes::{Change, Published};

    #[actix_rt::test]
    async fn a_client_that_does_not_read_misses_changes_and_hears_of_later_ones() {
        let dispatcher = Arc::new(Dispatcher::of_test());
        let granted = dispatcher.scopes().all();
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.add_list(dispatcher.catalogue(), granted));
        let listeners = Listeners::new(1, 1, dispatcher);
        let principal = Arc::new(crate::samples::principal("s"));
        let opened = listeners.open(principal, subscriptions, json!({})).await;
        let mut listening = opened.unwrap();
        let change = || {
            ChangePublished(
                Published::Changes(Arc::new([Change::ListChanged])),
                Arc::default(),
            )
        };
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
