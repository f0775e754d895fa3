//! Several messages in one POST, which 2025-03-26 alone has.

use serde_json::{Value, json};

use crate::support::{ALL, Reply, Session, TestApp, parse_challenge};

/// A request, as it stands in a batch.
fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    request(id, "tools/call", params)
}

fn note(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": method })
}

async fn send(app: &TestApp, session: &Session, batch: &Value) -> Reply {
    let ask = app.within(session, "", json!({})).body(batch.to_string());
    ask.send().await
}

/// The response to the request of this id, which is answered once.
fn answer_to(reply: &Reply, id: impl Into<Value>) -> Value {
    let (answers, id) = (reply.json(), id.into());
    let mut found = answers.as_array().unwrap().iter();
    let answer = found.find(|answer| answer["id"] == id);
    let answer = answer.unwrap_or_else(|| panic!("no answer to {id}: {answers}"));
    assert!(found.all(|other| other["id"] != id), "{id} twice");
    assert_eq!(answer["jsonrpc"], "2.0");
    answer.clone()
}

/// L-13.
#[actix_rt::test]
async fn every_request_of_a_batch_is_answered_and_nothing_else() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    let batch = json!([
        note("notifications/initialized"),
        request(7, "ping", json!({})),
        request("7", "tools/list", json!({})),
        request(8, "no/such", json!({})),
        call(9, "no_such", json!({})),
        request(10, "tools/list", json!([])),
        request(11, "resources/read", json!({ "uri": "epicme://entries/1" })),
        call(12, "create_tag", json!({ "name": "work" })),
        call(13, "create_tag", json!({})),
        { "jsonrpc": "2.0", "id": "s-1", "result": {} },
    ]);
    let reply = send(&app, &session, &batch).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(reply.json().as_array().unwrap().len(), 8);
    assert_eq!(answer_to(&reply, 7)["result"], json!({}));
    assert!(answer_to(&reply, "7")["result"]["tools"].is_array());
    for (id, code) in [(8, -32601), (9, -32602), (10, -32602), (11, -32002)] {
        assert_eq!(answer_to(&reply, id)["error"]["code"], code, "{id}");
    }
    let created = answer_to(&reply, 12)["result"].clone();
    assert!(created.get("isError").is_none(), "{created}");
    // Each answer has the shape of its revision.
    assert!(created.get("structuredContent").is_none(), "{created}");
    assert_eq!(answer_to(&reply, 13)["result"]["isError"], true);
}

/// B-03, L-13.
#[actix_rt::test]
async fn a_batch_that_wants_no_answer_gets_none() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    for batch in [
        json!([note("notifications/initialized"), note("no/such")]),
        json!([{ "jsonrpc": "2.0", "id": "s-1", "result": {} }]),
        json!([
            { "jsonrpc": "2.0", "id": 1, "error": { "code": -1, "message": "no" } },
            note("notifications/cancelled"),
        ]),
    ] {
        let reply = send(&app, &session, &batch).await;
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{batch}");
    }
}

#[actix_rt::test]
async fn a_full_batch_of_writes_is_done() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    let batch: Vec<_> = (0..20)
        .map(|n| call(n, "create_tag", json!({ "name": format!("tag {n}") })))
        .collect();
    let reply = send(&app, &session, &json!(batch)).await;
    for n in 0..20 {
        let result = answer_to(&reply, n)["result"].clone();
        assert!(result["isError"].is_null(), "{result}");
    }
    let tags = app.journal("ann").done("list_tags", json!({})).await;
    assert_eq!(tags["tags"].as_array().unwrap().len(), 20);
}

/// L-13, D-14.
#[actix_rt::test]
async fn a_batch_that_breaks_a_rule_is_refused_whole() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-03-26").await;
    let good = || call(1, "create_tag", json!({ "name": "never" }));
    let enveloped = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
    for (why, batch) in [
        ("empty", json!([])),
        (
            "too long",
            json!(
                (0..21)
                    .map(|id| request(id, "ping", json!({})))
                    .collect::<Vec<_>>()
            ),
        ),
        ("no message", json!([good(), 7])),
        (
            "a batch in it",
            json!([good(), [request(2, "ping", json!({}))]]),
        ),
        ("no version", json!([good(), { "id": 2, "method": "ping" }])),
        (
            "an id that is none",
            json!([good(), request(Value::Null, "ping", json!({}))]),
        ),
        (
            "initialize",
            json!([good(), request(2, "initialize", json!({}))]),
        ),
        (
            "the same id twice",
            json!([good(), request(1, "ping", json!({}))]),
        ),
        (
            "an envelope",
            json!([good(), request(2, "tools/list", enveloped.clone())]),
        ),
        (
            "a notification in an envelope",
            json!([good(), { "jsonrpc": "2.0", "method": "x", "params": enveloped }]),
        ),
    ] {
        let reply = send(&app, &session, &batch).await;
        assert_eq!(reply.error(), (400, -32600), "{why}");
        assert_eq!(reply.json().get("id"), None, "{why}");
    }
    for broken in ["[", "[{}", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}"#] {
        let ask = app.within(&session, "", json!({})).body(broken);
        assert_eq!(ask.send().await.error(), (400, -32700), "{broken}");
    }
    let tags = app.journal("ann").done("list_tags", json!({})).await;
    assert_eq!(tags["tags"], json!([]));
}

