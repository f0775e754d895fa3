//! The actor: it asks the authorization servers, and keeps what they said.

use std::{rc::Rc, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};

use super::{
    AuthError, AuthSettings,
    flights::{Flight, Outcome},
    issuer::Issuer,
    shared::Shared,
};
use crate::{
    actors::gate::Permit,
    domain::{
        clock::Timestamp,
        journal::Cause,
        principal::{Credential, CutOff},
        request_id::RequestId,
    },
    oauth::{
        bearer::BearerToken,
        judge::{Expectation, Refusal, judge},
    },
};

/// How often a token is asked about if it is cut off each time meanwhile.
const CUT_OFF_MEANWHILE: usize = 3;

/// Ask an issuer who stands behind a token, and bring the answer to whoever waits for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Introspect {
    /// Which issuer, by its place among them.
    pub(super) issuer: usize,
    /// The token as it was presented.
    pub(super) token: BearerToken,
    /// The token's name in the cache.
    pub(super) credential: Credential,
    /// On whose behalf, for the log.
    pub(super) trace: RequestId,
    /// Who waits.
    pub(super) flight: Flight,
    /// The place behind the actor's gate, held until the answer is there.
    pub(super) permit: Permit,
}

/// Fetch the first issuer's metadata (RFC 8414), as it stands.
#[derive(Message)]
#[rtype(result = "Result<Arc<str>, AuthError>")]
pub(super) struct FetchMetadata {
    /// The place behind the actor's gate, held until the answer is there.
    pub(super) permit: Permit,
}

/// Look at the files of secrets again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Reload;

/// Introspects and remembers. Lives on one thread, because its HTTP client does.
pub(super) struct AuthActor {
    desks: Vec<Rc<Desk>>,
    shared: Arc<Shared>,
}

/// One issuer, and what its tokens have to be.
struct Desk {
    issuer: Issuer,
    expectation: Expectation,
}

impl AuthActor {
    pub(super) fn new(settings: AuthSettings, shared: Arc<Shared>) -> Self {
        let resource = settings.resource;
        let desks = settings.issuers.into_iter().map(|issuer| {
            let expectation = Expectation {
                issuer: issuer.url.clone(),
                resource: resource.clone(),
                audience_may_be_absent: issuer.audience_may_be_absent,
            };
            Rc::new(Desk {
                issuer: Issuer::new(issuer, shared.clock.clone()),
                expectation,
            })
        });
        Self {
            desks: desks.collect(),
            shared,
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
            trace,
            flight,
            permit,
        } = message;
        let desk = Rc::clone(&self.desks[issuer]);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let outcome = find_out(issuer, &desk, &shared, &token, credential).await;
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            let outcome = outcome.or_else(|error| match error {
                // A word about the token is final; only an outage is bridged.
                AuthError::Refused(_) | AuthError::Busy => Err(error),
                AuthError::IssuerDown { .. } | AuthError::IssuerNonsense { .. } => {
                    match shared.verdicts[issuer].find_stale(&credential, shared.clock.now()) {
                        Some(principal) => {
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
    issuer: usize,
    desk: &Desk,
    shared: &Shared,
    token: &BearerToken,
    credential: Credential,
) -> Outcome {
    let verdicts = &shared.verdicts[issuer];
    for _ in 0..CUT_OFF_MEANWHILE {
        let mark = shared.cut_offs.mark();
        let verified = match desk.issuer.verify(token).await {
            Err(AuthError::Refused(refusal)) => {
                shared.refuse(issuer, credential, refusal, shared.clock.now());
                return Err(AuthError::Refused(refusal));
            }
            outcome => outcome?,
        };
        let is_verified = verified.is_some();
        let reply = match verified {
            Some(reply) if !desk.issuer.introspects_what_is_verified() => reply,
            _ => desk.issuer.introspect(token).await?,
        };
        let now = shared.clock.now();
        let verdict = match judge(reply, &desk.expectation, credential, now) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                shared.refuse(issuer, credential, refusal, now);
                return Err(AuthError::Refused(refusal));
            }
        };
        // Nobody was asked, so whoever was cut off since the token was issued stays so.
        let issued_at = verdict.principal.issued_at.unwrap_or(Timestamp::MIN_UTC);
        if is_verified
            && !desk.issuer.introspects_what_is_verified()
            && shared.cut_offs.cover_issued(&verdict.principal, issued_at)
        {
            shared.refuse(issuer, credential, Refusal::Inactive, now);
            return Err(AuthError::Refused(Refusal::Inactive));
        }
        let principal = verdicts.keep(verdict, now);
        // Looked at after it was kept: whoever is cut off from now on is forgotten by that.
        if !shared.cut_offs.cover_since(&principal, mark) {
            return Ok(principal);
        }
        verdicts.forget(&CutOff::Credential(credential));
    }
    Err(AuthError::IssuerDown {
        source: Cause::new("the token was cut off again and again while it was asked about"),
        retry_after: None,
    })
}

impl Handler<FetchMetadata> for AuthActor {
    type Result = ResponseFuture<Result<Arc<str>, AuthError>>;

    fn handle(&mut self, message: FetchMetadata, _: &mut Context<Self>) -> Self::Result {
        let desk = Rc::clone(&self.desks[0]);
        Box::pin(async move {
            let FetchMetadata { permit: _permit } = message;
            Ok(Arc::clone(&desk.issuer.metadata().await?.document))
        })
    }
}

impl Handler<Reload> for AuthActor {
    type Result = ();

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) {
        for desk in &self.desks {
            desk.issuer.reload();
        }
    }
}
