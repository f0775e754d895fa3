//! The state that all introspection actors and handles of one guard share.

use std::sync::Arc;

use actix::{Message, Recipient};
use parking_lot::Mutex;

use super::single_flight::SingleFlight;
use crate::{
    clock::{Clock, Timestamp},
    issuer::selector::IssuerSelector,
    issuer::state::IssuerState,
    metrics::AuthMetrics,
    principal::{Credential, Revocation},
    revocation::log::RevocationLog,
    validation::Refusal,
};

/// A revocation happened: streams, sessions and calls that it covers have to end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Revoked(pub Revocation);

/// The state of one guard.
pub(crate) struct Shared {
    pub(crate) selector: IssuerSelector,
    pub(crate) single_flight: SingleFlight,
    pub(crate) revocations: RevocationLog,
    pub(crate) subscribers: Mutex<Vec<Recipient<Revoked>>>,
    /// In the order of the selector.
    pub(crate) issuers: Vec<Arc<IssuerState>>,
    pub(crate) metrics: Arc<AuthMetrics>,
    pub(crate) clock: Clock,
}

impl Shared {
    /// Removes the covered tokens from every cache, and notifies the subscribers.
    #[expect(
        clippy::disallowed_methods,
        reason = "must be delivered even if the mailbox is full; nobody waits for a reply"
    )]
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        self.revocations.add(revocation.clone(), self.clock.now());
        for issuer in &self.issuers {
            issuer.token_cache.remove(revocation);
        }
        let subscribers = self.subscribers.lock();
        for subscriber in &*subscribers {
            subscriber.do_send(Revoked(revocation.clone()));
        }
    }

    /// Caches that a token is refused. If it was valid before, it is revoked, so that the streams opened with
    /// it end.
    pub(crate) fn refuse(
        &self,
        issuer: &IssuerState,
        credential: Credential,
        refusal: Refusal,
        now: Timestamp,
    ) {
        let was_active = issuer.token_cache.refuse(credential, refusal, now);
        if was_active {
            self.revoke(&Revocation::Credential(credential));
        }
    }
}
