//! Revocations that outlive a process, and those that hold until a time or until a token's end.

use chrono::TimeDelta;
use epicme::config::{Config, Verification};
use resource_server::jose::keys::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::introspection::{assert_outage, list};
use crate::support::{ALL, Ask, RESOURCE, Reply, SigningKey, TestApp};

const SECRET: &str = "a secret for operators";

/// The secret, and JWTs that are verified by keys alone.
fn jwts(config: &mut Config) {
    config.http.revocation_secret = Some(SECRET.into());
    config.issuers[0].verification = Verification::Jwt {
        algorithms: vec![Algorithm::Es256],
        opaque: None,
    };
}

fn spawn() -> TestApp {
    TestApp::spawn_with(|config| config.http.revocation_secret = Some(SECRET.into()))
}

/// Another process with the database and the issuer of the first, as after a restart.
fn restarted(first: &TestApp, edit: impl FnOnce(&mut Config)) -> TestApp {
    let (database, issuer) = (first.database.url.clone(), first.issuer.url().to_owned());
    TestApp::spawn_with(|config| {
        config.http.revocation_secret = Some(SECRET.into());
        config.issuers[0].url = issuer.parse().unwrap();
        config.database.url = database;
        edit(config);
    })
}

fn jwt(app: &TestApp, key: &SigningKey, changes: Value) -> String {
    let now = app.clock.now();
    let mut claims = json!({
        "iss": app.issuer.url(), "sub": "ann", "aud": RESOURCE, "client_id": "notebook",
        "scope": ALL, "iat": now.timestamp(), "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    key.sign("at+jwt", &claims)
}

fn digest(token: &str) -> String {
    let digest = Sha256::digest(token);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn admin<'a>(app: &'a TestApp, method: &str, body: &Value) -> Ask<'a> {
    app.ask(method, "/admin/revocations")
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("content-type", "application/json")
        .body(body.to_string())
}

async fn order(app: &TestApp, body: Value) -> Reply {
    admin(app, "POST", &body).send().await
}

async fn report(app: &TestApp, token: &str) -> u16 {
    let reply = app
        .ask("POST", "/oauth/revoked")
        .header("authorization", &format!("Bearer {SECRET}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    reply.send().await.status
}

#[actix_rt::test]
async fn a_token_that_is_cut_off_by_its_hash_never_comes_back_whatever_its_issuer_says() {
    let app = spawn();
    let (by_operator, reported, other) = (
        app.token("ann", ALL),
        app.token("ann", ALL),
        app.token("ann", ALL),
    );
    for token in [&by_operator, &reported, &other] {
        assert_eq!(list(&app, token).await.status, 200);
    }
    let unseen = app.token("ann", ALL);
    for token in [&by_operator, &unseen] {
        let whom = json!({ "tokenSha256": digest(token) });
        assert_eq!(order(&app, whom).await.status, 204);
    }
    assert_eq!(report(&app, &reported).await, 200);
    let calls = app.issuer.calls();
    let again = restarted(&app, |_| ());
    for seconds in [0, 6, 61, 3_500] {
        app.clock.advance(TimeDelta::seconds(seconds));
        again.clock.advance(TimeDelta::seconds(seconds));
        for token in [&by_operator, &reported, &unseen] {
            assert_eq!(list(&app, token).await.status, 401, "{seconds}");
            assert_eq!(list(&again, token).await.status, 401, "{seconds}");
        }
    }
    assert_eq!(app.issuer.calls(), calls, "the issuer is not asked");
    assert_eq!(list(&app, &other).await.status, 200);
}

#[actix_rt::test]
async fn a_jwt_that_is_cut_off_by_its_hash_stays_so_after_a_restart() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(jwts);
    app.issuer.keys(&[&key]);
    let token = jwt(&app, &key, json!({}));
    assert_eq!(report(&app, &token).await, 200);
    let again = restarted(&app, jwts);
    assert_eq!(list(&app, &token).await.status, 401);
    assert_eq!(list(&again, &token).await.status, 401);
    let other = jwt(&app, &key, json!({ "jti": "other" }));
    assert_eq!(list(&again, &other).await.status, 200);
}

#[actix_rt::test]
async fn whoever_is_denied_until_a_time_stays_out_with_every_token_and_after_a_restart() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    let until = (app.clock.now() + TimeDelta::hours(2)).to_rfc3339();
    let whoever = app.token_with(json!({ "sub": "bob", "client_id": "guest" }));
    for (whom, is_in) in [
        (json!({ "issuer": issuer, "subject": "ann" }), true),
        (json!({ "issuer": issuer, "client": "notebook" }), true),
        (json!({ "everybody": true }), false),
    ] {
        let open = app.token("ann", ALL);
        assert_eq!(list(&app, &open).await.status, 200, "{whom}");
        let mut denied = whom.clone();
        denied["until"] = until.as_str().into();
        assert_eq!(order(&app, denied).await.status, 204, "{whom}");
        // A later order without a time does not let anybody in again.
        assert_eq!(order(&app, whom.clone()).await.status, 204, "{whom}");
        let again = restarted(&app, |_| ());
        let later = app.token("ann", ALL);
        for process in [&app, &again] {
            for token in [&open, &later] {
                assert_eq!(list(process, token).await.status, 401, "{whom}");
            }
            let others = list(process, &whoever).await.status;
            assert_eq!(others == 200, is_in, "{whom}");
        }
        let mut lifted = whom.clone();
        lifted["lift"] = true.into();
        assert_eq!(order(&app, lifted.clone()).await.status, 204, "{whom}");
        for token in [&open, &later, &whoever] {
            assert_eq!(list(&app, token).await.status, 200, "at once: {whom}");
        }
        let unknown = order(&app, lifted).await;
        assert_eq!(unknown.status, 404, "{whom}");
        assert_eq!(list(&restarted(&app, |_| ()), &open).await.status, 200);
    }
}

#[actix_rt::test]
async fn a_denial_ends_when_its_time_has_come() {
    let app = spawn();
    let until = (app.clock.now() + TimeDelta::minutes(10)).to_rfc3339();
    let whom = json!({ "issuer": app.issuer.url(), "subject": "ann", "until": until });
    assert_eq!(order(&app, whom).await.status, 204);
    let token = app.token("ann", ALL);
    app.clock.advance(TimeDelta::seconds(599));
    assert_eq!(list(&app, &token).await.status, 401);
    app.clock.advance(TimeDelta::seconds(6));
    assert_eq!(list(&app, &token).await.status, 200);
}

/// The clocks of issuer and server may differ by half a minute.
#[actix_rt::test]
async fn a_jwt_that_seems_to_be_issued_just_after_its_revocation_is_covered() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(jwts);
    app.issuer.keys(&[&key]);
    let now = app.clock.now().timestamp();
    let fast_clock = jwt(&app, &key, json!({ "iat": now + 29 }));
    assert_eq!(list(&app, &fast_clock).await.status, 200);
    let whom = json!({ "issuer": app.issuer.url(), "subject": "ann" });
    assert_eq!(order(&app, whom).await.status, 204);
    assert_eq!(list(&app, &fast_clock).await.status, 401);
    // The same in a process that has only read of it.
    let again = restarted(&app, jwts);
    assert_eq!(list(&again, &fast_clock).await.status, 401);
    app.clock.advance(TimeDelta::seconds(31));
    let since = jwt(&app, &key, json!({}));
    assert_eq!(list(&app, &since).await.status, 200);
}

