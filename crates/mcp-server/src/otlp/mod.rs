//! *Purpose:* exports spans of requests to a collector (OTLP over HTTP, in JSON).
//!
//! *Used by:* `http`, `server`.
//!
//! *Invariants:* no request waits for an export; a span contains no token, no user content and no text of a
//! client; the queue is bounded.
//!
//! *Start reading at* [`Exporter`]; `json.rs` serialises spans.
//!
//! `opentelemetry-otlp` would add fourteen crates even without its HTTP client; only one kind of message is
//! needed.

mod json;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_rt::Arbiter;
use awc::{Client, http::header::CONTENT_TYPE};
use tokio::{
    sync::{mpsc, oneshot},
    time::{timeout, timeout_at},
};
use url::Url;

use crate::{features::call_record::Feature, metrics::Metrics};
use resource_server::{
    clock::Timestamp,
    issuer::client,
    trace_context::{SpanId, TraceId},
};

/// The name of a span without an MCP message.
pub(crate) const HTTP: &str = "http";

/// Spans that may wait for the collector; further ones are dropped and counted.
const QUEUE: usize = 4_096;

/// The maximum number of spans in a request.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHERING: Duration = Duration::from_secs(1);

/// The timeout of a request to the collector.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest time between two warnings about the collector.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A span of a request.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The trace.
    pub trace: TraceId,
    /// The id of the span.
    pub span: SpanId,
    /// The parent span, if any.
    pub parent: Option<SpanId>,
    /// The MCP method, or `http`.
    pub name: &'static str,
    /// When it ended.
    pub ended: Timestamp,
    /// The duration.
    pub took: Duration,
    /// The HTTP status; absent if the client disconnected.
    pub status: Option<u16>,
    /// The outcome.
    pub outcome: &'static str,
    /// The era.
    pub era: &'static str,
    /// The feature that was called.
    pub feature: Option<Feature>,
    /// The fingerprint of the user, as in the log.
    pub subject: Option<String>,
}

/// The service that exports spans (OpenTelemetry `service.name` and `service.version`).
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The server's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

enum Message {
    Span(Box<Span>),
    Finish(oneshot::Sender<()>),
}

/// Sends spans to the collector on its own thread. Clones share the thread.
#[derive(Clone)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Starts the thread. The collector need not be reachable.
    #[must_use]
    pub(crate) fn start(collector: &Url, service: Service, metrics: Arc<Metrics>) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        let address = format!("{}/v1/traces", collector.as_str().trim_end_matches('/'));
        let is_plain = collector.scheme() == "http";
        let counted = Arc::clone(&metrics);
        // awc's client stays on one thread, so it is made there.
        Arbiter::new().spawn_fn(move || {
            actix_rt::spawn(async move {
                send_all(messages, &address, is_plain, &service, &counted).await;
                Arbiter::current().stop();
            });
        });
        Self { queue, metrics }
    }

    /// Queues a span; drops it if the queue is full.
    pub(crate) fn export(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.metrics.spans_dropped(1);
        }
    }

    /// Waits until all queued spans have been sent or dropped.
    pub(crate) async fn finish(self) {
        let (done, is_done) = oneshot::channel();
        let finished = async {
            if self.queue.send(Message::Finish(done)).await.is_ok() {
                // An error means that the thread has ended, which is the end as well.
                let _ = is_done.await;
            }
        };
        let _ = timeout(TIMEOUT, finished).await;
    }
}

async fn send_all(
    mut messages: mpsc::Receiver<Message>,
    address: &str,
    is_plain: bool,
    service: &Service,
    metrics: &Metrics,
) {
    let client = client(TIMEOUT, Some(TIMEOUT), is_plain);
    let mut warned_at: Option<Instant> = None;
    let mut batch = Vec::with_capacity(BATCH);
    let mut finish = None;
    while finish.is_none() {
        let Some(first) = messages.recv().await else {
            return;
        };
        let mut next = Some(first);
        let until = tokio::time::Instant::now() + GATHERING;
        while let Some(message) = next.take() {
            match message {
                Message::Span(span) => batch.push(*span),
                Message::Finish(done) => {
                    finish = Some(done);
                    break;
                }
            }
            if batch.len() < BATCH {
                next = timeout_at(until, messages.recv()).await.unwrap_or(None);
            }
        }
        if batch.is_empty() {
            continue;
        }
        if let Err(reason) = send(&client, address, json::request(&batch, service)).await {
            metrics.spans_dropped(batch.len());
            if warned_at.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) {
                warned_at = Some(Instant::now());
                log::warn!("{} spans are lost: {reason}", batch.len());
            }
        }
        batch.clear();
    }
    if let Some(done) = finish {
        // The caller may have timed out.
        let _ = done.send(());
    }
}

async fn send(client: &Client, address: &str, body: String) -> Result<(), String> {
    let sent = client
        .post(address)
        .insert_header((CONTENT_TYPE, "application/json"))
        .send_body(body)
        .await;
    match sent {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("the collector answers {}", response.status())),
        Err(error) => Err(format!("the collector cannot be reached: {error}")),
    }
}
