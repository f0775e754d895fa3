//! The checks that a modern request passes, one rung after the other; the first that fails answers.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{ALL, Ask, Reply, TestApp, envelope, header_lines, parse_challenge};

/// Sends each request, holds the status and the code against what is promised, and all of the
/// responses against a snapshot.
async fn hold<'a>(snapshot: &str, cases: Vec<(impl AsRef<str>, Ask<'a>, u16, i64)>) {
    let mut shown = String::new();
    for (what, ask, status, code) in cases {
        let what = what.as_ref();
        let reply = ask.send().await;
        assert_eq!(reply.error(), (status, code), "{what}: {}", reply.text());
        let body = serde_json::to_string(&reply.json()).unwrap();
        shown += &format!("{what}\n    {status} {body}\n");
        for name in ["allow", "retry-after", "www-authenticate"] {
            if let Some(value) = reply.header(name) {
                shown += &format!("    {name}: {value}\n");
            }
        }
    }
    insta::assert_snapshot!(snapshot, shown);
}

fn good<'a>(app: &'a TestApp, token: &str) -> Ask<'a> {
    app.tool(token, "whoami", &json!({}))
}

/// T-01, B-04, B-10, V-01, P-20.
#[actix_rt::test]
async fn a_request_without_a_fault_is_answered() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let reply = good(&app, &token).send().await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let result = reply.result();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "epicme"
    );
    let discovered = app
        .modern(&token, "server/discover", json!({}))
        .send()
        .await;
    insta::assert_snapshot!("discover", discovered.shown());
}

/// D-05, D-13.
#[actix_rt::test]
async fn of_two_faults_the_one_on_the_lower_rung_answers() {
    type Fault = for<'a> fn(Ask<'a>) -> Ask<'a>;
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let narrow = app.token("ann", "entries:read");
    let rungs: [(&str, (u16, i64), Fault); 14] = [
        ("host", (421, -32600), |ask| {
            ask.header("host", "evil.example")
        }),
        ("origin", (403, -32600), |ask| {
            ask.header("origin", "https://evil.example")
        }),
        ("method", (405, -32600), |ask| ask.method("PUT")),
        ("token", (401, -32600), |ask| {
            ask.header("authorization", "Bearer unknown")
        }),
        ("content type", (415, -32600), |ask| {
            ask.header("content-type", "text/plain")
        }),
        ("accept", (406, -32600), |ask| {
            ask.header("accept", "application/json")
        }),
        ("size", (413, -32600), |ask| {
            ask.and_then(&" ".repeat(2 << 20))
        }),
        ("json", (400, -32700), |ask| ask.and_then("}")),
        ("shape", (400, -32600), |ask| {
            ask.edit(|body| body["id"] = Value::Null)
        }),
        ("envelope", (400, -32602), |ask| {
            ask.edit(|body| {
                let meta = body["params"]["_meta"].as_object_mut().unwrap();
                meta.remove("io.modelcontextprotocol/clientCapabilities");
            })
        }),
        ("headers", (400, -32020), |ask| {
            ask.header("mcp-method", "tools/list")
        }),
        ("version", (400, -32022), |ask| {
            ask.header("mcp-protocol-version", "2099-01-01")
                .edit(|body| {
                    let meta = &mut body["params"]["_meta"];
                    meta["io.modelcontextprotocol/protocolVersion"] = "2099-01-01".into();
                })
        }),
        ("method's name", (404, -32601), |ask| {
            ask.header("mcp-method", "no/such")
                .edit(|body| body["method"] = "no/such".into())
        }),
        ("arguments", (200, -32602), |ask| {
            ask.edit(|body| body["params"]["arguments"] = json!([]))
        }),
    ];
    for (i, (name, expected, fault)) in rungs.iter().enumerate() {
        let alone = fault(good(&app, &token)).send().await;
        assert_eq!(alone.error(), *expected, "{name} alone: {}", alone.text());
        for (other, _, second) in &rungs[i + 1..] {
            // The higher fault first: it may have to read the body that the lower one breaks.
            let reply = fault(second(good(&app, &token))).send().await;
            assert_eq!(
                reply.error(),
                *expected,
                "{name} before {other}: {}",
                reply.text()
            );
        }
        // Scope stands above everything but the arguments, which only who may call may try.
        let reply = fault(good(&app, &narrow)).send().await;
        let expected = if *name == "arguments" {
            (403, -32600)
        } else {
            *expected
        };
        assert_eq!(
            reply.error(),
            expected,
            "{name} and scope: {}",
            reply.text()
        );
    }
}