#[actix_rt::test]
async fn an_order_is_well_formed_or_refused() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    let past = (app.clock.now() - TimeDelta::seconds(1)).to_rfc3339();
    for (name, value) in [
        ("until", json!(past)),
        ("until", json!("tomorrow")),
        ("until", json!("")),
        ("until", json!(7)),
        ("lift", json!("yes")),
        ("subject", json!("")),
        ("subject", json!("a\u{0}b")),
        ("subject", json!("x".repeat(1_025))),
    ] {
        let mut body = json!({ "issuer": issuer, "subject": "ann" });
        body[name] = value;
        assert_eq!(order(&app, body.clone()).await.status, 400, "{body}");
    }
    let both = json!({ "everybody": true, "until": "forever", "lift": true });
    assert_eq!(order(&app, both).await.status, 400);
    let token = json!({ "tokenSha256": "0".repeat(64), "until": "forever" });
    assert_eq!(order(&app, token).await.status, 400);
}

#[actix_rt::test]
async fn the_revocations_can_be_listed() {
    let app = spawn();
    let issuer = app.issuer.url().to_owned();
    let empty = admin(&app, "GET", &json!({})).send().await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.header("cache-control"), Some("no-store"));
    assert_eq!(empty.json(), json!({ "revocations": [], "more": false }));
    let token = "0f".repeat(32);
    for body in [
        json!({ "tokenSha256": token }),
        json!({ "issuer": issuer, "subject": "ann", "until": "forever" }),
        json!({ "issuer": issuer, "client": "notebook", "until": "2031-01-01T00:00:00+01:00" }),
        json!({ "everybody": true }),
    ] {
        assert_eq!(order(&app, body).await.status, 204);
    }
    let now = "2030-07-31T12:00:00Z";
    let listed = admin(&app, "GET", &json!({})).send().await.json();
    assert_eq!(
        listed,
        json!({ "more": false, "revocations": [
            { "kind": "everybody", "revokedAt": now, "until": null, "orderedBy": "operator" },
            { "kind": "client", "issuer": issuer, "client": "notebook",
              "revokedAt": now, "until": "2030-12-31T23:00:00Z", "orderedBy": "operator" },
            { "kind": "user", "issuer": issuer, "subject": "ann",
              "revokedAt": now, "until": "forever", "orderedBy": "operator" },
            { "kind": "token", "tokenSha256": token,
              "revokedAt": now, "until": null, "orderedBy": "operator" },
        ] })
    );
    let other = admin(&app, "PUT", &json!({})).send().await;
    assert_eq!(
        (other.status, other.header("allow")),
        (405, Some("GET, POST"))
    );
    let stranger = admin(&app, "GET", &json!({})).header("authorization", "Bearer x");
    assert_eq!(stranger.send().await.status, 401);
}

