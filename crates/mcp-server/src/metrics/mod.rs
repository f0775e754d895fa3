//! **Lives here:** what is counted, under which labels, and the text in which Prometheus reads it.
//!
//! **May enter:** `http`, `actors`, `app`.
//!
//! **Never here:** a lock, a look-up by name or an allocation on the way of a request; a label whose
//! values a client could add to; anything global: each server counts for itself.
//!
//! **Begin with** [`Metrics`]; the labels are in `labels.rs`.
//!
//! No crate does this: `metrics` looks each counter up in a global registry, and the histograms of
//! `prometheus` and `prometheus-client` are behind locks or keep their labels as text. What is left to
//! write is an array of atomics for each family, and one function that prints it.

mod labels;
mod process;
mod source;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::{
    labels::{Era, Method, Outcome, StreamKind},
    source::{Gate, MetricSource},
};
pub use resource_server::metrics::{
    AuthMetrics, CacheResult, CircuitState, Counters, Histogram, Introspection, Label, Text,
};

/// The media type of what [`Metrics::text`] writes.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What one server has counted since it started.
pub struct Metrics {
    requests: Counters,
    request_durations: Vec<Histogram>,
    auth: Arc<AuthMetrics>,
    prefix: String,
    version: String,
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

impl Metrics {
    /// Nothing counted yet, for a server of this version whose metrics have this prefix.
    #[must_use]
    pub fn new(prefix: &str, version: &str) -> Self {
        let kinds = Method::ALL.len() * Era::ALL.len();
        Self {
            auth: Arc::default(),
            prefix: prefix.to_owned(),
            version: version.to_owned(),
            requests: Counters::new(kinds * Outcome::ALL.len()),
            request_durations: (0..kinds).map(|_| Histogram::new()).collect(),
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

    /// What the AuthActors count.
    #[must_use]
    pub fn auth(&self) -> &Arc<AuthMetrics> {
        &self.auth
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

    /// Everything, as Prometheus reads it (text format 0.0.4), what the sources have to add included.
    #[must_use]
    pub fn text(&self, sources: &[&dyn MetricSource]) -> String {
        let mut text = Text::new(&self.prefix);
        let name = "build_info";
        text.family(name, "gauge", "The program's version.");
        text.sample(name, &[("version", &*self.version)], 1);
        self.write_requests(&mut text);
        self.auth.write(&mut text);
        let name = "streams_open";
        text.family(name, "gauge", "Event streams that are open.");
        for kind in StreamKind::ALL {
            let count = self.streams[kind.index()].load(Ordering::Relaxed);
            text.sample(name, &[("kind", kind.as_str())], count);
        }
        let name = "spans_dropped_total";
        let help = "Spans that the collector was to be sent and was not.";
        text.family(name, "counter", help);
        let count = self.spans_dropped.load(Ordering::Relaxed);
        text.sample(name, &[], count);
        source::write(sources, &mut text);
        text.without_prefix();
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
        let name = "requests_total";
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
        let name = "request_duration_seconds";
        let help = "From a request's head to the head of its response.";
        text.family(name, "histogram", help);
        for (kind, (method, era)) in kinds() {
            let labels = [("method", method.as_str()), ("era", era.as_str())];
            self.request_durations[kind].write(text, name, &labels);
        }
    }
}
