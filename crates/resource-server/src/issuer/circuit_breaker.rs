//! The circuit breaker of one authorization server. Callers pass the time.

use chrono::TimeDelta;
use derive_more::Display;
use std::time::Duration;

use super::asker::Asker;
use crate::{
    clock::Timestamp,
    limits::Source,
    metrics::CircuitState,
    principal::{Credential, UserId},
};

/// The number of consecutive failures that open the circuit.
const FAILURES: usize = 5;

/// The number of users, or of sources, without which a failure may be the matter of one of them.
const PARTIES: usize = 2;

/// How long the circuit is open before a probe, and between the beginnings of two probes: an authorization
/// server is asked again within this time of its return, however long it was away.
pub(crate) const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// How long a failure is remembered while no success follows.
const MEMORY: TimeDelta = TimeDelta::seconds(60);

/// Closed while calls are answered; open for a while after several consecutive failures of the endpoint; then
/// half open: a probe is made, which asks about a random token, so that no client has a part in its outcome.
///
/// One token, user or source opens nothing: failures count that came about for tokens of several users, or
/// for unknown tokens of several sources, or before a token was sent. A whole response is not a failure,
/// whatever it says; status 500 is one if it is the response to different tokens, with no valid response
/// since.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    state: State,
    /// Calls without a response since the last response.
    unanswered: Evidence,
    /// Calls with status 500 since the last valid response.
    errors: Evidence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Timestamp,
        /// Whether only unknown tokens failed, so that known ones are still introspected.
        spares_known: bool,
    },
    Probing {
        until: Timestamp,
    },
}

/// How a call failed.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection could not be made, so that no token was sent.
    #[display("it cannot be reached")]
    Unreachable,
    /// There was no response in time, or it was 502, 503 or 504.
    #[display("it does not answer")]
    Unanswered,
    /// Status 500, or another that says that the server failed.
    #[display("it answers with errors to tokens of different users or sources")]
    ServerError,
}

/// What an admitted call has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing.
    Call,
    /// Make a probe, and report its outcome.
    Probe,
}

/// Consecutive failures, and whose they were. Bounded: it holds what is needed to open the circuit.
#[derive(Debug, Default)]
struct Evidence {
    failures: usize,
    is_unreachable: bool,
    tokens: Vec<Credential>,
    /// Unknown tokens and their sources; each token and each source once.
    strangers: Vec<(Credential, Source)>,
    /// Known tokens and their users; each token and each user once.
    users: Vec<(Credential, UserId)>,
    last: Option<Timestamp>,
}

impl CircuitBreaker {
    /// Admits a call.
    ///
    /// # Errors
    /// The time until the next call is admitted, if the circuit is open.
    pub(crate) fn admit(&mut self, is_known: bool, now: Timestamp) -> Result<Admission, Duration> {
        match self.state {
            State::Closed => Ok(Admission::Call),
            State::Open {
                spares_known: true, ..
            } if is_known => Ok(Admission::Call),
            State::Open { until, .. } if is_before(now, until) => {
                Err((until - now).to_std().unwrap_or_default())
            }
            // Its outcome is known soon.
            State::Probing { until } if is_before(now, until) => Err(Duration::from_secs(1)),
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: now + PAUSE };
                Ok(Admission::Probe)
            }
        }
    }

    /// Records a whole response to a probe or a call, whatever it says: the endpoint can be reached. Returns
    /// whether the circuit was open.
    pub(crate) fn answered(&mut self) -> bool {
        self.unanswered = Evidence::default();
        match self.state {
            State::Probing { .. } => {
                self.state = State::Closed;
                self.errors = Evidence::default();
                true
            }
            // A call that was admitted before the circuit opened, or that of a known token.
            State::Closed | State::Open { .. } => false,
        }
    }

    /// Records a valid response, active or not.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.errors = Evidence::default();
        self.answered()
    }

    /// Records that a probe failed: the pause since its beginning goes on.
    pub(crate) fn probe_failed(&mut self) {
        if let State::Probing { until } = self.state {
            self.state = State::Open {
                until,
                spares_known: false,
            };
        }
    }

    /// Records a failed call. Returns whether it opened the circuit.
    pub(crate) fn failed(&mut self, failure: Failure, asker: &Asker, now: Timestamp) -> bool {
        let evidence = match failure {
            Failure::ServerError => &mut self.errors,
            Failure::Unreachable | Failure::Unanswered => &mut self.unanswered,
        };
        evidence.add(failure, asker, now);
        let opens = self.state == State::Closed
            && evidence.is_of_the_endpoint()
            && (failure != Failure::ServerError || evidence.tokens.len() >= FAILURES);
        if opens {
            self.state = State::Open {
                until: now + PAUSE,
                spares_known: failure == Failure::ServerError && evidence.users.is_empty(),
            };
            self.unanswered = Evidence::default();
            self.errors = Evidence::default();
        }
        opens
    }

    /// The state, for metrics and health checks.
    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::Probing { .. } => CircuitState::HalfOpen,
        }
    }
}

impl Evidence {
    fn add(&mut self, failure: Failure, asker: &Asker, now: Timestamp) {
        if self.last.is_some_and(|last| (now - last).abs() > MEMORY) {
            *self = Self::default();
        }
        self.last = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.is_unreachable |= failure == Failure::Unreachable;
        let token = asker.credential;
        if self.tokens.len() < FAILURES && !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
        if let Some(source) = asker.stranger() {
            add_party(&mut self.strangers, token, source);
        }
        if let Some(user) = asker.user {
            add_party(&mut self.users, token, user);
        }
    }

    /// Whether there are enough failures, and no one token, user or source can have caused them all.
    fn is_of_the_endpoint(&self) -> bool {
        self.failures >= FAILURES
            && (self.is_unreachable
                || self.strangers.len() >= PARTIES
                || self.users.len() >= PARTIES)
    }
}

/// Whether the end of a pause is still to come. After the clock was set back, nobody waits for it to catch up.
fn is_before(now: Timestamp, until: Timestamp) -> bool {
    now < until && until - now <= PAUSE
}

fn add_party<P: PartialEq>(parties: &mut Vec<(Credential, P)>, token: Credential, party: P) {
    let is_new = parties
        .iter()
        .all(|(known, other)| *known != token && *other != party);
    if is_new && parties.len() < PARTIES {
        parties.push((token, party));
    }
}

#[cfg(test)]
#[path = "circuit_breaker_tests.rs"]
mod tests;
