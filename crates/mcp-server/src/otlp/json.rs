//! An OTLP request in JSON: ids in hexadecimal, 64-bit numbers as strings (OTLP 1.x, JSON Protobuf Encoding).

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Service, Span};

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The request. Attributes without a name in OpenTelemetry begin with the name of the service.
pub(crate) fn request(spans: &[Span], service: &Service) -> String {
    let spans: Vec<_> = spans
        .iter()
        .map(|span| encode(span, &service.name))
        .collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            text("service.name", &service.name),
            text("service.version", &service.version),
        ] },
        "scopeSpans": [{ "scope": { "name": service.name }, "spans": spans }],
    }] })
    .to_string()
}

fn encode(span: &Span, service: &str) -> Value {
    let took = TimeDelta::from_std(span.took).unwrap_or(TimeDelta::MAX);
    let began = span.ended.checked_sub_signed(took).unwrap_or(span.ended);
    let nanos = |at: chrono::DateTime<chrono::Utc>| {
        at.timestamp_nanos_opt().unwrap_or_default().to_string()
    };
    let mut attributes = vec![
        text(&format!("{service}.outcome"), span.outcome),
        text(&format!("{service}.era"), span.era),
    ];
    if let Some(status) = span.status {
        attributes.push(json!({
            "key": "http.response.status_code",
            "value": { "intValue": status.to_string() },
        }));
    }
    if span.name != super::HTTP {
        attributes.push(text("mcp.method.name", span.name));
    }
    if let Some(feature) = &span.feature {
        attributes.push(text(&format!("{service}.kind"), feature.kind.as_str()));
        attributes.push(text(&format!("{service}.feature"), &feature.name));
    }
    if let Some(subject) = &span.subject {
        attributes.push(text("enduser.pseudo.id", subject));
    }
    let mut encoded = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.span.to_string(),
        "name": span.name,
        "kind": SERVER,
        "startTimeUnixNano": nanos(began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        encoded["parentSpanId"] = parent.to_string().into();
    }
    // 4xx is not an error of a server span (OpenTelemetry, HTTP spans).
    if span.status.is_some_and(|status| status >= 500) {
        encoded["status"] = json!({ "code": ERROR });
    }
    encoded
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
