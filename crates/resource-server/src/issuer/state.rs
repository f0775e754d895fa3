//! The state of one authorization server that all threads share.

use std::sync::Arc;

use actix_web::http::Uri;
use chrono::TimeDelta;
use parking_lot::{Mutex, MutexGuard};
use url::Url;

use super::{
    asker::Asker,
    circuit_breaker::{Admission, CircuitBreaker, Failure, Opened, PAUSE},
    credential_rotation::CredentialRotation,
    destinations::Destinations,
    document_cache::CachedDocument,
    first_answer::FirstAnswer,
    http_client::trust,
    inactive_tokens::InactiveTokens,
    metadata::{Metadata, uri},
    outcome::{CallError, Finding},
    settings::IssuerSettings,
    waits::Waits,
};
use crate::{
    auth::{error::AuthError, token_cache::TokenCache},
    cause::Cause,
    clock::{Clock, Timestamp},
    fair_gate::FairGate,
    jose::keys::KeySet,
    metrics::{AuthMetrics, CircuitState, Introspection},
    rare_log::RareLog,
    replay_cache::{ReplayCache, ReplayCheck, WhenFull},
    scope::{ScopeSet, Scopes},
    url::ResourceUri,
    validation::ExpectedClaims,
};

/// How long metadata is cached, and how long it is used while it cannot be fetched again: endpoints seldom
/// change.
const METADATA_LIFETIME: TimeDelta = TimeDelta::minutes(10);
const METADATA_MAX_AGE_ON_ERROR: TimeDelta = TimeDelta::days(7);

/// The same for keys: an issuer removes a compromised key from its set.
const KEYS_LIFETIME: TimeDelta = TimeDelta::minutes(10);
const KEYS_MAX_AGE_ON_ERROR: TimeDelta = TimeDelta::hours(24);

/// The number of logout tokens that are remembered. When there are more, the one that expires first is
/// forgotten: replaying it would only repeat a revocation of the same user.
const LOGOUTS: usize = 10_000;

/// The settings of an authorization server, its documents, the state of its circuit, and its token cache.
pub(crate) struct IssuerState {
    pub(crate) settings: IssuerSettings,
    /// The claims that its tokens need.
    pub(crate) expectation: ExpectedClaims,
    /// The configured introspection endpoint.
    pub(crate) introspection: Option<Result<Uri, AuthError>>,
    /// The trusted certificate authorities; `None` if all of its endpoints use plain HTTP.
    pub(crate) trust: Option<Arc<rustls::ClientConfig>>,
    /// The addresses that its endpoints may have.
    pub(crate) destinations: Destinations,
    pub(crate) secret: Option<CredentialRotation>,
    pub(crate) metadata: Arc<CachedDocument<Metadata>>,
    pub(crate) keys: Arc<CachedDocument<KeySet>>,
    pub(crate) token_cache: TokenCache,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<AuthMetrics>,
    pub(crate) long_replies: FairGate,
    pub(crate) first_answer: FirstAnswer,
    inactive_tokens: InactiveTokens,
    breaker: Mutex<CircuitBreaker>,
    waits: Waits,
    odd_answers: RareLog,
    rejected_client: RareLog,
    used_logouts: ReplayCache,
}

