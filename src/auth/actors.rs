//! The actors that introspect, one on each thread that needs one.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    thread::{self, ThreadId},
};

use actix::{Actor, Addr};

use super::{actor::AuthActor, shared::Shared};

/// An actor on each thread that asked for one: a request whose token is not known is served by one
/// thread from its first byte to its last, and as many threads introspect as serve.
#[derive(Clone)]
pub(super) struct Actors {
    by_thread: Arc<RwLock<HashMap<ThreadId, Addr<AuthActor>>>>,
    shared: Arc<Shared>,
}

impl Actors {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            by_thread: Arc::default(),
            shared,
        }
    }

    /// The one on this thread, started if it is not there, or not any more. Needs an actix arbiter.
    pub(super) fn here(&self) -> Addr<AuthActor> {
        let thread = thread::current().id();
        let by_thread = self
            .by_thread
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(actor) = by_thread.get(&thread).filter(|actor| actor.connected()) {
            return actor.clone();
        }
        drop(by_thread);
        let actor = AuthActor::new(&self.shared).start();
        let mut by_thread = self
            .by_thread
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Threads that have ended are not heard of, and leave their actors' addresses behind.
        by_thread.retain(|_, actor| actor.connected());
        by_thread.insert(thread, actor.clone());
        actor
    }
}

#[cfg(test)]
mod tests {
    use actix_rt::Arbiter;

    use super::*;
    use crate::auth::AuthHandle;

    /// The address of one whose thread has ended.
    fn gone(actors: &Actors) -> Addr<AuthActor> {
        let arbiter = Arbiter::new();
        let shared = Arc::clone(&actors.shared);
        let gone = AuthActor::start_in_arbiter(&arbiter.handle(), move |_| AuthActor::new(&shared));
        arbiter.stop();
        arbiter.join().unwrap();
        gone
    }

    #[actix_rt::test]
    async fn a_thread_keeps_its_actor_and_is_given_another_if_that_is_gone() {
        let actors = AuthHandle::of_test().actors;
        let first = actors.here();
        assert!(actors.here() == first && first.connected());
        let here = thread::current().id();
        let gone = gone(&actors);
        actors.by_thread.write().unwrap().insert(here, gone);
        let second = actors.here();
        assert!(actors.here() == second && second.connected() && second != first);
    }

    #[actix_rt::test]
    async fn threads_that_have_ended_leave_nothing_behind() {
        let actors = AuthHandle::of_test().actors;
        for _ in 0..3 {
            let (ended, gone) = (thread::spawn(|| thread::current().id()), gone(&actors));
            let ended = ended.join().unwrap();
            actors.by_thread.write().unwrap().insert(ended, gone);
        }
        actors.here();
        assert_eq!(actors.by_thread.read().unwrap().len(), 1);
    }
}
