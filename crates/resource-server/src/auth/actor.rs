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
    fair_gate::{FairGate, FairPermit},
    issuer::{
        asker::Asker,
        client::{IssuerClient, key_may_be_new},
        document_cache::Refreshed,
        http_client::invalid_response,
        state::IssuerState,
    },
    jose::{
        jws::JwsFault,
        logout_token::{ExpectedLogout, Logout, LogoutFault, peek_issuer, read_logout_token},
    },
    limits::{Source, unknown_tokens::Charge},
    metrics::{CacheResult, Refresh},
    principal::Revocation,
    revocation::back_channel::LogoutError,
    trace_context::TraceContext,
    unexpected::Named,
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
    /// Who asks.
    pub(crate) asker: Asker,
    /// The trace of the request, for the log and for the issuer.
    pub(crate) context: TraceContext,
    /// Receives the outcome.
    pub(crate) completion: Completion,
    /// Counts against the limit of the first step, a verification or an introspection, until it has ended.
    pub(crate) permit: FairPermit,
    /// Admits the introspection of a token that was verified before.
    pub(crate) introspection: Option<FairGate>,
    /// Why the token is checked.
    pub(crate) purpose: Purpose,
}

/// Why a token is checked.
pub(crate) enum Purpose {
    /// For a request that waits, and what a refusal costs its source.
    Request(Option<Charge>),
    /// Because the result in the cache ends soon. A failure changes nothing: that result is used until its end.
    Refresh,
}

/// Fetch the metadata document of the first issuer (RFC 8414).
#[derive(Message)]
#[rtype(result = "Result<Arc<str>, AuthError>")]
pub(crate) struct FetchMetadata {
    /// Counts against the limit of concurrent requests for the metadata until it is there.
    pub(crate) permit: FairPermit,
}

/// Verify a logout token with the keys of its issuer, and mark it as used.
#[derive(Message)]
#[rtype(result = "Result<VerifiedLogout, LogoutError>")]
pub(crate) struct VerifyLogout {
    /// The token as received.
    pub(crate) token: SecretString,
    /// The source of the request.
    pub(crate) source: Source,
    /// Counts against the limit of concurrent logouts until the call has ended.
    pub(crate) permit: FairPermit,
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
            asker,
            context,
            completion,
            permit,
            introspection,
            purpose,
        } = message;
        let issuer = Rc::clone(&self.issuers[issuer]);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut place = Place {
                permit,
                introspection,
            };
            let outcome = check(&issuer, &shared, &token, &asker, &context, &mut place).await;
            let trace = context.trace.request_id;
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            let charge = match purpose {
                Purpose::Request(charge) => charge,
                Purpose::Refresh => {
                    drop(place);
                    refreshed(&shared, outcome, completion);
                    return;
                }
            };
            let outcome = outcome.or_else(|error| {
                let token_cache = &issuer.state().token_cache;
                let now = shared.clock.now();
                if let AuthError::Uncheckable { retry_after, .. } = &error {
                    token_cache.cannot_check(asker.credential, now + *retry_after);
                }
                // A refusal is final; only an outage is answered from a stale entry.
                let stale = match error {
                    AuthError::Refused(_) | AuthError::Busy => None,
                    AuthError::IssuerUnavailable { .. }
                    | AuthError::Uncheckable { .. }
                    | AuthError::InvalidResponse { .. } => {
                        token_cache.find_stale(&asker.credential, now)
                    }
                };
                let stale = stale.ok_or_else(|| error.clone())?;
                shared.metrics.introspection_cache(CacheResult::Stale);
                if let Some(others) = shared.stale_log.due(now) {
                    log::warn!(
                        request_id:% = trace, token = token.fingerprint(), others = others;
                        "the token cannot be checked ({error}); serving a stale token read-only"
                    );
                }
                Ok(stale)
            });
            // Release the permit before waking the waiting requests, and settle the charge.
            drop(place);
            settle(charge, &outcome);
            completion.complete(outcome);
        })
    }
}

/// Ends the refresh of a token. Only requests that came when the earlier result had ended wait for it: after a
/// failure they look the token up again, and check it for themselves.
fn refreshed(shared: &Shared, outcome: Outcome, completion: Completion) {
    let (result, outcome) = match outcome {
        Ok(principal) => (Refresh::Renewed, Some(Ok(principal))),
        Err(error @ AuthError::Refused(_)) => (Refresh::Refused, Some(Err(error))),
        Err(_) => (Refresh::Failed, None),
    };
    shared.metrics.refresh(result);
    match outcome {
        Some(outcome) => completion.complete(outcome),
        None => drop(completion),
    }
}

/// A refused token counts against the limit of its source, and so does one about which its issuer answers
/// something odd; an outage does not.
fn settle(charge: Option<Charge>, outcome: &Outcome) {
    if let (Some(charge), Err(AuthError::Refused(_) | AuthError::Uncheckable { .. })) =
        (charge, outcome)
    {
        charge.refused();
    }
}

/// The slot that a check holds: for the verification of the token, then for its introspection.
struct Place {
    permit: FairPermit,
    introspection: Option<FairGate>,
}

