//! When a request is due.

use std::time::Duration;

/// The times of a load test, from its beginning: first it ramps up, then it warms up, then it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// Requests in a second, of all clients; without a rate each client asks as soon as it was answered.
    pub(crate) rate: Option<f64>,
    pub(crate) ramp_up: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    pub(crate) clients: u64,
}

impl Schedule {
    /// From when on requests are counted.
    pub(crate) fn measured_from(&self) -> Duration {
        self.ramp_up + self.warm_up
    }

    /// From when on there are no more.
    pub(crate) fn end(&self) -> Duration {
        self.measured_from() + self.measured
    }

    /// Whether a request that was due at `due` counts.
    pub(crate) fn counts(&self, due: Duration) -> bool {
        due >= self.measured_from() && due < self.end()
    }

    /// When a client's `turn`th request is due, if there is a rate: whatever became of those before. Its
    /// latency is counted from then, so a server that stalls is charged for all who would have come in the meantime
    /// (no coordinated omission).
    pub(crate) fn due(&self, client: u64, turn: u64) -> Option<Duration> {
        let rate = self.rate?;
        // The clients take turns: the arrivals of all together are evenly spaced.
        #[expect(
            clippy::cast_precision_loss,
            reason = "2^53 requests take longer than a week"
        )]
        let number = (client + turn * self.clients) as f64;
        let ramp = self.ramp_up.as_secs_f64();
        let in_ramp = rate * ramp / 2.0;
        let seconds = if number < in_ramp {
            // The rate grows steadily, so the count grows as the square of the time.
            (2.0 * number * ramp / rate).sqrt()
        } else {
            ramp + (number - in_ramp) / rate
        };
        Some(Duration::from_secs_f64(seconds.min(1e9)))
    }

    /// When a client begins, if there is no rate: one after the other.
    pub(crate) fn begins(&self, client: u64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share, which need not be exact"
        )]
        let share = client as f64 / self.clients.max(1) as f64;
        self.ramp_up.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: f64, ramp_up: u64, clients: u64) -> Schedule {
        Schedule {
            rate: Some(rate),
            ramp_up: Duration::from_secs(ramp_up),
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(10),
            clients,
        }
    }

    /// All arrivals of all clients before the end, in order.
    fn arrivals(schedule: &Schedule) -> Vec<Duration> {
        let mut all: Vec<_> = (0..schedule.clients)
            .flat_map(|client| {
                (0..)
                    .map(move |turn| schedule.due(client, turn).unwrap())
                    .take_while(|due| *due < schedule.end())
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced_whatever_the_number_of_clients() {
        for clients in [1, 3, 7, 100] {
            let all = arrivals(&schedule(100.0, 0, clients));
            assert_eq!(all.len(), 1_100);
            for pair in all.windows(2) {
                let gap = (pair[1] - pair[0]).as_secs_f64();
                assert!((gap - 0.01).abs() < 1e-6, "{clients}: {gap}");
            }
        }
    }

    #[test]
    fn a_rate_grows_steadily_while_it_ramps_up() {
        let schedule = schedule(100.0, 10, 4);
        let all = arrivals(&schedule);
        let in_second = |second: u64| all.iter().filter(|due| due.as_secs() == second).count();
        let growing: Vec<_> = (0..10).map(in_second).collect();
        assert!(growing.is_sorted(), "{growing:?}");
        let within: usize = growing.iter().sum();
        assert!((499..=501).contains(&within), "half of the full rate's");
        assert!((99..=101).contains(&in_second(15)));
    }

    /// A client that is held up finds its later requests due in the past: none is left out or put off.
    #[test]
    fn what_is_due_does_not_depend_on_answers() {
        let schedule = schedule(10.0, 0, 2);
        let due: Vec<_> = (0..4)
            .map(|turn| schedule.due(1, turn).unwrap().as_millis())
            .collect();
        assert_eq!(due, [100, 300, 500, 700]);
    }

    #[test]
    fn only_what_is_due_after_the_warm_up_counts() {
        let schedule = schedule(10.0, 2, 1);
        let counts = |milliseconds| schedule.counts(Duration::from_millis(milliseconds));
        assert!(!counts(2_999));
        assert!(counts(3_000));
        assert!(counts(12_999));
        assert!(!counts(13_000));
    }

    #[test]
    fn without_a_rate_clients_begin_one_after_the_other() {
        let schedule = Schedule {
            rate: None,
            ..schedule(1.0, 10, 5)
        };
        assert_eq!(schedule.due(0, 0), None);
        let begins: Vec<_> = (0..5)
            .map(|client| schedule.begins(client).as_secs())
            .collect();
        assert_eq!(begins, [0, 2, 4, 6, 8]);
    }
}
