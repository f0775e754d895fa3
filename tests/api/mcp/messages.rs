//! What a POST of the modern revision has to be: JSON-RPC messages, envelope and headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::validation_order::{good, hold};
use crate::support::{ALL, Ask, TestApp, envelope, header_lines};

/// T-04, T-05, B-01, D-14, D-15.
#[actix_rt::test]
async fn what_is_no_json_rpc_message() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let raw = |body: &[u8]| good(&app, &token).body(body);
    let mut cases = Vec::new();
    for body in [
        &b""[..],
        b" ",
        b"{",
        b"{} {}",
        b"nonsense",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
        b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        b"\xff\xfe{\x00",
        b"NaN",
    ] {
        let what = format!("no JSON: {}", body.escape_ascii());
        cases.push((what, raw(body), 400, -32700));
    }
    for body in [
        &b"[]"[..],
        b"[\"2.0\",1,\"tools/list\",{}]",
        b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}]",
        b"null",
        b"7",
        b"\"text\"",
        b"{}",
        b"{\"id\":1,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"tools/list\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"method\":\"tools/call\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"no\"}}",
        b"{\"jsonrpc\":\"2.0\",\"result\":{}}",
    ] {
        let what = format!("no message: {}", body.escape_ascii());
        cases.push((what, raw(body), 400, -32600));
    }
    let long_method = json!({ "jsonrpc": "2.0", "id": 1, "method": "m".repeat(129) });
    cases.push((
        "a long method".to_owned(),
        raw(long_method.to_string().as_bytes()),
        400,
        -32600,
    ));
    let long_id = json!({ "jsonrpc": "2.0", "id": "i".repeat(300), "method": "tools/list" });
    cases.push((
        "a long id".to_owned(),
        raw(long_id.to_string().as_bytes()),
        400,
        -32600,
    ));
    hold("what_is_no_message", cases).await;
}

#[actix_rt::test]
async fn nesting_without_end_is_no_reason_to_fall_over() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for deep in [
        "[".repeat(500_000),
        format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)),
    ] {
        let reply = good(&app, &token).body(deep.clone()).send().await;
        assert_eq!(reply.status, 400);
        let body =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{deep}}}");
        assert_eq!(good(&app, &token).body(body).send().await.status, 400);
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let meta = envelope();
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"whoami\",\"_meta\":{meta},\"arguments\":{deep}}}}}"
    );
    let reply = good(&app, &token).body(body).send().await;
    assert_eq!(
        reply.result()["content"][0]["text"],
        format!(
            "Invalid arguments: `{}` cannot be read as JSON: recursion limit exceeded.",
            "a.".repeat(30)
        )
    );
}

/// B-01, B-02.
#[actix_rt::test]
async fn the_id_comes_back_with_its_type() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for id in [
        "0",
        "-7",
        "7",
        "\"7\"",
        "\"\"",
        "\"a\\u0022b é\"",
        "9223372036854775808",
        "123456789012345678901234567890",
    ] {
        for (method, status) in [("tools/list", 200), ("no/such", 404)] {
            let meta = envelope();
            let body = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"_meta\":{meta}}}}}"
            );
            let ask = app.modern(&token, method, json!({})).body(body);
            let reply = ask.send().await;
            assert_eq!(reply.status, status);
            assert!(
                reply.text().contains(&format!("\"id\":{id},")),
                "{id}: {}",
                reply.text()
            );
        }
    }
    // And it is there whatever goes wrong once it could be read.
    let narrow = app.token("ann", "entries:read");
    let forbidden = good(&app, &narrow)
        .edit(|body| body["id"] = "mine".into())
        .send()
        .await;
    assert_eq!(
        (forbidden.status, &forbidden.json()["id"]),
        (403, &json!("mine"))
    );
}

