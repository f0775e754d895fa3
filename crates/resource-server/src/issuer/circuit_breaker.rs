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
/// since. Where unknown tokens alone failed, two sources that act together may have chosen them: then the circuit
/// is in doubt. A probe is made with the next call, and every other call goes on unless the probe fails.
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
    /// Failures that strangers may have caused.
    InDoubt,
    Open {
        until: Timestamp,
    },
    Probing {
        until: Timestamp,
        /// Whether the circuit was in doubt and not open.
        in_doubt: bool,
    },
}

/// What a failed call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing.
    No,
    /// The next call is preceded by a probe.
    InDoubt,
    /// The circuit is open.
    Yes,
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
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<Admission, Duration> {
        let in_doubt = match self.state {
            State::Closed => return Ok(Admission::Call),
            State::Open { until } if is_before(now, until) => {
                return Err((until - now).to_std().unwrap_or_default());
            }
            State::Probing { until, in_doubt } if is_before(now, until) => {
                return if in_doubt {
                    Ok(Admission::Call)
                } else {
                    // Its outcome is known soon.
                    Err(Duration::from_secs(1))
                };
            }
            State::InDoubt => true,
            State::Open { .. } => false,
            State::Probing { in_doubt, .. } => in_doubt,
        };
        let until = now + PAUSE;
        self.state = State::Probing { until, in_doubt };
        Ok(Admission::Probe)
    }

    /// Records a whole response to a probe or a call, whatever it says: the endpoint can be reached. Returns
    /// whether the circuit was open.
    pub(crate) fn answered(&mut self) -> bool {
        self.unanswered = Evidence::default();
        match self.state {
            State::Probing { in_doubt, .. } => {
                self.state = State::Closed;
                self.errors = Evidence::default();
                !in_doubt
            }
            State::InDoubt => {
                self.state = State::Closed;
                false
            }
            // A call that was admitted before the circuit opened.
            State::Closed | State::Open { .. } => false,
        }
    }

    /// Records a valid response, active or not.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.errors = Evidence::default();
        self.answered()
    }

    /// Records that a probe failed: the pause since its beginning goes on. Returns whether that opened the
    /// circuit, which was in doubt.
    pub(crate) fn probe_failed(&mut self) -> bool {
        let State::Probing { until, in_doubt } = self.state else {
            return false;
        };
        self.state = State::Open { until };
        in_doubt
    }

    /// Records a failed call.
    pub(crate) fn failed(&mut self, failure: Failure, asker: &Asker, now: Timestamp) -> Opened {
        let evidence = match failure {
            Failure::ServerError => &mut self.errors,
            Failure::Unreachable | Failure::Unanswered => &mut self.unanswered,
        };
        evidence.add(failure, asker, now);
        let is_enough = evidence.is_of_the_endpoint()
            && (failure != Failure::ServerError || evidence.tokens.len() >= FAILURES);
        let may_be_strangers = !evidence.is_unreachable && evidence.users.len() < PARTIES;
        let (state, opened) = match self.state {
            State::Closed if is_enough && may_be_strangers => (State::InDoubt, Opened::InDoubt),
            State::Closed | State::InDoubt | State::Probing { in_doubt: true, .. }
                if is_enough && !may_be_strangers =>
            {
                (State::Open { until: now + PAUSE }, Opened::Yes)
            }
            _ => return Opened::No,
        };
        self.state = state;
        self.unanswered = Evidence::default();
        self.errors = Evidence::default();
        opened
    }

    /// The state, for metrics and health checks.
    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed | State::InDoubt | State::Probing { in_doubt: true, .. } => {
                CircuitState::Closed
            }
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