/// T-02, T-28, SEC-07, PF-11.
#[actix_rt::test]
async fn hosts_origins_and_methods() {
    let app = TestApp::spawn_with(|config| {
        config.http.allowed_origins = vec!["https://app.example".to_owned()];
    });
    let token = app.token("ann", ALL);
    let good = || good(&app, &token);
    let mut cases = vec![(
        "another host".to_owned(),
        good().header("host", "evil.example"),
        421,
        -32600,
    )];
    for origin in [
        "https://evil.example",
        "null",
        "http://journal.example",
        "https://journal.example:444",
        "https://journal.example.evil.example",
        "https://app.example/",
        "http://localhost:3000",
        "http://127.0.0.1",
        "",
    ] {
        cases.push((
            format!("origin {origin:?}"),
            good().header("origin", origin),
            403,
            -32600,
        ));
    }
    cases.push((
        "two origins".to_owned(),
        good()
            .also("origin", b"https://app.example")
            .also("origin", b"https://app.example"),
        403,
        -32600,
    ));
    for method in ["PUT", "PATCH", "TRACE", "HEAD", "PROPFIND"] {
        if method == "HEAD" {
            assert_eq!(good().method("HEAD").send().await.status, 405);
        } else {
            cases.push((method.to_owned(), good().method(method), 405, -32600));
        }
    }
    for method in ["GET", "DELETE"] {
        cases.push((
            format!("{method} in this era"),
            good().method(method),
            405,
            -32600,
        ));
        let reply = good().method(method).send().await;
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
    hold("hosts_origins_and_methods", cases).await;
    for origin in [
        "https://app.example",
        "https://journal.example",
        "HTTPS://App.Example",
    ] {
        let reply = good().header("origin", origin).send().await;
        assert_eq!(reply.status, 200, "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    }
    let refused = good().header("origin", "https://evil.example").send().await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert_eq!(refused.header("www-authenticate"), None);
}

/// T-02.
#[actix_rt::test]
async fn no_spelling_of_the_path_leads_around_the_origin_check() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for path in ["/mcp", "/%6dcp", "/m%63p", "/%6D%63%70", "/mcp?x"] {
        let evil = good(&app, &token)
            .path(path)
            .header("origin", "https://evil.example");
        let reply = evil.send().await;
        assert_eq!(reply.status, 403, "{path}");
        assert_eq!(reply.json()["jsonrpc"], "2.0", "{path}");
    }
}

/// D-27.
#[actix_rt::test]
async fn a_preflight_is_answered_before_authentication_and_only_to_allowed_origins() {
    let app = TestApp::spawn_with(|config| {
        config.http.allowed_origins = vec!["https://app.example".to_owned()];
    });
    let preflight = |origin: &str| {
        app.ask("OPTIONS", "/mcp")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type,mcp-param-city,x-evil,Mcp-Param-é,mcp-param-a b",
            )
    };
    let reply = preflight("https://app.example").send().await;
    insta::assert_snapshot!("preflight", reply.shown());
    assert_eq!(preflight("https://evil.example").send().await.status, 403);
    assert_eq!(app.issuer.calls(), 0);
}

/// T-07, D-26, PF-11, PF-16.
#[actix_rt::test]
async fn media_types_and_sizes() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let good = || good(&app, &token);
    let mut cases = vec![(
        "no content type".to_owned(),
        good().without("content-type"),
        415,
        -32600,
    )];
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "json",
        "application/json-rpc",
    ] {
        cases.push((
            format!("content type {kind}"),
            good().header("content-type", kind),
            415,
            -32600,
        ));
    }
    cases.push((
        "an encoded body".to_owned(),
        good().header("content-encoding", "gzip"),
        415,
        -32600,
    ));
    for accept in [
        "application/json",
        "text/event-stream",
        "text/html",
        "application/*",
        "text/*",
        "application/json, text/event-stream;q=0",
        "*/*;q=0",
        "application/jsonx, text/event-stream",
    ] {
        cases.push((
            format!("accept {accept}"),
            good().header("accept", accept),
            406,
            -32600,
        ));
    }
    cases.push((
        "too long".to_owned(),
        good().and_then(&" ".repeat(2 << 20)),
        413,
        -32600,
    ));
    hold("media_types_and_sizes", cases).await;
    for accept in [
        "*/*",
        "application/*, text/*",
        "application/json;q=0.1, TEXT/Event-Stream; q=1",
        "text/html, */*;q=0.1",
        "application/json,text/event-stream",
    ] {
        let reply = good().header("accept", accept).send().await;
        assert_eq!(reply.status, 200, "{accept}");
    }
    let two = good()
        .without("accept")
        .also("accept", b"application/json")
        .also("accept", b"text/event-stream");
    assert_eq!(two.send().await.status, 200);
    for kind in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;x=1",
    ] {
        let reply = good().header("content-type", kind).send().await;
        assert_eq!(reply.status, 200, "{kind}");
    }
}

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

