//! The clock: the only place where the time is read, so that tests can control it.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::watch, time::sleep};

/// The longest single sleep: the system clock may be set, and timers do not advance during suspension.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// An instant in UTC.
pub type Timestamp = DateTime<Utc>;

/// The system clock, or a manual clock for tests.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<watch::Sender<i64>>>);

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stays at `start` until [`Clock::advance`]. Clones share the time.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Arc::new(watch::Sender::new(start.timestamp_micros()))))
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Utc::now(),
            Some(micros) => DateTime::from_timestamp_micros(*micros.borrow())
                .expect("a manual clock holds the micros of a valid timestamp"),
        }
    }

    /// Waits until the instant is reached.
    pub fn reaches(&self, instant: Timestamp) -> impl Future<Output = ()> + use<> {
        let clock = self.clone();
        async move {
            if let Some(micros) = &clock.0 {
                let instant = instant.timestamp_micros();
                // The sender is held here, so that waiting never fails.
                let _ = micros.subscribe().wait_for(|now| *now >= instant).await;
                return;
            }
            while let Ok(left) = (instant - clock.now()).to_std()
                && !left.is_zero()
            {
                sleep(left.min(LONGEST_SLEEP)).await;
            }
        }
    }

    /// Advances a manual clock. Does nothing on the system clock.
    pub fn advance(&self, by: TimeDelta) {
        if let Some(micros) = &self.0 {
            let by = by
                .num_microseconds()
                .expect("a step of a manual clock fits in micros");
            micros.send_modify(|micros| *micros += by);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    #[test]
    fn clones_of_a_manual_clock_share_the_time() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(TimeDelta::seconds(5));
        assert_eq!(other.now().timestamp(), 5);
    }

    #[actix_rt::test]
    async fn an_instant_is_reached_when_the_clock_shows_it_and_not_before() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let mut reached = pin!(clock.reaches(clock.now() + TimeDelta::seconds(5)));
        for (step, is_reached) in [(4, false), (1, true)] {
            clock.advance(TimeDelta::seconds(step));
            assert_eq!(poll!(&mut reached).is_ready(), is_reached);
        }
        clock.reaches(DateTime::UNIX_EPOCH).await;
    }

    #[actix_rt::test]
    async fn the_machines_clock_reaches_every_instant() {
        let clock = Clock::system();
        let soon = clock.now() + TimeDelta::milliseconds(20);
        clock.reaches(soon).await;
        assert!(clock.now() >= soon);
        clock.reaches(DateTime::UNIX_EPOCH).await;
        clock.reaches(DateTime::<Utc>::MIN_UTC).await;
        assert!(poll!(pin!(clock.reaches(DateTime::<Utc>::MAX_UTC))).is_pending());
    }
}
