//! The introspection actor of one thread, and the steps of looking up a token.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, Addr};

use super::{
    actor::{AuthActor, Introspect},
    error::AuthError,
    shared::Shared,
    single_flight::{Completion, Outcome, PendingOutcome},
};
use crate::{bearer::BearerToken, gate::Gate, principal::Credential, trace_context::TraceContext};

/// The introspection actor of one worker thread. A request whose token is not cached stays on its thread,
/// and every worker thread introspects. Clones share the actor.
#[derive(Clone)]
pub struct AuthWorker {
    /// Restarted when it has stopped.
    actor: Rc<RefCell<Addr<AuthActor>>>,
    gate: Gate,
    shared: Arc<Shared>,
}

/// The result of looking up a token in the cache.
pub(crate) enum Lookup {
    /// The cached outcome.
    Known(Outcome),
    /// Not cached: this request introspects it, for itself and its followers.
    Leader(Leader),
    /// Not cached: another request introspects it.
    Follower(Follower),
}

/// The request that introspects a token. If it is dropped, its followers look the token up again.
pub(crate) struct Leader {
    pub(super) issuer: usize,
    pub(super) credential: Credential,
    pub(super) completion: Completion,
    pub(super) follower: Follower,
}

/// Waits for the introspection of another request.
pub(crate) struct Follower(pub(super) PendingOutcome);

impl Follower {
    /// The outcome; `None` if the leader was dropped without one, so that the token has to be looked up
    /// again.
    pub(crate) async fn outcome(self) -> Option<Outcome> {
        self.0.await.ok()
    }
}

impl AuthWorker {
    pub(super) fn new(gate: Gate, shared: Arc<Shared>) -> Self {
        Self {
            actor: Rc::new(RefCell::new(AuthActor::new(&shared).start())),
            gate,
            shared,
        }
    }

    /// Introspects a token. `None` if the actor stopped meanwhile. The trace of the request is propagated
    /// to the issuer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the gate limits the messages, and the follower receives the outcome"
    )]
    pub(crate) async fn introspect(
        &self,
        leader: Leader,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Option<Outcome> {
        let Leader {
            issuer,
            credential,
            completion,
            follower,
        } = leader;
        match self.gate.admit().await {
            Ok(permit) => self.actor().do_send(Introspect {
                issuer,
                token: token.clone(),
                credential,
                context: context.clone(),
                completion,
                permit,
            }),
            Err(_) => completion.complete(Err(AuthError::Busy)),
        }
        follower.outcome().await
    }

    fn actor(&self) -> Addr<AuthActor> {
        let mut actor = self.actor.borrow_mut();
        if !actor.connected() {
            *actor = AuthActor::new(&self.shared).start();
        }
        actor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthHandle;

    #[actix_rt::test]
    async fn a_stopped_actor_is_restarted() {
        let worker = AuthHandle::of_test().start_worker();
        let stopped = actix_rt::Arbiter::new();
        let gone = AuthActor::start_in_arbiter(&stopped.handle(), {
            let shared = Arc::clone(&worker.shared);
            move |_| AuthActor::new(&shared)
        });
        stopped.stop();
        stopped.join().expect("the thread ends");
        worker.actor.replace(gone);
        assert!(worker.actor().connected());
    }
}
