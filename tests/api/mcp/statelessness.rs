//! A request stands for itself: neither an earlier one, nor what a client says of itself, nor what
//! this server does not serve changes its answer.

use serde_json::{Value, json};

use crate::support::{ALL, Ask, MODERN, REVISIONS, TestApp, envelope};

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// The same request with this in its metadata.
fn with_meta<'a>(ask: Ask<'a>, name: &str, value: &Value) -> Ask<'a> {
    ask.edit(|body| body["params"]["_meta"][name] = value.clone())
}

/// B-07, B-08, S-02.
#[actix_rt::test]
async fn nothing_is_remembered_from_one_request_to_the_next() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    let entry = journal.entry("Rain").await;
    let delete = app.tool(&journal.token, "delete_entry", &json!({ "id": entry }));
    let able = with_meta(delete.clone(), CAPABILITIES, &json!({ "elicitation": {} }));
    assert_eq!(able.send().await.result()["resultType"], "input_required");
    // This one declares nothing, so there is nobody to ask.
    assert_eq!(delete.send().await.result()["resultType"], "complete");

    // A list is the same whatever was called before.
    let list = app.modern(&journal.token, "tools/list", json!({}));
    let before = list.clone().send().await;
    journal.tag("walk").await;
    assert_eq!(list.send().await.body, before.body);

    // Nor is a connection anybody's.
    let mut wire = app.wire();
    for (subject, connection) in [("ann", "keep-alive"), ("bob", "close")] {
        let token = app.token(subject, ALL);
        let call = json!({ "name": "whoami", "arguments": {}, "_meta": envelope() });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call });
        let body = body.to_string();
        wire.send(format!(
            "POST /mcp HTTP/1.1\r\nhost: journal.example\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: whoami\r\n\
             connection: {connection}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    let answers = wire.read();
    let whose = |subject: &str| answers.find(&format!("\"subject\":\"{subject}\""));
    assert!(whose("ann").unwrap() < whose("bob").unwrap(), "{answers}");
}

/// B-06, B-11.
#[actix_rt::test]
async fn who_a_client_says_it_is_makes_no_difference() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let whoami = app.tool(&token, "whoami", &json!({}));
    let usual = whoami.clone().send().await;
    for info in [
        json!({ "name": "epicme", "version": "1" }),
        json!({ "name": "admin", "version": "1", "title": "x".repeat(10_000) }),
        json!({}),
        json!("notebook"),
        json!(null),
    ] {
        let reply = with_meta(whoami.clone(), CLIENT_INFO, &info).send().await;
        assert_eq!((reply.status, &reply.body), (200, &usual.body), "{info}");
    }
    for version in &REVISIONS[1..] {
        let mut answers = Vec::new();
        for name in ["notebook", "epicme"] {
            let ask = app.initialize(&token, version);
            let ask = ask.edit(|body| body["params"]["clientInfo"]["name"] = name.into());
            answers.push(ask.send().await.result());
        }
        assert_eq!(answers[0], answers[1]);
    }
}

/// V-05, X-01.
#[actix_rt::test]
async fn an_extension_that_is_not_served_changes_nothing() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let extensions = json!({ "extensions": {
        "io.modelcontextprotocol/tasks": {},
        "io.modelcontextprotocol/ui": { "mimeTypes": ["text/html;profile=mcp-app"] },
        "example.com/of-their-own": { "a": [1] },
    } });
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("tools/call", json!({ "name": "whoami" })),
    ] {
        let ask = app.modern(&token, method, params);
        let usual = ask.clone().send().await;
        let reply = with_meta(ask, CAPABILITIES, &extensions).send().await;
        assert_eq!((reply.status, &reply.body), (200, &usual.body), "{method}");
    }
    for version in &REVISIONS[1..] {
        let ask = app.initialize(&token, version);
        let ask = ask.edit(|body| body["params"]["capabilities"] = extensions.clone());
        let capabilities = ask.send().await.result()["capabilities"].clone();
        assert_eq!(capabilities.get("extensions"), None);
    }
}

