//! Declaring a guard.

use std::{io, sync::Arc, time::Duration};

use actix_rt::{Arbiter, ArbiterHandle};
use derive_more::{Display, Error, From};

use super::{
    document::MetadataDocument,
    state::{Guard, State},
};
use crate::{
    auth::{AuthHandle, AuthSettings},
    challenge::Challenger,
    clock::Clock,
    dpop::{nonce::Nonces, proof::Window, rules::ProofRules},
    fair_gate::Shares,
    issuer::Issuer,
    limits::{Limits, RateLimits, unknown_tokens::PATIENCE},
    metadata::{self, ProtectedResourceMetadata, ResourceDescription},
    metrics::AuthMetrics,
    rare_log::RareLog,
    revocation::RevocationStore,
    scope::{ScopeError, Scopes},
    url::{ResourceUri, UrlFault},
};

/// The maximum number of concurrent introspections: of all requests, of those with unknown tokens, and of those
/// of one source.
const INTROSPECTIONS_IN_FLIGHT: Shares = Shares {
    all: 256,
    strangers: 192,
    source: 64,
};

/// How long a request for a document or a logout waits for a free slot before it fails with 503.
const DOCUMENT_PATIENCE: Duration = Duration::from_millis(500);

/// Why a guard cannot be built.
#[derive(Clone, Debug, Display, Error, From, PartialEq, Eq)]
pub enum GuardError {
    /// The URL is not a valid resource identifier (RFC 8707 §2, RFC 9728 §1.2).
    #[display("the URL of the resource {_0}")]
    #[from(ignore)]
    Resource(UrlFault),
    /// The URL is not a valid issuer identifier (RFC 8414 §2).
    #[display("the URL of an issuer {_0}")]
    #[from(ignore)]
    Issuer(UrlFault),
    /// No issuer is declared.
    #[display("at least one issuer is required")]
    NoIssuer,
    /// A scope is declared incorrectly, or used without a declaration.
    #[display("{_0}")]
    Scope(ScopeError),
}

impl From<GuardError> for io::Error {
    fn from(error: GuardError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Builds a [`Guard`]. The defaults are safe on the open internet.
pub struct GuardBuilder {
    resource: String,
    issuers: Vec<Issuer>,
    scopes: Vec<(String, String)>,
    implications: Vec<(String, Vec<String>)>,
    baseline: Option<Vec<String>>,
    stale_scopes: Vec<String>,
    realm: Option<String>,
    description: ResourceDescription,
    limits: RateLimits,
    accepts_proofs: bool,
    nonces: Option<Nonces>,
    metrics: Arc<AuthMetrics>,
    revocation_store: Option<Arc<dyn RevocationStore>>,
    asks_first: bool,
    clock: Clock,
    arbiter: Option<ArbiterHandle>,
}

impl Guard {
    /// Starts to build a guard for the resource with this identifier: its URL as clients know it, and the
    /// audience that tokens need (RFC 8707 §2).
    #[must_use]
    pub fn builder(resource: impl Into<String>) -> GuardBuilder {
        GuardBuilder::new(resource)
    }
}

impl GuardBuilder {
    fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into(),
            issuers: Vec::new(),
            scopes: Vec::new(),
            implications: Vec::new(),
            baseline: None,
            stale_scopes: Vec::new(),
            realm: None,
            description: ResourceDescription::default(),
            limits: RateLimits::default(),
            accepts_proofs: true,
            nonces: None,
            metrics: Arc::default(),
            revocation_store: None,
            asks_first: false,
            clock: Clock::system(),
            arbiter: None,
        }
    }