/// A token may be one that was revoked.
#[actix_rt::test]
async fn no_token_is_accepted_before_the_revocations_were_read() {
    let app = TestApp::spawn_with(|config| {
        config.database.url = "postgres://nobody@127.0.0.1:1/nothing".into();
        config.database.schema_unknown_at_start = true;
    });
    let token = app.token("ann", ALL);
    let reply = list(&app, &token).await;
    assert_outage(&reply, "5", "not read yet");
    assert_eq!(app.issuer.calls(), 0);
}

#[actix_rt::test]
async fn a_revocation_that_cannot_be_stored_is_in_effect_and_an_error() {
    let app = spawn();
    let token = app.token("ann", ALL);
    assert_eq!(list(&app, &token).await.status, 200);
    app.database
        .execute("ALTER TABLE revocations RENAME TO elsewhere")
        .unwrap();
    let whom = json!({ "issuer": app.issuer.url(), "subject": "ann", "until": "forever" });
    let reply = order(&app, whom.clone()).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("5"));
    let said = reply.json()["error_description"].to_string();
    assert!(said.contains("in effect in this process"), "{said}");
    assert_eq!(list(&app, &token).await.status, 401);
    assert_eq!(report(&app, &token).await, 503);
    let unread = admin(&app, "GET", &json!({})).send().await;
    assert_eq!(unread.status, 503);
    app.database
        .execute("ALTER TABLE elsewhere RENAME TO revocations")
        .unwrap();
    assert_eq!(order(&app, whom).await.status, 204);
    assert_eq!(list(&restarted(&app, |_| ()), &token).await.status, 401);
}

#[actix_rt::test]
async fn what_an_issuer_that_is_gone_was_revoked_for_can_be_lifted() {
    let before = spawn();
    let row = "INSERT INTO revocations (kind, issuer, target, ordered_by, revoked_at)
               VALUES ('user', 'https://gone.example', 'ann', 'operator', now())";
    before.database.execute(row).unwrap();
    // It has read the row when it begins to serve. One that reads it between the two calls would lift it twice.
    let app = restarted(&before, |_| ());
    let whom = json!({ "issuer": "https://gone.example", "subject": "ann", "lift": true });
    assert_eq!(order(&app, whom.clone()).await.status, 204);
    assert_eq!(order(&app, whom).await.status, 404);
}
