//! One session in two processes at the same time, as without sticky routing: what a client sends to one of them reaches
//! the other, where it is waited for.

use serde_json::{Value, json};

use super::{
    continuity::{delete, done, ping, with_key},
    streams::{deletion, success, waiting, yes},
};
use crate::support::{ALL, Events, Session, TestApp, is_there, patiently};

/// Two processes, and a session of a client that shows forms, which both of them have.
async fn two(token: impl FnOnce(&TestApp) -> String) -> (TestApp, TestApp, Session) {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    let token = token(&one);
    let capabilities = json!({ "elicitation": {} });
    let session = one.open_with(&token, "2025-11-25", capabilities).await;
    assert_eq!(ping(&other, &session).await, 200);
    (one, other, session)
}

fn ann(app: &TestApp) -> String {
    app.token("ann", ALL)
}

fn uri(entry: i64) -> Value {
    json!({ "uri": format!("epicme://entries/{entry}") })
}

async fn general(app: &TestApp, session: &Session) -> Events {
    let mut events = app.session_stream(session).listen().await;
    assert!(events.next().await.unwrap().contains("retry: "));
    events
}

/// L-26.
#[actix_rt::test]
async fn the_general_stream_is_told_of_what_was_subscribed_to_and_changed_in_either_process() {
    let (one, other, session) = two(ann).await;
    let entry = one.journal("ann").entry("Rain").await;
    let mut events = general(&other, &session).await;
    done(&one, &session, "resources/subscribe", uri(entry)).await;
    for (mood, app) in [("calm", &one), ("wild", &other), ("calm", &one)] {
        let changes = json!({ "id": entry, "mood": mood });
        app.journal("ann").done("update_entry", changes).await;
        let (_, message) = events.message().await;
        assert_eq!(message["method"], "notifications/resources/updated");
        assert_eq!(message["params"], uri(entry));
    }
    one.journal("ann").tag("home").await;
    let (_, message) = events.message().await;
    assert_eq!(message["method"], "notifications/resources/list_changed");
    done(&one, &session, "resources/unsubscribe", uri(entry)).await;
    // Until the other process has heard of it.
    patiently(async {
        for mood in 0.. {
            let changes = json!({ "id": entry, "mood": mood.to_string() });
            one.journal("ann").done("update_entry", changes).await;
            one.journal("ann").tag(&mood.to_string()).await;
            let (_, message) = events.message().await;
            if message["method"] == "notifications/resources/list_changed" {
                return;
            }
            events.message().await;
        }
    })
    .await;
}

/// L-26.
#[actix_rt::test]
async fn lists_that_differ_for_a_new_token_are_told_on_the_stream_of_another_process() {
    let (one, other, session) = two(ann).await;
    let mut events = general(&other, &session).await;
    let narrow = Session {
        token: one.token("ann", "entries:read"),
        ..session.clone()
    };
    assert_eq!(ping(&one, &narrow).await, 200);
    let (_, message) = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
}

/// E-06, D-15.
#[actix_rt::test]
async fn an_answer_reaches_the_process_that_asks_however_long_it_is() {
    let (one, other, session) = two(ann).await;
    let journal = one.journal("ann");
    for length in [0, 100, 3_000, 100_000] {
        let entry = journal.entry("Rain").await;
        let mut asking = waiting(&one, &session, json!("a"), entry).await;
        let mut answer = yes(&asking.question);
        answer["result"]["_meta"] = json!({ "padding": "x".repeat(length) });
        other.tell(&session, answer).await;
        let (_, response) = asking.stream.message().await;
        assert_eq!(success(&response), true, "{length}");
        assert!(!is_there(&journal, entry).await);
    }
    assert_eq!(one.database.count("session_answers"), 0, "it was taken");
}

