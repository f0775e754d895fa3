//! Counters and histograms: arrays of atomics with fixed indices.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::text::Text;

/// The counters of one family, by index.
#[derive(Debug)]
pub struct Counters(Box<[AtomicU64]>);

impl Counters {
    /// `count` counters at zero.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU64::new(0)).collect())
    }

    /// Increments the counter at an index.
    ///
    /// # Panics
    /// If the index is out of bounds.
    pub fn add(&self, index: usize) {
        self.0[index].fetch_add(1, Ordering::Relaxed);
    }

    /// The count at an index.
    ///
    /// # Panics
    /// If the index is out of bounds.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }
}

/// The upper bounds of the buckets, in microseconds and as text in seconds.
const BOUNDS: [(u64, &str); 15] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
];

/// A histogram of durations.
#[derive(Debug)]
pub struct Histogram {
    /// Not cumulative: the observations above the previous bound; the last bucket has no bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
        }
    }

    /// Adds an observation.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS
            .iter()
            .position(|(bound, _)| micros <= *bound)
            .unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }

    /// Writes the series of the family, with cumulative buckets.
    pub fn write(&self, text: &mut Text, name: &str, labels: &[(&str, &str)]) {
        let mut count = 0;
        let bounds = BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            count += bucket.load(Ordering::Relaxed);
            text.bucket(name, labels, bound, count);
        }
        let micros = self.micros.load(Ordering::Relaxed);
        let seconds = format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        text.part(name, "_sum", labels, seconds);
        text.part(name, "_count", labels, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_below_its_bound_and_the_sum_is_exact() {
        let histogram = Histogram::new();
        for micros in [0, 250, 251, 1_000_000, 11_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut text = Text::new("");
        histogram.write(&mut text, "x", &[("a", "b")]);
        let text = text.finish();
        for line in [
            "x_bucket{a=\"b\",le=\"0.00025\"} 2\n",
            "x_bucket{a=\"b\",le=\"0.0005\"} 3\n",
            "x_bucket{a=\"b\",le=\"0.5\"} 3\n",
            "x_bucket{a=\"b\",le=\"1\"} 4\n",
            "x_bucket{a=\"b\",le=\"10\"} 4\n",
            "x_bucket{a=\"b\",le=\"+Inf\"} 5\n",
            "x_sum{a=\"b\"} 12.000501\n",
            "x_count{a=\"b\"} 5\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn the_bounds_are_written_as_they_are() {
        for (micros, said) in BOUNDS {
            let seconds: f64 = said.parse().unwrap();
            let said = Duration::from_secs_f64(seconds);
            assert_eq!(said, Duration::from_micros(micros));
        }
    }
}
