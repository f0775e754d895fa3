//! Authentication of one request. Every request is authenticated, whatever session or stream it names.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use url::form_urlencoded;

use super::{refused::Refused, state::Guard};
use crate::{
    auth::{Admission, AuthError, AuthWorker, Leader, Lookup, RevocationEpoch},
    bearer::{BearerToken, Presentation, Scheme},
    cause::Cause,
    dpop::proof::{Proof, ProofFault},
    jose::jwt,
    limits::{Exceeded, Unadmitted},
    principal::Principal,
    printable::printable,
    replay_cache::ReplayCheck,
    trace_context::TraceContext,
    unexpected::loggable,
    validation::{Refusal, check_presentation},
};

/// How often a token is looked up if its leader is cancelled each time.
const ATTEMPTS: usize = 8;

/// The configured issuers that a log line names.
const MOST_ISSUERS: usize = 4;

/// An authenticated request.
#[derive(Clone)]
pub struct Authenticated {
    /// The user and the client.
    pub principal: Arc<Principal>,
    /// The token, so that a stream can be authorized again later.
    pub token: BearerToken,
    /// The revocation epoch before the token was checked. Pass it to
    /// [`AuthHandle::active_use`](crate::auth::AuthHandle::active_use).
    pub epoch: RevocationEpoch,
    /// The worker of this thread, for [`Guard::authenticate_again`].
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

/// A request whose caller is known, before it is admitted.
#[must_use = "the request is admitted by `admit` alone"]
pub struct Identified<'a> {
    authenticated: Authenticated,
    proof: Option<Proof>,
    guard: &'a Guard,
}

impl Identified<'_> {
    /// The user and the client.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.authenticated.principal
    }

    /// Counts the request against the rate limits of its user and its client, and then its DPoP proof as used
    /// (RFC 9449 §11.1). A request over a limit is not remembered.
    ///
    /// # Errors
    /// [`Refused::LimitExceeded`], or that the proof was used before.
    pub fn admit(self) -> Result<Authenticated, Refused> {
        let Authenticated {
            principal, token, ..
        } = &self.authenticated;
        let state = &self.guard.0;
        let used = || Refused::token(Refusal::Proof(ProofFault::Used), token);
        // Not at the expense of the user's limit: whoever repeats a request need not have the user's key.
        if let Some(proof) = &self.proof
            && state.auth.has_seen(principal, proof)
        {
            return Err(used());
        }
        let admitted = state.limits.admit(principal, state.clock.now());
        admitted.map_err(Refused::LimitExceeded)?;
        match &self.proof {
            None => {}
            Some(proof) => match state.auth.check_replay(principal, proof) {
                ReplayCheck::Fresh => {}
                ReplayCheck::Replayed => return Err(used()),
                ReplayCheck::Full => return Err(Refused::Busy),
            },
        }
        Ok(self.authenticated)
    }
}

