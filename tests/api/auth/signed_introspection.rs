//! Introspection replies that have to be signed (RFC 9701): what is wrong with one is never the client's
//! fault, and an unsigned one lets nobody in.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{ALL, Answer, RESOURCE, Reply, SigningKey, TestApp};

const MEDIA_TYPE: &str = "application/token-introspection+jwt";

fn demanding() -> (TestApp, SigningKey) {
    let app = TestApp::spawn_with(|config| config.issuers[0].signed_replies = true);
    let key = SigningKey::new("k1");
    app.issuer.keys(&[&key]);
    (app, key)
}

/// What a good reply says, with these changes.
fn reply(app: &TestApp, changes: Value) -> Value {
    let mut reply = json!({
        "iss": app.issuer.url(), "aud": "epicme", "iat": app.clock.now().timestamp(),
        "token_introspection": {
            "active": true, "sub": "ann", "scope": ALL, "aud": RESOURCE, "iss": app.issuer.url(),
        },
    });
    for (name, value) in changes.as_object().unwrap() {
        reply[name] = value.clone();
    }
    reply
}

fn answer(document: String) -> Answer {
    let headers = vec![("content-type", MEDIA_TYPE.to_owned())];
    Answer::Whole(200, headers, document.into_bytes())
}

fn signed(app: &TestApp, key: &SigningKey, changes: Value) -> Answer {
    answer(key.sign("token-introspection+jwt", &reply(app, changes)))
}

async fn list(app: &TestApp, answer: Answer) -> Reply {
    let token = app.token_for(answer);
    app.modern(&token, "tools/list", json!({})).send().await
}

#[actix_rt::test]
async fn a_signed_reply_is_asked_for_and_believed() {
    let (app, key) = demanding();
    assert_eq!(list(&app, signed(&app, &key, json!({}))).await.status, 200);
    assert_eq!(app.issuer.seen()[0].accept.as_deref(), Some(MEDIA_TYPE));
    let inactive = signed(
        &app,
        &key,
        json!({ "token_introspection": { "active": false } }),
    );
    assert_eq!(list(&app, inactive).await.status, 401);
    let new = SigningKey::new("k2");
    app.issuer.keys(&[&new]);
    assert_eq!(list(&app, signed(&app, &new, json!({}))).await.status, 200);
}

#[actix_rt::test]
async fn a_reply_that_is_not_signed_as_it_has_to_be_is_an_outage() {
    let (app, key) = demanding();
    let unsigned = reply(&app, json!({}))["token_introspection"].clone();
    let old = app.clock.now() - TimeDelta::minutes(6);
    for (why, answer) in [
        ("unsigned", Answer::json(unsigned)),
        (
            "unsigned, and inactive",
            Answer::json(json!({ "active": false })),
        ),
        (
            "for another resource server",
            signed(&app, &key, json!({ "aud": "another" })),
        ),
        (
            "of another issuer",
            signed(&app, &key, json!({ "iss": "https://a.example" })),
        ),
        ("old", signed(&app, &key, json!({ "iat": old.timestamp() }))),
        (
            "without a reply in it",
            signed(&app, &key, json!({ "token_introspection": "yes" })),
        ),
        (
            "an access token",
            answer(key.sign("at+jwt", &reply(&app, json!({})))),
        ),
        (
            "of another key of that id",
            signed(&app, &SigningKey::new("k1"), json!({})),
        ),
        (
            "of an unknown key",
            signed(&app, &SigningKey::new("k9"), json!({})),
        ),
    ] {
        let reply = list(&app, answer).await;
        assert_eq!(reply.status, 503, "{why}: {}", reply.text());
        assert_eq!(reply.header("retry-after"), Some("5"), "{why}");
        assert_eq!(reply.header("www-authenticate"), None, "{why}");
        // A good one in between, so that the issuer is not left alone for a while.
        assert_eq!(list(&app, signed(&app, &key, json!({}))).await.status, 200);
    }
}
