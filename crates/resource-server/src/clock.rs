//! The clocks: the only place where the time is read, so that tests can control it.
//!
//! There are two. The wall clock tells what time it is, and may be set. The monotonic clock tells how much time
//! passes, and stands still while the machine is suspended. What is believed for a time is believed until the
//! first of both says that it has passed: see [`Clock::reaches`] and [`ClockWatch`].

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::watch, time::sleep};

/// The longest single sleep: the system clock may be set, and timers do not advance during suspension.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A difference between the clocks that is smaller comes from slewing, and from the time between two readings.
const TOLERANCE: i64 = 3_000_000;

/// How far the clocks may drift apart until the difference is noted, so that slewing does not add up to a jump.
const DRIFT: i64 = 100_000;

/// The longest time between two readings that say something about each other.
const PROMPT: Duration = Duration::from_millis(5);

/// Where the monotonic clock of this process begins.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// An instant in UTC.
pub type Timestamp = DateTime<Utc>;

/// The system clocks, or manual ones for tests.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<watch::Sender<Manual>>>);

/// The times of manual clocks, in microseconds.
#[derive(Clone, Copy)]
struct Manual {
    wall: i64,
    elapsed: i64,
}

impl Clock {
    /// The system clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Clocks that stay at `start` until [`Clock::advance`]. Clones share the time.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Some(Arc::new(watch::Sender::new(Manual {
            wall: start.timestamp_micros(),
            elapsed: 0,
        }))))
    }

    /// The current instant by the wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Utc::now(),
            Some(manual) => DateTime::from_timestamp_micros(manual.borrow().wall)
                .expect("a manual clock holds the micros of a valid timestamp"),
        }
    }

    /// The time since a fixed instant by the monotonic clock, which nobody sets.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            None => BEGAN.elapsed(),
            Some(manual) => Duration::from_micros(manual.borrow().elapsed.unsigned_abs()),
        }
    }

    /// Waits until the instant is reached, or as much time has passed as was left until then: a wall clock that
    /// is set back prolongs nothing.
    pub fn reaches(&self, instant: Timestamp) -> impl Future<Output = ()> + use<> {
        let clock = self.clone();
        let left = (instant - clock.now()).to_std().unwrap_or_default();
        let end = clock.elapsed().saturating_add(left);
        async move {
            if let Some(manual) = &clock.0 {
                let instant = instant.timestamp_micros();
                let end = i64::try_from(end.as_micros()).unwrap_or(i64::MAX);
                let is_over = |now: &Manual| now.wall >= instant || now.elapsed >= end;
                // The sender is held here, so that waiting never fails.
                let _ = manual.subscribe().wait_for(is_over).await;
                return;
            }
            loop {
                let by_wall = (instant - clock.now()).to_std().unwrap_or_default();
                let left = by_wall.min(end.saturating_sub(clock.elapsed()));
                if left.is_zero() {
                    return;
                }
                sleep(left.min(LONGEST_SLEEP)).await;
            }
        }
    }

    /// Advances manual clocks. Does nothing on the system clocks.
    pub fn advance(&self, by: TimeDelta) {
        self.change(by, by);
    }

    /// Sets the manual wall clock forwards, or back, as `settimeofday` does: no time passes. Does nothing on the
    /// system clocks.
    pub fn set_by(&self, by: TimeDelta) {
        self.change(by, TimeDelta::zero());
    }

    fn change(&self, wall: TimeDelta, elapsed: TimeDelta) {
        if let Some(manual) = &self.0 {
            let micros = |by: TimeDelta| {
                by.num_microseconds()
                    .expect("a step of a manual clock fits in micros")
            };
            manual.send_modify(|now| {
                now.wall += micros(wall);
                now.elapsed += micros(elapsed);
            });
        }
    }

    /// By how much the wall clock is ahead of the monotonic clock, in microseconds.
    fn difference(&self) -> i64 {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.now().timestamp_micros().saturating_sub(elapsed)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Notices that the wall clock was set, or that the machine was suspended: then the wall clock and the monotonic
/// clock no longer tell the same of the time that has passed, and what is kept by the wall clock would be kept
/// for too long, or not for long enough.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use resource_server::clock::{Clock, ClockWatch};
///
/// let clock = Clock::manual(DateTime::UNIX_EPOCH);
/// let watch = ClockWatch::new(clock.clone());
/// clock.advance(TimeDelta::hours(1));
/// assert_eq!(watch.jumped(), None);
/// clock.set_by(TimeDelta::minutes(-5));
/// assert_eq!(watch.jumped(), Some(TimeDelta::minutes(-5)));
/// assert_eq!(watch.jumped(), None, "told once");
/// ```
#[derive(Debug)]
pub struct ClockWatch {
    clock: Clock,
    /// The difference between the clocks when it was looked at last.
    difference: AtomicI64,
}

impl ClockWatch {
    /// Watches these clocks from now on.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let difference = AtomicI64::new(clock.difference());
        Self { clock, difference }
    }

    /// By how much the wall clock has jumped since the last call, if that is three seconds or more: forwards is
    /// positive. One of several concurrent callers is told. It costs two readings and one atomic load.
    #[must_use]
    pub fn jumped(&self) -> Option<TimeDelta> {
        let before = self.difference.load(Ordering::Relaxed);
        let mut now = self.clock.difference();
        let by = now.saturating_sub(before);
        if by.abs() < DRIFT {
            return None;
        }
        if by.abs() >= TOLERANCE {
            // The thread may have been stopped between the two readings.
            now = self.reliable_difference()?;
        }
        let by = now.saturating_sub(before);
        let order = Ordering::Relaxed;
        self.difference
            .compare_exchange(before, now, order, order)
            .ok()?;
        (by.abs() >= TOLERANCE).then(|| TimeDelta::microseconds(by))
    }

    /// The difference by readings that follow each other closely; `None` if the thread is stopped again and again.
    fn reliable_difference(&self) -> Option<i64> {
        (0..8).find_map(|_| {
            let began = Instant::now();
            let difference = self.clock.difference();
            (began.elapsed() < PROMPT).then_some(difference)
        })
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
