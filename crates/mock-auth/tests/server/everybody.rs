//! For everybody's resource server: its users, claims, title and `authorization_details`.

use mock_auth::{Scope, Settings, TokenFormat, TokenGrant, User};
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    jws::verify,
    support::{Browser, CALLBACK, TestAuth, assert_error, location, ok, param, query},
};

const AUTHORIZE: &str = "/oauth/authorize";
const DETAILS: &str =
    r#"[{"type":"greeting","languages":["en"]},{"type":"greeting","languages":["<de>"]}]"#;

fn greeting(settings: &mut Settings) {
    settings.title = "Hello & Co".to_owned();
    settings.scopes = vec![Scope::new("hello:read", "Greet you")];
    let ana = User::new("7", "ana", "Ana Brook").claim("email", "ana@example.com");
    settings.users = vec![ana.claim("groups", json!(["staff"]))];
    settings.authorization_details = vec!["greeting".to_owned()];
}

#[actix_rt::test]
async fn its_pages_speak_of_what_it_was_told_alone() {
    let server = TestAuth::spawn_with(greeting).await;
    let client = server.register().await;
    let mut browser = Browser::default();
    let path = query(AUTHORIZE, &client, &[("authorization_details", DETAILS)]);
    let consent = browser.sign_in(&server, &path, "7").await;
    for shown in ["Hello &amp; Co", "Ana Brook", "Greet you", "&lt;de&gt;"] {
        assert!(consent.html.contains(shown), "{shown}: {}", consent.html);
    }
    for path in ["/", "/admin", "/device", &path] {
        let html = browser.open(&server, path).await.html;
        assert!(html.contains("Hello &amp; Co"), "{path}: {html}");
        for other in ["journal", "EpicMe", "entries:"] {
            assert!(!html.contains(other), "{path} says {other}");
        }
    }
}

#[actix_rt::test]
async fn the_claims_of_a_user_are_in_replies_and_in_signed_tokens() {
    let server = TestAuth::spawn_with(greeting).await;
    let token = server.auth.token("ana", "hello:read");
    let told = server.introspect(token.expose_secret()).await;
    assert_eq!(told["email"], "ana@example.com");
    assert_eq!(told["groups"], json!(["staff"]));
    let grant = TokenGrant {
        subject: "7".to_owned(),
        ..TokenGrant::default()
    };
    let token = server.auth.issue_token_as(TokenFormat::Jwt, grant);
    let keys = ok(server.get("/oauth/jwks").await).await;
    let claims = verify(token.expose_secret(), &keys).unwrap().claims;
    assert_eq!(claims["email"], "ana@example.com");
}

#[actix_rt::test]
async fn authorization_details_go_from_the_request_to_the_token() {
    let server = TestAuth::spawn_with(greeting).await;
    let metadata = ok(server.get("/.well-known/oauth-authorization-server").await).await;
    let types = &metadata["authorization_details_types_supported"];
    assert_eq!(*types, json!(["greeting"]));
    let client = server.register().await;
    let more = [("authorization_details", DETAILS), ("scope", "hello:read")];
    let code = server.code(&client, &more).await;
    let tokens = ok(server.redeem(&client, &code, &[]).await).await;
    let granted: Value = serde_json::from_str(DETAILS).unwrap();
    assert_eq!(tokens["authorization_details"], granted);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(
        server.introspect(token).await["authorization_details"],
        granted
    );

    // RFC 9396 §6: a refresh may ask for less, and not for more.
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let one = json!([granted[1]]).to_string();
    let fewer = server
        .refresh(&client, refresh, &[("authorization_details", &one)])
        .await;
    let fewer = ok(fewer).await;
    assert_eq!(fewer["authorization_details"], json!([granted[1]]));
    let refresh = fewer["refresh_token"].as_str().unwrap();
    let other = [("authorization_details", r#"[{"type":"greeting"}]"#)];
    let wider = server.refresh(&client, refresh, &other).await;
    assert_error(wider, 400, "invalid_authorization_details").await;
}

#[actix_rt::test]
async fn a_type_of_details_that_it_was_not_told_is_refused() {
    let server = TestAuth::spawn().await;
    let client = server.register().await;
    let path = query(AUTHORIZE, &client, &[("authorization_details", DETAILS)]);
    let response = server.get(&path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(location(&response).starts_with(CALLBACK));
    let error = param(location(&response), "error").unwrap();
    assert_eq!(error, "invalid_authorization_details");
}
