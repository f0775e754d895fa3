//! **Lives here:** what is counted, under which labels, and the text in which Prometheus reads it.
//!
//! **May enter:** `http`, `actors`, `app`.
//!
//! **Never here:** a lock, a look-up by name or an allocation on the way of a request; a label whose
//! values a client could add to; anything global: each server counts for itself.
//!
//! **Begin with** [`Metrics`]; the labels are in `labels.rs`, and `docs/METRICS.md` says what each means.
//!
//! No crate does this: `metrics` looks each counter up in a global registry, and the histograms of
//! `prometheus` and `prometheus-client` are behind locks or keep their labels as text. What is left to
//! write is an array of atomics for each family, and one function that prints it.

mod counting;
mod gauges;
mod labels;
mod process;
mod text;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use self::{
    counting::{Counters, Histogram},
    text::Text,
};

pub use self::{
    gauges::Gauges,
    labels::{
        CacheResult, CircuitState, ConnectionState, Era, Gate, Introspection, JournalOutcome,
        Label, Method, Operation, Outcome, StreamKind,
    },
};

/// The media type of what [`Metrics::text`] writes.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What one server has counted since it started.
pub struct Metrics {
    requests: Counters,
    request_durations: Vec<Histogram>,
    introspections: Counters,
    introspection_durations: Histogram,
    introspection_cache: Counters,
    journal_durations: Vec<Histogram>,
    streams: Vec<AtomicU64>,
    spans_dropped: AtomicU64,
}

/// An event stream that is counted for as long as it lives.
#[derive(Debug)]
pub struct OpenStream {
    metrics: Arc<Metrics>,
    kind: StreamKind,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.metrics.streams[self.kind.index()].fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let kinds = Method::ALL.len() * Era::ALL.len();
        let operations = Operation::ALL.len() * JournalOutcome::ALL.len();
        Self {
            requests: Counters::new(kinds * Outcome::ALL.len()),
            request_durations: (0..kinds).map(|_| Histogram::new()).collect(),
            introspections: Counters::new(Introspection::ALL.len()),
            introspection_durations: Histogram::new(),
            introspection_cache: Counters::new(CacheResult::ALL.len()),
            journal_durations: (0..operations).map(|_| Histogram::new()).collect(),
            spans_dropped: AtomicU64::new(0),
            streams: StreamKind::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// A request was answered, so far as its status and its head.
    pub fn request(&self, method: Method, era: Era, outcome: Outcome, took: Duration) {
        let kind = method.index() * Era::ALL.len() + era.index();
        self.requests
            .add(kind * Outcome::ALL.len() + outcome.index());
        self.request_durations[kind].observe(took);
    }

    /// An authorization server was asked about a token.
    pub fn introspection(&self, outcome: Introspection, took: Duration) {
        self.introspections.add(outcome.index());
        self.introspection_durations.observe(took);
    }

    /// An authorization server was not asked about a token, because it is left alone for a while.
    pub fn introspection_left_out(&self) {
        self.introspections.add(Introspection::CircuitOpen.index());
    }

    /// A token was looked up.
    pub fn introspection_cache(&self, result: CacheResult) {
        self.introspection_cache.add(result.index());
    }

    /// The journal was asked something.
    pub fn journal(&self, operation: Operation, outcome: JournalOutcome, took: Duration) {
        let place = operation.index() * JournalOutcome::ALL.len() + outcome.index();
        self.journal_durations[place].observe(took);
    }

    /// An event stream was opened.
    #[must_use]
    pub fn open_stream(self: &Arc<Self>, kind: StreamKind) -> OpenStream {
        self.streams[kind.index()].fetch_add(1, Ordering::Relaxed);
        OpenStream {
            metrics: Arc::clone(self),
            kind,
        }
    }

    /// Requests that no collector was told of, though one should have been.
    pub fn spans_dropped(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.spans_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Everything, as Prometheus reads it (text format 0.0.4).
    #[must_use]
    pub fn text(&self, gauges: &Gauges) -> String {
        let mut text = Text::default();
        let name = "epicme_build_info";
        text.family(name, "gauge", "The program's version.");
        text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.write_requests(&mut text);
        self.write_introspections(&mut text);
        self.write_journal(&mut text);
        let name = "epicme_streams_open";
        text.family(name, "gauge", "Event streams that are open.");
        for kind in StreamKind::ALL {
            let count = self.streams[kind.index()].load(Ordering::Relaxed);
            text.sample(name, &[("kind", kind.as_str())], count);
        }
        let name = "epicme_spans_dropped_total";
        let help = "Spans that the collector was to be sent and was not.";
        text.family(name, "counter", help);
        let count = self.spans_dropped.load(Ordering::Relaxed);
        text.sample(name, &[], count);
        gauges.write(&mut text);
        process::write(&mut text);
        text.finish()
    }

    fn write_requests(&self, text: &mut Text) {
        let kinds = || {
            Method::ALL
                .iter()
                .flat_map(|method| Era::ALL.iter().map(move |era| (method, era)))
                .enumerate()
                // Most methods belong to one era. Once there was one of a kind, all that it can come to
                // are shown, so that the first of them is an increase that can be seen.
                .filter(|(kind, _)| self.request_durations[*kind].count() > 0)
        };
        let name = "epicme_requests_total";
        text.family(name, "counter", "Requests answered.");
        for (kind, (method, era)) in kinds() {
            for outcome in Outcome::ALL {
                let labels = [
                    ("method", method.as_str()),
                    ("era", era.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                let place = kind * Outcome::ALL.len() + outcome.index();
                text.sample(name, &labels, self.requests.get(place));
            }
        }
        let name = "epicme_request_duration_seconds";
        let help = "From a request's head to the head of its response.";
        text.family(name, "histogram", help);
        for (kind, (method, era)) in kinds() {
            let labels = [("method", method.as_str()), ("era", era.as_str())];
            self.request_durations[kind].write(text, name, &labels);
        }
    }

    fn write_introspections(&self, text: &mut Text) {
        let name = "epicme_introspections_total";
        let help = "Tokens that an authorization server was asked about.";
        text.family(name, "counter", help);
        for outcome in Introspection::ALL {
            let count = self.introspections.get(outcome.index());
            text.sample(name, &[("outcome", outcome.as_str())], count);
        }
        let name = "epicme_introspection_duration_seconds";
        let help = "How long an introspection took, a second try included.";
        text.family(name, "histogram", help);
        self.introspection_durations.write(text, name, &[]);
        let name = "epicme_introspection_cache_total";
        let help = "Tokens that were looked up, by what was known of them.";
        text.family(name, "counter", help);
        for result in CacheResult::ALL {
            let count = self.introspection_cache.get(result.index());
            text.sample(name, &[("result", result.as_str())], count);
        }
    }

    fn write_journal(&self, text: &mut Text) {
        let name = "epicme_journal_duration_seconds";
        let help = "From a question to the journal to its answer, waiting included.";
        text.family(name, "histogram", help);
        let kinds = Operation::ALL.iter().flat_map(|operation| {
            let outcomes = JournalOutcome::ALL.iter();
            outcomes.map(move |outcome| (operation, outcome))
        });
        for ((operation, outcome), durations) in kinds.zip(&self.journal_durations) {
            if durations.count() > 0 {
                let labels = [
                    ("operation", operation.as_str()),
                    ("outcome", outcome.as_str()),
                ];
                durations.write(text, name, &labels);
            }
        }
    }
}
