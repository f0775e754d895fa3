//! *Purpose:* the metrics of a server: counters, their labels, and the text format of Prometheus.
//!
//! *Used by:* `http`, `otlp`, `server`.
//!
//! *Invariants:* counting a request takes no lock, no lookup by name and no allocation; clients cannot add
//! label values; nothing is global: each server has its own metrics.
//!
//! *Start reading at* `Metrics`; the labels are in `labels.rs`.
//!
//! The crate `metrics` looks up each counter in a global registry, and the histograms of `prometheus` and
//! `prometheus-client` use locks or keep labels as text. An array of atomics for each family needs neither.

mod connections;
mod labels;
mod process;
mod source;
mod tools;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use self::source::{Gate, MetricSource};
pub(crate) use self::{
    connections::ConnectionMetrics,
    labels::{CallEnd, Closed, Era, Limit, Method, Outcome, StreamKind},
    tools::ToolMetrics,
};
pub use resource_server::metrics::{
    AuthMetrics, CacheResult, CircuitState, Counters, Histogram, Introspection, Label, Text,
};

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one server since its start.
pub(crate) struct Metrics {
    requests: Counters,
    request_durations: Vec<Histogram>,
    auth: Arc<AuthMetrics>,
    connections: Arc<ConnectionMetrics>,
    limits_reached: Counters,
    prefix: String,
    version: String,
    streams: Vec<AtomicU64>,
    spans_dropped: AtomicU64,
}

/// Counts an event stream while it is open.
#[derive(Debug)]
pub(crate) struct OpenStream {
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
    /// Metrics of a server with this version; their names begin with `prefix`.
    #[must_use]
    pub(crate) fn new(prefix: &str, version: &str) -> Self {
        let kinds = Method::ALL.len() * Era::ALL.len();
        Self {
            auth: Arc::default(),
            connections: Arc::default(),
            limits_reached: Counters::new(Limit::ALL.len()),
            prefix: prefix.to_owned(),
            version: version.to_owned(),
            requests: Counters::new(kinds * Outcome::ALL.len()),
            request_durations: (0..kinds).map(|_| Histogram::new()).collect(),
            spans_dropped: AtomicU64::new(0),
            streams: StreamKind::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a request whose response head is complete.
    pub(crate) fn request(&self, method: Method, era: Era, outcome: Outcome, took: Duration) {
        let kind = method.index() * Era::ALL.len() + era.index();
        self.requests
            .add(kind * Outcome::ALL.len() + outcome.index());
        self.request_durations[kind].observe(took);
    }

    /// The metrics of authentication.
    #[must_use]
    pub(crate) fn auth(&self) -> &Arc<AuthMetrics> {
        &self.auth
    }

    /// The metrics of the connections.
    #[must_use]
    pub(crate) fn connections(&self) -> &Arc<ConnectionMetrics> {
        &self.connections
    }

    /// Counts a request that is answered with an error because of a limit.
    pub(crate) fn limit_reached(&self, limit: Limit) {
        self.limits_reached.add(limit.index());
    }

    /// Counts an event stream until the result is dropped.
    #[must_use]
    pub(crate) fn open_stream(self: &Arc<Self>, kind: StreamKind) -> OpenStream {
        self.streams[kind.index()].fetch_add(1, Ordering::Relaxed);
        OpenStream {
            metrics: Arc::clone(self),
            kind,
        }
    }

    /// Counts spans that were not exported.
    #[cfg(feature = "otlp")]
    pub(crate) fn spans_dropped(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.spans_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// All metrics and those of the sources, in the text format 0.0.4 of Prometheus.
    #[must_use]
    pub(crate) fn text(&self, sources: &[&dyn MetricSource]) -> String {
        let mut text = Text::new(&self.prefix);
        let name = "build_info";
        text.family(name, "gauge", "The program's version.");
        text.sample(name, &[("version", &*self.version)], 1);
        self.write_requests(&mut text);
        self.auth.write(&mut text);
        self.connections.write(&mut text);
        let name = "limits_reached_total";
        let help = "Requests answered with an error because of a limit, by limit.";
        text.family(name, "counter", help);
        for limit in Limit::ALL {
            let count = self.limits_reached.get(limit.index());
            text.sample(name, &[("limit", limit.as_str())], count);
        }
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
                // Most methods belong to one era. After the first request of a kind, all outcomes are shown,
                // so that the first occurrence of each is visible as an increase.
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
                let index = kind * Outcome::ALL.len() + outcome.index();
                text.sample(name, &labels, self.requests.get(index));
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
