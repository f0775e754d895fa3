//! *Purpose:* checks access tokens: the cache of results, the introspection of unknown tokens (RFC 7662), the
//! verification of JWTs (RFC 9068), and revocation. One [`AuthHandle`] is shared by all threads; one
//! [`AuthWorker`] on each worker thread calls the authorization servers.
//!
//! *Used by:* `guard`, and servers through [`Guard::auth`](crate::guard::Guard::auth).
//!
//! *Invariants:* it decides nothing about scopes; caches hold keyed hashes, never tokens; a token is sent to
//! its own issuer only; a result that is older than a revocation is not used.
//!
//! *Start reading at* `AuthHandle::lookup` in this file, then `worker.rs` and `actor.rs`.

mod actor;
pub(crate) mod error;
mod first_question;
mod orders;
mod scope_names;
mod settings;
pub(crate) mod shared;
pub(crate) mod single_flight;
pub(crate) mod token_cache;
mod worker;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix::{Actor, Recipient};
use actix_rt::ArbiterHandle;
use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::{
    actor::{AuthActor, FetchMetadata, Ping, VerifyLogout},
    shared::Shared,
    single_flight::{Outcome, SingleFlight},
    token_cache::Cached,
    worker::{Follower, Gates},
};
use crate::{
    bearer::BearerToken,
    cause::Cause,
    clock::{Clock, ClockWatch, Timestamp},
    dpop::proof::Proof,
    fair_gate::{FairGate, Shares},
    issuer::{
        selector::{IssuerSelector, IssuerTokens},
        state::IssuerState,
    },
    jose::jwt,
    limits::Source,
    metrics::{CacheResult, CircuitState},
    principal::{Credential, Principal},
    rare_log::RareLog,
    replay_cache::{ReplayCache, ReplayCheck, WhenFull},
    revocation::{
        InMemoryRevocationStore, RevocationStore,
        active_use::{ActiveUse, ActiveUses, ActiveUsesActor},
        log::RevocationLog,
    },
    validation::Refusal,
};

pub use self::{
    error::{AuthError, Stopped},
    shared::Revoked,
    token_cache::CacheSettings,
    worker::AuthWorker,
};
pub(crate) use self::{
    settings::AuthSettings,
    worker::{Admission, Leader, Lookup},
};

/// The number of logout tokens that are verified concurrently, and of requests that wait for the metadata. They
/// have their own limits, so that a flood of them does not delay requests with tokens.
const DOCUMENT_SHARES: Shares = Shares {
    all: 16,
    strangers: 16,
    source: 4,
};

/// The number of tokens in use that are checked in the background at once, in places of their own, and of one user.
const REFRESH_SHARES: Shares = Shares {
    all: 32,
    strangers: 32,
    source: 8,
};

/// The number of introspection replies over 16 KiB that are in memory at once.
pub(crate) const LONG_REPLIES: Shares = Shares {
    all: 8,
    strangers: 8,
    source: 2,
};

/// The number of DPoP proofs that are remembered.
const PROOFS: usize = 250_000;

/// The number of proofs of one user that are remembered, whatever keys the user's clients have: what the default
/// rate limit admits within the lifetime of a proof, 33,000, and some more.
const PROOFS_PER_USER: usize = 37_500;

/// The number of revocations up to a point in time, taken before a token is checked.
#[derive(Clone, Copy, Debug)]
pub struct RevocationEpoch(u64);

/// Checks tokens and revokes them. Clones share all state.
#[derive(Clone)]
pub struct AuthHandle {
    metadata: Recipient<FetchMetadata>,
    verify_logout: Recipient<VerifyLogout>,
    ping: Recipient<Ping>,
    gates: Gates,
    metadata_gate: FairGate,
    logout_gate: FairGate,
    shared: Arc<Shared>,
    proof_lifetime: TimeDelta,
    active_uses: ActiveUses,
    store: Arc<dyn RevocationStore>,
    asks_first: bool,
}