/// E-06, SEC-04.
#[actix_rt::test]
async fn an_answer_by_way_of_another_process_needs_the_same_rights() {
    let (one, other, session) = two(ann).await;
    let journal = one.journal("ann");
    let entry = journal.entry("Rain").await;
    let mut asking = waiting(&one, &session, json!("a"), entry).await;
    let under = |token: String| Session {
        token,
        ..session.clone()
    };
    for stranger in [
        one.token("bob", ALL),
        one.token_with(json!({ "client_id": "other" })),
    ] {
        let ask = other.within(&under(stranger), "", json!({}));
        let reply = ask.body(yes(&asking.question).to_string()).send().await;
        assert_eq!(reply.status, 404);
    }
    // It is hers, and its token could not have begun the call.
    let narrow = under(one.token("ann", "entries:read"));
    other.tell(&narrow, yes(&asking.question)).await;
    // Questions of other sessions, and such as nobody asks, are nobody's.
    let number = asking.question.as_str().unwrap();
    let second = one.open(&session.token, "2025-11-25").await;
    other.tell(&second, yes(&asking.question)).await;
    for id in [
        format!("{number}0"),
        "s-0000000000000001-1".to_owned(),
        number.to_uppercase(),
        "s-1".to_owned(),
    ] {
        other.tell(&session, yes(&json!(id))).await;
    }
    assert!(is_there(&journal, entry).await);
    // What came before has been heard when this one is: it is a no.
    let no = json!({ "action": "decline" });
    let no = json!({ "jsonrpc": "2.0", "id": asking.question, "result": no });
    other.tell(&session, no).await;
    let (_, response) = asking.stream.message().await;
    assert_eq!(success(&response), false);
    assert!(is_there(&journal, entry).await);
}

/// L-24.
#[actix_rt::test]
async fn a_cancellation_reaches_the_process_that_runs_the_call() {
    let (one, other, session) = two(ann).await;
    let journal = one.journal("ann");
    let entries = [journal.entry("Rain").await, journal.entry("Snow").await];
    let mut asking = waiting(&one, &session, json!("a"), entries[0]).await;
    let cancelled = |id: &str| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    for id in ["b", "a"] {
        other.tell(&session, cancelled(id)).await;
    }
    assert_eq!(
        asking.stream.next().await,
        None,
        "it ends without an answer"
    );
    other.tell(&session, yes(&asking.question)).await;
    // The id is free again, and what was cancelled was not done.
    let again = deletion(&one, &session, json!("a"), entries[1])
        .listen()
        .await;
    drop(again);
    assert!(is_there(&journal, entries[0]).await);
}

/// L-23.
#[actix_rt::test]
async fn a_session_ends_in_every_process_that_has_it() {
    let (one, other, session) = two(ann).await;
    let mut events = general(&other, &session).await;
    assert_eq!(delete(&one, &session).await.status, 204);
    assert_eq!(ping(&one, &session).await, 404);
    assert_eq!(events.next().await, None, "its stream ends");
    assert_eq!(ping(&other, &session).await, 404);
    assert_eq!(delete(&other, &session).await.status, 404);
}

/// The log level, set in one process, is that of a call in the other.
#[actix_rt::test]
async fn a_log_level_holds_in_both_processes() {
    let one = TestApp::spawn_with(with_key(7));
    let other = one.beside(with_key(7));
    // Nobody can be asked, of which there is a notice.
    let session = one.open(&ann(&one), "2025-11-25").await;
    assert_eq!(ping(&other, &session).await, 200);
    for (level, is_told) in [("debug", true), ("error", false)] {
        done(
            &one,
            &session,
            "logging/setLevel",
            json!({ "level": level }),
        )
        .await;
        patiently(async {
            loop {
                let entry = one.journal("ann").entry("Rain").await;
                let reply = deletion(&other, &session, json!("x"), entry).send().await;
                let has_stream = reply.header("content-type") == Some("text/event-stream");
                if has_stream == is_told {
                    return;
                }
            }
        })
        .await;
    }
}
