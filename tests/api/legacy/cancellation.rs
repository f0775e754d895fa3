//! Legacy calls that are cancelled, and ids of requests that are in use.

use serde_json::{Value, json};

use super::streams::{asking, deletion, is_there, resume, success, waiting, yes};
use crate::support::{ALL, Session, TestApp, patiently};

fn cancelled(id: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": { "requestId": id, "reason": "never mind" },
    })
}

/// L-24.
#[actix_rt::test]
async fn a_call_that_waits_for_an_answer_can_be_called_off() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let entry = app.journal("ann").entry("Rain").await;
    let session = asking(&app, &token).await;
    for id in [json!(1), json!("1"), json!("a b")] {
        let mut call = waiting(&app, &session, id.clone(), entry).await;
        app.tell(&session, cancelled(id.clone())).await;
        assert_eq!(call.stream.next().await, None, "{id}: it ends unanswered");
        app.tell(&session, yes(&call.question)).await;
        app.tell(&session, cancelled(id)).await;
        let mut resumed = resume(&app, &session, &call.event).listen().await;
        assert_eq!(resumed.next().await, None);
        assert!(is_there(&app, entry).await);
    }
    // More than may be under way at once: a call that was called off takes no place.
    for _ in 0..40 {
        let mut call = waiting(&app, &session, json!(1), entry).await;
        app.tell(&session, cancelled(json!(1))).await;
        assert_eq!(call.stream.next().await, None);
    }
    // Its id is free again, and nothing of it is left over.
    let mut call = waiting(&app, &session, json!(1), entry).await;
    app.tell(&session, yes(&call.question)).await;
    assert_eq!(success(&call.stream.message().await.1), true);
    assert_eq!(call.stream.next().await, None);
}

/// L-24, D-16.
#[actix_rt::test]
async fn calling_off_what_is_not_there_is_harmless() {
    let app = TestApp::spawn();
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let entry = app.journal("ann").entry("Rain").await;
    let session = asking(&app, &ann).await;
    let (other, foreign) = (asking(&app, &ann).await, asking(&app, &bob).await);
    let mut call = waiting(&app, &session, json!(1), entry).await;
    // The id is typed, and the same id elsewhere is another request.
    app.tell(&other, cancelled(json!(1))).await;
    app.tell(&foreign, cancelled(json!(1))).await;
    for id in [
        json!("1"),
        json!(2),
        json!(null),
        json!({}),
        json!([1]),
        json!(true),
        json!("s-1"),
    ] {
        app.tell(&session, cancelled(id)).await;
    }
    for params in [json!({}), json!({ "reason": "x" }), json!({ "id": 1 })] {
        let mut message = cancelled(json!(1));
        message["params"] = params;
        app.tell(&session, message).await;
    }
    app.tell(
        &session,
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" }),
    )
    .await;
    // In the modern era it means nothing at all, even beside the session's id.
    let modern = app
        .within(&session, "", json!({}))
        .body(cancelled(json!(1)).to_string())
        .header("mcp-protocol-version", "2026-07-28");
    let reply = modern.send().await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let intruder = Session {
        token: bob,
        ..session.clone()
    };
    let ask = app.within(&intruder, "", json!({}));
    let reply = ask.body(cancelled(json!(1)).to_string()).send().await;
    assert_eq!(reply.status, 404);

    app.tell(&session, yes(&call.question)).await;
    assert_eq!(success(&call.stream.message().await.1), true);
    assert!(!is_there(&app, entry).await);
}

/// D-17.
#[actix_rt::test]
async fn an_id_names_one_request_at_a_time() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let journal = app.journal("ann");
    let (rain, sun) = (journal.entry("Rain").await, journal.entry("Sun").await);
    let session = asking(&app, &token).await;
    let mut call = waiting(&app, &session, json!(1), rain).await;
    let twice = deletion(&app, &session, json!(1), sun).send().await;
    assert_eq!(twice.error(), (400, -32600), "{}", twice.text());
    assert_eq!(twice.json()["id"], 1);
    // Another type is another id, and another session has ids of its own.
    let mut text = waiting(&app, &session, json!("1"), sun).await;
    let elsewhere = app.open(&token, "2025-11-25").await;
    let ask = app.within(&elsewhere, "tools/call", json!({ "name": "whoami" }));
    ask.send().await.result();
    for call in [&mut call, &mut text] {
        app.tell(&session, yes(&call.question)).await;
        assert_eq!(success(&call.stream.message().await.1), true);
    }
    let ask = app.within(&session, "tools/call", json!({ "name": "whoami" }));
    ask.send().await.result();
}

/// L-23, SEC-11.
#[actix_rt::test]
async fn a_session_answers_others_while_a_call_waits() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let entry = app.journal("ann").entry("Rain").await;
    let session = asking(&app, &token).await;
    let mut calls = Vec::new();
    for id in 0..16 {
        calls.push(waiting(&app, &session, json!(id + 10), entry).await);
    }
    let ping = app.within(&session, "ping", json!({})).send().await;
    assert_eq!(ping.text(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    // One question more than there may be is not asked, and that is no yes and no "no".
    let reply = patiently(deletion(&app, &session, json!(2), entry).send()).await;
    assert_eq!(reply.result()["structuredContent"]["success"], false);
    assert_eq!(
        reply.result()["content"][0]["text"],
        format!(
            "Entry {entry} was not deleted: the user was not asked, because too many questions to them \
             are open in this session; call again when one of them has been answered."
        )
    );
    for call in &mut calls {
        let no = json!({ "jsonrpc": "2.0", "id": call.question, "result": { "action": "cancel" } });
        app.tell(&session, no).await;
        assert_eq!(success(&call.stream.message().await.1), false);
    }
    waiting(&app, &session, json!(3), entry).await;
    assert!(is_there(&app, entry).await);
}
