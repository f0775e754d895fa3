//! The order in which a modern request is checked: the first check that fails answers.

use serde_json::{Value, json};

use crate::support::{ALL, Ask, Reply, TestApp, parse_challenge};

/// Sends each request, holds the status and the code against what is promised, and all of the
/// responses against a snapshot.
pub(super) async fn hold<'a>(snapshot: &str, cases: Vec<(impl AsRef<str>, Ask<'a>, u16, i64)>) {
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

pub(super) fn good<'a>(app: &'a TestApp, token: &str) -> Ask<'a> {
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
async fn of_two_faults_the_earlier_check_answers() {
    type Fault = for<'a> fn(Ask<'a>) -> Ask<'a>;
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let narrow = app.token("ann", "entries:read");
    let checks: [(&str, (u16, i64), Fault); 14] = [
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
            ask.header("accept", "text/html")
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
    for (i, (name, expected, fault)) in checks.iter().enumerate() {
        let alone = fault(good(&app, &token)).send().await;
        assert_eq!(alone.error(), *expected, "{name} alone: {}", alone.text());
        for (other, _, second) in &checks[i + 1..] {
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
        "text/event-stream",
        "text/html",
        "text/*",
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
        "application/json",
        "application/*",
        "application/json, text/event-stream;q=0",
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
            "arguments that are a number",
            app.tool(&token, "whoami", &json!(7)),
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
