//! What of an authorization server is the same on every thread that asks it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::http::Uri;
use chrono::TimeDelta;
use url::Url;

use super::{
    circuit_breaker::Breaker,
    client::{Metadata, uri},
    credential_rotation::Secret,
    document_cache::Fetched,
    http_client::trust,
    settings::IssuerSettings,
};
use crate::{
    auth::{AuthError, token_cache::TokenCache},
    revocation::back_channel::Used,
};
use crate::{
    clock::{Clock, Timestamp},
    jose::keys::KeySet,
    metrics::{AuthMetrics, CircuitState},
    scope::{ScopeSet, Scopes},
    url::ResourceUri,
    validation::ExpectedClaims,
};

/// How long the issuer's metadata is believed, and how long an old one serves on while no new one can
/// be had: it names endpoints, which seldom move.
const METADATA_LIFETIME: TimeDelta = TimeDelta::minutes(10);
const LONGEST_METADATA: TimeDelta = TimeDelta::days(7);

/// The same for the issuer's keys: an issuer that has lost one takes it out of its set.
const KEYS_LIFETIME: TimeDelta = TimeDelta::minutes(10);
const LONGEST_KEYS: TimeDelta = TimeDelta::hours(24);

/// An authorization server: how to reach it, whether it may be asked now, what it published, and what it
/// said of tokens.
pub(crate) struct IssuerState {
    pub(crate) settings: IssuerSettings,
    /// What its tokens have to be.
    pub(crate) expectation: ExpectedClaims,
    /// The endpoint of introspection that was configured.
    pub(crate) introspection: Option<Result<Uri, AuthError>>,
    /// Whom its certificate may be signed by; `None` if it has nothing but plain endpoints.
    pub(crate) trust: Option<Arc<rustls::ClientConfig>>,
    pub(crate) secret: Option<Secret>,
    pub(crate) metadata: Fetched<Metadata>,
    pub(crate) keys: Fetched<KeySet>,
    pub(crate) token_cache: TokenCache,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<AuthMetrics>,
    breaker: Mutex<Breaker>,
    used_logouts: Mutex<Used>,
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
            secret: settings
                .client
                .as_ref()
                .map(|client| Secret::new(&client.secret)),
            metadata: Fetched::new(METADATA_LIFETIME, LONGEST_METADATA),
            keys: Fetched::new(KEYS_LIFETIME, LONGEST_KEYS),
            clock,
            metrics,
            breaker: Mutex::new(Breaker::new(settings.timeout)),
            used_logouts: Mutex::default(),
            settings,
        }
    }

    /// Its identifier.
    pub(crate) fn name(&self) -> &str {
        self.expectation.issuer.as_str()
    }

    /// Lets an introspection through.
    ///
    /// # Errors
    /// How long to wait, if the circuit is open.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        self.breaker().admit(self.clock.now())
    }

    /// Takes note of what became of an introspection that was let through.
    pub(crate) fn learn<T>(&self, outcome: &Result<T, AuthError>) {
        let wait = match outcome {
            Ok(_) => return self.breaker().succeeded(),
            Err(AuthError::IssuerDown { retry_after, .. }) => *retry_after,
            Err(_) => None,
        };
        self.breaker().failed(wait, self.clock.now());
    }

    /// Whether it is asked at the moment.
    pub(crate) fn circuit(&self) -> CircuitState {
        self.breaker().circuit()
    }

    /// Uses a logout token up, which is good until then; `false` if it was used before.
    pub(crate) fn use_logout(&self, token_id: &str, until: Timestamp) -> bool {
        let mut used = self
            .used_logouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.take(token_id, until, self.clock.now())
    }

    /// Has the files of secrets looked at before the next call.
    pub(crate) fn reload(&self) {
        if let Some(secret) = &self.secret {
            secret.reload();
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
