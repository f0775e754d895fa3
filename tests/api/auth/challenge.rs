//! Which tokens are accepted, and the challenges for all others.

use serde_json::{Value, json};

use crate::support::{ALL, Answer, PUBLIC_URL, Reply, TestApp, parse_challenge};

const METADATA: &str = "https://journal.example/.well-known/oauth-protected-resource/mcp";

/// Asserts that a response is this challenge, in the header and in the body.
fn assert_challenge(reply: &Reply, status: u16, error: Option<&str>, scope: Option<&str>) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let challenge = parse_challenge(reply.header("www-authenticate").unwrap()).unwrap();
    assert_eq!(challenge.scheme, "Bearer");
    assert_eq!(challenge.get("realm"), Some("EpicMe"));
    assert_eq!(challenge.get("error"), error);
    assert_eq!(challenge.get("scope"), scope);
    assert_eq!(challenge.get("resource_metadata"), Some(METADATA));
    let body = reply.json();
    let description = body["error"]["data"]["error_description"].as_str().unwrap();
    match error {
        Some(error) => {
            assert_eq!(challenge.get("error_description"), Some(description));
            assert_eq!(body["error"]["data"]["error"], error);
        }
        None => assert_eq!(challenge.get("error_description"), None),
    }
    // Some clients look for these with patterns that are not anchored (C10).
    assert!(!description.contains("scope=") && !description.contains("error="));
}

