//! What an attacker would try who is a user, or has a token that reaches less far than another of the
//! same user, or who can say anything at all.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    questions::{entry_question, is_there, yes},
    support::{ALL, Answer, Ask, Session, TestApp},
};

/// The same session, by another token of its owner's.
fn under(session: &Session, token: String) -> Session {
    Session {
        token,
        ..session.clone()
    }
}

/// The GET of a session.
fn get<'a>(app: &'a TestApp, session: &Session) -> Ask<'a> {
    app.within(session, "", json!({}))
        .body("")
        .method("GET")
        .without("content-type")
        .header("accept", "text/event-stream")
}

/// A legacy answer to a question.
fn answer<'a>(app: &'a TestApp, session: &Session, question: &Value) -> Ask<'a> {
    let answer = json!({ "jsonrpc": "2.0", "id": question, "result": yes() });
    app.within(session, "", json!({})).body(answer.to_string())
}

/// SEC-13.
#[actix_rt::test]
async fn who_may_not_do_it_does_not_confirm_it_either() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].stale = std::time::Duration::from_secs(300);
    });
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let capabilities = json!({ "elicitation": {} });
    let session = app
        .open_with(&journal.token, "2025-06-18", capabilities)
        .await;
    let params = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    let mut stream = app.within(&session, "tools/call", params).listen().await;
    let (_, question) = stream.message().await;
    assert_eq!(question["params"], entry_question(entry, "Rain")["params"]);
    let id = &question["id"];

    // A token of the same user and client that only reads.
    let narrow = under(&session, app.token("ann", "entries:read"));
    let reply = answer(&app, &narrow, id).send().await;
    assert_eq!(reply.error(), (403, -32600));
    assert_eq!(reply.json().get("id"), None, "it is no answer to a request");

    // The same token, while its issuer cannot be asked: it may read on, and no more.
    app.clock.advance(TimeDelta::seconds(61));
    app.issuer.answer(&journal.token, Answer::text(404, "{}"));
    let reply = answer(&app, &session, id).send().await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(is_there(&journal, entry).await);

    // The question is open all the while.
    let wide = under(&session, app.token("ann", ALL));
    assert_eq!(answer(&app, &wide, id).send().await.status, 202);
    let (_, response) = stream.message().await;
    assert_eq!(response["result"]["structuredContent"]["success"], true);
}

/// SEC-04.
#[actix_rt::test]
async fn what_was_said_to_one_token_is_not_said_again_to_one_that_reaches_less_far() {
    let app = TestApp::spawn();
    let capabilities = json!({ "sampling": {} });
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, "2025-11-25", capabilities).await;
    let mut stream = get(&app, &session).listen().await;
    let first = stream.next().await.unwrap();
    assert!(first.starts_with("id: s0-0\n"), "{first}");
    let arguments = json!({ "title": "Rain", "content": "What happened." });
    let params = json!({ "name": "create_entry", "arguments": arguments });
    let call = app.within(&session, "tools/call", params);
    assert_eq!(call.send().await.status, 200);
    let (_, question) = stream.message().await;
    assert_eq!(question["method"], "sampling/createMessage");
    drop(stream);

    let narrow = under(&session, app.token("ann", "user:read"));
    let resumed = get(&app, &narrow).header("last-event-id", "s0-0");
    assert_eq!(resumed.send().await.error(), (400, -32600));
    // Nor by way of a stream of its own.
    let own = get(&app, &narrow).listen().await;
    let resumed = get(&app, &narrow).header("last-event-id", "s0-0");
    assert_eq!(resumed.send().await.error(), (400, -32600));
    drop(own);
    // Who was told may hear it again.
    let mut resumed = get(&app, &session)
        .header("last-event-id", "s0-0")
        .listen()
        .await;
    assert_eq!(resumed.message().await.1, question);
}
