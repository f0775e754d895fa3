//! Streams of a legacy session: the standalone stream that a GET opens, those of its calls, and how a
//! client resumes a lost one. The modern era has none of this.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{ALL, Ask, Events, Session, TestApp};

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A session of a client that shows forms, in the revision that primes its streams.
pub(super) async fn asking(app: &TestApp, token: &str) -> Session {
    let capabilities = json!({ "elicitation": {} });
    app.open_with(token, "2025-11-25", capabilities).await
}

/// The GET that goes on after an event.
pub(super) fn resume<'a>(app: &'a TestApp, session: &Session, after: &str) -> Ask<'a> {
    app.session_stream(session).header("last-event-id", after)
}

/// A deletion that waits for an answer, its question read.
pub(super) async fn waiting(app: &TestApp, session: &Session, id: Value, entry: i64) -> Waiting {
    let mut stream = deletion(app, session, id, entry).listen().await;
    let primer = stream.next().await.unwrap();
    assert!(primer.ends_with("\nretry: 1000\ndata:"), "{primer}");
    let (event, question) = stream.message().await;
    assert_eq!(question["method"], "elicitation/create");
    Waiting {
        stream,
        event,
        question: question["id"].clone(),
    }
}

pub(super) struct Waiting {
    pub(super) stream: Events,
    /// The id of the event that was read last.
    pub(super) event: String,
    /// The id of the question.
    pub(super) question: Value,
}

pub(super) fn deletion<'a>(app: &'a TestApp, session: &Session, id: Value, entry: i64) -> Ask<'a> {
    let params = json!({ "name": "delete_entry", "arguments": { "id": entry } });
    app.within(session, "tools/call", params)
        .edit(|body| body["id"] = id)
}

pub(super) fn yes(question: &Value) -> Value {
    let answer = json!({ "action": "accept", "content": { "confirmed": true } });
    json!({ "jsonrpc": "2.0", "id": question, "result": answer })
}

/// What reading an entry says, or that there is none.
pub(super) async fn is_there(app: &TestApp, entry: i64) -> bool {
    let journal = app.journal("ann");
    let found = journal.call("get_entry", json!({ "id": entry })).await;
    found.get("isError").is_none()
}

pub(super) fn success(message: &Value) -> &Value {
    &message["result"]["structuredContent"]["success"]
}

/// L-20, SEC-04, D-11, D-12, D-13, D-26, D-28.
#[actix_rt::test]
async fn a_get_is_checked_step_by_step() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    let good = || app.session_stream(&session);
    let challenge = good().without("authorization").send().await;
    assert_eq!(challenge.status, 401);
    assert!(challenge.header("www-authenticate").is_some());
    // Each is wrong in all that comes after as well.
    let modern = good()
        .header("mcp-protocol-version", "2026-07-28")
        .header("accept", "application/json")
        .without("mcp-session-id");
    let reply = modern.send().await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    for accept in ["application/json", "text/html", "", "text/event-stream;q=0"] {
        let reply = good().header("accept", accept).without("mcp-session-id");
        assert_eq!(reply.send().await.status, 406, "{accept}");
    }
    let reply = good().without("mcp-session-id").send().await;
    assert_eq!(reply.error(), (400, -32600));
    assert_eq!(reply.json()["error"]["data"]["error"], "session_required");
    let other_version = good().header("mcp-protocol-version", "2025-06-18");
    assert_eq!(other_version.send().await.error(), (400, -32600));
    for (name, value) in [
        ("mcp-protocol-version", session.version.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-session-id", &session.id),
    ] {
        let twice = good().also(name, value.as_bytes());
        assert_eq!(twice.send().await.error(), (400, -32600), "{name}");
    }

    let unknown = good()
        .header("mcp-session-id", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .send()
        .await;
    assert_eq!(unknown.error().0, 404);
    for (why, token) in [
        ("another user", app.token("bob", ALL)),
        (
            "another client",
            app.token_with(json!({ "client_id": "other" })),
        ),
    ] {
        let foreign = Session {
            token,
            ..session.clone()
        };
        for ask in [app.session_stream(&foreign), resume(&app, &foreign, "s0-0")] {
            let reply = ask.send().await;
            assert_eq!((reply.status, &reply.body), (404, &unknown.body), "{why}");
        }
    }
    for accept in [
        "text/event-stream",
        "text/*",
        "*/*",
        "application/json, text/event-stream",
    ] {
        good().header("accept", accept).listen().await;
    }
}

/// L-16, L-20.
#[actix_rt::test]
async fn every_revision_has_a_stream_and_the_newest_a_place_to_resume_it_from() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in REVISIONS {
        let session = app.open(&token, version).await;
        let mut stream = app.session_stream(&session).listen().await;
        assert_eq!(stream.head.header("mcp-session-id"), None);
        if version == "2025-11-25" {
            let primer = stream.next().await.unwrap();
            assert_eq!(primer, "id: s0-0\nretry: 1000\ndata:");
            drop(stream);
            // Nothing was said since.
            let _resumed = resume(&app, &session, "s0-0").listen().await;
        }
    }
}

