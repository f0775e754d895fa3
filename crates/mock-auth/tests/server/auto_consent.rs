//! Authorization without a page, for tools that have no browser.

use mock_auth::{MockAuth, Settings};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Browser, CALLBACK, TestAuth, location, ok, param, query};

const AUTHORIZE: &str = "/oauth/authorize";

async fn consenting() -> TestAuth {
    TestAuth::spawn_with(|it| it.auto_consent = Some("bela".to_owned())).await
}

#[actix_rt::test]
async fn a_tool_gets_a_code_at_once_for_all_that_it_asked_for() {
    let server = consenting().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[("scope", "entries:read tags:read")]);
    let response = server.get(&path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let back = location(&response);
    assert!(back.starts_with(CALLBACK), "{back}");
    assert_eq!(param(back, "state").unwrap(), "st ate&1");
    assert_eq!(param(back, "iss").unwrap(), server.auth.issuer());
    let code = param(back, "code").unwrap();
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    assert_eq!(tokens["scope"], "entries:read tags:read");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(server.introspect(token).await["username"], "bela");
}

#[actix_rt::test]
async fn a_request_with_a_fault_is_refused_as_it_is_with_a_page() {
    let server = consenting().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[("code_challenge_method", "plain")]);
    let response = server.get(&path).await;
    assert_eq!(
        param(location(&response), "error").unwrap(),
        "invalid_request"
    );
    let path = query(
        AUTHORIZE,
        &client,
        &[("redirect_uri", "https://evil.example/")],
    );
    assert_eq!(server.get(&path).await.status(), StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn another_site_cannot_get_a_code_for_itself() {
    let server = consenting().await;
    let callback = "https://app.example/callback";
    let client = json!({"redirect_uris": [callback], "token_endpoint_auth_method": "none"});
    let client = server.register_as(client).await;
    let client = client["client_id"].as_str().unwrap();
    let path = query(AUTHORIZE, client, &[("redirect_uri", callback)]);
    let page = Browser::default().open(&server, &path).await;
    assert!(page.html.contains("Who are you?"), "{}", page.html);
}

#[actix_rt::test]
async fn a_user_who_does_not_exist_is_named_at_the_start() {
    let started = MockAuth::start_with(Settings {
        bind: "127.0.0.1:0".parse().unwrap(),
        auto_consent: Some("nobody".to_owned()),
        ..Settings::default()
    });
    let error = started.await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("nobody"), "{error}");
}
