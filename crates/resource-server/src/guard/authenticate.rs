//! Who asks. Every request is authenticated afresh, whatever session or stream it names.

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{refused::Refused, state::Guard};
use crate::{
    auth::{AuthError, AuthWorker, Lookup, ReplayCheck, RevocationEpoch},
    bearer::{BearerToken, Presentation, Scheme},
    cause::Cause,
    dpop::proof::ProofFault,
    limits::Exceeded,
    principal::Principal,
    trace_context::TraceContext,
    validation::{Refusal, check_presentation},
};

/// How often a token is looked up if each request that was to ask about it goes away.
const ATTEMPTS: usize = 8;

/// Who asks, and by which token.
#[derive(Clone)]
pub struct Authenticated {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// The token, for what stays open under it.
    pub token: BearerToken,
    /// The revocation epoch before the token was checked: a later revocation may not have been seen.
    pub epoch: RevocationEpoch,
    /// Whom to ask about the token again, for as long as something stays open under it.
    pub worker: AuthWorker,
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authenticated")
            .field("principal", &self.principal)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// Finds out who is behind a request's token. The issuer is asked within the trace of the request.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn authenticate(
        &self,
        request: &HttpRequest,
        context: &TraceContext,
    ) -> Result<Authenticated, Refused> {
        let state = &self.0;
        let values = request.headers().get_all(AUTHORIZATION);
        let presented = Presentation::from_authorization(values.map(|value| value.as_bytes()));
        let Presentation { token, scheme } = presented.map_err(Refused::credentials)?;
        let refuse = |refusal| Refused::token(refusal, &token);
        // RFC 6750 §2: one method of sending the token per request. The query is not accepted, but a
        // client that uses both is mistaken about something.
        if form_urlencoded::parse(request.query_string().as_bytes())
            .any(|(name, _)| name == "access_token")
        {
            return Err(refuse(Refusal::Malformed("a token in the query as well")));
        }
        let epoch = state.auth.revocation_epoch();
        let budget = state.limits.unverified_token(request, &state.clock);
        let worker = request
            .app_data::<AuthWorker>()
            .ok_or_else(|| down("the guard is not mounted in this App"))?
            .clone();
        // A request that is not admitted leaves the question to others, which may be.
        let admit = || budget.reserve().map_err(Failed::Limit);
        let outcome = self.look_up(&worker, &token, context, admit).await;
        let principal = match outcome {
            Ok(principal) => {
                budget.refund();
                principal
            }
            // Only a token that is refused uses the limit up.
            Err(Failed::Auth(AuthError::Refused(refusal))) => return Err(refuse(refusal)),
            Err(Failed::Auth(error)) => {
                budget.refund();
                return Err(error.into());
            }
            Err(Failed::Limit(exceeded)) => {
                budget.refund();
                return Err(Refused::LimitExceeded(exceeded));
            }
        };
        self.check_proof(request, &token, scheme, &principal)?;
        Ok(Authenticated {
            principal,
            token,
            epoch,
            worker,
        })
    }

    /// Counts a request of somebody who was authenticated, so that one user or client cannot consume
    /// another's quota.
    ///
    /// # Errors
    /// The limit that it exceeds.
    pub fn admit(&self, principal: &Principal) -> Result<(), Exceeded> {
        self.0.limits.admit(principal, self.0.clock.now())
    }

    /// Who is behind a token that was good a while ago: from the cache, as long as that is believed.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate_again(
        &self,
        worker: &AuthWorker,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<Arc<Principal>, AuthError> {
        self.look_up(worker, token, context, || Ok(())).await
    }

    async fn look_up<E: From<AuthError>>(
        &self,
        worker: &AuthWorker,
        token: &BearerToken,
        context: &TraceContext,
        admit: impl Fn() -> Result<(), E>,
    ) -> Result<Arc<Principal>, E> {
        for _ in 0..ATTEMPTS {
            let outcome = match self.0.auth.lookup(token)? {
                Lookup::Known(outcome) => Some(outcome),
                Lookup::Leader(leader) => {
                    admit()?;
                    worker.ask(leader, token, context).await
                }
                Lookup::Follower(follower) => follower.answer().await,
            };
            if let Some(outcome) = outcome {
                return Ok(outcome?);
            }
            // The leader has gone without an answer; somebody else asks now.
        }
        Err(down("the introspection actor brings no answer").into())
    }

    /// Checks that a token was presented as it has to be (RFC 9449 §7). The proof is verified last, so
    /// that nobody without a good token has signatures verified.
    fn check_proof(
        &self,
        request: &HttpRequest,
        token: &BearerToken,
        scheme: Scheme,
        principal: &Principal,
    ) -> Result<(), Refused> {
        let refuse = |refusal| Refused::token(refusal, token);
        if scheme == Scheme::Bearer {
            return check_presentation(principal, None).map_err(refuse);
        }
        if principal.bound_key.is_none() {
            return Err(refuse(Refusal::WrongKey));
        }
        let now = self.0.clock.now();
        let proof = self.0.proofs.verify(request, token, now).map_err(refuse)?;
        check_presentation(principal, Some(&proof.thumbprint)).map_err(refuse)?;
        match self.0.auth.present(&proof) {
            ReplayCheck::Fresh => Ok(()),
            ReplayCheck::Replayed => Err(refuse(Refusal::Proof(ProofFault::Used))),
            ReplayCheck::Full => Err(Refused::Busy),
        }
    }
}

enum Failed {
    Auth(AuthError),
    Limit(Exceeded),
}

impl From<AuthError> for Failed {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

fn down(reason: &'static str) -> AuthError {
    AuthError::IssuerDown {
        source: Cause::new(reason),
        retry_after: None,
    }
}
