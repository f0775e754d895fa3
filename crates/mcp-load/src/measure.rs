//! Latencies and errors of one thread, and how those of several are put together.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use crate::{
    failure::{Failure, Kind},
    schedule::Schedule,
};

/// The longest latency that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;

/// How finely the course of a test is kept. When it lasts longer, two stretches become one.
const MOST_STRETCHES: usize = 240;

/// Kinds of errors are few, but for statuses and codes, which a server may make up.
const MOST_KINDS: usize = 64;

/// What a client does besides its mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Prepare,
    Initialize,
    Initialized,
    Listen,
    GetStream,
    Subscribe,
    Delete,
    Settle,
    Verify,
    Notification,
}

impl Step {
    pub(crate) const ALL: [Self; 10] = [
        Self::Prepare,
        Self::Initialize,
        Self::Initialized,
        Self::Listen,
        Self::GetStream,
        Self::Subscribe,
        Self::Delete,
        Self::Settle,
        Self::Verify,
        Self::Notification,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prepare => "create_entry (beforehand)",
            Self::Initialize => "initialize",
            Self::Initialized => "notifications/initialized",
            Self::Listen => "subscriptions/listen",
            Self::GetStream => "GET (stream)",
            Self::Subscribe => "resources/subscribe",
            Self::Delete => "DELETE (session)",
            Self::Settle => "write again (same key)",
            Self::Verify => "list (to verify)",
            Self::Notification => "write to notification",
        }
    }
}

/// What was measured of one operation.
#[derive(Clone)]
pub(crate) struct Measured {
    /// Microseconds, of answers that were right.
    pub(crate) latency: Histogram<u64>,
    pub(crate) failed: u64,
}

impl Measured {
    fn new() -> Self {
        Self {
            latency: histogram(),
            failed: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        merge(&mut self.latency, &other.latency);
        self.failed += other.failed;
    }
}

/// A stretch of the course of a test.
#[derive(Clone)]
pub(crate) struct Stretch {
    pub(crate) latency: Histogram<u32>,
    pub(crate) failed: u64,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errors {
    pub(crate) count: u64,
    /// What the first one was.
    pub(crate) example: String,
}

/// All that one thread measures, or several did.
pub(crate) struct Recorder {
    schedule: Schedule,
    /// In the order of the mix.
    pub(crate) operations: Vec<Measured>,
    /// In the order of [`Step::ALL`].
    pub(crate) steps: Vec<Measured>,
    pub(crate) errors: BTreeMap<Kind, Errors>,
    stretches: Vec<Stretch>,
    stretch: Duration,
    /// Requests of the mix that were answered, the ramp and the warm-up included.
    pub(crate) answered: u64,
    /// Requests that were due within the test and were not sent before its end.
    pub(crate) unsent: u64,
    pub(crate) bytes: u64,
}

impl Recorder {
    pub(crate) fn new(schedule: Schedule, operations: usize) -> Self {
        Self {
            schedule,
            operations: vec![Measured::new(); operations],
            steps: vec![Measured::new(); Step::ALL.len()],
            errors: BTreeMap::new(),
            stretches: Vec::new(),
            stretch: Duration::from_secs(1),
            answered: 0,
            unsent: 0,
            bytes: 0,
        }
    }

    /// The answer to an operation was right. `due` is from the beginning of the test.
    pub(crate) fn right(&mut self, operation: usize, due: Duration, latency: Duration) {
        self.answered += 1;
        let latency = microseconds(latency);
        let stretch = self.stretch_at(due);
        // What is too long is kept as the longest there is, so it cannot fail.
        stretch.latency.saturating_record(latency);
        if self.schedule.counts(due) {
            self.operations[operation]
                .latency
                .saturating_record(latency);
        }
    }

    /// It was not.
    pub(crate) fn wrong(&mut self, operation: usize, due: Duration, failure: &Failure) {
        self.answered += 1;
        self.stretch_at(due).failed += 1;
        if self.schedule.counts(due) {
            self.operations[operation].failed += 1;
        }
        self.error(failure);
    }