/// B-05, B-06, D-01, D-09.
#[actix_rt::test]
async fn the_envelope_is_complete_or_its_missing_member_is_named() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let with = |edit: fn(&mut Value)| good(&app, &token).edit(edit);
    let cases: Vec<(&str, Ask<'_>, u16, i64)> = vec![
        ("no params", with(|body| { body.as_object_mut().unwrap().remove("params"); }), 400, -32602),
        ("params null", with(|body| body["params"] = Value::Null), 400, -32602),
        ("params an array", with(|body| body["params"] = json!([])), 400, -32602),
        ("no _meta", with(|body| { body["params"].as_object_mut().unwrap().remove("_meta"); }), 400, -32602),
        ("_meta null", with(|body| body["params"]["_meta"] = Value::Null), 400, -32602),
        ("_meta a text", with(|body| body["params"]["_meta"] = "x".into()), 400, -32602),
        ("_meta empty", with(|body| body["params"]["_meta"] = json!({})), 400, -32602),
        ("no version", with(|body| { meta(body).remove("io.modelcontextprotocol/protocolVersion"); }), 400, -32602),
        ("version null", with(|body| { meta(body).insert("io.modelcontextprotocol/protocolVersion".into(), Value::Null); }), 400, -32602),
        ("version a number", with(|body| { meta(body).insert("io.modelcontextprotocol/protocolVersion".into(), 20_260_728.into()); }), 400, -32602),
        ("no capabilities", with(|body| { meta(body).remove("io.modelcontextprotocol/clientCapabilities"); }), 400, -32602),
        ("capabilities null", with(|body| { meta(body).insert("io.modelcontextprotocol/clientCapabilities".into(), Value::Null); }), 400, -32602),
        ("capabilities a list", with(|body| { meta(body).insert("io.modelcontextprotocol/clientCapabilities".into(), json!([])); }), 400, -32602),
        // D-09: a client that probes has to recognise a modern server.
        ("discover without an envelope", app.post(&token, &json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover" })), 400, -32602),
        ("listen without an envelope", app.post(&token, &json!({ "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {} })), 400, -32602),
        // D-01: who claims an envelope, even a bad one, is never taken for a legacy client.
        ("a legacy method under half an envelope", app.post(&token, &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "_meta": { "io.modelcontextprotocol/protocolVersion": 7 } } })), 400, -32602),
    ];
    hold("envelope", cases).await;
    // An array is no object, even one whose items would do as members.
    let positional = good(&app, &token).edit(|body| {
        body["params"]["_meta"] = json!(["2026-07-28", {}]);
    });
    assert_eq!(positional.send().await.error(), (400, -32602));
    let doubled = good(&app, &token).body(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{},\"_meta\":{}}}",
    );
    assert_eq!(doubled.send().await.error(), (400, -32602));
    // B-06: who the client is need not be told.
    let nameless = good(&app, &token).edit(|body| {
        meta(body).remove("io.modelcontextprotocol/clientInfo");
    });
    assert_eq!(nameless.send().await.status, 200);
}

fn meta(body: &mut Value) -> &mut serde_json::Map<String, Value> {
    body["params"]["_meta"].as_object_mut().unwrap()
}

fn of_version<'a>(ask: Ask<'a>, header: &str, envelope: &str) -> Ask<'a> {
    let envelope = envelope.to_owned();
    ask.header("mcp-protocol-version", header)
        .edit(move |body| {
            meta(body).insert(
                "io.modelcontextprotocol/protocolVersion".into(),
                envelope.into(),
            );
        })
}

/// T-08, T-12, T-13, T-14, T-15, T-16, T-17, T-28, SEC-14, D-05, D-10, D-28, PF-02, PF-16.
#[actix_rt::test]
async fn headers_agree_with_the_body() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let good = || good(&app, &token);
    let sentinel = |name: &str| format!("=?base64?{}?=", STANDARD.encode(name));
    let cases = vec![
        (
            "no version",
            good().without("mcp-protocol-version"),
            400,
            -32020,
        ),
        (
            "another version",
            good().header("mcp-protocol-version", "2025-11-25"),
            400,
            -32020,
        ),
        (
            "an unknown version in the header",
            good().header("mcp-protocol-version", "x"),
            400,
            -32020,
        ),
        (
            "an unknown version in the body",
            of_version(good(), "2026-07-28", "2099-01-01"),
            400,
            -32020,
        ),
        (
            "two versions",
            good().also("mcp-protocol-version", b"2026-07-28"),
            400,
            -32020,
        ),
        ("no method", good().without("mcp-method"), 400, -32020),
        (
            "another method",
            good().header("mcp-method", "tools/list"),
            400,
            -32020,
        ),
        (
            "a method in other letters",
            good().header("mcp-method", "Tools/Call"),
            400,
            -32020,
        ),
        (
            "two methods",
            good().also("mcp-method", b"tools/call"),
            400,
            -32020,
        ),
        ("no name", good().without("mcp-name"), 400, -32020),
        (
            "another name",
            good().header("mcp-name", "get_entry"),
            400,
            -32020,
        ),
        (
            "a name in other letters",
            good().header("mcp-name", "WhoAmI"),
            400,
            -32020,
        ),
        ("two names", good().also("mcp-name", b"whoami"), 400, -32020),
        ("an empty name", good().header("mcp-name", ""), 400, -32020),
        (
            "the base64 of another name",
            good().header("mcp-name", &sentinel("get_entry")),
            400,
            -32020,
        ),
        (
            "no base64",
            good().header("mcp-name", "=?base64?***?="),
            400,
            -32020,
        ),
        (
            "base64 without its padding",
            good().header("mcp-name", "=?base64?d2hvYW1p?"),
            400,
            -32020,
        ),
        (
            "base64 of what is no text",
            good().header(
                "mcp-name",
                &format!("=?base64?{}?=", STANDARD.encode(b"\xff\xfe")),
            ),
            400,
            -32020,
        ),
        (
            "the marker in capitals",
            good().header("mcp-name", "=?BASE64?d2hvYW1p?="),
            400,
            -32020,
        ),
        (
            "a name that is no text",
            good().without("mcp-name").also("mcp-name", b"who\xffami"),
            400,
            -32020,
        ),
        (
            "a name where the body has none",
            good().edit(|body| {
                body["params"].as_object_mut().unwrap().remove("name");
            }),
            400,
            -32020,
        ),
    ];
    hold("headers", cases).await;
    for name in ["whoami", " whoami ", &sentinel("whoami")] {
        assert_eq!(
            good().header("mcp-name", name).send().await.status,
            200,
            "{name}"
        );
    }
    // A parameter header that no tool asked for says nothing (T-17), nor does a session (D-10).
    let ask = good()
        .header("mcp-param-city", "x")
        .header("mcp-session-id", "x");
    let reply = ask.send().await;
    assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None));
}

