//! `initialize`, and the shape that each legacy revision gives to an answer.

use serde_json::{Value, json};

use super::sessions::REVISIONS;
use crate::support::{ALL, TestApp};

/// T-01, L-01, L-02, PF-04.
#[actix_rt::test]
async fn initialize_is_answered_in_the_shape_of_each_revision() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let mut shown = String::new();
    for version in REVISIONS {
        let reply = app.initialize(&token, version).send().await;
        assert_eq!(reply.result()["protocolVersion"], version);
        shown += &format!("{}\n\n", reply.shown());
    }
    insta::assert_snapshot!("initialize", shown);
}

/// L-02, L-29, D-04.
#[actix_rt::test]
async fn a_version_that_cannot_be_had_is_answered_with_the_newest_that_can() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in ["2026-07-28", "2024-11-05", "2099-01-01", "", "x"] {
        let reply = app.initialize(&token, version).send().await;
        assert_eq!(reply.result()["protocolVersion"], "2025-11-25", "{version}");
    }
}

/// L-10, L-29, D-02.
///
/// Within the era the body negotiates: some clients send the revision of their last session.
#[actix_rt::test]
async fn initialize_under_a_header_of_the_other_era_is_refused() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for (header, requested, expected) in [
        ("2026-07-28", "2025-11-25", (400, -32020)),
        ("2026-07-28", "2026-07-28", (400, -32020)),
    ] {
        let ask = app
            .initialize(&token, requested)
            .header("mcp-protocol-version", header);
        let reply = ask.send().await;
        assert_eq!(reply.error(), expected, "{header} {requested}");
        assert_eq!(reply.header("mcp-session-id"), None);
        assert_eq!(reply.json()["id"], 1);
    }
    for header in ["2025-11-25", "2025-06-18", "2024-11-05", "x"] {
        let ask = app
            .initialize(&token, "2025-11-25")
            .header("mcp-protocol-version", header);
        let opened = ask.send().await.result();
        assert_eq!(opened["protocolVersion"], "2025-11-25", "{header}");
    }
    let doubled = app
        .initialize(&token, "2025-11-25")
        .also("mcp-protocol-version", b"2025-11-25")
        .also("mcp-protocol-version", b"2025-11-25");
    assert_eq!(doubled.send().await.error(), (400, -32600));
}

/// L-01.
#[actix_rt::test]
async fn initialize_names_the_parameter_that_is_wrong() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let good = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    for (member, value, message) in [
        (
            "protocolVersion",
            None,
            "Invalid params: protocolVersion must be a string",
        ),
        (
            "protocolVersion",
            Some(json!(7)),
            "Invalid params: protocolVersion must be a string",
        ),
        (
            "capabilities",
            None,
            "Invalid params: capabilities must be an object",
        ),
        (
            "capabilities",
            Some(json!([])),
            "Invalid params: capabilities must be an object",
        ),
        (
            "clientInfo",
            None,
            "Invalid params: clientInfo must be an object",
        ),
        (
            "clientInfo",
            Some(Value::Null),
            "Invalid params: clientInfo must be an object",
        ),
    ] {
        let mut params = good.clone();
        match value {
            Some(value) => params[member] = value,
            None => drop(params.as_object_mut().unwrap().remove(member)),
        }
        let ask = app
            .initialize(&token, "")
            .edit(|body| body["params"] = params);
        let reply = ask.send().await;
        assert_eq!(
            (reply.status, reply.json()),
            (
                200,
                json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32602, "message": message } })
            )
        );
        assert_eq!(reply.header("mcp-session-id"), None);
    }
    for params in [json!([]), json!(["2025-11-25", {}, {}])] {
        let ask = app
            .initialize(&token, "")
            .edit(|body| body["params"] = params);
        assert_eq!(ask.send().await.error(), (400, -32602));
    }
}

/// L-04, D-24.
#[actix_rt::test]
async fn a_list_has_what_its_revision_has_and_nothing_else() {
    let app = TestApp::spawn();
    let token = app.token("ann", "user:read");
    let mut shown = String::new();
    for version in REVISIONS {
        let session = app.open(&token, version).await;
        let reply = app.within(&session, "tools/list", json!({})).send().await;
        let mut list = reply.result();
        // One tool shows the shape, whatever others there are.
        list["tools"]
            .as_array_mut()
            .unwrap()
            .retain(|tool| tool["name"] == "whoami");
        shown += &format!(
            "{version}\n{}\n\n",
            serde_json::to_string_pretty(&list).unwrap()
        );
    }
    insta::assert_snapshot!("legacy_list", shown);
}

/// L-04, S-05, D-24, PF-04.
#[actix_rt::test]
async fn a_result_has_what_its_revision_has_and_nothing_else() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in REVISIONS {
        let session = app.open(&token, version).await;
        let call = |arguments: Value| {
            app.within(
                &session,
                "tools/call",
                json!({ "name": "create_tag", "arguments": arguments }),
            )
        };
        let result = call(json!({ "name": version })).send().await.result();
        let members: Vec<_> = result
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let kinds: Vec<_> = result["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["text", "text"]);
        if version == "2025-03-26" {
            assert_eq!(members, ["content"]);
        } else {
            assert_eq!(members, ["content", "structuredContent"]);
        }
        let failed = call(json!({ "name": version })).send().await.result();
        let members: Vec<_> = failed
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(members, ["content", "isError"]);
    }
}

/// S-07, D-09, D-18.
#[actix_rt::test]
async fn errors_travel_in_band() {
    let app = TestApp::spawn();
    let session = app.open(&app.token("ann", ALL), "2025-06-18").await;
    for (method, params, code) in [
        ("no/such", json!({}), -32601),
        ("initialized", json!({}), -32601),
        ("resources/subscribe", json!({}), -32602),
        ("tools/call", json!({ "name": "no_such" }), -32602),
        ("tools/call", json!({}), -32602),
        (
            "tools/call",
            json!({ "name": "whoami", "arguments": [] }),
            -32602,
        ),
        ("tools/list", json!({ "cursor": "x" }), -32602),
    ] {
        let reply = app.within(&session, method, params).send().await;
        assert_eq!(reply.error(), (200, code), "{method}");
        assert_eq!(reply.json()["id"], 1);
    }
    // What only a modern client can ask is told in modern words (D-09).
    let ask = app.within(&session, "server/discover", json!({}));
    assert_eq!(ask.send().await.error(), (400, -32602));
}