impl IssuerState {
    pub(crate) fn new(
        settings: IssuerSettings,
        resource: ResourceUri,
        scopes: &Scopes,
        stale_scopes: ScopeSet,
        clock: Clock,
        metrics: Arc<AuthMetrics>,
        long_replies: FairGate,
    ) -> Self {
        let is_plain = settings.url.as_str().starts_with("http:")
            && [
                &settings.metadata_url,
                &settings.introspection_url,
                &settings.keys_url,
            ]
            .into_iter()
            .flatten()
            .all(|url: &Url| url.scheme() == "http");
        let types = settings.jwt.as_ref().map(|jwt| &jwt.types);
        let rules = format!("{} {:?} {types:?}", resource.as_str(), settings.rules);
        Self {
            token_cache: TokenCache::new(
                settings.cache,
                settings.url.as_str(),
                &rules,
                stale_scopes,
            ),
            expectation: ExpectedClaims {
                issuer: settings.url.clone(),
                resource,
                rules: settings.rules.clone(),
                scopes: scopes.clone(),
            },
            introspection: settings.introspection_url.as_ref().map(uri),
            trust: (!is_plain).then(trust),
            destinations: Destinations::of(&settings),
            secret: settings
                .client
                .as_ref()
                .map(|client| CredentialRotation::new(&client.secret)),
            metadata: CachedDocument::new(METADATA_LIFETIME, METADATA_MAX_AGE_ON_ERROR),
            keys: CachedDocument::new(KEYS_LIFETIME, KEYS_MAX_AGE_ON_ERROR),
            clock,
            metrics,
            long_replies,
            first_answer: FirstAnswer::new(&settings),
            inactive_tokens: InactiveTokens::default(),
            breaker: Mutex::default(),
            waits: Waits::new(),
            odd_answers: RareLog::default(),
            rejected_client: RareLog::default(),
            used_logouts: ReplayCache::new(LOGOUTS, LOGOUTS, WhenFull::EvictEarliest),
            settings,
        }
    }

    /// Its identifier.
    pub(crate) fn name(&self) -> &str {
        self.expectation.issuer.as_str()
    }

