//! When to leave an authorization server alone. Pure: it is told the time.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{clock::Timestamp, metrics::CircuitState};

/// How many calls in a row must fail.
const FAILURES: u32 = 5;

/// How long it is left alone at first; each probe that fails doubles it.
const SHORTEST: TimeDelta = TimeDelta::seconds(5);

/// How long it is left alone at most.
const LONGEST: TimeDelta = TimeDelta::seconds(60);

/// A circuit breaker: closed while calls go well, open for a while after several failed in a row, then
/// half open: one call is let through as a probe, and what becomes of it decides.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// How long a probe may take before another is let through.
    probe: TimeDelta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp, pause: TimeDelta },
    Probing { until: Timestamp, pause: TimeDelta },
}

impl Breaker {
    /// A closed one, for calls that take at most so long.
    pub(crate) fn new(slowest: Duration) -> Self {
        Self {
            state: State::Closed { failures: 0 },
            probe: TimeDelta::from_std(slowest).unwrap_or(LONGEST),
        }
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// How long to wait, if the circuit is open.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } | State::Probing { until, .. } if now < until => {
                Err((until - now).to_std().unwrap_or_default())
            }
            State::Open { pause, .. } | State::Probing { pause, .. } => {
                let until = now + self.probe;
                self.state = State::Probing { until, pause };
                Ok(())
            }
        }
    }

    /// A call that was let through went well: the server answered, whatever it said of the token.
    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A call that was let through failed. `wait` is how long the server asked to be left alone, if it
    /// did.
    pub(crate) fn failed(&mut self, wait: Option<Duration>, now: Timestamp) {
        let asked = wait.and_then(|wait| TimeDelta::from_std(wait).ok());
        let open = |pause: TimeDelta| State::Open {
            until: now + asked.map_or(pause, |asked| asked.clamp(pause, LONGEST.max(pause))),
            pause,
        };
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < FAILURES => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } => open(SHORTEST),
            State::Probing { pause, .. } => open((pause * 2).min(LONGEST)),
            // It was let through before the circuit opened; that others failed is known already.
            State::Open { .. } => return,
        };
        if let State::Open { until, .. } = self.state {
            log::warn!(
                "the authorization server is left alone for {} s",
                (until - now).num_seconds()
            );
        }
    }

    /// How it is, for whoever looks at it from outside.
    pub(crate) fn circuit(&self) -> CircuitState {
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

    fn breaker() -> Breaker {
        Breaker::new(Duration::from_secs(3))
    }

    fn fail(breaker: &mut Breaker, times: u32, now: i64) {
        for _ in 0..times {
            breaker.failed(None, at(now));
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_no_sooner() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES - 1, 0);
        breaker.succeeded();
        fail(&mut breaker, FAILURES - 1, 0);
        assert_eq!(breaker.admit(at(0)), Ok(()));
        fail(&mut breaker, 1, 0);
        assert_eq!(breaker.admit(at(1)), Err(Duration::from_secs(4)));
        assert_eq!(breaker.circuit(), CircuitState::Open);
    }

    #[test]
    fn one_probe_is_let_through_and_decides() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES, 0);
        assert_eq!(breaker.admit(at(5)), Ok(()));
        assert_eq!(breaker.circuit(), CircuitState::HalfOpen);
        assert!(breaker.admit(at(5)).is_err(), "one alone");
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
    fn a_probe_that_is_never_heard_of_again_gives_way_to_another() {
        let mut breaker = breaker();
        fail(&mut breaker, FAILURES, 0);
        assert_eq!(breaker.admit(at(5)), Ok(()));
        assert_eq!(breaker.admit(at(7)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(8)), Ok(()));
    }

    #[test]
    fn what_the_server_asks_for_is_granted_within_bounds() {
        for (asked, waits) in [(1, 5), (20, 20), (3_600, 60)] {
            let mut breaker = breaker();
            fail(&mut breaker, FAILURES - 1, 0);
            breaker.failed(Some(Duration::from_secs(asked)), at(0));
            assert_eq!(breaker.admit(at(0)), Err(Duration::from_secs(waits)));
        }
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_for_longer_than_its_longest_pause(
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
            prop_assert_eq!(breaker.admit(at(now + LONGEST.num_seconds())), Ok(()));
        }
    }
}