    /// Replaces the resource identifier.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = resource.into();
        self
    }

    /// Adds an authorization server whose tokens are accepted. At least one is required.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<Issuer>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Declares a scope: its name, and a description for users. At most 64.
    #[must_use]
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.scopes.push((name.into(), description.into()));
        self
    }

    /// Makes the scope `broad` include the scopes `narrow`.
    #[must_use]
    pub fn scope_implies<S: Into<String>>(
        mut self,
        broad: impl Into<String>,
        narrow: impl IntoIterator<Item = S>,
    ) -> Self {
        let narrow = narrow.into_iter().map(Into::into).collect();
        self.implications.push((broad.into(), narrow));
        self
    }

    /// The scopes that challenges ask a client without a token to request. Default: all.
    #[must_use]
    pub fn baseline<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.baseline = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The scopes that a stale token keeps while its issuer is unavailable: those that only read. Default:
    /// none. How long a token may be stale is set by
    /// [`CacheSettings::stale`](crate::auth::CacheSettings::stale).
    #[must_use]
    pub fn stale_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.stale_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The `realm` of challenges (RFC 9110 §11.5). Default: the name of the resource, or its URL.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The human-readable part of the metadata (RFC 9728 §2).
    #[must_use]
    pub fn description(mut self, description: ResourceDescription) -> Self {
        self.description = description;
        self
    }

    /// Replaces the rate limits.
    #[must_use]
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether DPoP proofs are accepted (RFC 9449). Default: yes, without nonces. If they are not accepted,
    /// tokens that are bound to a key cannot be used. With `nonces`, a proof must contain one (§9).
    #[must_use]
    pub fn proofs(mut self, are_accepted: bool, nonces: Option<Nonces>) -> Self {
        self.accepts_proofs = are_accepted;
        self.nonces = nonces;
        self
    }

    /// The metrics to update. Default: new ones.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<AuthMetrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Where revocations are kept, so that they outlive the process. Default: in its memory. No token is accepted
    /// until the stored revocations were read.
    #[must_use]
    pub fn revocation_store(mut self, store: Arc<dyn RevocationStore>) -> Self {
        self.revocation_store = Some(store);
        self
    }

    /// Asks every issuer when the guard is built, about a random string and for its keys, and again until it has
    /// answered: see [`AuthHandle::asked`]. Default: no.
    #[must_use]
    pub fn ask_issuers_at_start(mut self, asks: bool) -> Self {
        self.asks_first = asks;
        self
    }

    /// The clock. Default: the system clock. Tests can use [`Clock::manual`].
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The thread that fetches metadata and verifies logout tokens. Default: the current one.
    #[must_use]
    pub fn arbiter(mut self, arbiter: ArbiterHandle) -> Self {
        self.arbiter = Some(arbiter);
        self
    }

    /// Builds the guard. Needs a running actix `System`.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub fn build(self) -> Result<Guard, GuardError> {
        let declared = self.scopes.iter();
        let declared = declared.map(|(name, description)| (name.as_str(), description.as_str()));
        let mut scopes = Scopes::declare(declared)?;
        for (broad, narrow) in &self.implications {
            let narrow = Vec::from_iter(narrow.iter().map(String::as_str));
            scopes = scopes.implying(broad, &narrow)?;
        }
        let named = |names: &[String]| {
            let names = Vec::from_iter(names.iter().map(String::as_str));
            scopes.set(&names)
        };
        let baseline = self.baseline.as_deref().map_or(Ok(scopes.all()), named)?;
        let stale_scopes = named(&self.stale_scopes)?;
        let resource: ResourceUri = self.resource.parse().map_err(GuardError::Resource)?;
        let issuers = self.issuers.into_iter().map(Issuer::settings);
        let issuers: Vec<_> = issuers
            .collect::<Result<_, _>>()
            .map_err(GuardError::Issuer)?;
        if issuers.is_empty() {
            return Err(GuardError::NoIssuer);
        }
        let mut description = self.description;
        if description.name.is_empty() {
            resource.as_str().clone_into(&mut description.name);
        }
        let realm = self.realm.unwrap_or_else(|| description.name.clone());
        let document = MetadataDocument::new(&ProtectedResourceMetadata::new(
            &resource,
            &issuers,
            &scopes,
            self.accepts_proofs,
            description,
        ));
        let scope_prefix = issuers[0].rules.scope_prefix.clone();
        let auth = AuthHandle::start(
            AuthSettings {
                issuers,
                resource: resource.clone(),
                scopes: scopes.clone(),
                stale_scopes,
                proof_window: Window::default(),
                in_flight: INTROSPECTIONS_IN_FLIGHT,
                patience: PATIENCE,
                document_patience: DOCUMENT_PATIENCE,
                metrics: self.metrics,
                revocation_store: self.revocation_store,
                asks_first: self.asks_first,
            },
            self.clock.clone(),
            &self.arbiter.unwrap_or_else(Arbiter::current),
        );
        Ok(Guard(Arc::new(State {
            auth,
            limits: Limits::new(self.limits, &self.clock),
            proofs: ProofRules::new(&resource, self.accepts_proofs, self.nonces),
            challenger: Challenger {
                realm,
                resource_metadata: metadata::url(&resource),
                accepts_proofs: self.accepts_proofs,
                baseline,
                scopes,
                scope_prefix,
            },
            document,
            resource,
            clock: self.clock,
            unavailable_log: RareLog::default(),
            unknown_issuer_log: RareLog::default(),
        })))
    }
}
