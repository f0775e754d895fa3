//! Tokens end; a client that has a refresh token goes on without asking its person.

use std::time::Duration;

use mock_auth::TokenGrant;
use rmcp::transport::auth::{CredentialStore, StoredCredentials};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    client::{Begin, SignedIn, connect, sign_in},
    dev_servers::DevServers,
};

async fn stored(signed_in: &SignedIn) -> StoredCredentials {
    signed_in.store.load().await.unwrap().unwrap()
}

/// Puts another access token in the place of the client's, and keeps the rest.
async fn replace_access_token(signed_in: &SignedIn, token: &str) {
    let mut credentials = serde_json::to_value(stored(signed_in).await).unwrap();
    credentials["token_response"]["access_token"] = token.into();
    let credentials = serde_json::from_value(credentials).unwrap();
    signed_in.store.save(credentials).await.unwrap();
}

async fn access_token(signed_in: &SignedIn) -> String {
    let credentials: Value = serde_json::to_value(stored(signed_in).await).unwrap();
    let token = &credentials["token_response"]["access_token"];
    token.as_str().unwrap().to_owned()
}

/// An access token that is past its end from the first.
fn expired(servers: &DevServers) -> SecretString {
    servers.mock_auth().issue_token(TokenGrant {
        subject: "1".to_owned(),
        client_id: "flow-test".to_owned(),
        scopes: "entries:read entries:write".to_owned(),
        audience: vec![servers.mcp_url().to_owned()],
        lifetime: Duration::ZERO,
        ..TokenGrant::default()
    })
}

#[actix_rt::test]
async fn an_expired_access_token_is_refreshed_without_the_person() {
    for begin in Begin::ALL {
        let servers = DevServers::open().await;
        let signed_in = sign_in(&servers, begin, "1", &[]).await;
        replace_access_token(&signed_in, expired(&servers).expose_secret()).await;
        let store = signed_in.store.clone();
        let client = connect(&servers, begin, signed_in.manager).await.unwrap();
        client.write("After the refresh").await.unwrap();
        assert_eq!(client.titles().await[0], "After the refresh", "{begin:?}");
        assert_eq!(servers.calls("token"), 2, "{begin:?}: a code and a refresh");
        assert!(store.load().await.unwrap().is_some());
        client.leave().await;
        servers.close().await;
    }
}

#[actix_rt::test]
async fn a_revoked_token_that_was_never_shown_is_refused_and_refreshed() {
    let servers = DevServers::open().await;
    let signed_in = sign_in(&servers, Begin::Discover, "1", &[]).await;
    let revoked = access_token(&signed_in).await;
    assert!(servers.mock_auth().revoke_token(&revoked.clone().into()));
    let store = signed_in.store.clone();
    let client = connect(&servers, Begin::Discover, signed_in.manager)
        .await
        .unwrap();
    client.call("whoami", json!({})).await.unwrap();
    let now = serde_json::to_value(store.load().await.unwrap()).unwrap();
    assert_ne!(now["token_response"]["access_token"], revoked);
    client.leave().await;
    servers.close().await;
}

#[actix_rt::test]
async fn when_all_is_revoked_the_client_is_told_to_sign_in_again() {
    for begin in Begin::ERAS {
        let servers = DevServers::open().await;
        let signed_in = sign_in(&servers, begin, "1", &[]).await;
        assert_eq!(
            servers.mock_auth().revoke_subject("1"),
            2,
            "the banner's too"
        );
        let refused = connect(&servers, begin, signed_in.manager).await.err();
        let refused = refused.expect("nothing is left to come in with");
        let challenge = refused.auth_challenge().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        servers.close().await;
    }
}
