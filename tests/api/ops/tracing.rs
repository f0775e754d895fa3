//! Traces of other programs: read from the header or the message, and passed to the log and the
//! authorization server, and nothing else.

use serde_json::{Value, json};

use crate::support::{ALL, Ask, Reply, TestApp, lines_with};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn parent(trace: &str) -> String {
    format!("00-{trace}-00f067aa0ba902b7-01")
}

fn with_meta<'a>(ask: Ask<'a>, name: &str, value: &Value) -> Ask<'a> {
    ask.edit(|body| body["params"]["_meta"][name] = value.clone())
}

/// What stands under a key in the access line of the request that this is the reply to.
fn logged(reply: &Reply, key: &str) -> Option<String> {
    said(" access ", reply, key)
}

fn said(target: &str, reply: &Reply, key: &str) -> Option<String> {
    let lines = lines_with(reply.header("x-request-id").unwrap());
    let line = lines.iter().find(|line| line.contains(target)).unwrap();
    let mut words = line.split(' ');
    let value = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.to_owned())
}

#[actix_rt::test]
async fn the_header_names_the_trace_in_the_log_and_to_the_authorization_server() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let ask = app
        .tool(&token, "create_tag", &json!({ "name": "a" }))
        .header("traceparent", &parent(TRACE))
        .header("tracestate", "rojo=1")
        .also("tracestate", b"congo=2");
    let reply = ask.send().await;
    assert_eq!(reply.status, 200);
    for target in [" access ", " audit "] {
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(said(target, &reply, "trace_id").unwrap(), TRACE);
        assert_eq!(said(target, &reply, "span_id").unwrap(), id[16..]);
    }
    let seen = app.issuer.seen().pop().unwrap();
    let told = seen.traceparent.unwrap();
    let words: Vec<_> = told.split('-').collect();
    let [version, trace, span, flags] = words[..] else {
        panic!("{told}");
    };
    assert_eq!((version, trace, flags), ("00", TRACE, "01"));
    assert!(span != "00f067aa0ba902b7" && span.len() == 16, "{span}");
    assert_eq!(seen.tracestate.unwrap(), "rojo=1,congo=2");
}

#[actix_rt::test]
async fn whoever_traces_nothing_has_no_trace() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let ask = app.modern(&token, "tools/list", json!({}));
    let reply = ask.header("tracestate", "rojo=1").send().await;
    assert_eq!(logged(&reply, "trace_id"), None);
    assert_eq!(logged(&reply, "span_id"), None);
    let seen = app.issuer.seen().pop().unwrap();
    assert_eq!((seen.traceparent, seen.tracestate), (None, None));
}

/// B-14.
#[actix_rt::test]
async fn the_message_names_the_trace_where_the_header_does_not() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    let in_session = app.within(&session, "tools/list", json!({ "_meta": {} }));
    for ask in [app.modern(&token, "tools/list", json!({})), in_session] {
        let meta = json!(parent(OTHER));
        let traced = with_meta(ask, "traceparent", &meta);
        let reply = traced.clone().send().await;
        assert_eq!(logged(&reply, "trace_id").as_deref(), Some(OTHER));
        // The authorization server was told of the header's by then.
        let both = traced.header("traceparent", &parent(TRACE));
        let reply = both.send().await;
        assert_eq!(logged(&reply, "trace_id").as_deref(), Some(TRACE));
    }
}

/// B-14.
#[actix_rt::test]
async fn what_is_malformed_changes_nothing_and_stands_nowhere() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let whoami = app.tool(&token, "whoami", &json!({}));
    let usual = whoami.clone().send().await;
    for (name, value) in [
        ("traceparent", json!("nonsense")),
        ("traceparent", json!(parent(TRACE).to_uppercase())),
        ("traceparent", json!(7)),
        ("traceparent", json!("x".repeat(100_000))),
        ("tracestate", json!(format!("vendor={TRACE}"))),
        ("tracestate", json!("x".repeat(100_000))),
        ("baggage", json!(format!("userId={TRACE}"))),
        ("baggage", json!(null)),
    ] {
        let reply = with_meta(whoami.clone(), name, &value).send().await;
        assert_eq!((reply.status, &reply.body), (200, &usual.body), "{name}");
        assert_eq!(logged(&reply, "trace_id"), None, "{name}: {value}");
    }
    let doubled = whoami
        .clone()
        .header("traceparent", &parent(TRACE))
        .also("traceparent", parent(OTHER).as_bytes());
    let broken = whoami.header("traceparent", &format!("{}-x", parent(TRACE)));
    for ask in [doubled, broken] {
        let fresh = app.token("ann", ALL);
        let ask = ask.header("authorization", &format!("Bearer {fresh}"));
        let reply = ask.header("tracestate", "rojo=1").send().await;
        assert_eq!((reply.status, &reply.body), (200, &usual.body));
        assert_eq!(logged(&reply, "trace_id"), None);
        let seen = app.issuer.seen().pop().unwrap();
        assert_eq!((seen.traceparent, seen.tracestate), (None, None));
    }
}

#[actix_rt::test]
async fn a_state_that_is_malformed_is_left_out_and_the_trace_goes_on() {
    let app = TestApp::spawn();
    for state in ["Rojo=1", "rojo", &"x".repeat(600)] {
        let token = app.token("ann", ALL);
        let ask = app.modern(&token, "tools/list", json!({}));
        let ask = ask.header("traceparent", &parent(TRACE));
        assert_eq!(ask.header("tracestate", state).send().await.status, 200);
        let seen = app.issuer.seen().pop().unwrap();
        assert!(seen.traceparent.unwrap().contains(TRACE));
        assert_eq!(seen.tracestate, None);
    }
}
