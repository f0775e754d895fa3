//! What real hosts send and read: errors that their requests find, fields that they leave out, paths and origins of
//! their kinds.

use epicme::app::TimeLimits;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, Ask, Reply, TestApp, envelope, header_lines};

/// A call of `whoami` whose id is the last member, as the TypeScript SDK writes it, or the first.
fn call(id_is_last: bool) -> String {
    let params = json!({ "name": "whoami", "arguments": {}, "_meta": envelope() });
    if id_is_last {
        format!(r#"{{"method":"tools/call","params":{params},"jsonrpc":"2.0","id":"call-7"}}"#)
    } else {
        format!(r#"{{"jsonrpc":"2.0","id":"call-7","method":"tools/call","params":{params}}}"#)
    }
}

fn whoami<'a>(app: &'a TestApp, token: &str, body: String) -> Ask<'a> {
    app.tool(token, "whoami", &json!({})).body(body)
}

fn assert_names_the_request(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["id"], "call-7", "{status}: {body}");
    assert!(body["error"]["message"].is_string());
}

#[actix_rt::test]
async fn an_error_to_a_request_names_it_wherever_its_id_stands() {
    let app = TestApp::spawn_with(|config| {
        config.http.limits.requests_per_user = Some(2.try_into().unwrap());
    });
    for id_is_last in [false, true] {
        let body = || call(id_is_last);
        let unknown = app.token_for(Answer::json(json!({ "active": false })));
        let refused = whoami(&app, &unknown, body()).send().await;
        assert_names_the_request(&refused, 401);
        let unchecked = app.token_for(Answer::text(503, ""));
        let outage = whoami(&app, &unchecked, body()).send().await;
        assert_names_the_request(&outage, 503);
        // Each of these is a user's own, so that the limit below is not reached.
        let user = format!("ann-{id_is_last}");
        let token = app.token(&user, ALL);
        let ask = whoami(&app, &token, body());
        let wrong_type = ask.header("content-type", "text/plain").send().await;
        assert_names_the_request(&wrong_type, 415);
        let ask = whoami(&app, &token, body());
        let not_acceptable = ask.header("accept", "text/html").send().await;
        assert_names_the_request(&not_acceptable, 406);
        let too_many = whoami(&app, &token, body()).send().await;
        assert_names_the_request(&too_many, 429);
        let other = app.token(&format!("bob-{id_is_last}"), ALL);
        let mut no_json = body();
        no_json.push('}');
        let no_json = whoami(&app, &other, no_json).send().await;
        assert_names_the_request(&no_json, 400);
        let ask = whoami(&app, &other, body());
        let elsewhere = ask
            .header("origin", "https://elsewhere.example")
            .send()
            .await;
        assert_names_the_request(&elsewhere, 403);
    }
}

#[actix_rt::test]
async fn an_error_to_a_request_that_is_too_long_names_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let long = "a".repeat(2 * 1024 * 1024);
    for body in [
        format!(
            r#"{{"jsonrpc":"2.0","id":"call-7","method":"tools/call","params":{{"x":"{long}"}}}}"#
        ),
        format!(
            r#"{{"method":"tools/call","params":{{"x":"{long}"}},"jsonrpc":"2.0","id":"call-7"}}"#
        ),
    ] {
        let announced = whoami(&app, &token, body.clone()).send().await;
        assert_names_the_request(&announced, 413);
        let chunked = format!(
            "POST /mcp HTTP/1.1\r\nhost: journal.example\r\nTransfer-Encoding: chunked\r\n{}\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            header_lines(&token),
            body.len()
        );
        let answer = app.exchange(chunked);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains(r#""id":"call-7""#), "{answer}");
    }
}