    /// A step besides the mix. It is counted whenever it was.
    pub(crate) fn step(&mut self, step: Step, latency: Duration) {
        let latency = microseconds(latency);
        self.steps[step as usize].latency.saturating_record(latency);
    }

    pub(crate) fn failed_step(&mut self, step: Step, failure: &Failure) {
        self.steps[step as usize].failed += 1;
        self.error(failure);
    }

    pub(crate) fn error(&mut self, failure: &Failure) {
        let is_known = self.errors.contains_key(&failure.kind);
        let kind = if is_known || self.errors.len() < MOST_KINDS || !failure.kind.can_be_allowed() {
            failure.kind.clone()
        } else {
            Kind::Malformed
        };
        let errors = self.errors.entry(kind).or_insert_with(|| Errors {
            count: 0,
            example: failure.detail.clone(),
        });
        errors.count += 1;
    }

    /// The course of the test, and how long each stretch of it is.
    pub(crate) fn course(&self) -> (Duration, &[Stretch]) {
        (self.stretch, &self.stretches)
    }

    /// Adds what another thread measured in the same test.
    pub(crate) fn add(&mut self, mut other: Self) {
        for (own, other) in self.operations.iter_mut().zip(&other.operations) {
            own.add(other);
        }
        for (own, other) in self.steps.iter_mut().zip(&other.steps) {
            own.add(other);
        }
        for (kind, errors) in other.errors.clone() {
            let own = self.errors.entry(kind).or_insert_with(|| Errors {
                count: 0,
                example: errors.example,
            });
            own.count += errors.count;
        }
        while self.stretch < other.stretch {
            self.halve();
        }
        while other.stretch < self.stretch {
            other.halve();
        }
        if self.stretches.len() < other.stretches.len() {
            self.stretches
                .resize_with(other.stretches.len(), Stretch::new);
        }
        for (own, other) in self.stretches.iter_mut().zip(&other.stretches) {
            own.add(other);
        }
        self.answered += other.answered;
        self.unsent += other.unsent;
        self.bytes += other.bytes;
    }

    fn stretch_at(&mut self, due: Duration) -> &mut Stretch {
        let mut place = self.place(due);
        while place >= MOST_STRETCHES {
            self.halve();
            place = self.place(due);
        }
        if self.stretches.len() <= place {
            self.stretches.resize_with(place + 1, Stretch::new);
        }
        &mut self.stretches[place]
    }

    fn place(&self, due: Duration) -> usize {
        usize::try_from(due.as_micros() / self.stretch.as_micros()).unwrap_or(usize::MAX)
    }

