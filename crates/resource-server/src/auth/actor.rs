//! The actor that calls the authorization servers and fills the token cache.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{
    error::AuthError,
    shared::Shared,
    single_flight::{Completion, Outcome},
};
use crate::{
    bearer::BearerToken,
    cause::Cause,
    clock::Timestamp,
    gate::Permit,
    issuer::{client::IssuerClient, http_client::invalid_response},
    jose::{
        jws::JwsFault,
        logout_token::{ExpectedLogout, Logout, LogoutFault, peek_issuer, read_logout_token},
    },
    metrics::CacheResult,
    principal::{Credential, Revocation},
    revocation::back_channel::LogoutError,
    trace_context::TraceContext,
    validation::{Refusal, join_claims, validate_claims},
};

/// For the operator, who has to change a setting.
const DOES_NOT_INTROSPECT_JWTS: &str = "the issuer does not introspect access tokens that are JWTs \
    (it answers unsupported_token_type or the like), and they are to be introspected here; verify them with the \
    issuer's keys alone, or have the issuer introspect them";

/// How often a token is checked if it is revoked each time meanwhile.
const ATTEMPTS: usize = 3;

/// Check a token with its issuer, and send the outcome to every waiting request.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Introspect {
    /// The index of the issuer.
    pub(crate) issuer: usize,
    /// The token as presented.
    pub(crate) token: BearerToken,
    /// The cache key of the token.
    pub(crate) credential: Credential,
    /// The trace of the request, for the log and for the issuer.
    pub(crate) context: TraceContext,
    /// Receives the outcome.
    pub(crate) completion: Completion,
    /// Counts against the limit of concurrent introspections until the call has ended.
    pub(crate) permit: Permit,
}

/// Fetch the metadata document of the first issuer (RFC 8414).
#[derive(Message)]
#[rtype(result = "Result<Arc<str>, AuthError>")]
pub(crate) struct FetchMetadata {
    /// Counts against the limit of concurrent introspections until the call has ended.
    pub(crate) permit: Permit,
}

/// Verify a logout token with the keys of its issuer, and mark it as used.
#[derive(Message)]
#[rtype(result = "Result<VerifiedLogout, LogoutError>")]
pub(crate) struct VerifyLogout {
    /// The token as received.
    pub(crate) token: SecretString,
    /// Counts against the limit of concurrent logouts until the call has ended.
    pub(crate) permit: Permit,
}

/// What a logout token asks for.
pub(crate) struct VerifiedLogout {
    /// The index of the issuer.
    pub(crate) issuer: usize,
    /// The user at this issuer.
    pub(crate) subject: String,
    /// `jti`.
    pub(crate) token_id: String,
}

/// Health check: is the actor running?
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ping;

/// Introspects tokens. Each worker thread has one, because its HTTP client is bound to a thread; the caches
/// are shared.
pub(crate) struct AuthActor {
    issuers: Vec<Rc<IssuerClient>>,
    shared: Arc<Shared>,
}

impl AuthActor {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let issuers = shared.issuers.iter().map(Arc::clone);
        Self {
            issuers: issuers
                .map(|state| Rc::new(IssuerClient::new(state)))
                .collect(),
            shared: Arc::clone(shared),
        }
    }
}

impl Actor for AuthActor {
    type Context = Context<Self>;
}

impl Handler<Introspect> for AuthActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Introspect, _: &mut Context<Self>) -> Self::Result {
        let Introspect {
            issuer,
            token,
            credential,
            context,
            completion,
            permit,
        } = message;
        let issuer = Rc::clone(&self.issuers[issuer]);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let outcome = check(&issuer, &shared, &token, credential, &context).await;
            let trace = context.trace.request_id;
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            let outcome = outcome.or_else(|error| match error {
                // A refusal is final; only an outage is answered from a stale entry.
                AuthError::Refused(_) | AuthError::Busy => Err(error),
                AuthError::IssuerUnavailable { .. } | AuthError::InvalidResponse { .. } => {
                    let token_cache = &issuer.state().token_cache;
                    match token_cache.find_stale(&credential, shared.clock.now()) {
                        Some(principal) => {
                            shared.metrics.introspection_cache(CacheResult::Stale);
                            log::warn!(
                                request_id:% = trace, token = token.fingerprint();
                                "the authorization server cannot be reached ({error}); serving a stale token read-only"
                            );
                            Ok(principal)
                        }
                        None => Err(error),
                    }
                }
            });
            // Release the permit before waking the waiting requests.
            drop(permit);
            completion.complete(outcome);
        })
    }
}

