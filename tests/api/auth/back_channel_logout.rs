//! Logout tokens from the authorization server (OpenID Connect Back-Channel Logout 1.0).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use futures_util::{StreamExt, stream::FuturesUnordered};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use epicme::config::Verification;
use resource_server::jose::keys::Algorithm;

use super::introspection::list;
use super::revocation::{ends_in_order, form, goes_on, ping, subscribe};
use crate::support::{ALL, Answer, Ask, KEYS, RESOURCE, Reply, SigningKey, TestApp, patiently};

/// An issuer that signs.
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// Has the issuer publish the key.
    fn publish(&self, app: &TestApp) {
        let key = URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref());
        let keys =
            json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": key }] });
        app.issuer.metadata("/keys", Answer::json(keys));
        let mut metadata = app.issuer.usual_metadata();
        metadata["jwks_uri"] = format!("{}/keys", app.issuer.url()).into();
        let path = "/.well-known/oauth-authorization-server";
        app.issuer.metadata(path, Answer::json(metadata));
    }

    /// A logout token with these changes; null takes away.
    fn logout(&self, app: &TestApp, changes: &Value) -> String {
        let mut claims = json!({
            "iss": app.issuer.url(), "aud": "epicme", "sub": "ann", "jti": "1",
            "iat": app.clock.now().timestamp(), "exp": app.clock.now().timestamp() + 120,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encode(json!({ "alg": "EdDSA", "typ": "logout+jwt" }));
        let signed = format!("{header}.{}", encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn log_out<'a>(app: &'a TestApp, token: &str) -> Ask<'a> {
    form(
        app,
        "/oauth/backchannel-logout",
        format!("logout_token={token}"),
    )
    .without("authorization")
}

#[actix_rt::test]
async fn a_flood_of_logout_tokens_takes_no_place_from_introspection() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = std::time::Duration::from_secs(60);
    });
    assert_eq!(list(&app, &app.token("ann", ALL)).await.status, 200);
    app.issuer
        .metadata(KEYS, Answer::Hang(Box::new(Answer::text(404, ""))));
    let signer = Signer::new(1);
    let tokens: Vec<_> = (0..300)
        .map(|n| signer.logout(&app, &json!({ "jti": n.to_string() })))
        .collect();
    let sent = tokens.iter().map(|token| log_out(&app, token).send());
    let mut waiting: FuturesUnordered<_> = sent.collect();
    // One source has four places.
    for _ in 4..300 {
        let busy = patiently(waiting.next()).await.unwrap();
        assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    }
    for n in 0..20 {
        let token = app.token(&format!("user-{n}"), ALL);
        assert_eq!(list(&app, &token).await.status, 200);
    }
    app.issuer.release();
    let rest: Vec<Reply> = patiently(waiting.collect()).await;
    assert_eq!((rest.len(), app.issuer.key_calls()), (4, 1));
    for reply in rest {
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("5"))
        );
    }
}

