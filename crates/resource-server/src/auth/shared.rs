//! What the actors and their handles share: what is known, what is being asked, who was cut off.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Message, Recipient};

use super::single_flight::SingleFlight;
use crate::{
    clock::{Clock, Timestamp},
    issuer::routing::Routes,
    metrics::AuthMetrics,
    principal::{Credential, Revocation},
    validation::Refusal,
};
use crate::{issuer::state::IssuerState, revocation::log::RevocationLog};

/// Somebody was cut off: what is open for them has to end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Revoked(pub Revocation);

pub(crate) struct Shared {
    pub(crate) routes: Routes,
    pub(crate) flights: SingleFlight,
    pub(crate) revocations: RevocationLog,
    pub(crate) watchers: Mutex<Vec<Recipient<Revoked>>>,
    /// In the order of the routes.
    pub(crate) issuers: Vec<Arc<IssuerState>>,
    pub(crate) metrics: Arc<AuthMetrics>,
    pub(crate) clock: Clock,
}

impl Shared {
    /// Cuts somebody off: forgets what is known of them, and tells whoever has something open for them.
    #[expect(
        clippy::disallowed_methods,
        reason = "no mailbox may be too full for this, and nobody waits for an answer"
    )]
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        self.revocations.add(revocation.clone(), self.clock.now());
        for issuer in &self.issuers {
            issuer.token_cache.forget(revocation);
        }
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for watcher in &*watchers {
            watcher.do_send(Revoked(revocation.clone()));
        }
    }

    /// Keeps that a token is no good. If it was good before, what was opened with it has to end.
    pub(crate) fn refuse(
        &self,
        issuer: &IssuerState,
        credential: Credential,
        refusal: Refusal,
        now: Timestamp,
    ) {
        let was_good = issuer.token_cache.refuse(credential, refusal, now);
        if was_good {
            self.revoke(&Revocation::Credential(credential));
        }
    }
}
