//! The introspection actor of one thread, and the steps of looking up a token.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, Addr};

use super::{
    actor::{AuthActor, Introspect, Purpose},
    error::AuthError,
    shared::Shared,
    single_flight::{Completion, Outcome, PendingOutcome},
};
use crate::{
    bearer::BearerToken,
    fair_gate::{FairGate, Party},
    issuer::asker::Asker,
    jose::jwt,
    limits::{Source, unknown_tokens::Charge},
    metrics::Refresh,
    principal::{Credential, Principal, UserId},
    trace_context::TraceContext,
};

/// The introspection actor of one worker thread. A request whose token is not cached stays on its thread,
/// and every worker thread introspects. Clones share the actor.
#[derive(Clone)]
pub struct AuthWorker {
    /// Restarted when it has stopped.
    actor: Rc<RefCell<Addr<AuthActor>>>,
    gates: Gates,
    shared: Arc<Shared>,
}

/// The concurrency limits of the two steps of a check. A token that waits for keys holds no slot for
/// introspection.
#[derive(Clone)]
pub(crate) struct Gates {
    /// Tokens whose signatures are verified, which may wait for keys.
    pub(crate) verification: FairGate,
    /// Introspections.
    pub(crate) introspection: FairGate,
    /// Tokens in use that are checked again before their cached result ends.
    pub(crate) refresh: FairGate,
}

/// The result of looking up a token in the cache.
pub(crate) enum Lookup {
    /// The cached outcome.
    Known(Outcome),
    /// The token is active, and the caller has it checked again in the background.
    Due(Arc<Principal>, Leader),
    /// Not cached: this request introspects it, for itself and its followers.
    Leader(Leader),
    /// Not cached: another request introspects it.
    Follower(Follower),
}

/// What a request may ask about a token that is not cached.
#[derive(Default)]
pub(crate) struct Admission {
    /// Where the request comes from; `None` if a stream asks again.
    pub(crate) source: Option<Source>,
    /// What a refusal costs the source.
    pub(crate) charge: Option<Charge>,
}

/// The request that introspects a token. If it is dropped, its followers look the token up again.
pub(crate) struct Leader {
    pub(super) issuer: usize,
    pub(super) credential: Credential,
    /// The user, if the token was active when its issuer was asked last.
    pub(super) known: Option<UserId>,
    pub(super) completion: Completion,
    pub(super) follower: Follower,
}

impl Leader {
    /// Whether the token was active when its issuer was asked last.
    pub(crate) fn is_known(&self) -> bool {
        self.known.is_some()
    }
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
    pub(super) fn new(gates: Gates, shared: Arc<Shared>) -> Self {
        Self {
            actor: Rc::new(RefCell::new(AuthActor::new(&shared).start())),
            gates,
            shared,
        }
    }

    /// Checks a token with its issuer. `None` if the actor stopped meanwhile. The trace of the request is propagated
    /// to the issuer.
    #[expect(
        clippy::disallowed_methods,
        reason = "the gates limit the messages, and the follower receives the outcome"
    )]
    pub(crate) async fn introspect(
        &self,
        leader: Leader,
        token: &BearerToken,
        admission: Admission,
        context: &TraceContext,
    ) -> Option<Outcome> {
        let Leader {
            issuer,
            credential,
            known,
            completion,
            follower,
        } = leader;
        let Admission { source, charge } = admission;
        let asker = Asker {
            credential,
            source,
            user: known,
        };
        let is_verified = self.is_verified(issuer, token);
        let gate = if is_verified {
            &self.gates.verification
        } else {
            &self.gates.introspection
        };
        match gate.admit(source, asker.is_known()).await {
            Ok(permit) => self.actor().do_send(Introspect {
                issuer,
                token: token.clone(),
                asker,
                context: context.clone(),
                completion,
                permit,
                introspection: is_verified.then(|| self.gates.introspection.clone()),
                purpose: Purpose::Request(charge),
            }),
            Err(_) => completion.complete(Err(AuthError::Busy)),
        }
        follower.outcome().await
    }

    /// Checks a token in use again, in the background. If too many are being checked, or too many of its user, it
    /// is left for later: at the latest, the request that finds the result ended has it checked.
    #[expect(
        clippy::disallowed_methods,
        reason = "the gate limits the messages, and nobody waits for the outcome"
    )]
    pub(crate) fn refresh(&self, leader: Leader, token: &BearerToken, context: &TraceContext) {
        let Leader {
            issuer,
            credential,
            known,
            completion,
            ..
        } = leader;
        let party = known.map(Party::User);
        let Some(permit) = self.gates.refresh.try_admit(party, true) else {
            self.shared.metrics.refresh(Refresh::Skipped);
            return;
        };
        self.actor().do_send(Introspect {
            issuer,
            token: token.clone(),
            asker: Asker {
                credential,
                source: None,
                user: known,
            },
            context: context.clone(),
            completion,
            permit,
            introspection: None,
            purpose: Purpose::Refresh,
        });
    }

    /// Whether the signature of a token is verified here first.
    fn is_verified(&self, issuer: usize, token: &BearerToken) -> bool {
        let settings = &self.shared.issuers[issuer].settings;
        settings.jwt.is_some() && jwt::peek_issuer(token).is_some()
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
