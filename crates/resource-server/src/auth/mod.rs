//! **Lives here:** the `AuthActor`: it asks the authorization servers who stands behind a token
//! (RFC 7662), each about its own tokens alone, and keeps what they said for a while. There is one on each
//! thread that serves, and all of them know the same.
//!
//! **May enter:** `http`, `app`.
//!
//! **Never here:** a decision about scopes; a token at rest (the caches keep keyed hashes); a verdict
//! (that is `oauth::validate_claims`, which is pure).
//!
//! **Begin with** this file: the handle, and what it answers without a message. Then `actors.rs` and
//! `actor.rs`; `issuer.rs` and `exchange.rs` (the only code that talks to an authorization server); what is
//! the same on all threads, in `shared.rs`, `issuer_state.rs`, `cache.rs` and `breaker.rs`; and for who is
//! cut off `revocations.rs` and `active_uses.rs`.

mod actor;
pub(crate) mod shared;
pub(crate) mod single_flight;
pub mod token_cache;
mod worker;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{Actor, Recipient};
use actix_rt::ArbiterHandle;
use chrono::TimeDelta;
use derive_more::{Display, Error};
use secrecy::SecretString;

use self::{
    actor::{AuthActor, FetchMetadata, Ping, VerifyLogout},
    shared::Shared,
    single_flight::{Outcome, SingleFlight},
    token_cache::Known,
};
use crate::gate::Gate;
use crate::{
    bearer::BearerToken,
    cause::Cause,
    clock::Clock,
    dpop::proof::{Proof, Window},
    issuer::routing::{IssuerTokens, Routes},
    jose::jwt,
    metrics::{AuthMetrics, CacheResult, CircuitState},
    principal::{Credential, Principal, Revocation},
    scope::{ScopeSet, Scopes},
    url::ResourceUri,
    validation::Refusal,
};
use crate::{
    dpop::replay::Proofs,
    issuer::state::IssuerState,
    revocation::{
        active_use::{ActiveUses, OpenUsesActor},
        log::RevocationLog,
    },
};

pub use self::{
    shared::Revoked,
    token_cache::CacheSettings,
    worker::{AuthWorker, Follower, Leader, Lookup},
};
pub use crate::{
    dpop::replay::ReplayCheck,
    issuer::{
        builder::Issuer,
        http_client::client,
        settings::{IssuerSettings, JwtSettings},
    },
    revocation::{active_use::ActiveUse, back_channel::LogoutError},
};

/// How many logout tokens are looked at at once: apart from tokens, which nobody who posts logouts is to
/// keep waiting.
const LOGOUTS_IN_FLIGHT: usize = 16;

/// Why there is no principal.
#[derive(Clone, Debug, Display, Error)]
pub enum AuthError {
    /// The credentials are no good: the client's to mend.
    #[display("{_0}")]
    Refused(Refusal),
    /// As many introspections are under way as may be.
    #[display("too many introspections are under way")]
    Busy,
    /// The authorization server cannot be asked. Never the client's fault.
    #[display("the authorization server is unavailable: {source}")]
    IssuerDown {
        /// What went wrong.
        source: Cause,
        /// When the authorization server wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The authorization server answered what it should not. Never the client's fault.
    #[display("the authorization server answered what it should not: {source}")]
    IssuerNonsense {
        /// What was wrong with the answer.
        source: Cause,
    },
}

/// The actor is gone.
#[derive(Clone, Copy, Debug, Display, Error, PartialEq, Eq)]
#[display("the actor that introspects has stopped")]
pub struct Stopped;

/// What the actor has to know.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// The authorization servers, at least one.
    pub issuers: Vec<IssuerSettings>,
    /// The resource that a token has to be meant for.
    pub resource: ResourceUri,
    /// The scopes that are declared; a token keeps no others.
    pub scopes: Scopes,
    /// The scopes that a token keeps while its issuer cannot be asked and the last answer is older than
    /// its lifetime: those that only read.
    pub stale_scopes: ScopeSet,
    /// When a proof of a key may have been made.
    pub proof_window: Window,
    /// How many introspections may be under way at once.
    pub in_flight: usize,
    /// How long a request waits for its introspection to begin.
    pub failfast: Duration,
    /// Counts.
    pub metrics: Arc<AuthMetrics>,
}

/// How many cut-offs there had been at some moment.
#[derive(Clone, Copy, Debug)]
pub struct RevocationEpoch(u64);

/// Where the rest of the program meets the actor.
#[derive(Clone)]
pub struct AuthHandle {
    metadata: Recipient<FetchMetadata>,
    verify_logout: Recipient<VerifyLogout>,
    ping: Recipient<Ping>,
    gate: Gate,
    logout_gate: Gate,
    shared: Arc<Shared>,
    proofs: Arc<Proofs>,
    active_uses: ActiveUses,
}

