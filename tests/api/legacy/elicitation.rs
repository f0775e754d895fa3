//! Elicitation within a legacy session: the question is sent on the stream of the call, and the client
//! POSTs its answer.

use serde_json::{Value, json};

use crate::support::{
    ALL, Ask, Events, Session, TestApp, again, asked, deletion, entry_question, is_there, noes,
    patiently, yes,
};

/// A legacy session of a client that shows forms.
async fn asking(app: &TestApp, token: &str, version: &str) -> Session {
    let capabilities = json!({ "elicitation": {} });
    app.open_with(token, version, capabilities).await
}

fn within<'a>(app: &'a TestApp, session: &Session, entry: i64) -> Ask<'a> {
    let params = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    app.within(session, "tools/call", params)
}

/// A legacy deletion that was answered with a question, and the question's id.
async fn question_on(stream: &mut Events, question: &Value) -> Value {
    let (_, message) = stream.message().await;
    let mut expected = question.clone();
    expected["jsonrpc"] = "2.0".into();
    expected["id"] = message["id"].clone();
    assert_eq!(message, expected);
    assert!(message["id"].is_string(), "{message}");
    message["id"].clone()
}

/// L-15, L-16, L-17, L-18, E-03.
#[actix_rt::test]
async fn a_legacy_client_is_asked_on_the_stream_of_its_call() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for version in ["2025-06-18", "2025-11-25"] {
        let session = asking(&app, &journal.token, version).await;
        let entry = journal.entry("Rain").await;
        let mut stream = within(&app, &session, entry).listen().await;
        assert_eq!(stream.head.header("mcp-session-id"), None);
        let first = if version == "2025-11-25" {
            let primer = stream.next().await.unwrap();
            assert_eq!(primer, "id: s1-0\nretry: 1000\ndata:");
            1
        } else {
            0
        };
        let (event, request) = stream.message().await;
        assert_eq!(event, format!("s1-{first}"));
        let mut expected = entry_question(entry, "Rain");
        expected["jsonrpc"] = "2.0".into();
        expected["id"] = "s-1".into();
        assert_eq!(request, expected);
        assert!(is_there(&journal, entry).await);

        let answer = json!({ "jsonrpc": "2.0", "id": "s-1", "result": yes() });
        app.tell(&session, answer.clone()).await;
        let (event, response) = stream.message().await;
        assert_eq!(event, format!("s1-{}", first + 1));
        assert_eq!(
            (&response["jsonrpc"], &response["id"]),
            (&json!("2.0"), &json!(1))
        );
        assert_eq!(response["result"]["structuredContent"]["success"], true);
        assert_eq!(response["result"].get("resultType"), None);
        assert_eq!(stream.next().await, None);
        assert!(!is_there(&journal, entry).await);
        // The same answer once more is nobody's.
        app.tell(&session, answer).await;
    }
}

/// E-05.
#[actix_rt::test]
async fn whatever_is_no_yes_of_a_legacy_client_deletes_nothing() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let session = asking(&app, &journal.token, "2025-06-18").await;
    let mut answers: Vec<_> = noes().map(|no| json!({ "result": no })).into();
    answers.push(json!({ "error": { "code": -1, "message": "no" } }));
    for mut answer in answers {
        let mut stream = within(&app, &session, entry).listen().await;
        answer["jsonrpc"] = "2.0".into();
        answer["id"] = question_on(&mut stream, &entry_question(entry, "Rain")).await;
        app.tell(&session, answer.clone()).await;
        let (_, response) = stream.message().await;
        let result = &response["result"];
        assert_eq!(result["structuredContent"]["success"], false, "{answer}");
        assert_eq!(result["structuredContent"]["entry"]["id"], entry);
        assert_eq!(stream.next().await, None);
        assert!(is_there(&journal, entry).await, "{answer}");
    }
}

/// E-06, D-15.
#[actix_rt::test]
async fn an_answer_counts_in_the_session_that_was_asked_alone() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let session = asking(&app, &journal.token, "2025-11-25").await;
    let mut stream = within(&app, &session, entry).listen().await;
    stream.next().await;
    let id = question_on(&mut stream, &entry_question(entry, "Rain")).await;
    assert_eq!(id, "s-1");
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": yes() });

    // Sessions that wait for an answer of the same name get it for themselves.
    let (bob, bobs) = (
        app.token("bob", ALL),
        app.journal("bob").entry("Snow").await,
    );
    let other = asking(&app, &journal.token, "2025-11-25").await;
    let foreign = asking(&app, &bob, "2025-11-25").await;
    app.tell(&other, answer.clone()).await;
    app.tell(&foreign, answer.clone()).await;
    for (token, status) in [
        (bob.clone(), 404),
        (app.token_with(json!({ "client_id": "other" })), 404),
    ] {
        let intruder = Session {
            token,
            ..session.clone()
        };
        let ask = app.within(&intruder, "", json!({}));
        let reply = ask.body(answer.to_string()).send().await;
        assert_eq!(reply.status, status);
    }
    // Nor does one under another name.
    for id in [
        json!("s-2"),
        json!("s-0"),
        json!("1"),
        json!(1),
        json!("s-01"),
        json!("s-+1"),
        json!("S-1"),
    ] {
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": yes() });
        app.tell(&session, answer).await;
    }
    assert!(is_there(&journal, entry).await);

    // The question is open all the while.
    let mut bobs_stream = within(&app, &foreign, bobs).listen().await;
    bobs_stream.next().await;
    question_on(&mut bobs_stream, &entry_question(bobs, "Snow")).await;
    let no = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "decline" } });
    app.tell(&session, no).await;
    let (_, response) = stream.message().await;
    assert_eq!(response["result"]["structuredContent"]["success"], false);
    app.tell(&foreign, answer).await;
    let (_, response) = bobs_stream.message().await;
    assert_eq!(response["result"]["structuredContent"]["success"], true);
    assert!(is_there(&journal, entry).await);
}

/// L-04, L-25, E-02.
#[actix_rt::test]
async fn a_legacy_client_that_cannot_ask_deletes_at_once() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for (version, capabilities) in [
        // There is no elicitation in this revision, whatever its client says.
        ("2025-03-26", json!({ "elicitation": {} })),
        ("2025-03-26", json!({})),
        ("2025-06-18", json!({})),
        ("2025-11-25", json!({})),
        ("2025-11-25", json!({ "elicitation": { "url": {} } })),
    ] {
        let token = &journal.token;
        let session = app.open_with(token, version, capabilities.clone()).await;
        let entry = journal.entry("Rain").await;
        let reply = patiently(within(&app, &session, entry).send()).await;
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{version} {capabilities}"
        );
        reply.result();
        assert!(!is_there(&journal, entry).await);
    }
}

#[actix_rt::test]
async fn what_a_session_cannot_carry_is_not_taken_from_it() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let modern = deletion(&app, &journal.token, entry);
    let state = asked(&modern, &entry_question(entry, "Rain")).await;
    let session = asking(&app, &journal.token, "2025-06-18").await;
    // A state and answers mean nothing there: the question is asked all the same.
    let mut stream = again(
        &within(&app, &session, entry),
        &state,
        json!({ "confirm": yes() }),
    )
    .listen()
    .await;
    question_on(&mut stream, &entry_question(entry, "Rain")).await;
    assert!(is_there(&journal, entry).await);
}
