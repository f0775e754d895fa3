//! What an [`AuthHandle`](super::AuthHandle) is started with.

use std::{sync::Arc, time::Duration};

use crate::{
    dpop::proof::Window,
    fair_gate::Shares,
    issuer::settings::IssuerSettings,
    metrics::AuthMetrics,
    revocation::RevocationStore,
    scope::{ScopeSet, Scopes},
    url::ResourceUri,
};

/// The settings of an [`AuthHandle`](super::AuthHandle).
#[derive(Clone)]
pub(crate) struct AuthSettings {
    /// The authorization servers, at least one.
    pub(crate) issuers: Vec<IssuerSettings>,
    /// The resource: the audience that tokens need (RFC 8707 §2).
    pub(crate) resource: ResourceUri,
    /// The declared scopes; others in a token are ignored.
    pub(crate) scopes: Scopes,
    /// The scopes that a stale token keeps while its issuer is unavailable: those that only read.
    pub(crate) stale_scopes: ScopeSet,
    /// The accepted age of DPoP proofs.
    pub(crate) proof_window: Window,
    /// The maximum number of concurrent introspections, and of concurrent verifications.
    pub(crate) in_flight: Shares,
    /// How long a request with a token waits for a free slot before it fails as busy.
    pub(crate) patience: Duration,
    /// The same for a document, a logout token, and the memory for a long reply.
    pub(crate) document_patience: Duration,
    /// Metrics.
    pub(crate) metrics: Arc<AuthMetrics>,
    /// Keeps revocations; `None` for a store in memory.
    pub(crate) revocation_store: Option<Arc<dyn RevocationStore>>,
    /// Whether every issuer is asked at the start.
    pub(crate) asks_first: bool,
}
