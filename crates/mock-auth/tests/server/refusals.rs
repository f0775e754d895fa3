//! Authorization requests that are refused, and where the browser ends up.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Browser, CALLBACK, CHALLENGE, TestAuth, location, param, query};

const AUTHORIZE: &str = "/oauth/authorize";

/// The error that the client is told, having checked what comes with it.
async fn redirected(server: &TestAuth, path: &str) -> String {
    let response = server.get(path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    let back = location(&response);
    assert!(back.starts_with(CALLBACK), "{back}");
    assert_eq!(param(back, "state").unwrap(), "st ate&1");
    assert_eq!(param(back, "iss").unwrap(), server.auth.issuer());
    assert_eq!(param(back, "code"), None);
    assert!(param(back, "error_description").is_some());
    param(back, "error").unwrap()
}

#[actix_rt::test]
async fn pkce_with_s256_is_the_only_way() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    for more in [
        [
            ("code_challenge_method", "plain"),
            ("code_challenge", CHALLENGE),
        ],
        [("code_challenge_method", ""), ("code_challenge", CHALLENGE)],
        [("code_challenge_method", "S256"), ("code_challenge", "")],
        [
            ("code_challenge_method", "S256"),
            ("code_challenge", "short"),
        ],
    ] {
        let path = query(AUTHORIZE, &client, &more);
        assert_eq!(
            redirected(&server, &path).await,
            "invalid_request",
            "{more:?}"
        );
    }
}

#[actix_rt::test]
async fn faults_of_the_request_go_back_to_the_client() {
    let server = TestAuth::spawn_with(|settings| {
        settings.allowed_resources = vec!["https://a.example/mcp".to_owned()];
    })
    .await;
    let client = server.register().await;
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("scope", "openid offline_access", "invalid_scope"),
        ("scope", "entries:read\"", "invalid_scope"),
        ("resource", "https://b.example/mcp", "invalid_target"),
        ("resource", "/mcp", "invalid_target"),
        ("resource", "https://a.example/mcp#x", "invalid_target"),
        ("request", "x.y.z", "request_not_supported"),
        ("prompt", "none", "login_required"),
    ] {
        let path = query(AUTHORIZE, &client, &[(name, value)]);
        assert_eq!(redirected(&server, &path).await, error, "{name}={value}");
    }
    let twice = query(
        AUTHORIZE,
        &client,
        &[("scope", "user:read"), ("scope", "user:read")],
    );
    assert_eq!(redirected(&server, &twice).await, "invalid_request");
}

#[actix_rt::test]
async fn a_doubtful_redirect_uri_is_never_followed() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let elsewhere = "https://evil.example/callback";
    let mut paths = vec![
        query(AUTHORIZE, "nobody", &[]),
        query(AUTHORIZE, "", &[]),
        query(AUTHORIZE, &client, &[("redirect_uri", elsewhere)]),
        query(
            AUTHORIZE,
            &client,
            &[("redirect_uri", "http://127.0.0.1:1/callback/x")],
        ),
        query(
            AUTHORIZE,
            &client,
            &[("redirect_uri", "http://localhost:1/callback")],
        ),
        query(
            AUTHORIZE,
            &client,
            &[("redirect_uri", "http://127.0.0.1:1/callback#x")],
        ),
        query(
            AUTHORIZE,
            &client,
            &[("redirect_uri", CALLBACK), ("redirect_uri", elsewhere)],
        ),
        query(
            AUTHORIZE,
            &client,
            &[("client_id", &client), ("client_id", "other")],
        ),
        query(AUTHORIZE, &client, &[("x", &"x".repeat(9000))]),
    ];
    // A second fault does not turn the page into a redirect.
    paths.push(format!("{}&response_type=token", paths[2]));
    for path in paths {
        let response = server.get(&path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert!(!response.headers().contains_key("location"), "{path}");
        let page = Browser::default().page(response).await;
        assert!(page.html.contains("you were not sent back"), "{path}");
    }
}

#[actix_rt::test]
async fn an_app_may_listen_on_any_port_and_leave_out_its_only_redirect_uri() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let other_port = query(
        AUTHORIZE,
        &client,
        &[("redirect_uri", "http://127.0.0.1:1/callback")],
    );
    assert_eq!(server.get(&other_port).await.status(), StatusCode::OK);
    let left_out = query(AUTHORIZE, &client, &[("redirect_uri", "")]);
    assert_eq!(server.get(&left_out).await.status(), StatusCode::OK);
    let two = server
        .register_as(json!({"redirect_uris": [CALLBACK, "https://app.example/cb"]}))
        .await;
    let unclear = query(
        AUTHORIZE,
        two["client_id"].as_str().unwrap(),
        &[("redirect_uri", "")],
    );
    assert_eq!(server.get(&unclear).await.status(), StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn hints_are_let_pass() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let more = [
        ("prompt", "consent"),
        ("login_hint", "ada"),
        ("nonce", "n"),
        ("max_age", "1"),
    ];
    let path = query(AUTHORIZE, &client, &more);
    assert_eq!(server.get(&path).await.status(), StatusCode::OK);
}
