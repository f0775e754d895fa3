//! The circuit breaker of one authorization server. Callers pass the time.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{clock::Timestamp, metrics::CircuitState};

/// The number of consecutive failures that open the circuit.
const FAILURES: u32 = 5;

/// How long the circuit is open at first; each failed probe doubles it.
const SHORTEST_PAUSE: TimeDelta = TimeDelta::seconds(5);

/// How long the circuit is open at most.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(60);

/// Closed while calls succeed; open for a while after several consecutive failures; then half open: one call
/// is admitted as a probe, and its outcome closes or opens the circuit.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    state: State,
    /// How long a probe may take before another is admitted.
    probe_timeout: TimeDelta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp, pause: TimeDelta },
    Probing { until: Timestamp, pause: TimeDelta },
}

impl CircuitBreaker {
    /// A closed circuit for calls with this time limit.
    pub(crate) fn new(call_timeout: Duration) -> Self {
        Self {
            state: State::Closed { failures: 0 },
            probe_timeout: TimeDelta::from_std(call_timeout).unwrap_or(LONGEST_PAUSE),
        }
    }

    /// Admits a call.
    ///
    /// # Errors
    /// The time until the next call is admitted, if the circuit is open.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } | State::Probing { until, .. } if now < until => {
                Err((until - now).to_std().unwrap_or_default())
            }
            State::Open { pause, .. } | State::Probing { pause, .. } => {
                let until = now + self.probe_timeout;
                self.state = State::Probing { until, pause };
                Ok(())
            }
        }
    }

    /// Records that an admitted call got a valid response, whatever it says about the token.
    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Records that an admitted call failed. `wait` is the `Retry-After` of the server.
    pub(crate) fn failed(&mut self, wait: Option<Duration>, now: Timestamp) {
        let asked = wait.and_then(|wait| TimeDelta::from_std(wait).ok());
        let open = |pause: TimeDelta| State::Open {
            until: now + asked.map_or(pause, |asked| asked.clamp(pause, LONGEST_PAUSE.max(pause))),
            pause,
        };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => open(SHORTEST_PAUSE),
            State::Probing { pause, .. } => open((pause * 2).min(LONGEST_PAUSE)),
            // The call was admitted before the circuit opened; it changes nothing.
            State::Open { .. } => return,
        };
        if let State::Open { until, .. } = self.state {
            log::warn!(
                "circuit open: no calls to the authorization server for {} s",
                (until - now).num_seconds()
            );
        }
    }

    /// The state, for metrics and health checks.
    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::Probing { .. } => CircuitState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(Duration::from_secs(3))
    }

    fn fail(breaker: &mut CircuitBreaker, times: u32, now: i64) {
        for _ in 0..times {
            breaker.failed(None, at(now));
        }
    }

    #[test]
    fn it_opens_after_consecutive_failures_only() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES - 1, 0);
        breaker.succeeded();
        fail(&mut breaker, FAILURES - 1, 0);
        assert_eq!(breaker.admit(at(0)), Ok(()));
        fail(&mut breaker, 1, 0);
        assert_eq!(breaker.admit(at(1)), Err(Duration::from_secs(4)));
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[test]
    fn one_probe_is_admitted_and_decides() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES, 0);
        assert_eq!(breaker.admit(at(5)), Ok(()));
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        assert!(breaker.admit(at(5)).is_err(), "only one");
        breaker.failed(None, at(6));
        assert_eq!(
            breaker.admit(at(15)),
            Err(Duration::from_secs(1)),
            "twice as long"
        );
        assert_eq!(breaker.admit(at(16)), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(at(16)), Ok(()));
        assert_eq!(breaker.admit(at(16)), Ok(()));
    }

    #[test]
    fn another_probe_is_admitted_when_one_gets_no_outcome() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES, 0);
        assert_eq!(breaker.admit(at(5)), Ok(()));
        assert_eq!(breaker.admit(at(7)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(8)), Ok(()));
    }

    #[test]
    fn retry_after_is_respected_within_bounds() {
        for (asked, waits) in [(1, 5), (20, 20), (3_600, 60)] {
            let mut breaker = breaker();
            fail(&mut breaker, FAILURES - 1, 0);
            breaker.failed(Some(Duration::from_secs(asked)), at(0));
            assert_eq!(breaker.admit(at(0)), Err(Duration::from_secs(waits)));
        }
    }

    proptest! {
        #[test]
        fn it_never_stays_open_for_longer_than_its_longest_pause(
            events in prop::collection::vec((0u8..3, 0i64..30), 0..60)
        ) {
            let mut breaker = breaker();
            let mut now = 0;
            for (event, step) in events {
                now += step;
                match event {
                    0 => { let _ = breaker.admit(at(now)); }
                    1 => breaker.failed(None, at(now)),
                    _ => breaker.succeeded(),
                }
            }
            prop_assert_eq!(breaker.admit(at(now + LONGEST_PAUSE.num_seconds())), Ok(()));
        }
    }
}
