//! Codes, tokens, and what becomes of them.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{RESOURCE, TestAuth, assert_error, ok};

const OTHER: &str = "https://other.example/mcp";

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap()
}

#[actix_rt::test]
async fn a_token_response_says_all_that_a_client_needs() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let code = server.code(&client, &[("scope", "entries:read")]).await;
    let response = server.redeem(&client, &code, &[]).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let tokens = ok(response).await;
    assert!(text(&tokens, "access_token").starts_with("epa_"));
    assert!(text(&tokens, "refresh_token").starts_with("epr_"));
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "entries:read");
    assert_eq!(tokens["token_type"], "Bearer");
}

#[actix_rt::test]
async fn a_wrong_verifier_gets_nothing_and_costs_the_code() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let code = server.code(&client, &[]).await;
    let wrong = "a".repeat(43);
    let tried = server
        .redeem(&client, &code, &[("code_verifier", &wrong)])
        .await;
    assert_error(tried, 400, "invalid_grant").await;
    assert_error(
        server.redeem(&client, &code, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
    let code = server.code(&client, &[]).await;
    let tried = server
        .redeem(&client, &code, &[("code_verifier", "")])
        .await;
    assert_error(tried, 400, "invalid_request").await;
}

#[actix_rt::test]
async fn a_replayed_code_takes_back_what_it_gave() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let code = server.code(&client, &[("scope", "user:read")]).await;
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    assert_eq!(server.introspect(access).await["active"], true);
    assert_error(
        server.redeem(&client, &code, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
    assert_eq!(server.introspect(access).await, json!({"active": false}));
    assert_error(
        server.refresh(&client, refresh, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
}

#[actix_rt::test]
async fn a_code_is_for_its_client_and_its_redirect_uri() {
    let server = TestAuth::spawn().await;
    let (client, other) = (server.register().await, server.register().await);
    let code = server.code(&client, &[]).await;
    assert_error(
        server.redeem(&other, &code, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
    assert_eq!(
        server.redeem(&client, &code, &[]).await.status(),
        StatusCode::OK
    );
    let elsewhere = "http://127.0.0.1:1/callback";
    let code = server.code(&client, &[("redirect_uri", elsewhere)]).await;
    assert_error(
        server.redeem(&client, &code, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
}

#[actix_rt::test]
async fn refresh_tokens_rotate_and_reuse_ends_everything() {
    // Without any grace, reuse is what it is from the first.
    let server = TestAuth::spawn_with(|it| it.refresh_token_grace = Duration::ZERO).await;
    let client = server.register().await;
    let first = server.tokens(&client, "user:read tags:read").await;
    let old = text(&first, "refresh_token");
    let second = ok(server.refresh(&client, old, &[]).await).await;
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(second["scope"], "user:read tags:read");
    assert_eq!(
        server.introspect(text(&second, "access_token")).await["active"],
        true
    );

    assert_error(
        server.refresh(&client, old, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
    for tokens in [&first, &second] {
        assert_eq!(
            server.introspect(text(tokens, "access_token")).await["active"],
            false
        );
    }
    let newest = text(&second, "refresh_token");
    assert_error(
        server.refresh(&client, newest, &[]).await,
        400,
        "invalid_grant",
    )
    .await;
}

/// Hosts that call several tools at once refresh several times at once.
#[actix_rt::test]
async fn parallel_refreshes_get_one_successor_and_sign_nobody_out() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let first = server.tokens(&client, "user:read tags:read").await;
    let old = text(&first, "refresh_token");
    let refresh = || async { ok(server.refresh(&client, old, &[]).await).await };
    let (a, b, c) = futures_util::future::join3(refresh(), refresh(), refresh()).await;
    for tokens in [&a, &b, &c] {
        assert_eq!(tokens["refresh_token"], a["refresh_token"]);
        let told = server.introspect(text(tokens, "access_token")).await;
        assert_eq!(told["active"], true);
    }
    let next = server
        .refresh(&client, text(&b, "refresh_token"), &[])
        .await;
    let next = ok(next).await;
    assert_ne!(next["refresh_token"], a["refresh_token"]);
    // Nobody else gets a share of it.
    let other = server.register().await;
    let foreign = server.refresh(&other, old, &[]).await;
    assert_error(foreign, 400, "invalid_grant").await;
}

#[actix_rt::test]
async fn a_refresh_narrows_and_never_widens() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "user:read tags:read").await;
    let refresh = text(&tokens, "refresh_token");
    let wider = server
        .refresh(&client, refresh, &[("scope", "tags:write")])
        .await;
    assert_error(wider, 400, "invalid_scope").await;
    let elsewhere = server
        .refresh(&client, refresh, &[("resource", OTHER)])
        .await;
    assert_error(elsewhere, 400, "invalid_target").await;
    // What was refused cost nothing.
    let narrow = ok(server
        .refresh(&client, refresh, &[("scope", "tags:read")])
        .await)
    .await;
    assert_eq!(narrow["scope"], "tags:read");
}

#[actix_rt::test]
async fn the_audience_is_the_resource_that_was_asked_for() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let one = server.code(&client, &[("resource", OTHER)]).await;
    let one = ok(server.redeem(&client, &one, &[("resource", OTHER)]).await).await;
    assert_eq!(
        server.introspect(text(&one, "access_token")).await["aud"],
        OTHER
    );

    let both = [("resource", OTHER), ("resource", RESOURCE)];
    let code = server.code(&client, &both).await;
    let two = ok(server.redeem(&client, &code, &[]).await).await;
    assert_eq!(
        server.introspect(text(&two, "access_token")).await["aud"],
        json!([OTHER, RESOURCE])
    );
    let code = server.code(&client, &both).await;
    let less = ok(server
        .redeem(&client, &code, &[("resource", RESOURCE)])
        .await)
    .await;
    assert_eq!(
        server.introspect(text(&less, "access_token")).await["aud"],
        RESOURCE
    );

    let code = server.code(&client, &[]).await;
    let more = server.redeem(&client, &code, &[("resource", OTHER)]).await;
    assert_error(more, 400, "invalid_target").await;
}

#[actix_rt::test]
async fn without_resource_and_default_there_is_no_audience() {
    let server = TestAuth::spawn_with(|settings| settings.default_resource = None).await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "user:read").await;
    let told = server.introspect(text(&tokens, "access_token")).await;
    assert_eq!(told["active"], true);
    assert_eq!(told.get("aud"), None);
}

#[actix_rt::test]
async fn a_client_with_a_secret_has_to_prove_it() {
    let server = TestAuth::spawn().await;
    let registered = server
        .register_as(json!({
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "client_credentials"],
        }))
        .await;
    let (id, secret) = (
        text(&registered, "client_id"),
        text(&registered, "client_secret"),
    );
    let code = server.code(id, &[]).await;
    assert_error(server.redeem(id, &code, &[]).await, 401, "invalid_client").await;
    let wrong = server
        .redeem(id, &code, &[("client_secret", "wrong")])
        .await;
    assert_error(wrong, 401, "invalid_client").await;
    let tokens = ok(server.redeem(id, &code, &[("client_secret", secret)]).await).await;
    assert_eq!(
        tokens.get("refresh_token"),
        None,
        "it did not register for refresh_token"
    );

    let form = [("grant_type", "client_credentials"), ("scope", "tags:read")];
    let request = server.request(Method::POST, "/oauth/token");
    let response = request
        .basic_auth(id, Some(secret))
        .form(&form)
        .send()
        .await;
    let own = ok(response.unwrap()).await;
    assert_eq!(own.get("refresh_token"), None);
    let told = server.introspect(text(&own, "access_token")).await;
    assert_eq!(
        (told["sub"].as_str(), told.get("username")),
        (Some(id), None)
    );

    let both = server.request(Method::POST, "/oauth/token");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_secret", secret),
    ];
    let both = both.basic_auth(id, Some(secret)).form(&form).send().await;
    assert_error(both.unwrap(), 400, "invalid_request").await;
}

#[actix_rt::test]
async fn a_public_client_has_no_credentials_of_its_own() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client.as_str()),
    ];
    assert_error(
        server.post("/oauth/token", &form).await,
        400,
        "unauthorized_client",
    )
    .await;
    let with_secret = [
        ("grant_type", "refresh_token"),
        ("client_id", &client),
        ("client_secret", "x"),
    ];
    assert_error(
        server.post("/oauth/token", &with_secret).await,
        401,
        "invalid_client",
    )
    .await;
}

