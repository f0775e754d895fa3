//! The authorization of an open stream by the token that opened it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::future::{Either, select};

use crate::{
    http::{auth::authenticate::Caller, state::AppState},
    request_context::RequestContext,
};
use resource_server::{
    auth::{AuthError, AuthWorker},
    bearer::BearerToken,
    clock::{Clock, Timestamp},
    guard::Guard,
    principal::{Principal, Revocation},
    revocation::ActiveUse,
};

/// The maximum lifetime of a stream whose token expires later. Its client opens another, and is authenticated
/// again.
const LONGEST: TimeDelta = TimeDelta::hours(24);

/// Resolves when a stream has to end.
type End = Pin<Box<dyn Future<Output = ()>>>;

/// Permits a stream to go on.
pub(crate) trait Authorization {
    /// Ready when the stream has to end at once.
    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Whether the next event or comment may be sent.
    fn is_valid(&mut self) -> impl Future<Output = bool>;
}

/// The token that opened a stream. Other tokens of the client do not matter.
pub(crate) struct StreamAuthorization {
    guard: Guard,
    worker: AuthWorker,
    clock: Clock,
    token: BearerToken,
    /// Of the request that opened the stream.
    context: RequestContext,
    /// Since when the authorization server is unreachable, by the wall clock and the monotonic clock.
    unknown_since: Option<(Timestamp, Duration)>,
    ended: End,
    active_use: ActiveUse,
}

impl StreamAuthorization {
    /// For a stream without a call: it ends with its token.
    pub(crate) fn of_stream(caller: &Caller, state: &AppState) -> Self {
        let latest = state.clock.now() + LONGEST;
        let end = caller.context.principal.expires_at;
        let end = state
            .clock
            .reaches(end.map_or(latest, |end| end.min(latest)));
        let active_use = state
            .guard
            .auth()
            .active_use(&caller.context.principal, caller.epoch);
        let revocation = active_use.revoked();
        let ended = Box::pin(async {
            select(pin!(end), pin!(revocation)).await;
        });
        Self::new(caller, state, ended, active_use)
    }

    /// For the stream of a call: its answer is sent even if the token has expired meanwhile, but not if it
    /// was revoked.
    pub(crate) fn of_call(caller: &Caller, state: &AppState) -> Self {
        let active_use = state
            .guard
            .auth()
            .active_use(&caller.context.principal, caller.epoch);
        let ended = Box::pin(active_use.revoked());
        Self::new(caller, state, ended, active_use)
    }

    fn new(caller: &Caller, state: &AppState, ended: End, active_use: ActiveUse) -> Self {
        Self {
            guard: state.guard.clone(),
            worker: caller.worker.clone(),
            clock: state.clock.clone(),
            token: caller.token.clone(),
            context: caller.context.clone(),
            unknown_since: None,
            ended,
            active_use,
        }
    }

    /// Validates the token again, possibly from the cache.
    async fn ask(&mut self) -> bool {
        let now = self.clock.now();
        if self
            .context
            .principal
            .expires_at
            .is_some_and(|end| end <= now)
        {
            // An expired token cannot be validated again; `ended` decides whether that ends the stream.
            return true;
        }
        let context = self.context.trace.into();
        let introspected = self
            .guard
            .authenticate_again(&self.worker, &self.token, &context);
        match introspected.await {
            Ok(principal) => {
                self.unknown_since = None;
                self.is_unchanged(&principal)
            }
            Err(AuthError::Refused(refusal)) => {
                log::info!(
                    request_id:% = self.context.trace.request_id, token = self.token.fingerprint();
                    "a stream was closed because its token is invalid: {refusal}"
                );
                if !self.active_use.is_revoked() {
                    let credential = self.context.principal.credential;
                    self.guard
                        .auth()
                        .end_uses(&Revocation::Credential(credential));
                }
                false
            }
            // An outage: the stream goes on for as long as a cached result could be used.
            Err(_) => {
                let elapsed = self.clock.elapsed();
                let (since, began) = *self.unknown_since.get_or_insert((now, elapsed));
                let longest = self.guard.auth().max_staleness(&self.context.principal);
                // By either clock: the wall clock may be set back meanwhile.
                now < later(since, longest)
                    && elapsed.saturating_sub(began) < longest.to_std().unwrap_or_default()
            }
        }
    }

    /// Whether the token still has the owner, the key and the scopes with which it opened the stream. Scopes
    /// that are withheld during an outage count.
    fn is_unchanged(&self, now: &Principal) -> bool {
        now.owner() == self.context.principal.owner()
            && now.bound_key == self.context.principal.bound_key
            && now
                .scopes
                .union(now.withheld)
                .contains(self.context.principal.scopes)
    }
}

impl Authorization for StreamAuthorization {
    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.active_use.is_revoked() {
            return Poll::Ready(());
        }
        self.ended.as_mut().poll(context)
    }

    async fn is_valid(&mut self) -> bool {
        let mut pending_end = std::mem::replace(&mut self.ended, Box::pin(std::future::pending()));
        let ended = poll_fn(|context| pending_end.as_mut().poll(context));
        let is_valid = match select(pin!(ended), pin!(self.ask())).await {
            Either::Left(((), _)) => return false,
            Either::Right((is_valid, _)) => is_valid,
        };
        self.ended = pending_end;
        is_valid && !self.active_use.is_revoked()
    }
}

fn later(instant: Timestamp, by: TimeDelta) -> Timestamp {
    instant.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}
