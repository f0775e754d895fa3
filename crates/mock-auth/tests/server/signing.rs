//! What the server signs.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use mock_auth::{Endpoint, Fault, FaultMode, TokenFormat, TokenGrant};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    jws::verify,
    support::{RESOURCE, SECRET, TestAuth, assert_error, ok},
};

/// The media type of a signed introspection response (RFC 9701 §5).
const SIGNED_REPLY: &str = "application/token-introspection+jwt";

fn grant() -> TokenGrant {
    TokenGrant {
        subject: "1".to_owned(),
        client_id: "any".to_owned(),
        scopes: "entries:read".to_owned(),
        audience: vec![RESOURCE.to_owned()],
        lifetime: Duration::from_secs(60),
        ..TokenGrant::default()
    }
}

/// The reply for a resource server that accepts these media types.
async fn signed(server: &TestAuth, token: &str, accept: &str) -> Response {
    let request = server.request(Method::POST, "/oauth/introspection");
    let form = [
        ("token", token),
        ("client_id", "epicme"),
        ("client_secret", SECRET),
    ];
    let request = request.header("accept", accept).form(&form);
    request.send().await.unwrap()
}

async fn key_set(server: &TestAuth) -> Value {
    ok(server.get("/oauth/jwks").await).await
}

#[actix_rt::test]
async fn a_jwt_is_verified_with_the_published_key() {
    let server = TestAuth::spawn().await;
    let token = server.auth.issue_token_as(TokenFormat::Jwt, grant());
    let read = verify(token.expose_secret(), &key_set(&server).await).unwrap();
    // RFC 9068 §2.1 and §2.2.
    assert_eq!(read.header["typ"], "at+jwt");
    for (name, value) in [
        ("iss", server.auth.issuer()),
        ("sub", "1"),
        ("aud", RESOURCE),
        ("client_id", "any"),
        ("scope", "entries:read"),
    ] {
        assert_eq!(read.claims[name], value, "{name}");
    }
    let issued = read.claims["iat"].as_i64().unwrap();
    assert!((Utc::now().timestamp() - issued).abs() <= 5, "{issued}");
    assert_eq!(read.claims["exp"], issued + 60);
}

#[actix_rt::test]
async fn introspection_knows_a_jwt_and_its_end() {
    let server = TestAuth::spawn().await;
    let token = server.auth.issue_token_as(TokenFormat::Jwt, grant());
    let told = server.introspect(token.expose_secret()).await;
    assert_eq!(told["active"], true);
    assert_eq!(told["aud"], RESOURCE);
    let claims = token.expose_secret().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    for name in [
        "iss",
        "sub",
        "aud",
        "client_id",
        "scope",
        "exp",
        "iat",
        "jti",
    ] {
        assert_eq!(told[name], claims[name], "{name}");
    }
    assert!(server.auth.revoke_token(&token));
    let told = server.introspect(token.expose_secret()).await;
    assert_eq!(told, json!({"active": false}));
}

#[actix_rt::test]
async fn a_signed_reply_is_for_who_asked_for_it() {
    let server = TestAuth::spawn().await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    assert_eq!(
        metadata["introspection_signing_alg_values_supported"],
        json!(["ES256"])
    );
    let keys = key_set(&server).await;
    let token = server.auth.issue_token(grant());
    // RFC 9701 §5: the issuer speaks, the audience is the resource server that asked.
    let read = |body: &str| {
        let read = verify(body, &keys).unwrap();
        assert_eq!(read.header["typ"], "token-introspection+jwt");
        assert_eq!(read.claims["iss"], server.auth.issuer());
        assert_eq!(read.claims["aud"], "epicme");
        read.claims["token_introspection"]["active"].clone()
    };
    for accept in [
        SIGNED_REPLY,
        "application/json;q=0.5, Application/Token-Introspection+JWT;q=1",
    ] {
        let response = signed(&server, token.expose_secret(), accept).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], SIGNED_REPLY);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body = response.text().await.unwrap();
        assert_eq!(read(&body), true);
    }
    let unknown = signed(&server, "unknown", SIGNED_REPLY).await;
    let unknown = unknown.text().await.unwrap();
    assert_eq!(read(&unknown), false);
    for accept in ["application/json", "*/*", "application/jwt"] {
        let plain = signed(&server, token.expose_secret(), accept).await;
        assert_eq!(plain.headers()["content-type"], "application/json");
        assert_eq!(ok(plain).await["active"], true);
    }
}

