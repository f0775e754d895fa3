//! What the mock authorization server signs is accepted by the resource server. They share no code, so each checks the other.

#![cfg(feature = "dev")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use chrono::Utc;
use mock_auth::{MockAuth, TokenFormat, TokenGrant};
use resource_server::{
    bearer::{BearerToken, Presentation},
    jose::{
        jwt::{AccessTokens, access_token, peek_issuer},
        keys::KeySet,
        signed_reply::{ExpectedReply, MEDIA_TYPE, SignedReplyFault, read_signed_reply},
    },
    principal::Credential,
    token_rules::{JwtType, TokenRules},
    validation::{ExpectedClaims, validate_claims},
};
use secrecy::ExposeSecret;

const RESOURCE: &str = "http://127.0.0.1:8787/mcp";

async fn start() -> MockAuth {
    let auth = MockAuth::builder().introspection_client("epicme", "secret");
    auth.start().await.unwrap()
}

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

fn bearer(token: &str) -> BearerToken {
    let field = format!("Bearer {token}");
    let presented = Presentation::from_authorization([field.as_bytes()].into_iter());
    presented.unwrap().token
}

async fn key_set(auth: &MockAuth) -> KeySet {
    let url = format!("{}/oauth/jwks", auth.issuer());
    let keys = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    KeySet::read(&keys).unwrap()
}

#[actix_rt::test]
async fn a_jwt_access_token_is_accepted() {
    let auth = start().await;
    let token = auth.issue_token_as(TokenFormat::Jwt, grant());
    let token = bearer(token.expose_secret());
    assert_eq!(peek_issuer(&token).as_deref(), Some(auth.issuer()));
    let rules = TokenRules::default();
    let accepted = AccessTokens {
        types: &[JwtType::AccessToken],
        rules: &rules,
    };
    let reply = access_token(&token, &key_set(&auth).await, accepted, Utc::now()).unwrap();
    let expected = ExpectedClaims {
        issuer: auth.issuer().parse().unwrap(),
        resource: RESOURCE.parse().unwrap(),
        rules: TokenRules::default(),
        scopes: epicme::scopes::declared(),
    };
    let verdict = validate_claims(reply, &expected, Credential([0; 32]), Utc::now());
    let principal = verdict.unwrap().principal;
    assert_eq!(principal.subject, "1");
    assert_eq!(principal.client.as_deref(), Some("any"));
    assert_eq!(
        epicme::scopes::declared().list(principal.scopes),
        "entries:read"
    );
    auth.stop().await;
}

#[actix_rt::test]
async fn a_signed_introspection_response_is_accepted_by_the_server_that_asked_and_no_other() {
    let auth = start().await;
    let keys = key_set(&auth).await;
    let issuer = auth.issuer().parse().unwrap();
    for (token, is_active) in [(auth.issue_token(grant()), true), ("unknown".into(), false)] {
        let form = [
            ("token", token.expose_secret()),
            ("client_id", "epicme"),
            ("client_secret", "secret"),
        ];
        let request = reqwest::Client::new().post(format!("{}/oauth/introspection", auth.issuer()));
        let response = request
            .header("accept", MEDIA_TYPE)
            .form(&form)
            .send()
            .await;
        let body = response.unwrap().bytes().await.unwrap();
        let read = |client_id| {
            let issuer = &issuer;
            let resource = &RESOURCE.parse().unwrap();
            let expected = ExpectedReply {
                issuer,
                client_id,
                resource,
            };
            read_signed_reply(&body, &keys, expected, Utc::now())
        };
        assert_eq!(read("epicme").unwrap().active, is_active);
        assert_eq!(read("other").unwrap_err(), SignedReplyFault::WrongAudience);
    }
    auth.stop().await;
}
