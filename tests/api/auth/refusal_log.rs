//! What the log says of a token that is refused, or cannot be checked: enough to find the wrong setting, and never the
//! token.

use serde_json::json;

use super::introspection::list;
use crate::support::{ALL, Answer, RESOURCE, TestApp, lines_with};

/// The line with these texts; of all tests of this process.
fn line(texts: &[&str]) -> String {
    let lines = lines_with(texts[0]);
    let line = lines
        .into_iter()
        .rev()
        .find(|line| texts.iter().all(|text| line.contains(text)));
    line.unwrap_or_else(|| panic!("no line with {texts:?}"))
}

#[actix_rt::test]
async fn the_issuer_and_the_audience_that_were_expected_and_found_are_named() {
    let app = TestApp::spawn();
    let issuer = format!("issuer={}", app.issuer.url());
    for (aud, found) in [
        (
            json!("https://other-1.example/mcp"),
            "https://other-1.example/mcp",
        ),
        (
            json!(["https://a.example", "b c"]),
            "https://a.example,b\\u{20}c",
        ),
        (
            json!(["1", "2", "3", "4", "5", "6"]),
            "1,2,3,4,(and 2 more)",
        ),
        (
            json!("line\nissuer=forged \u{202e}"),
            "line\\u{a}issuer=forged\\u{20}\\u{202e}",
        ),
        (json!("x".repeat(5_000)), &*"x".repeat(128)),
        (json!([]), "(none)"),
        (json!(null), "(none)"),
    ] {
        let token = app.token_with(json!({ "aud": aud }));
        assert_eq!(list(&app, &token).await.status, 401);
        let line = line(&[
            &issuer,
            "a token is refused: token for another audience",
            "claim=aud",
            &format!("found={found}"),
        ]);
        assert!(line.contains(&format!("expected={RESOURCE}")), "{line}");
        assert!(line.len() < 1_000, "{line}");
    }
    let token = app.token_with(json!({ "iss": "https://other.example" }));
    assert_eq!(list(&app, &token).await.status, 401);
    let line = line(&[&issuer, "a token is refused: token of another issuer"]);
    let expected = format!(
        "claim=iss expected={} found=https://other.example",
        app.issuer.url()
    );
    assert!(line.contains(&expected), "{line}");
}

#[actix_rt::test]
async fn a_jwt_of_an_unknown_issuer_names_it_and_those_that_are_known() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let app = TestApp::spawn();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "ES256" }));
    let claims = part(json!({ "iss": "https://stranger.example/a b" }));
    let token = format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
    assert_eq!(list(&app, &token).await.status, 401);
    let expected = format!(
        "expected={} found=https://stranger.example/a\\u{{20}}b",
        app.issuer.url()
    );
    line(&["a token is refused: token of an unknown issuer", &expected]);
    assert_eq!(lines_with(&token), [""; 0]);
}

#[actix_rt::test]
async fn the_url_that_was_asked_and_the_error_of_the_reply_are_named() {
    // Each has a server of its own, because such lines are rare.
    for (status, code, logged) in [
        (400, "invalid_request", "status 400, invalid_request"),
        (401, "invalid_client", "status 401, invalid_client"),
        (403, "not\nallowed", "status 403, not\\u{a}allowed"),
        (404, "", "status 404"),
    ] {
        let app = TestApp::spawn();
        let body = json!({ "error": code, "error_description": "ask the operator" });
        let token = app.token_for(Answer::text(status, body.to_string()));
        assert_eq!(list(&app, &token).await.status, 503);
        let url = format!("{}/introspect", app.issuer.url());
        let line = line(&[&url, "a token could not be checked", logged]);
        assert!(!line.contains("ask the operator"), "{line}");
    }
    // A server that repeats what it was asked about.
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let body = json!({ "error": format!("no such token: {token}") });
    app.issuer
        .answer(&token, Answer::text(400, body.to_string()));
    assert_eq!(list(&app, &token).await.status, 503);
    line(&[app.issuer.url(), "status 400, (the token)"]);
}

#[actix_rt::test]
async fn the_url_of_a_document_that_cannot_be_had_is_named() {
    let app = TestApp::spawn();
    app.issuer.without_metadata();
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 503);
    let url = format!(
        "{}/.well-known/oauth-authorization-server",
        app.issuer.url()
    );
    line(&[
        &url,
        "a document of the authorization server cannot be fetched",
    ]);
}