    /// Makes one stretch of every two.
    fn halve(&mut self) {
        self.stretch *= 2;
        let mut halves = Vec::with_capacity(self.stretches.len().div_ceil(2));
        for pair in self.stretches.chunks(2) {
            let mut one = pair[0].clone();
            if let Some(other) = pair.get(1) {
                one.add(other);
            }
            halves.push(one);
        }
        self.stretches = halves;
    }
}

impl Stretch {
    fn new() -> Self {
        Self {
            // Two digits: there are many of them, and a plot shows no more.
            latency: Histogram::new_with_bounds(1, LONGEST, 2)
                .expect("these bounds are those of a histogram"),
            failed: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        merge(&mut self.latency, &other.latency);
        self.failed += other.failed;
    }
}

fn histogram() -> Histogram<u64> {
    // Three digits, in about 190 KiB.
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are those of a histogram")
}

fn merge<C: hdrhistogram::Counter>(into: &mut Histogram<C>, from: &Histogram<C>) {
    into.add(from).expect("all have the same bounds");
}

fn microseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            rate: None,
            ramp_up: Duration::ZERO,
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(10_000),
            clients: 1,
        }
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn threads_put_together_are_as_one_that_had_it_all() {
        let mut whole = Recorder::new(schedule(), 2);
        let mut parts = [Recorder::new(schedule(), 2), Recorder::new(schedule(), 2)];
        for number in 0..2_000_u64 {
            let (due, latency) = (ms(number * 7), ms(number % 500));
            let operation = usize::from(number.is_multiple_of(3));
            let part = usize::from(number.is_multiple_of(2));
            for recorder in [&mut whole, &mut parts[part]] {
                if number.is_multiple_of(10) {
                    let kind = Kind::Status(if number.is_multiple_of(20) { 503 } else { 500 });
                    recorder.wrong(operation, due, &Failure::new(kind, "x"));
                } else {
                    recorder.right(operation, due, latency);
                }
            }
        }
        let [mut sum, other] = parts;
        sum.add(other);
        assert_eq!(sum.errors, whole.errors);
        assert_eq!((sum.answered, whole.answered), (2_000, 2_000));
        for (sum, whole) in sum.operations.iter().zip(&whole.operations) {
            assert_eq!(sum.latency, whole.latency);
            assert_eq!(sum.failed, whole.failed);
        }
        let ((length, sum), (_, whole)) = (sum.course(), whole.course());
        assert_eq!((length, sum.len()), (Duration::from_secs(1), whole.len()));
        for (sum, whole) in sum.iter().zip(whole) {
            assert_eq!(sum.latency, whole.latency);
        }
    }

    #[test]
    fn a_latency_is_kept_to_three_digits() {
        let mut recorder = Recorder::new(schedule(), 1);
        for latency in 1..=1_000 {
            recorder.right(0, ms(2_000), ms(latency));
        }
        let latency = &recorder.operations[0].latency;
        for (quantile, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let found = latency.value_at_quantile(quantile) as f64;
            assert!(
                (found / expected - 1.0).abs() < 0.001,
                "{quantile}: {found}"
            );
        }
        recorder.right(0, ms(2_000), Duration::from_secs(100_000));
        assert!(
            recorder.operations[0].latency.max() >= LONGEST,
            "and the longest is not lost"
        );
    }

    #[test]
    fn the_warm_up_is_checked_and_not_counted() {
        let mut recorder = Recorder::new(schedule(), 1);
        recorder.right(0, ms(999), ms(1));
        recorder.wrong(0, ms(999), &Failure::new(Kind::Lost, "x"));
        recorder.right(0, ms(1_000), ms(1));
        assert_eq!(recorder.operations[0].latency.len(), 1);
        assert_eq!(recorder.operations[0].failed, 0);
        assert_eq!(recorder.errors[&Kind::Lost].count, 1);
    }

    #[test]
    fn a_long_test_has_longer_stretches_and_loses_nothing() {
        let mut recorder = Recorder::new(schedule(), 1);
        let mut other = Recorder::new(schedule(), 1);
        for second in 0..1_000 {
            recorder.right(0, Duration::from_secs(second), ms(second));
        }
        other.right(0, Duration::from_secs(3), ms(3));
        other.add(recorder);
        let (length, stretches) = other.course();
        assert_eq!(length, Duration::from_secs(8));
        assert!(stretches.len() <= MOST_STRETCHES);
        let all: u64 = stretches.iter().map(|stretch| stretch.latency.len()).sum();
        assert_eq!(all, 1_001);
        assert_eq!(stretches[0].latency.len(), 9);
    }

    #[test]
    fn kinds_that_a_server_makes_up_have_an_end() {
        let mut recorder = Recorder::new(schedule(), 1);
        for code in 0..1_000 {
            recorder.error(&Failure::new(Kind::Rpc(code), "x"));
        }
        recorder.error(&Failure::new(Kind::Lost, "x"));
        assert!(recorder.errors.len() <= MOST_KINDS + 2);
        let all: u64 = recorder.errors.values().map(|errors| errors.count).sum();
        assert_eq!(all, 1_001);
        assert_eq!(recorder.errors[&Kind::Lost].count, 1);
    }
}