#[actix_rt::test]
async fn the_token_endpoint_says_what_is_wrong() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let id = ("client_id", client.as_str());
    for (form, status, error) in [
        (
            vec![("grant_type", "authorization_code")],
            401,
            "invalid_client",
        ),
        (
            vec![("client_id", "nobody"), ("grant_type", "refresh_token")],
            401,
            "invalid_client",
        ),
        (vec![id], 400, "invalid_request"),
        (
            vec![id, ("grant_type", "password")],
            400,
            "unsupported_grant_type",
        ),
        (
            vec![id, ("grant_type", "authorization_code")],
            400,
            "invalid_request",
        ),
        (
            vec![id, ("grant_type", "refresh_token")],
            400,
            "invalid_request",
        ),
        (
            vec![id, id, ("grant_type", "refresh_token")],
            400,
            "invalid_request",
        ),
    ] {
        assert_error(server.post("/oauth/token", &form).await, status, error).await;
    }
    let json = json!({"grant_type": "refresh_token", "client_id": client});
    let json = server.send(Method::POST, "/oauth/token", &json).await;
    assert_error(json, 400, "invalid_request").await;
    let long = "x".repeat(70_000);
    let long = server.post("/oauth/token", &[("code", &long)]).await;
    assert_error(long, 413, "invalid_request").await;
}

#[actix_rt::test]
async fn revocation_is_immediate_and_the_owners_own() {
    let server = TestAuth::spawn().await;
    let (client, other) = (server.register().await, server.register().await);
    let tokens = server.tokens(&client, "user:read").await;
    let (access, refresh) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    let revoke = async |client: &str, token: &str| {
        let form = [
            ("client_id", client),
            ("token", token),
            ("token_type_hint", "access_token"),
        ];
        server.post("/oauth/revoke", &form).await
    };
    assert_error(revoke(&other, access).await, 400, "invalid_grant").await;
    assert_eq!(server.introspect(access).await["active"], true);
    assert_eq!(revoke(&client, access).await.status(), StatusCode::OK);
    assert_eq!(server.introspect(access).await, json!({"active": false}));
    assert_eq!(
        revoke(&client, "epa_unknown").await.status(),
        StatusCode::OK
    );

    let second = ok(server.refresh(&client, refresh, &[]).await).await;
    assert_eq!(
        revoke(&client, text(&second, "refresh_token"))
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(
        server.introspect(text(&second, "access_token")).await["active"],
        false
    );
}