#[actix_rt::test]
async fn an_error_to_a_request_that_does_not_arrive_whole_names_it() {
    let app = TestApp::waiting(TimeLimits {
        body: std::time::Duration::from_millis(300),
        ..TimeLimits::default()
    });
    let token = app.token("ann", ALL);
    let begun = r#"{"jsonrpc":"2.0","id":"call-7","method":"tools/call","params":{"na"#;
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\nContent-Length: 900\r\n{}\r\n{begun}",
        header_lines(&token),
    ));
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""id":"call-7""#), "{answer}");
}

/// A client may have asked under the id that it answers to.
#[actix_rt::test]
async fn an_error_to_what_is_no_request_names_none() {
    let app = TestApp::spawn();
    let unchecked = app.token_for(Answer::text(503, ""));
    for body in [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 7, "result": {} }),
        json!([{ "jsonrpc": "2.0", "id": 7, "method": "ping" }]),
    ] {
        let reply = app.post(&unchecked, &body).send().await;
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json().get("id"), None, "{body}");
    }
}

#[actix_rt::test]
async fn both_schemes_are_challenged_in_one_field_with_bearer_first() {
    let app = TestApp::spawn();
    for reply in [
        app.ask("POST", "/mcp").send().await,
        app.post("wrong", &json!({})).send().await,
    ] {
        let fields: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        let [field] = fields[..] else {
            panic!("{fields:?}");
        };
        let (bearer, dpop) = field.to_str().unwrap().split_once(", DPoP ").unwrap();
        assert!(bearer.starts_with("Bearer "), "{bearer}");
        assert!(dpop.starts_with("realm="), "{dpop}");
    }
}

#[actix_rt::test]
async fn a_scheme_without_a_token_is_as_no_credentials() {
    let app = TestApp::spawn();
    for credentials in ["Bearer", "Bearer ", "DPoP"] {
        let ask = app.ask("POST", "/mcp").header("authorization", credentials);
        let reply = ask.send().await;
        assert_eq!(reply.status, 401, "{credentials:?}");
        assert!(!reply.header("www-authenticate").unwrap().contains("error="));
    }
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn one_accepted_type_suffices_where_the_answer_has_it() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let (json, stream) = ("application/json", "text/event-stream");
    let call = || {
        app.tool(&token, "export_journal", &json!({})).edit(|body| {
            // Progress would need a stream.
            body["params"]["_meta"]["progressToken"] = json!(1);
        })
    };
    let answered = call().header("accept", json).send().await;
    assert_eq!(answered.header("content-type"), Some(json));
    assert_eq!(answered.result()["isError"], Value::Null);
    assert_eq!(call().header("accept", stream).send().await.status, 406);
    let listen = || {
        app.modern(
            &token,
            "subscriptions/listen",
            json!({ "notifications": { "toolsListChanged": true } }),
        )
    };
    assert_eq!(listen().header("accept", json).send().await.status, 406);
    let (opened, _) = listen().header("accept", stream).begin().await;
    assert_eq!(opened.status, 200);

    let opening = app.initialize(&token, "2025-11-25").header("accept", json);
    let opened = opening.send().await;
    assert_eq!(opened.status, 200);
    let session = app.open(&token, "2025-11-25").await;
    let listed = app.within(&session, "tools/list", json!({}));
    assert_eq!(listed.header("accept", json).send().await.status, 200);
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = app
        .within(&session, "ping", json!({}))
        .body(notification.to_string())
        .header("accept", stream);
    assert_eq!(told.send().await.status, 202);
}

#[actix_rt::test]
async fn what_is_null_is_left_out() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    for (method, params) in [
        ("ping", Value::Null),
        ("tools/list", Value::Null),
        ("tools/list", json!({ "cursor": null })),
        ("tools/list", json!({ "cursor": null, "_meta": null })),
        ("resources/list", json!({ "cursor": null })),
        ("tools/call", json!({ "name": "whoami", "arguments": null })),
        (
            "tools/call",
            json!({ "name": "list_entries", "arguments": { "cursor": null, "limit": null, "from": null } }),
        ),
        (
            "prompts/get",
            json!({ "name": "summarize_entries", "arguments": null }),
        ),
    ] {
        let reply = app.within(&session, method, params.clone()).send().await;
        let result = reply.result();
        assert_ne!(result["isError"], true, "{method} {params}: {result}");
        if let Value::Object(_) = &params
            && params.get("_meta").is_none()
        {
            let reply = app.modern(&token, method, params.clone()).send().await;
            assert_ne!(reply.result()["isError"], true, "{method} {params}");
        }
    }
}

