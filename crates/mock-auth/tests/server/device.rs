//! Devices without a browser (RFC 8628).

use std::time::Duration;

use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use crate::support::{Browser, CALLBACK, Page, RESOURCE, TestAuth, assert_error, location, ok};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A device that shows a code.
struct Device {
    client: String,
    shown: Value,
}

impl Device {
    async fn begin(server: &TestAuth, scope: &str) -> Self {
        let client = server.register().await;
        let form = [("client_id", client.as_str()), ("scope", scope)];
        let shown = ok(server.post("/oauth/device_authorization", &form).await).await;
        Self { client, shown }
    }

    fn text(&self, name: &str) -> &str {
        self.shown[name].as_str().unwrap()
    }

    async fn poll(&self, server: &TestAuth) -> reqwest::Response {
        let form = [
            ("grant_type", GRANT),
            ("client_id", &self.client),
            ("device_code", self.text("device_code")),
        ];
        server.post("/oauth/token", &form).await
    }
}

/// Enters a code, signs in, and gives the consent page.
async fn enter(server: &TestAuth, browser: &mut Browser, code: &str, user: &str) -> Page {
    let page = browser.open(server, "/device").await;
    let form = [("page", page.handle()), ("user_code", code)];
    let next = browser.submit(server, "/device", &form).await;
    let page = browser.follow(server, next).await;
    assert!(page.html.contains("Who are you?"), "{}", page.html);
    let form = [("page", page.handle()), ("user", user)];
    let next = browser.submit(server, "/oauth/authorize", &form).await;
    browser.follow(server, next).await
}

#[actix_rt::test]
async fn a_device_is_allowed_in_a_browser_elsewhere() {
    let server = TestAuth::spawn().await;
    let device = Device::begin(&server, "entries:read tags:read").await;
    let shown = device.text("user_code");
    let page = format!("{}/device", server.auth.issuer());
    assert_eq!(device.shown["verification_uri"], page);
    assert_eq!(
        device.shown["verification_uri_complete"],
        format!("{page}?user_code={shown}")
    );
    assert_eq!(
        (&device.shown["expires_in"], &device.shown["interval"]),
        (&json!(600), &json!(5))
    );

    let mut browser = Browser::default();
    // The code that came with the address is filled in, and not taken.
    let filled = browser
        .open(&server, &format!("/device?user_code={shown}"))
        .await;
    assert!(filled.html.contains(&format!("value=\"{shown}\"")));
    let typed = shown.replace('-', " ").to_lowercase();
    let consent = enter(&server, &mut browser, &typed, "2").await;
    for words in ["Notebook", shown, "Bela Marsh", RESOURCE, "Not you?"] {
        assert!(consent.html.contains(words), "{words}");
    }
    assert!(consent.policy.contains("; form-action 'self';"));
    let form = [
        ("page", consent.handle()),
        ("decision", "allow"),
        ("scope", "entries:read"),
    ];
    let done = browser.submit(&server, "/oauth/authorize", &form).await;
    assert_eq!(location(&done), "/device/allowed");
    assert!(
        browser
            .follow(&server, done)
            .await
            .html
            .contains("Go back to the device")
    );

    let tokens = ok(device.poll(&server).await).await;
    assert_eq!(tokens["scope"], "entries:read");
    let told = server
        .introspect(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (&told["sub"], &told["aud"], &told["client_id"]),
        (&json!("2"), &json!(RESOURCE), &json!(device.client))
    );
    let refresh = tokens["refresh_token"].as_str().unwrap();
    ok(server.refresh(&device.client, refresh, &[]).await).await;
    assert_error(device.poll(&server).await, 400, "invalid_grant").await;
    // It has its answer; a second one is for nobody.
    let again = browser.submit(&server, "/oauth/authorize", &form).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
}

