//! What a client is told in passing: in a session what `logging/setLevel` admits, and nothing in 2026-07-28.

use serde_json::{Value, json};

use crate::support::{ALL, Ask, Session, TestApp};

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

fn set_level<'a>(app: &'a TestApp, session: &Session, level: &Value) -> Ask<'a> {
    app.within(session, "logging/setLevel", json!({ "level": level }))
}

/// A call that has a notice to give: nobody is asked whether the entry may go.
async fn delete<'a>(app: &'a TestApp, session: &Session) -> (i64, Ask<'a>) {
    let id = app.journal("ann").entry("A very private title").await;
    let call = json!({ "name": "delete_entry", "arguments": { "id": id } });
    (id, app.within(session, "tools/call", call))
}

/// A stream has the notice and then the answer, and nothing of the journal's texts in the notice.
fn check_notice(messages: &[Value], id: i64) {
    let [notice, answer] = messages else {
        panic!("{messages:?}")
    };
    assert_eq!(
        *notice,
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": {
            "level": "notice",
            "logger": "journal",
            "data": {
                "message": "Deleted without asking the user, because the client cannot ask",
                "uri": format!("epicme://entries/{id}"),
            },
        } })
    );
    assert_eq!(answer["id"], 1);
    assert!(answer["result"]["content"].is_array(), "{answer}");
}

/// V-06.
///
/// Deprecated in 2026-07-28.
#[actix_rt::test]
async fn the_capability_is_declared_to_legacy_clients_alone() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in REVISIONS {
        let result = app.initialize(&token, version).send().await.result();
        assert_eq!(result["capabilities"]["logging"], json!({}), "{version}");
    }
    let ask = app.modern(&token, "server/discover", json!({}));
    let capabilities = &ask.send().await.result()["capabilities"];
    assert!(capabilities["tools"].is_object());
    assert_eq!(capabilities.get("logging"), None);
}

/// L-27, D-03.
#[actix_rt::test]
async fn a_session_takes_each_level_and_nothing_else() {
    let app = TestApp::spawn();
    let token = app.token("ann", "user:read");
    for version in REVISIONS {
        let session = app.open(&token, version).await;
        for level in LEVELS {
            let reply = set_level(&app, &session, &level.into()).send().await;
            assert_eq!(reply.text(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        }
        for level in [
            json!("INFO"),
            json!("warn"),
            json!(""),
            json!(3),
            json!(null),
        ] {
            let reply = set_level(&app, &session, &level).send().await;
            assert_eq!(reply.error(), (200, -32602), "{level}");
        }
        let ask = app.within(&session, "logging/setLevel", json!({}));
        assert_eq!(ask.send().await.error(), (200, -32602));
    }
    let level = json!({ "level": "debug" });
    let modern = app.modern(&token, "logging/setLevel", level);
    assert_eq!(modern.send().await.error(), (404, -32601));
}

/// L-15, L-27.
#[actix_rt::test]
async fn a_session_is_told_what_its_level_admits_on_the_stream_of_the_call() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in REVISIONS {
        let session = app.open(&token, version).await;
        // Unasked, ordinary calls have no stream.
        let (_, ask) = delete(&app, &session).await;
        assert!(ask.send().await.result()["content"].is_array());
        for (level, is_told) in [
            ("notice", true),
            ("debug", true),
            ("warning", false),
            ("emergency", false),
            ("info", true),
        ] {
            set_level(&app, &session, &level.into())
                .send()
                .await
                .result();
            let (id, ask) = delete(&app, &session).await;
            if is_told {
                check_notice(&ask.listen().await.messages().await, id);
            } else {
                assert!(ask.send().await.result()["content"].is_array(), "{level}");
            }
        }
        // A level that was refused changes nothing, and another session has its own.
        set_level(&app, &session, &"x".into()).send().await;
        let (id, ask) = delete(&app, &session).await;
        check_notice(&ask.listen().await.messages().await, id);
        let other = app.open(&token, version).await;
        let (_, ask) = delete(&app, &other).await;
        assert!(ask.send().await.result()["content"].is_array());
    }
}

/// D-19.
#[actix_rt::test]
async fn a_call_with_nothing_to_tell_has_no_stream_at_any_level() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-11-25").await;
    set_level(&app, &session, &"debug".into())
        .send()
        .await
        .result();
    let gone = json!({ "name": "delete_tag", "arguments": { "id": 1 } });
    let reply = app.within(&session, "tools/call", gone).send().await;
    assert_eq!(
        reply.result()["structuredContent"]["success"],
        false,
        "nothing was deleted"
    );
    let list = json!({ "name": "list_tags", "arguments": {} });
    let reply = app.within(&session, "tools/call", list).send().await;
    assert!(reply.result()["content"].is_array());
}

/// S-18.
///
/// What is not declared is not sent.
#[actix_rt::test]
async fn a_modern_client_gets_no_log_messages_whatever_level_it_names() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    for level in ["debug", "notice", "emergency"] {
        let id = journal.tag("work").await;
        let ask = app
            .tool(&journal.token, "delete_tag", &json!({ "id": id }))
            .edit(|body| body["params"]["_meta"][LOG_LEVEL] = level.into());
        let result = ask.send().await.result();
        assert_eq!(result["structuredContent"]["success"], true);
    }
}

/// S-18.
#[actix_rt::test]
async fn progress_alone_brings_a_modern_client_no_log_messages() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let id = journal.tag("work").await;
    let ask = app
        .tool(&journal.token, "delete_tag", &json!({ "id": id }))
        .edit(|body| body["params"]["_meta"]["progressToken"] = 1.into());
    assert_eq!(
        ask.send().await.result()["structuredContent"]["success"],
        true
    );
}

/// S-18.
#[actix_rt::test]
async fn a_modern_level_that_is_none_is_refused_before_anything_runs() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let id = journal.tag("work").await;
    for level in [
        json!("INFO"),
        json!("warn"),
        json!(3),
        json!(null),
        json!({}),
    ] {
        for ask in [
            app.tool(&journal.token, "delete_tag", &json!({ "id": id })),
            app.modern(&journal.token, "tools/list", json!({})),
        ] {
            let ask = ask.edit(|body| body["params"]["_meta"][LOG_LEVEL] = level.clone());
            let reply = ask.send().await;
            assert_eq!(reply.error(), (400, -32602), "{level}");
            assert!(reply.text().contains(LOG_LEVEL), "{}", reply.text());
        }
    }
    journal.done("get_tag", json!({ "id": id })).await;
}

#[actix_rt::test]
async fn in_a_batch_there_is_no_place_for_log_messages() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    set_level(&app, &session, &"debug".into())
        .send()
        .await
        .result();
    let id = app.journal("ann").entry("Gone").await;
    let batch = json!([{
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "delete_entry", "arguments": { "id": id } },
    }]);
    let ask = app.within(&session, "", json!({})).body(batch.to_string());
    let reply = ask.send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json().as_array().unwrap().len(), 1);
}
