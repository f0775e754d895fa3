//! Revocations that one process receives and every process obeys.

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use epicme::config::{Config, Verification};
use resource_server::jose::keys::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    auth::{cut_off, ends_in_order, form, subscribe},
    support::{ALL, RESOURCE, SigningKey, TestApp, patiently},
};

const SECRET: &str = "a secret: for +% cut-offs";

fn with_secret(config: &mut Config) {
    config.http.revocation_secret = Some(SECRET.into());
}

/// JWTs that are verified by keys alone, so that nobody else says that one is revoked.
fn jwts(config: &mut Config) {
    with_secret(config);
    config.issuers[0].verification = Verification::Jwt {
        algorithms: vec![Algorithm::Es256],
        opaque: None,
    };
}

fn jwt(app: &TestApp, key: &SigningKey, subject: &str) -> String {
    let now = app.clock.now();
    let claims = json!({
        "iss": app.issuer.url(), "sub": subject, "aud": RESOURCE, "client_id": "notebook",
        "scope": ALL, "iat": now.timestamp(), "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    key.sign("at+jwt", &claims)
}

async fn status(app: &TestApp, token: &str) -> u16 {
    app.modern(token, "tools/list", json!({}))
        .send()
        .await
        .status
}

/// Asks until that is the status.
async fn becomes(app: &TestApp, token: &str, expected: u16) {
    patiently(async {
        while status(app, token).await != expected {
            actix_rt::task::yield_now().await;
        }
    })
    .await;
}

fn digest(token: &str) -> String {
    let digest = Sha256::digest(token);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn order(app: &TestApp, whom: &Value) {
    assert_eq!(cut_off(app, whom).send().await.status, 204, "{whom}");
}

#[actix_rt::test]
async fn a_revocation_that_one_process_receives_ends_the_streams_and_sessions_of_another() {
    let here = TestApp::spawn_with(with_secret);
    let there = here.beside(with_secret);
    let issuer = here.issuer.url();
    for whom in [
        json!({ "issuer": issuer, "subject": "ann" }),
        json!({ "issuer": issuer, "client": "notebook" }),
        json!({ "everybody": true }),
    ] {
        let token = here.token("ann", ALL);
        let session = there.open(&token, "2025-11-25").await;
        let modern = subscribe(&there, &token).await;
        let mut legacy = there.session_stream(&session).listen().await;
        let calls = here.issuer.calls();
        order(&here, &whom).await;
        ends_in_order(modern).await;
        while legacy.next().await.is_some() {}
        let reply = there.within(&session, "ping", json!({})).send().await;
        assert_eq!(reply.status, 404, "the session has ended: {whom}");
        assert!(here.issuer.calls() > calls, "the token is checked again");
    }
    // The token alone, by its hash and by a report.
    for by_hash in [true, false] {
        let (token, other) = (here.token("ann", ALL), here.token("ann", ALL));
        let (ends, mut goes_on) = (
            subscribe(&there, &token).await,
            subscribe(&there, &other).await,
        );
        if by_hash {
            order(&here, &json!({ "tokenSha256": digest(&token) })).await;
        } else {
            let report = form(&here, "/oauth/revoked", format!("token={token}"));
            assert_eq!(report.send().await.status, 200);
        }
        ends_in_order(ends).await;
        assert_eq!(status(&there, &token).await, 401);
        here.journal("ann")
            .tag(if by_hash { "a" } else { "b" })
            .await;
        assert!(goes_on.next().await.unwrap().contains("list_changed"));
    }
}

#[actix_rt::test]
async fn every_process_refuses_a_jwt_that_was_revoked_at_one_of_them_until_that_is_lifted() {
    let key = SigningKey::new("k1");
    let first = TestApp::spawn_with(jwts);
    first.issuer.keys(&[&key]);
    let (second, third) = (first.beside(jwts), first.beside(jwts));
    let others = [&second, &third];
    let (ann, bob) = (jwt(&first, &key, "ann"), jwt(&first, &key, "bob"));
    for process in [&first, &second, &third] {
        assert_eq!(status(process, &ann).await, 200);
    }
    let whom = json!({ "issuer": first.issuer.url(), "subject": "ann" });
    let (mut denied, mut lifted) = (whom.clone(), whom.clone());
    denied["until"] = "forever".into();
    lifted["lift"] = true.into();
    for order_of in [&whom, &denied] {
        order(&first, order_of).await;
        assert_eq!(status(&first, &ann).await, 401);
        for process in others {
            becomes(process, &ann, 401).await;
            assert_eq!(status(process, &bob).await, 200);
        }
        let later = first.beside(jwts);
        assert_eq!(status(&later, &ann).await, 401, "read at the start");
        order(&second, &lifted).await;
        assert_eq!(status(&second, &ann).await, 200);
        for process in [&first, &third, &later] {
            becomes(process, &ann, 200).await;
        }
    }
    // A tombstone of a token, of which the others have not heard before.
    let report = form(&third, "/oauth/revoked", format!("token={bob}"));
    assert_eq!(report.send().await.status, 200);
    becomes(&first, &bob, 401).await;
    assert_eq!(status(&first.beside(jwts), &bob).await, 401);
}

/// A message may be lost, or never be sent because the process that was told died.
#[actix_rt::test]
async fn a_revocation_of_which_no_message_came_is_obeyed_soon() {
    let key = SigningKey::new("k1");
    let off = |config: &mut Config| {
        jwts(config);
        config.database.bus = false;
    };
    let here = TestApp::spawn_with(off);
    here.issuer.keys(&[&key]);
    let there = here.beside(jwts);
    let token = jwt(&here, &key, "ann");
    assert_eq!(status(&there, &token).await, 200);
    let row = format!(
        "INSERT INTO revocations (kind, issuer, target, ordered_by, revoked_at, until)
         VALUES ('user', '{}', 'ann', 'operator', now(), '2099-01-01')",
        here.issuer.url()
    );
    here.database.execute(&row).unwrap();
    for process in [&here, &there] {
        becomes(process, &token, 401).await;
    }
    let lift = "UPDATE revocations SET id = DEFAULT, changed_in = DEFAULT, lifted_at = now()";
    here.database.execute(lift).unwrap();
    for process in [&here, &there] {
        becomes(process, &token, 200).await;
    }
}

/// A transaction may end after another that began later; its row has the lower number.
#[actix_rt::test]
async fn a_revocation_that_becomes_visible_late_is_not_passed_over() {
    let key = SigningKey::new("k1");
    let app = TestApp::spawn_with(jwts);
    app.issuer.keys(&[&key]);
    let (ann, bob) = (jwt(&app, &key, "ann"), jwt(&app, &key, "bob"));
    let revoke = |subject: &str| {
        format!(
            "INSERT INTO revocations (kind, issuer, target, ordered_by, revoked_at, until)
             VALUES ('user', '{}', '{subject}', 'operator', now(), '2099-01-01')",
            app.issuer.url()
        )
    };
    let mut slow = app.database.connect();
    let begun = format!("BEGIN; {}", revoke("ann"));
    slow.batch_execute(&begun).unwrap();
    app.database.execute(&revoke("bob")).unwrap();
    becomes(&app, &bob, 401).await;
    assert_eq!(status(&app, &ann).await, 200);
    slow.batch_execute("COMMIT").unwrap();
    becomes(&app, &ann, 401).await;
}

/// The user signs in again and opens a stream; the stored order is read more than once.
#[actix_rt::test]
async fn an_order_that_was_obeyed_ends_nothing_when_it_is_read_again() {
    let here = TestApp::spawn_with(with_secret);
    let there = here.beside(with_secret);
    let token = here.token("ann", ALL);
    let before = subscribe(&there, &token).await;
    // Holds back the mark of those who read, so that they read all later rows again.
    let mut slow = here.database.connect();
    slow.batch_execute("BEGIN; SELECT pg_current_xact_id()")
        .unwrap();
    let whom = json!({ "issuer": here.issuer.url(), "subject": "ann" });
    order(&here, &whom).await;
    ends_in_order(before).await;
    let (mut one, mut other) = (
        subscribe(&here, &token).await,
        subscribe(&there, &token).await,
    );
    let bob = subscribe(&there, &here.token("bob", ALL)).await;
    order(
        &here,
        &json!({ "issuer": here.issuer.url(), "subject": "bob" }),
    )
    .await;
    ends_in_order(bob).await;
    here.journal("ann").tag("work").await;
    for stream in [&mut one, &mut other] {
        assert!(stream.next().await.unwrap().contains("list_changed"));
    }
    slow.batch_execute("ROLLBACK").unwrap();
}