/// T-10, V-02, D-06, PF-02.
#[actix_rt::test]
async fn versions_that_are_not_served_under_an_envelope() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for version in [
        "2099-01-01",
        "2025-11-25",
        "2025-06-18",
        "2025-03-26",
        "x",
        "2026-07-29",
    ] {
        let reply = of_version(good(&app, &token), version, version)
            .send()
            .await;
        assert_eq!(reply.error(), (400, -32022));
        assert_eq!(
            reply.json()["error"]["data"],
            json!({ "supported": ["2026-07-28"], "requested": version })
        );
    }
}

/// T-06, B-03, D-16, PF-03.
#[actix_rt::test]
async fn a_notification_is_taken_and_never_answered() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for method in ["notifications/cancelled", "no/such", "tools/call"] {
        let notification = |body: &mut Value| {
            body.as_object_mut().unwrap().remove("id");
        };
        let reply = app
            .modern(&token, method, json!({}))
            .edit(notification)
            .send()
            .await;
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{method}");
        // The header alone makes it modern too (D-16).
        let bare = json!({ "jsonrpc": "2.0", "method": method });
        let ask = app
            .post(&token, &bare)
            .header("mcp-protocol-version", "2026-07-28");
        let reply = ask.send().await;
        assert_eq!((reply.status, reply.body.len()), (202, 0), "{method}");
    }
}

/// T-14.
#[actix_rt::test]
async fn what_no_client_library_sends() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let lines = header_lines(&token);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": envelope() } }).to_string();
    let modern = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n";
    let post = |host: &str, rest: &str| {
        app.exchange(format!(
            "POST /mcp HTTP/1.1\r\n{host}{lines}{modern}content-length: {}\r\n{rest}\r\n{body}",
            body.len()
        ))
    };
    let status = |answer: String| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    assert_eq!(status(post("host: journal.example\r\n", "")), "200");
    assert_eq!(status(post("HOST:journal.example  \r\n", "")), "200");
    // RFC 9112 §3.2: a host, and one alone. An HTTP/1.0 client may know none, and is told so.
    let twice = "host: journal.example\r\nhost: journal.example\r\n";
    assert_eq!(status(post("", "")), "400");
    assert_eq!(status(post(twice, "")), "400");
    assert_eq!(status(app.exchange("GET /mcp HTTP/1.0\r\n\r\n")), "421");
    // No Accept at all welcomes anything.
    let bare = lines.replace("accept: application/json, text/event-stream\r\n", "");
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{bare}{modern}content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(status(answer), "200");
    // Two lengths, or a length and chunks, are how requests are smuggled.
    for rest in [
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "transfer-encoding: x\r\n",
    ] {
        assert_eq!(
            status(post("host: journal.example\r\n", rest)),
            "400",
            "{rest}"
        );
    }
    // A chunked body is a body.
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\n{lines}{modern}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ));
    assert_eq!(status(answer), "200");
}