#[actix_rt::test]
async fn tokens_are_opaque_unless_it_is_asked_otherwise() {
    let server = TestAuth::spawn().await;
    let issued = async |wanted: Value| server.send(Method::POST, "/dev/token", &wanted).await;
    let opaque = server.auth.issue_token(grant());
    assert!(opaque.expose_secret().starts_with("epa_"));
    let jwt = ok(issued(json!({"format": "jwt"})).await).await;
    let jwt = jwt["access_token"].as_str().unwrap();
    assert!(verify(jwt, &key_set(&server).await).is_some());
    let opaque = ok(issued(json!({})).await).await;
    assert!(opaque["access_token"].as_str().unwrap().starts_with("epa_"));
    assert_error(
        issued(json!({"format": "saml"})).await,
        400,
        "invalid_request",
    )
    .await;
}

#[actix_rt::test]
async fn a_server_that_writes_jwts_does_so_in_every_flow() {
    let server = TestAuth::spawn_with(|settings| {
        settings.access_token_format = TokenFormat::Jwt;
    })
    .await;
    let client = server.register().await;
    let first = server.tokens(&client, "entries:read").await;
    // Nobody but this server reads a refresh token.
    let refresh = first["refresh_token"].as_str().unwrap();
    assert!(refresh.starts_with("epr_"));
    let second = ok(server.refresh(&client, refresh, &[]).await).await;
    let third = server.send(Method::POST, "/dev/token", &json!({})).await;
    let third = ok(third).await;
    let keys = key_set(&server).await;
    for tokens in [first, second, third] {
        let token = tokens["access_token"].as_str().unwrap();
        assert!(verify(token, &keys).is_some());
    }
    let token = server.auth.issue_token(grant());
    assert!(verify(token.expose_secret(), &keys).is_some());
}

#[actix_rt::test]
async fn a_new_key_is_published_beside_the_one_before() {
    let server = TestAuth::spawn().await;
    let issue = || server.auth.issue_token_as(TokenFormat::Jwt, grant());
    let (old_token, old_keys) = (issue(), key_set(&server).await);
    server.auth.rotate_signing_key();
    let new_token = issue();
    let is_verified =
        |token: &SecretString, keys: &Value| verify(token.expose_secret(), keys).is_some();
    assert!(!is_verified(&new_token, &old_keys));
    let new_keys = key_set(&server).await;
    assert!(is_verified(&new_token, &new_keys));
    assert!(is_verified(&old_token, &new_keys));
    server.auth.rotate_signing_key();
    assert!(!is_verified(&old_token, &key_set(&server).await));
}

#[actix_rt::test]
async fn the_key_set_is_public_counted_and_can_fail() {
    let server = TestAuth::spawn().await;
    let document = ok(server.get("/oauth/jwks").await).await;
    let [key] = document["keys"].as_array().unwrap().as_slice() else {
        panic!("there is one key");
    };
    let mut names: Vec<_> = key.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(server.calls("jwks"), 1);
    let faults = server.auth.faults();
    faults.set(Endpoint::Jwks, Fault::new(FaultMode::Error));
    let response = server.get("/oauth/jwks").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    faults.set(Endpoint::Jwks, Fault::default());
    let again: Value = ok(server.get("/oauth/jwks").await).await;
    assert_eq!(again, document);
}
