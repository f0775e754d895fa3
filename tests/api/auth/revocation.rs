//! Revocation: the streams and sessions of a revoked token, client or user end, whether the server is
//! notified or finds out by introspection.

use std::time::Duration;

use chrono::TimeDelta;
use epicme::app::TimeLimits;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Ask, Events, Reply, Session, TestApp, patiently};

pub(super) const SECRET: &str = "a secret: for +% cut-offs";

/// Soon enough not to be waited for by a test.
const SOON: Duration = Duration::from_millis(100);

pub(super) fn spawn() -> TestApp {
    TestApp::spawn_with(|config| {
        config.http.revocation_secret = Some(SECRET.into());
        config.http.streams.per_user = 300.try_into().unwrap();
        config.http.memory.requests_per_user = 300.try_into().unwrap();
    })
}

/// A server whose streams are seldom silent, and are looked at as often.
fn spawn_impatient() -> TestApp {
    let timeouts = TimeLimits {
        heartbeat: SOON,
        ..TimeLimits::default()
    };
    TestApp::start(|_| (), None, timeouts)
}

fn told<'a>(app: &'a TestApp, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Ask<'a> {
    app.ask("POST", path)
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("content-type", media_type)
        .body(body)
}

pub(crate) fn form<'a>(app: &'a TestApp, path: &str, body: impl Into<Vec<u8>>) -> Ask<'a> {
    told(app, path, "application/x-www-form-urlencoded", body)
}

async fn revoke(app: &TestApp, token: &str) {
    app.issuer
        .answer(token, Answer::json(json!({ "active": false })));
    let reply = form(app, "/oauth/revoked", format!("token={token}"))
        .send()
        .await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

pub(crate) fn cut_off<'a>(app: &'a TestApp, whom: &Value) -> Ask<'a> {
    told(app, "/admin/cut-offs", "application/json", whom.to_string())
}

/// A subscription to the lists, its acknowledgement read.
pub(crate) async fn subscribe(app: &TestApp, token: &str) -> Events {
    let params = json!({ "notifications": { "resourcesListChanged": true } });
    let mut events = app
        .modern(token, "subscriptions/listen", params)
        .listen()
        .await;
    let first = events.next().await.unwrap();
    assert!(first.contains("acknowledged"), "{first}");
    events
}

/// The GET of a session.
fn get<'a>(app: &'a TestApp, session: &Session, token: &str) -> Ask<'a> {
    app.session_stream(session)
        .header("authorization", &format!("Bearer {token}"))
}

pub(super) async fn ping(app: &TestApp, session: &Session, token: &str) -> Reply {
    app.within(session, "ping", json!({}))
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await
}

/// Reads the rest of a subscription, which ends in order and says nothing else.
pub(crate) async fn ends_in_order(mut events: Events) {
    let ended = async {
        let mut event = events.next().await.unwrap();
        while event == ": keep-alive" {
            event = events.next().await.unwrap();
        }
        let result: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(result["result"]["resultType"], "complete", "{result}");
        assert_eq!(events.next().await, None);
    };
    // However many comments there are.
    patiently(ended).await;
}

/// The next event that is no comment has this in it.
pub(super) async fn goes_on(events: &mut Events, expected: &str) {
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event != ": keep-alive" {
            assert!(event.contains(expected), "{event}");
            return;
        }
    }
}

/// D-22.
#[actix_rt::test]
async fn a_revoked_token_ends_the_streams_that_it_opened_and_no_others() {
    let app = spawn();
    let (one, two) = (app.token("ann", ALL), app.token("ann", ALL));
    let session = app.open(&one, "2025-06-18").await;
    let subscription = subscribe(&app, &one).await;
    let mut stream = get(&app, &session, &one).listen().await;
    let mut other = subscribe(&app, &two).await;
    revoke(&app, &one).await;
    ends_in_order(subscription).await;
    assert_eq!(stream.next().await, None);
    assert_eq!(ping(&app, &session, &one).await.status, 401);
    assert_eq!(ping(&app, &session, &two).await.status, 200);
    app.journal("ann").tag("work").await;
    goes_on(&mut other, "list_changed").await;
    let mut stream = get(&app, &session, &two).listen().await;
    app.journal("ann").tag("home").await;
    goes_on(&mut stream, "list_changed").await;
}

#[actix_rt::test]
async fn what_an_operator_cuts_off_ends_and_its_sessions_are_gone() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    for (whom, ends) in [
        (
            json!({ "issuer": issuer, "subject": "ann" }),
            [true, true, false],
        ),
        (
            json!({ "issuer": issuer, "client": "notebook" }),
            [true, false, true],
        ),
        (json!({ "everybody": true }), [true, true, true]),
    ] {
        let tokens = [
            app.token("ann", ALL),
            app.token_with(json!({ "client_id": "phone" })),
            app.token("bob", ALL),
        ];
        let mut open = Vec::new();
        for token in &tokens {
            let session = app.open(token, "2025-11-25").await;
            let mut stream = get(&app, &session, token).listen().await;
            stream.next().await.expect("a place to resume from");
            open.push((token, subscribe(&app, token).await, stream, session));
        }
        let calls = app.issuer.calls();
        let reply = cut_off(&app, &whom).send().await;
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{whom}");
        for ((token, mut subscription, mut stream, session), ends) in open.into_iter().zip(ends) {
            if ends {
                ends_in_order(subscription).await;
                assert_eq!(stream.next().await, None, "{whom}");
                // Until the session has heard of it as well.
                let gone = async { while ping(&app, &session, token).await.status != 404 {} };
                patiently(gone).await;
            } else {
                assert_eq!(ping(&app, &session, token).await.status, 200, "{whom}");
                let done = app
                    .tool(
                        token,
                        "create_tag",
                        &json!({ "name": whom.to_string()[..40] }),
                    )
                    .send()
                    .await;
                assert_eq!(done.status, 200);
                goes_on(&mut subscription, "list_changed").await;
                goes_on(&mut stream, "list_changed").await;
            }
        }
        // The authorization server is asked, and lets them in again.
        subscribe(&app, &tokens[0]).await;
        assert!(app.issuer.calls() > calls, "{whom}");
    }
}

