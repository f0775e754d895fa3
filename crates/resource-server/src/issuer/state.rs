//! The state of one authorization server that all threads share.

use std::{sync::Arc, time::Duration};

use actix_web::http::Uri;
use chrono::TimeDelta;
use parking_lot::{Mutex, MutexGuard};
use url::Url;

use super::{
    circuit_breaker::CircuitBreaker,
    credential_rotation::CredentialRotation,
    destinations::Destinations,
    document_cache::CachedDocument,
    http_client::trust,
    metadata::{Metadata, uri},
    settings::IssuerSettings,
};
use crate::{
    auth::{error::AuthError, token_cache::TokenCache},
    clock::{Clock, Timestamp},
    jose::keys::KeySet,
    metrics::{AuthMetrics, CircuitState},
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
    pub(crate) metadata: CachedDocument<Metadata>,
    pub(crate) keys: CachedDocument<KeySet>,
    pub(crate) token_cache: TokenCache,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<AuthMetrics>,
    breaker: Mutex<CircuitBreaker>,
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
        let rules = format!("{} {}", resource.as_str(), settings.audience_may_be_absent);
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
                audience_may_be_absent: settings.audience_may_be_absent,
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
            breaker: Mutex::new(CircuitBreaker::new(settings.timeout)),
            used_logouts: ReplayCache::new(LOGOUTS, LOGOUTS, WhenFull::EvictEarliest),
            settings,
        }
    }

    /// Its identifier.
    pub(crate) fn name(&self) -> &str {
        self.expectation.issuer.as_str()
    }

    /// Admits an introspection.
    ///
    /// # Errors
    /// The time until the next one is admitted, if the circuit is open.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        self.breaker().admit(self.clock.now())
    }

    /// Records the outcome of an admitted introspection.
    pub(crate) fn record_outcome<T>(&self, outcome: &Result<T, AuthError>) {
        let wait = match outcome {
            Ok(_) => return self.breaker().succeeded(),
            Err(AuthError::IssuerUnavailable { retry_after, .. }) => *retry_after,
            Err(_) => None,
        };
        self.breaker().failed(wait, self.clock.now());
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

    /// Makes the next call read the file of the secret again.
    pub(crate) fn reload(&self) {
        if let Some(secret) = &self.secret {
            secret.reload();
        }
    }

    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock()
    }
}
