//! The actor: it asks the authorization servers, and keeps what they said.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use secrecy::{ExposeSecret, SecretString};

use super::{
    AuthError,
    shared::Shared,
    single_flight::{Leadership, Outcome},
};
use crate::{
    bearer::BearerToken,
    cause::Cause,
    clock::Timestamp,
    gate::Permit,
    jose::{
        jws::JwsFault,
        logout_token::{ExpectedLogout, Logout, LogoutFault, peek_issuer, read_logout_token},
    },
    metrics::CacheResult,
    principal::{Credential, Revocation, UserId},
    trace_context::TraceContext,
    validation::{Refusal, validate_claims},
};
use crate::{issuer::client::Issuer, revocation::back_channel::LogoutError};

/// How often a token is asked about if it is cut off each time meanwhile.
const CUT_OFF_MEANWHILE: usize = 3;

/// Ask an issuer who stands behind a token, and bring the answer to whoever waits for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Introspect {
    /// Which issuer, by its place among them.
    pub(crate) issuer: usize,
    /// The token as it was presented.
    pub(crate) token: BearerToken,
    /// The token's name in the cache.
    pub(crate) credential: Credential,
    /// On whose behalf, for the log and for the issuer.
    pub(crate) context: TraceContext,
    /// Who waits.
    pub(crate) flight: Leadership,
    /// The place behind the actor's gate, held until the answer is there.
    pub(crate) permit: Permit,
}

/// Fetch the first issuer's metadata (RFC 8414), as it stands.
#[derive(Message)]
#[rtype(result = "Result<Arc<str>, AuthError>")]
pub(crate) struct FetchMetadata {
    /// The place behind the actor's gate, held until the answer is there.
    pub(crate) permit: Permit,
}

/// Verify a logout token by its issuer's keys, and use it up.
#[derive(Message)]
#[rtype(result = "Result<Revocation, LogoutError>")]
pub(crate) struct VerifyLogout {
    /// The token as it was posted.
    pub(crate) token: SecretString,
    /// The place behind the gate of these messages, held until the answer is there.
    pub(crate) permit: Permit,
}

/// Answer, if there is somebody to.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ping;

/// Introspects and remembers. Lives on one thread, because its HTTP client does; what it knows, all of
/// them know.
pub(crate) struct AuthActor {
    issuers: Vec<Rc<Issuer>>,
    shared: Arc<Shared>,
}

impl AuthActor {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let issuers = shared.issuers.iter().map(Arc::clone);
        Self {
            issuers: issuers.map(|state| Rc::new(Issuer::new(state))).collect(),
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
            flight,
            permit,
        } = message;
        let issuer = Rc::clone(&self.issuers[issuer]);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let outcome = find_out(&issuer, &shared, &token, credential, &context).await;
            let trace = context.trace.request_id;
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            let outcome = outcome.or_else(|error| match error {
                // A word about the token is final; only an outage is bridged.
                AuthError::Refused(_) | AuthError::Busy => Err(error),
                AuthError::IssuerDown { .. } | AuthError::IssuerNonsense { .. } => {
                    let token_cache = &issuer.state().token_cache;
                    match token_cache.find_stale(&credential, shared.clock.now()) {
                        Some(principal) => {
                            shared.metrics.introspection_cache(CacheResult::Stale);
                            log::warn!(
                                request_id:% = trace, token = token.fingerprint();
                                "the authorization server cannot be asked ({error}); a token that it vouched for before may read on"
                            );
                            Ok(principal)
                        }
                        None => Err(error),
                    }
                }
            });
            // Its place is free before anybody acts on the answer.
            drop(permit);
            flight.land(outcome);
        })
    }
}

/// Asks until the answer is younger than every cut-off that it could matter to.
async fn find_out(
    issuer: &Issuer,
    shared: &Shared,
    token: &BearerToken,
    credential: Credential,
    context: &TraceContext,
) -> Outcome {
    let state = issuer.state();
    for _ in 0..CUT_OFF_MEANWHILE {
        let mark = shared.revocations.revocation_epoch();
        let verified = match issuer.verify(token).await {
            Err(AuthError::Refused(refusal)) => {
                shared.refuse(state, credential, refusal, shared.clock.now());
                return Err(AuthError::Refused(refusal));
            }
            outcome => outcome?,
        };
        let (reply, was_asked) = match verified {
            Some(reply) if !issuer.introspects_what_is_verified() => (reply, false),
            _ => (issuer.introspect(token, context).await?, true),
        };
        let now = shared.clock.now();
        let verdict = match validate_claims(reply, &state.expectation, credential, now) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                shared.refuse(state, credential, refusal, now);
                return Err(AuthError::Refused(refusal));
            }
        };
        // Where nobody was asked, whoever was cut off since the token was issued stays so.
        let issued_at = verdict.principal.issued_at.unwrap_or(Timestamp::MIN_UTC);
        if !was_asked
            && shared
                .revocations
                .cover_issued(&verdict.principal, issued_at)
        {
            shared.refuse(state, credential, Refusal::Inactive, now);
            return Err(AuthError::Refused(Refusal::Inactive));
        }
        let principal = state.token_cache.keep(verdict, now);
        // Looked at after it was kept: whoever is cut off from now on is forgotten by that.
        if !shared.revocations.cover_since(&principal, mark) {
            return Ok(principal);
        }
        state
            .token_cache
            .forget(&Revocation::Credential(credential));
    }
    Err(AuthError::IssuerDown {
        source: Cause::new("the token was cut off again and again while it was asked about"),
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
    type Result = ResponseFuture<Result<Revocation, LogoutError>>;

    fn handle(&mut self, message: VerifyLogout, _: &mut Context<Self>) -> Self::Result {
        let claimed = peek_issuer(message.token.expose_secret());
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| Some(issuer.state().name()) == claimed.as_deref())
            .cloned();
        Box::pin(async move {
            let VerifyLogout { token, permit } = message;
            let _permit = permit;
            let issuer = issuer.ok_or(LogoutError::UnknownIssuer)?;
            let logout = read_logout(&issuer, token.expose_secret()).await?;
            let subject = logout.subject.ok_or(LogoutError::SubjectNeeded)?;
            if !issuer.state().use_logout(&logout.token_id, logout.until) {
                return Err(LogoutError::Replayed);
            }
            Ok(Revocation::User(UserId::derive(&logout.issuer, &subject)))
        })
    }
}

/// What a logout token says, if its issuer's keys verify it.
async fn read_logout(issuer: &Issuer, token: &str) -> Result<Logout, LogoutError> {
    let now = issuer.state().clock.now();
    let expected = ExpectedLogout {
        issuer: &issuer.state().expectation.issuer,
        client_id: issuer
            .client_id()
            .ok_or(LogoutError::Refused(LogoutFault::WrongAudience))?,
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
