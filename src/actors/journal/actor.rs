//! The actor: it hands each admitted message to a thread that may block.

use std::{cell::RefCell, rc::Rc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use actix_rt::task::spawn_blocking;

use crate::{
    actors::gate::Permit,
    domain::journal::JournalError,
    storage::{Pool, StorageError},
};

use super::{
    messages::{JournalMessage, Kind},
    watchers::{Watch, Watchers},
};

/// Reads and writes journals, and tells those who watch one what became different in it.
pub struct JournalActor {
    pool: Pool,
    // Shared with the work under way, all of it on the actor's own thread.
    watchers: Rc<RefCell<Watchers>>,
}

/// A message with its place behind the gate, which it keeps until the work has ended.
pub(super) struct Admitted<M> {
    pub(super) message: M,
    pub(super) permit: Permit,
}

impl JournalActor {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            watchers: Rc::default(),
        }
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;
}

impl<M: JournalMessage> Message for Admitted<M> {
    type Result = Result<M::Reply, JournalError>;
}

impl<M: JournalMessage> Handler<Admitted<M>> for JournalActor {
    /// Everything is moved in, so that the work outlives the actor.
    type Result = ResponseFuture<Result<M::Reply, JournalError>>;

    fn handle(&mut self, admitted: Admitted<M>, _: &mut Context<Self>) -> Self::Result {
        let pool = self.pool.clone();
        let watchers = Rc::clone(&self.watchers);
        Box::pin(async move {
            let Admitted { message, permit } = admitted;
            let work = spawn_blocking(move || {
                let reply = run(&pool, &message);
                drop(permit);
                reply.map(|reply| (message.changes(&reply), reply))
            });
            match work.await {
                Ok(Ok((changes, reply))) => {
                    if let Some((user, changes)) = changes {
                        watchers.borrow_mut().tell(user, &changes);
                    }
                    Ok(reply)
                }
                Ok(Err(error)) => Err(error.into()),
                // The thread caught a panic; its connection goes away with its lease.
                Err(_) => Err(StorageError::corrupt("a query panicked").into()),
            }
        })
    }
}

impl Handler<Watch> for JournalActor {
    type Result = ();

    fn handle(&mut self, watch: Watch, _: &mut Context<Self>) {
        self.watchers
            .borrow_mut()
            .add(watch.user, watch.watcher.downgrade());
    }
}

fn run<M: JournalMessage>(pool: &Pool, message: &M) -> Result<M::Reply, StorageError> {
    let mut lease = pool.get()?;
    match message.run(&mut lease) {
        // Connections that a restart of the database cut are noticed when they are used. A read
        // starts over with a new one; a write may have been done before the connection broke.
        Err(StorageError::Unavailable { .. }) if lease.is_broken() && M::KIND == Kind::Read => {
            drop(lease);
            let mut lease = pool.get()?;
            message.run(&mut lease)
        }
        reply => reply,
    }
}
