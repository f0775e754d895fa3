//! What must never be seen: secrets in the log or in an error, and anything that helps to forge either.

use serde_json::json;

use crate::support::{ALL, Answer, TestApp, lines_with};

/// A text that occurs in no other test.
const SECRET: &str = "zq7-private-thought";

#[actix_rt::test]
async fn no_text_of_a_journal_reaches_the_log_or_an_error() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    let long = SECRET.repeat(10_000);
    let done = ann
        .done(
            "create_entry",
            json!({ "title": SECRET, "content": SECRET, "mood": SECRET, "idempotencyKey": SECRET }),
        )
        .await;
    let id = &done["entry"]["id"];
    for (tool, arguments) in [
        ("get_entry", json!({ "id": id })),
        ("list_entries", json!({})),
        ("search_entries", json!({ "query": SECRET })),
        (
            "update_entry",
            json!({ "id": id, "title": SECRET, "location": SECRET }),
        ),
        (
            "create_tag",
            json!({ "name": SECRET, "description": SECRET }),
        ),
        ("list_tags", json!({})),
        ("delete_entry", json!({ "id": id })),
    ] {
        ann.done(tool, arguments).await;
    }
    for (tool, arguments) in [
        ("create_entry", json!({ "title": SECRET, "content": long })),
        (
            "create_entry",
            json!({ "title": [SECRET], "content": { "x": SECRET } }),
        ),
        (
            "create_entry",
            json!({ "title": SECRET, "content": SECRET, "tags": [SECRET] }),
        ),
        (
            "create_entry",
            json!({ "title": SECRET, "content": "other", "idempotencyKey": SECRET }),
        ),
        ("create_tag", json!({ "name": SECRET })),
        (
            "list_entries",
            json!({ "from": SECRET, "cursor": SECRET, "timeZone": SECRET }),
        ),
        (
            "search_entries",
            json!({ "query": SECRET, "limit": SECRET }),
        ),
        ("get_entry", json!({ "id": SECRET })),
    ] {
        let said = ann.failed(tool, arguments).await;
        assert!(!said.contains(SECRET), "{said}");
    }
    // Nor if the database stumbles over it.
    app.database
        .execute("ALTER TABLE tags ADD CHECK (name <> 'zq7-private-thought-2')")
        .unwrap();
    let arguments = json!({ "name": "zq7-private-thought-2" });
    let reply = app.tool(&ann.token, "create_tag", &arguments).send().await;
    assert_eq!(reply.error(), (500, -32603));
    assert!(
        !reply.text().contains("zq7") && !reply.text().contains("tags"),
        "{}",
        reply.text()
    );
    assert_eq!(lines_with("zq7"), [""; 0]);
}

///
#[actix_rt::test]
async fn an_internal_error_is_in_the_log_under_the_id_that_the_client_has() {
    let app = TestApp::spawn();
    let ann = app.journal("ann");
    app.database
        .execute("ALTER TABLE tags RENAME COLUMN name TO renamed")
        .unwrap();
    let reply = app.tool(&ann.token, "list_tags", &json!({})).send().await;
    assert_eq!(reply.error(), (500, -32603));
    assert_eq!(reply.json()["id"], 1);
    assert!(
        !reply.text().contains("column") && !reply.text().contains("name\\\""),
        "{}",
        reply.text()
    );
    let id = reply.header("x-request-id").unwrap();
    let lines = lines_with(id);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("name") && line.contains("does not exist")),
        "{lines:?}"
    );
}

///
#[actix_rt::test]
async fn a_refused_token_is_in_the_log_by_its_fingerprint() {
    let app = TestApp::spawn();
    let token = app.token_for(Answer::json(json!({ "active": false })));
    let ask = app.modern(&token, "tools/list", json!({}));
    let reply = ask.send().await;
    let lines = lines_with(reply.header("x-request-id").unwrap());
    assert!(
        lines
            .iter()
            .any(|line| line.contains("inactive token") && line.contains(" token=")),
        "{lines:?}"
    );
    assert_eq!(lines_with(&token), [""; 0]);
}

#[actix_rt::test]
async fn the_query_and_the_headers_of_a_request_are_not_logged() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let ask = app
        .ask("GET", "/nothing?access_token=zq8-query")
        .header("cookie", "zq8-cookie");
    assert_eq!(
        ask.header("referer", "zq8-referer").send().await.status,
        404
    );
    let ask = app
        .post(&token, &json!({}))
        .path("/mcp?zq8-query")
        .header("user-agent", "zq8-agent");
    assert_eq!(ask.send().await.status, 400);
    assert_eq!(lines_with("zq8"), [""; 0]);
}

#[actix_rt::test]
async fn no_client_writes_lines_into_the_log() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let name = "x\n2026 ERROR zq9-forged \u{1b}[31m\u{202e}";
    let ask = app
        .modern(&token, "tools/call", json!({ "name": name }))
        .header(
            "mcp-name",
            "=?base64?eAoyMDI2IEVSUk9SIHpxOS1mb3JnZWQgG1szMW3igK4=?=",
        );
    let reply = ask.send().await;
    assert_eq!(reply.error(), (200, -32602));
    let lines = lines_with(reply.header("x-request-id").unwrap());
    assert!(!lines.is_empty());
    assert!(
        lines
            .iter()
            .all(|line| !line.contains(|c: char| c.is_control() || c == '\u{202e}')),
        "{lines:?}"
    );
}

#[actix_rt::test]
async fn every_request_is_in_the_log_once_with_its_status() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for (ask, said) in [
        (app.modern(&token, "tools/list", json!({})), "POST /mcp 200"),
        (app.ask("GET", "/nothing"), "GET /nothing 404"),
        (app.ask("POST", "/mcp"), "POST /mcp 401"),
        (
            app.ask("POST", "/mcp").header("host", "evil.example"),
            "POST /mcp 421",
        ),
        (app.ask("BREW", "/mcp"), "other /mcp 405"),
    ] {
        let reply = ask.send().await;
        let lines = lines_with(reply.header("x-request-id").unwrap());
        let access: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("epicme::access"))
            .collect();
        assert_eq!(access.len(), 1, "{lines:?}");
        assert!(access[0].contains(said), "{access:?}");
    }
}