#[actix_rt::test]
async fn whom_the_issuer_logs_out_is_cut_off_once() {
    let app = TestApp::spawn();
    let signer = Signer::new(1);
    let unavailable = log_out(&app, &signer.logout(&app, &json!({}))).send().await;
    assert_eq!(unavailable.status, 503, "there are no keys");
    signer.publish(&app);
    app.clock.advance(TimeDelta::minutes(10));
    let (ann, bob) = (app.token("ann", ALL), app.token("bob", ALL));
    let session = app.open(&ann, "2025-11-25").await;
    let subscription = subscribe(&app, &ann).await;
    let mut other = subscribe(&app, &bob).await;
    for (changes, why) in [
        (json!({ "sub": null, "sid": "s" }), "needs sub"),
        (
            json!({ "iss": "https://other.example" }),
            "no issuer that is known",
        ),
        (json!({ "aud": "other" }), "for another client"),
        (json!({ "nonce": "n" }), "nonce"),
        (json!({ "events": {} }), "no back-channel logout event"),
        (json!({ "iat": 0 }), "not of now"),
    ] {
        let reply = log_out(&app, &signer.logout(&app, &changes)).send().await;
        assert_eq!(reply.status, 400, "{changes}");
        let body = reply.json();
        assert_eq!(body["error"], "invalid_request");
        assert!(
            body["error_description"].as_str().unwrap().contains(why),
            "{body}"
        );
    }
    let token = signer.logout(&app, &json!({}));
    let forged = Signer::new(2).logout(&app, &json!({}));
    for wrong in [&forged, "x", ""] {
        assert_eq!(log_out(&app, wrong).send().await.status, 400, "{wrong}");
    }
    let reply = log_out(&app, &token).send().await;
    assert_eq!(
        (reply.status, reply.body.len()),
        (200, 0),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    ends_in_order(subscription).await;
    let gone = async { while ping(&app, &session, &ann).await.status != 404 {} };
    patiently(gone).await;
    let replayed = log_out(&app, &token).send().await;
    assert_eq!(replayed.status, 400);
    app.journal("bob").tag("work").await;
    goes_on(&mut other, "list_changed").await;
}

#[actix_rt::test]
async fn the_logout_of_another_client_counts_where_the_operator_names_it() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].logout_audiences = vec!["web-app".to_owned()];
    });
    let signer = Signer::new(1);
    signer.publish(&app);
    let token = app.token("ann", ALL);
    let subscription = subscribe(&app, &token).await;
    for (jti, aud, status) in [
        ("1", json!("another"), 400),
        ("2", json!(["another", "web-app"]), 200),
        ("3", json!("epicme"), 200),
    ] {
        let logout = signer.logout(&app, &json!({ "aud": aud, "jti": jti }));
        assert_eq!(log_out(&app, &logout).send().await.status, status, "{aud}");
    }
    ends_in_order(subscription).await;
}

/// Otherwise a restart would let in whoever has signed out.
#[actix_rt::test]
async fn a_logout_outlives_a_restart() {
    let verify = |config: &mut epicme::config::Config| {
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: config.issuers[0].verification.client().cloned(),
        };
    };
    let app = TestApp::spawn_with(verify);
    let key = SigningKey::new("k1");
    app.issuer.keys(&[&key]);
    let now = app.clock.now().timestamp();
    let access =
        |subject: &str| {
            key.sign("at+jwt", &json!({
            "iss": app.issuer.url(), "sub": subject, "aud": RESOURCE, "client_id": "notebook",
            "scope": ALL, "iat": now, "exp": now + 3_600,
        }))
        };
    let logout = key.sign("logout+jwt", &json!({
        "iss": app.issuer.url(), "aud": "epicme", "sub": "ann", "jti": "1", "iat": now, "exp": now + 120,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    }));
    assert_eq!(log_out(&app, &logout).send().await.status, 200);
    let (database, issuer) = (app.database.url.clone(), app.issuer.url().to_owned());
    let again = TestApp::spawn_with(|config| {
        config.issuers[0].url = issuer.parse().unwrap();
        config.database.url = database;
        verify(config);
    });
    for (subject, status) in [("ann", 401), ("bob", 200)] {
        let reply = again.modern(&access(subject), "tools/list", json!({}));
        assert_eq!(reply.send().await.status, status, "{subject}");
    }
}

#[actix_rt::test]
async fn a_logout_that_cannot_be_stored_can_be_sent_again() {
    let app = TestApp::spawn();
    let signer = Signer::new(1);
    signer.publish(&app);
    let logout = signer.logout(&app, &json!({}));
    app.database
        .execute("ALTER TABLE revocations RENAME TO elsewhere")
        .unwrap();
    assert_eq!(log_out(&app, &logout).send().await.status, 503);
    app.database
        .execute("ALTER TABLE elsewhere RENAME TO revocations")
        .unwrap();
    assert_eq!(log_out(&app, &logout).send().await.status, 200);
    assert_eq!(log_out(&app, &logout).send().await.status, 400, "used");
}