/// L-21.
#[actix_rt::test]
async fn a_newer_get_takes_over() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    let mut first = app.session_stream(&session).listen().await;
    assert_eq!(first.next().await.unwrap(), "id: s0-0\nretry: 1000\ndata:");
    let mut second = app.session_stream(&session).listen().await;
    assert_eq!(first.next().await, None);
    // It has a place to be resumed from as well, and not the first one's.
    assert_eq!(second.next().await.unwrap(), "id: s0-1\nretry: 1000\ndata:");
    let _third = resume(&app, &session, "s0-1").listen().await;
    assert_eq!(second.next().await, None);
}

/// D-22.
#[actix_rt::test]
async fn a_stream_ends_with_its_token_and_the_session_goes_on() {
    let app = TestApp::spawn();
    let ann = app.token("ann", ALL);
    let session = app.open(&ann, "2025-06-18").await;
    let soon = (app.clock.now() + TimeDelta::minutes(5)).timestamp();
    let short = Session {
        token: app.token_with(json!({ "exp": soon })),
        ..session.clone()
    };
    let mut stream = app.session_stream(&short).listen().await;
    app.clock.advance(TimeDelta::seconds(299));
    app.journal("ann").tag("work").await;
    let (_, told) = stream.message().await;
    assert_eq!(told["method"], "notifications/resources/list_changed");
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(stream.next().await, None);
    assert_eq!(app.session_stream(&short).send().await.status, 401);
    let ping = app.within(&session, "ping", json!({}));
    assert_eq!(ping.send().await.status, 200);
}

#[actix_rt::test]
async fn a_stream_ends_with_its_session_though_its_token_has_no_end() {
    let app = TestApp::spawn();
    let token = app.token_with(json!({ "exp": null }));
    let session = app.open(&token, "2025-06-18").await;
    let mut stream = app.session_stream(&session).listen().await;
    app.clock.advance(TimeDelta::minutes(30));
    assert_eq!(stream.next().await, None);
}

/// L-09.
#[actix_rt::test]
async fn a_session_takes_its_streams_and_its_questions_with_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let entry = app.journal("ann").entry("Rain").await;
    let session = asking(&app, &token).await;
    let mut general = app.session_stream(&session).listen().await;
    general.next().await;
    let mut call = waiting(&app, &session, json!(1), entry).await;
    let delete = app.session_stream(&session).method("DELETE").send().await;
    assert_eq!(delete.status, 204);
    assert_eq!(general.next().await, None);
    assert_eq!(call.stream.next().await, None);
    for ask in [
        app.session_stream(&session),
        resume(&app, &session, &call.event),
        deletion(&app, &session, json!(2), entry),
        app.within(&session, "", json!({}))
            .body(yes(&call.question).to_string()),
    ] {
        assert_eq!(ask.send().await.status, 404);
    }
    assert!(is_there(&app, entry).await);
}

/// L-19, L-22.
#[actix_rt::test]
async fn a_call_outlives_its_connection_and_its_stream_alone_is_gone_on_with() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let journal = app.journal("ann");
    let (rain, sun) = (journal.entry("Rain").await, journal.entry("Sun").await);
    let session = asking(&app, &token).await;
    let lost = waiting(&app, &session, json!("a"), rain).await;
    let mut other = waiting(&app, &session, json!("b"), sun).await;
    assert_eq!(
        (lost.event.as_str(), other.event.as_str()),
        ("s1-1", "s2-1")
    );
    drop(lost.stream);

    // From the beginning, it has the question once more; from there, it waits for what is new.
    let mut again = resume(&app, &session, "s1-0").listen().await;
    let (event, question) = again.message().await;
    assert_eq!((event.as_str(), &question["id"]), ("s1-1", &lost.question));
    let mut resumed = resume(&app, &session, &lost.event).listen().await;
    assert_eq!(again.next().await, None, "one connection has a stream");

    app.tell(&session, yes(&other.question)).await;
    app.tell(&session, yes(&lost.question)).await;
    for (stream, first, id) in [
        (&mut resumed, "s1-2", "a"),
        (&mut other.stream, "s2-2", "b"),
    ] {
        let (event, response) = stream.message().await;
        assert_eq!((event.as_str(), &response["id"]), (first, &json!(id)));
        assert_eq!(success(&response), true);
        assert_eq!(stream.next().await, None);
    }
    assert!(!is_there(&app, rain).await);

    // The end can be had once more, and after it there is nothing.
    let mut ended = resume(&app, &session, "s1-1").listen().await;
    let (event, response) = ended.message().await;
    assert_eq!((event.as_str(), &response["id"]), ("s1-2", &json!("a")));
    assert_eq!(ended.next().await, None);
    assert_eq!(
        resume(&app, &session, "s1-2").listen().await.next().await,
        None
    );
}