impl AuthHandle {
    /// Starts an actor for metadata and logout tokens. Those that introspect are started by
    /// [`AuthHandle::start_worker`], one on each thread that serves.
    #[must_use]
    pub fn start(settings: AuthSettings, clock: Clock, arbiter: &ArbiterHandle) -> Self {
        let gate = Gate::new(settings.in_flight, settings.failfast);
        let window = settings.proof_window;
        let logout_gate = Gate::new(LOGOUTS_IN_FLIGHT, settings.failfast);
        let tokens: Vec<_> = settings
            .issuers
            .iter()
            .map(|issuer| IssuerTokens {
                issuer: issuer.url.clone(),
                prefixes: issuer.token_prefixes.clone(),
            })
            .collect();
        let issuers = settings.issuers.iter().map(|issuer| {
            Arc::new(IssuerState::new(
                issuer.clone(),
                settings.resource.clone(),
                &settings.scopes,
                settings.stale_scopes,
                clock.clone(),
                Arc::clone(&settings.metrics),
            ))
        });
        let shared = Arc::new(Shared {
            routes: Routes::new(&tokens),
            flights: SingleFlight::default(),
            revocations: RevocationLog::default(),
            watchers: Mutex::default(),
            issuers: issuers.collect(),
            metrics: Arc::clone(&settings.metrics),
            clock: clock.clone(),
        });
        let address = AuthActor::start_in_arbiter(arbiter, {
            let shared = Arc::clone(&shared);
            move |_| AuthActor::new(&shared)
        });
        let active_uses = ActiveUses::default();
        let told = OpenUsesActor::start_in_arbiter(arbiter, {
            let active_uses = active_uses.clone();
            move |_| OpenUsesActor(active_uses)
        });
        let handle = Self {
            metadata: address.clone().recipient(),
            verify_logout: address.clone().recipient(),
            ping: address.recipient(),
            gate,
            logout_gate,
            shared,
            proofs: Arc::new(Proofs::new(window.back + window.ahead)),
            active_uses,
        };
        handle.on_revocation(told.recipient());
        handle
    }

    /// A mark of the cut-offs so far, to be taken before a token is looked at.
    #[must_use]
    pub fn revocation_epoch(&self) -> RevocationEpoch {
        RevocationEpoch(self.shared.revocations.revocation_epoch())
    }

    /// Enters something that lasts as long as its token is good: a stream, a call. It hears of every
    /// cut-off since the mark.
    #[must_use]
    pub fn active_use(&self, principal: &Principal, since: RevocationEpoch) -> ActiveUse {
        self.unless_late(self.active_uses.of_token(principal), principal, since)
    }

    /// Enters something that another token of the same user and client may go on with: a session.
    #[must_use]
    pub fn active_use_of_owner(&self, principal: &Principal, since: RevocationEpoch) -> ActiveUse {
        self.unless_late(self.active_uses.of_owner(principal), principal, since)
    }

    /// Looked at after it was entered: whoever is cut off from now on is told.
    fn unless_late(
        &self,
        entered: ActiveUse,
        principal: &Principal,
        since: RevocationEpoch,
    ) -> ActiveUse {
        if self.shared.revocations.cover_since(principal, since.0) {
            entered.late()
        } else {
            entered
        }
    }

    /// How long what the principal's issuer says is believed, an outage included.
    #[must_use]
    pub fn patience(&self, principal: &Principal) -> TimeDelta {
        self.issuer(&principal.issuer)
            .map_or(TimeDelta::zero(), |issuer| issuer.token_cache.patience())
    }

    /// What is known of a token without asking its issuer.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a token of no known issuer.
    pub fn lookup(&self, token: &BearerToken) -> Result<Lookup, AuthError> {
        let (issuer, credential) = self.locate(token)?;
        let metrics = &self.shared.metrics;
        if let Some(known) = self.known(issuer, &credential) {
            metrics.introspection_cache(match known {
                Ok(_) => CacheResult::Hit,
                Err(_) => CacheResult::NegativeHit,
            });
            return Ok(Lookup::Known(known));
        }
        let (answer, flight) = self.shared.flights.join(credential);
        metrics.introspection_cache(match flight {
            Some(_) => CacheResult::Miss,
            None => CacheResult::Coalesced,
        });
        let follower = Follower(answer);
        Ok(match flight {
            Some(flight) => Lookup::Leader(Leader {
                issuer,
                credential,
                flight,
                follower,
            }),
            None => Lookup::Follower(follower),
        })
    }

    /// Starts the AuthActor of this thread, which asks the issuers for the requests that the thread
    /// serves. Call it in the app factory. Needs an actix arbiter.
    #[must_use]
    pub fn start_worker(&self) -> AuthWorker {
        AuthWorker::new(self.gate.clone(), Arc::clone(&self.shared))
    }

    /// Notes that a proof came with a good token that is bound to its key, and says whether it came
    /// before.
    #[must_use]
    pub fn present(&self, proof: &Proof) -> ReplayCheck {
        self.proofs.present(proof, self.shared.clock.now())
    }

