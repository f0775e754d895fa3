//! The end of a request: one line of the access log, a span, and metrics.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::Method,
    web::Data,
};
use log::{
    Level, Record,
    kv::{self, Key, Source, Value, VisitSource},
};

use super::{
    request_info::{LoggedCause, RequestInfo},
    route_path::path_of,
};
use crate::http::{paths::is_probe, state::AppState};
use crate::{
    features::call_record::Feature,
    metrics::{self, Outcome},
    telemetry::ACCESS,
};
use resource_server::{
    metrics::Label,
    printable::printable,
    trace_context::{SpanId, TraceId},
};

/// Logs the end of a request: its response or, when dropped before that, its cancellation.
pub(crate) struct AccessLogGuard {
    request: HttpRequest,
    state: Data<AppState>,
    answered: bool,
}

impl AccessLogGuard {
    pub(crate) fn new(request: &HttpRequest, state: &Data<AppState>) -> Self {
        Self {
            request: request.clone(),
            state: state.clone(),
            answered: false,
        }
    }

    /// The response is complete up to its body.
    pub(crate) fn answered(mut self, response: &HttpResponse) {
        self.answered = true;
        self.log(outcome(response), Some(response));
    }

    fn log(&self, outcome: Outcome, response: Option<&HttpResponse>) {
        let extensions = self.request.extensions();
        let Some(info) = extensions.get::<RequestInfo>() else {
            return;
        };
        let took = info.began.elapsed();
        let metrics = &self.state.metrics;
        metrics.request(info.method, info.era, outcome, took);
        let status = response.map(|response| response.status());
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.state.spans
            && info.trace.parent.is_none_or(|parent| parent.is_sampled())
        {
            exporter.export(crate::otlp::Span {
                trace: info.trace.trace_id_or_own(),
                span: info.trace.span_id(),
                parent: info.trace.parent.map(|parent| parent.span_id()),
                name: match info.method {
                    metrics::Method::None => crate::otlp::HTTP,
                    method => method.as_str(),
                },
                ended: self.state.clock.now(),
                took,
                status: status.map(|status| status.as_u16()),
                outcome: outcome.as_str(),
                era: info.era.as_str(),
                feature: info.feature.clone(),
                subject: info
                    .principal
                    .as_ref()
                    .map(|principal| principal.fingerprint.clone()),
            });
        }
        let level = if status.is_some_and(|status| status.is_server_error()) {
            Level::Warn
        } else if is_probe(path_of(&self.request)) {
            Level::Debug
        } else {
            Level::Info
        };
        if !log::log_enabled!(target: ACCESS, level) {
            return;
        }
        let principal = info.principal.as_deref();
        let client = principal.and_then(|principal| principal.client.as_deref());
        let response_data = response.map(HttpResponse::extensions);
        let cause = response_data
            .as_ref()
            .and_then(|data| data.get::<LoggedCause>());
        let mut request_id = [0; _];
        let line = Line {
            request_id: info.trace.request_id.encode(&mut request_id),
            method: method(&self.request),
            path: printable(self.request.path()),
            status: status.map(|status| status.as_u16()),
            outcome,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            subject: principal.map_or("-", |principal| &principal.fingerprint),
            client: client.map(printable),
            claimed_client: info.claimed_client.as_deref(),
            rpc: info.method,
            era: info.era,
            feature: info.feature.as_ref(),
            trace: info.trace.names(),
            cause: cause.map(|LoggedCause(cause)| cause.as_str()),
        };
        line.write(level);
    }
}

impl Drop for AccessLogGuard {
    fn drop(&mut self) {
        if !self.answered {
            self.log(Outcome::Cancelled, None);
        }
    }
}

/// The outcome of a request according to its response.
fn outcome(response: &HttpResponse) -> Outcome {
    match response.extensions().get::<Outcome>() {
        Some(outcome) => *outcome,
        None if matches!(response.body().size(), BodySize::Stream) => Outcome::Streamed,
        None => Outcome::Ok,
    }
}

fn method(request: &HttpRequest) -> &str {
    match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::DELETE | Method::OPTIONS => {
            request.method().as_str()
        }
        _ => "other",
    }
}

/// A line of the access log. It contains neither the query nor headers.
struct Line<'a> {
    request_id: &'a str,
    method: &'a str,
    path: Cow<'a, str>,
    status: Option<u16>,
    outcome: Outcome,
    micros: u64,
    subject: &'a str,
    client: Option<Cow<'a, str>>,
    claimed_client: Option<&'a str>,
    rpc: metrics::Method,
    era: metrics::Era,
    feature: Option<&'a Feature>,
    trace: Option<(TraceId, SpanId)>,
    cause: Option<&'a str>,
}

impl Source for Line<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let mut pair = |key: &'static str, value: Value<'kvs>| {
            // In this order, which is that of `docs/LOGGING.md`.
            visitor.visit_pair(Key::from_str(key), value)
        };
        pair("request_id", self.request_id.into())?;
        pair("method", self.method.into())?;
        pair("path", (&*self.path).into())?;
        if let Some(status) = self.status {
            pair("status", status.into())?;
        }
        pair("outcome", self.outcome.as_str().into())?;
        pair("subject", self.subject.into())?;
        if let Some(client) = &self.client {
            pair("client", (&**client).into())?;
        }
        if let Some(name) = self.claimed_client {
            pair("claimed_client", name.into())?;
        }
        if self.rpc != metrics::Method::None {
            pair("rpc", self.rpc.as_str().into())?;
            pair("era", self.era.as_str().into())?;
        }
        if let Some(feature) = self.feature {
            pair("kind", feature.kind.as_str().into())?;
            pair("feature", (&*feature.name).into())?;
        }
        if let Some((trace_id, span_id)) = &self.trace {
            pair("trace_id", Value::from_dyn_display(trace_id))?;
            pair("span_id", Value::from_dyn_display(span_id))?;
        }
        pair("micros", self.micros.into())
    }
}

/// The message for people.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [self.method, " ", &self.path, " "] {
            f.write_str(part)?;
        }
        match self.status {
            Some(status) => f.write_str(itoa::Buffer::new().format(status))?,
            None => f.write_str(self.outcome.as_str())?,
        }
        let Some(cause) = self.cause else {
            return Ok(());
        };
        f.write_str(": ")?;
        // A cause may contain text of the client, which must not look like a line of the log.
        for character in cause.chars() {
            match character {
                '"' | '\'' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        Ok(())
    }
}

impl Line<'_> {
    fn write(&self, level: Level) {
        log::logger().log(
            &Record::builder()
                .target(ACCESS)
                .level(level)
                .key_values(self)
                .args(format_args!("{self}"))
                .build(),
        );
    }
}
