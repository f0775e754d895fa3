//! **Lives here:** the `AuthActor`: it asks the authorization server who stands behind a token
//! (RFC 7662), and keeps what it said for a while.
//!
//! **May enter:** `http`, `app`.
//!
//! **Never here:** a decision about scopes; a token at rest (the cache keeps keyed hashes); a verdict
//! (that is `oauth::judge`, which is pure).
//!
//! **Begin with** this file: messages, handle, actor; then `issuer.rs`, the only code that talks to
//! the authorization server, and `cache.rs`.

mod cache;
mod issuer;

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use actix_rt::ArbiterHandle;
use derive_more::{Display, Error};

use self::{cache::VerdictCache, issuer::Issuer};
use super::gate::{Gate, Permit};
use crate::{
    domain::{clock::Clock, journal::Cause, principal::Principal, request_id::RequestId},
    oauth::{
        bearer::BearerToken,
        judge::{Expectation, Refusal, judge},
    },
};

pub use self::issuer::IssuerSettings;

/// Ask the issuer who stands behind a token.
#[derive(Message)]
#[rtype(result = "Result<Arc<Principal>, AuthError>")]
pub struct Introspect {
    /// The token as it was presented.
    pub token: BearerToken,
    /// On whose behalf, for the log.
    pub trace: RequestId,
    /// The place behind the actor's gate, held until the answer is there.
    pub permit: Permit,
}

/// Fetch the issuer's metadata (RFC 8414), as it stands.
#[derive(Message)]
#[rtype(result = "Result<Arc<str>, AuthError>")]
pub struct FetchMetadata {
    /// The place behind the actor's gate, held until the answer is there.
    pub permit: Permit,
}

/// Why there is no principal.
#[derive(Debug, Display, Error)]
pub enum AuthError {
    /// The credentials are no good: the client's to mend.
    #[display("{_0}")]
    Refused(Refusal),
    /// As many introspections are under way as may be.
    #[display("too many introspections are under way")]
    Busy,
    /// The authorization server cannot be asked. Never the client's fault.
    #[display("the authorization server is unavailable")]
    IssuerDown {
        /// What went wrong.
        source: Cause,
        /// When the authorization server wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The authorization server answered what it should not. Never the client's fault.
    #[display("the authorization server answered what it should not")]
    IssuerNonsense {
        /// What was wrong with the answer.
        source: Cause,
    },
}

/// What the actor has to know.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The authorization server.
    pub issuer: IssuerSettings,
    /// What a token has to be.
    pub expectation: Expectation,
    /// How long an answer is believed at most; `exp` may end it sooner.
    pub cache_lifetime: Duration,
    /// How many answers are kept at most.
    pub cache_entries: usize,
    /// How many introspections may be under way at once.
    pub in_flight: usize,
    /// How long a request waits for its introspection to begin.
    pub failfast: Duration,
}

/// Where the rest of the program meets the actor.
#[derive(Clone)]
pub struct AuthHandle {
    introspect: Recipient<Introspect>,
    metadata: Recipient<FetchMetadata>,
    gate: Gate,
    cache: Arc<VerdictCache>,
    clock: Clock,
}

impl AuthHandle {
    /// Starts the actor on its own thread.
    #[must_use]
    pub fn start(settings: AuthSettings, clock: Clock, arbiter: &ArbiterHandle) -> Self {
        let gate = Gate::new(settings.in_flight, settings.failfast);
        let cache = Arc::new(VerdictCache::new(
            settings.cache_entries,
            settings.cache_lifetime,
            settings.expectation.issuer.as_str(),
        ));
        let address = AuthActor::start_in_arbiter(arbiter, {
            let (cache, clock) = (Arc::clone(&cache), clock.clone());
            move |_| AuthActor {
                issuer: Rc::new(Issuer::new(settings.issuer, clock.clone())),
                expectation: Rc::new(settings.expectation),
                cache,
                clock,
            }
        });
        Self {
            introspect: address.clone().recipient(),
            metadata: address.recipient(),
            gate,
            cache,
            clock,
        }
    }

    /// Who stands behind a token. A token that is known is answered on the spot, without a message.
    ///
    /// # Errors
    /// [`AuthError::Refused`] only if the authorization server said no, or said something of the
    /// token that makes it unfit; everything else is an outage.
    pub async fn introspect(
        &self,
        token: BearerToken,
        trace: RequestId,
    ) -> Result<Arc<Principal>, AuthError> {
        if let Some(principal) = self.cache.find(&token, self.clock.now()) {
            return Ok(principal);
        }
        let permit = self.gate.admit().await.map_err(|_| AuthError::Busy)?;
        self.introspect
            .send(Introspect {
                token,
                trace,
                permit,
            })
            .await
            .unwrap_or_else(|error| Err(gone(error)))
    }

    /// The issuer's metadata as it stands, for clients that look for it here.
    ///
    /// # Errors
    /// An outage.
    pub async fn metadata(&self) -> Result<Arc<str>, AuthError> {
        let permit = self.gate.admit().await.map_err(|_| AuthError::Busy)?;
        self.metadata
            .send(FetchMetadata { permit })
            .await
            .unwrap_or_else(|error| Err(gone(error)))
    }
}

fn gone(error: actix::MailboxError) -> AuthError {
    AuthError::IssuerDown {
        source: Cause::new(error),
        retry_after: None,
    }
}

/// Introspects and remembers. Lives on one thread, because its HTTP client does.
struct AuthActor {
    issuer: Rc<Issuer>,
    expectation: Rc<Expectation>,
    cache: Arc<VerdictCache>,
    clock: Clock,
}

impl Actor for AuthActor {
    type Context = Context<Self>;
}

impl Handler<Introspect> for AuthActor {
    type Result = ResponseFuture<Result<Arc<Principal>, AuthError>>;

    fn handle(&mut self, message: Introspect, _: &mut Context<Self>) -> Self::Result {
        let issuer = Rc::clone(&self.issuer);
        let expectation = Rc::clone(&self.expectation);
        let cache = Arc::clone(&self.cache);
        let clock = self.clock.clone();
        Box::pin(async move {
            let Introspect {
                token,
                trace,
                permit: _permit,
            } = message;
            let reply = issuer.introspect(&token).await?;
            let now = clock.now();
            let principal = Arc::new(judge(reply, &expectation, now).map_err(AuthError::Refused)?);
            cache.keep(&token, Arc::clone(&principal), now);
            log::debug!(request_id:% = trace, token = token.fingerprint(); "introspected a token");
            Ok(principal)
        })
    }
}

impl Handler<FetchMetadata> for AuthActor {
    type Result = ResponseFuture<Result<Arc<str>, AuthError>>;

    fn handle(&mut self, message: FetchMetadata, _: &mut Context<Self>) -> Self::Result {
        let issuer = Rc::clone(&self.issuer);
        Box::pin(async move {
            let FetchMetadata { permit: _permit } = message;
            Ok(Arc::clone(&issuer.metadata().await?.document))
        })
    }
}
