//! What resource servers are told.

use std::time::Duration;

use mock_auth::TokenGrant;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{RESOURCE, SECRET, TestAuth, assert_error, ok};

fn grant(lifetime: Duration) -> TokenGrant {
    TokenGrant {
        subject: "1".to_owned(),
        client_id: "any".to_owned(),
        scopes: "entries:read made:up".to_owned(),
        audience: vec![RESOURCE.to_owned()],
        lifetime,
        ..TokenGrant::default()
    }
}

#[actix_rt::test]
async fn nobody_is_told_anything_without_credentials() {
    let server = TestAuth::spawn().await;
    let token = server.auth.issue_token(grant(Duration::from_secs(60)));
    let token = ("token", token.expose_secret());
    let path = "/oauth/introspection";
    for form in [
        vec![token],
        vec![token, ("client_id", "epicme")],
        vec![token, ("client_id", "epicme"), ("client_secret", "wrong")],
        vec![token, ("client_id", "other"), ("client_secret", SECRET)],
        // Not even whether there was a token in the request.
        vec![],
    ] {
        assert_error(server.post(path, &form).await, 401, "invalid_client").await;
    }
    // A client that may hold tokens may not ask about them.
    let client = server.register().await;
    assert_error(
        server.post(path, &[token, ("client_id", &client)]).await,
        401,
        "invalid_client",
    )
    .await;
}

#[actix_rt::test]
async fn basic_credentials_are_form_encoded_first() {
    let server = TestAuth::spawn().await;
    let token = server.auth.issue_token(grant(Duration::from_secs(60)));
    let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let request = server.request(Method::POST, "/oauth/introspection");
    let request = request.basic_auth("epicme", Some(encoded));
    let told = request
        .form(&[("token", token.expose_secret())])
        .send()
        .await;
    assert_eq!(ok(told.unwrap()).await["active"], true);
}

#[actix_rt::test]
async fn a_live_token_is_described_whole() {
    let server = TestAuth::spawn().await;
    let token = server.auth.issue_token(grant(Duration::from_secs(60)));
    let told = server.introspect(token.expose_secret()).await;
    let (exp, iat) = (told["exp"].as_i64().unwrap(), told["iat"].as_i64().unwrap());
    assert_eq!(exp - iat, 60);
    assert_eq!(
        told,
        json!({
            "active": true, "scope": "entries:read made:up", "client_id": "any", "username": "ada",
            "token_type": "Bearer", "exp": exp, "iat": iat, "nbf": iat, "sub": "1", "aud": RESOURCE,
            "iss": server.auth.issuer(), "jti": told["jti"].as_str().unwrap(),
        })
    );
}

#[actix_rt::test]
async fn of_a_dead_token_nothing_is_said_but_that() {
    let server = TestAuth::spawn().await;
    let inactive = json!({"active": false});
    let expired = server.auth.issue_token(grant(Duration::ZERO));
    assert_eq!(server.introspect(expired.expose_secret()).await, inactive);
    assert_eq!(server.introspect("unknown").await, inactive);
    let revoked = server.auth.issue_token(grant(Duration::from_secs(60)));
    assert!(server.auth.revoke_token(&revoked));
    assert!(!server.auth.revoke_token(&revoked));
    assert_eq!(server.introspect(revoked.expose_secret()).await, inactive);
}

#[actix_rt::test]
async fn a_refresh_token_shows_that_it_is_one() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let tokens = server.tokens(&client, "user:read").await;
    let told = server
        .introspect(tokens["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(told["active"], true);
    assert_eq!(told["token_type"], "refresh_token");
}

#[actix_rt::test]
async fn a_missing_token_is_a_bad_request() {
    let server = TestAuth::spawn().await;
    let form = [("client_id", "epicme"), ("client_secret", SECRET)];
    let response = server.post("/oauth/introspection", &form).await;
    assert_error(response, 400, "invalid_request").await;
}

#[actix_rt::test]
async fn every_call_is_counted() {
    let server = TestAuth::spawn().await;
    assert_eq!(server.calls("introspection"), 0);
    server.introspect("x").await;
    server.post("/oauth/introspection", &[]).await;
    assert_eq!(server.calls("introspection"), 2);
    let stats = ok(server.get("/admin/stats").await).await;
    assert_eq!(stats["calls"]["introspection"], 2);
    assert_eq!(stats["calls"]["token"], 0);
}

#[actix_rt::test]
async fn a_user_or_a_client_can_be_cut_off() {
    let server = TestAuth::spawn().await;
    let issue = || server.auth.issue_token(grant(Duration::from_secs(60)));
    let first = issue();
    assert_eq!(server.auth.revoke_subject("2"), 0);
    assert_eq!(server.auth.revoke_subject("1"), 1);
    assert_eq!(
        server.introspect(first.expose_secret()).await["active"],
        false
    );
    let second = issue();
    assert_eq!(server.auth.revoke_client("any"), 1);
    assert_eq!(
        server.introspect(second.expose_secret()).await["active"],
        false
    );
}