impl Guard {
    /// Authenticates a request: reads the token (RFC 6750 §2.1), checks it, verifies its DPoP proof
    /// (RFC 9449 §7), and counts the request against the rate limits. The trace is propagated to the issuer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn authenticate(
        &self,
        request: &HttpRequest,
        context: &TraceContext,
    ) -> Result<Authenticated, Refused> {
        self.identify(request, context).await?.admit()
    }

    /// The first part of [`Guard::authenticate`], for those who want to know whose request it is that exceeds a
    /// limit.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn identify<'a>(
        &'a self,
        request: &HttpRequest,
        context: &TraceContext,
    ) -> Result<Identified<'a>, Refused> {
        let state = &self.0;
        let values = request.headers().get_all(AUTHORIZATION);
        let presented = Presentation::from_authorization(values.map(|value| value.as_bytes()));
        let Presentation { token, scheme } = presented.map_err(Refused::credentials)?;
        let refuse = |refusal| Refused::token(refusal, &token);
        // RFC 6750 §2 allows one method per request. The query is not supported, and a client that uses both
        // has an error.
        if form_urlencoded::parse(request.query_string().as_bytes())
            .any(|(name, _)| name == "access_token")
        {
            return Err(refuse(Refusal::Malformed("a token in the query as well")));
        }
        let epoch = state.auth.revocation_epoch();
        let worker = request
            .app_data::<AuthWorker>()
            .ok_or_else(|| unavailable("the guard is not mounted in this App"))?
            .clone();
        // If this request is over its limit, another one may still become the leader. A token that was active
        // before is not held up by the unknown tokens of its source.
        let admit = async |leader: &Leader| {
            let source = state.limits.source(request);
            let admitted = state.limits.admit_token(source, leader.is_known()).await;
            match admitted {
                Ok(charge) => Ok(Admission {
                    source: Some(source),
                    charge,
                }),
                Err(Unadmitted::Exceeded(exceeded)) => Err(Failure::Limit(exceeded)),
                Err(Unadmitted::Busy) => Err(Failure::Auth(AuthError::Busy)),
            }
        };
        let outcome = self.look_up(&worker, &token, context, admit).await;
        let principal = match outcome {
            Ok(principal) => principal,
            Err(Failure::Auth(AuthError::Refused(refusal))) => {
                if refusal == Refusal::UnknownIssuer {
                    self.log_unknown_issuer(&token);
                }
                return Err(refuse(refusal));
            }
            Err(Failure::Auth(error)) => return Err(error.into()),
            Err(Failure::Limit(exceeded)) => return Err(Refused::LimitExceeded(exceeded)),
        };
        let proof = self.check_proof(request, &token, scheme, &principal)?;
        Ok(Identified {
            authenticated: Authenticated {
                principal,
                token,
                epoch,
                worker,
            },
            proof,
            guard: self,
        })
    }

    /// Says which issuer a token names, and which are known: the usual reason is a setting, here or at the client. A
    /// stranger can send such a token at will, so the line is rare.
    fn log_unknown_issuer(&self, token: &BearerToken) {
        let Some(found) = jwt::peek_issuer(token) else {
            return;
        };
        if let Some(others) = self.0.unknown_issuer_log.due(self.0.clock.now()) {
            let known = self.0.auth.circuits().take(MOST_ISSUERS);
            let expected = Vec::from_iter(known.map(|(issuer, _)| printable(issuer))).join(",");
            log::info!(
                token = token.fingerprint(), claim = "iss", expected = expected,
                found:% = loggable(&found, token.expose()), others = others;
                "a token is refused: {}", Refusal::UnknownIssuer
            );
        }
    }

    /// The address that a request comes from: the peer's, or the one that the trusted proxies of
    /// [`RateLimits`](crate::limits::RateLimits) name.
    #[must_use]
    pub fn source_address(&self, request: &HttpRequest) -> IpAddr {
        self.0.limits.source_address(request)
    }

    /// Checks a token again that was valid before, such as that of a long-lived stream. The result comes from
    /// the cache while it is fresh. Proofs and rate limits are not checked.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate_again(
        &self,
        worker: &AuthWorker,
        token: &BearerToken,
        context: &TraceContext,
    ) -> Result<Arc<Principal>, AuthError> {
        let admit = async |_: &Leader| Ok(Admission::default());
        self.look_up(worker, token, context, admit).await
    }

    /// `admit` decides whether and when this request may become a leader, and tells its source.
    async fn look_up<E: From<AuthError>>(
        &self,
        worker: &AuthWorker,
        token: &BearerToken,
        context: &TraceContext,
        admit: impl AsyncFn(&Leader) -> Result<Admission, E>,
    ) -> Result<Arc<Principal>, E> {
        for _ in 0..ATTEMPTS {
            let outcome = match self.0.auth.lookup(token)? {
                Lookup::Known(outcome) => Some(outcome),
                Lookup::Due(principal, leader) => {
                    worker.refresh(leader, token, context);
                    Some(Ok(principal))
                }
                Lookup::Leader(leader) => {
                    let admission = admit(&leader).await?;
                    worker.introspect(leader, token, admission, context).await
                }
                Lookup::Follower(follower) => follower.outcome().await,
            };
            if let Some(outcome) = outcome {
                return Ok(outcome?);
            }
            // The leader was cancelled; another request becomes the leader.
        }
        Err(unavailable("the introspection actor returns no outcome").into())
    }

    /// Checks the presentation of a token (RFC 9449 §7); whether its proof was used before remains to be
    /// checked. Signatures are verified last, so that a request
    /// without a valid token does not cause this work.
    fn check_proof(
        &self,
        request: &HttpRequest,
        token: &BearerToken,
        scheme: Scheme,
        principal: &Principal,
    ) -> Result<Option<Proof>, Refused> {
        let refuse = |refusal| Refused::token(refusal, token);
        if scheme == Scheme::Bearer {
            check_presentation(principal, None).map_err(refuse)?;
            return Ok(None);
        }
        if principal.bound_key.is_none() {
            return Err(refuse(Refusal::WrongKey));
        }
        let now = self.0.clock.now();
        let proof = self.0.proofs.verify(request, token, now).map_err(refuse)?;
        check_presentation(principal, Some(&proof.thumbprint)).map_err(refuse)?;
        Ok(Some(proof))
    }
}

enum Failure {
    Auth(AuthError),
    Limit(Exceeded),
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

fn unavailable(reason: &'static str) -> AuthError {
    AuthError::IssuerUnavailable {
        source: Cause::new(reason),
        retry_after: None,
    }
}
