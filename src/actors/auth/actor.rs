//! The actor: it asks the authorization servers, and keeps what they said.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use secrecy::{ExposeSecret, SecretString};

use super::{
    AuthError, AuthSettings,
    flights::{Flight, Outcome},
    issuer::Issuer,
    logouts::{LogoutError, Used},
    shared::Shared,
};
use crate::{
    actors::gate::Permit,
    domain::{
        clock::Timestamp,
        journal::Cause,
        principal::{Credential, CutOff, UserId},
        trace_context::TraceContext,
    },
    metrics::CacheResult,
    oauth::{
        bearer::BearerToken,
        judge::{Expectation, Refusal, judge},
        jws::JwsFault,
        logout_token::{ExpectedLogout, Logout, LogoutFault, peek_issuer, read_logout_token},
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
    /// On whose behalf, for the log and for the issuer.
    pub(super) context: TraceContext,
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

/// Verify a logout token by its issuer's keys, and use it up.
#[derive(Message)]
#[rtype(result = "Result<CutOff, LogoutError>")]
pub(super) struct VerifyLogout {
    /// The token as it was posted.
    pub(super) token: SecretString,
    /// The place behind the gate of these messages, held until the answer is there.
    pub(super) permit: Permit,
}

/// Look at the files of secrets again.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Reload;

/// Answer, if there is somebody to.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ping;

/// Introspects and remembers. Lives on one thread, because its HTTP client does.
pub(super) struct AuthActor {
    desks: Vec<Rc<Desk>>,
    shared: Arc<Shared>,
}

/// One issuer, and what its tokens have to be.
struct Desk {
    issuer: Issuer,
    expectation: Expectation,
    used_logouts: RefCell<Used>,
}

impl AuthActor {
    pub(super) fn new(settings: AuthSettings, shared: Arc<Shared>) -> Self {
        let resource = settings.resource;
        let circuits = shared.circuits.iter().map(Arc::clone);
        let desks = settings
            .issuers
            .into_iter()
            .zip(circuits)
            .map(|(issuer, circuit)| {
                let expectation = Expectation {
                    issuer: issuer.url.clone(),
                    resource: resource.clone(),
                    audience_may_be_absent: issuer.audience_may_be_absent,
                };
                Rc::new(Desk {
                    issuer: Issuer::new(
                        issuer,
                        shared.clock.clone(),
                        circuit,
                        Arc::clone(&shared.metrics),
                    ),
                    expectation,
                    used_logouts: RefCell::default(),
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
            context,
            flight,
            permit,
        } = message;
        let desk = Rc::clone(&self.desks[issuer]);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let outcome = find_out(issuer, &desk, &shared, &token, credential, &context).await;
            let trace = context.trace.request_id;
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            let outcome = outcome.or_else(|error| match error {
                // A word about the token is final; only an outage is bridged.
                AuthError::Refused(_) | AuthError::Busy => Err(error),
                AuthError::IssuerDown { .. } | AuthError::IssuerNonsense { .. } => {
                    match shared.verdicts[issuer].find_stale(&credential, shared.clock.now()) {
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
    issuer: usize,
    desk: &Desk,
    shared: &Shared,
    token: &BearerToken,
    credential: Credential,
    context: &TraceContext,
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
        let (reply, was_asked) = match verified {
            Some(reply) if !desk.issuer.introspects_what_is_verified() => (reply, false),
            _ => (desk.issuer.introspect(token, context).await?, true),
        };
        let now = shared.clock.now();
        let verdict = match judge(reply, &desk.expectation, credential, now) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                shared.refuse(issuer, credential, refusal, now);
                return Err(AuthError::Refused(refusal));
            }
        };
        // Where nobody was asked, whoever was cut off since the token was issued stays so.
        let issued_at = verdict.principal.issued_at.unwrap_or(Timestamp::MIN_UTC);
        if !was_asked && shared.cut_offs.cover_issued(&verdict.principal, issued_at) {
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

impl Handler<VerifyLogout> for AuthActor {
    type Result = ResponseFuture<Result<CutOff, LogoutError>>;

    fn handle(&mut self, message: VerifyLogout, _: &mut Context<Self>) -> Self::Result {
        let claimed = peek_issuer(message.token.expose_secret());
        let desk = self
            .desks
            .iter()
            .find(|desk| Some(desk.expectation.issuer.as_str()) == claimed.as_deref())
            .cloned();
        let clock = self.shared.clock.clone();
        Box::pin(async move {
            let VerifyLogout { token, permit } = message;
            let _permit = permit;
            let desk = desk.ok_or(LogoutError::UnknownIssuer)?;
            let logout = desk
                .verify_logout(token.expose_secret(), clock.now())
                .await?;
            let subject = logout.subject.ok_or(LogoutError::SubjectNeeded)?;
            let mut used = desk.used_logouts.borrow_mut();
            if !used.take(&logout.token_id, logout.until, clock.now()) {
                return Err(LogoutError::Replayed);
            }
            Ok(CutOff::User(UserId::derive(&logout.issuer, &subject)))
        })
    }
}

impl Desk {
    async fn verify_logout(&self, token: &str, now: Timestamp) -> Result<Logout, LogoutError> {
        let expected = ExpectedLogout {
            issuer: &self.expectation.issuer,
            client_id: self
                .issuer
                .client_id()
                .ok_or(LogoutError::Refused(LogoutFault::WrongAudience))?,
        };
        let keys = self.issuer.keys().await.map_err(LogoutError::Unavailable)?;
        let mut outcome = read_logout_token(token, &keys, expected, now);
        if outcome.as_ref().err() == Some(&LogoutFault::Jws(JwsFault::UnknownKey)) {
            let newer = self.issuer.newer_keys(&keys).await;
            if let Some(newer) = newer.map_err(LogoutError::Unavailable)? {
                outcome = read_logout_token(token, &newer, expected, now);
            }
        }
        outcome.map_err(LogoutError::Refused)
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

impl Handler<Ping> for AuthActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}
