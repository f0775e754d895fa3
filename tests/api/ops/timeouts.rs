//! What is waited for has an end: a body, the silence of a stream, and a yes under a token that ends.

use std::time::Duration;

use chrono::TimeDelta;
use epicme::app::TimeLimits;
use serde_json::{Value, json};

use crate::support::{ALL, Events, Session, TestApp, header_lines};

/// Short enough for a test, and long enough for an immediate answer.
const SOON: Duration = Duration::from_millis(100);

/// A session of a client that can do this, told everything.
async fn session(app: &TestApp, capabilities: Value) -> Session {
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, "2025-06-18", capabilities).await;
    let level = app.within(&session, "logging/setLevel", json!({ "level": "info" }));
    level.send().await.result();
    session
}

/// The next message of this method, past others.
async fn next(events: &mut Events, method: &str) -> Value {
    loop {
        let (_, message) = events.message().await;
        if message["method"] == method {
            return message;
        }
    }
}

/// SEC-11.
#[actix_rt::test]
async fn a_body_that_does_not_come_in_time_is_not_waited_for() {
    let app = TestApp::waiting(TimeLimits {
        body: SOON,
        ..TimeLimits::default()
    });
    let token = app.token("ann", ALL);
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{}content-length: 1000\r\n\r\n{{\"jsonrpc\":",
        header_lines(&token)
    ));
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["jsonrpc"], &body["error"]["code"]),
        (&json!("2.0"), &json!(-32600))
    );
    let whole = app.modern(&token, "tools/list", json!({}));
    assert_eq!(whole.send().await.status, 200);
}

/// T-25.
#[actix_rt::test]
async fn a_stream_that_has_nothing_to_say_says_so_now_and_then() {
    let app = TestApp::waiting(TimeLimits {
        heartbeat: SOON,
        ..TimeLimits::default()
    });
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let session = session(&app, json!({ "elicitation": {} })).await;
    let general = app.session_stream(&session).listen().await;
    let call = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    let mut call = app.within(&session, "tools/call", call).listen().await;
    call.message().await;
    let filter = json!({ "notifications": {} });
    let listen = app.modern(&journal.token, "subscriptions/listen", filter);
    let mut subscription = listen.listen().await;
    subscription.next().await;
    for mut stream in [general, call, subscription] {
        for _ in 0..3 {
            assert_eq!(stream.next().await.unwrap(), ": keep-alive");
        }
    }
}

/// SEC-13.
#[actix_rt::test]
async fn a_yes_under_a_token_that_has_ended_meanwhile_is_none() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let session = session(&app, json!({ "elicitation": {} })).await;
    for (lifetime, deleted) in [(60, false), (61, true)] {
        let end = (app.clock.now() + TimeDelta::seconds(lifetime)).timestamp();
        let brief = Session {
            token: app.token_with(json!({ "exp": end })),
            ..session.clone()
        };
        let call = json!({ "name": "delete_entry", "arguments": { "id": entry } });
        let mut stream = app.within(&brief, "tools/call", call).listen().await;
        let question = next(&mut stream, "elicitation/create").await["id"].clone();
        app.clock.advance(TimeDelta::seconds(60));
        // The answer itself comes under a token that is good.
        let yes = json!({ "action": "accept", "content": { "confirmed": true } });
        let answer = json!({ "jsonrpc": "2.0", "id": question, "result": yes });
        app.tell(&session, answer).await;
        let (_, response) = stream.message().await;
        assert_eq!(response["result"]["structuredContent"]["success"], deleted);
    }
}