impl AuthHandle {
    /// Starts the actors for metadata, logout tokens and revocations on `arbiter`. The introspection actors
    /// are started by [`AuthHandle::start_worker`].
    #[must_use]
    pub(crate) fn start(settings: AuthSettings, clock: Clock, arbiter: &ArbiterHandle) -> Self {
        let gate = |shares| FairGate::new(shares, settings.document_patience);
        let gates = Gates {
            verification: FairGate::new(settings.in_flight, settings.patience),
            introspection: FairGate::new(settings.in_flight, settings.patience),
            refresh: gate(REFRESH_SHARES),
        };
        let long_replies = gate(LONG_REPLIES);
        let window = settings.proof_window;
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
                long_replies.clone(),
            ))
        });
        let shared = Arc::new(Shared {
            selector: IssuerSelector::new(&tokens),
            single_flight: SingleFlight::default(),
            revocations: RevocationLog::default(),
            has_restored: watch::Sender::new(settings.revocation_store.is_none()),
            subscribers: Mutex::default(),
            on_order: OnceLock::new(),
            read_orders: Arc::default(),
            issuers: issuers.collect(),
            metrics: Arc::clone(&settings.metrics),
            clock_watch: ClockWatch::new(clock.clone()),
            proofs: ReplayCache::new(PROOFS, PROOFS_PER_USER, WhenFull::Reject),
            clock,
            stale_log: RareLog::default(),
        });
        let address = AuthActor::start_in_arbiter(arbiter, {
            let shared = Arc::clone(&shared);
            move |_| AuthActor::new(&shared)
        });
        let active_uses = ActiveUses::default();
        let revocations = ActiveUsesActor::start_in_arbiter(arbiter, {
            let active_uses = active_uses.clone();
            move |_| ActiveUsesActor(active_uses)
        });
        let handle = Self {
            metadata: address.clone().recipient(),
            verify_logout: address.clone().recipient(),
            ping: address.recipient(),
            gates,
            metadata_gate: gate(DOCUMENT_SHARES),
            logout_gate: gate(DOCUMENT_SHARES),
            shared,
            proof_lifetime: window.back + window.ahead,
            active_uses,
            asks_first: settings.asks_first,
            store: settings
                .revocation_store
                .unwrap_or_else(|| Arc::new(InMemoryRevocationStore::default())),
        };
        handle.on_revocation(revocations.recipient());
        if !handle.shared.has_restored() {
            let (store, shared) = (Arc::clone(&handle.store), Arc::downgrade(&handle.shared));
            let wanted = Arc::clone(&handle.shared.read_orders);
            arbiter.spawn_fn(move || drop(actix_rt::spawn(orders::follow(store, shared, wanted))));
        }
        if settings.asks_first {
            let shared = Arc::clone(&handle.shared);
            arbiter.spawn_fn(move || first_question::ask_all(&shared));
        }
        handle
    }

    /// The current revocation epoch. Take it before a token is checked.
    #[must_use]
    pub fn revocation_epoch(&self) -> RevocationEpoch {
        RevocationEpoch(self.shared.revocations.revocation_epoch())
    }

    /// Registers the use of a token: a stream or a call, which ends when the token is revoked. It is revoked
    /// from the start if a revocation since the epoch covers it.
    #[must_use]
    pub fn active_use(&self, principal: &Principal, since: RevocationEpoch) -> ActiveUse {
        self.unless_revoked(self.active_uses.of_token(principal), principal, since)
    }

    /// Registers the use of an authorization: a session, which another token of the same user and client
    /// may continue. It ends when the user or the client is revoked.
    #[must_use]
    pub fn active_use_of_owner(&self, principal: &Principal, since: RevocationEpoch) -> ActiveUse {
        self.unless_revoked(self.active_uses.of_owner(principal), principal, since)
    }

    /// Whether what this user and client began at that time was ended by a revocation since: of the user, of the
    /// client, or of everybody. For what outlives the process, or goes on in another one.
    #[must_use]
    pub fn was_revoked_since(&self, principal: &Principal, begun_at: Timestamp) -> bool {
        self.shared.revocations.cover_begun(principal, begun_at)
    }

    /// Checked after the registration, so that a concurrent revocation is never missed.
    fn unless_revoked(
        &self,
        active_use: ActiveUse,
        principal: &Principal,
        since: RevocationEpoch,
    ) -> ActiveUse {
        if self.shared.revocations.cover_since(principal, since.0) {
            active_use.already_revoked()
        } else {
            active_use
        }
    }

    /// How long a result for the principal is used at most, an outage of the issuer included.
    #[must_use]
    pub fn max_staleness(&self, principal: &Principal) -> TimeDelta {
        self.issuer(&principal.issuer)
            .map_or(TimeDelta::zero(), |issuer| {
                issuer.token_cache.max_staleness()
            })
    }

    /// Looks a token up in the cache; if it is missing, decides whether this request introspects it.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a token of an unknown issuer.
    pub(crate) fn lookup(&self, token: &BearerToken) -> Result<Lookup, AuthError> {
        let (issuer, credential) = self.locate(token)?;
        let metrics = &self.shared.metrics;
        if let Some(cached) = self.cached(issuer, &credential) {
            metrics.introspection_cache(cached.result);
            return Ok(match cached.outcome {
                Ok(principal) if cached.is_due => self.due(issuer, credential, principal),
                outcome => Lookup::Known(outcome),
            });
        }
        let (pending, completion) = self.shared.single_flight.join(credential);
        metrics.introspection_cache(match completion {
            Some(_) => CacheResult::Miss,
            None => CacheResult::Coalesced,
        });
        let follower = Follower(pending);
        let now = self.shared.clock.now();
        let token_cache = &self.shared.issuers[issuer].token_cache;
        Ok(match completion {
            Some(completion) => Lookup::Leader(Leader {
                issuer,
                credential,
                known: token_cache.known_user(&credential, now),
                completion,
                follower,
            }),
            None => Lookup::Follower(follower),
        })
    }

    /// Starts the introspection actor of this worker thread. Call it in the app factory and put the result
    /// into `app_data`. [`Guard::configure`](crate::guard::Guard::configure) does both. Needs an actix
    /// arbiter.
    #[must_use]
    pub fn start_worker(&self) -> AuthWorker {
        AuthWorker::new(self.gates.clone(), Arc::clone(&self.shared))
    }

    /// Whether a proof was presented before (RFC 9449 §11.1).
    #[must_use]
    pub(crate) fn has_seen(&self, principal: &Principal, proof: &Proof) -> bool {
        self.shared.look_at_clock();
        let now = self.shared.clock.now();
        let user = principal.user.as_uuid();
        self.shared
            .proofs
            .has(user.as_bytes(), proof.unique_id(), now)
    }

    /// Checks that a proof was not presented before (RFC 9449 §11.1), and remembers it. Call it only for the
    /// proof of a valid token that is bound to its key, and after the rate limits, so that nobody else can fill
    /// the cache. Proofs are counted for the user, because a client can have any number of keys.
    #[must_use]
    pub(crate) fn check_replay(&self, principal: &Principal, proof: &Proof) -> ReplayCheck {
        self.shared.look_at_clock();
        let now = self.shared.clock.now();
        let until = now + self.proof_lifetime;
        let user = principal.user.as_uuid();
        self.shared
            .proofs
            .check(user.as_bytes(), proof.unique_id(), until, now)
    }

    /// The metadata document of the first issuer, for [`Guard`](crate::guard::Guard).
    pub(crate) async fn metadata(&self, source: Source) -> Result<Arc<str>, AuthError> {
        let admitted = self.metadata_gate.admit(Some(source), false).await;
        let permit = admitted.map_err(|_| AuthError::Busy)?;
        self.metadata
            .send(FetchMetadata { permit })
            .await
            .unwrap_or_else(|error| {
                Err(AuthError::IssuerUnavailable {
                    source: Cause::new(error),
                    retry_after: None,
                })
            })
    }

    /// Waits for the actor to process a message: a health check. It needs no slot and makes no call.
    ///
    /// # Errors
    /// [`Stopped`] if the actor has stopped.
    pub async fn ping(&self) -> Result<(), Stopped> {
        self.ping.send(Ping).await.map_err(|_| Stopped)
    }

    /// Whether the actor is running.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.ping.connected()
    }

    /// The name, the used slots and the capacity of each concurrency limit.
    #[must_use]
    pub fn gates(&self) -> [(&'static str, usize, usize); 5] {
        [
            ("introspection", &self.gates.introspection),
            ("verification", &self.gates.verification),
            ("refresh", &self.gates.refresh),
            ("metadata", &self.metadata_gate),
            ("logout", &self.logout_gate),
        ]
        .map(|(name, gate)| (name, gate.taken(), gate.depth()))
    }

    /// The issuers and the states of their circuit breakers.
    pub fn circuits(&self) -> impl Iterator<Item = (&str, CircuitState)> {
        let issuers = self.shared.issuers.iter();
        issuers.map(|issuer| (issuer.name(), issuer.circuit()))
    }

    /// Whether tokens of this issuer are accepted.
    #[must_use]
    pub fn knows_issuer(&self, issuer: &str) -> bool {
        self.issuer(issuer).is_some()
    }

    /// Subscribes an actor to revocations. It is notified even if its mailbox is full.
    pub fn on_revocation(&self, subscriber: Recipient<Revoked>) {
        self.shared.subscribers.lock().push(subscriber);
    }

    /// Makes the next call to each issuer read the files of secrets again.
    pub fn reload(&self) {
        for issuer in &self.shared.issuers {
            issuer.reload();
        }
    }

    fn issuer(&self, name: &str) -> Option<&Arc<IssuerState>> {
        let mut issuers = self.shared.issuers.iter();
        issuers.find(|issuer| issuer.name() == name)
    }

    /// The index of the issuer of a token, and the key of the token in its cache.
    fn locate(&self, token: &BearerToken) -> Result<(usize, Credential), AuthError> {
        let issuer = self
            .shared
            .selector
            .select(token, || jwt::peek_issuer(token))
            .ok_or(AuthError::Refused(Refusal::UnknownIssuer))?;
        let token_cache = &self.shared.issuers[issuer].token_cache;
        Ok((issuer, token_cache.credential(token)))
    }

    /// A token that is active and has to be checked again in the background, unless that is under way.
    fn due(&self, issuer: usize, credential: Credential, principal: Arc<Principal>) -> Lookup {
        let (pending, completion) = self.shared.single_flight.join(credential);
        let Some(completion) = completion else {
            return Lookup::Known(Ok(principal));
        };
        let leader = Leader {
            issuer,
            credential,
            known: Some(principal.user),
            completion,
            follower: Follower(pending),
        };
        Lookup::Due(principal, leader)
    }

    fn cached(&self, issuer: usize, credential: &Credential) -> Option<Found> {
        self.shared.look_at_clock();
        let now = self.shared.clock.now();
        let token_cache = &self.shared.issuers[issuer].token_cache;
        let found = |outcome, result, is_due| {
            Some(Found {
                outcome,
                result,
                is_due,
            })
        };
        let refused = |error| found(Err(error), CacheResult::NegativeHit, false);
        match token_cache.find(credential, now) {
            Cached::Active(principal) => found(Ok(principal), CacheResult::Hit, false),
            Cached::Due(principal) => found(Ok(principal), CacheResult::Hit, true),
            Cached::Refused(refusal) => refused(AuthError::Refused(refusal)),
            Cached::Uncheckable(left) => match token_cache.find_stale(credential, now) {
                Some(stale) => found(Ok(stale), CacheResult::Stale, false),
                None => refused(uncheckable_still(left)),
            },
            Cached::Missing => None,
        }
    }
}

