//! Revocations: what a handle does to order, store, lift and restore them.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

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

/// How often the store is read again although nobody said that it has changed: a message of another process may
/// have been lost.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// The pause after a failed attempt to read the store.
const STORE_RETRY: Duration = Duration::from_millis(500);

/// The shortest time between two attempts.
const BETWEEN_READS: Duration = Duration::from_millis(20);

/// How long a failure of the store lasts before it is logged.
const TOLD_AFTER: Duration = Duration::from_secs(3);

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
        stored.map_err(|source| OrderError::NotStored { source })?;
        self.shared.has_stored();
        Ok(())
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
        if was_stored {
            self.shared.has_stored();
            // A row that was being read meanwhile may have brought it back.
            self.read_orders();
        }
        Ok(was_remembered || was_stored)
    }

    /// Has the store read soon, because another process has changed it. It is read now and then in any case.
    pub fn read_orders(&self) {
        self.shared.read_orders.notify_one();
    }

    /// Calls a function whenever this process has changed the store, so that it can tell other processes. It must
    /// not block. Only the first call of this method has an effect.
    pub fn on_order(&self, on_order: impl Fn() + Send + Sync + 'static) {
        let _ = self.shared.on_order.set(Box::new(on_order));
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

/// Reads the stored revocations, and from then on what changes, until the guard is dropped.
pub(super) async fn follow(
    store: Arc<dyn RevocationStore>,
    shared: Weak<Shared>,
    wanted: Arc<Notify>,
) {
    let mut mark = None;
    let mut outage = Outage::default();
    loop {
        let began = Instant::now();
        let page = store.changes(mark.clone(), STORED_AT_ONCE).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let again = match page {
            Ok(page) => {
                // The oldest first: the latest are the last to give way.
                for change in &page.changes {
                    shared.learn(change);
                }
                mark = page.mark;
                if page.has_more {
                    continue;
                }
                outage.ends();
                if !shared.has_restored() {
                    shared.has_restored.send_replace(true);
                }
                STORE_AGAIN
            }
            Err(error) => {
                outage.goes_on(&error, shared.has_restored());
                STORE_RETRY
            }
        };
        drop(shared);
        sleep(BETWEEN_READS.saturating_sub(began.elapsed())).await;
        // Either way it is read again.
        let _ = timeout(again, wanted.notified()).await;
    }
}

/// A time during which the store could not be read, told once at its begin and once at its end.
#[derive(Default)]
struct Outage {
    since: Option<Instant>,
    is_told: bool,
}

impl Outage {
    fn goes_on(&mut self, error: &Cause, has_restored: bool) {
        let since = *self.since.get_or_insert_with(Instant::now);
        // A store may be busy for a moment.
        let is_due = !has_restored || since.elapsed() >= TOLD_AFTER;
        if is_due && !self.is_told {
            self.is_told = true;
            let consequence = if has_restored {
                "revocations that other processes received are not obeyed"
            } else {
                "tokens are not accepted"
            };
            log::warn!("{consequence} until the stored revocations can be read: {error}");
        }
    }

    fn ends(&mut self) {
        if self.is_told {
            log::info!("the stored revocations were read");
        }
        *self = Self::default();
    }
}