/// D-11, D-14.
#[actix_rt::test]
async fn a_batch_is_taken_within_a_session_of_that_revision_alone() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let batch = json!([request(1, "ping", json!({}))]);
    for version in ["2025-06-18", "2025-11-25"] {
        let session = app.open(&token, version).await;
        let reply = send(&app, &session, &batch).await;
        assert_eq!(reply.error(), (400, -32600), "{version}");
    }
    let session = app.open(&token, "2025-03-26").await;
    let ask = || app.within(&session, "", json!({})).body(batch.to_string());
    let agreeing = ask().header("mcp-protocol-version", "2025-03-26");
    assert_eq!(agreeing.send().await.status, 200);
    for version in ["2025-06-18", "2025-11-25", "2026-07-28", "x"] {
        let reply = ask().header("mcp-protocol-version", version).send().await;
        assert_eq!(reply.error(), (400, -32600), "{version}");
    }
    let nowhere = ask().without("mcp-session-id");
    assert_eq!(nowhere.send().await.error(), (400, -32600));
    // A session that is not the caller's is the same unknown session as for any other message.
    let stranger = Session {
        token: app.token("bob", ALL),
        ..session.clone()
    };
    let ping = app.within(&stranger, "ping", json!({})).send().await;
    let reply = send(&app, &stranger, &batch).await;
    assert_eq!((reply.status, ping.status), (404, 404));
    assert_eq!(reply.json()["error"], ping.json()["error"]);
}

/// D-14, D-30.
#[actix_rt::test]
async fn where_there_are_no_sessions_there_are_no_batches() {
    let app = TestApp::spawn_with(|config| config.sessions = None);
    let ask = app.post(
        &app.token("ann", ALL),
        &json!([request(1, "ping", json!({}))]),
    );
    assert_eq!(ask.send().await.error(), (400, -32600));
}

/// A-13, D-14.
#[actix_rt::test]
async fn nothing_of_a_batch_runs_if_a_scope_is_missing_for_any_of_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", "tags:write user:read");
    let session = app.open(&token, "2025-03-26").await;
    let made = || call(1, "create_tag", json!({ "name": "never" }));
    let prompt = json!({ "name": "suggest_tags", "arguments": {} });
    let typed = json!({
        "ref": { "type": "ref/prompt", "name": "suggest_tags" },
        "argument": { "name": "entryId", "value": "" },
    });
    let uri = json!({ "uri": "epicme://entries/1" });
    for (lacking, needed) in [
        (
            call(2, "delete_entry", json!({})),
            "entries:read entries:write",
        ),
        (call(2, "list_tags", json!({})), "tags:read"),
        (request(2, "prompts/get", prompt), "entries:read tags:read"),
        (
            request(2, "completion/complete", typed),
            "entries:read tags:read",
        ),
        (request(2, "resources/read", uri.clone()), "entries:read"),
        (request(2, "resources/subscribe", uri), "entries:read"),
    ] {
        let batch = json!([made(), call(3, "whoami", json!({})), lacking]);
        let reply = send(&app, &session, &batch).await;
        assert_eq!(reply.status, 403, "{batch}");
        assert_eq!(reply.json()["id"], 2, "{batch}");
        let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
        let mut asked: Vec<_> = challenge.get("scope").unwrap().split(' ').collect();
        // What was granted is kept (C5), and all that the batch needs is asked for at once.
        let mut expected: Vec<_> = needed
            .split(' ')
            .chain(["tags:write", "user:read"])
            .collect();
        asked.sort_unstable();
        expected.sort_unstable();
        assert_eq!(asked, expected, "{batch}");
    }
    let tags = app.journal("ann").done("list_tags", json!({})).await;
    assert_eq!(tags["tags"], json!([]));
    // Without what it lacked, it runs.
    let reply = send(&app, &session, &json!([made()])).await;
    assert!(answer_to(&reply, 1)["result"].is_object());
}

/// PF-09.
#[actix_rt::test]
async fn a_call_in_a_batch_says_nothing_but_its_answer() {
    let app = TestApp::spawn();
    let capabilities = json!({ "elicitation": {}, "sampling": {} });
    let token = app.token("ann", ALL);
    let session = app.open_with(&token, "2025-03-26", capabilities).await;
    let entry = app.journal("ann").entry("Kept").await;
    let mut delete = call(1, "delete_entry", json!({ "id": entry }));
    delete["params"]["_meta"] = json!({ "progressToken": 1 });
    let reply = send(&app, &session, &json!([delete])).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.json().as_array().unwrap().len(), 1);
    assert!(answer_to(&reply, 1)["result"]["content"].is_array());
}