/// What the cache has of a token.
struct Found {
    outcome: Outcome,
    result: CacheResult,
    /// Whether the caller has to have it checked again.
    is_due: bool,
}

/// The issuer answered something odd about a token a moment ago.
fn uncheckable_still(left: Duration) -> AuthError {
    AuthError::Uncheckable {
        source: Cause::new("the token could not be checked a moment ago"),
        // Rounded up to the seconds of `Retry-After`, so that nobody comes back before.
        retry_after: Duration::from_secs(left.as_millis().div_ceil(1_000) as u64),
    }
}

#[cfg(test)]
impl AuthHandle {
    /// A handle without issuers, on this thread.
    pub(crate) fn of_test() -> Self {
        let settings = AuthSettings {
            issuers: Vec::new(),
            resource: "https://files.example"
                .parse::<crate::url::PublicUrl>()
                .expect("a URL")
                .resource("/mcp"),
            scopes: crate::scope::Scopes::of_test(),
            stale_scopes: crate::scope::ScopeSet::EMPTY,
            proof_window: crate::dpop::proof::Window::default(),
            in_flight: Shares {
                all: 1,
                strangers: 1,
                source: 1,
            },
            patience: Duration::ZERO,
            document_patience: Duration::ZERO,
            metrics: Arc::default(),
            revocation_store: None,
            asks_first: false,
        };
        Self::start(settings, Clock::system(), &actix_rt::Arbiter::current())
    }
}