///
#[actix_rt::test]
async fn without_a_token_the_challenge_is_no_error_whatever_the_method() {
    let app = TestApp::spawn();
    let mut bodies = Vec::new();
    for method in ["POST", "GET", "DELETE"] {
        let reply = app.ask(method, "/mcp").send().await;
        assert_challenge(&reply, 401, None, Some(ALL));
        bodies.push(reply.json());
        if method == "POST" {
            insta::assert_snapshot!("challenge_without_a_token", reply.shown());
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn credentials_of_another_scheme_stay_between_the_client_and_us() {
    let app = TestApp::spawn();
    for credentials in [
        "Basic YW5uOnNlY3JldA==",
        "Digest abc",
        "Negotiate abc",
        "bearertoken abc",
        "abcdefghijklmnop",
        "Bearer,abc",
        "Bearer=abc",
    ] {
        let ask = app.ask("POST", "/mcp").header("authorization", credentials);
        assert_challenge(&ask.send().await, 401, None, Some(ALL));
    }
    assert_eq!(app.issuer.calls(), 0);
}

///
#[actix_rt::test]
async fn malformed_credentials_are_an_invalid_request_and_asked_of_nobody() {
    let app = TestApp::spawn();
    let good = app.token("ann", ALL);
    let cases: [&[&[u8]]; 8] = [
        &[b"Bearer a b"],
        &[b"Bearer a,b"],
        &[b"Bearer \"abc\""],
        &[b"Bearer caf\xc3\xa9"],
        &[b"Bearer \xff\xfe"],
        &[b"Bearer one", b"Bearer one"],
        &[b"Bearer one", b"Basic two"],
        &[b"Basic two", b"Bearer one"],
    ];
    for credentials in cases {
        let mut ask = app.post(&good, &json!({})).without("authorization");
        for value in credentials {
            ask = ask.also("authorization", value);
        }
        let reply = ask.send().await;
        assert_challenge(&reply, 400, Some("invalid_request"), None);
    }
    let long = app
        .ask("POST", "/mcp")
        .header("authorization", &format!("Bearer {}", "a".repeat(4_097)));
    let reply = long.send().await;
    assert_challenge(&reply, 400, Some("invalid_request"), None);
    insta::assert_snapshot!("challenge_malformed", reply.shown());
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn a_token_of_100_kb_is_refused_and_asked_of_nobody() {
    let app = TestApp::spawn();
    let answer = app.exchange(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        "a".repeat(100_000)
    ));
    let status = answer.split(' ').nth(1).unwrap();
    assert!(["400", "431"].contains(&status), "{answer}");
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn the_longest_token_that_is_read_is_asked_about_to_the_letter() {
    let app = TestApp::spawn();
    let token = format!("!#$%&'()*+-./:;<=>?@[\\]^_`{{|}}~{}", "z".repeat(4_066));
    assert_eq!(token.len(), 4_096);
    let reply = app.modern(&token, "tools/list", json!({})).send().await;
    assert_challenge(&reply, 401, Some("invalid_token"), Some(ALL));
    let seen = app.issuer.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].form.contains(&("token".to_owned(), token)));
}

///
#[actix_rt::test]
async fn a_token_in_the_query_is_no_credential_and_besides_a_header_a_mistake() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let query = format!("/mcp?x=1&access_token={token}");
    let alone = app.ask("POST", &query).send().await;
    assert_challenge(&alone, 401, None, Some(ALL));
    let both = app
        .ask("POST", &query)
        .header("authorization", &format!("Bearer {token}"))
        .send()
        .await;
    assert_challenge(&both, 400, Some("invalid_request"), None);
    assert_eq!(app.issuer.calls(), 0);
}

/// SEC-05, X-13.
#[actix_rt::test]
async fn every_token_that_will_not_do_gets_the_same_words() {
    let app = TestApp::spawn();
    let now = app.clock.now().timestamp();
    let cases: Vec<(&str, Value)> = vec![
        ("inactive", json!({ "active": false })),
        ("expired", json!({ "exp": now - 1 })),
        ("expiring now", json!({ "exp": now })),
        ("expired by a fraction", json!({ "exp": now as f64 + 0.5 })),
        ("expired long ago", json!({ "exp": -1 })),
        ("of the future", json!({ "nbf": now + 31 })),
        (
            "of another issuer",
            json!({ "iss": "https://evil.example" }),
        ),
        (
            "of almost this issuer",
            json!({ "iss": format!("{}/", app.issuer.url()) }),
        ),
        ("without an audience", json!({ "aud": null })),
        (
            "for another audience",
            json!({ "aud": "https://other.example/mcp" }),
        ),
        ("for the host", json!({ "aud": PUBLIC_URL })),
        (
            "for a path below",
            json!({ "aud": "https://journal.example/mcp/" }),
        ),
        (
            "for a path in other letters",
            json!({ "aud": "https://journal.example/MCP" }),
        ),
        ("for nobody", json!({ "aud": [] })),
        ("for others", json!({ "aud": ["https://a.example", "api"] })),
        ("a refresh token", json!({ "token_type": "refresh_token" })),
        (
            "an id token",
            json!({ "token_type": "urn:ietf:params:oauth:token-type:id_token" }),
        ),
        ("a DPoP token", json!({ "token_type": "DPoP" })),
        ("bound to a key", json!({ "cnf": { "jkt": "abc" } })),
        ("of nobody", json!({ "sub": null })),
        ("of somebody without a name", json!({ "sub": "" })),
        ("of a name that cannot be kept", json!({ "sub": "a\u{0}b" })),
    ];
    for (what, claims) in cases {
        let token = app.token_with(claims);
        for method in ["POST", "GET", "DELETE"] {
            let ask = app
                .ask(method, "/mcp")
                .header("authorization", &format!("Bearer {token}"));
            let reply = ask.send().await;
            assert_eq!(
                reply
                    .header("www-authenticate")
                    .and_then(|field| field.split(", DPoP ").next()),
                Some(
                    "Bearer realm=\"EpicMe\", error=\"invalid_token\", \
                     error_description=\"The access token is invalid or expired\", \
                     scope=\"user:read entries:read entries:write tags:read tags:write\", \
                     resource_metadata=\"https://journal.example/.well-known/oauth-protected-resource/mcp\""
                ),
                "{what}"
            );
            assert_challenge(&reply, 401, Some("invalid_token"), Some(ALL));
            assert_eq!(
                reply.json(),
                json!({ "jsonrpc": "2.0", "error": {
                    "code": -32600,
                    "message": "The access token is invalid or expired",
                    "data": {
                        "error": "invalid_token",
                        "error_description": "The access token is invalid or expired",
                        "request_id": "[request id]",
                    },
                } }),
                "{what}"
            );
        }
    }
}

///
#[actix_rt::test]
async fn every_token_that_will_do_is_taken() {
    let app = TestApp::spawn();
    let now = app.clock.now().timestamp();
    for (what, claims) in [
        ("as usual", json!({})),
        (
            "without what is optional",
            json!({
                "iss": null, "token_type": null, "exp": null, "client_id": null, "username": null,
            }),
        ),
        (
            "for several audiences",
            json!({ "aud": ["https://a.example", "https://journal.example/mcp"] }),
        ),
        (
            "with host and scheme in capitals",
            json!({ "aud": "HTTPS://Journal.Example/mcp" }),
        ),
        ("a little early", json!({ "nbf": now + 30 })),
        ("for a fraction more", json!({ "exp": now as f64 + 1.5 })),
        ("for ever", json!({ "exp": i64::MAX })),
        ("type in other letters", json!({ "token_type": "bearer" })),
        (
            "type as RFC 8693 has it",
            json!({ "token_type": "urn:ietf:params:oauth:token-type:access_token" }),
        ),
        (
            "with members that nobody knows",
            json!({ "ext": { "a": [1] }, "groups": ["x"] }),
        ),
    ] {
        let token = app.token_with(claims);
        let reply = app.modern(&token, "tools/list", json!({})).send().await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    }
}

#[actix_rt::test]
async fn the_scheme_is_read_without_regard_to_case() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let ask = app.modern(&token, "tools/list", json!({}));
        let reply = ask
            .header("authorization", &format!("{scheme} {token}"))
            .send()
            .await;
        assert_eq!(reply.status, 200, "{scheme}");
    }
}

