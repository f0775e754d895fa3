//! *Purpose:* finds out why tokens of an authorization server are not accepted: asks the server what this resource
//! server asks it, and compares every claim of one token with what is expected.
//!
//! *Used by:* commands for operators.
//!
//! *Invariants:* it finds everything that is wrong, not only the first; no token and no secret is in a finding; what
//! others wrote is escaped; a token is sent to its own issuer only; the verdict about a token is that of the code
//! which checks requests.
//!
//! *Start reading at* [`Examiner`]; `claims.rs` compares the claims.

mod claims;
mod finding;
mod issuer;
mod token;

use std::{rc::Rc, sync::Arc, time::Duration};

use crate::{
    auth::LONG_REPLIES,
    clock::Clock,
    fair_gate::FairGate,
    issuer::{IssuerSettings, client::IssuerClient, state::IssuerState},
    metrics::AuthMetrics,
    scope::{ScopeSet, Scopes},
    url::ResourceUri,
};

pub use finding::{Advice, Finding, Level, Setting};

/// How long a long reply waits for its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// Examines authorization servers and tokens with the settings of a resource server. Bound to its thread, within an
/// actix `System`.
///
/// ```no_run
/// use resource_server::{clock::Clock, examine::{Examiner, Level}, issuer::Issuer, scope::Scopes};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = Issuer::introspecting("https://login.example", "files", "secret").settings()?;
/// let scopes = Scopes::declare([("files:read", "Read files")])?;
/// let examiner = Examiner::new(&[issuer], "https://files.example/api".parse()?, &scopes, true, Clock::system());
/// for finding in examiner.issuer(0).await {
///     println!("{}: {}", finding.level.as_str(), finding.text);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Examiner {
    issuers: Vec<Rc<IssuerClient>>,
    scopes: Scopes,
    accepts_proofs: bool,
    clock: Clock,
}

impl Examiner {
    /// An examiner for the resource with these issuers and declared scopes. `accepts_proofs` says whether tokens that
    /// are bound to a key are accepted (DPoP, RFC 9449).
    #[must_use]
    pub fn new(
        issuers: &[IssuerSettings],
        resource: ResourceUri,
        scopes: &Scopes,
        accepts_proofs: bool,
        clock: Clock,
    ) -> Self {
        let metrics = Arc::<AuthMetrics>::default();
        let long_replies = FairGate::new(LONG_REPLIES, PATIENCE);
        let client = |settings: &IssuerSettings| {
            let state = IssuerState::new(
                settings.clone(),
                resource.clone(),
                scopes,
                ScopeSet::EMPTY,
                clock.clone(),
                Arc::clone(&metrics),
                long_replies.clone(),
            );
            Rc::new(IssuerClient::new(Arc::new(state)))
        };
        Self {
            issuers: issuers.iter().map(client).collect(),
            scopes: scopes.clone(),
            accepts_proofs,
            clock,
        }
    }
}
