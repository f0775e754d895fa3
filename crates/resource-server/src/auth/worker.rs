//! The AuthActor of one thread, and the steps of finding out who is behind a token.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, Addr};

use super::{
    AuthError,
    actor::{AuthActor, Introspect},
    shared::Shared,
    single_flight::{Leadership, Outcome, PendingAnswer},
};
use crate::{bearer::BearerToken, gate::Gate, principal::Credential, trace_context::TraceContext};

/// The AuthActor of the thread that serves a request: a request whose token is not known is served by one
/// thread from its first byte to its last, and as many threads introspect as serve. Clones are the same one.
#[derive(Clone)]
pub struct AuthWorker {
    /// Started anew if it has stopped.
    actor: Rc<RefCell<Addr<AuthActor>>>,
    gate: Gate,
    shared: Arc<Shared>,
}

/// What is known of a token.
pub enum Lookup {
    /// Everything: who is behind it, or why it is refused.
    Known(Outcome),
    /// Nothing, and this request has to ask its issuer, for all that wait.
    Leader(Leader),
    /// Nothing, but another request is asking.
    Follower(Follower),
}

/// The duty to ask about a token. If it is dropped, one of the followers has to ask.
pub struct Leader {
    pub(super) issuer: usize,
    pub(super) credential: Credential,
    pub(super) flight: Leadership,
    pub(super) follower: Follower,
}

/// An answer that another request asks for.
pub struct Follower(pub(super) PendingAnswer);

impl Follower {
    /// Waits for the answer; `None` if the leader was dropped without one, and the token has to be looked
    /// up again.
    pub async fn answer(self) -> Option<Outcome> {
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

    /// Asks the issuer about a token, within the trace of the request; `None` if the actor stopped
    /// meanwhile.
    #[expect(
        clippy::disallowed_methods,
        reason = "the gate bounds what is sent, and the answer comes by the follower"
    )]
    pub async fn ask(
        &self,
        leader: Leader,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Option<Outcome> {
        let Leader {
            issuer,
            credential,
            flight,
            follower,
        } = leader;
        match self.gate.admit().await {
            Ok(permit) => self.actor().do_send(Introspect {
                issuer,
                token: token.clone(),
                credential,
                context: context.clone(),
                flight,
                permit,
            }),
            Err(_) => flight.land(Err(AuthError::Busy)),
        }
        follower.answer().await
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
    async fn an_actor_that_has_stopped_is_started_anew() {
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
