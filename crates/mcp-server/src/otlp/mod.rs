//! **Lives here:** spans of requests, on their way to a collector (OTLP over HTTP, in JSON).
//!
//! **May enter:** `http`, `app`.
//!
//! **Never here:** anything that a request waits for; a token, a title, a text, a name that a client
//! made up; a queue without an end.
//!
//! **Begin with** [`Exporter`]; `json.rs` says how a span is written.
//!
//! `opentelemetry-otlp` would bring fourteen more crates even without its HTTP client, and a client of its
//! own kind would have to be written for it all the same; one message of one kind is what is needed.

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

/// What a request is called that has no message.
pub const HTTP: &str = "http";

/// How many spans may wait for the collector; what finds no place is lost, and counted.
const QUEUE: usize = 4_096;

/// How many spans travel together at most.
const BATCH: usize = 512;

/// How long the first of them waits for others.
const GATHERING: Duration = Duration::from_secs(1);

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is told that the collector cannot be reached.
const TOLD: Duration = Duration::from_secs(60);

/// A request, as a collector is told of it.
#[derive(Clone, Debug)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its name in it.
    pub span: SpanId,
    /// What asked for it, if anything did.
    pub parent: Option<SpanId>,
    /// What it was: the method of its message, or else `http`.
    pub name: &'static str,
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status; absent if the client left first.
    pub status: Option<u16>,
    /// What became of it.
    pub outcome: &'static str,
    /// Its era.
    pub era: &'static str,
    /// The declared feature that was called.
    pub feature: Option<Feature>,
    /// For whom, by the fingerprint that is in the log.
    pub subject: Option<String>,
}

/// Who tells of the requests (OpenTelemetry `service.name` and `service.version`).
#[derive(Clone, Debug)]
pub struct Service {
    /// The server's name.
    pub name: String,
    /// Its version.
    pub version: String,
}

enum Message {
    Span(Box<Span>),
    Finish(oneshot::Sender<()>),
}

/// Hands spans to a thread that sends them. Clones hand them to the same.
#[derive(Clone)]
pub struct Exporter {
    queue: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    /// Starts the thread. The collector need not be there.
    #[must_use]
    pub fn start(collector: &Url, service: Service, metrics: Arc<Metrics>) -> Self {
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

    /// Takes a span along, unless too many wait already.
    pub fn export(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.metrics.spans_dropped(1);
        }
    }

    /// Waits until what was taken along is sent, or cannot be.
    pub async fn finish(self) {
        let (done, is_done) = oneshot::channel();
        let finished = async {
            if self.queue.send(Message::Finish(done)).await.is_ok() {
                // Whoever should say so has gone: that is the end as well.
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
    let mut told: Option<Instant> = None;
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
            if told.is_none_or(|told| told.elapsed() > TOLD) {
                told = Some(Instant::now());
                log::warn!("{} spans are lost: {reason}", batch.len());
            }
        }
        batch.clear();
    }
    if let Some(done) = finish {
        // Nobody may be waiting any more.
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