/// Checks a token, and again if it was revoked meanwhile: the result has to be newer than every revocation
/// that covers it.
async fn check(
    issuer: &IssuerClient,
    shared: &Shared,
    token: &BearerToken,
    credential: Credential,
    context: &TraceContext,
) -> Outcome {
    let state = issuer.state();
    shared.restored().await?;
    let digest = Sha256::digest(token.expose()).into();
    for _ in 0..ATTEMPTS {
        let epoch = shared.revocations.revocation_epoch();
        // Whatever its issuer says of it.
        if shared.revocations.has_token(&digest) {
            shared.refuse(state, credential, Refusal::Inactive, shared.clock.now());
            return Err(AuthError::Refused(Refusal::Inactive));
        }
        let verified = match issuer.verify(token).await {
            Err(AuthError::Refused(refusal)) => {
                shared.refuse(state, credential, refusal, shared.clock.now());
                return Err(AuthError::Refused(refusal));
            }
            outcome => outcome?,
        };
        let (reply, was_introspected) = match verified {
            Some(jwt) if !issuer.introspects_jwts() => (Ok(jwt), false),
            Some(jwt) => {
                let reply = issuer.introspect(token, context).await?;
                if reply.is_unsupported {
                    return Err(invalid_response(DOES_NOT_INTROSPECT_JWTS));
                }
                let resource = &state.expectation.resource;
                (join_claims(jwt.claims, reply, resource), true)
            }
            None => (Ok(issuer.introspect(token, context).await?), true),
        };
        let now = shared.clock.now();
        let validated =
            reply.and_then(|reply| validate_claims(reply, &state.expectation, credential, now));
        let valid = match validated {
            Ok(valid) => valid,
            Err(refusal) => {
                shared.refuse(state, credential, refusal, now);
                return Err(AuthError::Refused(refusal));
            }
        };
        // A token that was not introspected stays revoked if a revocation is newer than its `iat`. That of a
        // user or client who is denied for a time is refused whoever calls it active.
        let issued_at = valid.principal.issued_at.unwrap_or(Timestamp::MIN_UTC);
        let is_revoked = shared.revocations.denies(&valid.principal, now)
            || !was_introspected && shared.revocations.cover_issued(&valid.principal, issued_at);
        if is_revoked {
            shared.refuse(state, credential, Refusal::Inactive, now);
            return Err(AuthError::Refused(Refusal::Inactive));
        }
        let principal = state.token_cache.insert(valid, now);
        // Checked after the insertion: a later revocation removes the entry itself.
        if !shared.revocations.cover_since(&principal, epoch) {
            return Ok(principal);
        }
        state
            .token_cache
            .remove(&Revocation::Credential(credential));
    }
    Err(AuthError::IssuerUnavailable {
        source: Cause::new("the token was revoked repeatedly while it was checked"),
        retry_after: None,
    })
}

impl Handler<FetchMetadata> for AuthActor {
    type Result = ResponseFuture<Result<Arc<str>, AuthError>>;

    fn handle(&mut self, message: FetchMetadata, _: &mut Context<Self>) -> Self::Result {
        let issuer = Rc::clone(&self.issuers[0]);
        Box::pin(async move {
            let FetchMetadata { permit: _permit } = message;
            Ok(Arc::clone(&issuer.metadata().await?.document))
        })
    }
}

impl Handler<VerifyLogout> for AuthActor {
    type Result = ResponseFuture<Result<VerifiedLogout, LogoutError>>;

    fn handle(&mut self, message: VerifyLogout, _: &mut Context<Self>) -> Self::Result {
        let claimed = peek_issuer(message.token.expose_secret());
        let issuer = self
            .issuers
            .iter()
            .position(|issuer| Some(issuer.state().name()) == claimed.as_deref())
            .map(|index| (index, Rc::clone(&self.issuers[index])));
        Box::pin(async move {
            let VerifyLogout { token, permit } = message;
            let _permit = permit;
            let (index, issuer) = issuer.ok_or(LogoutError::UnknownIssuer)?;
            let logout = read_logout(&issuer, token.expose_secret()).await?;
            let subject = logout.subject.ok_or(LogoutError::SubjectNeeded)?;
            if !issuer.state().use_logout(&logout.token_id, logout.until) {
                return Err(LogoutError::Replayed);
            }
            Ok(VerifiedLogout {
                issuer: index,
                subject,
                token_id: logout.token_id,
            })
        })
    }
}

/// Verifies a logout token, with newer keys if its key is unknown.
async fn read_logout(issuer: &IssuerClient, token: &str) -> Result<Logout, LogoutError> {
    let now = issuer.state().clock.now();
    let expected = ExpectedLogout {
        issuer: &issuer.state().expectation.issuer,
        client_id: issuer.client_id(),
        audiences: &issuer.state().settings.logout_audiences,
    };
    let keys = issuer.keys().await.map_err(LogoutError::Unavailable)?;
    let mut outcome = read_logout_token(token, &keys, expected, now);
    if outcome.as_ref().err() == Some(&LogoutFault::Jws(JwsFault::UnknownKey)) {
        let newer = issuer.newer_keys(&keys).await;
        if let Some(newer) = newer.map_err(LogoutError::Unavailable)? {
            outcome = read_logout_token(token, &newer, expected, now);
        }
    }
    outcome.map_err(LogoutError::Refused)
}

impl Handler<Ping> for AuthActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