#[actix_rt::test]
async fn a_device_is_told_to_wait_and_to_slow_down_and_of_a_no() {
    let server = TestAuth::spawn().await;
    let device = Device::begin(&server, "tags:read").await;
    assert_error(device.poll(&server).await, 400, "authorization_pending").await;
    assert_error(device.poll(&server).await, 400, "slow_down").await;

    let other = Device::begin(&server, "tags:read").await;
    let mut browser = Browser::default();
    let consent = enter(&server, &mut browser, other.text("user_code"), "1").await;
    let form = [("page", consent.handle()), ("decision", "deny")];
    let done = browser.submit(&server, "/oauth/authorize", &form).await;
    assert_eq!(location(&done), "/device/denied");
    assert_error(other.poll(&server).await, 400, "access_denied").await;
    assert_error(other.poll(&server).await, 400, "invalid_grant").await;
}

#[actix_rt::test]
async fn a_device_that_nobody_answered_in_time_begins_again() {
    let server = TestAuth::spawn_with(|it| it.device_code_lifetime = Duration::ZERO).await;
    let device = Device::begin(&server, "tags:read").await;
    assert_error(device.poll(&server).await, 400, "expired_token").await;
    let mut browser = Browser::default();
    let page = browser.open(&server, "/device").await;
    let form = [
        ("page", page.handle()),
        ("user_code", device.text("user_code")),
    ];
    let next = browser.submit(&server, "/device", &form).await;
    let page = browser.follow(&server, next).await;
    assert!(page.html.contains("No device waits with this code"));
}

#[actix_rt::test]
async fn user_codes_are_not_to_be_guessed_or_planted() {
    let server = TestAuth::spawn().await;
    let device = Device::begin(&server, "tags:read").await;
    let code = device.text("user_code");
    let mut browser = Browser::default();
    let page = browser.open(&server, "/device").await;
    // A form of another site has no cookie; another browser's page is not this one's.
    let form = [("page", page.handle()), ("user_code", code)];
    let planted = server.post("/device", &form).await;
    assert_eq!(planted.status(), StatusCode::BAD_REQUEST);
    let planted = Browser::default().submit(&server, "/device", &form).await;
    assert_eq!(planted.status(), StatusCode::BAD_REQUEST);
    // A page of one kind is not posted as one of another.
    let form = [("page", page.handle()), ("user", "1")];
    let mixed = browser.submit(&server, "/oauth/authorize", &form).await;
    assert_eq!(mixed.status(), StatusCode::BAD_REQUEST);

    let wrong = [("page", page.handle()), ("user_code", "BBBB-BBBB")];
    for _ in 0..30 {
        let answer = browser.submit(&server, "/device", &wrong).await;
        assert_eq!(location(&answer), "/device?unknown=1");
    }
    let right = [("page", page.handle()), ("user_code", code)];
    let late = browser.submit(&server, "/device", &right).await;
    assert_eq!(late.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(late.headers()[header::RETRY_AFTER], "60");
}

#[actix_rt::test]
async fn a_device_is_a_client_with_that_grant_and_asks_for_what_there_is() {
    let server = TestAuth::spawn().await;
    let begin = "/oauth/device_authorization";
    let unknown = server.post(begin, &[("client_id", "nobody")]).await;
    assert_error(unknown, 401, "invalid_client").await;
    let without = server
        .register_as(json!({
            "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
        }))
        .await;
    let without = without["client_id"].as_str().unwrap();
    let refused = server.post(begin, &[("client_id", without)]).await;
    assert_error(refused, 400, "unauthorized_client").await;
    let form = [
        ("grant_type", GRANT),
        ("client_id", without),
        ("device_code", "x"),
    ];
    let refused = server.post("/oauth/token", &form).await;
    assert_error(refused, 400, "unauthorized_client").await;

    // A device needs no redirect URI.
    let alone = json!({"token_endpoint_auth_method": "none", "grant_types": [GRANT]});
    let alone = server.register_as(alone).await;
    let client = alone["client_id"].as_str().unwrap();
    for (name, value, error) in [
        ("scope", "openid", "invalid_scope"),
        ("resource", "mcp", "invalid_target"),
    ] {
        let form = [("client_id", client), (name, value)];
        assert_error(server.post(begin, &form).await, 400, error).await;
    }
    ok(server.post(begin, &[("client_id", client)]).await).await;
    let form = [("grant_type", GRANT), ("client_id", client)];
    let missing = server.post("/oauth/token", &form).await;
    assert_error(missing, 400, "invalid_request").await;
}
