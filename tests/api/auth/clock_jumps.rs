//! A wall clock that is set, or a machine that was suspended: nothing is believed for longer than it was to be by
//! either clock.

use chrono::TimeDelta;
use epicme::config::Verification;
use resource_server::jose::keys::Algorithm;
use serde_json::json;

use super::{
    introspection::list,
    revocation::{ends_in_order, subscribe},
};
use crate::support::{ALL, Answer, RESOURCE, SigningKey, TestApp, lines_with};

/// Forwards within the lifetime of an answer, far ahead, and back.
const JUMPS: [i64; 4] = [10, 600, -10, -3_000];

fn inactive() -> Answer {
    Answer::json(json!({ "active": false }))
}

#[actix_rt::test]
async fn a_token_is_asked_about_again() {
    for jump in JUMPS {
        let app = TestApp::spawn();
        let token = app.token("ann", ALL);
        assert_eq!(list(&app, &token).await.status, 200);
        app.issuer.answer(&token, inactive());
        app.clock.set_by(TimeDelta::seconds(jump));
        assert_eq!(list(&app, &token).await.status, 401, "{jump}");
        assert_eq!(app.issuer.calls(), 2);
        // And so is one that was refused.
        app.issuer.answer(&token, app.usual(json!({})));
        app.clock.set_by(TimeDelta::seconds(-jump));
        assert_eq!(list(&app, &token).await.status, 200, "{jump}");
        assert_eq!(list(&app, &token).await.status, 200, "{jump}");
        assert_eq!(app.issuer.calls(), 3);
    }
    for jump in JUMPS {
        let line = format!("the clock jumped by {jump} s");
        assert!(!lines_with(&line).is_empty(), "{jump}");
    }
}

#[actix_rt::test]
async fn a_small_step_changes_nothing() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    for step in [900, -1_800, 2_000] {
        app.clock.set_by(TimeDelta::milliseconds(step));
        assert_eq!(list(&app, &token).await.status, 200);
    }
    assert_eq!(app.issuer.calls(), 1);
}

#[actix_rt::test]
async fn the_streams_of_a_token_that_is_refused_then_end() {
    let app = TestApp::spawn();
    let token = app.token("ann", ALL);
    let subscription = subscribe(&app, &token).await;
    app.issuer.answer(&token, inactive());
    app.clock.set_by(TimeDelta::hours(-1));
    assert_eq!(list(&app, &token).await.status, 401);
    ends_in_order(subscription).await;
}

#[actix_rt::test]
async fn a_stream_ends_when_as_much_time_has_passed_as_its_token_had() {
    let app = TestApp::spawn();
    let end = (app.clock.now() + TimeDelta::seconds(100)).timestamp();
    let token = app.token_with(json!({ "exp": end }));
    let subscription = subscribe(&app, &token).await;
    app.clock.set_by(TimeDelta::hours(-1));
    app.clock.advance(TimeDelta::seconds(100));
    ends_in_order(subscription).await;
}

#[actix_rt::test]
async fn keys_are_fetched_again() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(|config| {
        config.issuers[0].verification = Verification::Jwt {
            algorithms: vec![Algorithm::Es256],
            opaque: None,
        };
    });
    app.issuer.keys(&[&key]);
    let token = |number| {
        let now = app.clock.now().timestamp();
        let claims = json!({
            "iss": app.issuer.url(), "sub": "ann", "aud": RESOURCE, "client_id": "notebook",
            "scope": ALL, "iat": now - 20, "exp": now + 3600, "jti": number,
        });
        key.sign("at+jwt", &claims)
    };
    assert_eq!(list(&app, &token(1)).await.status, 200);
    // The issuer withdraws its key.
    app.issuer.keys(&[&SigningKey::new("k2")]);
    assert_eq!(list(&app, &token(2)).await.status, 200, "not known yet");
    app.clock.set_by(TimeDelta::hours(-1));
    assert_eq!(list(&app, &token(3)).await.status, 401);
}
