//! The state that all introspection actors and handles of one guard share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use actix::{Message, Recipient};
use chrono::TimeDelta;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{error::AuthError, single_flight::SingleFlight};
use crate::{
    cause::Cause,
    clock::{Clock, ClockWatch, Timestamp},
    issuer::selector::IssuerSelector,
    issuer::state::IssuerState,
    metrics::AuthMetrics,
    principal::{Credential, Revocation},
    rare_log::RareLog,
    replay_cache::ReplayCache,
    revocation::{
        OrderError, RevocationChange, RevocationOrder, RevocationTarget, log::RevocationLog,
    },
    validation::Refusal,
};

/// How long a check waits for the stored revocations.
const RESTORE_PATIENCE: Duration = Duration::from_secs(2);

/// A revocation happened: streams, sessions and calls that it covers have to end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Revoked(pub Revocation);

/// The state of one guard.
pub(crate) struct Shared {
    pub(crate) selector: IssuerSelector,
    pub(crate) single_flight: SingleFlight,
    pub(crate) revocations: RevocationLog,
    /// Whether the stored revocations were read. Until then nobody knows whether a token was revoked.
    pub(crate) has_restored: watch::Sender<bool>,
    pub(crate) subscribers: Mutex<Vec<Recipient<Revoked>>>,
    /// Called after the store of revocations has changed.
    pub(crate) on_order: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Has the store read again.
    pub(crate) read_orders: Arc<Notify>,
    /// In the order of the selector.
    pub(crate) issuers: Vec<Arc<IssuerState>>,
    pub(crate) metrics: Arc<AuthMetrics>,
    pub(crate) clock: Clock,
    pub(crate) clock_watch: ClockWatch,
    /// The DPoP proofs that were used.
    pub(crate) proofs: ReplayCache,
    /// Limits the lines about stale tokens.
    pub(crate) stale_log: RareLog,
}

impl Shared {
    /// Forgets what is believed for a time if the wall clock has jumped, before any of it is used.
    pub(crate) fn look_at_clock(&self) {
        if let Some(by) = self.clock_watch.jumped() {
            self.clock_jumped(by);
        }
    }

    #[cold]
    fn clock_jumped(&self, by: TimeDelta) {
        log::warn!(
            "the clock jumped by {} s, or the machine was suspended: tokens are checked again, and keys are fetched again",
            by.num_seconds()
        );
        self.proofs.clock_jumped(by);
        for issuer in &self.issuers {
            issuer.clock_jumped(by);
        }
    }

    /// Whether the stored revocations were read.
    pub(crate) fn has_restored(&self) -> bool {
        *self.has_restored.borrow()
    }

    /// Waits for a moment until the stored revocations were read.
    ///
    /// # Errors
    /// They were not: no token is accepted, because it may be one that was revoked.
    pub(crate) async fn restored(&self) -> Result<(), AuthError> {
        if self.has_restored() {
            return Ok(());
        }
        let mut has_restored = self.has_restored.subscribe();
        let restored = timeout(RESTORE_PATIENCE, has_restored.wait_for(|is_done| *is_done)).await;
        match restored {
            Ok(Ok(_)) => Ok(()),
            _ => Err(AuthError::IssuerUnavailable {
                source: Cause::new("the stored revocations could not be read yet"),
                retry_after: None,
            }),
        }
    }

    /// Remembers what is ordered, then revokes it. Returns the order with the end of its token, if that is
    /// known.
    ///
    /// # Errors
    /// [`OrderError::Full`]: what can be revoked at once was revoked all the same.
    pub(crate) fn obey(&self, mut order: RevocationOrder) -> Result<RevocationOrder, OrderError> {
        if let RevocationTarget::Token(digest) = &order.target {
            for issuer in &self.issuers {
                let credential = issuer.token_cache.credential_of_digest(digest);
                order.until = order.until.max(issuer.token_cache.expiry(&credential));
            }
        }
        // First, so that a check which ends meanwhile finds it.
        let remembered = self.revocations.order(&order, self.clock.now());
        self.revoke_target(&order.target);
        remembered.map(|()| order)
    }

    /// Obeys what was stored, by whichever process, unless that has happened already.
    pub(crate) fn learn(&self, change: &RevocationChange) {
        match change {
            RevocationChange::Ordered(order) => {
                let is_new = self.revocations.restore(order);
                // Before the store was read for the first time, no token was accepted.
                if is_new && self.has_restored() {
                    self.revoke_target(&order.target);
                }
            }
            RevocationChange::Lifted { target, ordered_by } => {
                if self.revocations.lift_of(target, *ordered_by) {
                    self.forget_refusals();
                }
            }
        }
    }

    fn revoke_target(&self, target: &RevocationTarget) {
        match target {
            RevocationTarget::Token(digest) => {
                for issuer in &self.issuers {
                    let credential = issuer.token_cache.credential_of_digest(digest);
                    self.revoke(&Revocation::Credential(credential));
                }
            }
            target => {
                if let Some(revocation) = target.revocation() {
                    self.revoke(&revocation);
                }
            }
        }
    }

    /// The store of revocations has changed.
    pub(crate) fn has_stored(&self) {
        if let Some(on_order) = self.on_order.get() {
            on_order();
        }
    }

    /// Forgets the revocations of a target, and the refusals that they led to.
    pub(crate) fn lift(&self, target: &RevocationTarget) -> bool {
        let was_remembered = self.revocations.lift(target);
        self.forget_refusals();
        was_remembered
    }

    fn forget_refusals(&self) {
        for issuer in &self.issuers {
            issuer.token_cache.forget_refusals();
        }
    }

    /// Removes the covered tokens from every cache, and notifies the subscribers.
    #[expect(
        clippy::disallowed_methods,
        reason = "must be delivered even if the mailbox is full; nobody waits for a reply"
    )]
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        self.revocations.add(revocation.clone());
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
