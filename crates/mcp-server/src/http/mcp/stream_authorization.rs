//! Holds an open stream against the token that opened it, for as long as the stream lasts.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use chrono::TimeDelta;
use futures_util::future::{Either, select};

use crate::http::{auth::authenticate::Caller, state::AppState};
use resource_server::{
    auth::{AuthError, AuthWorker},
    bearer::BearerToken,
    clock::{Clock, Timestamp},
    guard::Guard,
    principal::{Principal, Revocation},
    revocation::ActiveUse,
    trace_context::Trace,
};

/// How long a stream that speaks unasked lasts where no token ends it sooner. Its client opens
/// another, and is authenticated afresh.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// Comes when a stream has to end.
type End = Pin<Box<dyn Future<Output = ()>>>;

/// What lets a stream go on.
pub(crate) trait Authority {
    /// Comes when the stream has to end at once.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Whether something may still be sent: asked before each event and each comment.
    fn still_good(&mut self) -> impl Future<Output = bool>;
}

/// The token that opened a stream. What the stream tells is judged by this token, whatever others its
/// client has had since.
pub(crate) struct StreamAuthorization {
    guard: Guard,
    worker: AuthWorker,
    clock: Clock,
    token: BearerToken,
    trace: Trace,
    opened_by: Arc<Principal>,
    /// Since when nobody can say whether it is good.
    unknown_since: Option<Timestamp>,
    over: End,
    active_use: ActiveUse,
}

impl StreamAuthorization {
    /// Over a stream that speaks unasked: it ends with its token (D-22).
    pub(crate) fn of_stream(caller: &Caller, site: &AppState) -> Self {
        let latest = site.clock.now() + LONGEST;
        let end = caller.principal.expires_at;
        let end = site
            .clock
            .reaches(end.map_or(latest, |end| end.min(latest)));
        let active_use = site
            .guard
            .auth()
            .active_use(&caller.principal, caller.epoch);
        let revocation = active_use.revoked();
        let over = Box::pin(async {
            select(pin!(end), pin!(revocation)).await;
        });
        Self::new(caller, site, over, active_use)
    }

    /// Over the stream of a call, whose answer comes though the token has expired meanwhile: the call
    /// was let in before.
    pub(crate) fn of_call(caller: &Caller, site: &AppState) -> Self {
        let active_use = site
            .guard
            .auth()
            .active_use(&caller.principal, caller.epoch);
        let over = Box::pin(active_use.revoked());
        Self::new(caller, site, over, active_use)
    }

    fn new(caller: &Caller, site: &AppState, over: End, active_use: ActiveUse) -> Self {
        Self {
            guard: site.guard.clone(),
            worker: caller.worker.clone(),
            clock: site.clock.clone(),
            token: caller.token.clone(),
            trace: caller.trace,
            opened_by: Arc::clone(&caller.principal),
            unknown_since: None,
            over,
            active_use,
        }
    }

    /// What the authorization server says of the token now; from the cache, as long as that is
    /// believed.
    async fn ask(&mut self) -> bool {
        let now = self.clock.now();
        if self.opened_by.expires_at.is_some_and(|end| end <= now) {
            // Nothing is left to be asked about; whether that ends the stream is the stream's matter.
            return true;
        }
        let context = self.trace.into();
        let introspected = self
            .guard
            .authenticate_again(&self.worker, &self.token, &context);
        match introspected.await {
            Ok(principal) => {
                self.unknown_since = None;
                self.reaches_as_far(&principal)
            }
            Err(AuthError::Refused(refusal)) => {
                log::info!(
                    request_id:% = self.trace.request_id, token = self.token.fingerprint();
                    "a stream ends, for its token is refused: {refusal}"
                );
                if !self.active_use.is_revoked() {
                    let credential = self.opened_by.credential;
                    self.guard
                        .auth()
                        .revoke(&Revocation::Credential(credential));
                }
                false
            }
            // Never the client's fault: the stream lives on for as long as one more answer would have.
            Err(_) => {
                let since = *self.unknown_since.get_or_insert(now);
                now < later(since, self.guard.auth().max_staleness(&self.opened_by))
            }
        }
    }

    /// Whether the token is what it was when it opened the stream, or more. What is withheld for an
    /// outage is not gone.
    fn reaches_as_far(&self, now: &Principal) -> bool {
        now.owner() == self.opened_by.owner()
            && now.bound_key == self.opened_by.bound_key
            && now
                .scopes
                .union(now.withheld)
                .contains(self.opened_by.scopes)
    }
}

impl Authority for StreamAuthorization {
    fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.active_use.is_revoked() {
            return Poll::Ready(());
        }
        self.over.as_mut().poll(context)
    }

    async fn still_good(&mut self) -> bool {
        let mut over = std::mem::replace(&mut self.over, Box::pin(std::future::pending()));
        let ended = poll_fn(|context| over.as_mut().poll(context));
        let good = match select(pin!(ended), pin!(self.ask())).await {
            Either::Left(((), _)) => return false,
            Either::Right((good, _)) => good,
        };
        self.over = over;
        good && !self.active_use.is_revoked()
    }
}

fn later(instant: Timestamp, by: TimeDelta) -> Timestamp {
    instant.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}