/// SEC-04.
#[actix_rt::test]
async fn an_answer_is_not_for_a_token_that_reaches_less_far() {
    let app = TestApp::spawn();
    let entry = app.journal("ann").entry("Rain").await;
    let narrow = "entries:read entries:write";
    let session = asking(&app, &app.token("ann", narrow)).await;
    let call = waiting(&app, &session, json!(1), entry).await;
    for (scope, status) in [
        ("user:read", 400),
        ("entries:read", 400),
        (narrow, 200),
        (ALL, 200),
    ] {
        let token = app.token("ann", scope);
        let ask = resume(
            &app,
            &Session {
                token,
                ..session.clone()
            },
            "s1-0",
        );
        if status == 200 {
            let (event, _) = ask.listen().await.message().await;
            assert_eq!(event, call.event, "{scope}");
        } else {
            assert_eq!(ask.send().await.error(), (status, -32600), "{scope}");
        }
    }
}

/// L-19.
#[actix_rt::test]
async fn a_call_whose_client_has_left_ends_all_the_same() {
    let app = TestApp::spawn();
    let entry = app.journal("ann").entry("Rain").await;
    let capabilities = json!({ "elicitation": {} });
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, "2025-06-18", capabilities).await;
    let mut stream = deletion(&app, &session, json!(1), entry).listen().await;
    let (event, question) = stream.message().await;
    assert_eq!(event, "s1-0");
    drop(stream);
    app.tell(&session, yes(&question["id"])).await;
    let mut resumed = resume(&app, &session, "s1-0").listen().await;
    let (event, response) = resumed.message().await;
    assert_eq!((event.as_str(), success(&response)), ("s1-1", &json!(true)));
    assert_eq!(resumed.next().await, None);
    assert!(!is_there(&app, entry).await);
}

/// L-22, SEC-04, D-28.
#[actix_rt::test]
async fn what_was_never_sent_resumes_nothing() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let journal = app.journal("ann");
    let (rain, sun) = (journal.entry("Rain").await, journal.entry("Sun").await);
    let (session, other) = (asking(&app, &token).await, asking(&app, &token).await);
    let mut call = waiting(&app, &session, json!(1), rain).await;
    for after in [
        "",
        "x",
        "s",
        "s1",
        "1-1",
        "s1-",
        "s1-2",
        "s2-0",
        "s0-0",
        "s01-1",
        "s+1-1",
        "S1-1",
        "s1-1,s1-1",
        "s1--1",
        "s4294967296-0",
        "s1-4294967295",
        "s4294967295-4294967295",
    ] {
        let reply = resume(&app, &session, after).send().await;
        assert_eq!(reply.error(), (400, -32600), "{after}");
        assert_eq!(reply.json()["error"]["data"]["error"], "not_resumable");
    }
    // Two fields name two places, even if they agree.
    for more in ["s1-0", "s1-1", ""] {
        let twice = resume(&app, &session, "s1-0").also("last-event-id", more.as_bytes());
        let reply = twice.send().await;
        assert_eq!(reply.error(), (400, -32600), "{more}");
        assert_eq!(reply.json()["error"]["data"]["error"], "not_resumable");
    }
    // Another session's event is none of this one's.
    let theirs = waiting(&app, &other, json!(1), sun).await;
    let more = waiting(&app, &other, json!(2), sun).await;
    assert_eq!(
        (theirs.event.as_str(), more.event.as_str()),
        ("s1-1", "s2-1")
    );
    let reply = resume(&app, &session, &more.event).send().await;
    assert_eq!(reply.error(), (400, -32600));
    // The call is unharmed.
    app.tell(&session, yes(&call.question)).await;
    assert_eq!(success(&call.stream.message().await.1), true);
}

#[actix_rt::test]
async fn open_streams_do_not_keep_the_server_from_stopping() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let entry = app.journal("ann").entry("Rain").await;
    let session = asking(&app, &token).await;
    let mut general = app.session_stream(&session).listen().await;
    general.next().await;
    let mut call = waiting(&app, &session, json!(1), entry).await;
    let began = std::time::Instant::now();
    drop(app);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert_eq!(general.next().await, None);
    // Who cannot be waited for has not said yes.
    let (_, response) = call.stream.message().await;
    assert_eq!(success(&response), false);
    assert_eq!(call.stream.next().await, None);
}

/// T-26.
#[actix_rt::test]
async fn a_modern_client_resumes_nothing() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let ask = app
        .tool(&token, "whoami", &json!({}))
        .header("last-event-id", "s1-0")
        .edit(|body| body["params"]["_meta"]["progressToken"] = json!("p"));
    let reply = ask.send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    reply.result();
}