    /// Admits an introspection. Returns whether it has to be preceded by a probe.
    ///
    /// # Errors
    /// [`AuthError::IssuerUnavailable`] with the time until the next one is admitted, if the source waits or
    /// the circuit is open.
    pub(super) fn admit(&self, asker: &Asker) -> Result<bool, AuthError> {
        let now = self.clock.now();
        let refused = |source: &'static str, wait| AuthError::IssuerUnavailable {
            source: Cause::new(source),
            retry_after: Some(wait),
        };
        if let Some(source) = asker.stranger() {
            self.waits.admit(&source, now).map_err(|wait| {
                self.metrics
                    .introspection_skipped(Introspection::SourceWaits);
                refused("the source of the request has to wait", wait)
            })?;
        }
        match self.breaker().admit(now) {
            Ok(admission) => Ok(admission == Admission::Probe),
            Err(wait) => {
                self.metrics
                    .introspection_skipped(Introspection::CircuitOpen);
                Err(refused("the circuit is open", wait))
            }
        }
    }

    /// Records what an admitted introspection says about the endpoint, and about the source of the token.
    pub(super) fn record<T>(&self, asker: &Asker, outcome: &Result<T, CallError>) {
        let now = self.clock.now();
        let failed = match outcome {
            Ok(_) => {
                self.record_response(asker);
                return self.log_if_closed(self.breaker().succeeded());
            }
            Err(failed) => failed,
        };
        let failure = match failed.finding {
            Finding::Nothing => return self.log_odd(&failed.error, now),
            Finding::Unreachable => Some(Failure::Unreachable),
            Finding::Unanswered => Some(Failure::Unanswered),
            Finding::ServerError => Some(Failure::ServerError),
            Finding::Token => None,
            Finding::RateLimited(wait) => {
                if let Some(source) = asker.stranger() {
                    self.waits.rate_limited(source, wait, now);
                }
                None
            }
        };
        match (failure, asker.stranger()) {
            (Some(Failure::Unanswered), Some(source)) => self.waits.unanswered(source, now),
            (Some(Failure::Unreachable | Failure::Unanswered), _) => {}
            _ => {
                self.record_response(asker);
                self.log_if_closed(self.breaker().answered());
            }
        }
        let opens = failure.filter(|failure| {
            let opened = self.breaker().failed(*failure, asker, now);
            opened == Opened::Yes
        });
        if let Some(failure) = opens {
            self.log_open(failure, &failed.error);
        } else {
            self.log_odd(&failed.error, now);
        }
    }

    /// Records the outcome of a probe.
    ///
    /// # Errors
    /// That of the probe, if the endpoint did not answer.
    pub(super) fn record_probe(&self, outcome: Result<(), CallError>) -> Result<(), AuthError> {
        match outcome {
            Err(CallError {
                error,
                finding: finding @ (Finding::Unreachable | Finding::Unanswered),
                ..
            }) => {
                if self.breaker().probe_failed() {
                    let failure = match finding {
                        Finding::Unreachable => Failure::Unreachable,
                        _ => Failure::Unanswered,
                    };
                    self.log_open(failure, &error);
                } else {
                    log::debug!(issuer:% = self.settings.url; "the circuit stays open: {error}");
                }
                // The token itself was not introspected.
                self.metrics
                    .introspection_skipped(Introspection::CircuitOpen);
                Err(error)
            }
            _ => {
                self.log_if_closed(self.breaker().answered());
                Ok(())
            }
        }
    }

    /// Logs that the credentials of this server were rejected: for all tokens, or for an odd one.
    pub(super) fn log_rejected_client(&self, url: &str, error: &AuthError) {
        if self.rejected_client.due(self.clock.now()).is_some() {
            log::error!(
                issuer:% = self.settings.url, url = url;
                "the authorization server rejects the credentials of this resource server, or a token; if no token is accepted, check the configured client id and client secret ({error})"
            );
        }
    }

    /// Counts what the issuer said of a token that somebody presented, and says what may be wrong if it has called each
    /// of them inactive: some servers answer so about every token if this client may not introspect it.
    pub(super) fn record_reply(&self, is_active: bool) {
        if self.inactive_tokens.count(is_active) {
            log::warn!(
                issuer:% = self.settings.url;
                "the authorization server has called {} tokens in a row inactive, and none active since the start: if people \
                 cannot sign in, it may not let this client introspect the tokens of others (Keycloak from 26.6.2 needs the \
                 client id of this resource server in their aud)",
                InactiveTokens::TOO_MANY
            );
        }
    }

    fn log_odd(&self, error: &AuthError, now: Timestamp) {
        if let Some(others) = self.odd_answers.due(now) {
            log::warn!(
                issuer:% = self.settings.url, others = others;
                "a token could not be checked: {error}"
            );
        }
    }

    fn record_response(&self, asker: &Asker) {
        if let Some(source) = asker.stranger() {
            self.waits.answered(&source);
        }
    }

    fn log_open(&self, failure: Failure, error: &AuthError) {
        log::warn!(
            issuer:% = self.settings.url;
            "the circuit is open: the authorization server is not called for {} s, because {failure} ({error})",
            PAUSE.num_seconds()
        );
    }

    fn log_if_closed(&self, was_open: bool) {
        if was_open {
            log::info!(issuer:% = self.settings.url; "the circuit is closed: the authorization server answers");
        }
    }

    /// The state of the circuit breaker.
    pub(crate) fn circuit(&self) -> CircuitState {
        self.breaker().state()
    }

    /// Records the `jti` of a logout token that is valid until then; `false` if it was used before.
    pub(crate) fn use_logout(&self, token_id: &str, until: Timestamp) -> bool {
        let checked = self
            .used_logouts
            .check("", token_id, until, self.clock.now());
        checked == ReplayCheck::Fresh
    }

    /// Makes a logout token usable again.
    pub(crate) fn forget_logout(&self, token_id: &str) {
        self.used_logouts.forget("", token_id);
    }

    /// Makes the next call read the file of the secret again, for every token: one that could not be checked may
    /// have been refused because of the secret.
    pub(crate) fn reload(&self) {
        self.token_cache.forget_uncheckable();
        if let Some(secret) = &self.secret {
            secret.reload();
        }
    }

    /// Forgets what is believed, or waited for, by the wall clock, which was set forwards by this, or back: tokens are
    /// checked again, and the documents are fetched again.
    pub(crate) fn clock_jumped(&self, by: TimeDelta) {
        self.token_cache.forget_results();
        self.metadata.clock_jumped(by);
        self.keys.clock_jumped(by);
        self.waits.forget();
        self.used_logouts.clock_jumped(by);
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock()
    }
}