/// T-11, D-03.
#[actix_rt::test]
async fn methods_that_this_era_has_not() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let mut cases = Vec::new();
    for method in [
        "no/such",
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "notifications/initialized",
        "Tools/List",
        "",
    ] {
        cases.push((method, app.modern(&token, method, json!({})), 404, -32601));
    }
    hold("methods", cases).await;
}

/// S-07, D-18.
#[actix_rt::test]
async fn tools_that_are_not_there_not_allowed_or_not_called_properly() {
    let app = TestApp::spawn();
    let (token, narrow) = (app.token("ann", ALL), app.token("ann", "entries:write"));
    let long = "t".repeat(500);
    let cases = vec![
        (
            "an unknown tool",
            app.tool(&token, "no_such", &json!({})),
            200,
            -32602,
        ),
        (
            "an unknown tool with few scopes",
            app.tool(&narrow, "no_such", &json!({})),
            200,
            -32602,
        ),
        (
            "a tool in other letters",
            app.tool(&token, "Whoami", &json!({})),
            200,
            -32602,
        ),
        (
            "a tool with a long name",
            app.tool(&token, &long, &json!({})),
            200,
            -32602,
        ),
        (
            "no tool",
            app.modern(&token, "tools/call", json!({})),
            200,
            -32602,
        ),
        (
            "a tool that is a number",
            app.modern(&token, "tools/call", json!({ "name": 7 })),
            200,
            -32602,
        ),
        (
            "arguments that are a list",
            app.tool(&token, "whoami", &json!([])),
            200,
            -32602,
        ),
        (
            "arguments that are null",
            app.tool(&token, "whoami", &Value::Null),
            200,
            -32602,
        ),
        (
            "arguments that are text",
            app.tool(&token, "whoami", &json!("{}")),
            200,
            -32602,
        ),
        (
            "a hidden tool",
            app.tool(&narrow, "delete_entry", &json!({ "id": 1 })),
            403,
            -32600,
        ),
        (
            "a hidden tool and bad arguments",
            app.tool(&narrow, "whoami", &json!([])),
            403,
            -32600,
        ),
        (
            "a cursor that was never given out",
            app.modern(&token, "tools/list", json!({ "cursor": "x" })),
            200,
            -32602,
        ),
    ];
    hold("tools", cases).await;
    let without = app.modern(&token, "tools/call", json!({ "name": "whoami" }));
    assert_eq!(without.send().await.status, 200);
}

///
#[actix_rt::test]
async fn a_challenge_of_this_era_names_what_the_call_needs_and_no_more() {
    let app = TestApp::spawn();
    let token = app.token("ann", "entries:write tags:write");
    for (tool, arguments, needed) in [
        (
            "delete_entry",
            json!({ "id": 1 }),
            "entries:read entries:write",
        ),
        (
            "create_entry",
            json!({ "title": "t", "content": "c", "tags": [1] }),
            "entries:write tags:read",
        ),
        (
            "add_tag_to_entry",
            json!({}),
            "entries:read entries:write tags:read",
        ),
        ("whoami", json!({}), "user:read"),
    ] {
        let reply = app.tool(&token, tool, &arguments).send().await;
        assert_scope(&reply, needed);
    }
}

fn assert_scope(reply: &Reply, scope: &str) {
    assert_eq!(reply.status, 403, "{}", reply.text());
    let field = reply.header("www-authenticate").unwrap();
    let challenge = parse_challenge(field).unwrap();
    assert_eq!(challenge.get("error"), Some("insufficient_scope"));
    assert_eq!(challenge.get("scope"), Some(scope));
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