    /// The first issuer's metadata as it stands, for clients that look for it here.
    ///
    /// # Errors
    /// An outage.
    pub async fn metadata(&self) -> Result<Arc<str>, AuthError> {
        let permit = self.gate.admit().await.map_err(|_| AuthError::Busy)?;
        self.metadata
            .send(FetchMetadata { permit })
            .await
            .unwrap_or_else(|error| {
                Err(AuthError::IssuerDown {
                    source: Cause::new(error),
                    retry_after: None,
                })
            })
    }

    /// Whom a logout token wants to be cut off. It is good once.
    ///
    /// # Errors
    /// Why nobody is.
    pub async fn verify_logout(&self, token: SecretString) -> Result<Revocation, LogoutError> {
        let admitted = self.logout_gate.admit().await;
        let permit = admitted.map_err(|_| LogoutError::Unavailable(AuthError::Busy))?;
        self.verify_logout
            .send(VerifyLogout { token, permit })
            .await
            .unwrap_or_else(|error| {
                Err(LogoutError::Unavailable(AuthError::IssuerDown {
                    source: Cause::new(error),
                    retry_after: None,
                }))
            })
    }

    /// Has the actor answer. Not behind the gate: it asks nobody.
    ///
    /// # Errors
    /// [`Stopped`] if the actor is gone.
    pub async fn ping(&self) -> Result<(), Stopped> {
        self.ping.send(Ping).await.map_err(|_| Stopped)
    }

    /// Whether the actor still takes messages.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.ping.connected()
    }

    /// How many places of each gate are taken, and how many there are.
    #[must_use]
    pub fn gates(&self) -> [(&'static str, usize, usize); 2] {
        [("introspection", &self.gate), ("logout", &self.logout_gate)]
            .map(|(name, gate)| (name, gate.taken(), gate.depth()))
    }

    /// Whether each issuer is asked at the moment.
    pub fn circuits(&self) -> impl Iterator<Item = (&str, CircuitState)> {
        let issuers = self.shared.issuers.iter();
        issuers.map(|issuer| (issuer.name(), issuer.circuit()))
    }

    /// Whether tokens of an issuer are good here.
    #[must_use]
    pub fn knows_issuer(&self, issuer: &str) -> bool {
        self.issuer(issuer).is_some()
    }

    /// Cuts somebody off: what is known of them is forgotten, and what is open for them ends. Whether
    /// they are let in again is the authorization server's word.
    pub fn revoke(&self, revocation: &Revocation) {
        self.shared.revoke(revocation);
    }

    /// Every cut-off that ends the use of the token with this SHA-256, whichever issuer's it is.
    #[must_use]
    pub fn credentials_of_digest(&self, digest: &[u8; 32]) -> Vec<Revocation> {
        self.shared
            .issuers
            .iter()
            .map(|issuer| Revocation::Credential(issuer.token_cache.credential_of_digest(digest)))
            .collect()
    }

    /// Has somebody told of every cut-off.
    pub fn on_revocation(&self, watcher: Recipient<Revoked>) {
        let watchers = &self.shared.watchers;
        watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watcher);
    }

    /// Has the files of secrets looked at before the next call.
    pub fn reload(&self) {
        for issuer in &self.shared.issuers {
            issuer.reload();
        }
    }

    fn issuer(&self, name: &str) -> Option<&Arc<IssuerState>> {
        let mut issuers = self.shared.issuers.iter();
        issuers.find(|issuer| issuer.name() == name)
    }

    /// Whose token this is, and its name in that issuer's cache.
    fn locate(&self, token: &BearerToken) -> Result<(usize, Credential), AuthError> {
        let issuer = self
            .shared
            .routes
            .issuer_of(token, || jwt::peek_issuer(token))
            .ok_or(AuthError::Refused(Refusal::NobodysToken))?;
        let token_cache = &self.shared.issuers[issuer].token_cache;
        Ok((issuer, token_cache.credential(token)))
    }

    fn known(&self, issuer: usize, credential: &Credential) -> Option<Outcome> {
        let now = self.shared.clock.now();
        match self.shared.issuers[issuer]
            .token_cache
            .find(credential, now)
        {
            Known::Good(principal) => Some(Ok(principal)),
            Known::Bad(refusal) => Some(Err(AuthError::Refused(refusal))),
            Known::Nothing => None,
        }
    }
}

#[cfg(test)]
impl AuthHandle {
    /// One that knows no authorization server, on this thread.
    pub(crate) fn of_test() -> Self {
        let settings = AuthSettings {
            issuers: Vec::new(),
            resource: "https://journal.example"
                .parse::<crate::url::PublicUrl>()
                .expect("a URL")
                .resource("/mcp"),
            scopes: Scopes::of_test(),
            stale_scopes: ScopeSet::EMPTY,
            proof_window: Window::default(),
            in_flight: 1,
            failfast: Duration::ZERO,
            metrics: Arc::default(),
        };
        Self::start(settings, Clock::system(), &actix_rt::Arbiter::current())
    }
}
