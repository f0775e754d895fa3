//! An issuer that signs with a new key, and tokens that name keys which do not exist.

use chrono::TimeDelta;
use epicme::config::Verification;
use resource_server::jose::keys::Algorithm;
use serde_json::json;

use crate::support::{ALL, Answer, KEYS, RESOURCE, Reply, SigningKey, TestApp};

/// A server that verifies, behind a proxy, and the key that its issuer signs with.
fn verifying() -> (TestApp, SigningKey) {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.http.limits.unknown_tokens = None;
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
    });
    app.issuer.keys(&[&key]);
    (app, key)
}

/// A token of a user that nobody sent before.
fn token(app: &TestApp, key: &SigningKey, number: usize) -> String {
    let now = app.clock.now().timestamp();
    let claims = json!({
        "iss": app.issuer.url(), "sub": format!("user-{number}"), "aud": RESOURCE, "client_id": "notebook",
        "scope": ALL, "iat": now, "exp": now + 3600, "jti": number,
    });
    key.sign("at+jwt", &claims)
}

async fn list_from(app: &TestApp, source: usize, token: &str) -> Reply {
    app.modern(token, "tools/list", json!({}))
        .header("x-forwarded-for", &format!("203.0.113.{source}"))
        .send()
        .await
}

fn assert_told_to_wait(reply: &Reply, wait: &str) {
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert_eq!(reply.header("retry-after"), Some(wait));
    assert_eq!(reply.header("www-authenticate"), None);
}

#[actix_rt::test]
async fn made_up_keys_keep_a_new_key_out_for_a_second_at_most() {
    let (app, old) = verifying();
    assert_eq!(list_from(&app, 1, &token(&app, &old, 0)).await.status, 200);
    let stranger = SigningKey::new("made-up");
    let mut number = 0;
    let mut made_up = |app: &TestApp| {
        number += 1;
        token(app, &stranger, number)
    };
    // The attack had the keys fetched; whoever comes from there waits.
    let first = list_from(&app, 66, &made_up(&app)).await;
    assert_eq!(
        first.status, 401,
        "its key is not among those that were just fetched"
    );
    for _ in 0..50 {
        assert_told_to_wait(&list_from(&app, 66, &made_up(&app)).await, "10");
    }
    assert_eq!(app.issuer.key_calls(), 2);
    // The issuer rotates its key in that pause.
    let new = SigningKey::new("k2");
    app.issuer.keys(&[&new]);
    let good = token(&app, &new, 1_000);
    assert_told_to_wait(&list_from(&app, 1, &good).await, "1");
    assert_eq!(app.issuer.key_calls(), 2);
    for _ in 0..50 {
        assert_eq!(list_from(&app, 66, &made_up(&app)).await.status, 503);
    }
    app.clock.advance(TimeDelta::seconds(1));
    assert_eq!(list_from(&app, 1, &good).await.status, 200);
    for n in 2..20 {
        assert_eq!(list_from(&app, n, &token(&app, &new, n)).await.status, 200);
    }
    assert_eq!(app.issuer.key_calls(), 3);
}

#[actix_rt::test]
async fn the_key_set_is_fetched_at_most_once_a_second_however_many_sources_ask() {
    let (app, key) = verifying();
    assert_eq!(list_from(&app, 1, &token(&app, &key, 0)).await.status, 200);
    let stranger = SigningKey::new("made-up");
    for n in 0..200 {
        app.clock.advance(TimeDelta::milliseconds(50));
        let reply = list_from(&app, n, &token(&app, &stranger, n)).await;
        assert!([401, 503].contains(&reply.status));
    }
    assert_eq!(app.issuer.key_calls(), 1 + 10, "in ten seconds");
    assert_eq!(list_from(&app, 1, &token(&app, &key, 1)).await.status, 200);
}

#[actix_rt::test]
async fn keys_that_hang_take_no_place_from_introspection() {
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].timeout = std::time::Duration::from_secs(60);
        let client = config.issuers[0].verification.client().cloned().unwrap();
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: Some(client),
        };
    });
    app.issuer
        .metadata(KEYS, Answer::Hang(Box::new(Answer::text(404, ""))));
    let key = SigningKey::new("k1");
    let tokens: Vec<_> = (0..64).map(|n| token(&app, &key, n)).collect();
    let waiting = futures_util::future::join_all(
        tokens
            .iter()
            .map(|token| app.modern(token, "tools/list", json!({})).send()),
    );
    let others = async {
        while app.issuer.key_calls() == 0 {
            actix_rt::task::yield_now().await;
        }
        // Of the same source, whose share for introspection is still there.
        for n in 0..20 {
            let opaque = app.token(&format!("user-{n}"), ALL);
            let reply = app.modern(&opaque, "tools/list", json!({})).send().await;
            assert_eq!(reply.status, 200);
        }
        app.issuer.release();
    };
    let (waited, ()) = futures_util::future::join(waiting, others).await;
    assert!(waited.iter().all(|reply| reply.status == 503));
    assert_eq!(app.issuer.key_calls(), 1);
}