impl Place {
    /// Changes to a slot for introspection, if the check does not hold one.
    async fn introspects(&mut self, asker: &Asker) -> Result<(), AuthError> {
        if let Some(gate) = self.introspection.take() {
            let admitted = gate.admit(asker.source, asker.is_known()).await;
            self.permit = admitted.map_err(|_| AuthError::Busy)?;
        }
        Ok(())
    }
}

/// Checks a token, and again if it was revoked meanwhile: the result has to be newer than every revocation
/// that covers it.
async fn check(
    issuer: &IssuerClient,
    shared: &Shared,
    token: &BearerToken,
    asker: &Asker,
    context: &TraceContext,
    place: &mut Place,
) -> Outcome {
    let state = issuer.state();
    let credential = asker.credential;
    shared.restored().await?;
    let digest = Sha256::digest(token.expose()).into();
    for _ in 0..ATTEMPTS {
        let epoch = shared.revocations.revocation_epoch();
        let asked = shared.clock.now();
        // Whatever its issuer says of it.
        if shared.revocations.has_token(&digest) {
            shared.refuse(state, credential, Refusal::Inactive, shared.clock.now());
            return Err(AuthError::Refused(Refusal::Inactive));
        }
        let verified = match issuer.verify(token, asker.source).await {
            Err(AuthError::Refused(refusal)) => {
                shared.refuse(state, credential, refusal, shared.clock.now());
                return Err(AuthError::Refused(refusal));
            }
            outcome => outcome?,
        };
        let (reply, named, was_introspected) = match verified {
            Some(jwt) if !issuer.introspects_jwts() => {
                let named = Named::by(&jwt.claims);
                (Ok(jwt), named, false)
            }
            Some(jwt) => {
                place.introspects(asker).await?;
                let reply = issuer.introspect(token, asker, context).await?;
                if reply.is_unsupported {
                    return Err(invalid_response(DOES_NOT_INTROSPECT_JWTS));
                }
                let mut named = Named::by(&reply.claims);
                let of_jwt = Named::by(&jwt.claims);
                let joined = join_claims(jwt.claims, reply, &state.expectation);
                if joined.is_ok() {
                    named = of_jwt;
                }
                (joined, named, true)
            }
            None => {
                place.introspects(asker).await?;
                let reply = issuer.introspect(token, asker, context).await?;
                let named = Named::by(&reply.claims);
                (Ok(reply), named, true)
            }
        };
        let now = shared.clock.now();
        let validated =
            reply.and_then(|reply| validate_claims(reply, &state.expectation, credential, now));
        let valid = match validated {
            Ok(valid) => valid,
            Err(refusal) => {
                log_unexpected(state, &named, refusal, token, context);
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
        let principal = state.token_cache.insert(valid, asked, now);
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

/// Says what was expected of a token and what was found, once for each check: the reason alone does not tell an operator
/// which setting is wrong, here or at the authorization server.
fn log_unexpected(
    state: &IssuerState,
    named: &Named,
    refusal: Refusal,
    token: &BearerToken,
    context: &TraceContext,
) {
    if let Some((claim, expected, found)) = named.told(refusal, &state.expectation, token.expose())
    {
        log::info!(
            request_id:% = context.trace.request_id, token = token.fingerprint(), issuer = state.name(),
            claim = claim, expected = expected, found = found;
            "a token is refused: {refusal}"
        );
    }
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
            let VerifyLogout {
                token,
                source,
                permit: _permit,
            } = message;
            let (index, issuer) = issuer.ok_or(LogoutError::UnknownIssuer)?;
            let logout = read_logout(&issuer, token.expose_secret(), source).await?;
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
async fn read_logout(
    issuer: &IssuerClient,
    token: &str,
    source: Source,
) -> Result<Logout, LogoutError> {
    let now = issuer.state().clock.now();
    let expected = ExpectedLogout {
        issuer: &issuer.state().expectation.issuer,
        client_id: issuer.client_id(),
        audiences: &issuer.state().settings.logout_audiences,
    };
    let keys = issuer.keys().await.map_err(LogoutError::Unavailable)?;
    let unknown_key = LogoutFault::Jws(JwsFault::UnknownKey);
    let mut outcome = read_logout_token(token, &keys, expected, now);
    if outcome.as_ref().err() == Some(&unknown_key) {
        let newer = issuer.newer_keys(&keys, Some(source)).await;
        let wait = match newer.map_err(LogoutError::Unavailable)? {
            Refreshed::Current(keys) => {
                outcome = read_logout_token(token, &keys, expected, now);
                None
            }
            Refreshed::Recent(keys, wait) => {
                outcome = read_logout_token(token, &keys, expected, now);
                Some(wait)
            }
            Refreshed::Later(wait) => Some(wait),
        };
        if let (Some(wait), Err(fault)) = (wait, &outcome)
            && *fault == unknown_key
        {
            return Err(LogoutError::Unavailable(key_may_be_new(wait)));
        }
    }
    outcome.map_err(LogoutError::Refused)
}

impl Handler<Ping> for AuthActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
