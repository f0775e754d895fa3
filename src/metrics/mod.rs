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
mod labels;
mod process;
mod text;

use std::time::Duration;

use self::{
    counting::{Counters, Histogram},
    text::Text,
};

pub use self::labels::{Era, Label, Method, Outcome};

/// The media type of what [`Metrics::text`] writes.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What one server has counted since it started.
pub struct Metrics {
    requests: Counters,
    request_durations: Vec<Histogram>,
}

/// What is not counted but looked at when it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Gauges {}

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
        Self {
            requests: Counters::new(kinds * Outcome::ALL.len()),
            request_durations: (0..kinds).map(|_| Histogram::new()).collect(),
        }
    }

    /// A request was answered, so far as its status and its head.
    pub fn request(&self, method: Method, era: Era, outcome: Outcome, took: Duration) {
        let kind = method.index() * Era::ALL.len() + era.index();
        self.requests
            .add(kind * Outcome::ALL.len() + outcome.index());
        self.request_durations[kind].observe(took);
    }

    /// Everything, as Prometheus reads it (text format 0.0.4).
    #[must_use]
    pub fn text(&self, _gauges: &Gauges) -> String {
        let mut text = Text::default();
        text.family("epicme_build_info", "gauge", "The program's version.");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        text.sample("epicme_build_info", &version, 1);
        self.write_requests(&mut text);
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
                let count = kind * Outcome::ALL.len() + outcome.index();
                text.sample(name, &labels, self.requests.get(count));
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
}