/// L-28, X-02, X-07, X-11.
#[actix_rt::test]
async fn there_are_no_tasks_whoever_asks_for_them() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let tasks = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    for revision in REVISIONS {
        let client = app.client(revision, &token).await;
        let capabilities = if revision == MODERN {
            client.result("server/discover", json!({})).await["capabilities"].clone()
        } else {
            app.initialize(&token, revision).send().await.result()["capabilities"].clone()
        };
        assert_eq!(capabilities.get("tasks"), None);
        assert_eq!(capabilities.get("extensions"), None);
        // A wish for one is not heard: the call is answered at once.
        let call = json!({ "name": "whoami", "arguments": {}, "task": { "ttl": 60_000 } });
        let ask = client.ask("tools/call", call);
        let ask = if revision == MODERN {
            with_meta(ask, CAPABILITIES, &tasks)
        } else {
            ask
        };
        let result = ask.send().await.result();
        assert!(result["content"].is_array(), "{result}");
        assert_eq!(result.get("task"), None);
        for method in [
            "tasks/get",
            "tasks/update",
            "tasks/cancel",
            "tasks/list",
            "tasks/result",
        ] {
            let ask = client.ask(method, json!({ "taskId": "t" }));
            let expected = if revision == MODERN { 404 } else { 200 };
            let reply = ask.header("mcp-name", "t").send().await;
            assert_eq!(reply.error(), (expected, -32601), "{method} {revision}");
        }
        let tools = client.result("tools/list", json!({})).await;
        let tools = tools["tools"].as_array().unwrap();
        assert!(tools.iter().all(|tool| tool.get("execution").is_none()));
    }
}

/// P-02.
#[actix_rt::test]
async fn what_never_asks_takes_no_notice_of_answers() {
    let app = TestApp::spawn();
    let journal = app.journal("ann");
    journal.entry("Rain").await;
    let reference = json!({ "type": "ref/resource", "uri": "epicme://entries/{id}" });
    let argument = json!({ "name": "id", "value": "" });
    let completion = json!({ "ref": reference, "argument": argument });
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("completion/complete", completion),
    ] {
        let ask = app.modern(&journal.token, method, params);
        let able = json!({ "elicitation": {}, "sampling": {}, "roots": {} });
        let reply = with_meta(ask, CAPABILITIES, &able)
            .edit(|body| {
                body["params"]["requestState"] = "v1.made-up".into();
                body["params"]["inputResponses"] = json!({ "confirm": { "action": "accept" } });
            })
            .send()
            .await;
        assert_eq!(reply.result()["resultType"], "complete", "{method}");
    }
}

/// T-03, A-07, A-17, D-13, D-29, PF-14.
#[actix_rt::test]
async fn nothing_of_either_era_is_open_to_who_has_no_token() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    let calls = app.issuer.calls();
    let mut asks = vec![app.initialize(&token, "2025-11-25")];
    for method in [
        "server/discover",
        "tools/list",
        "subscriptions/listen",
        "no/such",
    ] {
        asks.push(app.modern(&token, method, json!({})));
        asks.push(app.within(&session, method, json!({})));
    }
    for method in ["GET", "DELETE"] {
        // Which era it would have been is not told either.
        asks.push(app.modern(&token, "tools/list", json!({})).method(method));
        asks.push(app.within(&session, "ping", json!({})).method(method));
    }
    for ask in asks {
        let reply = ask.without("authorization").send().await;
        assert_eq!(reply.error(), (401, -32600), "{}", reply.text());
        assert_eq!(reply.header("mcp-session-id"), None);
        assert_eq!(reply.header("allow"), None);
    }
    assert_eq!(app.issuer.calls(), calls);
}

/// V-07, D-06, PF-07.
#[actix_rt::test]
async fn what_an_envelope_may_name_is_among_what_discovery_lists() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let discovered = app.modern(&token, "server/discover", json!({}));
    let discovered = discovered.send().await.result()["supportedVersions"].clone();
    let listed = discovered.as_array().unwrap();
    // Newest first, the legacy ones too: a client of both eras may still initialize.
    assert_eq!(discovered, json!(REVISIONS));
    for requested in REVISIONS[1..].iter().chain(&["2099-01-01"]) {
        let ask = app.modern(&token, "tools/list", json!({}));
        let ask = with_meta(
            ask,
            "io.modelcontextprotocol/protocolVersion",
            &json!(requested),
        );
        let reply = ask.header("mcp-protocol-version", requested).send().await;
        assert_eq!(reply.error(), (400, -32022));
        let supported = reply.json()["error"]["data"]["supported"].clone();
        let supported = supported.as_array().unwrap();
        assert!(!supported.is_empty());
        assert!(supported.iter().all(|version| listed.contains(version)));
        // Who takes one of them is not told the same again.
        assert!(!supported.contains(&json!(requested)));
    }
}