///
#[actix_rt::test]
async fn a_token_without_any_scope_of_ours_is_told_which_to_ask_for() {
    let app = TestApp::spawn_with(|config| {
        config.http.baseline =
            epicme::scopes::JournalScopes(epicme::scopes::declared().parse("entries:read"));
    });
    for scope in [
        json!(null),
        json!(""),
        json!("  "),
        json!("user:write ENTRIES:READ offline_access"),
    ] {
        let token = app.token_with(json!({ "scope": scope }));
        for method in ["POST", "GET", "DELETE"] {
            let ask = app
                .ask(method, "/mcp")
                .header("authorization", &format!("Bearer {token}"));
            let reply = ask.send().await;
            assert_challenge(
                &reply,
                403,
                Some("insufficient_scope"),
                Some("entries:read"),
            );
        }
    }
    let none = app.ask("POST", "/mcp").send().await;
    assert_challenge(&none, 401, None, Some("entries:read"));
}

/// A-08, D-29.
#[actix_rt::test]
async fn authentication_comes_before_anything_is_read_of_the_request() {
    let app = TestApp::spawn();
    let bad = app.token_for(Answer::json(json!({ "active": false })));
    let ask = app
        .ask("POST", "/mcp")
        .header("authorization", &format!("Bearer {bad}"))
        .header("content-type", "text/plain")
        .body("{garbage");
    assert_challenge(&ask.send().await, 401, Some("invalid_token"), Some(ALL));
    // Nor is a body waited for that never comes.
    let mut wire = app.wire();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: journal.example\r\nauthorization: Bearer {bad}\r\ncontent-length: 1000\r\n\r\n"
    ));
    assert!(wire.read_some().starts_with("HTTP/1.1 401 "));
}

/// D-27.
#[actix_rt::test]
async fn a_browser_can_read_a_challenge() {
    let app = TestApp::spawn_with(|config| {
        config.http.allowed_origins = vec!["https://app.example".to_owned()];
    });
    let ask = app
        .ask("POST", "/mcp")
        .header("origin", "https://app.example");
    let reply = ask.send().await;
    assert_challenge(&reply, 401, None, Some(ALL));
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert_eq!(reply.header("vary"), Some("Origin"));
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in [
        "WWW-Authenticate",
        "Mcp-Session-Id",
        "MCP-Protocol-Version",
        "Retry-After",
    ] {
        assert!(exposed.split(", ").any(|known| known == name), "{name}");
    }
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}
