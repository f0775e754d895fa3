//! What the actors and their handles share: what is known, what is being asked, who was cut off.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Message, Recipient};

use super::single_flight::Flights;
use crate::{
    clock::{Clock, Timestamp},
    issuer::routing::Routes,
    metrics::AuthMetrics,
    principal::{Credential, CutOff},
    validation::Refusal,
};
use crate::{issuer::state::IssuerState, revocation::log::CutOffs};

/// Somebody was cut off: what is open for them has to end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct WasCutOff(pub CutOff);

pub(crate) struct Shared {
    pub(crate) routes: Routes,
    pub(crate) flights: Flights,
    pub(crate) cut_offs: CutOffs,
    pub(crate) watchers: Mutex<Vec<Recipient<WasCutOff>>>,
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
    pub(crate) fn cut_off(&self, cut_off: &CutOff) {
        self.cut_offs.add(cut_off.clone(), self.clock.now());
        for issuer in &self.issuers {
            issuer.verdicts.forget(cut_off);
        }
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for watcher in &*watchers {
            watcher.do_send(WasCutOff(cut_off.clone()));
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
        let was_good = issuer.verdicts.refuse(credential, refusal, now);
        if was_good {
            self.cut_off(&CutOff::Credential(credential));
        }
    }
}