#[actix_rt::test]
async fn the_endpoint_and_its_metadata_are_there_with_a_slash_behind_them_too() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let called = app
        .tool(&token, "whoami", &json!({}))
        .path("/mcp/")
        .send()
        .await;
    assert_eq!(called.result()["isError"], Value::Null);
    let refused = app.ask("POST", "/mcp/").send().await;
    assert_eq!(refused.status, 401);
    assert!(refused.json()["error"]["message"].is_string());
    let metadata = app.get("/.well-known/oauth-protected-resource/mcp").await;
    let with_slash = app.get("/.well-known/oauth-protected-resource/mcp/").await;
    assert_eq!(with_slash.status, 200);
    assert_eq!(with_slash.json(), metadata.json());
}

#[actix_rt::test]
async fn what_is_not_there_names_the_endpoint() {
    let app = TestApp::spawn();
    for path in ["/sse", "/v1/mcp", "/messages/"] {
        let reply = app.ask("POST", path).send().await;
        assert_eq!(reply.status, 404);
        let said = reply.json()["error_description"].to_string();
        assert!(said.contains("https://journal.example/mcp"), "{said}");
    }
}

#[actix_rt::test]
async fn head_is_answered_as_get_without_its_stream() {
    let app = TestApp::spawn();
    let refused = app.ask("HEAD", "/mcp").send().await;
    assert_eq!(refused.status, 401);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer ")
    );
    assert!(refused.body.is_empty());
    let token = app.token("ann", ALL);
    let session = app.open(&token, "2025-11-25").await;
    let there = app.session_stream(&session).method("HEAD").send().await;
    assert_eq!(there.status, 200);
    assert_eq!(there.header("content-type"), Some("text/event-stream"));
    let nowhere = app
        .session_stream(&session)
        .method("HEAD")
        .header("mcp-session-id", "unknown")
        .send()
        .await;
    assert_eq!(nowhere.status, 404);
    // The stream is as free as it was.
    let (opened, _) = app.session_stream(&session).begin().await;
    assert_eq!(opened.status, 200);
}

#[actix_rt::test]
async fn scripts_may_send_the_trace_of_their_request() {
    let app = TestApp::spawn();
    let preflight = app
        .ask("OPTIONS", "/mcp")
        .header("origin", "https://journal.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "traceparent, tracestate, baggage",
        );
    let reply = preflight.send().await;
    let allowed = reply.header("access-control-allow-headers").unwrap();
    for field in ["traceparent", "tracestate", "baggage"] {
        assert!(allowed.contains(field), "{allowed}");
    }
}

#[actix_rt::test]
async fn desktop_apps_and_extensions_can_be_allowed_by_their_origins() {
    let origins = [
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnop",
        "vscode-file://vscode-app",
    ];
    let app = TestApp::spawn_with(|config| {
        config.http.allowed_origins = origins.map(str::to_owned).to_vec();
    });
    let token = app.token("ann", ALL);
    let from = |origin: &str| {
        app.tool(&token, "whoami", &json!({}))
            .header("origin", origin)
    };
    for origin in origins {
        let reply = from(origin).send().await;
        assert_eq!(reply.status, 200, "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    }
    for other in [
        "chrome-extension://ponmlkjihgfedcba",
        "tauri://elsewhere",
        "file://",
        "null",
    ] {
        assert_eq!(from(other).send().await.status, 403, "{other}");
    }
}
