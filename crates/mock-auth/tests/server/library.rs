//! The server as a test uses it.

use std::time::Duration;

use mock_auth::{Endpoint, Fault, FaultMode, MockAuth, User};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

async fn introspect(auth: &MockAuth, token: &SecretString) -> reqwest::Result<reqwest::Response> {
    let client = auth.introspection_client().unwrap();
    let http = reqwest::Client::builder().no_proxy().build()?;
    http.post(format!("{}/oauth/introspection", auth.issuer()))
        .basic_auth(&client.id, Some(client.secret.expose_secret()))
        .form(&[("token", token.expose_secret())])
        .send()
        .await
}

async fn told(auth: &MockAuth, token: &SecretString) -> Value {
    let response = introspect(auth, token).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[actix_rt::test]
async fn a_server_takes_one_word_and_two_do_not_meet() {
    let (one, other) = (
        MockAuth::start().await.unwrap(),
        MockAuth::start().await.unwrap(),
    );
    let token = one.token("bela", "read");
    let reply = told(&one, &token).await;
    assert_eq!(
        (&reply["sub"], &reply["scope"]),
        (&json!("2"), &json!("read"))
    );
    assert_eq!(told(&other, &token).await, json!({"active": false}));
    assert!(one.revoke_token(&token));
    assert_eq!(told(&one, &token).await, json!({"active": false}));
    assert_eq!(one.stats()["introspection"], 2);
}

#[actix_rt::test]
async fn what_is_described_takes_the_place_of_the_defaults() {
    let auth = MockAuth::builder()
        .scope("hello:read", "Greet you")
        .user(User::new("7", "ana", "Ana Brook"))
        .resource("http://127.0.0.1:3000/mcp")
        .resource("http://127.0.0.1:3001/mcp")
        .access_token_lifetime(Duration::from_secs(90))
        .start()
        .await
        .unwrap();
    let reply = told(&auth, &auth.token("7", "hello:read")).await;
    assert_eq!(reply["username"], "ana");
    assert_eq!(reply["aud"], "http://127.0.0.1:3000/mcp");
    let lives = reply["exp"].as_i64().unwrap() - reply["iat"].as_i64().unwrap();
    assert_eq!(lives, 90);
    let metadata = format!("{}/.well-known/oauth-authorization-server", auth.issuer());
    let metadata: Value = reqwest::get(metadata).await.unwrap().json().await.unwrap();
    assert_eq!(metadata["scopes_supported"], json!(["hello:read"]));
}

#[actix_rt::test]
async fn it_lies_as_it_is_told_and_about_live_tokens_alone() {
    let auth = MockAuth::builder().resource("http://127.0.0.1:3000/mcp");
    let auth = auth.start().await.unwrap();
    let token = auth.token("ada", "read");
    let truth = told(&auth, &token).await;
    let lie = async |mode| {
        auth.faults().set(Endpoint::Introspection, Fault::new(mode));
        told(&auth, &token).await
    };
    assert_eq!(lie(FaultMode::Inactive).await, json!({"active": false}));
    for (mode, member) in [
        (FaultMode::WrongAudience, "aud"),
        (FaultMode::WrongIssuer, "iss"),
        (FaultMode::Expired, "exp"),
    ] {
        let mut lie = lie(mode).await;
        assert_ne!(lie[member], truth[member], "{mode:?}");
        lie[member] = truth[member].clone();
        assert_eq!(lie, truth, "{mode:?} changes one member");
        let unknown = told(&auth, &"unknown".into()).await;
        assert_eq!(unknown, json!({"active": false}));
    }
    auth.faults().clear();
    assert_eq!(told(&auth, &token).await, truth);
}

#[actix_rt::test]
async fn a_server_that_is_down_answers_nothing() {
    let auth = MockAuth::start().await.unwrap();
    let token = auth.token("ada", "read");
    auth.faults().take_down();
    assert!(introspect(&auth, &token).await.is_err());
    let metadata = format!("{}/.well-known/openid-configuration", auth.issuer());
    assert!(reqwest::get(metadata).await.is_err());
    auth.faults().clear();
    assert_eq!(told(&auth, &token).await["active"], true);
}

#[actix_rt::test]
#[should_panic(expected = "cannot happen at token")]
async fn a_fault_that_cannot_happen_at_an_endpoint_is_refused() {
    let auth = MockAuth::start().await.unwrap();
    let faults = auth.faults();
    faults.set(Endpoint::Token, Fault::new(FaultMode::Inactive));
}
