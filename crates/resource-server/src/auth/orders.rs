//! Revocations: what a handle does to order, store, lift and restore them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use secrecy::SecretString;
use tokio::time::sleep;

use super::{
    AuthHandle,
    actor::{VerifiedLogout, VerifyLogout},
    error::AuthError,
    shared::Shared,
};
use crate::{
    cause::Cause,
    limits::Source,
    principal::Revocation,
    revocation::{
        LogoutError, OrderError, OrderedBy, RevocationOrder, RevocationStore, RevocationTarget,
        StoredRevocation,
    },
};

/// The number of revocations that are read from the store at once.
const STORED_AT_ONCE: usize = 10_000;

/// The pause between two attempts to read the stored revocations.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl AuthHandle {
    /// Verifies a logout token, for [`Guard`](crate::guard::Guard).
    pub(crate) async fn log_out(
        &self,
        token: SecretString,
        source: Source,
    ) -> Result<RevocationTarget, LogoutError> {
        let admitted = self.logout_gate.admit(Some(source), false).await;
        let permit = admitted.map_err(|_| LogoutError::Unavailable(AuthError::Busy))?;
        let verified = self
            .verify_logout
            .send(VerifyLogout {
                token,
                source,
                permit,
            })
            .await;
        let VerifiedLogout {
            issuer,
            subject,
            token_id,
        } = verified.unwrap_or_else(|error| {
            Err(LogoutError::Unavailable(AuthError::IssuerUnavailable {
                source: Cause::new(error),
                retry_after: None,
            }))
        })?;
        let target = RevocationTarget::User {
            issuer: self.shared.issuers[issuer].name().to_owned(),
            subject,
        };
        let ordered = self
            .order(RevocationOrder {
                target: target.clone(),
                revoked_at: self.shared.clock.now(),
                until: None,
                ordered_by: OrderedBy::Issuer,
            })
            .await;
        if let Err(error) = ordered {
            self.shared.issuers[issuer].forget_logout(&token_id);
            return Err(LogoutError::NotStored(error));
        }
        Ok(target)
    }

    /// Revokes what an order names, in this process at once, and stores it: see [`RevocationOrder`].
    ///
    /// # Errors
    /// See [`OrderError`].
    pub async fn order(&self, order: RevocationOrder) -> Result<(), OrderError> {
        let order = self.shared.obey(order)?;
        let stored = self.store.add(order).await;
        stored.map_err(|source| OrderError::NotStored { source })
    }

    /// Takes back every revocation of a target, whoever ordered it; returns whether there was any. Streams and
    /// sessions that it ended do not come back.
    ///
    /// # Errors
    /// [`OrderError::NotStored`]: it is lifted in this process until it ends, or the stored revocations were not
    /// read yet.
    pub async fn lift(&self, target: RevocationTarget) -> Result<bool, OrderError> {
        // Rows that are being read would bring it back.
        let restored = self.shared.restored().await;
        restored.map_err(|error| OrderError::NotStored {
            source: Cause::new(error),
        })?;
        let was_remembered = self.shared.lift(&target);
        let was_stored = self.store.remove(target).await;
        let was_stored = was_stored.map_err(|source| OrderError::NotStored { source })?;
        Ok(was_remembered || was_stored)
    }

    /// Resolves when the stored revocations were read. Before, no token is accepted.
    pub async fn restored(&self) {
        let mut has_restored = self.shared.has_restored.subscribe();
        // It fails if the sender is gone, which `self` keeps.
        let _ = has_restored.wait_for(|is_done| *is_done).await;
    }

    /// The latest revocations, at most this many.
    ///
    /// # Errors
    /// That of the store.
    pub async fn orders(&self, most: usize) -> Result<Vec<StoredRevocation>, Cause> {
        self.store.page(None, most).await
    }

    /// Revokes tokens in this process: removes them from the caches and ends their active uses. A token that
    /// is presented afterwards is checked with its issuer again; if it is not introspected, it has to be issued
    /// later. Nothing is stored: see [`AuthHandle::order`].
    pub fn revoke(&self, revocation: &Revocation) {
        let now = self.shared.clock.now();
        if let Err(error) = self.shared.revocations.stand(revocation.clone(), now) {
            log::error!("a revocation ends the present uses of tokens only: {error}");
        }
        self.shared.revoke(revocation);
    }

    /// Ends the active uses of tokens and removes them from the caches, so that they are checked again.
    pub fn end_uses(&self, revocation: &Revocation) {
        self.shared.revoke(revocation);
    }
}

/// Reads the stored revocations, until that succeeds or the guard is dropped.
pub(super) async fn restore(store: Arc<dyn RevocationStore>, shared: Weak<Shared>) {
    let mut last_reason = String::new();
    let mut rows: Vec<StoredRevocation> = Vec::new();
    loop {
        let before = rows.last().map(|last| last.id);
        let page = store.page(before, STORED_AT_ONCE).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match page {
            Ok(page) => {
                let is_last = page.len() < STORED_AT_ONCE;
                rows.extend(page);
                if is_last {
                    // The latest are remembered last, so that they are not the first to give way.
                    for stored in rows.iter().rev() {
                        shared.revocations.restore(&stored.order);
                    }
                    shared.has_restored.send_replace(true);
                    return;
                }
            }
            Err(error) => {
                // Logged again only when the reason changes: an outage may be long.
                let reason = error.to_string();
                if reason != last_reason {
                    log::warn!(
                        "tokens are not accepted until the stored revocations can be read: {reason}"
                    );
                    last_reason = reason;
                }
                drop(shared);
                sleep(STORE_RETRY).await;
            }
        }
    }
}