/// SEC-13.
#[actix_rt::test]
async fn a_yes_under_a_token_that_was_revoked_meanwhile_is_none() {
    let app = spawn();
    let (one, two) = (app.token("ann", ALL), app.token("ann", ALL));
    let entry = app.journal("ann").entry("mine").await;
    let mut session = app
        .open_with(&one, "2025-06-18", json!({ "elicitation": {} }))
        .await;
    let arguments = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    let mut call = app.within(&session, "tools/call", arguments).listen().await;
    let (_, question) = call.message().await;
    revoke(&app, &one).await;
    assert_eq!(call.next().await, None, "without an answer");
    session.token = two;
    let answer = json!({ "action": "accept", "content": { "confirmed": true } });
    app.tell(
        &session,
        json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }),
    )
    .await;
    let found = app
        .journal("ann")
        .call("get_entry", json!({ "id": entry }))
        .await;
    assert!(found.get("isError").is_none(), "{found}");
}

/// D-22.
#[actix_rt::test]
async fn a_token_that_is_found_to_be_revoked_ends_its_streams() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-06-18").await;
    let subscription = subscribe(&app, &token).await;
    let mut stream = get(&app, &session, &token).listen().await;
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    app.clock.advance(TimeDelta::seconds(61));
    assert_eq!(ping(&app, &session, &token).await.status, 401);
    ends_in_order(subscription).await;
    assert_eq!(stream.next().await, None);
}

/// D-22.
#[actix_rt::test]
async fn a_stream_on_which_nothing_happens_does_not_outlive_its_token() {
    let app = spawn_impatient();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-06-18").await;
    let mut subscription = subscribe(&app, &token).await;
    let mut stream = get(&app, &session, &token).listen().await;
    app.issuer
        .answer(&token, Answer::json(json!({ "active": false })));
    let calls = app.issuer.calls();
    // A stream uses its token: later it is asked about again in the background.
    app.clock.advance(TimeDelta::seconds(44));
    for events in [&mut subscription, &mut stream] {
        assert_eq!(events.next().await.unwrap(), ": keep-alive");
    }
    assert_eq!(app.issuer.calls(), calls, "what was said is believed");
    app.clock.advance(TimeDelta::seconds(16));
    ends_in_order(subscription).await;
    let ended = async {
        while let Some(event) = stream.next().await {
            assert_eq!(event, ": keep-alive");
        }
    };
    patiently(ended).await;
    assert_eq!(app.issuer.calls(), calls + 1, "both at once");
}

/// D-22.
#[actix_rt::test]
async fn nothing_is_told_on_a_stream_whose_token_is_no_longer_good() {
    let app = TestApp::spawn();
    let (writer, reader) = (app.journal("ann"), app.token("ann", ALL));
    let narrowed = app.token("ann", ALL);
    let session = app.open(&reader, "2025-06-18").await;
    let subscription = subscribe(&app, &reader).await;
    let other = subscribe(&app, &narrowed).await;
    let mut stream = get(&app, &session, &reader).listen().await;
    app.issuer
        .answer(&reader, Answer::json(json!({ "active": false })));
    let fewer = json!({
        "active": true, "sub": "ann", "client_id": "notebook", "iss": app.issuer.url(),
        "scope": "entries:read tags:read", "aud": crate::support::RESOURCE,
    });
    app.issuer.answer(&narrowed, Answer::json(fewer));
    app.clock.advance(TimeDelta::seconds(61));
    writer.tag("secret").await;
    ends_in_order(subscription).await;
    ends_in_order(other).await;
    assert_eq!(stream.next().await, None);
}

/// D-22.
#[actix_rt::test]
async fn an_outage_ends_a_stream_only_when_it_lasts() {
    let app = TestApp::spawn();
    let (writer, reader) = (app.journal("ann"), app.token("ann", ALL));
    let mut subscription = subscribe(&app, &reader).await;
    app.issuer.answer(&reader, Answer::text(500, "{}"));
    app.clock.advance(TimeDelta::seconds(61));
    writer.tag("one").await;
    goes_on(&mut subscription, "list_changed").await;
    app.clock.advance(TimeDelta::seconds(59));
    writer.tag("two").await;
    goes_on(&mut subscription, "list_changed").await;
    app.clock.advance(TimeDelta::seconds(1));
    writer.tag("three").await;
    ends_in_order(subscription).await;
}

#[actix_rt::test]
async fn hundreds_of_streams_end_as_one_does() {
    let app = spawn();
    let token = app.token("ann", ALL);
    let streams = join_all((0..300).map(|_| subscribe(&app, &token))).await;
    revoke(&app, &token).await;
    join_all(streams.into_iter().map(ends_in_order)).await;
}
